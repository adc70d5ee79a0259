/* SPDX-License-Identifier: MIT
 *
 * A node that stops while something of it waits for its time: what hangs on that is freed, and who
 * asked is told. (That it is freed the address sanitizer says.)
 */
#include "role_cluster.h"

#define CUT_EVERY_MS 5u

static void cut_if_up(role_cluster *cluster, const char *id, const char *peer)
{
    const role_node *node = role_cluster_node(cluster, id);
    if (node->node != NULL && !node->is_ended &&
        dure_rpc_peer_state(dure_node_rpc(node->node), peer) == DURE_PEER_UP) {
        role_cluster_cut(cluster, id, peer);
    }
}

/* Lets time pass while links of a node are broken again as soon as they are up. */
static void run_without(role_cluster *cluster, const char *node, const char *peer,
                        const char *other, uint32_t ms)
{
    for (uint32_t passed = 0; passed < ms; passed += CUT_EVERY_MS) {
        cut_if_up(cluster, peer, node);
        if (other != NULL) {
            cut_if_up(cluster, other, node);
        }
        role_cluster_run(cluster, CUT_EVERY_MS);
    }
}

static bool is_answered(const role_client *client, uint32_t id)
{
    return role_client_answer(client, id) != NULL;
}

/* Long ways: what is asked when a link is up is not answered before it is broken again. */
#define LONG_WAY_NS UINT64_C(20000000)

static void soon_over(dure_registry_builder *builder)
{
    dure_registry_builder_settings(builder)->drain_ms = 100; /* much less than a lease lasts */
}

/* Its describe is under way, or has ended without an answer and is to be made again. */
static void a_gateway_stops_while_it_waits_to_ask_again(void)
{
    role_cluster cluster;
    role_cluster_config config;
    role_cluster_config_init(&config);
    config.latency_ns = LONG_WAY_NS;
    role_cluster_open(&cluster, &config);
    for (uint32_t ms = 200; ms < 3200; ms += 200) {
        run_without(&cluster, "game-1", "gateway-1", NULL, ms);
        role_node_stop(role_cluster_node(&cluster, "gateway-1"));
        role_node_start(role_cluster_node(&cluster, "gateway-1"));
        role_cluster_run(&cluster, 2000);
    }
    role_cluster_close(&cluster);
}

/* The player's game node cannot be asked to let go, so db asks again and again until the lease of
 * that node is over: here it stops before. */
static void a_db_node_stops_while_a_login_waits_for_the_owner(void)
{
    role_cluster cluster;
    role_cluster_config config;
    role_client ada;
    role_client elsewhere;
    role_cluster_config_init(&config);
    config.change = soon_over;
    role_cluster_open(&cluster, &config);
    role_client_open(&ada, &cluster, "gateway-1");
    role_client_open(&elsewhere, &cluster, "gateway-1");
    DURE_CHECK_OK(role_client_login(&ada, "ada"));
    DURE_CHECK_OK(role_client_call(&ada, "whoami", ""));
    char owner[32];
    role_client_text(&ada, "node", owner, sizeof owner);
    /* Another game node logs the player in, since the gateway cannot reach that one either. */
    run_without(&cluster, owner, "db-1", "gateway-1", 200);
    uint32_t id = role_client_ask(&elsewhere, "login", "s", "ada");
    run_without(&cluster, owner, "db-1", "gateway-1", 300);
    DURE_CHECK(!is_answered(&elsewhere, id));
    role_node_begin_stop(role_cluster_node(&cluster, "db-1"));
    run_without(&cluster, owner, "db-1", NULL, 500);
    role_node_stop(role_cluster_node(&cluster, "db-1"));
    role_cluster_run(&cluster, 6000);
    DURE_CHECK(is_answered(&elsewhere, id));
    role_client_close(&ada);
    role_client_close(&elsewhere);
    role_cluster_close(&cluster);
}

DURE_SUITE(nodes_stops, DURE_TEST(a_gateway_stops_while_it_waits_to_ask_again),
           DURE_TEST(a_db_node_stops_while_a_login_waits_for_the_owner));
