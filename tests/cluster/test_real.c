/* SPDX-License-Identifier: MIT
 *
 * The same over real sockets and on a real clock: two nodes on cores of one thread, on a free port.
 */
#include "cluster/rpc.h"
#include "support/check.h"

#define ROUNDS_MAX 2000 /* of 1 ms at most, each core */
#define LATE_MS    100u /* what a call may outlive its deadline, of its process's running time */
#define HELD_CALLS 300

typedef struct real_node {
    dure_iocp_core *core;
    dure_rpc *rpc;
    int up;
    int answers;
    dure_err status;
    bool is_closed;
    uint64_t turn_ns[2]; /* when this turn of both cores began, and the one before */
    uint64_t latest_ns;  /* of held calls, after their deadline, less a turn that took long */
} real_node;

typedef struct held_call {
    real_node *node;
    uint64_t due_ns;
    int count;
    dure_err status;
} held_call;

static void serve_echo(dure_request *request, dure_slice params, void *state)
{
    (void)state;
    dure_request_reply(request, params);
}

static void held_cancelled(dure_request *request, void *ctx)
{
    (void)ctx;
    dure_request_fail(request, DURE_ERR_CANCELLED, "gone");
}

static void serve_hold(dure_request *request, dure_slice params, void *state)
{
    (void)params;
    dure_request_hold(request);
    dure_request_on_cancel(request, held_cancelled, state);
}

static const dure_method methods[] = {
    {257, 0, "echo", serve_echo}, {258, 0, "hold", serve_hold}, {0, 0, NULL, NULL}};
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
        b->turn_ns[1] = b->turn_ns[0];
        b->turn_ns[0] = dure_iocp_core_exact_ns(b->core);
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

/* db listens, game has a link to it. */
static dure_registry *start_both(real_node *db, real_node *game)
{
    static const char *const dials[] = {"db", NULL};
    static const char *const nobody[] = {NULL};
    dure_registry_builder *builder = NULL;
    dure_registry *registry = NULL;
    dure_net_address address;
    DURE_REQUIRE_OK(dure_registry_builder_create("test", "var", &builder));
    DURE_REQUIRE_OK(dure_registry_builder_role(builder, "game", "dure-game", dials));
    DURE_REQUIRE_OK(dure_registry_builder_role(builder, "db", "dure-db", nobody));
    DURE_REQUIRE_OK(dure_registry_builder_node(builder, "game-1", "game", "127.0.0.1", 0, 0));
    DURE_REQUIRE_OK(dure_registry_builder_node(builder, "db-1", "db", "127.0.0.1", 0, 0));
    DURE_REQUIRE_OK(
        dure_registry_builder_secret(builder, (dure_slice){(const uint8_t *)"sesame", 6}));
    DURE_REQUIRE_OK(dure_registry_builder_finish(builder, &registry));
    node_create(db, registry, "db-1");
    DURE_REQUIRE_OK(dure_rpc_start(db->rpc));
    DURE_REQUIRE_OK(dure_rpc_link_address(db->rpc, &address));
    node_create(game, registry, "game-1");
    DURE_REQUIRE_OK(dure_rpc_set_peer_address(game->rpc, "db-1", &address));
    DURE_REQUIRE_OK(dure_rpc_start(game->rpc));
    run_both(db, game, &game->up, 1);
    return registry;
}

static void end_both(real_node *db, real_node *game, dure_registry *registry)
{
    node_end(game, db);
    node_end(db, game);
    dure_iocp_core_destroy(game->core);
    dure_iocp_core_destroy(db->core);
    dure_registry_destroy(registry);
}

static void calls_go_over_real_sockets(void)
{
    real_node db;
    real_node game;
    const dure_target target = dure_to_role("db");
    const dure_slice nil = {NULL, 0};
    dure_registry *registry = start_both(&db, &game);
    for (int i = 0; i < 1000; i++) {
        DURE_CHECK_OK(dure_rpc_call(game.rpc, &target, 257, NULL, nil, on_done, &game, NULL));
    }
    run_both(&db, &game, &game.answers, 1000);
    DURE_CHECK_OK(game.status);
    end_both(&db, &game, registry);
}

/* What the system kept from this process is no running time of it: a turn that was long. */
static void on_held(void *ctx, const dure_outcome *outcome)
{
    held_call *call = ctx;
    real_node *node = call->node;
    const uint64_t now_ns = dure_iocp_core_exact_ns(node->core);
    const uint64_t turns_ns = now_ns - node->turn_ns[1];
    call->count++;
    call->status = outcome->status;
    node->answers++;
    if (now_ns > call->due_ns + turns_ns && now_ns - call->due_ns - turns_ns > node->latest_ns) {
        node->latest_ns = now_ns - call->due_ns - turns_ns;
    }
}

static void no_call_outlives_its_deadline(void)
{
    static held_call calls[HELD_CALLS];
    real_node db;
    real_node game;
    const dure_target target = dure_to_role("db");
    const dure_slice nil = {NULL, 0};
    dure_registry *registry = start_both(&db, &game);
    for (uint32_t i = 0; i < HELD_CALLS; i++) {
        const dure_call_options options = {.deadline_ms = 1 + i};
        calls[i] = (held_call){.node = &game,
                               .due_ns = dure_iocp_core_exact_ns(game.core) +
                                         (uint64_t)options.deadline_ms * 1000000u};
        DURE_CHECK_OK(
            dure_rpc_call(game.rpc, &target, 258, &options, nil, on_held, &calls[i], NULL));
    }
    run_both(&db, &game, &game.answers, HELD_CALLS);
    for (uint32_t i = 0; i < HELD_CALLS; i++) {
        DURE_CHECK_EQ(calls[i].count, 1);
        DURE_CHECK_ERR(calls[i].status, DURE_ERR_DEADLINE);
    }
    printf("(at most %u ms late) ", (unsigned)(game.latest_ns / 1000000u));
    DURE_CHECK(game.latest_ns <= (uint64_t)LATE_MS * 1000000u);
    end_both(&db, &game, registry);
}

DURE_SUITE(cluster_real, DURE_TEST(calls_go_over_real_sockets),
           DURE_TEST(no_call_outlives_its_deadline));
