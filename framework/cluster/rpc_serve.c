/* SPDX-License-Identifier: MIT
 *
 * The side that answers: which handler gets a request, whether it came over a link, from this node
 * itself, or from one of its clients or admins.
 */
#include "base/mem.h"
#include "cluster/rpc_impl.h"

const dure_method *dure_rpc_find_method(const dure_rpc *rpc, uint32_t number)
{
    uint32_t slot = number * 2654435761u; /* Knuth's multiplicative hash */
    for (;; slot++) {
        const dure_method *method = rpc->methods[slot & (rpc->method_slots - 1)];
        if (method == NULL || method->number == number) {
            return method;
        }
    }
}

/* Runs the handler; the request may be gone afterwards. True while it is held. */
static bool request_serve(dure_request *request, const dure_method *method)
{
    dure_rpc *rpc = request->rpc;
    const dure_slice params = {request->params.data, request->params.len};
    DURE_ASSERT(request->state == DURE_REQUEST_QUEUED);
    rpc->counters.served++;
    request->state = DURE_REQUEST_SERVING;
    void *state = rpc->config.method_state != NULL
                      ? rpc->config.method_state(rpc->config.state, method)
                      : rpc->config.state;
    method->serve(request, params, state);
    if (request->state == DURE_REQUEST_ANSWERED) {
        DURE_ASSERT(rpc->serving > 0);
        rpc->serving--;
        dure_request_give_free(request);
        return false;
    }
    request->state = DURE_REQUEST_HELD;
    if (request->is_held) {
        return true;
    }
    if (request->is_notify) {
        dure_request_finish(request);
        return false;
    }
    DURE_DEBUG_ASSERT(request->is_held); /* the handler neither answered nor held its request */
    dure_request_fail(request, DURE_ERR_INTERNAL, "the handler of %s did not answer", method->name);
    return false;
}

/* The method of a link's request; NULL where links may not call it. */
static const dure_method *find_served(const dure_rpc *rpc, uint32_t number)
{
    const dure_method *method = dure_rpc_find_method(rpc, number);
    return method != NULL && (method->flags & DURE_METHOD_ADMIN) == 0 ? method : NULL;
}

/* Answers a request that cannot be taken up. */
static void request_decline(dure_rpc_peer *peer, const dure_frame *frame, dure_err err)
{
    dure_rpc *rpc = peer->rpc;
    dure_request request = {.rpc = rpc,
                            .peer = peer,
                            .id = frame->id,
                            .method = frame->method,
                            .subject = frame->subject,
                            .state = DURE_REQUEST_SERVING};
    uint8_t room[DURE_RPC_ERROR_OBJECT_MAX];
    const dure_slice error = {room, dure_rpc_pack_error(rpc, (uint32_t)err, dure_err_name(err),
                                                        dure_err_text(err), room)};
    if (error.len > 0) {
        dure_request_answer_error(&request, error);
    } else {
        dure_link_give_up(peer->link, DURE_ERR_NO_MEMORY);
    }
}

static void request_run(dure_request *request, uint32_t number)
{
    if (request->key.number != 0 && !dure_rpc_keys_begin(request)) {
        return;
    }
    const dure_method *method = find_served(request->rpc, number);
    if (method == NULL && request->is_notify) {
        request->rpc->counters.unknown_notifies++;
        dure_request_finish(request);
    } else if (method == NULL) {
        dure_request_fail(request, DURE_ERR_UNKNOWN_METHOD, "%s has no method %u",
                          request->rpc->self->id, number);
    } else if (!request->is_notify && (method->flags & DURE_METHOD_NOTIFY) != 0) {
        dure_request_fail(request, DURE_ERR_BAD_REQUEST, "%s has no answer: notify it",
                          method->name);
    } else {
        (void)request_serve(request, method);
    }
}

/* Whether nobody waits for it any more, though its timer may not have said so yet. */
static bool is_expired(const dure_request *request)
{
    return request->is_cancelled ||
           (dure_deadline_is_set(&request->deadline) &&
            dure_deadline_left_ms(&request->rpc->deadlines, &request->deadline) == 0);
}

/* ---- waiting for room ---- */

static size_t parked_cost(const dure_request *request)
{
    return sizeof *request + request->params.len;
}

static bool is_subject_parked(const dure_rpc_peer *peer, uint64_t subject)
{
    for (dure_list *node = peer->parked.prev; node != &peer->parked; node = node->prev) {
        const dure_request *request = DURE_CONTAINER_OF(node, dure_request, in_parked);
        if (request->subject == subject) {
            return true;
        }
    }
    return false;
}

/* Requests are begun in order, so one that is parked parks all that follow. */
static bool must_park_request(dure_rpc_peer *peer)
{
    return !dure_list_is_empty(&peer->parked) || !dure_link_has_room(peer->link);
}

/* A notify has no answer that would want room; it only keeps its place in its conversation. */
static bool must_park_notify(const dure_rpc_peer *peer, uint64_t subject)
{
    return peer->parked_notifies > 0 || (subject != 0 && is_subject_parked(peer, subject));
}

/* One is always taken, however large it is. */
static bool can_park(const dure_rpc_peer *peer, const dure_frame *frame)
{
    const size_t more = sizeof(dure_request) + frame->body.len;
    return dure_list_is_empty(&peer->parked) ||
           peer->parked_bytes + more <= peer->rpc->settings->link_queue_high_bytes;
}

static void park(dure_rpc_peer *peer, dure_request *request)
{
    DURE_ASSERT(request->state == DURE_REQUEST_QUEUED);
    peer->rpc->counters.parked++;
    peer->parked_bytes += parked_cost(request);
    peer->parked_notifies += request->is_notify;
    dure_list_push_back(&peer->parked, &request->in_parked);
}

void dure_rpc_unpark(dure_request *request)
{
    if (dure_list_is_empty(&request->in_parked)) {
        return;
    }
    dure_rpc_peer *peer = &request->rpc->peers[request->key_peer];
    DURE_ASSERT(peer->parked_bytes >= parked_cost(request));
    peer->parked_bytes -= parked_cost(request);
    peer->parked_notifies -= request->is_notify;
    dure_list_remove(&request->in_parked);
}

void dure_rpc_run_parked(dure_rpc_peer *peer)
{
    while (!dure_list_is_empty(&peer->parked) && !peer->rpc->is_closing &&
           dure_link_has_room(peer->link)) {
        dure_request *request = DURE_CONTAINER_OF(peer->parked.next, dure_request, in_parked);
        dure_rpc_unpark(request);
        if (is_expired(request)) {
            dure_request_not_begun(request);
        } else {
            request_run(request, request->method);
        }
    }
}

/* ---- what a link brings ---- */

dure_err dure_rpc_on_request(dure_rpc_peer *peer, const dure_frame *frame)
{
    dure_rpc *rpc = peer->rpc;
    dure_request *request = NULL;
    dure_request_key key;
    if (frame->id == 0 || dure_request_find(peer, frame->id) != NULL ||
        dure_rpc_read_key(frame->meta, &key) != DURE_OK) {
        return DURE_ERR_PROTOCOL;
    }
    const bool is_parked = must_park_request(peer);
    const bool has_room = !is_parked || can_park(peer, frame);
    if (peer->request_count >= DURE_RPC_LINK_REQUESTS_MAX || !has_room) {
        rpc->counters.parked_refused += !has_room;
        request_decline(peer, frame, DURE_ERR_OVERLOADED);
        return DURE_OK;
    }
    dure_err err = dure_request_create(rpc, frame->method, frame->subject, frame->left_ms,
                                       frame->body, &request);
    if (err == DURE_OK) {
        err = dure_request_attach(request, peer, frame->id);
        if (err != DURE_OK) {
            dure_request_finish(request);
        }
    }
    if (err != DURE_OK) {
        request_decline(peer, frame, DURE_ERR_OVERLOADED);
        return DURE_OK;
    }
    request->from = peer->node;
    request->key = key;
    request->key_peer = dure_link_index(peer->link);
    if (is_parked) {
        park(peer, request);
    } else {
        request_run(request, frame->method);
    }
    return DURE_OK;
}

dure_err dure_rpc_on_notify(dure_rpc_peer *peer, const dure_frame *frame)
{
    dure_rpc *rpc = peer->rpc;
    dure_request *request = NULL;
    const bool is_parked = must_park_notify(peer, frame->subject);
    if (is_parked && !can_park(peer, frame)) {
        rpc->counters.parked_refused++;
        return DURE_OK; /* at most once: this one not at all */
    }
    const dure_err err =
        dure_request_create(rpc, frame->method, frame->subject, 0, frame->body, &request);
    if (err != DURE_OK) {
        rpc->counters.unknown_notifies++;
        return DURE_OK; /* at most once: this one not at all */
    }
    request->is_notify = true;
    request->from = peer->node;
    request->key_peer = dure_link_index(peer->link);
    dure_list_push_back(&rpc->local_requests, &request->node);
    if (is_parked) {
        park(peer, request);
    } else {
        request_run(request, frame->method);
    }
    return DURE_OK;
}

void dure_rpc_on_cancel(dure_rpc_peer *peer, const dure_frame *frame)
{
    dure_request *request = dure_request_find(peer, frame->id);
    if (request != NULL) {
        dure_request_abandon(request, false);
    } else {
        dure_link_drop_answer(peer->link, frame->id);
    }
}

dure_err dure_rpc_queue_local(dure_rpc *rpc, const dure_local_call *local,
                              dure_request **out_request)
{
    dure_request *request = NULL;
    const dure_err err = dure_request_create(rpc, local->method, local->subject, local->left_ms,
                                             dure_rpc_object_of(local->body), &request);
    if (err != DURE_OK) {
        return err;
    }
    request->from = rpc->self;
    request->call_id = local->call_id;
    request->is_notify = local->call_id == 0;
    request->key = local->key;
    request->key_peer = rpc->self_index;
    dure_list_push_back(&rpc->queued_requests, &request->node);
    dure_rpc_defer(rpc);
    *out_request = request;
    return DURE_OK;
}

void dure_rpc_run_requests(dure_rpc *rpc)
{
    dure_list taken;
    dure_list_init(&taken);
    dure_list_move_all(&taken, &rpc->queued_requests);
    dure_list *node;
    while ((node = dure_list_pop_front(&taken)) != NULL) {
        dure_request *request = DURE_CONTAINER_OF(node, dure_request, node);
        dure_list_push_back(&rpc->local_requests, &request->node);
        if (rpc->is_closing) {
            dure_request_finish(request); /* its call was told so by the handler that closed */
        } else if (is_expired(request)) {
            dure_request_not_begun(request);
        } else {
            request_run(request, request->method);
        }
    }
    dure_list_move_all(&taken, &rpc->to_cancel);
    while ((node = dure_list_pop_front(&taken)) != NULL) {
        dure_request *request = DURE_CONTAINER_OF(node, dure_request, node);
        dure_list_push_back(&rpc->local_requests, &request->node);
        dure_request_run_on_cancel(request);
    }
}

/* ---- local requests ---- */

static dure_err open_local(dure_rpc *rpc, uint32_t method, uint64_t subject, uint32_t left_ms,
                           dure_slice params, dure_local_reply_fn reply, void *ctx,
                           dure_request **out_request)
{
    dure_request *request = NULL;
    const uint32_t deadline_ms = left_ms != 0 ? left_ms : rpc->settings->call_deadline_ms;
    const dure_err err = dure_request_create(rpc, method, subject, deadline_ms,
                                             dure_rpc_object_of(params), &request);
    if (err != DURE_OK) {
        return err;
    }
    request->reply = reply;
    request->reply_ctx = ctx;
    dure_list_push_back(&rpc->local_requests, &request->node);
    *out_request = request;
    return DURE_OK;
}

dure_err dure_rpc_serve_local(dure_rpc *rpc, uint32_t method, uint64_t subject, uint32_t left_ms,
                              dure_slice params, dure_local_reply_fn reply, void *ctx,
                              dure_request **out_request)
{
    const dure_method *found = dure_rpc_find_method(rpc, method);
    dure_request *request = NULL;
    if (found == NULL) {
        return DURE_ERR_UNKNOWN_METHOD;
    }
    const dure_err err = open_local(rpc, method, subject, left_ms, params, reply, ctx, &request);
    if (err != DURE_OK) {
        return err;
    }
    *out_request = request;
    if (!request_serve(request, found)) {
        *out_request = NULL;
    }
    return DURE_OK;
}

dure_err dure_rpc_open_local(dure_rpc *rpc, uint64_t subject, uint32_t left_ms, dure_slice params,
                             dure_local_reply_fn reply, void *ctx, dure_request **out_request)
{
    const dure_err err = open_local(rpc, 0, subject, left_ms, params, reply, ctx, out_request);
    if (err == DURE_OK) {
        (*out_request)->is_held = true;
        (*out_request)->state = DURE_REQUEST_HELD;
        rpc->counters.served++;
    }
    return err;
}
