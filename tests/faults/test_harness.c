/* SPDX-License-Identifier: MIT
 *
 * The cluster harness itself: what it promises about nodes that are processes and nodes that are
 * threads, that its waits end, and that it says what it saw.
 */
#include "base/file.h"
#include "clusters.h"
#include "harness/harness.h"
#include "nodes/db/role.h"
#include "nodes/game/role.h"
#include "nodes/gateway/role.h"
#include "support/check.h"

static const dure_role *const roles[] = {&dure_role_gateway, &dure_role_game, &dure_role_db, NULL};

/* The story has failed, with these words; it goes on. */
static void check_failure(dure_harness *h, const char *words)
{
    const char *failure = dure_harness_failure(h);
    DURE_CHECK(failure != NULL && strstr(failure, words) != NULL);
    if (failure == NULL || strstr(failure, words) == NULL) {
        printf("\n  failure: %s\n  wanted:  %s\n", failure != NULL ? failure : "none", words);
    }
    dure_harness_forgive(h);
}

/* ---- what holds for both kinds ---- */

static void play(dure_harness *h)
{
    dure_harness_client *ada = dure_harness_login(h, "gateway-1", "ada");
    dure_harness_client *bob = dure_harness_login(h, "gateway-1", "bob");
    dure_harness_expect(ada, "ping", "[]", "\"pong\"");
    dure_harness_expect(ada, "chat", "[\"hello\"]", "1");
    const char *heard = dure_harness_wait_notification(bob, "chat", 5000);
    DURE_CHECK_STR(heard, "[\"ada\",\"hello\"]");
    DURE_CHECK_EQ(dure_harness_received(bob), 1);
    dure_harness_wait_counter(h, "gateway-1", "clients", 2, 5000);
    dure_harness_restart(h, "db-1");
    dure_harness_wait_linked(h, 10000);
    dure_harness_call_until_ok(ada, "inventory", "[]", 10000);
    dure_harness_close(bob);
    dure_harness_stop(h, "game-1", 15000);
    DURE_CHECK(!dure_harness_is_running(h, "game-1"));
    dure_harness_wait_link(h, "gateway-1", "game-1", false, 2000);
    dure_harness_start(h, "game-1");
    dure_harness_wait_linked(h, 10000);
    dure_harness_wait_log(h, "game-1", "event=NODE_READY", 2, 5000);
    DURE_CHECK_EQ(dure_harness_log_lines(h, "game-1", "event=NODE_READY"), 2);
    dure_harness_link_fault(h, "gateway-1", "game-1", "cut");
    dure_harness_wait_link(h, "game-1", "gateway-1", false, 2000);
    dure_harness_link_fault(h, "gateway-1", "game-1", "heal");
    dure_harness_wait_linked(h, 10000);
    DURE_CHECK(dure_harness_failure(h) == NULL);
}

static void on_processes(dure_harness *h, void *ctx)
{
    (void)ctx;
    play(h);
    dure_harness_kill(h, "game-1");
    DURE_CHECK(!dure_harness_is_running(h, "game-1"));
    dure_harness_start(h, "game-1");
    dure_harness_suspend(h, "db-1");
    dure_harness_continue(h, "db-1");
    dure_harness_wait_linked(h, 10000);
}

static void a_cluster_of_processes_plays(void)
{
    const dure_harness_config config = {.json = CLUSTER_OF_THREE("")};
    DURE_CHECK_EQ(dure_harness_run(&config, on_processes, NULL), 0);
}

static void on_threads(dure_harness *h, void *ctx)
{
    (void)ctx;
    play(h);
    DURE_CHECK(!dure_harness_kill(h, "game-1"));
    check_failure(h, "UNSUPPORTED");
    DURE_CHECK(!dure_harness_suspend(h, "game-1"));
    check_failure(h, "UNSUPPORTED");
    DURE_CHECK(dure_harness_is_running(h, "game-1"));
}

static void a_cluster_of_threads_plays(void)
{
    const dure_harness_config config = {.json = CLUSTER_OF_THREE(""), .roles = roles};
    DURE_CHECK_EQ(dure_harness_run(&config, on_threads, NULL), 0);
}

/* ---- failures ---- */

static void fail_in_every_way(dure_harness *h, void *ctx)
{
    int *told = ctx;
    dure_fault_counters counters;
    uint64_t start_ms = dure_harness_now_ms();
    (*told)++;
    DURE_CHECK(!dure_harness_wait_link(h, "gateway-1", "game-1", false, 100));
    check_failure(h, "gateway-1 says that game-1 is UP");
    DURE_CHECK(!dure_harness_wait_counter(h, "gateway-1", "links.up", 1000, 100));
    check_failure(h, "seen: 1");
    DURE_CHECK(!dure_harness_wait_log(h, "db-1", "never said", 1, 50));
    check_failure(h, "seen: 0 lines");
    DURE_CHECK(dure_harness_now_ms() - start_ms < 5000);
    DURE_CHECK(!dure_harness_wait_counter(h, "gateway-1", "no_such", 1, 5000));
    check_failure(h, "no counter is called no_such");
    DURE_CHECK(!dure_harness_start(h, "game-9"));
    check_failure(h, "no node is called game-9");
    DURE_CHECK(!dure_harness_start(h, "game-1"));
    check_failure(h, "it runs");
    DURE_CHECK(!dure_harness_link_fault(h, "game-1", "gateway-1", "cut"));
    check_failure(h, "game-1 dials gateway-1 through no proxy");
    DURE_CHECK(!dure_harness_client_counters(h, "db-1", &counters));
    check_failure(h, "no proxy before a client port of db-1");
    DURE_CHECK(!dure_harness_link_fault(h, "gateway-1", "game-1", "delay much"));
    check_failure(h, "\"delay much\" is no fault");
    DURE_CHECK(dure_harness_connect(h, "db-1") == NULL);
    check_failure(h, "db-1 has no client_port");
    dure_harness_client *client = dure_harness_connect(h, "gateway-1");
    DURE_CHECK(!dure_harness_expect(client, "ping", "[]", "\"gnop\""));
    check_failure(h, "\"pong\" instead of \"gnop\"");
    DURE_CHECK(dure_harness_call(client, "whoami", "[]", 5000) == NULL);
    check_failure(h, "NOT_LOGGED_IN");
    DURE_CHECK(!dure_harness_expect_error(client, "ping", "[]", "REFUSED"));
    check_failure(h, "\"pong\" instead of REFUSED");
    DURE_CHECK(dure_harness_text(client, "resume") == NULL);
    check_failure(h, "no text resume");
    DURE_CHECK(dure_harness_wait_notification(client, "chat", 50) == NULL);
    check_failure(h, "not within 50 ms");
    DURE_CHECK(!dure_harness_begin(client, "ping", "[}"));
    check_failure(h, "no JSON");
    DURE_CHECK(!dure_harness_check(h, 1 > 2, "one is more"));
    DURE_CHECK(!dure_harness_fail(h, "a second reason"));
    DURE_CHECK(!dure_harness_wait_ready(h, "db-1", 5000)); /* nothing is done any more */
    DURE_CHECK(!dure_harness_expect(client, "ping", "[]", "\"pong\""));
    DURE_CHECK(dure_harness_login(h, "gateway-1", "ada") == NULL);
    check_failure(h, "not so: one is more");
    dure_harness_expect(NULL, "ping", "[]", "\"pong\"");
    DURE_CHECK(dure_harness_wait_ready(h, "db-1", 5000));
}

static void failures_say_what_was_seen(void)
{
    int told = 0;
    const dure_harness_config config = {.json = CLUSTER_OF_THREE(""), .roles = roles};
    DURE_CHECK_EQ(dure_harness_run(&config, fail_in_every_way, &told), 0);
    DURE_CHECK_EQ(told, 1);
}

static void start_what_dies(dure_harness *h, void *ctx)
{
    int code = 0;
    char path[4200];
    (void)ctx;
    (void)snprintf(path, sizeof path, "%s/data", dure_harness_folder(h));
    DURE_CHECK_OK(dure_file_make_folder(path, DURE_FILE_OWNER_ONLY));
    (void)snprintf(path, sizeof path, "%s/data/db-1", dure_harness_folder(h));
    DURE_CHECK_OK(dure_file_write(path, "x", 1, DURE_FILE_OWNER_ONLY));
    DURE_CHECK(!dure_harness_start(h, "db-1"));
    check_failure(h, "db-1 has ended with exit code 1");
    DURE_CHECK(!dure_harness_is_running(h, "db-1"));
    DURE_CHECK(dure_harness_wait_end(h, "db-1", 5000, &code));
    DURE_CHECK_EQ(code, 1);
    DURE_CHECK(!dure_harness_stop(h, "db-1", 5000));
    check_failure(h, "it does not run");
    DURE_CHECK(dure_harness_start(h, "gateway-1"));
}

static void a_node_that_dies_at_start_is_told_at_once(void)
{
    const dure_harness_config config = {.json = CLUSTER_OF_THREE(""), .starts_nothing = true};
    uint64_t start_ms = dure_harness_now_ms();
    DURE_CHECK_EQ(dure_harness_run(&config, start_what_dies, NULL), 0);
    DURE_CHECK(dure_harness_now_ms() - start_ms < 10000);
}

static void never(dure_harness *h, void *ctx)
{
    (void)h;
    (void)ctx;
    DURE_CHECK(false);
}

static void what_cannot_start_fails_the_run(void)
{
    static const char *const texts[] = {"{\"cluster\": 5}", "no JSON",
                                        "{\"cluster\": \"c\", \"roles\": {\"db\": {\"program\": "
                                        "\"no-such-program\"}}, \"nodes\": [{\"id\": \"db-1\", "
                                        "\"role\": \"db\", \"link_port\": 1}]}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const dure_harness_config config = {.json = texts[i]};
        printf("(a failure that is wanted) ");
        DURE_CHECK_EQ(dure_harness_run(&config, never, NULL), 1);
    }
}

DURE_SUITE(faults_harness, DURE_TEST(a_cluster_of_processes_plays),
           DURE_TEST(a_cluster_of_threads_plays), DURE_TEST(failures_say_what_was_seen),
           DURE_TEST(a_node_that_dies_at_start_is_told_at_once),
           DURE_TEST(what_cannot_start_fails_the_run));
