/* SPDX-License-Identifier: MIT
 *
 * Draining in a simulated cluster: a node that stops is asked nothing new, finishes what it has,
 * and at its end its callers know what of theirs it never began.
 */
#include "cluster/cluster_support.h"
#include "support/check.h"

static void call_role(test_node *node, const char *role, uint32_t method, test_call *call)
{
    dure_target target = dure_to_role(role);
    dure_slice nothing = {NULL, 0};
    dure_call_id id = 0;
    memset(call, 0, sizeof *call);
    DURE_CHECK_OK(
        dure_rpc_call(node->rpc, &target, method, NULL, nothing, test_on_done, call, &id));
}

static void a_draining_node_is_passed_over_by_its_role(void)
{
    test_cluster cluster;
    test_call call;
    test_cluster_init(&cluster, NULL);
    test_node *game_1 = test_node_start(&cluster, "game-1", NULL);
    (void)test_node_start(&cluster, "game-2", NULL);
    test_node *gateway = test_node_start(&cluster, "gateway-1", NULL);
    test_run(&cluster, 1000);
    dure_rpc_drain(game_1->rpc, 10000);
    dure_rpc_drain(game_1->rpc, 10000); /* twice is once */
    test_run(&cluster, 100);
    DURE_CHECK(dure_rpc_peer_is_draining(gateway->rpc, "game-1"));
    DURE_CHECK(!dure_rpc_peer_is_draining(gateway->rpc, "game-2"));
    DURE_CHECK_EQ(dure_rpc_peer_state(gateway->rpc, "game-1"), DURE_PEER_UP);
    for (int i = 0; i < 8; i++) {
        call_role(gateway, "game", METHOD_ECHO, &call);
        test_check_ends(&cluster, &call, 100, DURE_OK);
        DURE_CHECK_STR(call.from->id, "game-2");
    }
    DURE_CHECK_EQ(gateway->down, 0);
    test_cluster_fini(&cluster);
}

static void what_belongs_to_it_still_reaches_it(void)
{
    test_cluster cluster;
    test_call call;
    test_cluster_init(&cluster, NULL);
    test_node *game = test_node_start(&cluster, "game-1", NULL);
    test_node *gateway = test_node_start(&cluster, "gateway-1", NULL);
    test_run(&cluster, 1000);
    dure_rpc_drain(game->rpc, 10000);
    test_run(&cluster, 100);
    test_call_node(gateway, "game-1", METHOD_ECHO, 0, &call);
    test_check_ends(&cluster, &call, 100, DURE_OK);
    call_role(gateway, "game", METHOD_ECHO, &call);
    test_check_ends(&cluster, &call, 100, DURE_ERR_DOWN);
    test_cluster_fini(&cluster);
}

static void one_that_drains_too_may_ask(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    dure_rpc_drain(p.db->rpc, 10000);
    dure_rpc_drain(p.game->rpc, 10000);
    test_run(&p.cluster, 100);
    call_role(p.game, "db", METHOD_ECHO, &call); /* its last words */
    test_check_ends(&p.cluster, &call, 100, DURE_OK);
    test_cluster_fini(&p.cluster);
}

static void who_comes_later_is_told_too(void)
{
    test_cluster cluster;
    test_cluster_init(&cluster, NULL);
    test_node *db = test_node_start(&cluster, "db-1", NULL);
    test_run(&cluster, 100);
    dure_rpc_drain(db->rpc, 10000);
    test_node *game = test_node_start(&cluster, "game-1", NULL);
    test_run(&cluster, 5000);
    DURE_CHECK_EQ(game->up, 1);
    DURE_CHECK(dure_rpc_peer_is_draining(game->rpc, "db-1"));
    test_cluster_fini(&cluster);
}

/* The call is on its way when the node ends, which has answered all that it had heard by then. */
static void what_a_node_never_began_is_not_sent(void)
{
    test_pair p;
    test_call answered;
    test_call crossing;
    test_pair_init(&p, NULL);
    test_call_node(p.game, "db-1", METHOD_ECHO, 0, &answered);
    test_run(&p.cluster, 100);
    dure_rpc_close(p.db->rpc);
    test_call_node(p.game, "db-1", METHOD_ECHO, 0, &crossing);
    test_check_ends(&p.cluster, &answered, 2000, DURE_OK);
    test_check_ended(&crossing, DURE_ERR_NOT_SENT);
    test_cluster_fini(&p.cluster);
}

/* Something is unanswered when the node ends: then nothing can be said of what it has heard. */
static void what_it_may_have_begun_is_unknown(void)
{
    test_pair p;
    test_call held;
    test_call crossing;
    test_pair_init(&p, NULL);
    test_call_node(p.game, "db-1", METHOD_HOLD, 0, &held);
    test_run(&p.cluster, 100);
    DURE_CHECK_EQ(dure_rpc_serving(p.db->rpc), 1);
    dure_rpc_close(p.db->rpc);
    test_call_node(p.game, "db-1", METHOD_ECHO, 0, &crossing);
    test_check_ends(&p.cluster, &held, 2000, DURE_ERR_OUTCOME_UNKNOWN);
    test_check_ended(&crossing, DURE_ERR_OUTCOME_UNKNOWN);
    test_cluster_fini(&p.cluster);
}

DURE_SUITE(cluster_drain, DURE_TEST(a_draining_node_is_passed_over_by_its_role),
           DURE_TEST(what_belongs_to_it_still_reaches_it), DURE_TEST(one_that_drains_too_may_ask),
           DURE_TEST(who_comes_later_is_told_too), DURE_TEST(what_a_node_never_began_is_not_sent),
           DURE_TEST(what_it_may_have_begun_is_unknown));
