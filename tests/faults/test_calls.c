/* SPDX-License-Identifier: MIT
 *
 * Calls while the node that they need is held where it is, or cannot be heard: a gift that was on
 * its way is made again by the nodes themselves and takes effect once, with a key of its giver's
 * and without.
 */
#include "clusters.h"
#include "harness/harness.h"
#include "node/process.h"
#include "support/check.h"

#define GONE_MS   3000u /* heartbeats of 200 ms, silence of 1,000 ms */
#define ANSWER_MS 9000u

static void hold(dure_harness *h)
{
    dure_harness_suspend(h, "db-1");
}

static void let_go(dure_harness *h)
{
    dure_harness_continue(h, "db-1");
}

/* What is asked of db arrives and is done; no answer comes. */
static void mute(dure_harness *h)
{
    dure_harness_link_fault(h, "game-1", "db-1", "one-way to-client");
}

static void heal(dure_harness *h)
{
    dure_harness_link_fault(h, "game-1", "db-1", "heal");
}

/* Gives 5 during a fault that lasts longer than the link does. */
static void give_during(dure_harness *h, dure_harness_client *ada, void (*begin)(dure_harness *h),
                        void (*end)(dure_harness *h), const char *params, const char *expected)
{
    dure_harness_answer answer;
    uint64_t retries = 0;
    uint64_t before = 0;
    dure_harness_counter(h, "game-1", "links.retries", &before);
    begin(h);
    dure_harness_begin(ada, "give", params);
    dure_harness_wait_link(h, "game-1", "db-1", false, GONE_MS);
    end(h);
    dure_harness_finish(ada, ANSWER_MS, &answer);
    dure_harness_check(
        h, !answer.is_error && answer.json != NULL && strcmp(answer.json, expected) == 0,
        answer.json != NULL ? answer.json : "there is no answer");
    dure_harness_counter(h, "game-1", "links.retries", &retries);
    dure_harness_check(h, retries > before, "the gift was asked for again");
    dure_harness_wait_linked(h, 10000);
}

static void give_all(dure_harness *h, void *ctx)
{
    (void)ctx;
    dure_harness_client *bob = dure_harness_login(h, "gateway-1", "bob");
    dure_harness_client *ada = dure_harness_login(h, "gateway-1", "ada");
    dure_harness_call_until_ok(ada, "whoami", "[]", 5000);
    give_during(h, ada, hold, let_go, "[\"bob\", \"gold\", 5, \"once\"]", "{\"balance\":95}");
    give_during(h, ada, hold, let_go, "[\"bob\", \"gold\", 5]", "{\"balance\":90}");
    give_during(h, ada, mute, heal, "[\"bob\", \"gold\", 5, \"too\"]", "{\"balance\":85}");
    give_during(h, ada, mute, heal, "[\"bob\", \"gold\", 5]", "{\"balance\":80}");
    dure_harness_wait_counter(h, "db-1", "links.repeats", 2, 1000);
    /* and what the giver itself repeats */
    dure_harness_expect(ada, "give", "[\"bob\", \"gold\", 5, \"once\"]", "{\"balance\":95}");
    dure_harness_expect_error(ada, "give", "[\"bob\", \"gold\", 6, \"once\"]", "MISMATCH");
    dure_harness_expect(ada, "inventory", "[]", "{\"gold\":80}");
    dure_harness_expect(bob, "inventory", "[]", "{\"gold\":120}");
}

static void a_gift_is_made_again_by_the_nodes_and_takes_effect_once(void)
{
    const dure_harness_config config = {
        .json = CLUSTER_OF_THREE("\"heartbeat_ms\": 200, \"peer_timeout_ms\": 1000,"
                                 " \"call_deadline_ms\": 8000,")};
    DURE_CHECK_EQ(dure_harness_run(&config, give_all, NULL), 0);
}

/* db has done the gift and dies before it can say so; another process takes its place. */
static void heal_with_another(dure_harness *h)
{
    dure_harness_kill(h, "db-1");
    heal(h);
    dure_harness_start(h, "db-1");
}

static void give_to_another_process(dure_harness *h, void *ctx)
{
    dure_harness_answer answer;
    (void)ctx;
    dure_harness_client *bob = dure_harness_login(h, "gateway-1", "bob");
    dure_harness_client *ada = dure_harness_login(h, "gateway-1", "ada");
    dure_harness_call_until_ok(ada, "whoami", "[]", 5000);
    /* The key is a row, which the new process finds. */
    give_during(h, ada, mute, heal_with_another, "[\"bob\", \"gold\", 5, \"once\"]",
                "{\"balance\":95}");
    dure_harness_call_until_ok(ada, "inventory", "[]", 5000);
    /* Without one only the process that is gone could tell. */
    mute(h);
    dure_harness_begin(ada, "give", "[\"bob\", \"gold\", 5]");
    dure_harness_wait_link(h, "game-1", "db-1", false, GONE_MS);
    heal_with_another(h);
    dure_harness_finish(ada, ANSWER_MS, &answer);
    dure_harness_check(h, strcmp(answer.error, "OUTCOME_UNKNOWN") == 0,
                       answer.json != NULL ? answer.json : "there is no answer");
    dure_harness_wait_linked(h, 10000);
    dure_harness_call_until_ok(ada, "inventory", "[]", 5000);
    dure_harness_expect(ada, "inventory", "[]", "{\"gold\":90}");
    dure_harness_call_until_ok(bob, "inventory", "[]", 5000);
    dure_harness_expect(bob, "inventory", "[]", "{\"gold\":110}");
}

static void another_process_knows_the_keys_that_are_rows(void)
{
    const dure_harness_config config = {
        .json = CLUSTER_OF_THREE("\"heartbeat_ms\": 200, \"peer_timeout_ms\": 1000,"
                                 " \"call_deadline_ms\": 8000,")};
    DURE_CHECK_EQ(dure_harness_run(&config, give_to_another_process, NULL), 0);
}

/* db is held for longer than the gift may take, and hears of both its beginning and its end at
 * once. */
static void give_too_late(dure_harness *h, void *ctx)
{
    (void)ctx;
    dure_harness_client *bob = dure_harness_login(h, "gateway-1", "bob");
    dure_harness_client *ada = dure_harness_login(h, "gateway-1", "ada");
    dure_harness_call_until_ok(ada, "whoami", "[]", 5000);
    hold(h);
    dure_harness_expect_error(ada, "give", "[\"bob\", \"gold\", 5]", "DEADLINE");
    /* Its answer comes behind the cancel, on the link between gateway and game. */
    dure_harness_call_until_ok(ada, "whoami", "[]", 5000);
    let_go(h);
    dure_harness_wait_counter(h, "db-1", "links.not_begun", 1, 5000);
    dure_harness_expect(ada, "inventory", "[]", "{\"gold\":100}");
    dure_harness_expect(bob, "inventory", "[]", "{\"gold\":100}");
}

static void what_its_caller_gave_up_during_a_pause_is_not_begun(void)
{
    const dure_harness_config config = {.json = CLUSTER_OF_THREE("\"call_deadline_ms\": 1000,")};
    DURE_CHECK_EQ(dure_harness_run(&config, give_too_late, NULL), 0);
}

DURE_SUITE(faults_calls, DURE_TEST(a_gift_is_made_again_by_the_nodes_and_takes_effect_once),
           DURE_TEST(another_process_knows_the_keys_that_are_rows),
           DURE_TEST(what_its_caller_gave_up_during_a_pause_is_not_begun));
