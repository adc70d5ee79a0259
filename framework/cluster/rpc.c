/* SPDX-License-Identifier: MIT
 *
 * The side that asks: calls, their outcomes and deadlines, notifies; and the life of a dure_rpc. A
 * call is told its outcome in a completion (an answer, a deadline) or from the deferred function at
 * the end of the round, never inside the function that made, cancelled or closed it.
 */
#include "cluster/rpc.h"

#include <stdio.h>

#include "base/mem.h"
#include "cluster/rpc_impl.h"
#include "wire/check.h"
#include "wire/cursor.h"

static void rpc_deferred(dure_iocp_deferred *self);

void dure_rpc_defer(dure_rpc *rpc)
{
    dure_iocp_core_defer(rpc->config.core, &rpc->deferred);
}

/* ---- outcomes ---- */

void dure_rpc_own_outcome(dure_err status, dure_outcome *out_outcome)
{
    const dure_outcome outcome = {
        .status = status,
        .code = (uint32_t)status,
        .name = dure_str_of(dure_err_name(status)),
        .text = dure_str_of(dure_err_text(status)),
    };
    *out_outcome = outcome;
}

dure_err dure_rpc_read_error(dure_slice error, dure_outcome *out_outcome)
{
    dure_outcome outcome = {.error = error};
    uint32_t count = 0;
    dure_cursor cursor = dure_cursor_of(error.data, error.len);
    if (dure_cursor_array(&cursor, &count) != DURE_OK || count < 3 ||
        dure_cursor_u32(&cursor, &outcome.code) != DURE_OK || outcome.code == 0 ||
        dure_cursor_str(&cursor, &outcome.name) != DURE_OK ||
        dure_cursor_str(&cursor, &outcome.text) != DURE_OK) {
        return DURE_ERR_PROTOCOL;
    }
    const bool is_ours =
        outcome.code < 1000 && strcmp(dure_err_name((dure_err)outcome.code), "UNLISTED") != 0;
    outcome.status = is_ours ? (dure_err)outcome.code : DURE_ERR_INTERNAL;
    *out_outcome = outcome;
    return DURE_OK;
}

/* Takes a call out of all that waits for it; its id is stale from now on. */
static void call_detach(dure_call *call)
{
    dure_rpc *rpc = call->rpc;
    dure_rpc_peer *peer = call->peer;
    dure_deadline_clear(&rpc->deadlines, &call->deadline);
    dure_list_remove(&call->node);
    if (peer != NULL) {
        peer->call_count--;
        call->peer = NULL;
    }
    call->request = NULL;
    dure_call_table_remove(&rpc->calls, call);
}

/* Tells the outcome of a call that is detached, and ends it. */
static void call_tell(dure_call *call, dure_outcome *outcome)
{
    dure_rpc *rpc = call->rpc;
    const dure_call_fn on_done = call->on_done;
    void *ctx = call->ctx;
    DURE_ASSERT(call->id == 0);
    outcome->_typed_fn = call->typed_fn;
    call->on_done = NULL;
    /* It may hold the outcome's bytes, so it ends afterwards. */
    on_done(ctx, outcome);
    dure_call_table_release(&rpc->calls, call);
}

/* The outcome is known and is told at the end of the round. */
static void call_end_later(dure_call *call, dure_err status)
{
    dure_rpc *rpc = call->rpc;
    call_detach(call);
    call->status = status;
    dure_list_push_back(&rpc->ended, &call->node);
    dure_rpc_defer(rpc);
}

static void call_tell_ended(dure_call *call)
{
    dure_outcome outcome;
    const dure_slice kept = {call->result.data, call->result.len};
    dure_rpc_own_outcome(call->status, &outcome);
    if (kept.len > 0 && call->is_callee_error) {
        if (dure_rpc_read_error(kept, &outcome) != DURE_OK) {
            dure_rpc_own_outcome(DURE_ERR_INTERNAL, &outcome);
        }
    } else if (kept.len > 0) {
        outcome = (dure_outcome){.status = DURE_OK, .body = kept};
    }
    if (kept.len > 0) {
        outcome.from = call->rpc->self;
    }
    call_tell(call, &outcome);
}

static void tell_ended_calls(dure_rpc *rpc)
{
    dure_list taken;
    dure_list_init(&taken);
    dure_list_move_all(&taken, &rpc->ended);
    dure_list *node;
    while ((node = dure_list_pop_front(&taken)) != NULL) {
        call_tell_ended(DURE_CONTAINER_OF(node, dure_call, node));
    }
}

void dure_rpc_on_local_answer(dure_rpc *rpc, uint64_t call_id, dure_slice body, bool is_error)
{
    dure_call *call = dure_call_table_find(&rpc->calls, call_id);
    if (call == NULL) {
        rpc->counters.late_answers++;
        return;
    }
    call->is_callee_error = is_error;
    const dure_err err = dure_buf_append(&call->result, body.data, body.len);
    call_end_later(call, err);
}

static void call_deadline(dure_deadline *deadline)
{
    dure_call *call = DURE_CONTAINER_OF(deadline, dure_call, deadline);
    dure_outcome outcome;
    call_detach(call);
    dure_rpc_own_outcome(DURE_ERR_DEADLINE, &outcome);
    call_tell(call, &outcome);
}

dure_typed_fn dure_outcome_typed(const dure_outcome *outcome)
{
    return outcome->_typed_fn;
}

/* ---- routing ---- */

static bool peer_is_up(const dure_rpc_peer *peer)
{
    return peer->link == NULL || dure_link_is_up(peer->link);
}

static bool peer_was_up(const dure_rpc_peer *peer)
{
    return peer->link == NULL || dure_link_was_up(peer->link);
}

static dure_peer_state peer_state(const dure_rpc_peer *peer)
{
    if (peer_is_up(peer)) {
        return DURE_PEER_UP;
    }
    return peer_was_up(peer) ? DURE_PEER_DOWN : DURE_PEER_NOT_UP;
}

static uint32_t load_of(void *ctx, uint32_t node)
{
    const dure_rpc *rpc = ctx;
    const dure_rpc_peer *peer = &rpc->peers[node];
    if (!peer_is_up(peer)) {
        return UINT32_MAX;
    }
    return peer->call_count;
}

static dure_err route_to_role(dure_rpc *rpc, const dure_router_role *role, uint32_t *out_node)
{
    *out_node = dure_router_least(role, rpc->turn++, load_of, rpc);
    if (*out_node != DURE_ROUTER_NONE) {
        return DURE_OK;
    }
    for (uint32_t i = 0; i < role->node_count; i++) {
        if (peer_was_up(&rpc->peers[role->nodes[i]])) {
            return DURE_ERR_DOWN;
        }
    }
    return DURE_ERR_NOT_UP;
}

/* The peer of a target that is one node, or why there is none. */
static dure_err route(dure_rpc *rpc, const dure_target *target, dure_rpc_peer **out_peer)
{
    uint32_t node = DURE_ROUTER_NONE;
    dure_err err = DURE_OK;
    if (target->kind == DURE_TARGET_NODE) {
        node = dure_router_find_node(rpc->router, target->name);
    } else {
        const dure_router_role *role = dure_router_find_role(rpc->router, target->name);
        if (role == NULL || role->node_count == 0) {
            return DURE_ERR_NOT_CONFIGURED;
        }
        if (target->kind == DURE_TARGET_ROLE) {
            err = route_to_role(rpc, role, &node);
        } else {
            node = dure_router_of_key(rpc->router, role, target->key);
        }
    }
    if (err != DURE_OK) {
        return err;
    }
    if (node == DURE_ROUTER_NONE) {
        return DURE_ERR_NOT_CONFIGURED;
    }
    dure_rpc_peer *peer = &rpc->peers[node];
    if (!peer_is_up(peer)) {
        return peer_was_up(peer) ? DURE_ERR_DOWN : DURE_ERR_NOT_UP;
    }
    *out_peer = peer;
    return DURE_OK;
}

/* ---- calls ---- */

void dure_rpc_clear_buf(dure_buf *buf)
{
    if (buf->len > DURE_RPC_BUF_KEEP) {
        dure_buf_release(buf);
    } else {
        dure_buf_clear(buf);
    }
}

dure_err dure_rpc_check_body(const dure_rpc *rpc, dure_slice body)
{
    size_t len = 0;
    if (body.len > rpc->settings->body_max_bytes) {
        return DURE_ERR_TOO_LARGE;
    }
    /* The other end would end the link for a bad one, with all that is on it: said here, to its
     * author. */
    const dure_err err = dure_check_object(body.data, body.len, &len);
    return err == DURE_OK && len != body.len ? DURE_ERR_MALFORMED : err;
}

static dure_slice frame_body(const dure_rpc *rpc)
{
    const dure_slice body = {rpc->frame.data + DURE_FRAME_HEADER_BYTES,
                             rpc->frame.len - DURE_FRAME_HEADER_BYTES};
    return body;
}

dure_packer *dure_rpc_call_begin(dure_rpc *rpc)
{
    const dure_frame no_frame = {.kind = DURE_FRAME_REQUEST};
    size_t start = 0;
    dure_rpc_clear_buf(&rpc->frame);
    /* Room for the header, which is written over it when it is known. */
    const dure_err err = dure_frame_begin(&rpc->frame, &no_frame, &start);
    rpc->call_packer = dure_packer_of(&rpc->frame);
    rpc->call_packer.status = err;
    return &rpc->call_packer;
}

void dure_rpc_call_drop(dure_rpc *rpc)
{
    dure_buf_clear(&rpc->frame);
}

/* Packs a body that is given, behind room for the header. */
static dure_err pack_body(dure_rpc *rpc, dure_slice body)
{
    dure_packer *packer = dure_rpc_call_begin(rpc);
    if (body.len == 0) {
        dure_packer_nil(packer);
    } else {
        dure_packer_raw(packer, body);
    }
    return packer->status;
}

static dure_err packed_body_status(const dure_rpc *rpc)
{
    if (rpc->call_packer.status == DURE_ERR_FULL) {
        return DURE_ERR_TOO_LARGE;
    }
    if (rpc->call_packer.status != DURE_OK) {
        return rpc->call_packer.status;
    }
    const dure_err err = dure_rpc_check_body(rpc, frame_body(rpc));
    return err == DURE_OK || err == DURE_ERR_TOO_LARGE ? err : DURE_ERR_INVALID;
}

/* Writes the header into the room before the packed body. */
static dure_err finish_frame(dure_rpc *rpc, const dure_frame *frame, dure_slice *out_bytes)
{
    const size_t len = rpc->frame.len;
    size_t start = 0;
    rpc->frame.len = 0;
    dure_err err = dure_frame_begin(&rpc->frame, frame, &start);
    rpc->frame.len = len;
    if (err == DURE_OK) {
        err = dure_frame_end(&rpc->frame, 0);
    }
    out_bytes->data = rpc->frame.data;
    out_bytes->len = rpc->frame.len;
    return err;
}

/* The milliseconds that a call may take; 0: none are left. */
static uint32_t call_left_ms(const dure_rpc *rpc, const dure_call_options *options)
{
    uint32_t left_ms = rpc->settings->call_deadline_ms;
    if (options == NULL) {
        return left_ms;
    }
    if (options->deadline_ms != 0) {
        left_ms = options->deadline_ms;
    }
    const dure_request *request = options->for_request;
    if (request != NULL && !request->is_notify) {
        const uint32_t request_ms = dure_deadline_left_ms(&rpc->deadlines, &request->deadline);
        if (request->is_cancelled || request_ms < left_ms) {
            left_ms = request->is_cancelled ? 0 : request_ms;
        }
    }
    return left_ms;
}

static void call_attach(dure_call *call, dure_rpc_peer *peer)
{
    call->peer = peer;
    peer->call_count++;
    dure_list_push_back(&peer->calls, &call->node);
}

static dure_err send_to_link(dure_call *call, dure_rpc_peer *peer, uint32_t method,
                             uint64_t subject, uint32_t left_ms)
{
    const dure_frame frame = {.kind = DURE_FRAME_REQUEST,
                              .id = (uint32_t)call->id,
                              .method = method,
                              .left_ms = left_ms,
                              .subject = subject};
    dure_slice bytes = {NULL, 0};
    if (peer->call_count >= DURE_RPC_LINK_CALLS_MAX) {
        return DURE_ERR_OVERLOADED;
    }
    dure_err err = finish_frame(call->rpc, &frame, &bytes);
    if (err == DURE_OK) {
        err = dure_link_send(peer->link, bytes, true, &call->end_offset);
    }
    if (err != DURE_OK) {
        return err == DURE_ERR_OVERLOADED ? err : DURE_ERR_NOT_SENT;
    }
    call_attach(call, peer);
    return DURE_OK;
}

static dure_err send_to_self(dure_call *call, dure_rpc_peer *peer, uint32_t method,
                             uint64_t subject, uint32_t left_ms)
{
    dure_rpc *rpc = call->rpc;
    const dure_err err = dure_rpc_queue_local(rpc, call->id, method, subject, left_ms,
                                              frame_body(rpc), &call->request);
    if (err != DURE_OK) {
        return DURE_ERR_NOT_SENT;
    }
    call_attach(call, peer);
    return DURE_OK;
}

/* Not OK: the outcome. */
static dure_err call_send(dure_call *call, const dure_target *target, uint32_t method,
                          const dure_call_options *options)
{
    dure_rpc *rpc = call->rpc;
    const uint64_t subject = options != NULL ? options->subject : 0;
    const uint32_t left_ms = call_left_ms(rpc, options);
    dure_rpc_peer *peer = NULL;
    if (left_ms == 0) {
        return DURE_ERR_DEADLINE;
    }
    dure_err err = route(rpc, target, &peer);
    if (err != DURE_OK) {
        return err;
    }
    if (dure_deadline_set(&rpc->deadlines, &call->deadline, left_ms) != DURE_OK) {
        return DURE_ERR_NOT_SENT;
    }
    return peer->link == NULL ? send_to_self(call, peer, method, subject, left_ms)
                              : send_to_link(call, peer, method, subject, left_ms);
}

/* A call with the body that stands in rpc->frame. */
static dure_err call_start(dure_rpc *rpc, const dure_target *target, uint32_t method,
                           const dure_call_options *options, dure_call_fn on_done,
                           dure_typed_fn typed_fn, void *ctx, dure_call_id *out_call)
{
    dure_call *call = NULL;
    DURE_ASSERT_OWNER(rpc->config.core);
    if (rpc->is_closing) {
        return DURE_ERR_STATE;
    }
    if (target == NULL || target->name == NULL || target->kind == DURE_TARGET_ALL ||
        on_done == NULL) {
        return DURE_ERR_INVALID;
    }
    dure_err err = packed_body_status(rpc);
    if (err == DURE_OK) {
        err = dure_call_table_add(&rpc->calls, &call);
    }
    if (err != DURE_OK) {
        return err == DURE_ERR_FULL ? DURE_ERR_OVERLOADED : err;
    }
    call->rpc = rpc;
    call->on_done = on_done;
    call->typed_fn = typed_fn;
    call->ctx = ctx;
    dure_deadline_init(&call->deadline, call_deadline);
    rpc->counters.calls++;
    if (out_call != NULL) {
        *out_call = call->id;
    }
    err = call_send(call, target, method, options);
    if (err != DURE_OK) {
        call_end_later(call, err);
    }
    return DURE_OK;
}

dure_err dure_rpc_call(dure_rpc *rpc, const dure_target *target, uint32_t method,
                       const dure_call_options *options, dure_slice body, dure_call_fn on_done,
                       void *ctx, dure_call_id *out_call)
{
    const dure_err err = pack_body(rpc, body);
    if (err != DURE_OK) {
        return err == DURE_ERR_FULL ? DURE_ERR_TOO_LARGE : err;
    }
    return call_start(rpc, target, method, options, on_done, NULL, ctx, out_call);
}

dure_err dure_rpc_call_send(dure_rpc *rpc, const dure_target *target, uint32_t method,
                            const dure_call_options *options, dure_call_fn on_done,
                            dure_typed_fn typed_fn, void *ctx, dure_call_id *out_call)
{
    DURE_ASSERT(rpc->frame.len >= DURE_FRAME_HEADER_BYTES || rpc->call_packer.status != DURE_OK);
    return call_start(rpc, target, method, options, on_done, typed_fn, ctx, out_call);
}

static void send_cancel(const dure_rpc_peer *peer, uint32_t wire_id)
{
    dure_rpc *rpc = peer->rpc;
    const dure_frame frame = {.kind = DURE_FRAME_CANCEL, .id = wire_id};
    uint64_t end = 0;
    dure_buf_clear(&rpc->reply);
    if (dure_frame_encode(&rpc->reply, &frame) == DURE_OK) {
        const dure_slice bytes = {rpc->reply.data, rpc->reply.len};
        const dure_err err = dure_link_send(peer->link, bytes, true, &end);
        (void)err; /* it spares the callee work; without it the deadline there does */
    }
}

void dure_rpc_cancel(dure_rpc *rpc, dure_call_id call_id)
{
    dure_call *call = dure_call_table_find(&rpc->calls, call_id);
    if (call == NULL) {
        return;
    }
    const dure_rpc_peer *peer = call->peer;
    const uint32_t wire_id = (uint32_t)call->id;
    dure_request *request = call->request;
    call_end_later(call, DURE_ERR_CANCELLED);
    if (peer->link != NULL) {
        send_cancel(peer, wire_id);
    } else if (request != NULL) {
        dure_request_cancel(request);
    }
}

/* ---- notifies ---- */

static dure_err notify_peer(dure_rpc *rpc, dure_rpc_peer *peer, uint32_t method, uint64_t subject)
{
    const dure_frame frame = {.kind = DURE_FRAME_NOTIFY, .method = method, .subject = subject};
    dure_request *request = NULL;
    dure_slice bytes = {NULL, 0};
    uint64_t end = 0;
    if (peer->link == NULL) {
        return dure_rpc_queue_local(rpc, 0, method, subject, 0, frame_body(rpc), &request);
    }
    if (!dure_link_is_up(peer->link)) {
        return peer_was_up(peer) ? DURE_ERR_DOWN : DURE_ERR_NOT_UP;
    }
    const dure_err err = finish_frame(rpc, &frame, &bytes);
    return err != DURE_OK ? err : dure_link_send(peer->link, bytes, true, &end);
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
    dure_err err = packed_body_status(rpc);
    if (err != DURE_OK) {
        return err;
    }
    if (target->kind == DURE_TARGET_ALL) {
        return notify_all(rpc, target, method, subject);
    }
    err = route(rpc, target, &peer);
    return err != DURE_OK ? err : notify_peer(rpc, peer, method, subject);
}

dure_err dure_rpc_notify(dure_rpc *rpc, const dure_target *target, uint32_t method,
                         uint64_t subject, dure_slice body)
{
    const dure_err err = pack_body(rpc, body);
    if (err != DURE_OK) {
        return err == DURE_ERR_FULL ? DURE_ERR_TOO_LARGE : err;
    }
    return dure_rpc_notify_send(rpc, target, method, subject);
}

/* ---- what the links report ---- */

static dure_err on_answer(dure_rpc_peer *peer, const dure_frame *frame)
{
    dure_rpc *rpc = peer->rpc;
    dure_outcome outcome = {.status = DURE_OK, .body = frame->body};
    dure_call *call = dure_call_table_find_wire(&rpc->calls, frame->id);
    if (frame->kind == DURE_FRAME_ERROR) {
        const dure_err err = dure_rpc_read_error(frame->body, &outcome);
        if (err != DURE_OK) {
            return err;
        }
    }
    if (call == NULL || call->peer != peer) {
        rpc->counters.late_answers++;
        return DURE_OK;
    }
    outcome.from = peer->node;
    call_detach(call);
    call_tell(call, &outcome);
    return DURE_OK;
}

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
    return on_answer(peer, frame);
}

static void links_on_up(void *ctx, dure_link *link)
{
    dure_rpc *rpc = ctx;
    if (rpc->config.on_peer_up != NULL) {
        rpc->config.on_peer_up(rpc, dure_link_node(link), rpc->config.state);
    }
}

/* What was not yet given to the system when the connection broke cannot have run. */
static void end_calls_of(dure_rpc_peer *peer)
{
    while (!dure_list_is_empty(&peer->calls)) {
        dure_call *call = DURE_CONTAINER_OF(peer->calls.next, dure_call, node);
        const bool may_have_run = dure_link_may_have_left(peer->link, call->end_offset);
        call_end_later(call, may_have_run ? DURE_ERR_OUTCOME_UNKNOWN : DURE_ERR_NOT_SENT);
    }
}

static void links_on_down(void *ctx, dure_link *link, dure_err cause)
{
    dure_rpc *rpc = ctx;
    dure_rpc_peer *peer = &rpc->peers[dure_link_index(link)];
    end_calls_of(peer);
    dure_rpc_cancel_peer(peer);
    if (rpc->config.on_peer_down != NULL) {
        rpc->config.on_peer_down(rpc, peer->node, cause, rpc->config.state);
    }
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
    .on_frame = links_on_frame,
    .on_duplicate = links_on_duplicate,
    .on_closed = links_on_closed,
};

/* The end of a round. on_closed is the last: it may destroy the rpc. */
static void rpc_deferred(dure_iocp_deferred *self)
{
    dure_rpc *rpc = DURE_CONTAINER_OF(self, dure_rpc, deferred);
    dure_rpc_run_requests(rpc);
    tell_ended_calls(rpc);
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
    dure_list_init(&rpc->ended);
    dure_list_init(&rpc->queued_requests);
    dure_list_init(&rpc->local_requests);
    dure_list_init(&rpc->to_cancel);
    dure_list_init(&rpc->free_requests);
    dure_buf_init(&rpc->frame, (size_t)rpc->settings->body_max_bytes + DURE_RPC_FRAME_ROOM);
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

/* Calls of this node to itself: those that no handler has seen did not run. */
static void end_local_calls(dure_rpc *rpc)
{
    dure_list *calls = &rpc->peers[rpc->self_index].calls;
    while (!dure_list_is_empty(calls)) {
        dure_call *call = DURE_CONTAINER_OF(calls->next, dure_call, node);
        const bool is_queued = call->request != NULL && call->request->state == DURE_REQUEST_QUEUED;
        call_end_later(call, is_queued ? DURE_ERR_NOT_SENT : DURE_ERR_OUTCOME_UNKNOWN);
    }
}

void dure_rpc_close(dure_rpc *rpc)
{
    if (rpc->is_closing) {
        return;
    }
    rpc->is_closing = true;
    end_local_calls(rpc);
    dure_links_close(rpc->links);
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
    dure_buf_fini(&rpc->frame);
    dure_buf_fini(&rpc->reply);
    dure_buf_fini(&rpc->error);
    dure_mem_free(rpc);
}

/* ---- questions ---- */

dure_peer_state dure_rpc_peer_state(const dure_rpc *rpc, const char *node_id)
{
    const uint32_t node = dure_router_find_node(rpc->router, node_id);
    return node == DURE_ROUTER_NONE ? DURE_PEER_NOT_UP : peer_state(&rpc->peers[node]);
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
    out_counters->links_replaced = links.replaced;
    out_counters->dials_failed = links.dial_failed;
    out_counters->links_slow = links.slow;
    out_counters->overloaded = links.overloaded;
    out_counters->parts_sent = links.parts_sent;
    out_counters->parts_heard = links.parts_heard;
    out_counters->bodies_dropped = links.bodies_dropped;
    out_counters->queued_bytes = links.queued_bytes;
    out_counters->joining_bytes = links.joining_bytes;
}
