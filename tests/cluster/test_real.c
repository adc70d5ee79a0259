/* SPDX-License-Identifier: MIT
 *
 * The same over real sockets, once: two nodes on cores of one thread, on a free port.
 */
#include "cluster/rpc.h"
#include "support/check.h"

#define ROUNDS_MAX 2000 /* of 1 ms at most, each core */

typedef struct real_node {
    dure_iocp_core *core;
    dure_rpc *rpc;
    int up;
    int answers;
    dure_err status;
    bool is_closed;
} real_node;

static void serve_echo(dure_request *request, dure_slice params, void *state)
{
    (void)state;
    dure_request_reply(request, params);
}

static const dure_method methods[] = {{257, 0, "echo", serve_echo}, {0, 0, NULL, NULL}};
static const dure_method *const tables[] = {methods};

static void on_up(dure_rpc *rpc, const dure_registry_node *peer, void *state)
{
    (void)rpc;
    (void)peer;
    ((real_node *)state)->up++;
}

static void on_closed(dure_rpc *rpc, void *state)
{
    (void)rpc;
    ((real_node *)state)->is_closed = true;
}

static void on_done(void *ctx, const dure_outcome *outcome)
{
    real_node *node = ctx;
    node->answers++;
    node->status = outcome->status;
}

static void node_create(real_node *node, const dure_registry *registry, const char *id)
{
    dure_iocp_core_config core;
    memset(node, 0, sizeof *node);
    dure_iocp_core_config_init(&core);
    core.backend = DURE_BACKEND_LIGHT;
    DURE_REQUIRE_OK(dure_iocp_core_create(&core, &node->core));
    const dure_rpc_config config = {
        .core = node->core,
        .registry = registry,
        .node_id = id,
        .method_tables = tables,
        .method_table_count = 1,
        .state = node,
        .on_peer_up = on_up,
        .on_closed = on_closed,
    };
    DURE_REQUIRE_OK(dure_rpc_create(&config, &node->rpc));
}

static void run_both(real_node *a, real_node *b, const int *what, int count)
{
    for (int i = 0; i < ROUNDS_MAX && *what < count; i++) {
        (void)dure_iocp_core_run_once(a->core, 1);
        (void)dure_iocp_core_run_once(b->core, 1);
    }
    DURE_CHECK_EQ(*what, count);
}

static void node_end(real_node *node, real_node *other)
{
    dure_iocp_counters counters;
    dure_rpc_close(node->rpc);
    for (int i = 0; i < ROUNDS_MAX && !node->is_closed; i++) {
        (void)dure_iocp_core_run_once(node->core, 1);
        (void)dure_iocp_core_run_once(other->core, 1);
    }
    DURE_CHECK(node->is_closed);
    dure_rpc_destroy(node->rpc);
    dure_iocp_core_counters(node->core, &counters);
    DURE_CHECK_EQ(counters.started, counters.completed);
}

static void calls_go_over_real_sockets(void)
{
    static const char *const dials[] = {"db", NULL};
    static const char *const nobody[] = {NULL};
    dure_registry_builder *builder = NULL;
    dure_registry *registry = NULL;
    real_node db;
    real_node game;
    dure_net_address address;
    const dure_target target = dure_to_role("db");
    const dure_slice nil = {NULL, 0};
    DURE_REQUIRE_OK(dure_registry_builder_create("test", "var", &builder));
    DURE_REQUIRE_OK(dure_registry_builder_role(builder, "game", "dure-game", dials));
    DURE_REQUIRE_OK(dure_registry_builder_role(builder, "db", "dure-db", nobody));
    DURE_REQUIRE_OK(dure_registry_builder_node(builder, "game-1", "game", "127.0.0.1", 0, 0));
    DURE_REQUIRE_OK(dure_registry_builder_node(builder, "db-1", "db", "127.0.0.1", 0, 0));
    DURE_REQUIRE_OK(dure_registry_builder_secret(builder, "sesame"));
    DURE_REQUIRE_OK(dure_registry_builder_finish(builder, &registry));
    node_create(&db, registry, "db-1");
    DURE_REQUIRE_OK(dure_rpc_start(db.rpc));
    DURE_REQUIRE_OK(dure_rpc_link_address(db.rpc, &address));
    node_create(&game, registry, "game-1");
    DURE_REQUIRE_OK(dure_rpc_set_peer_address(game.rpc, "db-1", &address));
    DURE_REQUIRE_OK(dure_rpc_start(game.rpc));
    run_both(&db, &game, &game.up, 1);
    for (int i = 0; i < 1000; i++) {
        DURE_CHECK_OK(dure_rpc_call(game.rpc, &target, 257, NULL, nil, on_done, &game, NULL));
    }
    run_both(&db, &game, &game.answers, 1000);
    DURE_CHECK_OK(game.status);
    node_end(&game, &db);
    node_end(&db, &game);
    dure_iocp_core_destroy(game.core);
    dure_iocp_core_destroy(db.core);
    dure_registry_destroy(registry);
}

DURE_SUITE(cluster_real, DURE_TEST(calls_go_over_real_sockets));
