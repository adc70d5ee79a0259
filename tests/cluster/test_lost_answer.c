/* SPDX-License-Identifier: MIT
 *
 * An answer that is lost, for want of memory say: its caller is never told that the call had not
 * begun, however the callee ends afterwards. Each allocation from the call on fails in turn.
 */
#include "base/mem.h"
#include "cluster/cluster_support.h"
#include "cluster/link_lanes.h"
#include "support/check.h"

#define BODY_MAX  (DURE_LANES_PART_BYTES + 10u)
#define FAILS_MAX 40u /* more allocations than a call takes */

typedef struct outcome {
    int count;
    dure_err status;
    dure_err_class class_of;
} outcome;

static void on_done(void *ctx, const dure_outcome *told)
{
    outcome *out = ctx;
    out->count++;
    out->status = told->status;
    out->class_of = dure_err_class_of(told->status);
}

static void count_served(void *ctx, const dure_request *request)
{
    (void)request;
    *(int *)ctx += 1;
}

/* A bin of len bytes in all. */
static dure_slice body_of(size_t len)
{
    static uint8_t bytes[BODY_MAX];
    DURE_REQUIRE(len >= 5 && len <= sizeof bytes);
    bytes[0] = 0xc6;
    bytes[1] = bytes[2] = 0;
    bytes[3] = (uint8_t)((len - 5) >> 8);
    bytes[4] = (uint8_t)((len - 5) & 0xff);
    return (dure_slice){bytes, len};
}

typedef struct sweep {
    size_t bytes;
    uint32_t method;
    bool is_warm;   /* the buffers of both have been used before */
    bool is_closed; /* the callee ends gracefully at once */
} sweep;

/* One call, the nth allocation of which fails; how many were made is not known before. */
static void run_one(const sweep *s, uint32_t nth)
{
    test_pair p;
    outcome out = {0};
    test_call warm;
    int served = 0;
    const dure_target target = dure_to_node("db-1");
    test_pair_init(&p, NULL);
    if (s->is_warm) {
        test_call_node(p.game, "db-1", METHOD_ECHO, 0, &warm);
        test_check_ends(&p.cluster, &warm, 100, DURE_OK);
    }
    p.db->on_served = count_served;
    p.db->served_ctx = &served;
    dure_mem_fail_nth(nth);
    const dure_err err = dure_rpc_call(p.game->rpc, &target, s->method, NULL, body_of(s->bytes),
                                       on_done, &out, NULL);
    for (int step = 0; step < 500 && p.db->down == 0 && served == 0; step++) {
        (void)dure_sim_step(p.cluster.world);
    }
    dure_mem_fail_nth(0);
    if (s->is_closed) {
        dure_rpc_close(p.db->rpc);
    }
    test_run(&p.cluster, 2000); /* before its deadline */
    DURE_CHECK_EQ(out.count, err == DURE_OK ? 1 : 0);
    DURE_CHECK(served <= 1);
    if (served == 1) {
        DURE_CHECK(out.status == DURE_OK || out.class_of == DURE_ERR_CLASS_UNKNOWN);
    }
    test_cluster_fini(&p.cluster);
}

static void run_sweep(const sweep *s)
{
    for (uint32_t nth = 1; nth <= FAILS_MAX; nth++) {
        run_one(s, nth);
    }
    sweep backwards = *s;
    backwards.is_warm = true;
    for (uint32_t nth = FAILS_MAX; nth > 0; nth--) {
        run_one(&backwards, nth);
    }
}

static void no_lost_answer_is_told_as_not_begun(void)
{
    static const size_t sizes[] = {20000, 40, DURE_LANES_PART_BYTES + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const sweep closes = {.bytes = sizes[i], .method = METHOD_ECHO, .is_closed = true};
        const sweep stays = {.bytes = sizes[i], .method = METHOD_ECHO};
        run_sweep(&closes);
        run_sweep(&stays);
    }
}

static void lose_the_answer(void *ctx, const dure_request *request)
{
    (void)request;
    *(int *)ctx += 1;
    dure_mem_fail_nth(1); /* the buffer of the answer */
}

/* Two requests in one piece of bytes: no answer can leave any more, so the second is not begun. */
static void behind_a_lost_answer_nothing_is_begun(void)
{
    test_pair p;
    test_call first;
    test_call second;
    int served = 0;
    test_pair_init(&p, NULL);
    p.db->on_served = lose_the_answer;
    p.db->served_ctx = &served;
    test_call_node(p.game, "db-1", METHOD_ECHO, 0, &first);
    test_call_node(p.game, "db-1", METHOD_ECHO, 0, &second);
    test_run(&p.cluster, 100);
    dure_mem_fail_nth(0);
    test_check_ended(&first, DURE_ERR_OUTCOME_UNKNOWN);
    test_check_ended(&second, DURE_ERR_OUTCOME_UNKNOWN);
    DURE_CHECK_EQ(served, 1);
    DURE_CHECK_EQ(p.db->down, 1);
    DURE_CHECK_ERR(p.db->down_cause, DURE_ERR_NO_MEMORY);
    test_cluster_fini(&p.cluster);
}

DURE_SUITE(cluster_lost_answer, DURE_TEST(no_lost_answer_is_told_as_not_begun),
           DURE_TEST(behind_a_lost_answer_nothing_is_begun));
