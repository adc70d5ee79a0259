/* SPDX-License-Identifier: MIT
 *
 * The handshake without sockets: every refusal, secrets and their rotation, and that each end says
 * what the other can log.
 */
#include "cluster/hello.h"

#include "support/check.h"
#include "wire/cursor.h"
#include "wire/golden.h"
#include "wire/packer.h"

typedef struct hello_side {
    dure_registry *registry;
    dure_hello_self self;
    dure_hello hello;
    dure_buf out;
} hello_side;

typedef struct hello_pair {
    hello_side dialler;  /* game-1 */
    hello_side acceptor; /* db-1 */
} hello_pair;

static dure_registry *registry_of(const char *cluster)
{
    const char *const dials[] = {"db", NULL};
    const char *const nobody[] = {NULL};
    dure_registry_builder *builder = NULL;
    dure_registry *registry = NULL;
    DURE_REQUIRE_OK(dure_registry_builder_create(cluster, "var", &builder));
    DURE_REQUIRE_OK(dure_registry_builder_role(builder, "game", "dure-game", dials));
    DURE_REQUIRE_OK(dure_registry_builder_role(builder, "db", "dure-db", nobody));
    DURE_REQUIRE_OK(dure_registry_builder_node(builder, "game-1", "game", "127.0.0.1", 7811, 0));
    DURE_REQUIRE_OK(dure_registry_builder_node(builder, "db-1", "db", "127.0.0.1", 7821, 0));
    DURE_REQUIRE_OK(dure_registry_builder_finish(builder, &registry));
    return registry;
}

static void side_init(hello_side *side, const char *id, const char *peer, uint8_t nonce_byte)
{
    uint8_t nonce[DURE_HELLO_NONCE_BYTES];
    memset(side, 0, sizeof *side);
    memset(nonce, nonce_byte, sizeof nonce);
    side->registry = registry_of("test");
    side->self.registry = side->registry;
    side->self.node = dure_registry_find_node(side->registry, id);
    side->self.incarnation = nonce_byte;
    side->self.schema_hash = 7;
    side->self.protocol_min = DURE_PROTOCOL_MIN;
    side->self.protocol_max = DURE_PROTOCOL_MAX;
    dure_buf_init(&side->out, 65536);
    dure_hello_init(&side->hello, &side->self,
                    peer != NULL ? dure_registry_find_node(side->registry, peer) : NULL, nonce);
}

static void side_fini(hello_side *side)
{
    dure_hello_fini(&side->hello);
    dure_buf_fini(&side->out);
    dure_registry_destroy(side->registry);
}

static void pair_init(hello_pair *pair)
{
    side_init(&pair->dialler, "game-1", "db-1", 0xaa);
    side_init(&pair->acceptor, "db-1", NULL, 0xbb);
}

static void pair_fini(hello_pair *pair)
{
    side_fini(&pair->dialler);
    side_fini(&pair->acceptor);
}

static bool is_over(const hello_side *side)
{
    return side->hello.state == DURE_HELLO_DONE || side->hello.state == DURE_HELLO_ENDED;
}

/* Carries what `from` has to say to `to`. */
static void carry(hello_side *from, hello_side *to)
{
    while (from->out.len > 0 && !is_over(to)) {
        dure_frame frame;
        size_t len = 0;
        DURE_REQUIRE_OK(dure_frame_decode(from->out.data, from->out.len,
                                          DURE_WIRE_LINK_STRANGER_MAX, &frame, &len));
        const dure_slice raw = {from->out.data, len};
        DURE_REQUIRE_OK(dure_hello_on_frame(&to->hello, &frame, raw, &to->out));
        if (to->hello.state == DURE_HELLO_PROVEN) {
            DURE_REQUIRE_OK(dure_hello_welcome(&to->hello, &to->out));
        }
        dure_buf_consume(&from->out, len);
    }
}

static void play(hello_pair *pair)
{
    DURE_REQUIRE_OK(dure_hello_start(&pair->acceptor.hello, &pair->acceptor.out));
    DURE_REQUIRE_OK(dure_hello_start(&pair->dialler.hello, &pair->dialler.out));
    for (int i = 0; i < 4; i++) {
        carry(&pair->dialler, &pair->acceptor);
        carry(&pair->acceptor, &pair->dialler);
    }
}

static void check_refused(hello_pair *pair, bool by_acceptor, dure_err cause)
{
    const hello_side *by = by_acceptor ? &pair->acceptor : &pair->dialler;
    const hello_side *other = by_acceptor ? &pair->dialler : &pair->acceptor;
    play(pair);
    DURE_CHECK_EQ(by->hello.state, DURE_HELLO_ENDED);
    DURE_CHECK_ERR(by->hello.cause, cause);
    DURE_CHECK(!by->hello.is_refused_by_peer);
    DURE_CHECK(by->hello.text[0] != '\0');
    if (other->hello.state != DURE_HELLO_DONE) {
        DURE_CHECK_EQ(other->hello.state, DURE_HELLO_ENDED);
        DURE_CHECK_ERR(other->hello.cause, cause);
        DURE_CHECK(other->hello.is_refused_by_peer);
        DURE_CHECK_STR(other->hello.text, by->hello.text);
    }
    pair_fini(pair);
}

static void check_welcome(hello_pair *pair)
{
    play(pair);
    DURE_CHECK_EQ(pair->dialler.hello.state, DURE_HELLO_DONE);
    DURE_CHECK_EQ(pair->acceptor.hello.state, DURE_HELLO_DONE);
    DURE_CHECK_STR(pair->acceptor.hello.peer->id, "game-1");
    DURE_CHECK_EQ(pair->acceptor.hello.peer_incarnation, 0xaa);
    DURE_CHECK_EQ(pair->dialler.hello.peer_incarnation, 0xbb);
    DURE_CHECK_EQ(pair->dialler.hello.protocol, DURE_PROTOCOL_MAX);
    pair_fini(pair);
}

static dure_slice bytes_of(const char *text)
{
    return (dure_slice){(const uint8_t *)text, text != NULL ? strlen(text) : 0};
}

static void set_secrets(hello_side *side, const char *first, const char *second)
{
    side->self.secrets[0] = bytes_of(first);
    side->self.secrets[1] = bytes_of(second);
    side->self.secret_count = first == NULL ? 0 : second == NULL ? 1 : 2;
}

static void without_a_secret_hello_is_welcome(void)
{
    hello_pair pair;
    pair_init(&pair);
    check_welcome(&pair);
}

static void another_schema_is_welcome(void)
{
    hello_pair pair;
    pair_init(&pair);
    pair.dialler.self.schema_hash = 8;
    check_welcome(&pair);
}

static void another_cluster_is_refused(void)
{
    hello_pair pair;
    pair_init(&pair);
    dure_registry_destroy(pair.dialler.registry);
    pair.dialler.registry = registry_of("other");
    pair.dialler.self.registry = pair.dialler.registry;
    pair.dialler.self.node = dure_registry_find_node(pair.dialler.registry, "game-1");
    pair.dialler.hello.peer = dure_registry_find_node(pair.dialler.registry, "db-1");
    check_refused(&pair, true, DURE_ERR_WRONG_CLUSTER);
}

static void an_empty_range_of_versions_is_refused(void)
{
    hello_pair pair;
    pair_init(&pair);
    pair.dialler.self.protocol_min = 3;
    pair.dialler.self.protocol_max = 4;
    check_refused(&pair, true, DURE_ERR_WRONG_VERSION);
}

static void the_highest_version_of_both_is_chosen(void)
{
    hello_pair pair;
    pair_init(&pair);
    pair.dialler.self.protocol_max = 9;
    check_welcome(&pair);
}

static void a_node_that_is_not_configured_is_refused(void)
{
    hello_pair pair;
    pair_init(&pair);
    dure_registry_node stranger = *pair.dialler.self.node;
    stranger.id = "game-9";
    pair.dialler.self.node = &stranger;
    check_refused(&pair, true, DURE_ERR_WRONG_NODE);
}

static void a_node_of_another_role_is_refused(void)
{
    hello_pair pair;
    pair_init(&pair);
    dure_registry_node stranger = *pair.dialler.self.node;
    stranger.role = "db";
    pair.dialler.self.node = &stranger;
    check_refused(&pair, true, DURE_ERR_WRONG_NODE);
}

static void our_own_id_is_a_duplicate(void)
{
    hello_pair pair;
    pair_init(&pair);
    pair.dialler.self.node = dure_registry_find_node(pair.dialler.registry, "db-1");
    check_refused(&pair, true, DURE_ERR_DUPLICATE_ID);
}

static void another_node_than_the_dialled_is_refused(void)
{
    hello_pair pair;
    pair_init(&pair);
    pair.acceptor.self.node = dure_registry_find_node(pair.acceptor.registry, "game-1");
    pair.dialler.self.node = dure_registry_find_node(pair.dialler.registry, "db-1");
    check_refused(&pair, false, DURE_ERR_WRONG_NODE);
}

static void with_the_same_secret_it_is_welcome(void)
{
    hello_pair pair;
    pair_init(&pair);
    set_secrets(&pair.dialler, "sesame", NULL);
    set_secrets(&pair.acceptor, "sesame", NULL);
    check_welcome(&pair);
}

/* The bytes behind a zero count as those before it do. */
static void secrets_that_differ_behind_a_zero_are_two(void)
{
    static const uint8_t first[] = "sesame\0alpha";
    static const uint8_t second[] = "sesame\0omega";
    hello_pair pair;
    pair_init(&pair);
    set_secrets(&pair.dialler, "", NULL);
    set_secrets(&pair.acceptor, "", NULL);
    pair.dialler.self.secrets[0] = (dure_slice){first, sizeof first - 1};
    pair.acceptor.self.secrets[0] = (dure_slice){second, sizeof second - 1};
    check_refused(&pair, false, DURE_ERR_WRONG_PROOF);
}

static void each_step_of_a_rotation_is_welcome(void)
{
    static const char *const steps[][2] = {
        {"old", NULL}, {"old", "new"}, {"new", "old"}, {"new", NULL}};
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4; j++) {
            hello_pair pair;
            pair_init(&pair);
            set_secrets(&pair.dialler, steps[i][0], steps[i][1]);
            set_secrets(&pair.acceptor, steps[j][0], steps[j][1]);
            if (i - j <= 1 && j - i <= 1) {
                check_welcome(&pair);
            } else {
                pair_fini(&pair);
            }
        }
    }
}

/* Of protocol 1 alone: what it would send in a handshake with a secret nobody understands today. */
static void protocol_1_links_without_a_secret_only(void)
{
    for (int is_dialler = 0; is_dialler < 2; is_dialler++) {
        hello_pair pair;
        pair_init(&pair);
        hello_side *old = is_dialler ? &pair.dialler : &pair.acceptor;
        old->self.protocol_max = 1;
        play(&pair);
        DURE_CHECK_EQ(pair.dialler.hello.state, DURE_HELLO_DONE);
        DURE_CHECK_EQ(pair.dialler.hello.protocol, 1);
        pair_fini(&pair);
    }
    hello_pair pair;
    pair_init(&pair);
    set_secrets(&pair.acceptor, "sesame", NULL);
    pair.dialler.self.protocol_max = 1;
    check_refused(&pair, true, DURE_ERR_WRONG_VERSION);
}

static void another_secret_is_refused_by_the_dialler(void)
{
    hello_pair pair;
    pair_init(&pair);
    set_secrets(&pair.dialler, "sesame", NULL);
    set_secrets(&pair.acceptor, "barley", NULL);
    check_refused(&pair, false, DURE_ERR_WRONG_PROOF);
}

static void no_secret_on_the_dialler_is_refused(void)
{
    hello_pair pair;
    pair_init(&pair);
    set_secrets(&pair.acceptor, "sesame", NULL);
    check_refused(&pair, false, DURE_ERR_WRONG_PROOF);
}

static void no_secret_on_the_other_side_is_refused(void)
{
    hello_pair pair;
    pair_init(&pair);
    set_secrets(&pair.dialler, "sesame", NULL);
    play(&pair);
    DURE_CHECK_EQ(pair.acceptor.hello.state, DURE_HELLO_ENDED);
    DURE_CHECK_ERR(pair.acceptor.hello.cause, DURE_ERR_WRONG_PROOF);
    /* to the dialler that is the word of a stranger */
    DURE_CHECK_EQ(pair.dialler.hello.state, DURE_HELLO_ENDED);
    DURE_CHECK_ERR(pair.dialler.hello.cause, DURE_ERR_REFUSED);
    DURE_CHECK_STR(pair.dialler.hello.text,
                   "unproven WRONG_PROOF: it has a cluster secret and this node has none");
    pair_fini(&pair);
}

/* ---- what a secret changes: names come behind the proof ---- */

static void secrets_init(hello_pair *pair)
{
    pair_init(pair);
    set_secrets(&pair->dialler, "sesame", NULL);
    set_secrets(&pair->acceptor, "sesame", NULL);
}

static void another_cluster_is_refused_behind_the_proof(void)
{
    hello_pair pair;
    secrets_init(&pair);
    dure_registry_destroy(pair.dialler.registry);
    pair.dialler.registry = registry_of("other");
    pair.dialler.self.registry = pair.dialler.registry;
    pair.dialler.self.node = dure_registry_find_node(pair.dialler.registry, "game-1");
    pair.dialler.hello.peer = dure_registry_find_node(pair.dialler.registry, "db-1");
    check_refused(&pair, true, DURE_ERR_WRONG_CLUSTER);
}

static void a_node_of_another_role_is_refused_behind_the_proof(void)
{
    hello_pair pair;
    secrets_init(&pair);
    dure_registry_node stranger = *pair.dialler.self.node;
    stranger.role = "db";
    pair.dialler.self.node = &stranger;
    check_refused(&pair, true, DURE_ERR_WRONG_NODE);
}

static void our_own_id_is_a_duplicate_behind_the_proof(void)
{
    hello_pair pair;
    secrets_init(&pair);
    pair.dialler.self.node = dure_registry_find_node(pair.dialler.registry, "db-1");
    play(&pair);
    DURE_CHECK(dure_hello_is_duplicate(&pair.dialler.hello));
    DURE_CHECK(!dure_hello_is_duplicate(&pair.acceptor.hello));
    pair_fini(&pair);
}

/* The secret is right and the node another one: a handshake that somebody passes on, or two ports
 * that were mixed up. */
static void a_challenge_of_another_node_proves_nothing(void)
{
    hello_pair pair;
    secrets_init(&pair);
    pair.acceptor.self.node = dure_registry_find_node(pair.acceptor.registry, "game-1");
    check_refused(&pair, false, DURE_ERR_WRONG_PROOF);
}

/* The frame once more with one element more behind the mac, which that does not cover. */
static void append_element(dure_buf *frame)
{
    const uint8_t more = 0x07;
    DURE_REQUIRE(frame->data[DURE_FRAME_HEADER_BYTES] > 0x90);
    DURE_REQUIRE(frame->data[DURE_FRAME_HEADER_BYTES] < 0x9f);
    frame->data[DURE_FRAME_HEADER_BYTES]++;
    DURE_REQUIRE_OK(dure_buf_append(frame, &more, 1));
    const size_t len = frame->len - 5;
    frame->data[3] = (uint8_t)(len >> 8);
    frame->data[4] = (uint8_t)(len & 0xff);
}

static void nothing_may_stand_behind_the_mac_of_a_challenge(void)
{
    hello_pair pair;
    secrets_init(&pair);
    DURE_REQUIRE_OK(dure_hello_start(&pair.acceptor.hello, &pair.acceptor.out));
    DURE_REQUIRE_OK(dure_hello_start(&pair.dialler.hello, &pair.dialler.out));
    carry(&pair.dialler, &pair.acceptor);
    append_element(&pair.acceptor.out);
    carry(&pair.acceptor, &pair.dialler);
    DURE_CHECK_EQ(pair.dialler.hello.state, DURE_HELLO_ENDED);
    DURE_CHECK_ERR(pair.dialler.hello.cause, DURE_ERR_PROTOCOL);
    pair_fini(&pair);
}

static void nothing_may_stand_behind_the_mac_of_a_proof(void)
{
    hello_pair pair;
    secrets_init(&pair);
    DURE_REQUIRE_OK(dure_hello_start(&pair.acceptor.hello, &pair.acceptor.out));
    DURE_REQUIRE_OK(dure_hello_start(&pair.dialler.hello, &pair.dialler.out));
    carry(&pair.dialler, &pair.acceptor);
    carry(&pair.acceptor, &pair.dialler);
    append_element(&pair.dialler.out);
    carry(&pair.dialler, &pair.acceptor);
    DURE_CHECK_EQ(pair.acceptor.hello.state, DURE_HELLO_ENDED);
    DURE_CHECK_ERR(pair.acceptor.hello.cause, DURE_ERR_PROTOCOL);
    pair_fini(&pair);
}

/* Each byte of what came before the proof, and of the proof itself, is under its mac: who the
 * dialler is too. */
static void no_name_of_a_proof_can_be_changed(void)
{
    hello_pair pair;
    secrets_init(&pair);
    DURE_REQUIRE_OK(dure_hello_start(&pair.acceptor.hello, &pair.acceptor.out));
    DURE_REQUIRE_OK(dure_hello_start(&pair.dialler.hello, &pair.dialler.out));
    carry(&pair.dialler, &pair.acceptor);
    carry(&pair.acceptor, &pair.dialler);
    DURE_REQUIRE(memcmp(pair.dialler.out.data + 33, "\xa4test", 5) == 0);
    pair.dialler.out.data[34] = 'T';
    carry(&pair.dialler, &pair.acceptor);
    DURE_CHECK_EQ(pair.acceptor.hello.state, DURE_HELLO_ENDED);
    DURE_CHECK_ERR(pair.acceptor.hello.cause, DURE_ERR_WRONG_PROOF);
    pair_fini(&pair);
}

/* ---- the handshake that docs/wire.md and tests/golden/ show to others ---- */

typedef struct wanted {
    const char *name;
    const dure_buf *said;
    bool is_found;
} wanted;

static wanted *golden_wanted;

static void golden_compare(const cJSON *row, dure_slice bytes)
{
    if (strcmp(golden_text(row, "name"), golden_wanted->name) == 0) {
        golden_wanted->is_found = true;
        DURE_CHECK_EQ(bytes.len, golden_wanted->said->len);
        DURE_CHECK(bytes.len == golden_wanted->said->len &&
                   memcmp(bytes.data, golden_wanted->said->data, bytes.len) == 0);
    }
}

static void check_is_golden(const dure_buf *said, const char *name)
{
    wanted row = {name, said, false};
    golden_wanted = &row;
    (void)golden_each("links.json", "frames", golden_compare);
    DURE_CHECK(row.is_found);
}

static dure_registry *golden_registry(void)
{
    static const char *const dials[] = {"game", NULL};
    static const char *const nobody[] = {NULL};
    static const char secret[] = "a secret of thirty-two characters";
    dure_registry_builder *b = NULL;
    dure_registry *registry = NULL;
    DURE_REQUIRE_OK(dure_registry_builder_create("demo", "var", &b));
    DURE_REQUIRE_OK(dure_registry_builder_role(b, "gateway", "dure-gateway", dials));
    DURE_REQUIRE_OK(dure_registry_builder_role(b, "game", "dure-game", nobody));
    DURE_REQUIRE_OK(dure_registry_builder_node(b, "gateway-1", "gateway", "127.0.0.1", 7801, 0));
    DURE_REQUIRE_OK(dure_registry_builder_node(b, "game-1", "game", "127.0.0.1", 7811, 0));
    DURE_REQUIRE_OK(dure_registry_builder_secret(b, bytes_of(secret)));
    DURE_REQUIRE_OK(dure_registry_builder_finish(b, &registry));
    return registry;
}

static void golden_side(hello_side *side, const char *id, const char *peer, uint64_t incarnation,
                        uint8_t first_of_nonce)
{
    uint8_t nonce[DURE_HELLO_NONCE_BYTES];
    for (size_t i = 0; i < sizeof nonce; i++) {
        nonce[i] = (uint8_t)(first_of_nonce + i);
    }
    side->registry = golden_registry();
    side->self = (dure_hello_self){.registry = side->registry,
                                   .node = dure_registry_find_node(side->registry, id),
                                   .incarnation = incarnation,
                                   .schema_hash = 0xfeedfacecafebeefu,
                                   .protocol_min = DURE_PROTOCOL_MIN,
                                   .protocol_max = DURE_PROTOCOL_MAX};
    side->self.secret_count = dure_registry_secrets(side->registry, side->self.secrets);
    dure_buf_init(&side->out, 65536);
    dure_hello_init(&side->hello, &side->self,
                    peer != NULL ? dure_registry_find_node(side->registry, peer) : NULL, nonce);
}

static void the_golden_handshake_is_ours(void)
{
    hello_pair pair;
    golden_side(&pair.dialler, "gateway-1", "game-1", 1732352400000001u, 0);
    golden_side(&pair.acceptor, "game-1", NULL, 1732352400000002u, 32);
    DURE_REQUIRE_OK(dure_hello_start(&pair.acceptor.hello, &pair.acceptor.out));
    DURE_REQUIRE_OK(dure_hello_start(&pair.dialler.hello, &pair.dialler.out));
    check_is_golden(&pair.dialler.out, "hello of a node with a secret");
    carry(&pair.dialler, &pair.acceptor);
    check_is_golden(&pair.acceptor.out, "challenge");
    carry(&pair.acceptor, &pair.dialler);
    check_is_golden(&pair.dialler.out, "proof");
    carry(&pair.dialler, &pair.acceptor);
    check_is_golden(&pair.acceptor.out, "welcome of protocol 2");
    carry(&pair.acceptor, &pair.dialler);
    DURE_CHECK_EQ(pair.dialler.hello.state, DURE_HELLO_DONE);
    pair_fini(&pair);
}

/* Whoever does not know the secret answers the challenge with any mac. */
static void a_forged_proof_is_refused(void)
{
    hello_pair pair;
    size_t start = 0;
    uint8_t mac[32] = {1, 2, 3};
    const dure_frame proof = {.kind = DURE_FRAME_PROOF};
    const dure_slice mac_bytes = {mac, sizeof mac};
    pair_init(&pair);
    set_secrets(&pair.acceptor, "sesame", NULL);
    DURE_REQUIRE_OK(dure_hello_start(&pair.acceptor.hello, &pair.acceptor.out));
    DURE_REQUIRE_OK(dure_hello_start(&pair.dialler.hello, &pair.dialler.out));
    carry(&pair.dialler, &pair.acceptor);
    DURE_CHECK_EQ(pair.acceptor.hello.state, DURE_HELLO_WAIT_PROOF);
    dure_buf_clear(&pair.dialler.out);
    DURE_REQUIRE_OK(dure_frame_begin(&pair.dialler.out, &proof, &start));
    dure_packer packer = dure_packer_of(&pair.dialler.out);
    dure_packer_array(&packer, 4);
    dure_packer_cstr(&packer, "test");
    dure_packer_cstr(&packer, "game-1");
    dure_packer_cstr(&packer, "game");
    dure_packer_bin(&packer, mac_bytes);
    DURE_REQUIRE_OK(dure_frame_end(&pair.dialler.out, start));
    carry(&pair.dialler, &pair.acceptor);
    DURE_CHECK_EQ(pair.acceptor.hello.state, DURE_HELLO_ENDED);
    DURE_CHECK_ERR(pair.acceptor.hello.cause, DURE_ERR_WRONG_PROOF);
    pair_fini(&pair);
}

/* A proof of one connection is worth nothing on another: the nonces differ. */
static void a_replayed_proof_is_refused(void)
{
    hello_pair first;
    hello_pair second;
    dure_buf hello;
    dure_buf_init(&hello, 65536);
    pair_init(&first);
    pair_init(&second);
    memset(second.acceptor.hello._nonce, 0xcc, DURE_HELLO_NONCE_BYTES);
    set_secrets(&first.dialler, "sesame", NULL);
    set_secrets(&first.acceptor, "sesame", NULL);
    set_secrets(&second.acceptor, "sesame", NULL);
    DURE_REQUIRE_OK(dure_hello_start(&first.acceptor.hello, &first.acceptor.out));
    DURE_REQUIRE_OK(dure_hello_start(&second.acceptor.hello, &second.acceptor.out));
    DURE_REQUIRE_OK(dure_hello_start(&first.dialler.hello, &first.dialler.out));
    DURE_REQUIRE_OK(dure_buf_append(&hello, first.dialler.out.data, first.dialler.out.len));
    carry(&first.dialler, &first.acceptor);
    carry(&first.acceptor, &first.dialler); /* first.dialler.out is the proof */
    DURE_REQUIRE_OK(dure_buf_append(&second.dialler.out, hello.data, hello.len));
    DURE_REQUIRE_OK(
        dure_buf_append(&second.dialler.out, first.dialler.out.data, first.dialler.out.len));
    carry(&second.dialler, &second.acceptor);
    DURE_CHECK_EQ(second.acceptor.hello.state, DURE_HELLO_ENDED);
    DURE_CHECK_ERR(second.acceptor.hello.cause, DURE_ERR_WRONG_PROOF);
    dure_buf_fini(&hello);
    pair_fini(&first);
    pair_fini(&second);
}

static void calls_before_welcome_are_a_protocol_error(void)
{
    static const dure_frame_kind kinds[] = {DURE_FRAME_REQUEST, DURE_FRAME_PING, DURE_FRAME_PROOF,
                                            DURE_FRAME_WELCOME, DURE_FRAME_CHALLENGE};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        hello_pair pair;
        const dure_frame frame = {.kind = kinds[i], .id = 1, .left_ms = 1};
        pair_init(&pair);
        DURE_REQUIRE_OK(dure_hello_start(&pair.acceptor.hello, &pair.acceptor.out));
        DURE_REQUIRE_OK(dure_frame_encode(&pair.dialler.out, &frame));
        carry(&pair.dialler, &pair.acceptor);
        DURE_CHECK_EQ(pair.acceptor.hello.state, DURE_HELLO_ENDED);
        DURE_CHECK_ERR(pair.acceptor.hello.cause, DURE_ERR_PROTOCOL);
        DURE_CHECK(pair.acceptor.out.len > 0); /* the reason goes to the other side */
        pair_fini(&pair);
    }
}

/* Nobody refuses before anything was said: the connection is ended by us, and not by the peer. */
static void a_refusal_before_hello_is_a_protocol_error(void)
{
    hello_pair pair;
    pair_init(&pair);
    DURE_REQUIRE_OK(dure_hello_start(&pair.acceptor.hello, &pair.acceptor.out));
    DURE_REQUIRE_OK(dure_hello_write_refused(&pair.dialler.out, DURE_ERR_DUPLICATE_ID, "you lose"));
    carry(&pair.dialler, &pair.acceptor);
    DURE_CHECK_EQ(pair.acceptor.hello.state, DURE_HELLO_ENDED);
    DURE_CHECK_ERR(pair.acceptor.hello.cause, DURE_ERR_PROTOCOL);
    DURE_CHECK(!pair.acceptor.hello.is_refused_by_peer);
    DURE_CHECK(!dure_hello_is_duplicate(&pair.acceptor.hello));
    pair_fini(&pair);
}

static void a_malformed_body_is_a_protocol_error(void)
{
    static const uint8_t bodies[][4] = {{0xc0}, {0x90}, {0x91, 0x01}, {0x81, 0x01, 0x01}};
    static const size_t lens[] = {1, 1, 2, 3};
    for (size_t i = 0; i < 4; i++) {
        hello_pair pair;
        const dure_frame frame = {.kind = DURE_FRAME_HELLO, .body = {bodies[i], lens[i]}};
        pair_init(&pair);
        DURE_REQUIRE_OK(dure_hello_start(&pair.acceptor.hello, &pair.acceptor.out));
        DURE_REQUIRE_OK(dure_frame_encode(&pair.dialler.out, &frame));
        carry(&pair.dialler, &pair.acceptor);
        DURE_CHECK_EQ(pair.acceptor.hello.state, DURE_HELLO_ENDED);
        DURE_CHECK_ERR(pair.acceptor.hello.cause, DURE_ERR_PROTOCOL);
        pair_fini(&pair);
    }
}

DURE_SUITE(cluster_hello, DURE_TEST(without_a_secret_hello_is_welcome),
           DURE_TEST(another_schema_is_welcome), DURE_TEST(another_cluster_is_refused),
           DURE_TEST(an_empty_range_of_versions_is_refused),
           DURE_TEST(the_highest_version_of_both_is_chosen),
           DURE_TEST(a_node_that_is_not_configured_is_refused),
           DURE_TEST(a_node_of_another_role_is_refused), DURE_TEST(our_own_id_is_a_duplicate),
           DURE_TEST(another_node_than_the_dialled_is_refused),
           DURE_TEST(with_the_same_secret_it_is_welcome),
           DURE_TEST(secrets_that_differ_behind_a_zero_are_two),
           DURE_TEST(each_step_of_a_rotation_is_welcome),
           DURE_TEST(protocol_1_links_without_a_secret_only),
           DURE_TEST(another_secret_is_refused_by_the_dialler),
           DURE_TEST(no_secret_on_the_dialler_is_refused),
           DURE_TEST(no_secret_on_the_other_side_is_refused),
           DURE_TEST(another_cluster_is_refused_behind_the_proof),
           DURE_TEST(a_node_of_another_role_is_refused_behind_the_proof),
           DURE_TEST(our_own_id_is_a_duplicate_behind_the_proof),
           DURE_TEST(a_challenge_of_another_node_proves_nothing),
           DURE_TEST(nothing_may_stand_behind_the_mac_of_a_challenge),
           DURE_TEST(nothing_may_stand_behind_the_mac_of_a_proof),
           DURE_TEST(no_name_of_a_proof_can_be_changed), DURE_TEST(the_golden_handshake_is_ours),
           DURE_TEST(a_forged_proof_is_refused), DURE_TEST(a_replayed_proof_is_refused),
           DURE_TEST(calls_before_welcome_are_a_protocol_error),
           DURE_TEST(a_refusal_before_hello_is_a_protocol_error),
           DURE_TEST(a_malformed_body_is_a_protocol_error));
