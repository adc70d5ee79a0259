/* SPDX-License-Identifier: MIT
 *
 * A test of a cluster: a gift is given, the database dies and comes back behind a slow link, and
 * the same gift is not given twice.
 */
#include "harness/harness.h"

static const char cluster[] =
    "{\"cluster\": \"example\","
    " \"roles\": {\"gateway\": {\"program\": \"dure-gateway\", \"dials\": [\"game\"]},"
    "             \"game\": {\"program\": \"dure-game\", \"dials\": [\"db\"]},"
    "             \"db\": {\"program\": \"dure-db\"}},"
    " \"nodes\": [{\"id\": \"gateway-1\", \"role\": \"gateway\", \"link_port\": 1, "
    "\"client_port\": 2},"
    "             {\"id\": \"game-1\", \"role\": \"game\", \"link_port\": 3},"
    "             {\"id\": \"db-1\", \"role\": \"db\", \"link_port\": 4}]}";

static void story(dure_harness *h, void *ctx)
{
    (void)ctx;
    dure_harness_client *ada = dure_harness_login(h, "gateway-1", "ada");
    dure_harness_login(h, "gateway-1", "bob");
    dure_harness_expect(ada, "give", "[\"bob\", \"gold\", 30, \"gift-1\"]", "{\"balance\":70}");
    dure_harness_kill(h, "db-1");
    dure_harness_wait_link(h, "game-1", "db-1", false, 1000);
    dure_harness_expect_error(ada, "inventory", "[]", "UNAVAILABLE");
    dure_harness_start(h, "db-1");
    dure_harness_link_fault(h, "game-1", "db-1", "delay 50");
    dure_harness_call_until_ok(ada, "inventory", "[]", 5000);
    dure_harness_expect(ada, "give", "[\"bob\", \"gold\", 30, \"gift-1\"]", "{\"balance\":70}");
    dure_harness_expect(ada, "inventory", "[]", "{\"gold\":70}");
}

int main(void)
{
    const dure_harness_config config = {.json = cluster};
    return dure_harness_run(&config, story, NULL);
}
