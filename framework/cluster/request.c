/* SPDX-License-Identifier: MIT
 *
 * The side that answers: requests from links, from this node itself, and from its clients or
 * admins, which differ only in where the answer goes. Params are copied before the handler runs,
 * because what a handler keeps of them must stay where it is for as long as the request lives.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "cluster/rpc_impl.h"
#include "wire/packer.h"

#define PARAMS_KEPT_BYTES 4096u /* a free request keeps no more memory than that */
#define ERROR_OBJECT_MAX  (2 * DURE_RPC_ERROR_TEXT_MAX + 32) /* two texts, a number, three heads */

static void request_deadline(dure_deadline *deadline);

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
        dure_buf_init(&request->params, (size_t)rpc->settings->body_max_bytes);
    }
    return request;
}

static void give_free(dure_request *request)
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
    dure_list_push_back(&rpc->free_requests, &request->node);
}

/* A request with its params and its deadline, in no list yet. Fails: NO_MEMORY. */
static dure_err request_create(dure_rpc *rpc, uint32_t method, uint64_t subject, uint32_t left_ms,
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
        give_free(request);
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

static dure_request *find_request(const dure_rpc_peer *peer, uint32_t id)
{
    dure_request *request = peer->buckets != NULL ? *bucket_of(peer, id) : NULL;
    while (request != NULL && request->id != id) {
        request = request->next_in_bucket;
    }
    return request;
}

static dure_err attach_to_peer(dure_request *request, dure_rpc_peer *peer, uint32_t id)
{
    if (peer->buckets == NULL) {
        peer->buckets = dure_mem_alloc_array(DURE_RPC_REQUEST_BUCKETS, sizeof(dure_request *));
        if (peer->buckets == NULL) {
            return DURE_ERR_NO_MEMORY;
        }
    }
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
    peer->request_count--;
    request->peer = NULL;
    request->id = 0;
}

/* The answer is given, or nobody wants it: the request is gone once its handler has returned. */
static void request_finish(dure_request *request)
{
    dure_rpc *rpc = request->rpc;
    DURE_ASSERT(request->state != DURE_REQUEST_FREE);
    DURE_ASSERT(request->state != DURE_REQUEST_ANSWERED);
    detach_from_peer(request);
    dure_deadline_clear(&rpc->deadlines, &request->deadline);
    dure_list_remove(&request->node);
    request->on_cancel = NULL;
    if (request->state == DURE_REQUEST_SERVING) {
        request->state = DURE_REQUEST_ANSWERED;
        return;
    }
    rpc->serving--;
    give_free(request);
}

/* ---- answers ---- */

static bool wants_answer(const dure_request *request)
{
    return request->peer != NULL && !request->is_notify;
}

static void count_dropped(dure_request *request)
{
    if (!request->is_notify) {
        request->rpc->counters.dropped_answers++;
    }
}

static dure_frame answer_frame(const dure_request *request, dure_frame_kind kind)
{
    const dure_frame frame = {
        .kind = kind,
        .id = request->id,
        .method = request->method,
        .subject = request->subject,
    };
    return frame;
}

/* Sends rpc->reply. One that finds no room in the link's queue cuts the link, see dure_link_send.
 */
static void send_reply(dure_request *request)
{
    const dure_slice bytes = {request->rpc->reply.data, request->rpc->reply.len};
    uint64_t end = 0;
    if (dure_link_send(request->peer->link, bytes, false, &end) != DURE_OK) {
        count_dropped(request);
    }
}

static void tell_local(dure_request *request, const dure_outcome *outcome)
{
    dure_local_reply_fn reply = request->reply;
    request->reply = NULL;
    reply(request->reply_ctx, outcome);
}

static void answer_body(dure_request *request, dure_slice body)
{
    dure_rpc *rpc = request->rpc;
    if (request->reply != NULL) {
        const dure_outcome outcome = {.status = DURE_OK, .body = body, .from = rpc->self};
        tell_local(request, &outcome);
    } else if (request->call_id != 0 && !request->is_cancelled) {
        dure_rpc_on_local_answer(rpc, request->call_id, body, false);
    } else if (wants_answer(request)) {
        dure_frame frame = answer_frame(request, DURE_FRAME_RESPONSE);
        frame.body = body;
        dure_rpc_clear_buf(&rpc->reply);
        if (dure_frame_encode(&rpc->reply, &frame) == DURE_OK) {
            send_reply(request);
        } else {
            count_dropped(request);
        }
    } else {
        count_dropped(request);
    }
}

static void answer_error(dure_request *request, dure_slice error)
{
    dure_rpc *rpc = request->rpc;
    if (request->reply != NULL) {
        dure_outcome outcome;
        if (dure_rpc_read_error(error, &outcome) != DURE_OK) {
            dure_rpc_own_outcome(DURE_ERR_INTERNAL, &outcome);
        }
        outcome.from = rpc->self;
        tell_local(request, &outcome);
    } else if (request->call_id != 0 && !request->is_cancelled) {
        dure_rpc_on_local_answer(rpc, request->call_id, error, true);
    } else if (wants_answer(request)) {
        dure_frame frame = answer_frame(request, DURE_FRAME_ERROR);
        frame.body = error;
        dure_rpc_clear_buf(&rpc->reply);
        if (dure_frame_encode(&rpc->reply, &frame) == DURE_OK) {
            send_reply(request);
        } else {
            count_dropped(request);
        }
    } else {
        count_dropped(request);
    }
}

static const uint8_t nil_object[] = {0xc0};

static dure_slice object_of(dure_slice body)
{
    const dure_slice nil = {nil_object, sizeof nil_object};
    return body.len == 0 ? nil : body;
}

void dure_request_reply(dure_request *request, dure_slice result)
{
    const dure_slice body = object_of(result);
    const dure_err err = dure_rpc_check_body(request->rpc, body);
    if (err != DURE_OK) {
        DURE_DEBUG_ASSERT(err != DURE_ERR_MALFORMED); /* what was packed is no MessagePack */
        dure_request_fail(request, DURE_ERR_INTERNAL, "the answer is %s",
                          err == DURE_ERR_TOO_LARGE ? "too large" : "outside the limits");
        return;
    }
    answer_body(request, body);
    request_finish(request);
}

/* The link's answers are packed behind their header; others need none. */
dure_packer *dure_request_reply_begin(dure_request *request)
{
    dure_rpc *rpc = request->rpc;
    dure_err err = DURE_OK;
    dure_rpc_clear_buf(&rpc->reply);
    rpc->reply_start = 0;
    if (wants_answer(request)) {
        const dure_frame frame = answer_frame(request, DURE_FRAME_RESPONSE);
        err = dure_frame_begin(&rpc->reply, &frame, &rpc->reply_start);
    }
    rpc->reply_packer = dure_packer_of(&rpc->reply);
    rpc->reply_packer.status = err;
    return &rpc->reply_packer;
}

static dure_err reply_check(const dure_request *request)
{
    const dure_rpc *rpc = request->rpc;
    if (rpc->reply_packer.status != DURE_OK) {
        return rpc->reply_packer.status;
    }
    const size_t head = wants_answer(request) ? DURE_FRAME_HEADER_BYTES : 0;
    const dure_slice body = {rpc->reply.data + head, rpc->reply.len - head};
    return dure_rpc_check_body(request->rpc, body);
}

void dure_request_reply_end(dure_request *request)
{
    dure_rpc *rpc = request->rpc;
    dure_err err = reply_check(request);
    if (err == DURE_OK && wants_answer(request)) {
        err = dure_frame_end(&rpc->reply, rpc->reply_start);
        if (err == DURE_OK) {
            send_reply(request);
        }
    } else if (err == DURE_OK) {
        const dure_slice body = {rpc->reply.data, rpc->reply.len};
        answer_body(request, body);
    }
    if (err != DURE_OK) {
        dure_request_fail(request, DURE_ERR_INTERNAL, "the answer could not be packed: %s",
                          dure_err_text(err));
        return;
    }
    request_finish(request);
}

/* Copies text as UTF-8 that any reader accepts: what is not becomes '?', what is too long is cut
 * between two characters. */
static size_t clean_text(const char *text, size_t len, char *out, size_t out_size)
{
    size_t out_len = 0;
    for (size_t at = 0; at < len;) {
        const size_t step = dure_utf8_sequence((const uint8_t *)text + at, len - at);
        const size_t bytes = step > 0 ? step : 1;
        if (out_len + bytes > out_size) {
            break;
        }
        if (step > 0) {
            memcpy(out + out_len, text + at, step);
        } else {
            out[out_len] = '?';
        }
        out_len += bytes;
        at += bytes;
    }
    return out_len;
}

static void pack_text(dure_packer *packer, const char *text)
{
    char clean[DURE_RPC_ERROR_TEXT_MAX];
    dure_str str = {clean, 0};
    if (text != NULL) {
        str.len = clean_text(text, strlen(text), clean, sizeof clean);
    }
    dure_packer_str(packer, str);
}

/* Packs [code, name, text] into room, which answers of other requests cannot overwrite; its length,
 * 0 when there is no memory. */
static size_t pack_error(dure_rpc *rpc, uint32_t code, const char *name, const char *text,
                         uint8_t room[ERROR_OBJECT_MAX])
{
    dure_packer packer = dure_packer_of(&rpc->error);
    dure_buf_clear(&rpc->error);
    dure_packer_array(&packer, 3);
    dure_packer_u64(&packer, code);
    pack_text(&packer, name);
    pack_text(&packer, text);
    if (packer.status != DURE_OK) {
        return 0;
    }
    memcpy(room, rpc->error.data, rpc->error.len);
    return rpc->error.len;
}

void dure_request_fail_code(dure_request *request, uint32_t code, const char *name,
                            const char *text)
{
    uint8_t room[ERROR_OBJECT_MAX];
    const dure_slice error = {room, pack_error(request->rpc, code, name, text, room)};
    if (error.len > 0) {
        answer_error(request, error);
    } else {
        count_dropped(request);
    }
    request_finish(request);
}

void dure_request_fail(dure_request *request, dure_err err, const char *text, ...)
{
    char line[DURE_RPC_ERROR_TEXT_MAX] = "";
    va_list args;
    DURE_ASSERT(err != DURE_OK);
    if (text != NULL) {
        va_start(args, text);
        (void)vsnprintf(line, sizeof line, text, args);
        va_end(args);
    }
    if (line[0] == '\0') {
        (void)snprintf(line, sizeof line, "%s", dure_err_text(err));
    }
    dure_request_fail_code(request, (uint32_t)err, dure_err_name(err), line);
}

static bool is_about_our_peers(dure_err status)
{
    return status == DURE_ERR_NOT_UP || status == DURE_ERR_DOWN ||
           status == DURE_ERR_NOT_CONFIGURED || status == DURE_ERR_NOT_SENT;
}

void dure_request_forward(dure_request *request, const dure_outcome *outcome)
{
    if (outcome->status == DURE_OK) {
        answer_body(request, object_of(outcome->body));
        request_finish(request);
    } else if (outcome->error.len > 0) {
        answer_error(request, outcome->error);
        request_finish(request);
    } else {
        const dure_err err =
            is_about_our_peers(outcome->status) ? DURE_ERR_UNAVAILABLE : outcome->status;
        dure_request_fail(request, err, "%s", dure_err_text(err));
    }
}

/* ---- cancelling ---- */

static void run_on_cancel(dure_request *request)
{
    void (*on_cancel)(dure_request *, void *) = request->on_cancel;
    request->on_cancel = NULL;
    if (on_cancel != NULL) {
        on_cancel(request, request->cancel_ctx); /* may answer, and so end, the request */
    }
}

void dure_request_cancel(dure_request *request)
{
    dure_rpc *rpc = request->rpc;
    if (request->is_cancelled || request->state == DURE_REQUEST_ANSWERED) {
        return;
    }
    request->is_cancelled = true;
    request->reply = NULL;
    dure_deadline_clear(&rpc->deadlines, &request->deadline);
    if (request->peer != NULL) {
        detach_from_peer(request);
        dure_list_push_back(&rpc->local_requests, &request->node);
    }
    run_on_cancel(request);
}

static void request_deadline(dure_deadline *deadline)
{
    dure_request *request = DURE_CONTAINER_OF(deadline, dure_request, deadline);
    if (request->reply != NULL) {
        dure_outcome outcome;
        dure_rpc_own_outcome(DURE_ERR_DEADLINE, &outcome);
        tell_local(request, &outcome);
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

static void cancel_all(dure_list *requests)
{
    dure_list taken;
    dure_list_init(&taken);
    dure_list_move_all(&taken, requests);
    while (!dure_list_is_empty(&taken)) {
        dure_request *request = DURE_CONTAINER_OF(taken.next, dure_request, node);
        if (request->peer == NULL) {
            dure_list_remove(&request->node);
            dure_list_push_back(&request->rpc->local_requests, &request->node);
        }
        dure_request_cancel(request);
    }
}

void dure_rpc_cancel_peer(dure_rpc_peer *peer)
{
    cancel_all(&peer->requests);
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
            tell_local(request, &outcome);
        }
        if (request->state == DURE_REQUEST_QUEUED) {
            request_finish(request); /* no handler has seen it */
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

/* ---- serving ---- */

/* Runs the handler; the request may be gone afterwards. True while it is held. */
static bool request_serve(dure_request *request, const dure_method *method)
{
    dure_rpc *rpc = request->rpc;
    const dure_slice params = {request->params.data, request->params.len};
    rpc->counters.served++;
    request->state = DURE_REQUEST_SERVING;
    void *state = rpc->config.method_state != NULL
                      ? rpc->config.method_state(rpc->config.state, method)
                      : rpc->config.state;
    method->serve(request, params, state);
    if (request->state == DURE_REQUEST_ANSWERED) {
        rpc->serving--;
        give_free(request);
        return false;
    }
    request->state = DURE_REQUEST_HELD;
    if (request->is_held) {
        return true;
    }
    if (request->is_notify) {
        request_finish(request);
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
    uint8_t room[ERROR_OBJECT_MAX];
    const dure_slice error = {
        room, pack_error(rpc, (uint32_t)err, dure_err_name(err), dure_err_text(err), room)};
    if (error.len > 0) {
        answer_error(&request, error);
    }
}

static void request_run(dure_request *request, uint32_t number)
{
    const dure_method *method = find_served(request->rpc, number);
    if (method == NULL && request->is_notify) {
        request->rpc->counters.unknown_notifies++;
        request_finish(request);
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

dure_err dure_rpc_on_request(dure_rpc_peer *peer, const dure_frame *frame)
{
    dure_rpc *rpc = peer->rpc;
    dure_request *request = NULL;
    if (frame->id == 0 || find_request(peer, frame->id) != NULL) {
        return DURE_ERR_PROTOCOL;
    }
    if (peer->request_count >= DURE_RPC_LINK_REQUESTS_MAX) {
        request_decline(peer, frame, DURE_ERR_OVERLOADED);
        return DURE_OK;
    }
    dure_err err =
        request_create(rpc, frame->method, frame->subject, frame->left_ms, frame->body, &request);
    if (err == DURE_OK) {
        err = attach_to_peer(request, peer, frame->id);
        if (err != DURE_OK) {
            request_finish(request);
        }
    }
    if (err != DURE_OK) {
        request_decline(peer, frame, DURE_ERR_OVERLOADED);
        return DURE_OK;
    }
    request->from = peer->node;
    request_run(request, frame->method);
    return DURE_OK;
}

dure_err dure_rpc_on_notify(dure_rpc_peer *peer, const dure_frame *frame)
{
    dure_rpc *rpc = peer->rpc;
    dure_request *request = NULL;
    const dure_err err =
        request_create(rpc, frame->method, frame->subject, 0, frame->body, &request);
    if (err != DURE_OK) {
        rpc->counters.unknown_notifies++;
        return DURE_OK; /* at most once: this one not at all */
    }
    request->is_notify = true;
    request->from = peer->node;
    dure_list_push_back(&rpc->local_requests, &request->node);
    request_run(request, frame->method);
    return DURE_OK;
}

void dure_rpc_on_cancel(dure_rpc_peer *peer, const dure_frame *frame)
{
    dure_request *request = find_request(peer, frame->id);
    if (request != NULL) {
        dure_request_cancel(request);
    }
}

dure_err dure_rpc_queue_local(dure_rpc *rpc, uint64_t call_id, uint32_t method, uint64_t subject,
                              uint32_t left_ms, dure_slice body, dure_request **out_request)
{
    dure_request *request = NULL;
    const dure_err err = request_create(rpc, method, subject, left_ms, object_of(body), &request);
    if (err != DURE_OK) {
        return err;
    }
    request->from = rpc->self;
    request->call_id = call_id;
    request->is_notify = call_id == 0;
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
        if (request->is_cancelled) {
            request_finish(request); /* nobody has seen it yet */
        } else {
            request_run(request, request->method);
        }
    }
    dure_list_move_all(&taken, &rpc->to_cancel);
    while ((node = dure_list_pop_front(&taken)) != NULL) {
        dure_request *request = DURE_CONTAINER_OF(node, dure_request, node);
        dure_list_push_back(&rpc->local_requests, &request->node);
        run_on_cancel(request);
    }
}

/* ---- local requests ---- */

static dure_err open_local(dure_rpc *rpc, uint32_t method, uint64_t subject, uint32_t left_ms,
                           dure_slice params, dure_local_reply_fn reply, void *ctx,
                           dure_request **out_request)
{
    dure_request *request = NULL;
    const uint32_t deadline_ms = left_ms != 0 ? left_ms : rpc->settings->call_deadline_ms;
    const dure_err err =
        request_create(rpc, method, subject, deadline_ms, object_of(params), &request);
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
