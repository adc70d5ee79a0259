/* SPDX-License-Identifier: MIT
 *
 * The side that asks: calls, their outcomes and deadlines. A call is told its outcome in a
 * completion (an answer, a deadline) or from the deferred function at the end of the round, never
 * inside the function that made, cancelled or closed it.
 */
#include "base/mem.h"
#include "cluster/rpc_impl.h"

/* ---- outcomes ---- */

void dure_rpc_call_leave(dure_call *call)
{
    dure_rpc_peer *peer = call->peer;
    dure_list_remove(&call->node);
    if (peer != NULL) {
        DURE_ASSERT(peer->call_count > 0);
        peer->call_count--;
        call->peer = NULL;
    }
    call->request = NULL;
}

/* Takes a call out of all that waits for it; its id is stale from now on. */
static void call_detach(dure_call *call)
{
    dure_rpc *rpc = call->rpc;
    dure_deadline_clear(&rpc->deadlines, &call->deadline);
    dure_rpc_call_leave(call);
    dure_rpc_retry_forget(call);
    dure_list_remove(&call->in_request);
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

void dure_rpc_attempt_ended(dure_call *call, dure_err status)
{
    if (!dure_rpc_retry_later(call, status, false)) {
        call_end_later(call, dure_rpc_retry_truth(call, status));
    }
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

void dure_rpc_tell_ended_calls(dure_rpc *rpc)
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
    dure_outcome outcome = {.status = DURE_OK};
    dure_err err = is_error ? dure_rpc_read_error(body, &outcome) : DURE_OK;
    if (err == DURE_OK && is_error && dure_rpc_retry_later(call, outcome.status, true)) {
        return;
    }
    err = dure_rpc_retry_truth(call, outcome.status);
    if (err == outcome.status) {
        call->is_callee_error = is_error;
        err = dure_buf_append(&call->result, body.data, body.len);
    }
    call_end_later(call, err);
}

static void send_cancel(const dure_rpc_peer *peer, uint32_t wire_id)
{
    dure_rpc *rpc = peer->rpc;
    const dure_frame frame = {.kind = DURE_FRAME_CANCEL, .id = wire_id};
    uint64_t end = 0;
    dure_buf_clear(&rpc->reply);
    if (dure_frame_encode(&rpc->reply, &frame) == DURE_OK) {
        const dure_slice bytes = {rpc->reply.data, rpc->reply.len};
        const dure_err err = dure_link_send(peer->link, bytes, DURE_LINK_NEW_WORK, &end);
        (void)err; /* it spares the callee work; without it the deadline there does */
    }
}

/* The callee is told too: what it has not begun, or not even heard, need not be begun. */
static void call_deadline(dure_deadline *deadline)
{
    dure_call *call = DURE_CONTAINER_OF(deadline, dure_call, deadline);
    const dure_rpc_peer *peer = call->peer;
    const uint32_t wire_id = (uint32_t)call->id;
    dure_outcome outcome;
    call_detach(call);
    if (peer != NULL && peer->link != NULL) {
        send_cancel(peer, wire_id);
    }
    dure_rpc_own_outcome(DURE_ERR_DEADLINE, &outcome);
    call_tell(call, &outcome);
}

dure_typed_fn dure_outcome_typed(const dure_outcome *outcome)
{
    return outcome->_typed_fn;
}

/* ---- calls ---- */

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
    DURE_ASSERT(call->peer == NULL);
    call->peer = peer;
    peer->call_count++;
    dure_list_push_back(&peer->calls, &call->node);
}

static dure_err send_to_link(dure_call *call, dure_rpc_peer *peer, uint32_t left_ms)
{
    uint8_t meta[DURE_RPC_KEY_META_BYTES];
    dure_frame frame = {.kind = DURE_FRAME_REQUEST,
                        .id = (uint32_t)call->id,
                        .method = call->method,
                        .left_ms = left_ms,
                        .subject = call->subject};
    dure_slice bytes = {NULL, 0};
    if (peer->call_count >= DURE_RPC_LINK_CALLS_MAX) {
        return DURE_ERR_OVERLOADED;
    }
    if (call->key.number != 0) {
        if (call->key.callee == 0) {
            call->key.callee = dure_link_incarnation(peer->link);
        }
        dure_rpc_pack_key(&call->key, meta);
        frame.meta = (dure_slice){meta, sizeof meta};
    }
    dure_err err = dure_rpc_finish_frame(call->rpc, &frame, &bytes);
    if (err == DURE_OK) {
        err = dure_link_send(peer->link, bytes, DURE_LINK_NEW_WORK, &call->end_offset);
    }
    if (err != DURE_OK) {
        return err == DURE_ERR_OVERLOADED ? err : DURE_ERR_NOT_SENT;
    }
    call_attach(call, peer);
    return DURE_OK;
}

static dure_err send_to_self(dure_call *call, dure_rpc_peer *peer, uint32_t left_ms)
{
    dure_rpc *rpc = call->rpc;
    if (call->key.callee == 0) {
        call->key.callee = dure_links_incarnation(rpc->links);
    }
    const dure_local_call local = {.call_id = call->id,
                                   .method = call->method,
                                   .subject = call->subject,
                                   .left_ms = left_ms,
                                   .key = call->key,
                                   .body = dure_rpc_frame_body(rpc)};
    if (dure_rpc_queue_local(rpc, &local, &call->request) != DURE_OK) {
        return DURE_ERR_NOT_SENT;
    }
    call_attach(call, peer);
    return DURE_OK;
}

dure_err dure_rpc_attempt(dure_call *call, dure_rpc_peer *peer, uint32_t left_ms)
{
    DURE_ASSERT(left_ms > 0);
    call->attempts++;
    call->last_peer = peer;
    return peer->link == NULL ? send_to_self(call, peer, left_ms)
                              : send_to_link(call, peer, left_ms);
}

static void call_take_key(dure_call *call, const dure_call_options *options)
{
    if (options == NULL) {
        return;
    }
    if (options->key != NULL) {
        call->key = *options->key;
        call->is_key_given = true;
    } else if ((options->method_flags & DURE_METHOD_KEYED) != 0 &&
               options->retry != DURE_RETRY_NEVER) {
        call->key = dure_rpc_new_key(call->rpc);
    }
}

/* Not OK: how the first attempt ended. */
static dure_err call_first(dure_call *call, const dure_target *target,
                           const dure_call_options *options)
{
    dure_rpc *rpc = call->rpc;
    const uint32_t left_ms = call_left_ms(rpc, options);
    dure_rpc_peer *peer = NULL;
    if (left_ms == 0) {
        return DURE_ERR_DEADLINE;
    }
    dure_err err = dure_rpc_route(rpc, target, &peer);
    if (err != DURE_OK) {
        return err;
    }
    if (dure_deadline_set(&rpc->deadlines, &call->deadline, left_ms) != DURE_OK) {
        return DURE_ERR_NOT_SENT;
    }
    if (target->kind == DURE_TARGET_ROLE) {
        call->role = dure_router_find_role(rpc->router, target->name);
    }
    call_take_key(call, options);
    dure_rpc_retry_prepare(call, options);
    err = dure_rpc_attempt(call, peer, left_ms);
    if (call->is_key_given) {
        options->key->callee = call->key.callee;
    }
    return err;
}

dure_request_key dure_rpc_new_key(dure_rpc *rpc)
{
    return (dure_request_key){.origin = dure_links_incarnation(rpc->links),
                              .number = ++rpc->last_key};
}

/* It ends with the request that it is made for. */
static void call_tie(dure_call *call, const dure_call_options *options)
{
    if (call->id != 0 && options != NULL && options->ends_with_request &&
        options->for_request != NULL) {
        dure_rpc_tie_call(options->for_request, &call->in_request);
    }
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
    dure_err err = dure_rpc_packed_body_status(rpc);
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
    call->method = method;
    call->subject = options != NULL ? options->subject : 0;
    dure_deadline_init(&call->deadline, call_deadline);
    dure_deadline_init(&call->backoff, dure_rpc_retry_now);
    rpc->counters.calls++;
    dure_rpc_retry_count_call(rpc);
    if (out_call != NULL) {
        *out_call = call->id;
    }
    err = call_first(call, target, options);
    if (err == DURE_ERR_NOT_UP || err == DURE_ERR_DOWN || err == DURE_ERR_DEADLINE) {
        call_end_later(call, err);
    } else if (err != DURE_OK) {
        dure_rpc_attempt_ended(call, err);
    }
    call_tie(call, options);
    return DURE_OK;
}

dure_err dure_rpc_call(dure_rpc *rpc, const dure_target *target, uint32_t method,
                       const dure_call_options *options, dure_slice body, dure_call_fn on_done,
                       void *ctx, dure_call_id *out_call)
{
    const dure_err err = dure_rpc_pack_body(rpc, body);
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
    if (peer == NULL) {
        return; /* it waits for its next attempt */
    }
    if (peer->link != NULL) {
        send_cancel(peer, wire_id);
    } else if (request != NULL) {
        dure_request_cancel(request);
    }
}

/* ---- what the links report ---- */

dure_err dure_rpc_on_answer(dure_rpc_peer *peer, const dure_frame *frame)
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
    if (frame->kind == DURE_FRAME_ERROR && dure_rpc_retry_later(call, outcome.status, true)) {
        return DURE_OK;
    }
    const dure_err truth = dure_rpc_retry_truth(call, outcome.status);
    if (truth != outcome.status) {
        dure_rpc_own_outcome(truth, &outcome);
    }
    outcome.from = peer->node;
    call_detach(call);
    call_tell(call, &outcome);
    return DURE_OK;
}

/* What was not yet given to the system when the connection broke cannot have run. */
void dure_rpc_end_calls_of(dure_rpc_peer *peer)
{
    while (!dure_list_is_empty(&peer->calls)) {
        dure_call *call = DURE_CONTAINER_OF(peer->calls.next, dure_call, node);
        const bool may_have_run = dure_link_may_have_left(peer->link, call->end_offset);
        dure_rpc_attempt_ended(call, may_have_run ? DURE_ERR_OUTCOME_UNKNOWN : DURE_ERR_NOT_SENT);
    }
}

/* Calls of this node to itself: those that no handler has seen did not run. */
void dure_rpc_end_local_calls(dure_rpc *rpc)
{
    dure_list *calls = &rpc->peers[rpc->self_index].calls;
    while (!dure_list_is_empty(calls)) {
        dure_call *call = DURE_CONTAINER_OF(calls->next, dure_call, node);
        const bool is_queued = call->request != NULL && call->request->state == DURE_REQUEST_QUEUED;
        call_end_later(call, is_queued ? DURE_ERR_NOT_SENT : DURE_ERR_OUTCOME_UNKNOWN);
    }
}
