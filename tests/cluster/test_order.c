/* SPDX-License-Identifier: MIT
 *
 * Order on a link: notifications, and calls of one subject, arrive as they were sent, whatever the
 * sizes of their bodies; and a large body still delays no call of anybody else.
 */
#include "base/mem.h"
#include "cluster/link_lanes.h"
#include "cluster/raw_peer.h"
#include "support/check.h"
#include "wire/cursor.h"

#define MIB        1048576u
#define PART       DURE_LANES_PART_BYTES
#define HEAD_BYTES 15u /* an array of two, a u64, the head of a bin 32 */
#define HEARD_MAX  4096u
#define SUBJECTS   4u
#define ID_BYTES   9u    /* of a session in a list */
#define CHUNK_IDS  4096u /* of one push */

/* What db heard: the number that each message carries, and of whom. */
typedef struct heard {
    uint64_t numbers[HEARD_MAX];
    uint64_t subjects[HEARD_MAX];
    bool is_notify[HEARD_MAX];
    uint32_t count;
} heard;

static heard all;
static uint8_t space[17 * MIB];

static void on_served(void *ctx, const dure_request *request)
{
    heard *h = ctx;
    uint32_t count = 0;
    const dure_slice params = dure_request_params(request);
    dure_cursor cursor = dure_cursor_of(params.data, params.len);
    DURE_REQUIRE(h->count < HEARD_MAX);
    DURE_CHECK_OK(dure_cursor_array(&cursor, &count));
    DURE_CHECK_OK(dure_cursor_u64(&cursor, &h->numbers[h->count]));
    h->subjects[h->count] = dure_request_subject(request);
    h->is_notify[h->count] = dure_request_method(request) == METHOD_NOTE;
    h->count++;
}

/* [number, bin], len bytes in all. */
static dure_slice body_of(uint64_t number, size_t len)
{
    const size_t content = len - HEAD_BYTES;
    DURE_REQUIRE(len >= HEAD_BYTES && len <= sizeof space);
    space[0] = 0x92;
    space[1] = 0xcf;
    for (size_t i = 0; i < 8; i++) {
        space[2 + i] = (uint8_t)(number >> (8 * (7 - i)));
    }
    space[10] = 0xc6;
    for (size_t i = 0; i < 4; i++) {
        space[11 + i] = (uint8_t)(content >> (8 * (3 - i)));
    }
    return (dure_slice){space, len};
}

static void pair_start(test_pair *p)
{
    test_pair_init(p, NULL);
    memset(&all, 0, sizeof all);
    p->db->on_served = on_served;
    p->db->served_ctx = &all;
}

static void note(const test_pair *p, uint64_t subject, uint64_t number, size_t len)
{
    const dure_target target = dure_to_node("db-1");
    DURE_CHECK_OK(
        dure_rpc_notify(p->game->rpc, &target, METHOD_NOTE, subject, body_of(number, len)));
}

static void ignore_done(void *ctx, const dure_outcome *outcome)
{
    uint32_t *ended = ctx;
    DURE_CHECK_OK(outcome->status);
    *ended += 1;
}

static dure_call_id ask(const test_pair *p, uint64_t subject, uint64_t number, size_t len,
                        dure_call_fn on_done, void *ctx)
{
    const dure_target target = dure_to_node("db-1");
    const dure_call_options options = {.deadline_ms = 60000, .subject = subject};
    dure_call_id id = 0;
    DURE_REQUIRE_OK(dure_rpc_call(p->game->rpc, &target, METHOD_ECHO, &options,
                                  body_of(number, len), on_done, ctx, &id));
    return id;
}

static void check_numbers(uint32_t count)
{
    DURE_CHECK_EQ(all.count, count);
    for (uint32_t i = 0; i < all.count; i++) {
        DURE_CHECK_EQ(all.numbers[i], i);
    }
}

/* Both sides of each size at which a message changes its way, and those of a push's ids. */
static const size_t sizes[] = {
    HEAD_BYTES + 1,
    PART,
    40,
    PART + 1,
    40,
    2 * PART,
    PART - 1,
    2 * PART + 1,
    3580 * ID_BYTES,
    3637 * ID_BYTES + 512,
    3605 * ID_BYTES + 3,
    3605 * ID_BYTES + 512,
    CHUNK_IDS *ID_BYTES,
    ID_BYTES + 20,
    CHUNK_IDS *ID_BYTES + 512,
    ID_BYTES + 512,
    DURE_LANES_BULK_BYTES + 1,
    100,
    MIB,
    100,
};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static void notifications_arrive_as_they_were_sent(void)
{
    test_pair p;
    pair_start(&p);
    for (uint32_t i = 0; i < SIZES * 2; i++) {
        note(&p, 0, i, sizes[i % SIZES]);
    }
    test_run(&p.cluster, 2000);
    check_numbers(SIZES * 2);
    DURE_CHECK_EQ(test_counters_of(p.game).queued_bytes, 0);
    test_cluster_fini(&p.cluster);
}

/* Each pair of sizes, with pauses of all lengths between the rounds. */
static void no_pair_of_sizes_changes_its_order(void)
{
    for (uint32_t a = 0; a < SIZES; a++) {
        test_pair p;
        pair_start(&p);
        for (uint32_t b = 0; b < SIZES; b++) {
            note(&p, 0, 2 * b, sizes[a]);
            note(&p, 0, 2 * b + 1, sizes[b]);
            test_run(&p.cluster, b % 3);
        }
        test_run(&p.cluster, 1000);
        check_numbers(2 * SIZES);
        test_cluster_fini(&p.cluster);
    }
}

static void calls_of_one_subject_are_served_as_they_were_made(void)
{
    test_pair p;
    uint32_t ended = 0;
    pair_start(&p);
    for (uint32_t i = 0; i < SIZES * 2; i++) {
        (void)ask(&p, 7, i, sizes[i % SIZES], ignore_done, &ended);
    }
    test_run(&p.cluster, 2000);
    check_numbers(SIZES * 2);
    DURE_CHECK_EQ(ended, SIZES * 2);
    test_cluster_fini(&p.cluster);
}

/* The other way round: the session is full, small frames wait, a large body comes behind them. */
static void a_large_body_does_not_overtake_small_ones_that_wait(void)
{
    test_pair p;
    uint32_t ended = 0;
    pair_start(&p);
    for (uint32_t i = 0; i < 40; i++) {
        note(&p, 0, i, 20000); /* 800 KiB: most of it waits in its lane */
    }
    note(&p, 0, 40, PART + 1);
    test_run(&p.cluster, 1000);
    check_numbers(41);
    memset(&all, 0, sizeof all);
    for (uint32_t i = 0; i < 40; i++) {
        (void)ask(&p, 7, i, 20000, ignore_done, &ended);
    }
    (void)ask(&p, 7, 40, PART + 1, ignore_done, &ended);
    test_run(&p.cluster, 1000);
    check_numbers(41);
    DURE_CHECK_EQ(ended, 41);
    test_cluster_fini(&p.cluster);
}

static bool is_heard(void *ctx)
{
    return all.count >= *(const uint32_t *)ctx;
}

/* The largest body of one subject: its own small calls wait, those of others pass it. */
static void a_large_body_delays_no_call_of_another_subject(void)
{
    test_pair p;
    uint32_t ended = 0;
    const uint32_t three = 3;
    pair_start(&p);
    (void)ask(&p, 7, 100, 16 * MIB, ignore_done, &ended);
    (void)ask(&p, 7, 101, 40, ignore_done, &ended);
    note(&p, 7, 102, 40);
    (void)ask(&p, 8, 1, 40, ignore_done, &ended);
    (void)ask(&p, 0, 2, 40, ignore_done, &ended);
    note(&p, 9, 3, 40); /* behind a notification that waits */
    const uint64_t before = test_counters_of(p.game).parts_sent;
    const uint32_t two = 2;
    DURE_REQUIRE(dure_sim_run_until(p.cluster.world, is_heard, (void *)(uintptr_t)&two, 1000));
    DURE_CHECK(test_counters_of(p.game).parts_sent - before < 16);
    DURE_CHECK_EQ(all.numbers[0], 1);
    DURE_CHECK_EQ(all.numbers[1], 2);
    DURE_REQUIRE(dure_sim_run_until(p.cluster.world, is_heard, (void *)(uintptr_t)&three, 5000));
    test_run(&p.cluster, 100);
    DURE_CHECK_EQ(all.count, 6);
    DURE_CHECK_EQ(all.numbers[2], 100);
    DURE_CHECK_EQ(all.numbers[3], 101);
    DURE_CHECK_EQ(all.numbers[4], 102);
    DURE_CHECK_EQ(all.numbers[5], 3);
    test_run(&p.cluster, 3000);
    DURE_CHECK_EQ(ended, 4);
    test_cluster_fini(&p.cluster);
}

/* More subjects than any table of them has places. */
static void no_subject_is_taken_for_another(void)
{
    enum { OTHERS = 200 };
    test_pair p;
    uint32_t ended = 0;
    const uint32_t others = OTHERS;
    pair_start(&p);
    (void)ask(&p, 7, OTHERS, 16 * MIB, ignore_done, &ended);
    for (uint32_t i = 0; i < OTHERS; i++) {
        (void)ask(&p, (uint64_t)(i + 100) << 32, i, 40, ignore_done, &ended);
    }
    DURE_REQUIRE(dure_sim_run_until(p.cluster.world, is_heard, (void *)(uintptr_t)&others, 1000));
    DURE_CHECK(test_counters_of(p.game).queued_bytes > 15u * MIB);
    test_run(&p.cluster, 3000);
    check_numbers(OTHERS + 1);
    test_cluster_fini(&p.cluster);
}

static void a_large_notification_delays_no_call(void)
{
    test_pair p;
    uint32_t ended = 0;
    const uint32_t one = 1;
    pair_start(&p);
    note(&p, 7, 100, 16 * MIB);
    note(&p, 8, 101, 40);
    (void)ask(&p, 0, 1, 40, ignore_done, &ended);
    (void)ask(&p, 9, 2, 40, ignore_done, &ended);
    DURE_REQUIRE(dure_sim_run_until(p.cluster.world, is_heard, (void *)(uintptr_t)&one, 1000));
    DURE_CHECK_EQ(all.numbers[0], 1);
    DURE_CHECK(test_counters_of(p.game).queued_bytes > 15u * MIB);
    test_run(&p.cluster, 3000);
    DURE_CHECK_EQ(all.count, 4);
    DURE_CHECK_EQ(all.numbers[1], 2);
    DURE_CHECK_EQ(all.numbers[2], 100);
    DURE_CHECK_EQ(all.numbers[3], 101);
    test_cluster_fini(&p.cluster);
}

/* A small call that waits behind its own large one is taken back, and its time runs. */
static void what_waits_behind_a_large_body_is_a_call_like_any_other(void)
{
    test_pair p;
    test_call taken_back = {0};
    test_call counted = {0};
    uint32_t ended = 0;
    const dure_target target = dure_to_node("db-1");
    const dure_call_options left = {.deadline_ms = 60000, .subject = 7};
    pair_start(&p);
    (void)ask(&p, 7, 0, 16 * MIB, ignore_done, &ended);
    const dure_call_id id = ask(&p, 7, 1, 40, test_on_done, &taken_back);
    (void)ask(&p, 7, 2, 40, ignore_done, &ended);
    DURE_CHECK_OK(dure_rpc_call(p.game->rpc, &target, METHOD_LEFT, &left, body_of(3, 40),
                                test_on_done, &counted, NULL));
    dure_rpc_cancel(p.game->rpc, id);
    test_run(&p.cluster, 5000);
    test_check_ended(&taken_back, DURE_ERR_CANCELLED);
    DURE_CHECK_EQ(ended, 2);
    DURE_CHECK_EQ(all.count, 2);
    DURE_CHECK_EQ(all.numbers[1], 2);
    DURE_CHECK_EQ(test_counters_of(p.game).bodies_dropped, 1);
    DURE_CHECK_OK(counted.status);
    DURE_CHECK(test_number_of(&counted) < 60000);
    DURE_CHECK(test_number_of(&counted) > 50000);
    DURE_CHECK_EQ(test_counters_of(p.game).queued_bytes, 0);
    test_cluster_fini(&p.cluster);
}

/* Small calls that keep the session full all the time do not hold a large body off. */
static void small_calls_starve_no_large_body(void)
{
    test_pair p;
    uint32_t large = 0;
    uint32_t small = 0;
    uint32_t made = 0;
    test_pair_init(&p, NULL);
    (void)ask(&p, 0, 0, 2 * MIB, ignore_done, &large);
    for (int step = 0; step < 20000 && large == 0; step++) {
        while (test_counters_of(p.game).queued_bytes < 4 * MIB) {
            (void)ask(&p, 0, 0, 20000, ignore_done, &small);
            made++;
        }
        dure_sim_step(p.cluster.world);
    }
    DURE_CHECK_EQ(large, 1);
    DURE_CHECK(made > small + 20); /* there were always some */
    test_run(&p.cluster, 5000);
    DURE_CHECK_EQ(small, made);
    test_cluster_fini(&p.cluster);
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Whether each subject's messages, and all notifications, came in the order of their numbers. */
static void check_conversations(void)
{
    uint64_t last_of[SUBJECTS] = {0};
    uint64_t last_note = 0;
    for (uint32_t i = 0; i < all.count; i++) {
        const uint64_t subject = all.subjects[i];
        if (subject != 0) {
            DURE_CHECK(all.numbers[i] > last_of[subject]);
            last_of[subject] = all.numbers[i];
        }
        if (all.is_notify[i]) {
            DURE_CHECK(all.numbers[i] > last_note);
            last_note = all.numbers[i];
        }
    }
}

static void conversations_keep_their_order_in_any_mixture(void)
{
    for (uint32_t seed = 1; seed <= 20; seed++) {
        uint32_t state = seed;
        uint32_t ended = 0;
        uint32_t calls = 0;
        test_pair p;
        pair_start(&p);
        for (uint32_t number = 1; number <= 150; number++) {
            const uint64_t subject = next_random(&state) % SUBJECTS;
            const size_t len = sizes[next_random(&state) % (SIZES - 2)]; /* below the marks */
            if (next_random(&state) % 3 == 0) {
                note(&p, subject, number, len);
            } else {
                (void)ask(&p, subject, number, len, ignore_done, &ended);
                calls++;
            }
            for (uint32_t step = next_random(&state) % 8; step > 0; step--) {
                (void)dure_sim_step(p.cluster.world);
            }
        }
        test_run(&p.cluster, 5000);
        DURE_CHECK_EQ(all.count, 150);
        DURE_CHECK_EQ(ended, calls);
        check_conversations();
        test_cluster_fini(&p.cluster);
    }
}

DURE_SUITE(cluster_order, DURE_TEST(notifications_arrive_as_they_were_sent),
           DURE_TEST(no_pair_of_sizes_changes_its_order),
           DURE_TEST(calls_of_one_subject_are_served_as_they_were_made),
           DURE_TEST(a_large_body_does_not_overtake_small_ones_that_wait),
           DURE_TEST(a_large_body_delays_no_call_of_another_subject),
           DURE_TEST(no_subject_is_taken_for_another),
           DURE_TEST(a_large_notification_delays_no_call),
           DURE_TEST(what_waits_behind_a_large_body_is_a_call_like_any_other),
           DURE_TEST(small_calls_starve_no_large_body),
           DURE_TEST(conversations_keep_their_order_in_any_mixture));
