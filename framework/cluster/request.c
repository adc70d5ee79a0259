/* SPDX-License-Identifier: MIT
 *
 * The life of a request: made with a copy of its params, because what a handler keeps of them must
 * stay where it is for as long as the request lives; cancelled; and gone when it is answered.
 */
#include "base/mem.h"
#include "cluster/rpc_impl.h"

#define PARAMS_KEPT_BYTES 4096u /* a free request keeps no more memory than that */

static void request_deadline(dure_deadline *deadline);

/* ---- make and end ---- */

static dure_request *take_free(dure_rpc *rpc)
{
    dure_list *node = dure_list_pop_front(&rpc->free_requests);
    if (node != NULL) {
        return DURE_CONTAINER_OF(node, dure_request, node);
    }
    dure_request *request = dure_mem_alloc(sizeof *request);
    if (request != NULL) {
        dure_list_init(&request->node);
        dure_list_init(&request->in_key);
        dure_list_init(&request->in_parked);
        dure_list_init(&request->calls);
        dure_buf_init(&request->params, (size_t)rpc->settings->body_max_bytes);
    }
    return request;
}

void dure_request_give_free(dure_request *request)
{
    dure_rpc *rpc = request->rpc;
    dure_list_remove(&request->node);
    dure_buf params = request->params;
    void *room = request->room;
    size_t room_bytes = request->room_bytes;
    if (params.len > PARAMS_KEPT_BYTES) {
        dure_buf_release(&params);
    } else {
        dure_buf_clear(&params);
    }
    if (room_bytes > PARAMS_KEPT_BYTES) {
        dure_mem_free(room);
        room = NULL;
        room_bytes = 0;
    }
    memset(request, 0, sizeof *request);
    request->params = params;
    request->room = room;
    request->room_bytes = room_bytes;
    dure_list_init(&request->node);
    dure_list_init(&request->in_key);
    dure_list_init(&request->in_parked);
    dure_list_init(&request->calls);
    dure_list_push_back(&rpc->free_requests, &request->node);
}

/* A request with its params and its deadline, in no list yet. Fails: NO_MEMORY. */
dure_err dure_request_create(dure_rpc *rpc, uint32_t method, uint64_t subject, uint32_t left_ms,
                             dure_slice params, dure_request **out_request)
{
    dure_request *request = take_free(rpc);
    if (request == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    request->rpc = rpc;
    request->method = method;
    request->subject = subject;
    request->state = DURE_REQUEST_QUEUED;
    dure_deadline_init(&request->deadline, request_deadline);
    dure_err err = dure_buf_append(&request->params, params.data, params.len);
    if (err == DURE_OK && left_ms > 0) {
        err = dure_deadline_set(&rpc->deadlines, &request->deadline, left_ms);
    }
    if (err != DURE_OK) {
        dure_request_give_free(request);
        return err;
    }
    rpc->serving++;
    *out_request = request;
    return DURE_OK;
}

static dure_request **bucket_of(const dure_rpc_peer *peer, uint32_t id)
{
    return &peer->buckets[id & (DURE_RPC_REQUEST_BUCKETS - 1)];
}

dure_request *dure_request_find(const dure_rpc_peer *peer, uint32_t id)
{
    dure_request *request = peer->buckets != NULL ? *bucket_of(peer, id) : NULL;
    while (request != NULL && request->id != id) {
        request = request->next_in_bucket;
    }
    return request;
}

dure_err dure_request_attach(dure_request *request, dure_rpc_peer *peer, uint32_t id)
{
    if (peer->buckets == NULL) {
        peer->buckets = dure_mem_alloc_array(DURE_RPC_REQUEST_BUCKETS, sizeof(dure_request *));
        if (peer->buckets == NULL) {
            return DURE_ERR_NO_MEMORY;
        }
    }
    DURE_ASSERT(id != 0);
    DURE_ASSERT(request->peer == NULL);
    dure_request **bucket = bucket_of(peer, id);
    request->peer = peer;
    request->id = id;
    request->next_in_bucket = *bucket;
    *bucket = request;
    dure_list_push_back(&peer->requests, &request->node);
    peer->request_count++;
    return DURE_OK;
}

/* Its answer goes nowhere from now on. */
static void detach_from_peer(dure_request *request)
{
    dure_rpc_peer *peer = request->peer;
    if (peer == NULL) {
        return;
    }
    dure_request **at = bucket_of(peer, request->id);
    while (*at != request) {
        at = &(*at)->next_in_bucket;
    }
    *at = request->next_in_bucket;
    dure_list_remove(&request->node);
    DURE_ASSERT(peer->request_count > 0);
    peer->request_count--;
    request->peer = NULL;
    request->id = 0;
}

/* The answer is given, or nobody wants it: the request is gone once its handler has returned. */
void dure_request_finish(dure_request *request)
{
    dure_rpc *rpc = request->rpc;
    DURE_ASSERT(request->state != DURE_REQUEST_FREE);
    DURE_ASSERT(request->state != DURE_REQUEST_ANSWERED);
    detach_from_peer(request);
    dure_deadline_clear(&rpc->deadlines, &request->deadline);
    dure_list_remove(&request->node);
    dure_list_remove(&request->in_key);
    dure_rpc_unpark(request);
    while (dure_list_pop_front(&request->calls) != NULL) {
    }
    if (request->key_entry != NULL) {
        dure_rpc_keys_dropped(request, true);
    }
    request->on_cancel = NULL;
    if (request->state == DURE_REQUEST_SERVING) {
        request->state = DURE_REQUEST_ANSWERED;
        return;
    }
    DURE_ASSERT(rpc->serving > 0);
    rpc->serving--;
    dure_request_give_free(request);
}

/* ---- cancelling ---- */

void dure_request_run_on_cancel(dure_request *request)
{
    void (*on_cancel)(dure_request *, void *) = request->on_cancel;
    request->on_cancel = NULL;
    if (on_cancel != NULL) {
        on_cancel(request, request->cancel_ctx); /* may answer, and so end, the request */
    }
}

/* Nobody hears its answer, but it goes on. */
static void request_leave_peer(dure_request *request)
{
    if (request->peer != NULL) {
        detach_from_peer(request);
        dure_list_push_back(&request->rpc->local_requests, &request->node);
    }
}

void dure_rpc_tie_call(dure_request *request, dure_list *in_request)
{
    dure_list_push_back(&request->calls, in_request);
}

static void cancel_calls(dure_request *request)
{
    dure_list *node;
    while ((node = dure_list_pop_front(&request->calls)) != NULL) {
        dure_rpc_cancel(request->rpc, DURE_CONTAINER_OF(node, dure_call, in_request)->id);
    }
}

void dure_request_cancel(dure_request *request)
{
    dure_rpc *rpc = request->rpc;
    if (request->is_cancelled || request->state == DURE_REQUEST_ANSWERED) {
        return;
    }
    const bool is_parked = !dure_list_is_empty(&request->in_parked);
    request->is_cancelled = true;
    request->reply = NULL;
    dure_deadline_clear(&rpc->deadlines, &request->deadline);
    request_leave_peer(request);
    if (is_parked) {
        dure_request_not_begun(request); /* no handler has seen it */
        return;
    }
    cancel_calls(request);
    dure_request_run_on_cancel(request);
}

void dure_request_abandon(dure_request *request, bool is_link_lost)
{
    if (request->key_entry != NULL && (is_link_lost || dure_rpc_keys_is_awaited(request))) {
        request_leave_peer(request);
    } else {
        dure_request_cancel(request);
    }
}

static void request_deadline(dure_deadline *deadline)
{
    dure_request *request = DURE_CONTAINER_OF(deadline, dure_request, deadline);
    request->is_overdue = true;
    if (request->reply != NULL) {
        dure_outcome outcome;
        dure_rpc_own_outcome(DURE_ERR_DEADLINE, &outcome);
        dure_request_tell_local(request, &outcome);
    }
    dure_request_cancel(request);
}

void dure_rpc_abandon_local(dure_request *request)
{
    dure_request_cancel(request);
}

void dure_request_on_cancel(dure_request *request, void (*fn)(dure_request *request, void *ctx),
                            void *ctx)
{
    request->on_cancel = fn;
    request->cancel_ctx = ctx;
    if (request->is_cancelled && fn != NULL) {
        /* Later: the caller is still busy with the request. */
        dure_list_remove(&request->node);
        dure_list_push_back(&request->rpc->to_cancel, &request->node);
        dure_rpc_defer(request->rpc);
    }
}

void dure_rpc_cancel_peer(dure_rpc_peer *peer)
{
    dure_list taken;
    dure_list_init(&taken);
    dure_list_move_all(&taken, &peer->requests);
    while (!dure_list_is_empty(&taken)) {
        dure_request *request = DURE_CONTAINER_OF(taken.next, dure_request, node);
        if (request->peer == NULL) {
            dure_list_remove(&request->node);
            dure_list_push_back(&request->rpc->local_requests, &request->node);
        }
        dure_request_abandon(request, true);
    }
    DURE_ASSERT(peer->request_count == 0);
}

void dure_rpc_cancel_local(dure_rpc *rpc)
{
    dure_list taken;
    dure_list_init(&taken);
    dure_list_move_all(&taken, &rpc->local_requests);
    dure_list_move_all(&taken, &rpc->queued_requests);
    dure_list *node;
    while ((node = dure_list_pop_front(&taken)) != NULL) {
        dure_request *request = DURE_CONTAINER_OF(node, dure_request, node);
        dure_list_push_back(&rpc->local_requests, &request->node);
        if (request->reply != NULL) {
            dure_outcome outcome;
            dure_rpc_own_outcome(DURE_ERR_UNAVAILABLE, &outcome);
            dure_request_tell_local(request, &outcome);
        }
        if (request->state == DURE_REQUEST_QUEUED) {
            dure_request_finish(request); /* no handler has seen it */
        } else {
            dure_request_cancel(request);
        }
    }
}

static void free_all(dure_list *requests)
{
    dure_list *node;
    while (requests->next != NULL && (node = dure_list_pop_front(requests)) != NULL) {
        dure_request *request = DURE_CONTAINER_OF(node, dure_request, node);
        dure_buf_fini(&request->params);
        dure_mem_free(request->room);
        dure_mem_free(request);
    }
}

void dure_rpc_free_requests(dure_rpc *rpc)
{
    free_all(&rpc->queued_requests);
    free_all(&rpc->local_requests);
    free_all(&rpc->to_cancel);
    free_all(&rpc->free_requests);
}

/* ---- questions ---- */

void dure_request_hold(dure_request *request)
{
    request->is_held = true;
}

void *dure_request_room(dure_request *request, size_t size)
{
    DURE_ASSERT(!request->is_room_taken);
    if (size > request->room_bytes) {
        void *room = dure_mem_realloc(request->room, size);
        if (room == NULL) {
            return NULL;
        }
        request->room = room;
        request->room_bytes = size;
    }
    request->is_room_taken = true;
    if (request->room != NULL) {
        memset(request->room, 0, size);
    }
    return request->room;
}

uint32_t dure_request_method(const dure_request *request)
{
    return request->method;
}

uint64_t dure_request_subject(const dure_request *request)
{
    return request->subject;
}

dure_slice dure_request_params(const dure_request *request)
{
    return (dure_slice){request->params.data, request->params.len};
}

const dure_registry_node *dure_request_peer(const dure_request *request)
{
    return request->from;
}

uint32_t dure_request_left_ms(const dure_request *request)
{
    const uint32_t left_ms = dure_deadline_left_ms(&request->rpc->deadlines, &request->deadline);
    if (request->is_notify) {
        return request->rpc->settings->call_deadline_ms;
    }
    return left_ms > 0 ? left_ms : 1;
}

bool dure_request_is_cancelled(const dure_request *request)
{
    return request->is_cancelled;
}
