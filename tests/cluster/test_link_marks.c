/* SPDX-License-Identifier: MIT
 *
 * A peer that does not read, or does not speak: what waits for it is bounded, what left is told
 * from what did not, and the link ends when its time is over.
 */
#include "base/mem.h"
#include "cluster/raw_peer.h"
#include "support/check.h"

#define KIB              1024u
#define MIB              1048576u
#define BODY             (64u * KIB - 1u)
#define LINK_CALLS_MAX   65536u
#define SMALL_HIGH_BYTES (256u * KIB)
#define SMALL_MAX_BYTES  MIB

typedef struct fixture {
    test_cluster cluster;
    test_node *db;
    raw_peer raw;
    dure_buf hello;
} fixture;

/* db-1 with a link to a peer that reads nothing more after welcome, or reads and says nothing. */
static void fixture_init(fixture *f, void (*tune)(dure_registry_settings *), bool is_deaf)
{
    memset(f, 0, sizeof *f);
    test_cluster_init(&f->cluster, NULL);
    if (tune != NULL) {
        dure_registry_destroy(f->cluster.registry);
        f->cluster.registry = test_registry_tuned("test", NULL, tune);
    }
    f->db = test_node_start(&f->cluster, "db-1", NULL);
    raw_write_hello(&f->cluster, &f->hello);
    f->raw.is_deaf = is_deaf;
    f->raw.say = f->hello.data;
    f->raw.say_len = f->hello.len;
    raw_start(&f->raw, &f->cluster);
    test_run(&f->cluster, 100);
    DURE_REQUIRE(f->db->up == 1);
}

static void fixture_fini(fixture *f)
{
    raw_stop(&f->raw, &f->cluster);
    dure_buf_fini(&f->hello);
    test_cluster_fini(&f->cluster);
}

static dure_rpc_counters counters_of(const fixture *f)
{
    dure_rpc_counters counters;
    dure_rpc_counters_of(f->db->rpc, &counters);
    return counters;
}

/* A bin of BODY bytes in all. */
static dure_slice body_of(void)
{
    static uint8_t bytes[BODY];
    bytes[0] = 0xc5;
    bytes[1] = (uint8_t)((BODY - 3) >> 8);
    bytes[2] = (uint8_t)((BODY - 3) & 0xff);
    return (dure_slice){bytes, BODY};
}

static dure_err notify(const fixture *f)
{
    const dure_target target = dure_to_node("game-1");
    return dure_rpc_notify(f->db->rpc, &target, METHOD_NOTE, 0, body_of());
}

/* Fills the link until it refuses; the bytes that were taken. */
static uint64_t fill(const fixture *f)
{
    uint64_t taken = 0;
    while (notify(f) == DURE_OK) {
        taken += BODY;
        DURE_REQUIRE(taken < 64u * MIB);
    }
    return taken;
}

static void past_the_high_mark_calls_end_at_once(void)
{
    fixture f;
    test_call call;
    fixture_init(&f, NULL, true);
    const uint64_t taken = fill(&f);
    DURE_CHECK(taken >= 8u * MIB - 2u * BODY);
    DURE_CHECK(taken <= 8u * MIB + 2u * BODY);
    DURE_CHECK_ERR(notify(&f), DURE_ERR_OVERLOADED);
    const dure_target target = dure_to_node("game-1");
    memset(&call, 0, sizeof call);
    DURE_CHECK_OK(
        dure_rpc_call(f.db->rpc, &target, METHOD_ECHO, NULL, body_of(), test_on_done, &call, NULL));
    test_run(&f.cluster, 1);
    DURE_CHECK_EQ(call.count, 1);
    DURE_CHECK_ERR(call.status, DURE_ERR_OVERLOADED);
    DURE_CHECK(counters_of(&f).overloaded >= 3);
    DURE_CHECK(counters_of(&f).queued_bytes >= 8u * MIB - MIB);
    DURE_CHECK_EQ(f.db->down, 0);
    fixture_fini(&f);
}

static void past_the_high_mark_small_calls_end_at_once(void)
{
    static uint8_t bytes[20000] = {0xc5, 0x4e, 0x1d};
    fixture f;
    uint64_t taken = 0;
    const dure_target target = dure_to_node("game-1");
    const dure_slice body = {bytes, sizeof bytes};
    fixture_init(&f, NULL, true);
    while (dure_rpc_notify(f.db->rpc, &target, METHOD_NOTE, 0, body) == DURE_OK) {
        taken += sizeof bytes;
        DURE_REQUIRE(taken < 64u * MIB);
    }
    DURE_CHECK(taken >= 8u * MIB - 2u * BODY);
    DURE_CHECK(taken <= 8u * MIB + 2u * BODY);
    DURE_CHECK_ERR(dure_rpc_notify(f.db->rpc, &target, METHOD_NOTE, 0, body), DURE_ERR_OVERLOADED);
    f.raw.is_deaf = false;
    dure_session_resume_recv(f.raw.session);
    test_run(&f.cluster, 1000);
    DURE_CHECK_EQ(counters_of(&f).queued_bytes, 0);
    DURE_CHECK(f.raw.heard > taken);
    DURE_CHECK_OK(dure_rpc_notify(f.db->rpc, &target, METHOD_NOTE, 0, body));
    fixture_fini(&f);
}

static void a_link_that_drains_takes_calls_again(void)
{
    fixture f;
    fixture_init(&f, NULL, true);
    (void)fill(&f);
    f.raw.is_deaf = false;
    dure_session_resume_recv(f.raw.session);
    test_run(&f.cluster, 1000);
    DURE_CHECK_EQ(counters_of(&f).queued_bytes, 0);
    DURE_CHECK_OK(notify(&f));
    DURE_CHECK_EQ(f.db->down, 0);
    fixture_fini(&f);
}

static void tune_small(dure_registry_settings *settings)
{
    settings->link_queue_high_bytes = SMALL_HIGH_BYTES;
    settings->link_queue_max_bytes = SMALL_MAX_BYTES;
}

static void the_marks_are_settings(void)
{
    fixture f;
    fixture_init(&f, tune_small, true);
    const uint64_t taken = fill(&f);
    DURE_CHECK(taken >= SMALL_HIGH_BYTES - 2u * BODY);
    DURE_CHECK(taken <= SMALL_HIGH_BYTES + 2u * BODY);
    fixture_fini(&f);
}

typedef struct tally {
    uint32_t overloaded;
    uint32_t ended;
} tally;

static void count_done(void *ctx, const dure_outcome *outcome)
{
    tally *t = ctx;
    t->ended++;
    t->overloaded += outcome->status == DURE_ERR_OVERLOADED;
}

static void a_link_carries_65536_calls_and_no_more(void)
{
    fixture f;
    tally t = {0};
    const dure_target target = dure_to_node("game-1");
    const dure_call_options options = {.deadline_ms = 5000};
    const dure_slice none = {NULL, 0};
    fixture_init(&f, NULL, false);
    for (uint32_t i = 0; i < LINK_CALLS_MAX + 10; i++) {
        DURE_CHECK_OK(
            dure_rpc_call(f.db->rpc, &target, METHOD_ECHO, &options, none, count_done, &t, NULL));
    }
    test_run(&f.cluster, 100);
    DURE_CHECK_EQ(t.ended, 10);
    DURE_CHECK_EQ(t.overloaded, 10);
    DURE_CHECK_EQ(dure_rpc_outstanding(f.db->rpc), LINK_CALLS_MAX);
    test_run(&f.cluster, 5000);
    DURE_CHECK_EQ(t.ended, LINK_CALLS_MAX + 10);
    fixture_fini(&f);
}

/* It asks all the time, so it is alive; it reads nothing, so what is written makes no progress. */
static void a_write_without_progress_for_ten_seconds_ends_the_link(void)
{
    fixture f;
    static const uint8_t body[] = {0x01};
    const dure_frame pong = {.kind = DURE_FRAME_PONG, .body = {body, sizeof body}};
    dure_buf say;
    dure_buf_init(&say, 4096);
    DURE_REQUIRE_OK(dure_frame_encode(&say, &pong));
    fixture_init(&f, NULL, true);
    for (int i = 0; i < 16; i++) {
        DURE_CHECK_OK(notify(&f));
    }
    for (int ms = 0; ms < 12600 && f.db->down == 0; ms += 100) {
        DURE_CHECK_OK(dure_session_send(f.raw.session, say.data, say.len));
        test_run(&f.cluster, 100);
        DURE_CHECK(f.db->down == 0 || ms >= 9800);
    }
    DURE_CHECK_EQ(f.db->down, 1);
    DURE_CHECK_ERR(f.db->down_cause, DURE_ERR_SLOW);
    dure_buf_fini(&say);
    fixture_fini(&f);
}

static bool is_down(void *ctx)
{
    return ((fixture *)ctx)->db->down > 0;
}

static uint64_t ms_until_down(fixture *f)
{
    const uint64_t start = dure_sim_now_ns(f->cluster.world);
    DURE_CHECK(dure_sim_run_until(f->cluster.world, is_down, f, 60000));
    DURE_CHECK_ERR(f->db->down_cause, DURE_ERR_HEARTBEAT_LOST);
    return (dure_sim_now_ns(f->cluster.world) - start) / 1000000u;
}

/* Dead both ways, or only in the one that we can hear: the same eight seconds. */
static void silence_ends_a_link_after_eight_seconds(void)
{
    fixture reads;
    fixture deaf;
    fixture_init(&reads, NULL, false);
    const uint64_t read_ms = ms_until_down(&reads) + 100;
    fixture_fini(&reads);
    fixture_init(&deaf, NULL, true);
    const uint64_t deaf_ms = ms_until_down(&deaf) + 100;
    fixture_fini(&deaf);
    DURE_CHECK(read_ms >= 8000 && read_ms <= 8010);
    DURE_CHECK(deaf_ms >= 8000 && deaf_ms <= 8010);
}

/* The last part never left: the body cannot have run, however much of it did leave. */
static void a_body_whose_last_part_stayed_is_not_sent(void)
{
    fixture f;
    test_call small = {0};
    test_call large = {0};
    uint8_t *bytes = dure_mem_alloc(4 * MIB);
    DURE_REQUIRE(bytes != NULL);
    const uint8_t head[] = {0xc6, 0x00, 0x3f, 0xff, 0xfb};
    memcpy(bytes, head, sizeof head);
    const dure_target target = dure_to_node("game-1");
    const dure_call_options options = {.deadline_ms = 60000};
    const dure_slice body = {bytes, 4 * MIB};
    fixture_init(&f, NULL, true);
    test_call_node(f.db, "game-1", METHOD_ECHO, 60000, &small);
    test_run(&f.cluster, 10);
    DURE_CHECK_OK(
        dure_rpc_call(f.db->rpc, &target, METHOD_ECHO, &options, body, test_on_done, &large, NULL));
    test_run(&f.cluster, 12000);
    DURE_CHECK_EQ(f.db->down, 1);
    DURE_CHECK(counters_of(&f).parts_sent > 2);
    DURE_CHECK_EQ(small.count, 1);
    DURE_CHECK_ERR(small.status, DURE_ERR_OUTCOME_UNKNOWN);
    DURE_CHECK_EQ(large.count, 1);
    DURE_CHECK_ERR(large.status, DURE_ERR_NOT_SENT);
    dure_mem_free(bytes);
    fixture_fini(&f);
}

static void of_the_same_dialler_the_newer_connection_stays(void)
{
    fixture f;
    raw_peer newer = {0};
    fixture_init(&f, NULL, false);
    newer.say = f.hello.data;
    newer.say_len = f.hello.len;
    raw_start(&newer, &f.cluster);
    test_run(&f.cluster, 500);
    DURE_CHECK(f.raw.is_over);
    DURE_CHECK(!newer.is_over);
    DURE_CHECK_EQ(dure_rpc_peer_state(f.db->rpc, "game-1"), DURE_PEER_UP);
    DURE_CHECK_EQ(dure_rpc_peer_incarnation(f.db->rpc, "game-1"), 5);
    DURE_CHECK_EQ(counters_of(&f).links_replaced, 1);
    DURE_CHECK_EQ(counters_of(&f).links_refused, 0);
    raw_stop(&newer, &f.cluster);
    fixture_fini(&f);
}

static void another_process_of_a_peer_has_another_incarnation(void)
{
    test_cluster cluster;
    test_cluster_init(&cluster, NULL);
    test_node *game = test_node_start(&cluster, "game-1", NULL);
    DURE_CHECK_EQ(dure_rpc_peer_incarnation(game->rpc, "db-1"), 0);
    test_node *db = test_node_start(&cluster, "db-1", NULL);
    test_run(&cluster, 3000);
    const uint64_t first = dure_rpc_peer_incarnation(game->rpc, "db-1");
    DURE_CHECK(first != 0);
    test_node_stop(db);
    test_run(&cluster, 500);
    DURE_CHECK_EQ(dure_rpc_peer_incarnation(game->rpc, "db-1"), first);
    (void)test_node_start(&cluster, "db-1", NULL);
    test_run(&cluster, 5000);
    DURE_CHECK_EQ(game->up, 2);
    DURE_CHECK(dure_rpc_peer_incarnation(game->rpc, "db-1") != first);
    test_cluster_fini(&cluster);
}

DURE_SUITE(cluster_link_marks, DURE_TEST(past_the_high_mark_calls_end_at_once),
           DURE_TEST(past_the_high_mark_small_calls_end_at_once),
           DURE_TEST(a_link_that_drains_takes_calls_again), DURE_TEST(the_marks_are_settings),
           DURE_TEST(a_link_carries_65536_calls_and_no_more),
           DURE_TEST(a_write_without_progress_for_ten_seconds_ends_the_link),
           DURE_TEST(silence_ends_a_link_after_eight_seconds),
           DURE_TEST(a_body_whose_last_part_stayed_is_not_sent),
           DURE_TEST(of_the_same_dialler_the_newer_connection_stays),
           DURE_TEST(another_process_of_a_peer_has_another_incarnation));
