/* SPDX-License-Identifier: MIT
 *
 * Calls that are made again, request keys on links, and cancelling what has not begun.
 */
#include "base/mem.h"
#include "cluster/cluster_support.h"
#include "cluster/raw_peer.h"
#include "support/check.h"
#include "support/cut_link.h"

static const dure_call_options idempotent = {.method_flags = DURE_METHOD_IDEMPOTENT};
static const dure_call_options keyed = {.method_flags = DURE_METHOD_KEYED};

/* db has the request and does not answer; the link breaks. */
static void call_and_cut(test_pair *p, const dure_call_options *options, test_call *call)
{
    p->db->tally_holds = true;
    test_call_with(p->game, "db-1", METHOD_TALLY, options, call);
    test_run(&p->cluster, 10);
    DURE_REQUIRE(p->db->held != NULL);
    cut_link(p->game->rpc, "db-1");
    p->db->tally_holds = false;
}

/* ---- which calls, and how often ---- */

static void an_idempotent_call_is_made_again_after_a_lost_link(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    call_and_cut(&p, &idempotent, &call);
    test_check_ends(&p.cluster, &call, 1500, DURE_OK);
    DURE_CHECK_EQ(test_number_of(&call), 2);
    DURE_CHECK_EQ(p.db->cancels, 1); /* the first one had lost its caller */
    DURE_CHECK_EQ(test_counters_of(p.game).retries, 1);
    test_cluster_fini(&p.cluster);
}

static void a_call_of_another_method_is_not(void)
{
    test_pair p;
    test_call call;
    const dure_call_options plain = {.method_flags = DURE_METHOD_CLIENT};
    const dure_call_options off = {.method_flags = DURE_METHOD_IDEMPOTENT,
                                   .retry = DURE_RETRY_NEVER};
    test_pair_init(&p, NULL);
    call_and_cut(&p, &plain, &call);
    test_check_ends(&p.cluster, &call, 1500, DURE_ERR_OUTCOME_UNKNOWN);
    call_and_cut(&p, &off, &call);
    test_check_ends(&p.cluster, &call, 1500, DURE_ERR_OUTCOME_UNKNOWN);
    DURE_CHECK_EQ(p.db->runs, 2);
    DURE_CHECK_EQ(test_counters_of(p.game).retries, 0);
    test_cluster_fini(&p.cluster);
}

static void a_busy_callee_is_asked_three_times(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    p.db->fail_with = DURE_ERR_UNAVAILABLE;
    p.db->fails = 2;
    test_call_with(p.game, "db-1", METHOD_TALLY, &idempotent, &call);
    test_check_ends(&p.cluster, &call, 1000, DURE_OK);
    DURE_CHECK_EQ(p.db->runs, 3);
    p.db->fail_with = DURE_ERR_OVERLOADED;
    p.db->fails = 100;
    test_call_with(p.game, "db-1", METHOD_TALLY, &idempotent, &call);
    test_check_ends(&p.cluster, &call, 1000, DURE_ERR_OVERLOADED);
    DURE_CHECK_STR(call.text, "so far"); /* as it came */
    DURE_CHECK_EQ(p.db->runs, 6);
    p.db->fail_with = DURE_ERR_NOT_ENOUGH;
    test_call_with(p.game, "db-1", METHOD_TALLY, &idempotent, &call);
    test_check_ends(&p.cluster, &call, 1000, DURE_ERR_NOT_ENOUGH);
    DURE_CHECK_EQ(p.db->runs, 7);
    test_cluster_fini(&p.cluster);
}

static void a_node_that_is_not_there_is_told_at_once(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    test_node_stop(p.db);
    test_run(&p.cluster, 100);
    test_call_with(p.game, "db-1", METHOD_TALLY, &idempotent, &call);
    test_check_ends(&p.cluster, &call, 1, DURE_ERR_DOWN);
    test_cluster_fini(&p.cluster);
}

static void an_outage_is_not_made_worse(void)
{
    enum { CALLS = 2000 };
    test_pair p;
    static test_call calls[CALLS];
    test_pair_init(&p, NULL);
    p.db->fail_with = DURE_ERR_UNAVAILABLE;
    p.db->fails = 100000;
    for (int i = 0; i < CALLS; i++) {
        test_call_with(p.game, "db-1", METHOD_TALLY, &idempotent, &calls[i]);
    }
    test_run(&p.cluster, 2000);
    for (int i = 0; i < CALLS; i++) {
        test_check_ended(&calls[i], DURE_ERR_UNAVAILABLE);
    }
    /* at most the 100 that could be saved up, and what two seconds add */
    const dure_rpc_counters counters = test_counters_of(p.game);
    DURE_CHECK(counters.retries > 0);
    DURE_CHECK(counters.retries <= 100 + 2 * 10);
    DURE_CHECK(counters.retries_refused > 0);
    DURE_CHECK_EQ(p.db->runs, CALLS + (int)counters.retries);
    test_cluster_fini(&p.cluster);
}

static void tune_off(dure_registry_settings *settings)
{
    settings->call_attempts = 1;
}

static void a_setting_switches_retries_off(void)
{
    test_pair p;
    test_call call;
    dure_registry *registry = test_registry_tuned("test", NULL, tune_off);
    test_pair_init(&p, registry);
    p.db->fail_with = DURE_ERR_UNAVAILABLE;
    p.db->fails = 1;
    test_call_with(p.game, "db-1", METHOD_TALLY, &idempotent, &call);
    test_check_ends(&p.cluster, &call, 1000, DURE_ERR_UNAVAILABLE);
    DURE_CHECK_EQ(p.db->runs, 1);
    test_cluster_fini(&p.cluster);
    dure_registry_destroy(registry);
}

/* ---- what is true ---- */

static void the_outcome_is_true_of_all_attempts(void)
{
    test_pair p;
    test_call call;
    const dure_call_options safe = {.retry = DURE_RETRY_SAFE};
    test_pair_init(&p, NULL);
    p.db->fail_with = DURE_ERR_NOT_ENOUGH;
    call_and_cut(&p, &idempotent, &call);
    p.db->fails = 1;
    /* the first one may have taken it */
    test_check_ends(&p.cluster, &call, 1500, DURE_ERR_OUTCOME_UNKNOWN);
    call_and_cut(&p, &safe, &call);
    p.db->fails = 1;
    /* the callee looked whether it had */
    test_check_ends(&p.cluster, &call, 1500, DURE_ERR_NOT_ENOUGH);
    call_and_cut(&p, &safe, &call);
    p.db->fail_with = DURE_ERR_UNAVAILABLE;
    p.db->fails = 100;
    test_check_ends(&p.cluster, &call, 2500, DURE_ERR_OUTCOME_UNKNOWN); /* it did not look */
    test_cluster_fini(&p.cluster);
}

static void a_callee_that_stays_away_is_told_within_the_deadline(void)
{
    test_pair p;
    test_call call;
    const dure_call_options options = {.method_flags = DURE_METHOD_IDEMPOTENT, .deadline_ms = 3000};
    test_pair_init(&p, NULL);
    p.db->tally_holds = true;
    test_call_with(p.game, "db-1", METHOD_TALLY, &options, &call);
    test_run(&p.cluster, 10);
    test_node_stop(p.db);
    test_run(&p.cluster, 1000);
    DURE_CHECK_EQ(call.count, 0);
    test_check_ends(&p.cluster, &call, 2000, DURE_ERR_OUTCOME_UNKNOWN);
    DURE_CHECK_EQ(dure_rpc_outstanding(p.game->rpc), 0);
    test_cluster_fini(&p.cluster);
}

static void a_call_is_cancelled_between_two_attempts(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    p.db->fail_with = DURE_ERR_UNAVAILABLE;
    p.db->fails = 1;
    const dure_call_id id = test_call_with(p.game, "db-1", METHOD_TALLY, &idempotent, &call);
    test_run(&p.cluster, 20);
    DURE_CHECK_EQ(p.db->runs, 1);
    dure_rpc_cancel(p.game->rpc, id);
    test_check_ends(&p.cluster, &call, 1000, DURE_ERR_CANCELLED);
    DURE_CHECK_EQ(p.db->runs, 1);
    /* and one that its node gives up, closing */
    p.db->fails = 1;
    test_call_with(p.game, "db-1", METHOD_TALLY, &idempotent, &call);
    test_run(&p.cluster, 20);
    test_cluster_fini(&p.cluster);
    test_check_ended(&call, DURE_ERR_UNAVAILABLE);
}

/* ---- request keys ---- */

static void a_keyed_call_joins_the_one_under_way(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    call_and_cut(&p, &keyed, &call);
    test_run(&p.cluster, 1500);
    DURE_CHECK_EQ(call.count, 0);
    DURE_CHECK_EQ(p.db->cancels, 0);
    DURE_CHECK_EQ(test_counters_of(p.db).repeats, 1);
    const uint8_t seven[] = {0x07};
    dure_request_reply(p.db->held, (dure_slice){seven, sizeof seven});
    test_check_ends(&p.cluster, &call, 100, DURE_OK);
    DURE_CHECK_EQ(test_number_of(&call), 7);
    DURE_CHECK_EQ(p.db->runs, 1);
    DURE_CHECK_EQ(dure_rpc_serving(p.db->rpc), 0);
    test_cluster_fini(&p.cluster);
}

/* That a key is too old says nothing of what became of the attempt that used it first. */
static void a_key_that_is_too_old_tells_nothing(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    call_and_cut(&p, &keyed, &call);
    test_run(&p.cluster, 1500);
    DURE_REQUIRE(p.db->held != NULL);
    dure_request_fail(p.db->held, DURE_ERR_TOO_OLD, "so it is");
    test_check_ends(&p.cluster, &call, 100, DURE_ERR_OUTCOME_UNKNOWN);
    test_cluster_fini(&p.cluster);
}

typedef struct moments {
    const dure_sim_world *world;
    uint64_t ms[200];
    uint32_t count;
} moments;

static void note_moment(void *ctx, const dure_request *request)
{
    moments *m = ctx;
    (void)request;
    DURE_REQUIRE(m->count < DURE_COUNT_OF(m->ms));
    m->ms[m->count++] = dure_sim_now_ns(m->world) / 1000000u;
}

/* A callee that refused many at once is not asked by all of them at once again. */
static void calls_that_failed_together_are_not_made_again_together(void)
{
    enum { CALLS = 40 };
    static test_call calls[CALLS];
    test_pair p;
    moments again = {.count = 0};
    test_pair_init(&p, NULL);
    test_run(&p.cluster, 10000); /* the budget is saved up */
    p.db->fail_with = DURE_ERR_UNAVAILABLE;
    p.db->fails = CALLS;
    for (int i = 0; i < CALLS; i++) {
        test_call_with(p.game, "db-1", METHOD_TALLY, &idempotent, &calls[i]);
    }
    test_run(&p.cluster, 2);
    DURE_REQUIRE(p.db->runs == CALLS);
    again.world = p.cluster.world;
    p.db->on_served = note_moment;
    p.db->served_ctx = &again;
    const uint64_t start_ms = dure_sim_now_ns(p.cluster.world) / 1000000u;
    test_run(&p.cluster, 1000);
    DURE_CHECK_EQ(again.count, CALLS);
    uint32_t moments_apart = 0;
    for (uint32_t i = 0; i < again.count; i++) {
        DURE_CHECK(again.ms[i] - start_ms + 2 >= 50);
        DURE_CHECK(again.ms[i] - start_ms <= 150 + 2);
        moments_apart += i > 0 && again.ms[i] != again.ms[i - 1];
    }
    DURE_CHECK(moments_apart > CALLS / 2);
    test_cluster_fini(&p.cluster);
}

static void a_keyed_call_gets_the_answer_that_was_lost(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    p.db->tally_holds = true;
    test_call_with(p.game, "db-1", METHOD_TALLY, &keyed, &call);
    test_run(&p.cluster, 10);
    const uint8_t seven[] = {0x07};
    dure_request_reply(p.db->held, (dure_slice){seven, sizeof seven});
    cut_link(p.game->rpc, "db-1"); /* before it has come */
    test_check_ends(&p.cluster, &call, 1500, DURE_OK);
    DURE_CHECK_EQ(test_number_of(&call), 7);
    DURE_CHECK_EQ(p.db->runs, 1);
    test_cluster_fini(&p.cluster);
}

static void another_process_is_not_asked_under_a_key(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    p.db->tally_holds = true;
    test_call_with(p.game, "db-1", METHOD_TALLY, &keyed, &call);
    test_run(&p.cluster, 10);
    test_node_stop(p.db);
    p.db = test_node_start(&p.cluster, "db-1", NULL);
    test_run(&p.cluster, 3000);
    DURE_CHECK_EQ(p.game->up, 2);
    test_check_ended(&call, DURE_ERR_OUTCOME_UNKNOWN);
    DURE_CHECK_EQ(p.db->runs, 0);
    DURE_CHECK_EQ(test_counters_of(p.game).retries, 0);
    test_cluster_fini(&p.cluster);
}

static void another_process_is_asked_where_it_keeps_the_key_too(void)
{
    test_pair p;
    test_call call;
    const dure_call_options options = {.method_flags = DURE_METHOD_KEYED, .retry = DURE_RETRY_SAFE};
    test_pair_init(&p, NULL);
    p.db->tally_holds = true;
    test_call_with(p.game, "db-1", METHOD_TALLY, &options, &call);
    test_run(&p.cluster, 10);
    test_node_stop(p.db);
    p.db = test_node_start(&p.cluster, "db-1", NULL);
    test_check_ends(&p.cluster, &call, 3000, DURE_OK);
    DURE_CHECK_EQ(p.db->runs, 1);
    test_cluster_fini(&p.cluster);
}

/* The other node of the role would do it a second time. */
static void a_keyed_call_to_a_role_stays_with_the_node_that_may_have_run_it(void)
{
    test_cluster cluster;
    test_call call = {0};
    const dure_target games = dure_to_role("game");
    test_cluster_init(&cluster, NULL);
    test_node *first = test_node_start(&cluster, "game-1", NULL);
    test_node *second = test_node_start(&cluster, "game-2", NULL);
    test_node *gateway = test_node_start(&cluster, "gateway-1", NULL);
    test_run(&cluster, 1000);
    first->tally_holds = true;
    second->tally_holds = true;
    DURE_REQUIRE_OK(dure_rpc_call(gateway->rpc, &games, METHOD_TALLY, &keyed, (dure_slice){NULL, 0},
                                  test_on_done, &call, NULL));
    test_run(&cluster, 10);
    test_node *asked = first->held != NULL ? first : second;
    DURE_REQUIRE(asked->held != NULL);
    cut_link(gateway->rpc, asked->id);
    test_run(&cluster, 1500);
    DURE_CHECK_EQ(first->runs + second->runs, 1);
    DURE_REQUIRE(asked->held != NULL);
    dure_request_fail(asked->held, DURE_ERR_NOT_ENOUGH, "only 3 left");
    test_check_ends(&cluster, &call, 100, DURE_ERR_NOT_ENOUGH);
    DURE_CHECK_EQ(test_counters_of(gateway).retries, 1);
    test_cluster_fini(&cluster);
}

/* A body is kept for the next attempt, and many large ones might be. */
static void bodies_are_kept_up_to_a_bound(void)
{
    enum { CALLS = 20, KEPT = 18, BODY = 900000 }; /* 18 of them fit into 16 MiB */
    static uint8_t bytes[BODY] = {0xc6, 0, (BODY - 5) >> 16, ((BODY - 5) >> 8) & 0xff,
                                  (BODY - 5) & 0xff};
    static test_call calls[CALLS];
    const dure_target target = dure_to_node("db-1");
    const dure_slice body = {bytes, BODY};
    test_pair p;
    test_pair_init(&p, NULL);
    test_run(&p.cluster, 10000); /* the budget is saved up */
    for (int round = 0; round < 2; round++) {
        memset(calls, 0, sizeof calls);
        p.db->fail_with = DURE_ERR_UNAVAILABLE;
        p.db->fails = CALLS;
        for (int i = 0; i < CALLS; i++) {
            DURE_REQUIRE_OK(dure_rpc_call(p.db->rpc, &target, METHOD_TALLY, &idempotent, body,
                                          test_on_done, &calls[i], NULL));
        }
        test_run(&p.cluster, 10000);
        for (int i = 0; i < CALLS; i++) {
            test_check_ended(&calls[i], i < KEPT ? DURE_OK : DURE_ERR_UNAVAILABLE);
        }
    }
    DURE_CHECK_EQ(test_counters_of(p.db).retries, 2 * KEPT);
    test_cluster_fini(&p.cluster);
}

static void what_did_not_happen_may_be_tried_under_its_key(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    p.db->fail_with = DURE_ERR_UNAVAILABLE;
    p.db->fails = 1;
    test_call_with(p.game, "db-1", METHOD_TALLY, &keyed, &call);
    test_check_ends(&p.cluster, &call, 1000, DURE_OK);
    DURE_CHECK_EQ(p.db->runs, 2);
    test_cluster_fini(&p.cluster);
}

static dure_err call_under(test_pair *p, dure_request_key *key, uint64_t subject, test_call *call)
{
    const dure_call_options options = {.key = key, .subject = subject, .retry = DURE_RETRY_NEVER};
    test_call_with(p->game, "db-1", METHOD_TALLY, &options, call);
    test_run(&p->cluster, 100);
    DURE_CHECK_EQ(call->count, 1);
    return call->status;
}

static void a_key_stands_for_one_request_for_two_minutes(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    dure_request_key key = dure_rpc_new_key(p.game->rpc);
    dure_request_key other = dure_rpc_new_key(p.game->rpc);
    DURE_CHECK_OK(call_under(&p, &key, 1, &call));
    DURE_CHECK_OK(call_under(&p, &key, 1, &call));
    DURE_CHECK_EQ(test_number_of(&call), 1);
    DURE_CHECK_ERR(call_under(&p, &key, 2, &call), DURE_ERR_MISMATCH);
    DURE_CHECK_EQ(p.db->runs, 1);
    test_run(&p.cluster, 119000);
    DURE_CHECK_OK(call_under(&p, &key, 1, &call));
    DURE_CHECK_EQ(p.db->runs, 1);
    test_run(&p.cluster, 1000);
    DURE_CHECK_ERR(call_under(&p, &key, 1, &call), DURE_ERR_TOO_OLD);
    DURE_CHECK_EQ(p.db->runs, 1);
    DURE_CHECK_OK(call_under(&p, &other, 1, &call)); /* newer than any that was forgotten */
    DURE_CHECK_EQ(p.db->runs, 2);
    /* db is another process now: it cannot know */
    test_node_stop(p.db);
    p.db = test_node_start(&p.cluster, "db-1", NULL);
    test_run(&p.cluster, 3000);
    DURE_CHECK_ERR(call_under(&p, &other, 1, &call), DURE_ERR_TOO_OLD);
    DURE_CHECK_EQ(p.db->runs, 0);
    test_cluster_fini(&p.cluster);
}

static void a_node_keeps_to_the_keys_of_its_own_calls(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    dure_request_key key = dure_rpc_new_key(p.db->rpc);
    const dure_call_options options = {.key = &key};
    test_call_with(p.db, "db-1", METHOD_TALLY, &options, &call);
    test_check_ends(&p.cluster, &call, 1, DURE_OK);
    test_call_with(p.db, "db-1", METHOD_TALLY, &options, &call);
    test_check_ends(&p.cluster, &call, 1, DURE_OK);
    DURE_CHECK_EQ(test_number_of(&call), 1);
    DURE_CHECK_EQ(p.db->runs, 1);
    test_cluster_fini(&p.cluster);
}

static void two_calls_of_one_key_get_one_answer(void)
{
    test_pair p;
    test_call first;
    test_call second;
    test_pair_init(&p, NULL);
    dure_request_key key = dure_rpc_new_key(p.game->rpc);
    const dure_call_options options = {.key = &key};
    p.db->tally_holds = true;
    const dure_call_id id = test_call_with(p.game, "db-1", METHOD_TALLY, &options, &first);
    test_run(&p.cluster, 10);
    test_call_with(p.game, "db-1", METHOD_TALLY, &options, &second);
    test_run(&p.cluster, 10);
    dure_rpc_cancel(p.game->rpc, id); /* the other one still wants it */
    test_check_ends(&p.cluster, &first, 10, DURE_ERR_CANCELLED);
    DURE_CHECK_EQ(p.db->cancels, 0);
    DURE_REQUIRE(p.db->held != NULL);
    dure_request_fail(p.db->held, DURE_ERR_NOT_ENOUGH, "only 3 left");
    test_check_ends(&p.cluster, &second, 10, DURE_ERR_NOT_ENOUGH);
    DURE_CHECK_STR(second.text, "only 3 left");
    DURE_CHECK_EQ(p.db->runs, 1);
    test_cluster_fini(&p.cluster);
}

/* Every allocation of a keyed call, of its repetition and of its memory fails once. */
static void without_memory_a_keyed_call_ends_once_and_runs_once(void)
{
    for (size_t n = 1; n < 60; n++) {
        test_pair p;
        test_call call = {0};
        const dure_target target = dure_to_node("db-1");
        const dure_slice nil = {NULL, 0};
        test_pair_init(&p, NULL);
        dure_mem_fail_nth(n);
        const dure_err err = dure_rpc_call(p.game->rpc, &target, METHOD_TALLY, &keyed, nil,
                                           test_on_done, &call, NULL);
        test_run(&p.cluster, 1);
        cut_link(p.game->rpc, "db-1");
        test_run(&p.cluster, 6000);
        dure_mem_fail_nth(0);
        DURE_CHECK_EQ(call.count, err == DURE_OK ? 1 : 0);
        DURE_CHECK(p.db->runs <= 1);
        DURE_CHECK(call.status != DURE_OK || call.count == 0 || p.db->runs == 1);
        test_cluster_fini(&p.cluster);
    }
}

/* ---- cancelling ---- */

static void what_was_asked_for_a_request_is_cancelled_with_it(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    test_node *gateway = test_node_start(&p.cluster, "gateway-1", NULL);
    test_run(&p.cluster, 1000);
    const dure_call_id id = test_call_node(gateway, "game-1", METHOD_HOP_HOLD, 0, &call);
    test_run(&p.cluster, 10);
    DURE_REQUIRE(p.db->held != NULL);
    dure_rpc_cancel(gateway->rpc, id);
    test_check_ends(&p.cluster, &call, 10, DURE_ERR_CANCELLED);
    DURE_CHECK_EQ(p.db->cancels, 1);
    DURE_CHECK_EQ(dure_rpc_outstanding(p.game->rpc), 0);
    DURE_CHECK_EQ(dure_rpc_serving(p.game->rpc), 0);
    /* the same with a client that goes: its gateway's link here */
    test_call_node(gateway, "game-1", METHOD_HOP_HOLD, 0, &call);
    test_run(&p.cluster, 10);
    cut_link(gateway->rpc, "game-1");
    test_run(&p.cluster, 10);
    DURE_CHECK_EQ(p.db->cancels, 2);
    test_cluster_fini(&p.cluster);
}

static void what_is_cancelled_in_the_queue_is_not_begun(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    const dure_call_id id = test_call_with(p.db, "db-1", METHOD_TALLY, NULL, &call);
    dure_rpc_cancel(p.db->rpc, id);
    test_check_ends(&p.cluster, &call, 10, DURE_ERR_CANCELLED);
    DURE_CHECK_EQ(p.db->runs, 0);
    DURE_CHECK_EQ(test_counters_of(p.db).not_begun, 1);
    test_cluster_fini(&p.cluster);
}

static void a_request_that_comes_with_its_cancel_is_not_begun(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    const dure_call_id id = test_call_node(p.game, "db-1", METHOD_TALLY, 0, &call);
    dure_rpc_cancel(p.game->rpc, id); /* both leave together */
    test_check_ends(&p.cluster, &call, 100, DURE_ERR_CANCELLED);
    DURE_CHECK_EQ(p.db->runs, 0);
    DURE_CHECK_EQ(test_counters_of(p.db).not_begun, 1);
    test_cluster_fini(&p.cluster);
}

static void the_time_left_is_counted_while_a_request_waits_to_be_sent(void)
{
    enum { NOTES = 220, BODY = 32000 };
    static uint8_t bytes[BODY] = {0xc5, (BODY - 3) >> 8, (BODY - 3) & 0xff};
    const dure_target target = dure_to_node("db-1");
    const dure_slice body = {bytes, BODY};
    test_pair p;
    test_call late;
    test_call left;
    test_pair_init(&p, NULL);
    for (int i = 0; i < NOTES; i++) { /* 7 MB: some milliseconds of the simulated network */
        DURE_REQUIRE_OK(dure_rpc_notify(p.game->rpc, &target, METHOD_NOTE, 0, body));
    }
    test_call_node(p.game, "db-1", METHOD_TALLY, 1, &late);
    test_call_node(p.game, "db-1", METHOD_LEFT, 1000, &left);
    test_check_ends(&p.cluster, &late, 1000, DURE_ERR_DEADLINE);
    DURE_CHECK_EQ(p.db->runs, 0);
    DURE_CHECK_EQ(test_counters_of(p.db).not_begun, 0); /* it was not even sent */
    test_check_ended(&left, DURE_OK);
    DURE_CHECK(test_number_of(&left) < 999 && test_number_of(&left) > 900);
    DURE_CHECK_EQ(p.db->notes, NOTES);
    test_cluster_fini(&p.cluster);
}

/* ---- answers behind the end of a connection ---- */

static void answers_behind_a_goaway_are_counted_apart(void)
{
    test_cluster cluster;
    raw_peer raw = {.say = NULL};
    dure_buf say;
    const uint8_t nil[] = {0xc0};
    const uint8_t goodbye[] = {0x93, 0xa6, 'G', 'O', 'A', 'W', 'A', 'Y', 0xa0, 0x00};
    const dure_frame goaway = {.kind = DURE_FRAME_GOAWAY, .body = {goodbye, sizeof goodbye}};
    const dure_frame answer = {.kind = DURE_FRAME_RESPONSE, .id = 9, .body = {nil, sizeof nil}};
    test_cluster_init(&cluster, NULL);
    test_node *db = test_node_start(&cluster, "db-1", NULL);
    raw_write_hello(&cluster, &say);
    DURE_REQUIRE_OK(dure_frame_encode(&say, &answer)); /* late: to a call that never was */
    DURE_REQUIRE_OK(dure_frame_encode(&say, &goaway));
    DURE_REQUIRE_OK(dure_frame_encode(&say, &answer));
    DURE_REQUIRE_OK(dure_frame_encode(&say, &answer));
    raw.say = say.data;
    raw.say_len = say.len;
    raw_start(&raw, &cluster);
    test_run(&cluster, 1000);
    DURE_CHECK_EQ(test_counters_of(db).late_answers, 1);
    DURE_CHECK_EQ(test_counters_of(db).stale_answers, 2);
    raw_stop(&raw, &cluster);
    dure_buf_fini(&say);
    test_cluster_fini(&cluster);
}

DURE_SUITE(cluster_retry, DURE_TEST(a_key_that_is_too_old_tells_nothing),
           DURE_TEST(calls_that_failed_together_are_not_made_again_together),
           DURE_TEST(an_idempotent_call_is_made_again_after_a_lost_link),
           DURE_TEST(a_call_of_another_method_is_not),
           DURE_TEST(a_busy_callee_is_asked_three_times),
           DURE_TEST(a_node_that_is_not_there_is_told_at_once),
           DURE_TEST(an_outage_is_not_made_worse), DURE_TEST(a_setting_switches_retries_off),
           DURE_TEST(the_outcome_is_true_of_all_attempts),
           DURE_TEST(a_callee_that_stays_away_is_told_within_the_deadline),
           DURE_TEST(a_call_is_cancelled_between_two_attempts),
           DURE_TEST(a_keyed_call_joins_the_one_under_way),
           DURE_TEST(a_keyed_call_gets_the_answer_that_was_lost),
           DURE_TEST(another_process_is_not_asked_under_a_key),
           DURE_TEST(another_process_is_asked_where_it_keeps_the_key_too),
           DURE_TEST(a_keyed_call_to_a_role_stays_with_the_node_that_may_have_run_it),
           DURE_TEST(bodies_are_kept_up_to_a_bound),
           DURE_TEST(what_did_not_happen_may_be_tried_under_its_key),
           DURE_TEST(a_key_stands_for_one_request_for_two_minutes),
           DURE_TEST(a_node_keeps_to_the_keys_of_its_own_calls),
           DURE_TEST(two_calls_of_one_key_get_one_answer),
           DURE_TEST(without_memory_a_keyed_call_ends_once_and_runs_once),
           DURE_TEST(what_was_asked_for_a_request_is_cancelled_with_it),
           DURE_TEST(what_is_cancelled_in_the_queue_is_not_begun),
           DURE_TEST(a_request_that_comes_with_its_cancel_is_not_begun),
           DURE_TEST(the_time_left_is_counted_while_a_request_waits_to_be_sent),
           DURE_TEST(answers_behind_a_goaway_are_counted_apart));
