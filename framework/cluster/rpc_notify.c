/* SPDX-License-Identifier: MIT
 *
 * Messages without an answer.
 */
#include "cluster/rpc_impl.h"

static dure_err notify_peer(dure_rpc *rpc, dure_rpc_peer *peer, uint32_t method, uint64_t subject)
{
    const dure_frame frame = {.kind = DURE_FRAME_NOTIFY, .method = method, .subject = subject};
    dure_request *request = NULL;
    dure_slice bytes = {NULL, 0};
    uint64_t end = 0;
    if (peer->link == NULL) {
        const dure_local_call local = {
            .method = method, .subject = subject, .body = dure_rpc_frame_body(rpc)};
        return dure_rpc_queue_local(rpc, &local, &request);
    }
    if (!dure_link_is_up(peer->link)) {
        return dure_rpc_peer_was_up(peer) ? DURE_ERR_DOWN : DURE_ERR_NOT_UP;
    }
    const dure_err err = dure_rpc_finish_frame(rpc, &frame, &bytes);
    return err != DURE_OK ? err : dure_link_send(peer->link, bytes, DURE_LINK_NEW_WORK, &end);
}

/* To as many as can be reached; OK when it was one. */
static dure_err notify_all(dure_rpc *rpc, const dure_target *target, uint32_t method,
                           uint64_t subject)
{
    const dure_router_role *role = dure_router_find_role(rpc->router, target->name);
    dure_err first = DURE_ERR_NOT_CONFIGURED;
    bool has_left = false;
    for (uint32_t i = 0; role != NULL && i < role->node_count; i++) {
        const dure_err err = notify_peer(rpc, &rpc->peers[role->nodes[i]], method, subject);
        has_left = has_left || err == DURE_OK;
        first = i == 0 ? err : first;
    }
    return has_left ? DURE_OK : first;
}

dure_err dure_rpc_notify_send(dure_rpc *rpc, const dure_target *target, uint32_t method,
                              uint64_t subject)
{
    dure_rpc_peer *peer = NULL;
    DURE_ASSERT_OWNER(rpc->config.core);
    if (rpc->is_closing) {
        return DURE_ERR_STATE;
    }
    if (target == NULL || target->name == NULL) {
        return DURE_ERR_INVALID;
    }
    dure_err err = dure_rpc_packed_body_status(rpc);
    if (err != DURE_OK) {
        return err;
    }
    if (target->kind == DURE_TARGET_ALL) {
        return notify_all(rpc, target, method, subject);
    }
    err = dure_rpc_route(rpc, target, &peer);
    return err != DURE_OK ? err : notify_peer(rpc, peer, method, subject);
}

dure_err dure_rpc_notify(dure_rpc *rpc, const dure_target *target, uint32_t method,
                         uint64_t subject, dure_slice body)
{
    const dure_err err = dure_rpc_pack_body(rpc, body);
    if (err != DURE_OK) {
        return err == DURE_ERR_FULL ? DURE_ERR_TOO_LARGE : err;
    }
    return dure_rpc_notify_send(rpc, target, method, subject);
}
