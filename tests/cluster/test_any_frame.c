/* SPDX-License-Identifier: MIT
 *
 * What any frame does in any state of either end of a link, with a secret and without one: every
 * kind, every code of a refusal, every name of a goaway. None of them ends the process, but the one
 * that says to a node that dialled, on a connection that has proved itself, that its id is another
 * one's; and which frames end a connection stands in a table.
 */
#include "cluster/cluster_support.h"
#include "cluster/hello.h"
#include "net/address.h"
#include "net/server_service.h"
#include "support/check.h"
#include "wire/packer.h"

#define SECRET "sesame, sesame, sesame"

/* Where the node stands when the frame comes: X(name, it dials, needs a secret, milliseconds). */
#define PLACE_LIST(X)                                                                              \
    X(LISTENS_WAIT_HELLO, false, false, 100)                                                       \
    X(LISTENS_WAIT_PROOF, false, true, 100)                                                        \
    X(LISTENS_WAITING, false, false, 2600) /* the peer's older connection is being probed */       \
    X(LISTENS_UP, false, false, 100)                                                               \
    X(DIALS_WAIT_ANSWER, true, false, 100)                                                         \
    X(DIALS_WAIT_WELCOME, true, true, 100)                                                         \
    X(DIALS_UP, true, false, 100)

typedef enum place {
#define PLACE_ROW(name, is_dialler, needs_secret, ms) name,
    PLACE_LIST(PLACE_ROW) PLACES
#undef PLACE_ROW
} place;

typedef struct place_row {
    const char *name;
    bool is_dialler;
    bool needs_secret;
    uint32_t ms;
} place_row;

static const place_row places[] = {
#define PLACE_ROW(name, is_dialler, needs_secret, ms) {#name, is_dialler, needs_secret, ms},
    PLACE_LIST(PLACE_ROW)
#undef PLACE_ROW
};

/* ---- one that says a frame when its turn has come ---- */

typedef struct stranger {
    place at;
    dure_slice say;
    dure_hello_self self;
    const dure_registry_node *whom; /* it dials; NULL: it listens */
    dure_iocp_core *core;
    dure_service *service;
    dure_hello hello;
    dure_buf out;
    int connections;
    bool has_said;
    bool is_over; /* its first connection */
    dure_buf heard;
    bool is_closed;
} stranger;

static stranger *stranger_of(dure_session *session)
{
    return dure_service_context(dure_session_service(session));
}

static void flush(stranger *s, dure_session *session)
{
    if (s->out.len > 0) {
        DURE_CHECK_OK(dure_session_send(session, s->out.data, s->out.len));
        dure_buf_clear(&s->out);
    }
}

static void say(stranger *s, dure_session *session)
{
    flush(s, session);
    s->has_said = true;
    if (s->say.len > 0) {
        DURE_CHECK_OK(dure_session_send(session, s->say.data, s->say.len));
    }
}

static void stranger_connected(dure_session *session)
{
    static const uint8_t nonce[DURE_HELLO_NONCE_BYTES] = {7};
    stranger *s = stranger_of(session);
    s->connections++;
    if (s->connections > 1) {
        return; /* a dialler that tries again; one frame is all that a cell is about */
    }
    if (s->at == LISTENS_WAIT_HELLO || s->at == DIALS_WAIT_ANSWER) {
        say(s, session);
        return;
    }
    dure_hello_init(&s->hello, &s->self, s->whom, nonce);
    DURE_REQUIRE_OK(dure_hello_start(&s->hello, &s->out));
    if (s->at == LISTENS_WAITING && s->self.secret_count == 0) {
        say(s, session);
    }
    flush(s, session);
}

static void stranger_step(stranger *s, dure_session *session, const dure_frame *frame,
                          dure_slice raw)
{
    if (s->at == LISTENS_WAIT_PROOF && frame->kind == DURE_FRAME_CHALLENGE) {
        say(s, session);
        return;
    }
    DURE_REQUIRE_OK(dure_hello_on_frame(&s->hello, frame, raw, &s->out));
    if (s->hello.state == DURE_HELLO_PROVEN && s->at == DIALS_UP) {
        DURE_REQUIRE_OK(dure_hello_welcome(&s->hello, &s->out));
    }
    if ((s->hello.state == DURE_HELLO_PROVEN && s->at == DIALS_WAIT_WELCOME) ||
        (s->hello.state == DURE_HELLO_WAIT_WELCOME && s->at == LISTENS_WAITING) ||
        s->hello.state == DURE_HELLO_DONE) {
        say(s, session);
    }
    flush(s, session);
}

static dure_err stranger_recv(dure_session *session, const uint8_t *data, size_t len,
                              size_t *out_consumed)
{
    stranger *s = stranger_of(session);
    dure_frame frame;
    size_t frame_len = 0;
    size_t at = 0;
    DURE_CHECK_OK(dure_buf_append(&s->heard, data, len));
    while (!s->has_said && at < len &&
           dure_frame_decode(data + at, len - at, 4096, &frame, &frame_len) == DURE_OK) {
        const dure_slice raw = {data + at, frame_len};
        at += frame_len;
        stranger_step(s, session, &frame, raw);
    }
    *out_consumed = s->has_said ? len : at;
    return DURE_OK;
}

static void stranger_gone(dure_session *session, dure_err cause)
{
    (void)cause;
    stranger_of(session)->is_over = true;
}

static void stranger_closed(dure_service *service, void *context)
{
    (void)service;
    ((stranger *)context)->is_closed = true;
}

static bool stranger_is_closed(void *ctx)
{
    return ((stranger *)ctx)->is_closed;
}

static const dure_session_handlers stranger_handlers = {
    .on_connected = stranger_connected,
    .on_connect_failed = dure_session_ignore_connect_failed,
    .on_recv = stranger_recv,
    .on_sent = dure_session_ignore_sent,
    .on_disconnected = stranger_gone,
};

/* It stands for the other node of game-1 and db-1. */
static void stranger_start(stranger *s, test_cluster *cluster, place at, uint64_t incarnation,
                           dure_slice frame)
{
    dure_iocp_core_config core;
    dure_service_config config;
    dure_net_address address;
    dure_client_service_config client;
    const dure_registry_node *db = dure_registry_find_node(cluster->registry, "db-1");
    const dure_registry_node *game = dure_registry_find_node(cluster->registry, "game-1");
    const bool listens = places[at].is_dialler;
    memset(s, 0, sizeof *s);
    s->at = at;
    s->say = frame;
    s->whom = listens ? NULL : db;
    s->self = (dure_hello_self){.registry = cluster->registry,
                                .node = listens ? db : game,
                                .incarnation = incarnation,
                                .schema_hash = 1,
                                .protocol_min = DURE_PROTOCOL_MIN,
                                .protocol_max = DURE_PROTOCOL_MAX};
    s->self.secret_count = dure_registry_secrets(cluster->registry, s->self.secrets);
    dure_buf_init(&s->out, 65536);
    dure_buf_init(&s->heard, 1u << 20);
    dure_iocp_core_config_init(&core);
    core.backend = DURE_BACKEND_SIM;
    core.sim = cluster->world;
    DURE_REQUIRE_OK(dure_iocp_core_create(&core, &s->core));
    dure_service_config_init(&config);
    config.name = "stranger";
    config.cores = &s->core;
    config.core_count = 1;
    config.handlers = &stranger_handlers;
    config.context = s;
    config.on_closed = stranger_closed;
    dure_client_service_config_init(&client);
    client.host = "127.0.0.1";
    client.port = db->link_port;
    client.redial = false;
    DURE_REQUIRE_OK(dure_net_address_from_ip("127.0.0.1", db->link_port, &address));
    DURE_REQUIRE_OK(listens ? dure_server_service_create(&config, &address, &s->service)
                            : dure_client_service_create(&config, &client, &s->service));
    DURE_REQUIRE_OK(dure_service_start(s->service));
}

static void stranger_stop(stranger *s, test_cluster *cluster)
{
    dure_service_close(s->service);
    DURE_CHECK(dure_sim_run_until(cluster->world, stranger_is_closed, s, 10000));
    dure_service_destroy(s->service);
    dure_hello_fini(&s->hello);
    dure_buf_fini(&s->out);
    dure_buf_fini(&s->heard);
    dure_iocp_core_destroy(s->core);
}

/* ---- the frames ---- */

typedef struct any_frame {
    dure_frame_kind kind;
    uint32_t code;    /* of a refusal */
    const char *name; /* of a goaway */
    uint32_t drain_ms;
    bool is_malformed;
} any_frame;

static void any_write(const any_frame *any, dure_buf *out)
{
    static const uint8_t number[] = {0x2a};
    static const uint8_t nil[] = {0xc0};
    const bool has_number = any->kind == DURE_FRAME_PING || any->kind == DURE_FRAME_PONG;
    const dure_slice body = {has_number ? number : nil, 1};
    const dure_frame frame = {.kind = any->kind, .id = 1, .left_ms = 100, .body = body};
    size_t start = 0;
    dure_buf_clear(out);
    if (any->is_malformed || (any->kind != DURE_FRAME_REFUSED && any->kind != DURE_FRAME_GOAWAY)) {
        DURE_REQUIRE_OK(dure_frame_encode(out, &frame));
        return;
    }
    const dure_frame head = {.kind = any->kind};
    DURE_REQUIRE_OK(dure_frame_begin(out, &head, &start));
    dure_packer packer = dure_packer_of(out);
    dure_packer_array(&packer, 3);
    if (any->kind == DURE_FRAME_REFUSED) {
        dure_packer_u64(&packer, any->code);
        dure_packer_cstr(&packer, dure_err_name((dure_err)any->code));
        dure_packer_cstr(&packer, "you lose");
    } else {
        dure_packer_cstr(&packer, any->name);
        dure_packer_cstr(&packer, "you lose");
        dure_packer_u64(&packer, any->drain_ms);
    }
    DURE_REQUIRE_OK(dure_frame_end(out, start));
}

/* A frame of a link that is up, which it does not end. Everything else ends its connection. */
static bool is_harmless(const any_frame *any)
{
    switch (any->kind) {
    case DURE_FRAME_REQUEST:
    case DURE_FRAME_RESPONSE:
    case DURE_FRAME_NOTIFY:
    case DURE_FRAME_CANCEL:
    case DURE_FRAME_PING:
    case DURE_FRAME_PONG:
        return true;
    case DURE_FRAME_GOAWAY:
        return !any->is_malformed && any->drain_ms > 0;
    case DURE_FRAME_HELLO:
    case DURE_FRAME_WELCOME:
    case DURE_FRAME_CHALLENGE:
    case DURE_FRAME_PROOF:
    case DURE_FRAME_REFUSED:
    case DURE_FRAME_ERROR: /* its body is none */
    case DURE_FRAME_PART:
        break;
    }
    return false;
}

/* The one order to stop that there is. */
static bool may_end_the_process(place at, bool has_secret, const any_frame *any)
{
    return any->kind == DURE_FRAME_REFUSED && !any->is_malformed &&
           any->code == DURE_ERR_DUPLICATE_ID &&
           (at == DIALS_WAIT_WELCOME || (at == DIALS_WAIT_ANSWER && !has_secret));
}

static bool has_word(const dure_buf *bytes, const char *word)
{
    const size_t len = strlen(word);
    for (size_t at = 0; at + len <= bytes->len; at++) {
        if (memcmp(bytes->data + at, word, len) == 0) {
            return true;
        }
    }
    return false;
}

/* In a cluster with a secret, who has not proved that he knows it learns who nobody is. */
static void check_is_told_no_names(const stranger *s)
{
    static const char *const words[] = {"\xa4"
                                        "test",
                                        "cluster test", "game", "db-1",
                                        "\xa2"
                                        "db"};
    const bool has_proved = places[s->at].is_dialler
                                ? s->at != DIALS_WAIT_ANSWER
                                : s->at == LISTENS_UP || s->at == LISTENS_WAITING;
    if (s->self.secret_count == 0) {
        return;
    }
    for (size_t i = 0; i < DURE_COUNT_OF(words); i++) {
        DURE_CHECK(has_proved || !has_word(&s->heard, words[i]));
    }
    /* and who has proved it does learn them, so the words are the right ones */
    DURE_CHECK_EQ(has_word(&s->heard, "db-1") || has_word(&s->heard, "game-1"), has_proved);
}

/* ---- one cell ---- */

static void check_cell(place at, bool has_secret, const any_frame *any)
{
    static test_cluster cluster;
    static stranger old;
    static stranger s;
    const bool is_dialler = places[at].is_dialler;
    const bool becomes_up = at == LISTENS_UP || at == LISTENS_WAITING || at == DIALS_UP;
    const unsigned failures = CU_get_number_of_failures();
    dure_buf frame;
    dure_buf_init(&frame, 4096);
    any_write(any, &frame);
    test_cluster_init(&cluster, has_secret ? SECRET : NULL);
    test_node *node = is_dialler ? NULL : test_node_start(&cluster, "db-1", NULL);
    if (at == LISTENS_WAITING) {
        stranger_start(&old, &cluster, LISTENS_UP, 5, (dure_slice){NULL, 0});
        test_run(&cluster, 100);
        DURE_CHECK_EQ(node->up, 1);
    }
    stranger_start(&s, &cluster, at, 6, (dure_slice){frame.data, frame.len});
    if (is_dialler) {
        node = test_node_start(&cluster, "game-1", NULL); /* it finds the stranger there */
    }
    test_run(&cluster, places[at].ms);
    DURE_CHECK(s.has_said);
    DURE_CHECK_EQ(node->duplicates, may_end_the_process(at, has_secret, any));
    DURE_CHECK_EQ(s.is_over, !becomes_up || !is_harmless(any));
    DURE_CHECK_EQ(node->up, (becomes_up ? 1 : 0) + (at == LISTENS_WAITING ? 1 : 0));
    DURE_CHECK_EQ(node->up - node->down, becomes_up && is_harmless(any));
    check_is_told_no_names(&s);
    /* As a name it promises that all is answered: only a node that stops says that. */
    DURE_CHECK(!has_word(&s.heard, "\xa6"
                                   "GOAWAY"));
    if (CU_get_number_of_failures() != failures) {
        printf("in %s, %s a secret: %s code %u name %s drain_ms %u%s\n", places[at].name,
               has_secret ? "with" : "without", dure_frame_kind_name(any->kind), any->code,
               any->name != NULL ? any->name : "", any->drain_ms,
               any->is_malformed ? " malformed" : "");
    }
    stranger_stop(&s, &cluster);
    if (at == LISTENS_WAITING) {
        stranger_stop(&old, &cluster);
    }
    test_cluster_fini(&cluster);
    dure_buf_fini(&frame);
}

static void check_everywhere(const any_frame *any)
{
    for (int at = 0; at < PLACES; at++) {
        check_cell((place)at, true, any);
        if (!places[at].needs_secret) {
            check_cell((place)at, false, any);
        }
    }
}

static void any_kind_of_frame_in_any_state(void)
{
    for (int kind = DURE_FRAME_REQUEST; kind <= DURE_FRAME_REFUSED; kind++) {
        check_everywhere(&(any_frame){.kind = (dure_frame_kind)kind, .is_malformed = true});
    }
}

static void any_refusal_in_any_state(void)
{
    static const uint32_t codes[] = {0,
#define CODE_ROW(name, number, class, text) number,
                                     DURE_ERR_LIST(CODE_ROW)
#undef CODE_ROW
                                         999,
                                     1000, UINT32_MAX};
    for (size_t i = 0; i < DURE_COUNT_OF(codes); i++) {
        check_everywhere(&(any_frame){.kind = DURE_FRAME_REFUSED, .code = codes[i]});
    }
}

static void any_goaway_in_any_state(void)
{
    static const char *const names[] = {"", "MINE",
#define NAME_ROW(name, number, class, text) #name,
                                        DURE_ERR_LIST(NAME_ROW)
#undef NAME_ROW
    };
    for (size_t i = 0; i < DURE_COUNT_OF(names); i++) {
        check_everywhere(&(any_frame){.kind = DURE_FRAME_GOAWAY, .name = names[i]});
        check_everywhere(
            &(any_frame){.kind = DURE_FRAME_GOAWAY, .name = names[i], .drain_ms = 5000});
    }
}

/* With a secret, whoever sits at the address of a node that is down says what he likes; the next
 * dial comes as after any other failure and not after the minute that a proven refusal is worth. */
static void check_delays_no_redial(const dure_buf *frame, const char *logged)
{
    static test_cluster cluster;
    static stranger s;
    test_cluster_init(&cluster, SECRET);
    stranger_start(&s, &cluster, DIALS_WAIT_ANSWER, 6, (dure_slice){frame->data, frame->len});
    test_node *game = test_node_start(&cluster, "game-1", NULL);
    test_run(&cluster, 3000);
    DURE_CHECK(s.is_over);
    DURE_CHECK(s.connections > 1);
    DURE_CHECK(test_log_has(&cluster, logged));
    DURE_CHECK_EQ(game->duplicates, 0);
    stranger_stop(&s, &cluster);
    test_cluster_fini(&cluster);
}

static void an_unproven_refusal_delays_no_redial(void)
{
    dure_buf frame;
    dure_buf_init(&frame, 4096);
    any_write(&(any_frame){.kind = DURE_FRAME_REFUSED, .code = DURE_ERR_WRONG_CLUSTER}, &frame);
    check_delays_no_redial(&frame,
                           "by=peer cause=REFUSED text=\"unproven WRONG_CLUSTER: you lose\"");
    dure_buf_fini(&frame);
}

/* Nor does what only we have against it, before it has proved anything. */
static void a_proof_that_is_none_delays_no_redial(void)
{
    static const uint8_t zeros[DURE_HELLO_MAC_BYTES];
    const dure_frame head = {.kind = DURE_FRAME_CHALLENGE};
    dure_buf frame;
    size_t start = 0;
    dure_buf_init(&frame, 4096);
    DURE_REQUIRE_OK(dure_frame_begin(&frame, &head, &start));
    dure_packer packer = dure_packer_of(&frame);
    dure_packer_array(&packer, 3);
    dure_packer_u64(&packer, 6);
    dure_packer_bin(&packer, (dure_slice){zeros, sizeof zeros});
    dure_packer_bin(&packer, (dure_slice){zeros, sizeof zeros});
    DURE_REQUIRE_OK(dure_frame_end(&frame, start));
    check_delays_no_redial(&frame, "by=us cause=WRONG_PROOF");
    dure_buf_fini(&frame);
}

DURE_SUITE(cluster_any_frame, DURE_TEST(any_kind_of_frame_in_any_state),
           DURE_TEST(any_refusal_in_any_state), DURE_TEST(any_goaway_in_any_state),
           DURE_TEST(an_unproven_refusal_delays_no_redial),
           DURE_TEST(a_proof_that_is_none_delays_no_redial));
