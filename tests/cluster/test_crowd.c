/* SPDX-License-Identifier: MIT
 *
 * Many answers for one peer: its link is never cut for what it is owed. What was begun is answered,
 * beyond the end of the queue too; nothing new is begun until half of it has left; and where there
 * is no room for an answer at all, its caller learns that it is unknown.
 */
#include "base/mem.h"
#include "cluster/raw_peer.h"
#include "support/check.h"

#define KIB          1024u
#define MIB          1048576u
#define CROWD        256u
#define ANSWER_BYTES 290000u /* the names of 10,500 players */
#define BEYOND_MAX   (16u * 16u * MIB)

typedef struct tally {
    uint32_t ended;
    uint32_t ok;
    uint32_t unknown;
    uint32_t overloaded;
    uint32_t deadline;
    size_t bytes;
} tally;

static void count_done(void *ctx, const dure_outcome *outcome)
{
    tally *t = ctx;
    t->ended++;
    t->ok += outcome->status == DURE_OK;
    t->unknown += outcome->status == DURE_ERR_OUTCOME_UNKNOWN;
    t->overloaded += outcome->status == DURE_ERR_OVERLOADED;
    t->deadline += outcome->status == DURE_ERR_DEADLINE;
    t->bytes += outcome->body.len;
}

static uint8_t space[MIB];

/* A bin of len bytes in all. */
static dure_slice body_of(size_t len)
{
    DURE_REQUIRE(len >= 5 && len <= sizeof space);
    space[0] = 0xc6;
    for (size_t i = 0; i < 4; i++) {
        space[1 + i] = (uint8_t)((len - 5) >> (8 * (3 - i)));
    }
    return (dure_slice){space, len};
}

static void ask(const test_node *node, uint32_t method, size_t len, uint32_t deadline_ms, tally *t)
{
    const dure_target target = dure_to_node("db-1");
    const dure_call_options options = {.deadline_ms = deadline_ms};
    DURE_CHECK_OK(
        dure_rpc_call(node->rpc, &target, method, &options, body_of(len), count_done, t, NULL));
}

static void a_crowd_that_is_answered_at_once_comes_through(void)
{
    test_pair p;
    tally crowd = {0};
    tally small = {0};
    test_pair_init(&p, NULL);
    for (uint32_t i = 0; i < CROWD; i++) {
        ask(p.game, METHOD_GATHER, 40, 30000, &crowd);
    }
    test_run(&p.cluster, 10);
    DURE_REQUIRE(p.db->gathered_count == CROWD);
    test_answer_gathered(p.db, body_of(ANSWER_BYTES));
    DURE_CHECK(test_counters_of(p.db).queued_bytes > 70u * MIB);
    ask(p.game, METHOD_ECHO, 40, 30000, &small);
    test_run(&p.cluster, 10000);
    DURE_CHECK_EQ(crowd.ok, CROWD);
    DURE_CHECK_EQ(crowd.bytes, (size_t)CROWD * ANSWER_BYTES);
    DURE_CHECK_EQ(small.ok, 1);
    DURE_CHECK_EQ(p.game->down, 0);
    DURE_CHECK_EQ(p.db->down, 0);
    DURE_CHECK_EQ(test_counters_of(p.db).queued_bytes, 0);
    DURE_CHECK_EQ(test_counters_of(p.db).answers_without_room, 0);
    test_cluster_fini(&p.cluster);
}

/* More waits than can still be given to the system: it must not say that all is answered. */
static void a_node_that_ends_does_not_deny_what_it_could_not_answer(void)
{
    test_pair p;
    tally crowd = {0};
    test_pair_init(&p, NULL);
    for (uint32_t i = 0; i < CROWD; i++) {
        ask(p.game, METHOD_GATHER, 40, 30000, &crowd);
    }
    test_run(&p.cluster, 10);
    DURE_REQUIRE(p.db->gathered_count == CROWD);
    test_answer_gathered(p.db, body_of(ANSWER_BYTES));
    DURE_CHECK_EQ(dure_rpc_serving(p.db->rpc), 0);
    dure_rpc_close(p.db->rpc);
    test_run(&p.cluster, 3000);
    DURE_CHECK_EQ(crowd.ended, CROWD);
    DURE_CHECK(crowd.ok > 0);
    DURE_CHECK(crowd.unknown > 0);
    DURE_CHECK_EQ(crowd.ok + crowd.unknown, CROWD);
    test_cluster_fini(&p.cluster);
}

/* Twenty times over, one crowd behind the other: the queue of the link does not grow with it. */
static void crowds_do_not_pile_up(void)
{
    test_pair p;
    tally crowd = {0};
    test_pair_init(&p, NULL);
    for (uint32_t round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < 16; i++) {
            ask(p.game, METHOD_GATHER, 40, 30000, &crowd);
        }
        for (int step = 0; step < 40; step++) {
            (void)dure_sim_step(p.cluster.world);
        }
        test_answer_gathered(p.db, body_of(MIB));
        DURE_CHECK(test_counters_of(p.db).queued_bytes < 32u * MIB + 32u * MIB);
    }
    while (crowd.ended < 320) {
        test_run(&p.cluster, 50);
        test_answer_gathered(p.db, body_of(MIB));
    }
    DURE_CHECK_EQ(crowd.ok, 320);
    DURE_CHECK(test_counters_of(p.db).parked > 0);
    DURE_CHECK_EQ(p.game->down, 0);
    test_cluster_fini(&p.cluster);
}

/* ---- a peer that reads nothing for a while ---- */

typedef struct fixture {
    test_cluster cluster;
    test_node *db;
    raw_peer raw;
    dure_buf hello;
    uint32_t next_id;
    uint32_t served;
} fixture;

static void count_served(void *ctx, const dure_request *request)
{
    (void)request;
    *(uint32_t *)ctx += 1;
}

static void fixture_init(fixture *f, void (*tune)(dure_registry_settings *))
{
    memset(f, 0, sizeof *f);
    test_cluster_init(&f->cluster, NULL);
    if (tune != NULL) {
        dure_registry_destroy(f->cluster.registry);
        f->cluster.registry = test_registry_tuned("test", NULL, tune);
    }
    f->db = test_node_start(&f->cluster, "db-1", NULL);
    raw_write_hello(&f->cluster, &f->hello);
    f->raw.is_deaf = true;
    f->raw.say = f->hello.data;
    f->raw.say_len = f->hello.len;
    raw_start(&f->raw, &f->cluster);
    test_run(&f->cluster, 100);
    DURE_REQUIRE(f->db->up == 1);
    f->db->on_served = count_served;
    f->db->served_ctx = &f->served;
}

static void fixture_fini(fixture *f)
{
    raw_stop(&f->raw, &f->cluster);
    dure_buf_fini(&f->hello);
    test_cluster_fini(&f->cluster);
}

static void say(fixture *f, const dure_frame *frame)
{
    dure_buf out;
    dure_buf_init(&out, 2 * MIB);
    DURE_REQUIRE_OK(dure_frame_encode(&out, frame));
    DURE_CHECK_OK(dure_session_send(f->raw.session, out.data, out.len));
    dure_buf_fini(&out);
}

/* Asks for count echoes of so many bytes. */
static void say_requests(fixture *f, uint32_t count, size_t len, uint32_t left_ms)
{
    for (uint32_t i = 0; i < count; i++) {
        const dure_frame frame = {.kind = DURE_FRAME_REQUEST,
                                  .id = ++f->next_id,
                                  .method = METHOD_ECHO,
                                  .left_ms = left_ms,
                                  .body = body_of(len)};
        say(f, &frame);
        test_run(&f->cluster, 1);
    }
}

static void past_the_high_mark_nothing_new_is_begun(void)
{
    fixture f;
    fixture_init(&f, NULL);
    say_requests(&f, 1000, 16000, 60000); /* 16 MB */
    DURE_CHECK(f.served * 16000u > 8u * MIB);
    DURE_CHECK(f.served * 16000u < 9u * MIB);
    DURE_CHECK_EQ(f.served + test_counters_of(f.db).parked, 1000);
    DURE_CHECK_EQ(dure_rpc_serving(f.db->rpc), 1000 - f.served);
    DURE_CHECK_EQ(f.db->down, 0);
    /* it reads again: all are answered */
    f.raw.is_deaf = false;
    dure_session_resume_recv(f.raw.session);
    test_run(&f.cluster, 2000);
    DURE_CHECK_EQ(f.served, 1000);
    DURE_CHECK_EQ(dure_rpc_serving(f.db->rpc), 0);
    DURE_CHECK_EQ(test_counters_of(f.db).queued_bytes, 0);
    DURE_CHECK(f.raw.heard > 16u * 1000u * 1000u);
    DURE_CHECK_EQ(f.db->down, 0);
    fixture_fini(&f);
}

static void what_is_parked_is_bounded(void)
{
    fixture f;
    fixture_init(&f, NULL);
    say_requests(&f, 1500, 16000, 60000); /* 24 MB */
    const dure_rpc_counters counters = test_counters_of(f.db);
    DURE_CHECK(counters.parked * 16000u <= 8u * MIB);
    DURE_CHECK(counters.parked * 16000u > 7u * MIB);
    DURE_CHECK_EQ(counters.parked_refused, 1500 - f.served - counters.parked);
    DURE_CHECK_EQ(f.db->down, 0);
    f.raw.is_deaf = false;
    dure_session_resume_recv(f.raw.session);
    test_run(&f.cluster, 2000);
    DURE_CHECK_EQ(f.served, 1500 - counters.parked_refused);
    fixture_fini(&f);
}

/* Nobody waits for them any more by the time that there is room. */
static void what_is_parked_and_given_up_is_not_begun(void)
{
    fixture f;
    fixture_init(&f, NULL);
    say_requests(&f, 600, 16000, 60000);
    const uint32_t served = f.served;
    say_requests(&f, 50, 40, 500);
    say_requests(&f, 50, 40, 60000);
    for (uint32_t i = 0; i < 50; i++) {
        const dure_frame cancel = {.kind = DURE_FRAME_CANCEL, .id = f.next_id - i};
        say(&f, &cancel);
    }
    test_run(&f.cluster, 1000);
    DURE_CHECK_EQ(test_counters_of(f.db).not_begun, 100);
    f.raw.is_deaf = false;
    dure_session_resume_recv(f.raw.session);
    test_run(&f.cluster, 2000);
    DURE_CHECK(served < 600);
    DURE_CHECK_EQ(f.served, 600);
    fixture_fini(&f);
}

/* A notify keeps its place behind parked requests of its subject, and behind other notifications.
 */
static void a_notify_does_not_overtake_what_is_parked(void)
{
    fixture f;
    const dure_frame request = {.kind = DURE_FRAME_REQUEST,
                                .id = 100000,
                                .method = METHOD_ECHO,
                                .left_ms = 60000,
                                .subject = 7};
    dure_frame note = {.kind = DURE_FRAME_NOTIFY, .method = METHOD_NOTE};
    fixture_init(&f, NULL);
    say_requests(&f, 600, 16000, 60000);
    say(&f, &request);
    say(&f, &note);
    test_run(&f.cluster, 1);
    DURE_CHECK_EQ(f.db->notes, 1); /* of no subject: it passes */
    note.subject = 7;
    say(&f, &note);
    note.subject = 8;
    say(&f, &note);
    test_run(&f.cluster, 1);
    DURE_CHECK_EQ(f.db->notes, 1);
    f.raw.is_deaf = false;
    dure_session_resume_recv(f.raw.session);
    test_run(&f.cluster, 2000);
    DURE_CHECK_EQ(f.db->notes, 3);
    fixture_fini(&f);
}

/* They came before the end, and have no answer that could not leave. */
static void parked_notifications_outlive_their_link(void)
{
    fixture f;
    dure_frame frame = {.kind = DURE_FRAME_REQUEST,
                        .id = 100000,
                        .method = METHOD_ECHO,
                        .left_ms = 60000,
                        .subject = 7};
    fixture_init(&f, NULL);
    say_requests(&f, 600, 16000, 60000);
    say(&f, &frame);
    const uint32_t served = f.served;
    frame.kind = DURE_FRAME_NOTIFY;
    frame.method = METHOD_NOTE;
    say(&f, &frame);
    test_run(&f.cluster, 1);
    DURE_CHECK_EQ(f.db->notes, 0);
    dure_session_abort(f.raw.session, DURE_ERR_CLOSED);
    test_run(&f.cluster, 100);
    DURE_CHECK_EQ(f.db->down, 1);
    DURE_CHECK_EQ(f.db->notes, 1);
    DURE_CHECK_EQ(f.served, served + 1);
    DURE_CHECK_EQ(dure_rpc_serving(f.db->rpc), 0);
    fixture_fini(&f);
}

static void an_answer_that_nobody_wants_any_more_does_not_leave(void)
{
    fixture f;
    fixture_init(&f, NULL);
    say_requests(&f, 20, MIB - 100, 60000);
    const uint64_t before = test_counters_of(f.db).queued_bytes;
    for (uint32_t i = 0; i < 10; i++) {
        const dure_frame cancel = {.kind = DURE_FRAME_CANCEL, .id = f.next_id - i};
        say(&f, &cancel);
    }
    test_run(&f.cluster, 10);
    DURE_CHECK_EQ(test_counters_of(f.db).queued_bytes, before - 10u * (MIB - 100));
    fixture_fini(&f);
}

/* It asks and never reads: what waits for it is bounded, and the link ends when its time is over.
 */
static void a_peer_that_never_reads_is_cut_in_its_time(void)
{
    fixture f;
    fixture_init(&f, NULL);
    uint64_t most = 0;
    for (int i = 0; i < 1300 && f.db->down == 0; i++) {
        say_requests(&f, 1, 60000, 60000);
        test_run(&f.cluster, 10);
        const uint64_t queued = test_counters_of(f.db).queued_bytes;
        most = queued > most ? queued : most;
    }
    DURE_CHECK_EQ(f.db->down, 1);
    DURE_CHECK_ERR(f.db->down_cause, DURE_ERR_SLOW);
    DURE_CHECK_EQ(test_counters_of(f.db).links_slow, 1);
    DURE_CHECK(most < 34u * MIB);
    fixture_fini(&f);
}

static void tune_small(dure_registry_settings *settings)
{
    settings->body_max_bytes = 64u * KIB;
    settings->link_queue_high_bytes = 256u * KIB;
    settings->link_queue_max_bytes = MIB;
}

/* 1 MiB of queue, and 16 bodies of 64 KiB beyond it. */
static void an_answer_without_room_is_told_as_unknown(void)
{
    test_pair p;
    tally t = {0};
    tally after = {0};
    dure_registry *registry = test_registry_tuned("test", NULL, tune_small);
    test_pair_init(&p, registry);
    for (uint32_t i = 0; i < 100; i++) {
        ask(p.game, METHOD_GATHER, 40, 30000, &t);
    }
    test_run(&p.cluster, 10);
    DURE_REQUIRE(p.db->gathered_count == 100);
    test_answer_gathered(p.db, body_of(60000));
    DURE_CHECK(test_counters_of(p.db).queued_bytes < 2u * MIB + 128u * KIB);
    test_run(&p.cluster, 2000);
    DURE_CHECK_EQ(t.ended, 100);
    DURE_CHECK(t.ok >= 30);
    DURE_CHECK_EQ(t.ok + t.unknown, 100);
    DURE_CHECK_EQ(test_counters_of(p.db).answers_without_room, t.unknown);
    DURE_CHECK_EQ(p.game->down, 0);
    ask(p.game, METHOD_ECHO, 40, 1000, &after);
    test_run(&p.cluster, 100);
    DURE_CHECK_EQ(after.ok, 1);
    test_cluster_fini(&p.cluster);
    dure_registry_destroy(registry);
}

DURE_SUITE(cluster_crowd, DURE_TEST(a_crowd_that_is_answered_at_once_comes_through),
           DURE_TEST(a_node_that_ends_does_not_deny_what_it_could_not_answer),
           DURE_TEST(crowds_do_not_pile_up), DURE_TEST(past_the_high_mark_nothing_new_is_begun),
           DURE_TEST(what_is_parked_is_bounded),
           DURE_TEST(what_is_parked_and_given_up_is_not_begun),
           DURE_TEST(a_notify_does_not_overtake_what_is_parked),
           DURE_TEST(parked_notifications_outlive_their_link),
           DURE_TEST(an_answer_that_nobody_wants_any_more_does_not_leave),
           DURE_TEST(a_peer_that_never_reads_is_cut_in_its_time),
           DURE_TEST(an_answer_without_room_is_told_as_unknown));
