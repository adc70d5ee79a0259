/* SPDX-License-Identifier: MIT
 *
 * Small clusters for tests; see cluster_support.h.
 */
#include "cluster/cluster_support.h"

#include "support/check.h"
#include "wire/cursor.h"

static const uint8_t body_bytes[] = {0x93, 0x01, 0x02, 0x03};

static void tell_served(const test_node *node, const dure_request *request)
{
    if (node->on_served != NULL) {
        node->on_served(node->served_ctx, request);
    }
}

static void serve_echo(dure_request *request, dure_slice params, void *state)
{
    tell_served(state, request);
    dure_request_reply(request, params);
}

static void serve_fail(dure_request *request, dure_slice params, void *state)
{
    (void)params;
    (void)state;
    dure_request_fail(request, DURE_ERR_NOT_ENOUGH, "only %d left", 3);
}

static void hold_cancelled(dure_request *request, void *ctx)
{
    test_node *node = ctx;
    node->cancels++;
    node->held = NULL;
    dure_request_fail(request, DURE_ERR_CANCELLED, "gone");
}

static void serve_hold(dure_request *request, dure_slice params, void *state)
{
    test_node *node = state;
    (void)params;
    dure_request_hold(request);
    dure_request_on_cancel(request, hold_cancelled, node);
    node->held = request;
}

static void serve_left(dure_request *request, dure_slice params, void *state)
{
    (void)params;
    (void)state;
    dure_packer *packer = dure_request_reply_begin(request);
    dure_packer_u64(packer, dure_request_left_ms(request));
    dure_request_reply_end(request);
}

static void hop_done(void *ctx, const dure_outcome *outcome)
{
    dure_request_forward(ctx, outcome);
}

static void serve_hop(dure_request *request, dure_slice params, void *state)
{
    test_node *node = state;
    const dure_target target = dure_to_role("db");
    const dure_call_options options = {.for_request = request};
    dure_request_hold(request);
    DURE_CHECK_OK(
        dure_rpc_call(node->rpc, &target, METHOD_LEFT, &options, params, hop_done, request, NULL));
}

static void serve_note(dure_request *request, dure_slice params, void *state)
{
    test_node *node = state;
    (void)params;
    node->notes++;
    tell_served(node, request);
}

static void serve_custom(dure_request *request, dure_slice params, void *state)
{
    (void)params;
    (void)state;
    dure_request_fail_code(request, 1234, "MY_OWN", "a text");
}

static void serve_tally(dure_request *request, dure_slice params, void *state)
{
    test_node *node = state;
    node->runs++;
    tell_served(node, request);
    if (node->fails > 0) {
        node->fails--;
        dure_request_fail(request, node->fail_with, "so far");
    } else if (node->tally_holds) {
        serve_hold(request, params, node);
    } else {
        dure_packer *packer = dure_request_reply_begin(request);
        dure_packer_u64(packer, (uint64_t)node->runs);
        dure_request_reply_end(request);
    }
}

static void serve_hop_hold(dure_request *request, dure_slice params, void *state)
{
    test_node *node = state;
    const dure_target target = dure_to_role("db");
    const dure_call_options options = {.for_request = request, .ends_with_request = true};
    dure_request_hold(request);
    DURE_CHECK_OK(
        dure_rpc_call(node->rpc, &target, METHOD_HOLD, &options, params, hop_done, request, NULL));
}

static void serve_gather(dure_request *request, dure_slice params, void *state)
{
    test_node *node = state;
    (void)params;
    DURE_REQUIRE(node->gathered_count < TEST_GATHERED_MAX);
    tell_served(node, request);
    dure_request_hold(request);
    node->gathered[node->gathered_count++] = request;
}

static void serve_close(dure_request *request, dure_slice params, void *state)
{
    test_node *node = state;
    (void)params;
    dure_rpc_close(node->rpc);
    dure_request_reply(request, (dure_slice){NULL, 0});
}

void test_answer_gathered(test_node *node, dure_slice result)
{
    const size_t count = node->gathered_count;
    node->gathered_count = 0;
    for (size_t i = 0; i < count; i++) {
        dure_request_reply(node->gathered[i], result);
    }
}

static const dure_method methods[] = {
    {METHOD_ECHO, 0, "echo", serve_echo},
    {METHOD_FAIL, 0, "fail", serve_fail},
    {METHOD_HOLD, 0, "hold", serve_hold},
    {METHOD_LEFT, 0, "left", serve_left},
    {METHOD_HOP, 0, "hop", serve_hop},
    {METHOD_NOTE, DURE_METHOD_NOTIFY, "note", serve_note},
    {METHOD_ADMIN, DURE_METHOD_ADMIN, "admin", serve_echo},
    {METHOD_CUSTOM, 0, "custom", serve_custom},
    {METHOD_TALLY, 0, "tally", serve_tally},
    {METHOD_HOP_HOLD, 0, "hop_hold", serve_hop_hold},
    {METHOD_GATHER, 0, "gather", serve_gather},
    {METHOD_CLOSE, 0, "close", serve_close},
    {0, 0, NULL, NULL},
};

static const dure_method *const tables[] = {methods};

static void on_peer_up(dure_rpc *rpc, const dure_registry_node *peer, void *state)
{
    (void)rpc;
    (void)peer;
    ((test_node *)state)->up++;
}

static void on_peer_down(dure_rpc *rpc, const dure_registry_node *peer, dure_err cause, void *state)
{
    test_node *node = state;
    (void)rpc;
    (void)peer;
    node->down++;
    node->down_cause = cause;
}

static void on_duplicate(dure_rpc *rpc, void *state)
{
    (void)rpc;
    ((test_node *)state)->duplicates++;
}

static void on_closed(dure_rpc *rpc, void *state)
{
    (void)rpc;
    ((test_node *)state)->is_closed = true;
}

static void log_sink(void *ctx, const char *line, size_t len)
{
    test_cluster *cluster = ctx;
    if (cluster->log_len + len < sizeof cluster->log_text) {
        memcpy(cluster->log_text + cluster->log_len, line, len);
        cluster->log_len += len;
    }
}

dure_registry *test_registry(const char *name, const char *secret)
{
    return test_registry_tuned(name, secret, NULL);
}

dure_registry *test_registry_tuned(const char *name, const char *secret,
                                   void (*tune)(dure_registry_settings *settings))
{
    static const char *const gateway_dials[] = {"game", NULL};
    static const char *const game_dials[] = {"db", NULL};
    static const char *const peer_dials[] = {"peer", NULL};
    static const char *const nobody[] = {NULL};
    dure_registry_builder *builder = NULL;
    dure_registry *registry = NULL;
    DURE_REQUIRE_OK(dure_registry_builder_create(name, "var", &builder));
    DURE_REQUIRE_OK(dure_registry_builder_role(builder, "gateway", "dure-gateway", gateway_dials));
    DURE_REQUIRE_OK(dure_registry_builder_role(builder, "game", "dure-game", game_dials));
    DURE_REQUIRE_OK(dure_registry_builder_role(builder, "db", "dure-db", nobody));
    DURE_REQUIRE_OK(dure_registry_builder_role(builder, "peer", "peer", peer_dials));
    DURE_REQUIRE_OK(
        dure_registry_builder_node(builder, "gateway-1", "gateway", "127.0.0.1", 7801, 7777));
    DURE_REQUIRE_OK(dure_registry_builder_node(builder, "game-1", "game", "127.0.0.1", 7811, 0));
    DURE_REQUIRE_OK(dure_registry_builder_node(builder, "game-2", "game", "127.0.0.1", 7812, 0));
    DURE_REQUIRE_OK(dure_registry_builder_node(builder, "db-1", "db", "127.0.0.1", 7821, 0));
    DURE_REQUIRE_OK(dure_registry_builder_node(builder, "peer-1", "peer", "127.0.0.1", 7831, 0));
    DURE_REQUIRE_OK(dure_registry_builder_node(builder, "peer-2", "peer", "127.0.0.1", 7832, 0));
    if (secret != NULL) {
        const dure_slice bytes = {(const uint8_t *)secret, strlen(secret)};
        DURE_REQUIRE_OK(dure_registry_builder_secret(builder, bytes));
    }
    if (tune != NULL) {
        tune(dure_registry_builder_settings(builder));
    }
    DURE_REQUIRE_OK(dure_registry_builder_finish(builder, &registry));
    return registry;
}

void test_cluster_init(test_cluster *cluster, const char *secret)
{
    dure_sim_config sim;
    memset(cluster, 0, sizeof *cluster);
    dure_sim_config_init(&sim);
    DURE_REQUIRE_OK(dure_sim_world_create(&sim, &cluster->world));
    const dure_log_config log = {
        .level = DURE_LOG_DEBUG, .format = DURE_LOG_LOGFMT, .sink = log_sink, .ctx = cluster};
    DURE_REQUIRE_OK(dure_log_create(&log, &cluster->log));
    cluster->registry = test_registry("test", secret);
}

test_node *test_node_start(test_cluster *cluster, const char *id, const dure_registry *registry)
{
    test_node *node = cluster->nodes;
    while (node->rpc != NULL) {
        node++;
    }
    dure_iocp_core_config core;
    memset(node, 0, sizeof *node);
    node->cluster = cluster;
    node->id = id;
    dure_iocp_core_config_init(&core);
    core.backend = DURE_BACKEND_SIM;
    core.sim = cluster->world;
    core.log = cluster->log;
    DURE_REQUIRE_OK(dure_iocp_core_create(&core, &node->core));
    const dure_rpc_config config = {
        .core = node->core,
        .registry = registry != NULL ? registry : cluster->registry,
        .node_id = id,
        .schema_hash = 1,
        .method_tables = tables,
        .method_table_count = 1,
        .state = node,
        .on_peer_up = on_peer_up,
        .on_peer_down = on_peer_down,
        .on_duplicate = on_duplicate,
        .on_closed = on_closed,
    };
    DURE_REQUIRE_OK(dure_rpc_create(&config, &node->rpc));
    const dure_err err = dure_rpc_start(node->rpc);
    /* A second process of one id cannot have its port; it dials all the same. */
    DURE_CHECK(err == DURE_OK);
    return node;
}

static bool node_is_closed(void *ctx)
{
    return ((test_node *)ctx)->is_closed;
}

void test_pair_init(test_pair *pair, const dure_registry *registry)
{
    test_cluster_init(&pair->cluster, NULL);
    pair->db = test_node_start(&pair->cluster, "db-1", registry);
    pair->game = test_node_start(&pair->cluster, "game-1", registry);
    test_run(&pair->cluster, 1000);
    DURE_REQUIRE(pair->game->up == 1);
}

void test_node_stop(test_node *node)
{
    dure_iocp_counters counters;
    if (node->rpc == NULL) {
        return;
    }
    dure_rpc_close(node->rpc);
    DURE_CHECK(dure_sim_run_until(node->cluster->world, node_is_closed, node, 20000));
    dure_rpc_destroy(node->rpc);
    node->rpc = NULL;
    dure_iocp_core_counters(node->core, &counters);
    DURE_CHECK_EQ(counters.started, counters.completed);
    dure_iocp_core_destroy(node->core);
    node->core = NULL;
}

void test_cluster_fini(test_cluster *cluster)
{
    for (size_t i = 0; i < TEST_NODES_MAX; i++) {
        test_node_stop(&cluster->nodes[i]);
    }
    dure_registry_destroy(cluster->registry);
    dure_sim_world_destroy(cluster->world);
    dure_log_destroy(cluster->log);
}

void test_run(test_cluster *cluster, uint32_t ms)
{
    dure_sim_run_for(cluster->world, ms);
}

bool test_log_has(const test_cluster *cluster, const char *text)
{
    return strstr(cluster->log_text, text) != NULL;
}

void test_on_done(void *ctx, const dure_outcome *outcome)
{
    test_call *call = ctx;
    call->count++;
    call->status = outcome->status;
    call->code = outcome->code;
    call->from = outcome->from;
    call->body_len = outcome->body.len < sizeof call->body ? outcome->body.len : 0;
    if (call->body_len > 0) {
        memcpy(call->body, outcome->body.data, call->body_len);
    }
    (void)snprintf(call->text, sizeof call->text, "%.*s", DURE_STR_ARG(outcome->text));
}

dure_call_id test_call_with(test_node *node, const char *to, uint32_t method,
                            const dure_call_options *options, test_call *call)
{
    const dure_target target = dure_to_node(to);
    const dure_slice body = {body_bytes, sizeof body_bytes};
    dure_call_id id = 0;
    memset(call, 0, sizeof *call);
    DURE_REQUIRE_OK(
        dure_rpc_call(node->rpc, &target, method, options, body, test_on_done, call, &id));
    DURE_CHECK_EQ(call->count, 0); /* never inside the call */
    return id;
}

dure_call_id test_call_node(test_node *node, const char *to, uint32_t method, uint32_t deadline_ms,
                            test_call *call)
{
    const dure_call_options options = {.deadline_ms = deadline_ms};
    return test_call_with(node, to, method, &options, call);
}

void test_check_ended(const test_call *call, dure_err status)
{
    DURE_CHECK_EQ(call->count, 1);
    DURE_CHECK_ERR(call->status, status);
}

void test_check_ends(test_cluster *cluster, const test_call *call, uint32_t ms, dure_err status)
{
    test_run(cluster, ms);
    test_check_ended(call, status);
}

uint64_t test_number_of(const test_call *call)
{
    uint64_t value = 0;
    dure_cursor cursor = dure_cursor_of(call->body, call->body_len);
    DURE_CHECK_OK(dure_cursor_u64(&cursor, &value));
    return value;
}

dure_rpc_counters test_counters_of(const test_node *node)
{
    dure_rpc_counters counters;
    dure_rpc_counters_of(node->rpc, &counters);
    return counters;
}
