/* SPDX-License-Identifier: MIT
 *
 * Large bodies on a link: they arrive whole, delay nothing small, can be given up half-way, and
 * what a peer gets wrong about their parts ends its link with the reason.
 */
#include "base/mem.h"
#include "cluster/link_lanes.h"
#include "cluster/link_parts.h"
#include "cluster/raw_peer.h"
#include "support/check.h"

#define MIB           1048576u
#define LARGEST       (16u * MIB)
#define PART          DURE_LANES_PART_BYTES
#define BIN32_HEAD    5u
#define PARTS_AHEAD   (DURE_LANES_SESSION_BYTES / PART + 4u)
#define SMALL_CALLS   20
#define RAW_PARTS_MAX (64u * 65536u)

/* A bin of len bytes in all, with a pattern. */
static uint8_t *make_body(size_t len)
{
    uint8_t *body = dure_mem_alloc(len);
    DURE_REQUIRE(body != NULL);
    const size_t content = len - BIN32_HEAD;
    body[0] = 0xc6;
    for (size_t i = 0; i < 4; i++) {
        body[1 + i] = (uint8_t)(content >> (8 * (3 - i)));
    }
    for (size_t i = BIN32_HEAD; i < len; i++) {
        body[i] = (uint8_t)(i * 131u + (i >> 15));
    }
    return body;
}

typedef struct large_call {
    const uint8_t *body;
    size_t len;
    int count;
    dure_err status;
    bool is_same;
} large_call;

static void large_done(void *ctx, const dure_outcome *outcome)
{
    large_call *call = ctx;
    call->count++;
    call->status = outcome->status;
    call->is_same =
        outcome->body.len == call->len && memcmp(outcome->body.data, call->body, call->len) == 0;
}

static dure_call_id call_large(test_node *node, const char *to, uint32_t method, large_call *call)
{
    const dure_target target = dure_to_node(to);
    const dure_call_options options = {.deadline_ms = 60000};
    const dure_slice body = {call->body, call->len};
    dure_call_id id = 0;
    DURE_REQUIRE_OK(
        dure_rpc_call(node->rpc, &target, method, &options, body, large_done, call, &id));
    return id;
}

static void check_echo(size_t len, uint64_t parts)
{
    test_cluster cluster;
    large_call call = {.body = make_body(len), .len = len};
    test_cluster_init(&cluster, NULL);
    test_node *db = test_node_start(&cluster, "db-1", NULL);
    test_node *game = test_node_start(&cluster, "game-1", NULL);
    test_run(&cluster, 1000);
    (void)call_large(game, "db-1", METHOD_ECHO, &call);
    test_run(&cluster, 2000);
    DURE_CHECK_EQ(call.count, 1);
    DURE_CHECK_OK(call.status);
    DURE_CHECK(call.is_same);
    DURE_CHECK_EQ(test_counters_of(game).parts_sent, parts);
    DURE_CHECK_EQ(test_counters_of(db).parts_heard, parts);
    DURE_CHECK_EQ(test_counters_of(game).parts_heard, parts);
    DURE_CHECK_EQ(test_counters_of(game).queued_bytes, 0);
    DURE_CHECK_EQ(test_counters_of(db).joining_bytes, 0);
    DURE_CHECK_EQ(game->down, 0);
    test_cluster_fini(&cluster);
    dure_mem_free((void *)(uintptr_t)call.body);
}

static void a_body_over_32_kib_goes_and_comes_in_parts(void)
{
    check_echo(PART, 0);
    check_echo(PART + 1, 2);
    check_echo(3 * MIB + 77, 97);
}

static void the_largest_body_arrives_whole(void)
{
    check_echo(LARGEST, LARGEST / PART);
}

static void a_larger_one_is_refused_before_it_leaves(void)
{
    test_cluster cluster;
    uint8_t *bytes = make_body(LARGEST + 1);
    const dure_target target = dure_to_node("db-1");
    const dure_slice body = {bytes, LARGEST + 1};
    test_cluster_init(&cluster, NULL);
    test_node *game = test_node_start(&cluster, "game-1", NULL);
    DURE_CHECK_ERR(
        dure_rpc_call(game->rpc, &target, METHOD_ECHO, NULL, body, test_on_done, NULL, NULL),
        DURE_ERR_TOO_LARGE);
    test_cluster_fini(&cluster);
    dure_mem_free(bytes);
}

static bool call_is_over(void *ctx)
{
    return ((test_call *)ctx)->count > 0;
}

/* No small call waits for more of the large body than a session may hold. */
static void a_small_call_overtakes_a_large_body(void)
{
    test_pair p;
    large_call large = {.body = make_body(LARGEST), .len = LARGEST};
    test_call small;
    test_pair_init(&p, NULL);
    (void)call_large(p.game, "db-1", METHOD_ECHO, &large);
    for (int i = 0; i < SMALL_CALLS; i++) {
        test_call_node(p.game, "db-1", METHOD_ECHO, 0, &small);
        const uint64_t before = test_counters_of(p.game).parts_sent;
        DURE_REQUIRE(dure_sim_run_until(p.cluster.world, call_is_over, &small, 1000));
        DURE_CHECK_OK(small.status);
        /* there and back: what stood before it, and what followed until its answer came */
        DURE_CHECK(test_counters_of(p.game).parts_sent - before <= 2 * PARTS_AHEAD);
        DURE_CHECK_EQ(large.count, 0);
    }
    test_run(&p.cluster, 3000);
    DURE_CHECK_OK(large.status);
    DURE_CHECK(large.is_same);
    DURE_CHECK_EQ(p.db->down, 0);
    test_cluster_fini(&p.cluster);
    dure_mem_free((void *)(uintptr_t)large.body);
}

static void a_half_sent_body_is_taken_back(void)
{
    test_pair p;
    large_call call = {.body = make_body(LARGEST), .len = LARGEST};
    test_call small;
    test_pair_init(&p, NULL);
    const dure_call_id id = call_large(p.game, "db-1", METHOD_ECHO, &call);
    test_run(&p.cluster, 1);
    DURE_CHECK(test_counters_of(p.db).joining_bytes == LARGEST);
    dure_rpc_cancel(p.game->rpc, id);
    test_run(&p.cluster, 100);
    DURE_CHECK_EQ(call.count, 1);
    DURE_CHECK_ERR(call.status, DURE_ERR_CANCELLED);
    DURE_CHECK_EQ(test_counters_of(p.game).bodies_dropped, 1);
    DURE_CHECK(test_counters_of(p.game).parts_sent < LARGEST / PART);
    DURE_CHECK_EQ(test_counters_of(p.game).queued_bytes, 0);
    DURE_CHECK_EQ(test_counters_of(p.db).joining_bytes, 0);
    DURE_CHECK_EQ(test_counters_of(p.db).served, 0);
    test_call_node(p.game, "db-1", METHOD_ECHO, 0, &small);
    test_run(&p.cluster, 100);
    DURE_CHECK_OK(small.status);
    DURE_CHECK_EQ(p.game->down, 0);
    test_cluster_fini(&p.cluster);
    dure_mem_free((void *)(uintptr_t)call.body);
}

static void a_node_that_dies_leaves_nothing_half_joined(void)
{
    test_pair p;
    large_call call = {.body = make_body(LARGEST), .len = LARGEST};
    test_pair_init(&p, NULL);
    (void)call_large(p.game, "db-1", METHOD_ECHO, &call);
    test_run(&p.cluster, 1);
    DURE_CHECK(test_counters_of(p.db).joining_bytes > 0);
    test_node_stop(p.game);
    test_run(&p.cluster, 3000);
    DURE_CHECK_EQ(call.count, 1);
    DURE_CHECK(call.status == DURE_ERR_OUTCOME_UNKNOWN || call.status == DURE_ERR_NOT_SENT);
    DURE_CHECK_EQ(test_counters_of(p.db).joining_bytes, 0);
    test_cluster_fini(&p.cluster);
    dure_mem_free((void *)(uintptr_t)call.body);
}

/* ---- parts that are wrong ---- */

typedef struct raw_part {
    dure_part part;
    dure_frame_kind kind;
    uint32_t method;
    size_t bytes;
} raw_part;

static const uint8_t zeros[PART];

static void write_part(dure_buf *out, const raw_part *raw)
{
    const dure_frame message = {.kind = raw->kind, .id = 7, .method = raw->method, .left_ms = 1000};
    const dure_slice piece = {zeros, raw->bytes};
    DURE_REQUIRE_OK(dure_part_encode(out, &message, &raw->part, piece));
}

static void check_bad_parts(const raw_part *list, size_t count, const char *cause, const char *text)
{
    test_cluster cluster;
    raw_peer raw = {0};
    dure_buf hello;
    dure_buf say;
    test_cluster_init(&cluster, NULL);
    test_node *db = test_node_start(&cluster, "db-1", NULL);
    raw_write_hello(&cluster, &hello);
    dure_buf_init(&say, RAW_PARTS_MAX);
    DURE_REQUIRE_OK(dure_buf_append(&say, hello.data, hello.len));
    for (size_t i = 0; i < count; i++) {
        write_part(&say, &list[i]);
    }
    raw.say = say.data;
    raw.say_len = say.len;
    raw_start(&raw, &cluster);
    test_run(&cluster, 500);
    DURE_CHECK(raw.is_over);
    DURE_CHECK_EQ(db->up, 1);
    DURE_CHECK_EQ(db->down, 1);
    DURE_CHECK_STR(dure_err_name(db->down_cause), cause);
    DURE_CHECK(test_log_has(&cluster, text));
    DURE_CHECK_EQ(test_counters_of(db).joining_bytes, 0);
    raw_stop(&raw, &cluster);
    dure_buf_fini(&hello);
    dure_buf_fini(&say);
    test_cluster_fini(&cluster);
}

#define REQUEST_PART(stream, index, total, bytes)                                                  \
    {                                                                                              \
        {(stream), (index), (total)}, DURE_FRAME_REQUEST, METHOD_ECHO, (bytes)                     \
    }

static void a_part_out_of_order_cuts_the_link(void)
{
    static const raw_part skipped[] = {REQUEST_PART(1, 0, 1000, 10), REQUEST_PART(1, 2, 1000, 10)};
    static const raw_part twice[] = {REQUEST_PART(1, 0, 1000, 10), REQUEST_PART(1, 0, 1000, 10)};
    static const raw_part late[] = {REQUEST_PART(1, 1, 1000, 10)};
    check_bad_parts(skipped, 2, "PROTOCOL", "a part out of order");
    check_bad_parts(twice, 2, "PROTOCOL", "a part out of order");
    check_bad_parts(late, 1, "PROTOCOL", "a part out of order");
}

static void parts_that_do_not_fit_together_cut_the_link(void)
{
    static const raw_part other[] = {REQUEST_PART(1, 0, 1000, 10),
                                     {{1, 1, 1000}, DURE_FRAME_REQUEST, METHOD_FAIL, 10}};
    static const raw_part longer[] = {REQUEST_PART(1, 0, 100, 90), REQUEST_PART(1, 1, 100, 90)};
    static const raw_part empty[] = {REQUEST_PART(1, 0, 100, 0)};
    static const raw_part ping[] = {{{1, 0, 1000}, DURE_FRAME_PING, 0, 10}};
    static const raw_part unsound[] = {REQUEST_PART(1, 0, 20, 10), REQUEST_PART(1, 1, 20, 10)};
    check_bad_parts(other, 2, "PROTOCOL", "a part of another message");
    check_bad_parts(longer, 2, "PROTOCOL", "longer than their body");
    check_bad_parts(empty, 1, "PROTOCOL", "a part that is no bin, or empty");
    check_bad_parts(ping, 1, "PROTOCOL", "without a sound meta map");
    check_bad_parts(unsound, 2, "MALFORMED", "the parts make no sound body");
}

static void what_is_announced_is_bounded(void)
{
    static const raw_part large[] = {REQUEST_PART(1, 0, LARGEST + 1, 10)};
    static const raw_part link[] = {REQUEST_PART(1, 0, LARGEST, 10),
                                    REQUEST_PART(2, 0, LARGEST, 10), REQUEST_PART(3, 0, 10, 5)};
    raw_part many[DURE_PARTS_STREAMS_MAX + 1];
    for (uint32_t i = 0; i <= DURE_PARTS_STREAMS_MAX; i++) {
        many[i] = (raw_part)REQUEST_PART(i, 0, 100, 10);
    }
    check_bad_parts(large, 1, "TOO_LARGE", "larger than this node takes");
    check_bad_parts(link, 3, "TOO_LARGE", "too large together");
    check_bad_parts(many, DURE_PARTS_STREAMS_MAX + 1, "PROTOCOL", "too many bodies in parts");
}

static void the_bodies_of_all_links_are_bounded_together(void)
{
    dure_link_parts parts;
    dure_buf buf;
    dure_frame frame;
    dure_frame whole;
    bool is_whole = false;
    const char *text = NULL;
    size_t len = 0;
    uint64_t total = 990; /* of other links */
    const raw_part raw = REQUEST_PART(1, 0, 11, 5);
    dure_link_parts_init(&parts, 100, &total, 1000);
    dure_buf_init(&buf, 4096);
    write_part(&buf, &raw);
    DURE_REQUIRE_OK(dure_frame_decode(buf.data, buf.len, 4096, &frame, &len));
    DURE_CHECK_ERR(dure_link_parts_add(&parts, &frame, 0, &whole, &is_whole, &text),
                   DURE_ERR_OVERLOADED);
    total = 989;
    DURE_CHECK_OK(dure_link_parts_add(&parts, &frame, 0, &whole, &is_whole, &text));
    DURE_CHECK_EQ(total, 1000);
    dure_link_parts_fini(&parts);
    DURE_CHECK_EQ(total, 989);
    dure_buf_fini(&buf);
}

static void a_messages_own_meta_comes_with_its_body(void)
{
    static const uint8_t meta[] = {0x81, 0x02, 0xa3, 'k', 'e', 'y'};
    static const uint8_t nil[] = {0xc0};
    const dure_frame message = {.kind = DURE_FRAME_REQUEST,
                                .id = 7,
                                .method = METHOD_ECHO,
                                .left_ms = 10,
                                .meta = {meta, sizeof meta}};
    const dure_part part = {1, 0, 1};
    dure_link_parts parts;
    dure_buf buf;
    dure_frame frame;
    dure_frame whole;
    bool is_whole = false;
    const char *text = NULL;
    size_t len = 0;
    uint64_t total = 0;
    dure_link_parts_init(&parts, 100, &total, 1000);
    dure_buf_init(&buf, 4096);
    DURE_REQUIRE_OK(dure_part_encode(&buf, &message, &part, (dure_slice){nil, 1}));
    DURE_REQUIRE_OK(dure_frame_decode(buf.data, buf.len, 4096, &frame, &len));
    DURE_REQUIRE_OK(dure_link_parts_add(&parts, &frame, 0, &whole, &is_whole, &text));
    DURE_REQUIRE(is_whole);
    DURE_CHECK_EQ(whole.kind, DURE_FRAME_REQUEST);
    DURE_CHECK_EQ(whole.meta.len, sizeof meta);
    DURE_CHECK(memcmp(whole.meta.data, meta, sizeof meta) == 0);
    dure_link_parts_fini(&parts);
    DURE_CHECK_EQ(total, 0);
    dure_buf_fini(&buf);
}

/* As on a plain frame: 13 keys of any length beside the two of the part. */
static void keys_of_later_versions_are_skipped_on_a_part_too(void)
{
    static const uint8_t tail[] = {0x04, 0x93, 0x01, 0x00, 0x01, 0x05, 0x00};
    static const uint8_t body[] = {0xc4, 0x01, 0xc0};
    uint8_t meta[2048] = {0x8f};
    size_t at = 1;
    for (uint8_t key = 20; key < 32; key++) {
        meta[at++] = key;
        meta[at++] = 1;
    }
    meta[at++] = 32;
    meta[at++] = 0xc5; /* a bin of 1,024 */
    meta[at++] = 0x04;
    at += 1 + 1024;
    memcpy(meta + at, tail, sizeof tail);
    at += sizeof tail;
    const dure_frame raw = {.kind = DURE_FRAME_PART,
                            .id = 7,
                            .method = METHOD_ECHO,
                            .left_ms = 10,
                            .meta = {meta, at},
                            .body = {body, sizeof body}};
    dure_link_parts parts;
    dure_buf buf;
    dure_frame frame;
    dure_frame whole;
    bool is_whole = false;
    const char *text = NULL;
    size_t len = 0;
    uint64_t total = 0;
    dure_link_parts_init(&parts, 100, &total, 1000);
    dure_buf_init(&buf, 4096);
    DURE_REQUIRE_OK(dure_frame_encode(&buf, &raw));
    DURE_REQUIRE_OK(dure_frame_decode(buf.data, buf.len, 4096, &frame, &len));
    DURE_REQUIRE_OK(dure_link_parts_add(&parts, &frame, 0, &whole, &is_whole, &text));
    DURE_REQUIRE(is_whole);
    DURE_CHECK_EQ(whole.meta.data[0], 0x8d);
    DURE_CHECK_EQ(whole.meta.len, at - sizeof tail);
    dure_link_parts_fini(&parts);
    dure_buf_fini(&buf);
}

/* What add made of a part of this stream and index, of a body of 100 bytes, with left_ms. */
static dure_err add_part_of(dure_link_parts *parts, uint32_t stream, uint32_t index, size_t bytes,
                            uint32_t left_ms, uint64_t now_ms, bool *out_is_whole)
{
    const raw_part raw = REQUEST_PART(stream, index, 100, bytes);
    dure_frame frame;
    dure_frame whole;
    dure_buf buf;
    const char *text = NULL;
    size_t len = 0;
    dure_buf_init(&buf, 4096);
    write_part(&buf, &raw);
    DURE_REQUIRE_OK(dure_frame_decode(buf.data, buf.len, 4096, &frame, &len));
    frame.left_ms = left_ms;
    const dure_err err = dure_link_parts_add(parts, &frame, now_ms, &whole, out_is_whole, &text);
    dure_buf_fini(&buf);
    return err;
}

static dure_err add_part(dure_link_parts *parts, uint32_t index, size_t bytes, uint64_t now_ms,
                         bool *out_is_whole)
{
    return add_part_of(parts, 1, index, bytes, 1000, now_ms, out_is_whole);
}

/* Parts that were on their way already do no harm, and the last one ends it. */
static void a_body_whose_time_has_passed_is_dropped(void)
{
    dure_link_parts parts;
    uint64_t total = 0;
    bool is_whole = false;
    dure_link_parts_init(&parts, 100, &total, 1000);
    DURE_CHECK_OK(add_part(&parts, 0, 10, 5000, &is_whole));
    DURE_CHECK_OK(add_part(&parts, 1, 10, 5500, &is_whole));
    dure_link_parts_expire(&parts, 6499);
    DURE_CHECK_EQ(total, 100);
    dure_link_parts_expire(&parts, 6500);
    DURE_CHECK_EQ(total, 0);
    DURE_CHECK_EQ(parts.open_bytes, 0);
    DURE_CHECK_OK(add_part(&parts, 2, 10, 6600, &is_whole));
    DURE_CHECK_ERR(add_part(&parts, 4, 10, 6600, &is_whole), DURE_ERR_PROTOCOL);
    DURE_CHECK_ERR(add_part(&parts, 3, 71, 6600, &is_whole), DURE_ERR_PROTOCOL);
    DURE_CHECK_OK(add_part(&parts, 3, 70, 6600, &is_whole));
    DURE_CHECK(!is_whole);
    DURE_CHECK_ERR(add_part(&parts, 4, 10, 6600, &is_whole), DURE_ERR_PROTOCOL);
    DURE_CHECK_OK(add_part(&parts, 0, 10, 7000, &is_whole)); /* the number is free again */
    DURE_CHECK_EQ(total, 100);
    dure_link_parts_cancel(&parts, 7);
    DURE_CHECK_EQ(total, 0);
    dure_link_parts_fini(&parts);
}

static void what_was_dropped_is_remembered_for_a_few_bodies_only(void)
{
    dure_link_parts parts;
    dure_buf buf;
    uint64_t total = 0;
    bool is_whole = false;
    const char *text = NULL;
    dure_link_parts_init(&parts, 100, &total, 1000);
    dure_buf_init(&buf, 4096);
    for (uint32_t i = 0; i < 5 * DURE_PARTS_STREAMS_MAX; i++) {
        const raw_part raw = REQUEST_PART(i, 0, 100, 10);
        dure_frame frame;
        dure_frame whole;
        size_t len = 0;
        dure_buf_clear(&buf);
        write_part(&buf, &raw);
        DURE_REQUIRE_OK(dure_frame_decode(buf.data, buf.len, 4096, &frame, &len));
        DURE_CHECK_OK(dure_link_parts_add(&parts, &frame, 0, &whole, &is_whole, &text));
        dure_link_parts_expire(&parts, 1000);
        DURE_CHECK(parts._dropped_count <= DURE_PARTS_STREAMS_MAX);
        DURE_CHECK_EQ(total, 0);
    }
    dure_link_parts_fini(&parts);
    dure_buf_fini(&buf);
}

/* One that was open for longer than others were is dropped last, and its parts still come. */
static void what_was_dropped_first_is_forgotten_first(void)
{
    dure_link_parts parts;
    uint64_t total = 0;
    bool is_whole = false;
    dure_link_parts_init(&parts, 1000, &total, 10000);
    DURE_CHECK_OK(add_part_of(&parts, 0, 0, 10, 5000, 0, &is_whole));
    for (uint32_t i = 1; i <= DURE_PARTS_STREAMS_MAX; i++) {
        DURE_CHECK_OK(add_part_of(&parts, i, 0, 10, 10, i * 100, &is_whole));
        dure_link_parts_expire(&parts, i * 100 + 50);
    }
    dure_link_parts_expire(&parts, 6000);
    DURE_CHECK_EQ(parts._dropped_count, DURE_PARTS_STREAMS_MAX);
    DURE_CHECK_EQ(total, 0);
    DURE_CHECK_OK(add_part_of(&parts, 0, 1, 10, 10, 6000, &is_whole));
    DURE_CHECK_OK(add_part_of(&parts, 2, 1, 10, 10, 6000, &is_whole));
    DURE_CHECK_ERR(add_part_of(&parts, 1, 1, 10, 10, 6000, &is_whole), DURE_ERR_PROTOCOL);
    dure_link_parts_fini(&parts);
}

/* Its last part never comes, and the link stays for everything else. */
static void a_body_that_is_never_finished_does_not_stay(void)
{
    static const raw_part part = REQUEST_PART(1, 0, LARGEST, 10); /* with 1,000 ms */
    test_cluster cluster;
    raw_peer raw = {0};
    dure_buf say;
    test_cluster_init(&cluster, NULL);
    test_node *db = test_node_start(&cluster, "db-1", NULL);
    raw_write_hello(&cluster, &say);
    write_part(&say, &part);
    raw.say = say.data;
    raw.say_len = say.len;
    raw_start(&raw, &cluster);
    test_run(&cluster, 900);
    DURE_CHECK_EQ(test_counters_of(db).joining_bytes, LARGEST);
    test_run(&cluster, 5000);
    DURE_CHECK_EQ(test_counters_of(db).joining_bytes, 0);
    DURE_CHECK_EQ(db->down, 0);
    raw_stop(&raw, &cluster);
    dure_buf_fini(&say);
    test_cluster_fini(&cluster);
}

DURE_SUITE(cluster_link_parts, DURE_TEST(a_body_over_32_kib_goes_and_comes_in_parts),
           DURE_TEST(the_largest_body_arrives_whole),
           DURE_TEST(a_larger_one_is_refused_before_it_leaves),
           DURE_TEST(a_small_call_overtakes_a_large_body),
           DURE_TEST(a_half_sent_body_is_taken_back),
           DURE_TEST(a_node_that_dies_leaves_nothing_half_joined),
           DURE_TEST(a_part_out_of_order_cuts_the_link),
           DURE_TEST(parts_that_do_not_fit_together_cut_the_link),
           DURE_TEST(what_is_announced_is_bounded),
           DURE_TEST(the_bodies_of_all_links_are_bounded_together),
           DURE_TEST(a_messages_own_meta_comes_with_its_body),
           DURE_TEST(keys_of_later_versions_are_skipped_on_a_part_too),
           DURE_TEST(a_body_whose_time_has_passed_is_dropped),
           DURE_TEST(what_was_dropped_is_remembered_for_a_few_bodies_only),
           DURE_TEST(what_was_dropped_first_is_forgotten_first),
           DURE_TEST(a_body_that_is_never_finished_does_not_stay));
