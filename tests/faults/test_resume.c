/* SPDX-License-Identifier: MIT
 *
 * A player's connection dies in the worst way: what it was told goes into a silent line first, then
 * the line is cut. With the token of the login, on a new connection, it gets what it missed, once
 * and in order, and goes on.
 */
#include "clusters.h"
#include "harness/harness.h"
#include "support/check.h"

#define HEARD  3
#define LOST   7 /* sent into silence */
#define MISSED 5 /* said while nobody was there */

static void say(dure_harness_client *who, int number)
{
    char params[32];
    (void)snprintf(params, sizeof params, "[\"%d\"]", number);
    dure_harness_expect(who, "chat", params, "1");
}

static void hear(dure_harness_client *who, int number)
{
    char wanted[32];
    (void)snprintf(wanted, sizeof wanted, "[\"bob\",\"%d\"]", number);
    DURE_CHECK_STR(dure_harness_wait_notification(who, "chat", 5000), wanted);
}

static void lose_and_resume(dure_harness *h, void *ctx)
{
    char token[128];
    char params[160];
    char wanted[32];
    (void)ctx;
    dure_harness_client *ada = dure_harness_connect(h, "gateway-1");
    dure_harness_call(ada, "login", "[\"ada\"]", 5000);
    const char *given = dure_harness_text(ada, "resume");
    (void)snprintf(token, sizeof token, "%s", given != NULL ? given : "");
    dure_harness_client *bob = dure_harness_login(h, "gateway-2", "bob");
    dure_harness_call(ada, "join", "[\"arena\"]", 5000);
    dure_harness_call(bob, "join", "[\"arena\"]", 5000);
    for (int i = 0; i < HEARD; i++) {
        say(bob, i);
        hear(ada, i);
    }
    dure_harness_client_fault(h, "gateway-1", "silent");
    for (int i = HEARD; i < HEARD + LOST; i++) {
        say(bob, i);
    }
    dure_harness_client_fault(h, "gateway-1", "cut");
    for (int i = HEARD + LOST; i < HEARD + LOST + MISSED; i++) {
        say(bob, i);
    }
    DURE_CHECK_EQ(dure_harness_received(ada), HEARD);
    dure_harness_client_fault(h, "gateway-1", "heal");
    dure_harness_client *again = dure_harness_connect(h, "gateway-1");
    (void)snprintf(params, sizeof params, "[\"%s\",%d]", token, HEARD);
    const char *answer = dure_harness_call(again, "resume", params, 5000);
    (void)snprintf(wanted, sizeof wanted, "\"missed\":%d", LOST + MISSED);
    DURE_CHECK(answer != NULL && strstr(answer, wanted) != NULL);
    for (int i = HEARD; i < HEARD + LOST + MISSED; i++) {
        hear(again, i);
    }
    say(bob, 1000);
    hear(again, 1000);
    DURE_CHECK_EQ(dure_harness_received(again), LOST + MISSED + 1);
    dure_harness_expect(again, "chat", "[\"back\"]", "1");
    dure_harness_client *late = dure_harness_connect(h, "gateway-1");
    dure_harness_expect_error(late, "resume", params, "REFUSED"); /* a token works once */
}

static void a_cut_player_resumes_and_misses_nothing(void)
{
    const dure_harness_config config = {.json = CLUSTER_OF_TWO_GATEWAYS};
    DURE_CHECK_EQ(dure_harness_run(&config, lose_and_resume, NULL), 0);
}

DURE_SUITE(faults_resume, DURE_TEST(a_cut_player_resumes_and_misses_nothing));
