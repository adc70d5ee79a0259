/* SPDX-License-Identifier: MIT
 *
 * What every node serves, whatever its role: proto/node.dure.
 */
#include "base/assert.h"
#include "base/mem.h"
#include "node.role.h"
#include "node/exit_codes.h"
#include "node/node_impl.h"
#include "node/process.h"
#include "node/version.h"

const dure_method *const node_builtin_methods = node_methods;

uint64_t node_builtin_schema_hash(void)
{
    return node_schema_hash;
}

static void on_describe(dure_request *request, const node_describe_params *in, void *state)
{
    const dure_node *node = state;
    DURE_ASSERT(node->state != NODE_NEW);
    const dure_method *methods = node->config.role->methods;
    uint32_t count = 0;
    (void)in;
    for (const dure_method *row = methods; row != NULL && row->serve != NULL; row++) {
        count += (row->flags & DURE_METHOD_CLIENT) != 0 ? 1 : 0;
    }
    node_method_info *infos = dure_mem_alloc_array(count + 1, sizeof *infos);
    if (infos == NULL) {
        dure_request_fail(request, DURE_ERR_OVERLOADED, "out of memory");
        return;
    }
    count = 0;
    for (const dure_method *row = methods; row != NULL && row->serve != NULL; row++) {
        if ((row->flags & DURE_METHOD_CLIENT) != 0) {
            infos[count++] = (node_method_info){row->number, row->flags, dure_str_of(row->name)};
        }
    }
    node_describe_result out = {.methods = {.items = infos, .count = count}};
    node_reply_describe(request, &out);
    dure_mem_free(infos);
}

static const char *peer_state_text(const dure_node *node, const char *id)
{
    if (dure_rpc_peer_is_draining(node->rpc, id)) {
        return "DRAINING";
    }
    dure_peer_state state = dure_rpc_peer_state(node->rpc, id);
    return state == DURE_PEER_UP ? "UP" : state == DURE_PEER_DOWN ? "DOWN" : "NOT_UP";
}

static bool node_is_peer(const dure_node *node, const dure_registry_node *other)
{
    const dure_registry *registry = node->config.registry;
    return other != node->self && (dure_registry_dials(registry, node->self->role, other->role) ||
                                   dure_registry_dials(registry, other->role, node->self->role));
}

static uint32_t status_peers(const dure_node *node, node_peer_info *peers)
{
    uint32_t count = 0;
    for (size_t i = 0; i < dure_registry_node_count(node->config.registry); i++) {
        const dure_registry_node *other = dure_registry_node_at(node->config.registry, i);
        if (node_is_peer(node, other)) {
            DURE_ASSERT(count <= i); /* there is room for all nodes */
            peers[count++] = (node_peer_info){
                .id = dure_str_of(other->id),
                .role = dure_str_of(other->role),
                .state = dure_str_of(peer_state_text(node, other->id)),
            };
        }
    }
    return count;
}

static node_link_counters status_links(const dure_node *node)
{
    dure_rpc_counters counters;
    dure_rpc_counters_of(node->rpc, &counters);
    return (node_link_counters){
        .up = counters.links_up,
        .refused = counters.links_refused,
        .replaced = counters.links_replaced,
        .dials_failed = counters.dials_failed,
        .late_answers = counters.late_answers,
        .dropped_answers = counters.dropped_answers,
        .overloaded = counters.overloaded,
        .slow = counters.links_slow,
        .parts_sent = counters.parts_sent,
        .parts_heard = counters.parts_heard,
        .bodies_dropped = counters.bodies_dropped,
        .queued_bytes = counters.queued_bytes,
        .joining_bytes = counters.joining_bytes,
        .stale_answers = counters.stale_answers,
        .retries = counters.retries,
        .retries_refused = counters.retries_refused,
        .repeats = counters.repeats,
        .not_begun = counters.not_begun,
    };
}

static node_refused_counters status_refused(const dure_node *node)
{
    uint64_t totals[NODE_LIMIT_COUNT];
    node_refused_counters counters = {0};
    node_port_refusals(node->clients, totals, &counters.accept_pauses);
    counters.rate = totals[NODE_LIMIT_RATE];
    counters.address = totals[NODE_LIMIT_ADDRESS];
    counters.full = totals[NODE_LIMIT_FULL];
    return counters;
}

static void on_status(dure_request *request, const node_status_params *in, void *state)
{
    dure_node *node = state;
    size_t max = dure_registry_node_count(node->config.registry);
    node_peer_info *peers = dure_mem_alloc_array(max, sizeof *peers);
    (void)in;
    if (peers == NULL) {
        dure_request_fail(request, DURE_ERR_OVERLOADED, "out of memory");
        return;
    }
    node_status_result out = {
        .node = dure_str_of(node->self->id),
        .role = dure_str_of(node->self->role),
        .pid = dure_process_id(),
        .uptime_ms = dure_iocp_core_now_ms(node->object.core) - node->started_ms,
        .clients = node_port_count(node->clients),
        .peers = {.items = peers, .count = status_peers(node, peers)},
        .outstanding = dure_rpc_outstanding(node->rpc),
        .serving = dure_rpc_serving(node->rpc),
        .backend = dure_str_of(dure_iocp_core_backend_name(node->object.core)),
        .version = dure_str_of(DURE_VERSION),
        .links = status_links(node),
        .refused = status_refused(node),
    };
    node_reply_status(request, &out);
    dure_mem_free(peers);
}

static void on_stop(dure_request *request, const node_stop_params *in, void *state)
{
    dure_node *node = state;
    (void)in;
    node_reply_stop(request, true);
    if (node->exit_code == DURE_EXIT_RESTART) {
        node->exit_code = DURE_EXIT_OK; /* it is not to come back after all */
    }
    dure_node_stop(node);
}

static void on_restart(dure_request *request, const node_restart_params *in, void *state)
{
    dure_node *node = state;
    (void)in;
    if (!dure_process_is_supervised()) {
        dure_request_fail(
            request, DURE_ERR_REFUSED,
            "neither `dure up` nor systemd runs this node: nobody would start it again");
        return;
    }
    if (node->state != NODE_RUNNING && node->exit_code != DURE_EXIT_RESTART) {
        dure_request_fail(request, DURE_ERR_REFUSED, "the node was asked to stop before");
        return;
    }
    node_reply_restart(request, true);
    if (node->exit_code == DURE_EXIT_OK) {
        node->exit_code = DURE_EXIT_RESTART;
    }
    dure_node_stop(node);
}

static void on_log_level(dure_request *request, const node_log_level_params *in, void *state)
{
    dure_node *node = state;
    char name[16] = "";
    dure_log_level level;
    if (in->level.len < sizeof name) {
        memcpy(name, in->level.data, in->level.len);
    }
    if (dure_log_level_parse(name, &level) != DURE_OK) {
        dure_request_fail(request, DURE_ERR_BAD_REQUEST,
                          "level: expected debug, info, warn, error or off");
        return;
    }
    if (node->config.log == NULL) {
        dure_request_fail(request, DURE_ERR_UNAVAILABLE, "this node has no log");
        return;
    }
    dure_str former = dure_str_of(dure_log_level_name(dure_log_level_of(node->config.log)));
    dure_log_set_level(node->config.log, level);
    node_reply_log_level(request, former);
}
