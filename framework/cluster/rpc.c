/* SPDX-License-Identifier: MIT
 *
 * The life of a dure_rpc: its methods, its links and what they report, its end.
 */
#include "cluster/rpc.h"

#include "base/mem.h"
#include "cluster/rpc_impl.h"

void dure_rpc_defer(dure_rpc *rpc)
{
    dure_iocp_core_defer(rpc->config.core, &rpc->deferred);
}

/* ---- what the links report ---- */

static dure_err links_on_frame(void *ctx, dure_link *link, const dure_frame *frame)
{
    dure_rpc *rpc = ctx;
    dure_rpc_peer *peer = &rpc->peers[dure_link_index(link)];
    if (frame->kind == DURE_FRAME_REQUEST) {
        return dure_rpc_on_request(peer, frame);
    }
    if (frame->kind == DURE_FRAME_NOTIFY) {
        return dure_rpc_on_notify(peer, frame);
    }
    if (frame->kind == DURE_FRAME_CANCEL) {
        dure_rpc_on_cancel(peer, frame);
        return DURE_OK;
    }
    return dure_rpc_on_answer(peer, frame);
}

static void links_on_up(void *ctx, dure_link *link)
{
    dure_rpc *rpc = ctx;
    dure_rpc_retry_on_up(&rpc->peers[dure_link_index(link)]);
    if (rpc->config.on_peer_up != NULL) {
        rpc->config.on_peer_up(rpc, dure_link_node(link), rpc->config.state);
    }
}

static void links_on_down(void *ctx, dure_link *link, dure_err cause)
{
    dure_rpc *rpc = ctx;
    dure_rpc_peer *peer = &rpc->peers[dure_link_index(link)];
    dure_rpc_end_calls_of(peer);
    dure_rpc_cancel_peer(peer);
    dure_rpc_run_parked(peer); /* what is left has no answer, and came before the end */
    if (rpc->config.on_peer_down != NULL) {
        rpc->config.on_peer_down(rpc, peer->node, cause, rpc->config.state);
    }
}

static void links_on_draining(void *ctx, dure_link *link)
{
    dure_rpc *rpc = ctx;
    if (rpc->config.on_peer_draining != NULL) {
        rpc->config.on_peer_draining(rpc, dure_link_node(link), rpc->config.state);
    }
}

static void links_on_room(void *ctx, dure_link *link)
{
    dure_rpc *rpc = ctx;
    dure_rpc_run_parked(&rpc->peers[dure_link_index(link)]);
}

static void links_on_duplicate(void *ctx)
{
    dure_rpc *rpc = ctx;
    dure_log_write(dure_iocp_core_log(rpc->config.core), DURE_LOG_ERROR, "cluster", "DUPLICATE_ID",
                   "id=%s", rpc->self->id);
    if (rpc->config.on_duplicate != NULL) {
        rpc->config.on_duplicate(rpc, rpc->config.state);
    }
}

static void deadlines_on_closed(void *ctx)
{
    dure_rpc *rpc = ctx;
    rpc->is_quiet = true;
    dure_rpc_defer(rpc);
}

static void links_on_closed(void *ctx)
{
    dure_rpc *rpc = ctx;
    dure_deadlines_close(&rpc->deadlines, deadlines_on_closed, rpc);
}

static const dure_links_handlers links_handlers = {
    .on_up = links_on_up,
    .on_down = links_on_down,
    .on_draining = links_on_draining,
    .on_room = links_on_room,
    .on_frame = links_on_frame,
    .on_duplicate = links_on_duplicate,
    .on_closed = links_on_closed,
};

/* The end of a round. on_closed is the last: it may destroy the rpc. */
static void rpc_deferred(dure_iocp_deferred *self)
{
    dure_rpc *rpc = DURE_CONTAINER_OF(self, dure_rpc, deferred);
    dure_rpc_run_requests(rpc);
    dure_rpc_tell_ended_calls(rpc);
    const bool has_more = !dure_list_is_empty(&rpc->ended) ||
                          !dure_list_is_empty(&rpc->queued_requests) ||
                          !dure_list_is_empty(&rpc->to_cancel);
    if (has_more) {
        dure_rpc_defer(rpc);
    } else if (rpc->is_quiet && !rpc->is_closed) {
        rpc->is_closed = true;
        if (rpc->config.on_closed != NULL) {
            rpc->config.on_closed(rpc, rpc->config.state);
        }
    }
}

/* ---- life ---- */

static size_t count_methods(const dure_rpc_config *config)
{
    size_t count = 0;
    for (size_t i = 0; i < config->method_table_count; i++) {
        for (const dure_method *method = config->method_tables[i]; method->serve != NULL;
             method++) {
            count++;
        }
    }
    return count;
}

static dure_err enter_method(dure_rpc *rpc, const dure_method *method)
{
    if (dure_rpc_find_method(rpc, method->number) != NULL) {
        return DURE_ERR_EXISTS;
    }
    uint32_t slot = method->number * 2654435761u;
    while (rpc->methods[slot & (rpc->method_slots - 1)] != NULL) {
        slot++;
    }
    rpc->methods[slot & (rpc->method_slots - 1)] = method;
    return DURE_OK;
}

static dure_err enter_methods(dure_rpc *rpc)
{
    const size_t count = count_methods(&rpc->config);
    rpc->method_slots = 16;
    while (rpc->method_slots < count * 2) {
        rpc->method_slots *= 2;
    }
    rpc->methods = dure_mem_alloc_array(rpc->method_slots, sizeof *rpc->methods);
    if (rpc->methods == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < rpc->config.method_table_count; i++) {
        for (const dure_method *method = rpc->config.method_tables[i]; method->serve != NULL;
             method++) {
            const dure_err err = enter_method(rpc, method);
            if (err != DURE_OK) {
                return err;
            }
        }
    }
    return DURE_OK;
}

static dure_err create_links(dure_rpc *rpc)
{
    const dure_links_config config = {
        .core = rpc->config.core,
        .registry = rpc->config.registry,
        .self = rpc->self,
        .schema_hash = rpc->config.schema_hash,
        .deadlines = &rpc->deadlines,
        .listens_on_free_port = rpc->config.listens_on_free_port,
        .strangers_max = rpc->config.link_strangers_max,
        .handlers = &links_handlers,
        .ctx = rpc,
    };
    const dure_err err = dure_links_create(&config, &rpc->links);
    for (uint32_t i = 0; err == DURE_OK && i < rpc->peer_count; i++) {
        dure_rpc_peer *peer = &rpc->peers[i];
        peer->rpc = rpc;
        peer->node = dure_registry_node_at(rpc->config.registry, i);
        peer->link = dure_links_at(rpc->links, i);
        dure_list_init(&peer->calls);
        dure_list_init(&peer->requests);
        dure_list_init(&peer->parked);
        if (peer->link == NULL) {
            rpc->self_index = i;
        }
    }
    return err;
}

static void rpc_init(dure_rpc *rpc, const dure_rpc_config *config)
{
    rpc->config = *config;
    rpc->settings = dure_registry_settings_of(config->registry);
    rpc->self = dure_registry_find_node(config->registry, config->node_id);
    rpc->deferred.fn = rpc_deferred;
    dure_deadlines_init(&rpc->deadlines, config->core);
    dure_call_table_init(&rpc->calls, DURE_RPC_CALLS_MAX, 1);
    dure_deadline_init(&rpc->keys_expire, dure_rpc_keys_due);
    dure_list_init(&rpc->ended);
    dure_list_init(&rpc->retrying);
    dure_list_init(&rpc->queued_requests);
    dure_list_init(&rpc->local_requests);
    dure_list_init(&rpc->to_cancel);
    dure_list_init(&rpc->free_requests);
    dure_buf_init(&rpc->frame, (size_t)rpc->settings->body_max_bytes + DURE_RPC_FRAME_ROOM);
    dure_buf_init(&rpc->keyed, (size_t)rpc->settings->body_max_bytes + DURE_RPC_FRAME_ROOM);
    dure_buf_init(&rpc->reply, (size_t)rpc->settings->body_max_bytes + DURE_RPC_FRAME_ROOM);
    dure_buf_init(&rpc->error, 2 * DURE_RPC_ERROR_TEXT_MAX + 32);
}

dure_err dure_rpc_create(const dure_rpc_config *config, dure_rpc **out_rpc)
{
    dure_rpc *rpc = dure_mem_alloc(sizeof *rpc);
    if (rpc == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    rpc_init(rpc, config);
    dure_err err = rpc->self == NULL ? DURE_ERR_NOT_CONFIGURED : DURE_OK;
    if (err == DURE_OK) {
        rpc->peer_count = (uint32_t)dure_registry_node_count(config->registry);
        rpc->peers = dure_mem_alloc_array(rpc->peer_count, sizeof *rpc->peers);
        err = rpc->peers == NULL ? DURE_ERR_NO_MEMORY : enter_methods(rpc);
    }
    if (err == DURE_OK) {
        err = dure_router_create(config->registry, &rpc->router);
    }
    if (err == DURE_OK) {
        const dure_key_limits limits = {.keep_ms = rpc->settings->request_key_ms,
                                        .per_peer = rpc->settings->request_keys_max,
                                        .bytes = rpc->settings->request_keys_bytes};
        err = dure_key_table_create(rpc->peer_count, &limits, &rpc->keys);
    }
    if (err == DURE_OK) {
        err = create_links(rpc);
    }
    if (err != DURE_OK) {
        dure_rpc_destroy(rpc);
        return err;
    }
    *out_rpc = rpc;
    return DURE_OK;
}

dure_err dure_rpc_start(dure_rpc *rpc)
{
    DURE_ASSERT(!rpc->is_started);
    rpc->is_started = true;
    return dure_links_start(rpc->links);
}

dure_err dure_rpc_link_address(const dure_rpc *rpc, dure_net_address *out_address)
{
    return dure_links_address(rpc->links, out_address);
}

dure_err dure_rpc_set_peer_address(dure_rpc *rpc, const char *node_id,
                                   const dure_net_address *address)
{
    const uint32_t node = dure_router_find_node(rpc->router, node_id);
    if (node == DURE_ROUTER_NONE) {
        return DURE_ERR_NOT_CONFIGURED;
    }
    if (rpc->is_started) {
        return DURE_ERR_STATE;
    }
    dure_links_set_address(rpc->links, node, address);
    return DURE_OK;
}

void dure_rpc_drain(dure_rpc *rpc, uint32_t drain_ms)
{
    if (rpc->is_started && !rpc->is_closing) {
        rpc->is_draining = true;
        dure_links_drain(rpc->links, drain_ms);
    }
}

void dure_rpc_close(dure_rpc *rpc)
{
    if (rpc->is_closing) {
        return;
    }
    rpc->is_closing = true;
    dure_rpc_end_local_calls(rpc);
    dure_rpc_retry_end_all(rpc);
    dure_links_close(rpc->links, rpc->serving == 0);
    dure_rpc_cancel_local(rpc);
}

void dure_rpc_destroy(dure_rpc *rpc)
{
    if (rpc == NULL) {
        return;
    }
    DURE_ASSERT(dure_list_is_empty(&rpc->ended));
    dure_iocp_core_undefer(&rpc->deferred);
    dure_links_destroy(rpc->links);
    dure_deadlines_fini(&rpc->deadlines);
    dure_call_table_fini(&rpc->calls);
    dure_rpc_free_requests(rpc);
    for (uint32_t i = 0; rpc->peers != NULL && i < rpc->peer_count; i++) {
        DURE_ASSERT(rpc->peers[i].request_count == 0);
        dure_mem_free(rpc->peers[i].buckets);
    }
    dure_mem_free(rpc->peers);
    dure_mem_free(rpc->methods);
    dure_router_destroy(rpc->router);
    dure_key_table_destroy(rpc->keys);
    dure_buf_fini(&rpc->keyed);
    dure_buf_fini(&rpc->frame);
    dure_buf_fini(&rpc->reply);
    dure_buf_fini(&rpc->error);
    dure_mem_free(rpc);
}

/* ---- questions ---- */

dure_peer_state dure_rpc_peer_state(const dure_rpc *rpc, const char *node_id)
{
    const uint32_t node = dure_router_find_node(rpc->router, node_id);
    return node == DURE_ROUTER_NONE ? DURE_PEER_NOT_UP : dure_rpc_state_of(&rpc->peers[node]);
}

bool dure_rpc_peer_is_draining(const dure_rpc *rpc, const char *node_id)
{
    const uint32_t node = dure_router_find_node(rpc->router, node_id);
    return node != DURE_ROUTER_NONE && rpc->peers[node].link != NULL &&
           dure_link_is_draining(rpc->peers[node].link);
}

const dure_registry_node *dure_rpc_node_of_key(const dure_rpc *rpc, const char *role, dure_str key)
{
    const dure_router_role *found = dure_router_find_role(rpc->router, role);
    const uint32_t node =
        found != NULL ? dure_router_of_key(rpc->router, found, key) : DURE_ROUTER_NONE;
    return node == DURE_ROUTER_NONE ? NULL : rpc->peers[node].node;
}

uint64_t dure_rpc_peer_incarnation(const dure_rpc *rpc, const char *node_id)
{
    const uint32_t node = dure_router_find_node(rpc->router, node_id);
    if (node == DURE_ROUTER_NONE || rpc->peers[node].link == NULL) {
        return 0;
    }
    return dure_link_incarnation(rpc->peers[node].link);
}

const dure_registry *dure_rpc_registry(const dure_rpc *rpc)
{
    return rpc->config.registry;
}

const dure_registry_node *dure_rpc_self(const dure_rpc *rpc)
{
    return rpc->self;
}

dure_iocp_core *dure_rpc_core(const dure_rpc *rpc)
{
    return rpc->config.core;
}

uint32_t dure_rpc_outstanding(const dure_rpc *rpc)
{
    return rpc->calls.count;
}

uint32_t dure_rpc_serving(const dure_rpc *rpc)
{
    return rpc->serving;
}

void dure_rpc_counters_of(const dure_rpc *rpc, dure_rpc_counters *out_counters)
{
    dure_links_counters links;
    dure_links_counters_of(rpc->links, &links);
    *out_counters = rpc->counters;
    out_counters->links_up = links.up;
    out_counters->links_refused = links.refused;
    out_counters->links_shed = links.shed;
    out_counters->links_replaced = links.replaced;
    out_counters->dials_failed = links.dial_failed;
    out_counters->links_slow = links.slow;
    out_counters->overloaded = links.overloaded;
    out_counters->answers_without_room = links.no_room;
    out_counters->stale_answers = links.stale_answers;
    out_counters->not_begun += links.not_begun;
    out_counters->parts_sent = links.parts_sent;
    out_counters->parts_heard = links.parts_heard;
    out_counters->bodies_dropped = links.bodies_dropped;
    out_counters->queued_bytes = links.queued_bytes;
    out_counters->joining_bytes = links.joining_bytes;
}
