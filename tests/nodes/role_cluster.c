/* SPDX-License-Identifier: MIT
 *
 * The cluster of the fixture; its clients are in role_client.c.
 */
#include "role_cluster.h"

#include "nodes/db/role.h"
#include "nodes/game/role.h"
#include "nodes/gateway/role.h"
#include "support/cut_link.h"

#define ROLE_LOG_BYTES ((size_t)1024 * 1024)

/* ---- making one ---- */

static dure_iocp_core *core_in(dure_sim_world *world)
{
    dure_iocp_core_config config;
    dure_iocp_core *core = NULL;
    dure_iocp_core_config_init(&config);
    config.backend = DURE_BACKEND_SIM;
    config.sim = world;
    DURE_REQUIRE_OK(dure_iocp_core_create(&config, &core));
    return core;
}

void role_cluster_config_init(role_cluster_config *config)
{
    *config = (role_cluster_config){.seed = 1, .gateways = 1, .games = 2};
}

static role_node *add_node(role_cluster *cluster, const char *role_name, int number,
                           const dure_role *role)
{
    DURE_REQUIRE(cluster->node_count < ROLE_NODES_MAX);
    role_node *node = &cluster->nodes[cluster->node_count++];
    node->cluster = cluster;
    node->role = role;
    (void)snprintf(node->id, sizeof node->id, "%s-%d", role_name, number);
    return node;
}

static void add_nodes(role_cluster *cluster, dure_registry_builder *b, const dure_role *role,
                      const char *prefix, int count)
{
    for (int i = 1; i <= count; i++) {
        const role_node *node = add_node(cluster, prefix, i, role);
        const uint16_t port = (uint16_t)(7800 + cluster->node_count);
        DURE_REQUIRE_OK(dure_registry_builder_node(b, node->id, role->name, "127.0.0.1", port, 0));
        if (role == &dure_role_gateway) {
            DURE_REQUIRE_OK(dure_registry_builder_clients(b));
        }
    }
}

static void make_registry(role_cluster *cluster, const role_cluster_config *config)
{
    const char *const gateway_dials[] = {"game", config->own != NULL ? config->own->name : NULL,
                                         NULL};
    static const char *const game_dials[] = {"db", NULL};
    static const char *const nobody[] = {NULL};
    dure_registry_builder *b = NULL;
    DURE_REQUIRE_OK(dure_registry_builder_create("test", "unused", &b));
    DURE_REQUIRE_OK(dure_registry_builder_role(b, "gateway", "g", gateway_dials));
    DURE_REQUIRE_OK(dure_registry_builder_role(b, "game", "g", game_dials));
    DURE_REQUIRE_OK(dure_registry_builder_role(b, "db", "g", nobody));
    if (config->own != NULL) {
        DURE_REQUIRE_OK(dure_registry_builder_role(b, config->own->name, "g", nobody));
    }
    add_nodes(cluster, b, &dure_role_db, "db", 1);
    add_nodes(cluster, b, &dure_role_game, "game", config->games);
    if (config->own != NULL) {
        add_nodes(cluster, b, config->own, "own", 1);
    }
    add_nodes(cluster, b, &dure_role_gateway, "gateway", config->gateways);
    if (config->change != NULL) {
        config->change(b);
    }
    DURE_REQUIRE_OK(dure_registry_builder_finish(b, &cluster->registry));
}

void role_cluster_open(role_cluster *cluster, const role_cluster_config *config)
{
    dure_sim_config world;
    memset(cluster, 0, sizeof *cluster);
    dure_sim_config_init(&world);
    world.seed = config->seed;
    world.segment_bytes = config->segment_bytes;
    world.latency_ns = config->latency_ns != 0 ? config->latency_ns : world.latency_ns;
    DURE_REQUIRE_OK(dure_sim_world_create(&world, &cluster->world));
    make_registry(cluster, config);
    cluster->clients = core_in(cluster->world);
    for (int i = 0; i < cluster->node_count; i++) {
        role_node_start(&cluster->nodes[i]);
    }
    role_cluster_run(cluster, ROLE_SETTLE_MS);
}

static void node_fini(role_node *node)
{
    dure_iocp_counters counters;
    dure_iocp_core_counters(node->core, &counters);
    DURE_CHECK_EQ(counters.started, counters.completed);
    DURE_CHECK_EQ(counters.sockets_opened, counters.sockets_closed);
    dure_iocp_core_destroy(node->core);
    dure_log_destroy(node->log);
    dure_buf_fini(&node->log_text);
}

void role_cluster_close(role_cluster *cluster)
{
    /* From the gateways to db, so that each may finish what it owes the next. */
    for (int i = cluster->node_count - 1; i >= 0; i--) {
        role_node_stop(&cluster->nodes[i]);
    }
    for (int i = 0; i < cluster->node_count; i++) {
        node_fini(&cluster->nodes[i]);
    }
    dure_iocp_core_destroy(cluster->clients);
    dure_registry_destroy(cluster->registry);
    dure_sim_world_destroy(cluster->world);
}

/* ---- use ---- */

void role_cluster_run(role_cluster *cluster, uint32_t ms)
{
    dure_sim_run_for(cluster->world, ms);
}

role_node *role_cluster_node(role_cluster *cluster, const char *id)
{
    int at = 0;
    while (at < cluster->node_count - 1 && strcmp(cluster->nodes[at].id, id) != 0) {
        at++;
    }
    DURE_REQUIRE(strcmp(cluster->nodes[at].id, id) == 0);
    return &cluster->nodes[at];
}

dure_rpc *role_cluster_rpc(role_cluster *cluster, const char *id)
{
    return dure_node_rpc(role_cluster_node(cluster, id)->node);
}

void role_cluster_cut(role_cluster *cluster, const char *id, const char *peer)
{
    const role_node *node = role_cluster_node(cluster, id);
    if (node->node != NULL) {
        cut_link(dure_node_rpc(node->node), peer);
    }
}

/* ---- nodes ---- */

static void node_log(void *ctx, const char *line, size_t len)
{
    role_node *node = ctx;
    dure_err ignored = dure_buf_append(&node->log_text, line, len);
    (void)ignored; /* a test that lets allocations fail, or a long story */
}

static void node_on_ended(dure_node *node, int exit_code, void *ctx)
{
    role_node *self = ctx;
    (void)node;
    DURE_CHECK(!self->is_ended);
    self->is_ended = true;
    self->exit_code = exit_code;
}

static void node_init(role_node *node)
{
    const dure_log_config log = {.level = DURE_LOG_INFO, .sink = node_log, .ctx = node};
    dure_buf_init(&node->log_text, ROLE_LOG_BYTES);
    DURE_REQUIRE_OK(dure_log_create(&log, &node->log));
    node->core = core_in(node->cluster->world);
}

void role_node_start(role_node *node)
{
    if (node->core == NULL) {
        node_init(node);
    }
    const dure_node_config config = {
        .registry = node->cluster->registry,
        .node_id = node->id,
        .role = node->role,
        .core = node->core,
        .log = node->log,
        .no_admin = true,
        .on_ended = node_on_ended,
        .ctx = node,
    };
    node->is_ended = false;
    DURE_REQUIRE_OK(dure_node_create(&config, &node->node));
    DURE_REQUIRE_OK(dure_node_start(node->node));
}

void role_node_begin_stop(role_node *node)
{
    dure_node_stop(node->node);
}

static bool node_is_ended(void *ctx)
{
    return ((const role_node *)ctx)->is_ended;
}

void role_node_stop(role_node *node)
{
    if (node->node == NULL) {
        return;
    }
    role_node_begin_stop(node);
    (void)dure_sim_run_until(node->cluster->world, node_is_ended, node, 2 * ROLE_GOODBYE_MS);
    DURE_REQUIRE(node->is_ended);
    DURE_CHECK_EQ(node->exit_code, 0);
    dure_node_destroy(node->node);
    node->node = NULL;
    role_cluster_run(node->cluster, 1);
}

bool role_node_logged(const role_node *node, const char *text)
{
    const size_t len = strlen(text);
    for (size_t i = 0; i + len <= node->log_text.len; i++) {
        if (memcmp(node->log_text.data + i, text, len) == 0) {
            return true;
        }
    }
    return false;
}
