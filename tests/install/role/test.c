/* SPDX-License-Identifier: MIT
 *
 * A test of that role, with the harness that dure installs: the greeter's process is killed, and
 * greets again. Its argument is the greeter's program.
 */
#include <harness/harness.h>
#include <stdio.h>

static const char cluster[] =
    "{\"cluster\": \"own-role\","
    " \"roles\": {\"gateway\": {\"program\": \"dure-gateway\", \"dials\": [\"game\", \"greeter\"]},"
    "             \"game\": {\"program\": \"dure-game\", \"dials\": [\"db\"]},"
    "             \"db\": {\"program\": \"dure-db\"},"
    "             \"greeter\": {\"program\": \"%s\"}},"
    " \"nodes\": [{\"id\": \"gateway-1\", \"role\": \"gateway\", \"link_port\": 1, "
    "\"client_port\": 2},"
    "             {\"id\": \"game-1\", \"role\": \"game\", \"link_port\": 3},"
    "             {\"id\": \"db-1\", \"role\": \"db\", \"link_port\": 4},"
    "             {\"id\": \"greeter-1\", \"role\": \"greeter\", \"link_port\": 5}]}";

static void story(dure_harness *h, void *ctx)
{
    (void)ctx;
    dure_harness_client *ada = dure_harness_login(h, "gateway-1", "ada");
    dure_harness_call_until_ok(ada, "greet", "[\"eve\"]", 5000);
    dure_harness_expect(ada, "greet", "[\"eve\"]", "{\"text\":\"eve\"}");
    dure_harness_kill(h, "greeter-1");
    dure_harness_wait_link(h, "gateway-1", "greeter-1", false, 1000);
    dure_harness_expect_error(ada, "greet", "[\"eve\"]", "UNAVAILABLE");
    dure_harness_start(h, "greeter-1");
    dure_harness_call_until_ok(ada, "greet", "[\"eve\"]", 5000);
}

int main(int argc, char **argv)
{
    char json[4096];
    (void)snprintf(json, sizeof json, cluster, argc > 1 ? argv[1] : "");
    const dure_harness_config config = {.json = json};
    return dure_harness_run(&config, story, NULL);
}
