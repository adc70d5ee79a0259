/* SPDX-License-Identifier: MIT
 *
 * Which peer a target means, and why there is none.
 */
#include "cluster/rpc_impl.h"

bool dure_rpc_peer_is_up(const dure_rpc_peer *peer)
{
    return peer->link == NULL || dure_link_is_up(peer->link);
}

bool dure_rpc_peer_was_up(const dure_rpc_peer *peer)
{
    return peer->link == NULL || dure_link_was_up(peer->link);
}

dure_peer_state dure_rpc_state_of(const dure_rpc_peer *peer)
{
    if (dure_rpc_peer_is_up(peer)) {
        return DURE_PEER_UP;
    }
    return dure_rpc_peer_was_up(peer) ? DURE_PEER_DOWN : DURE_PEER_NOT_UP;
}

static uint32_t load_of(void *ctx, uint32_t node)
{
    const dure_rpc *rpc = ctx;
    const dure_rpc_peer *peer = &rpc->peers[node];
    if (!dure_rpc_peer_is_up(peer)) {
        return UINT32_MAX;
    }
    if (peer->link == NULL || !dure_link_is_draining(peer->link)) {
        return peer->call_count;
    }
    /* Whoever drains itself has only to finish, and may ask those who finish too. */
    return rpc->is_draining ? UINT32_MAX - 1 : UINT32_MAX;
}

dure_err dure_rpc_route_to_role(dure_rpc *rpc, const dure_router_role *role,
                                dure_rpc_peer **out_peer)
{
    const uint32_t node = dure_router_least(role, rpc->turn++, load_of, rpc);
    if (node != DURE_ROUTER_NONE) {
        *out_peer = &rpc->peers[node];
        return DURE_OK;
    }
    for (uint32_t i = 0; i < role->node_count; i++) {
        if (dure_rpc_peer_was_up(&rpc->peers[role->nodes[i]])) {
            return DURE_ERR_DOWN;
        }
    }
    return DURE_ERR_NOT_UP;
}

/* The peer of a target that is one node, or why there is none. */
dure_err dure_rpc_route(dure_rpc *rpc, const dure_target *target, dure_rpc_peer **out_peer)
{
    uint32_t node = DURE_ROUTER_NONE;
    if (target->kind == DURE_TARGET_NODE) {
        node = dure_router_find_node(rpc->router, target->name);
    } else {
        const dure_router_role *role = dure_router_find_role(rpc->router, target->name);
        if (role == NULL || role->node_count == 0) {
            return DURE_ERR_NOT_CONFIGURED;
        }
        if (target->kind == DURE_TARGET_ROLE) {
            return dure_rpc_route_to_role(rpc, role, out_peer);
        }
        node = dure_router_of_key(rpc->router, role, target->key);
    }
    if (node == DURE_ROUTER_NONE) {
        return DURE_ERR_NOT_CONFIGURED;
    }
    dure_rpc_peer *peer = &rpc->peers[node];
    if (!dure_rpc_peer_is_up(peer)) {
        return dure_rpc_peer_was_up(peer) ? DURE_ERR_DOWN : DURE_ERR_NOT_UP;
    }
    *out_peer = peer;
    return DURE_OK;
}
