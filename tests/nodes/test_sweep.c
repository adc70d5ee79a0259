/* SPDX-License-Identifier: MIT
 *
 * Each allocation of gateway, game and db fails in turn while a player logs in, joins, gives, logs
 * out, comes back after a lost connection and is taken over. What fails may be told, or end a
 * connection; but no node ends, everybody is answered or closed, and a minute later all is as ever.
 * Forwards each in a new cluster, backwards all in one, which gets over one failure after the
 * other.
 */
#include "base/mem.h"
#include "role_cluster.h"

#define SWEEP_NONE     1000000u /* more than all that is allocated */
#define SWEEP_QUIET_MS 60000
#define SWEEP_GOLD     200 /* of ada and bob together */

typedef struct sweep {
    role_cluster cluster;
    role_client ada;
    role_client again; /* the connection that goes on with ada's session */
    role_client elsewhere;
    role_client bob;
    size_t nth;
} sweep;

static void sweep_check(const sweep *s, bool is_right, const char *what)
{
    if (!is_right) {
        printf("\n    allocation %u: %s ", (unsigned)s->nth, what);
    }
    DURE_CHECK(is_right);
}

/* ---- the story ---- */

static void connect(sweep *s, role_client *client, const char *gateway)
{
    role_client_open(client, &s->cluster, gateway);
    DURE_REQUIRE(client->session != NULL);
}

/* Asks; everybody who keeps the connection gets an answer. */
static dure_err ask(sweep *s, role_client *client, const char *method, const char *param)
{
    const bool is_open = client->session != NULL;
    const dure_err err = param != NULL ? role_client_call(client, method, "s", param)
                                       : role_client_call(client, method, "");
    sweep_check(s, err != DURE_ERR_TIMED_OUT || !is_open || client->session == NULL, method);
    return err;
}

static void story(sweep *s)
{
    (void)ask(s, &s->ada, "login", "ada");
    (void)ask(s, &s->ada, "join", "arena");
    (void)role_client_call(&s->ada, "give", "ssu", "bob", "gold", (uint64_t)5);
    (void)ask(s, &s->ada, "chat", "hello");
    (void)ask(s, &s->ada, "inventory", NULL);
    (void)ask(s, &s->ada, "logout", NULL);
    (void)role_client_login(&s->ada, "ada");
    (void)ask(s, &s->bob, "chat", "hello");
    role_client_abort(&s->ada);
    (void)role_client_resume(&s->again, s->ada.token, 0);
    (void)ask(s, &s->again, "whoami", NULL);
    (void)ask(s, &s->elsewhere, "login", "ada"); /* takes over */
    (void)ask(s, &s->elsewhere, "whoami", NULL);
}

/* ---- afterwards ---- */

static void check_answers(sweep *s, role_client *client)
{
    if (client->session != NULL) {
        const dure_err err = role_client_call(client, "whoami", "");
        sweep_check(s, err == DURE_OK || err == DURE_ERR_NOT_LOGGED_IN, dure_err_name(err));
    }
}

static void check_room(sweep *s, role_client *client, const char *names)
{
    char players[64];
    const dure_err err = role_client_call(client, "join", "s", "arena");
    role_client_players(client, players, sizeof players);
    sweep_check(s, err == DURE_OK && strcmp(players, names) == 0, players);
}

static uint64_t gold_of(sweep *s, role_client *client)
{
    const dure_err err = role_client_call(client, "inventory", "");
    sweep_check(s, err == DURE_OK, dure_err_name(err));
    return role_client_count(client, "gold");
}

static void check_all_is_well(sweep *s)
{
    role_client visitor;
    for (int i = 0; i < s->cluster.node_count; i++) {
        sweep_check(s, !s->cluster.nodes[i].is_ended, s->cluster.nodes[i].id);
    }
    check_answers(s, &s->ada);
    check_answers(s, &s->again);
    check_answers(s, &s->elsewhere);
    role_client_open(&visitor, &s->cluster, "gateway-1");
    sweep_check(s, role_client_login(&visitor, "ada") == DURE_OK, "a login");
    role_cluster_run(&s->cluster, 500);
    check_room(s, &visitor, "ada bob");
    sweep_check(s, gold_of(s, &visitor) + gold_of(s, &s->bob) == SWEEP_GOLD, "gold");
    sweep_check(s, ask(s, &visitor, "logout", NULL) == DURE_OK, "a logout");
    role_cluster_run(&s->cluster, 500);
    check_room(s, &s->bob, "bob");
    role_client_close(&visitor);
}

/* ---- the sweep ---- */

static void sweep_open(sweep *s)
{
    role_cluster_config config;
    memset(s, 0, sizeof *s);
    role_cluster_config_init(&config);
    config.games = 1;
    role_cluster_open(&s->cluster, &config);
}

static void sweep_close(sweep *s)
{
    role_cluster_close(&s->cluster);
}

/* One story in which the nth allocation fails. Gives how many allocations it had, where all of them
 * went well. */
static size_t sweep_nth(sweep *s, size_t nth)
{
    s->nth = nth;
    connect(s, &s->bob, "gateway-1");
    DURE_CHECK_OK(role_client_login(&s->bob, "bob"));
    DURE_CHECK_OK(role_client_call(&s->bob, "join", "s", "arena"));
    connect(s, &s->ada, "gateway-1");
    connect(s, &s->again, "gateway-1");
    connect(s, &s->elsewhere, "gateway-1");
    (void)dure_mem_fail_nth(nth);
    story(s);
    const size_t left = dure_mem_fail_nth(0);
    role_cluster_run(&s->cluster, SWEEP_QUIET_MS);
    if (s->bob.session == NULL) { /* its connection, or its session, was what failed */
        role_client_close(&s->bob);
        connect(s, &s->bob, "gateway-1");
        sweep_check(s, role_client_login(&s->bob, "bob") == DURE_OK, "bob's login");
    }
    check_all_is_well(s);
    role_client_close(&s->ada);
    role_client_close(&s->again);
    role_client_close(&s->elsewhere);
    role_client_close(&s->bob);
    return left > 0 ? nth - left : 0;
}

static sweep the_sweep; /* too large for a stack of Windows */

static size_t count_allocations(void)
{
    sweep_open(&the_sweep);
    const size_t count = sweep_nth(&the_sweep, SWEEP_NONE);
    sweep_close(&the_sweep);
    DURE_REQUIRE(count > 100);
    printf("%u allocations ", (unsigned)count);
    return count;
}

static void forwards_each_in_a_new_cluster(void)
{
    const size_t count = count_allocations();
    for (size_t nth = 1; nth <= count; nth++) {
        sweep_open(&the_sweep);
        (void)sweep_nth(&the_sweep, nth);
        sweep_close(&the_sweep);
    }
}

static void backwards_all_in_one_cluster(void)
{
    const size_t count = count_allocations();
    sweep_open(&the_sweep);
    for (size_t nth = count; nth > 0; nth--) {
        (void)sweep_nth(&the_sweep, nth);
    }
    sweep_close(&the_sweep);
}

/* A gateway learns what the game node offers when their link stands. */
static void methods_are_learnt_whatever_failed_first(void)
{
    role_client ada;
    size_t nth = 0;
    size_t left;
    sweep_open(&the_sweep);
    role_node *node = role_cluster_node(&the_sweep.cluster, "gateway-1");
    do {
        role_node_stop(node);
        role_node_start(node);
        the_sweep.nth = ++nth;
        (void)dure_mem_fail_nth(nth);
        role_cluster_run(&the_sweep.cluster, 10000);
        left = dure_mem_fail_nth(0);
        role_cluster_run(&the_sweep.cluster, ROLE_SETTLE_MS); /* it may have been a heartbeat */
        role_client_open(&ada, &the_sweep.cluster, "gateway-1");
        sweep_check(&the_sweep, role_client_login(&ada, "ada") == DURE_OK, "a login");
        sweep_check(&the_sweep, role_client_call(&ada, "whoami", "") == DURE_OK, "whoami");
        role_client_close(&ada);
    } while (left == 0);
    DURE_CHECK(nth > 10);
    sweep_close(&the_sweep);
}

DURE_SUITE(nodes_sweep, DURE_TEST(forwards_each_in_a_new_cluster),
           DURE_TEST(backwards_all_in_one_cluster),
           DURE_TEST(methods_are_learnt_whatever_failed_first));
