/* SPDX-License-Identifier: MIT
 *
 * A row a node, which is also what its answer finds: asking takes no memory of its own and no timer
 * that could outlive it.
 */
#include "nodes/gateway/describe.h"

#include "base/mem.h"
#include "node.schema.h"

#define DESCRIBE_MS       2000u
#define DESCRIBE_RETRY_MS 500u
#define DESCRIBE_NEVER    UINT64_MAX

struct gateway_peer {
    gateway *g;
    const dure_registry_node *node;
    uint64_t due_ms; /* when to ask again; NEVER: it has answered, or is asked, or is away */
};

dure_err gateway_describe_init(gateway *g)
{
    const dure_registry *registry = dure_rpc_registry(g->rpc);
    const size_t count = dure_registry_node_count(registry);
    g->peers = dure_mem_alloc_array(count, sizeof *g->peers);
    if (g->peers == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    g->peer_count = count;
    for (size_t i = 0; i < count; i++) {
        g->peers[i] = (gateway_peer){g, dure_registry_node_at(registry, i), DESCRIBE_NEVER};
    }
    return DURE_OK;
}

void gateway_describe_fini(gateway *g)
{
    dure_mem_free(g->peers);
    g->peers = NULL;
    g->peer_count = 0;
}

static void ask_later(gateway_peer *peer)
{
    peer->due_ms = dure_iocp_core_now_ms(dure_node_core(peer->g->node)) + DESCRIBE_RETRY_MS;
}

/* False where there was no memory for a method. */
static bool take_methods(const gateway_peer *peer, const node_describe_result *result)
{
    gateway *g = peer->g;
    const dure_registry_role *role =
        dure_registry_find_role(dure_rpc_registry(g->rpc), peer->node->role);
    size_t at = 0;
    bool has_all = true;
    node_method_info info;
    while (node_method_info_list_next(&result->methods, &at, &info)) {
        dure_err err = gateway_methods_add(&g->methods, info.name, info.number, info.flags, role);
        has_all = has_all && err != DURE_ERR_NO_MEMORY;
        if (err != DURE_OK) {
            dure_log_write(dure_node_log(g->node), DURE_LOG_WARN, "gateway", "METHOD_REFUSED",
                           "role=%s number=%u", role->name, info.number);
        }
    }
    if (has_all) {
        gateway_methods_set_described(&g->methods, role);
    }
    return has_all;
}

static void on_described(void *ctx, const dure_outcome *outcome, const node_describe_result *result)
{
    gateway_peer *peer = ctx;
    (void)outcome;
    if (result == NULL || !take_methods(peer, result)) {
        ask_later(peer);
    }
}

static void ask(gateway_peer *peer)
{
    const node_describe_params in = {0};
    const dure_target target = dure_to_node(peer->node->id);
    const dure_call_options options = {.deadline_ms = DESCRIBE_MS};
    dure_call_id call;
    peer->due_ms = DESCRIBE_NEVER;
    if (dure_rpc_peer_state(peer->g->rpc, peer->node->id) == DURE_PEER_UP &&
        node_call_describe(peer->g->rpc, &target, &in, &options, on_described, peer, &call) !=
            DURE_OK) {
        ask_later(peer);
    }
}

void gateway_describe(gateway *g, const dure_registry_node *peer)
{
    for (size_t i = 0; i < g->peer_count; i++) {
        if (g->peers[i].node == peer) {
            ask(&g->peers[i]);
        }
    }
}

void gateway_describe_tick(gateway *g)
{
    const uint64_t now_ms = dure_iocp_core_now_ms(dure_node_core(g->node));
    for (size_t i = 0; i < g->peer_count; i++) {
        if (now_ms >= g->peers[i].due_ms) {
            ask(&g->peers[i]);
        }
    }
}
