/* SPDX-License-Identifier: MIT
 *
 * A machine that was suspended: the time that it slept counts for the leases of players, on the
 * node that has one and on the node that grants it.
 */
#include "role_cluster.h"

#define SLEPT_MS  10000u /* three leases */
#define ROOMS_MAX 20
#define STEP_MS   5u
#define STEPS_MAX 100u /* half a second: no lease is over by then */

static void node_of(role_client *client, char *out, size_t size)
{
    DURE_CHECK_OK(role_client_call(client, "whoami", ""));
    role_client_text(client, "node", out, size);
}

static void who_slept_past_its_lease_lets_go_of_its_players(void)
{
    role_cluster cluster;
    role_cluster_config config;
    role_client ada;
    char id[32];
    role_cluster_config_init(&config);
    role_cluster_open(&cluster, &config);
    role_client_open(&ada, &cluster, "gateway-1");
    DURE_CHECK_OK(role_client_login(&ada, "ada"));
    DURE_CHECK_OK(role_client_call(&ada, "join", "s", "arena"));
    node_of(&ada, id, sizeof id);
    role_node *game = role_cluster_node(&cluster, id);
    role_cluster_run(&cluster, SLEPT_MS);
    DURE_CHECK(!role_node_logged(game, "LEASE_LOST"));
    dure_sim_suspend(game->core, SLEPT_MS);
    role_cluster_run(&cluster, 100);
    DURE_CHECK(role_node_logged(game, "LEASE_LOST players=1 total=1"));
    role_cluster_run(&cluster, ROLE_SETTLE_MS); /* the gateway brings ada in again */
    node_of(&ada, id, sizeof id);
    DURE_CHECK_STR(id, game->id);
    role_client_close(&ada);
    role_cluster_close(&cluster);
}

/* Into a room whose node is not the one at which players log in. */
static void join_elsewhere(role_client *client, char *out_id, size_t size)
{
    char first[32];
    char room[24];
    node_of(client, first, sizeof first);
    (void)snprintf(out_id, size, "%s", first);
    for (int i = 0; i < ROOMS_MAX && strcmp(out_id, first) == 0; i++) {
        (void)snprintf(room, sizeof room, "room-%d", i);
        DURE_CHECK_OK(role_client_call(client, "join", "s", room));
        node_of(client, out_id, size);
    }
    DURE_REQUIRE(strcmp(out_id, first) != 0);
}

/* ada is on the node `id`, and logs in once more at another gateway, by way of another node. */
typedef struct second_login {
    role_cluster cluster;
    role_client ada;
    role_client again;
    char id[32];
    uint32_t call;
} second_login;

static void second_login_open(second_login *s)
{
    role_cluster_config config;
    role_cluster_config_init(&config);
    config.gateways = 2;
    role_cluster_open(&s->cluster, &config);
    role_client_open(&s->ada, &s->cluster, "gateway-1");
    DURE_CHECK_OK(role_client_login(&s->ada, "ada"));
    join_elsewhere(&s->ada, s->id, sizeof s->id);
}

/* The owner of ada cannot be asked: its link is cut again and again. NULL: no answer came. */
static const role_answer *second_login_try(second_login *s)
{
    role_client_open(&s->again, &s->cluster, "gateway-2");
    role_cluster_cut(&s->cluster, s->id, "db-1");
    s->call = role_client_ask(&s->again, "login", "s", "ada");
    for (uint32_t i = 0; i < STEPS_MAX && role_client_answer(&s->again, s->call) == NULL; i++) {
        role_cluster_run(&s->cluster, STEP_MS);
        role_cluster_cut(&s->cluster, s->id, "db-1");
    }
    return role_client_answer(&s->again, s->call);
}

static void second_login_close(second_login *s)
{
    role_client_close(&s->ada);
    role_client_close(&s->again);
    role_cluster_close(&s->cluster);
}

static void db_sleep(second_login *s)
{
    dure_sim_suspend(role_cluster_node(&s->cluster, "db-1")->core, SLEPT_MS);
}

static void who_grants_leases_counts_what_it_slept(void)
{
    second_login s;
    second_login_open(&s);
    db_sleep(&s);
    const role_answer *answer = second_login_try(&s);
    DURE_REQUIRE(answer != NULL);
    DURE_CHECK_OK(answer->code);
    second_login_close(&s);
}

static void what_is_granted_after_a_sleep_lasts(void)
{
    second_login s;
    second_login_open(&s);
    db_sleep(&s);
    role_cluster_run(&s.cluster, ROLE_SETTLE_MS); /* leases are asked for again */
    DURE_CHECK(second_login_try(&s) == NULL);
    role_cluster_run(&s.cluster, ROLE_CALL_MS); /* the owner is asked, and lets go */
    const role_answer *answer = role_client_answer(&s.again, s.call);
    DURE_REQUIRE(answer != NULL);
    DURE_CHECK_OK(answer->code);
    second_login_close(&s);
}

DURE_SUITE(nodes_suspend, DURE_TEST(who_slept_past_its_lease_lets_go_of_its_players),
           DURE_TEST(who_grants_leases_counts_what_it_slept),
           DURE_TEST(what_is_granted_after_a_sleep_lasts));
