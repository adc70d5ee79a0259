/* SPDX-License-Identifier: MIT
 *
 * A link that is reset in the middle of a frame: it is dialled again, and the call that it carried
 * ends with the truth. A gift under a key is made while the link from game to db breaks after a
 * certain byte of the request, or of the answer. What the giver is told must fit what is found
 * afterwards, and the same gift once more must end as given once.
 */
#include "base/compiler.h"
#include "clusters.h"
#include "harness/harness.h"
#include "support/check.h"

typedef struct gifts {
    unsigned ok;
    unsigned unknown;
    unsigned unavailable;
    unsigned gold; /* that ada has, for sure */
} gifts;

/* How many bytes have gone each way on the link's present connection. The link is up. */
static void measure(dure_harness *h, uint64_t out_bytes[2])
{
    dure_fault_counters before;
    dure_fault_counters after;
    dure_harness_link_fault(h, "game-1", "db-1", "cut");
    dure_harness_wait_link(h, "game-1", "db-1", false, 5000);
    dure_harness_wait_link(h, "db-1", "game-1", false, 5000);
    dure_harness_link_counters(h, "game-1", "db-1", &before);
    dure_harness_link_fault(h, "game-1", "db-1", "heal");
    dure_harness_wait_linked(h, 10000);
    dure_harness_link_counters(h, "game-1", "db-1", &after);
    out_bytes[0] = after.bytes[0] - before.bytes[0];
    out_bytes[1] = after.bytes[1] - before.bytes[1];
}

/* The gold of ada, as db has it. */
static bool has_gold(dure_harness *h, dure_harness_client *ada, unsigned gold)
{
    char wanted[64];
    const char *found = dure_harness_call(ada, "inventory", "[]", 5000);
    (void)snprintf(wanted, sizeof wanted, "{\"gold\":%u}", gold);
    return found != NULL && dure_harness_failure(h) == NULL && strcmp(found, wanted) == 0;
}

static void check_truth(dure_harness *h, dure_harness_client *ada, gifts *seen, const char *params)
{
    dure_harness_answer answer;
    dure_harness_begin(ada, "give", params);
    if (!dure_harness_finish(ada, 10000, &answer)) {
        return;
    }
    bool is_ok = answer.status == DURE_OK && !answer.is_error;
    bool is_unknown = strcmp(answer.error, "OUTCOME_UNKNOWN") == 0;
    bool is_unavailable = strcmp(answer.error, "UNAVAILABLE") == 0;
    if (!is_ok && !is_unknown && !is_unavailable) {
        (void)dure_harness_fail(h, "give %s: %s %s", params, dure_err_name(answer.status),
                                answer.json);
    }
    dure_harness_link_fault(h, "game-1", "db-1", "heal"); /* later connections are whole */
    dure_harness_wait_linked(h, 10000);
    dure_harness_call_until_ok(ada, "inventory", "[]", 5000);
    bool was_given = has_gold(h, ada, seen->gold - 1);
    bool was_not = !was_given && has_gold(h, ada, seen->gold);
    dure_harness_check(h, was_given || was_not, "the gift was made once, or not at all");
    dure_harness_check(h, !is_ok || was_given, "what was acknowledged is there");
    dure_harness_check(h, !is_unavailable || was_not, "what was not sent is not there");
    dure_harness_call_until_ok(ada, "give", params, 5000);
    dure_harness_check(h, has_gold(h, ada, --seen->gold), "the same gift again counts once");
    seen->ok += is_ok ? 1 : 0;
    seen->unknown += is_unknown ? 1 : 0;
    seen->unavailable += is_unavailable ? 1 : 0;
}

static void give_while_it_breaks(dure_harness *h, void *ctx)
{
    /* Into the header of a frame, at its end, into its body, and behind it. */
    static const unsigned offsets[] = {1, 17, 32, 33, 50};
    static const char *const ways[] = {"to-server", "to-client"};
    gifts *seen = ctx;
    dure_fault_counters counters;
    dure_harness_client *ada = dure_harness_login(h, "gateway-1", "ada");
    dure_harness_login(h, "gateway-1", "bob");
    seen->gold = 100;
    for (unsigned i = 0; i < 2u * DURE_COUNT_OF(offsets) && dure_harness_failure(h) == NULL; i++) {
        uint64_t bytes[2] = {0, 0};
        char fault[64];
        char params[64];
        unsigned way = i % 2;
        measure(h, bytes);
        (void)snprintf(fault, sizeof fault, "reset-at %llu %s",
                       (unsigned long long)(bytes[way] + offsets[i / 2]), ways[way]);
        (void)snprintf(params, sizeof params, "[\"bob\",\"gold\",1,\"gift-%u\"]", i);
        dure_harness_link_fault(h, "game-1", "db-1", fault);
        check_truth(h, ada, seen, params);
    }
    dure_harness_link_counters(h, "game-1", "db-1", &counters);
    printf("(%u ok, %u unknown, %u unavailable, %u resets) ", seen->ok, seen->unknown,
           seen->unavailable, (unsigned)counters.resets);
    DURE_CHECK(counters.resets >= DURE_COUNT_OF(offsets));
    dure_harness_wait_linked(h, 10000);
}

static void a_call_whose_link_is_reset_ends_with_the_truth(void)
{
    gifts seen = {0};
    const dure_harness_config config = {.json = CLUSTER_OF_THREE("")};
    DURE_CHECK_EQ(dure_harness_run(&config, give_while_it_breaks, &seen), 0);
    DURE_CHECK(seen.unknown > 0);
}

static void call_what_is_down(dure_harness *h, void *ctx)
{
    (void)ctx;
    dure_harness_client *ada = dure_harness_login(h, "gateway-1", "ada");
    dure_harness_login(h, "gateway-1", "bob");
    dure_harness_link_fault(h, "game-1", "db-1", "cut");
    dure_harness_wait_link(h, "game-1", "db-1", false, 5000);
    uint64_t start_ms = dure_harness_now_ms();
    dure_harness_expect_error(ada, "give", "[\"bob\",\"gold\",1,\"gift\"]", "UNAVAILABLE");
    DURE_CHECK(dure_harness_now_ms() - start_ms < 4000); /* well before its deadline */
    dure_harness_link_fault(h, "game-1", "db-1", "heal");
    dure_harness_wait_linked(h, 10000);
    dure_harness_call_until_ok(ada, "inventory", "[]", 5000);
    dure_harness_check(h, has_gold(h, ada, 100), "nothing was given");
    dure_harness_link_fault(h, "gateway-1", "game-1", "cut");
    dure_harness_wait_link(h, "gateway-1", "game-1", false, 5000);
    dure_harness_expect_error(ada, "give", "[\"bob\",\"gold\",1,\"gift\"]", "UNAVAILABLE");
    dure_harness_link_fault(h, "gateway-1", "game-1", "heal");
    dure_harness_wait_linked(h, 10000);
    dure_harness_call_until_ok(ada, "inventory", "[]", 5000);
    dure_harness_check(h, has_gold(h, ada, 100), "nothing was given");
}

static void a_call_that_did_not_leave_was_not_made(void)
{
    const dure_harness_config config = {.json = CLUSTER_OF_THREE("")};
    DURE_CHECK_EQ(dure_harness_run(&config, call_what_is_down, NULL), 0);
}

DURE_SUITE(faults_resets, DURE_TEST(a_call_whose_link_is_reset_ends_with_the_truth),
           DURE_TEST(a_call_that_did_not_leave_was_not_made));
