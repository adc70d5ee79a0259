/* SPDX-License-Identifier: MIT
 *
 * Answers. Requests from links, from this node itself, and from its clients or admins differ only
 * in where the answer goes.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"
#include "cluster/rpc_impl.h"
#include "wire/packer.h"

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

/* The peer must not take its call for one that was never begun: without the answer the link ends.
 */
static void lose_answer(dure_request *request, dure_err cause)
{
    count_dropped(request);
    if (wants_answer(request)) {
        dure_link_give_up(request->peer->link, cause);
    }
}

/* That it ran is all that there is room for. */
static void send_verdict(dure_request *request)
{
    dure_rpc *rpc = request->rpc;
    uint8_t room[DURE_RPC_ERROR_OBJECT_MAX];
    dure_frame frame = answer_frame(request, DURE_FRAME_ERROR);
    dure_buf buf; /* rpc->reply has the answer, which its request key may want */
    uint64_t end = 0;
    frame.body.data = room;
    frame.body.len =
        dure_rpc_pack_error(rpc, DURE_ERR_OUTCOME_UNKNOWN, dure_err_name(DURE_ERR_OUTCOME_UNKNOWN),
                            "the answer found no room on the link", room);
    dure_buf_init(&buf, DURE_FRAME_HEADER_BYTES + sizeof room);
    if (frame.body.len == 0 || dure_frame_encode(&buf, &frame) != DURE_OK) {
        dure_link_give_up(request->peer->link, DURE_ERR_NO_MEMORY);
    } else {
        const dure_slice bytes = {buf.data, buf.len};
        const dure_err err = dure_link_send(request->peer->link, bytes, DURE_LINK_VERDICT, &end);
        (void)err; /* the link ends then */
    }
    dure_buf_fini(&buf);
}

/* Sends rpc->reply. */
static void send_reply(dure_request *request)
{
    const dure_slice bytes = {request->rpc->reply.data, request->rpc->reply.len};
    uint64_t end = 0;
    const dure_err err = dure_link_send(request->peer->link, bytes, DURE_LINK_ANSWER, &end);
    if (err == DURE_ERR_OVERLOADED) {
        send_verdict(request);
    }
    if (err != DURE_OK) {
        count_dropped(request);
    }
}

void dure_request_tell_local(dure_request *request, const dure_outcome *outcome)
{
    dure_local_reply_fn reply = request->reply;
    DURE_ASSERT(reply != NULL);
    request->reply = NULL;
    reply(request->reply_ctx, outcome);
}

static void tell_local(dure_request *request, dure_slice bytes, bool is_error)
{
    dure_rpc *rpc = request->rpc;
    dure_outcome outcome = {.status = DURE_OK, .body = bytes};
    if (is_error && dure_rpc_read_error(bytes, &outcome) != DURE_OK) {
        dure_rpc_own_outcome(DURE_ERR_INTERNAL, &outcome);
    }
    outcome.from = rpc->self;
    dure_request_tell_local(request, &outcome);
}

/* A body, or an error's [code, name, text], to whoever waits for it. */
static void send_answer(dure_request *request, dure_slice bytes, bool is_error)
{
    dure_rpc *rpc = request->rpc;
    if (request->reply != NULL) {
        tell_local(request, bytes, is_error);
    } else if (request->call_id != 0 && !request->is_cancelled) {
        dure_rpc_on_local_answer(rpc, request->call_id, bytes, is_error);
    } else if (wants_answer(request)) {
        dure_frame frame = answer_frame(request, is_error ? DURE_FRAME_ERROR : DURE_FRAME_RESPONSE);
        frame.body = bytes;
        dure_rpc_clear_buf(&rpc->reply);
        const dure_err err = dure_frame_encode(&rpc->reply, &frame);
        if (err == DURE_OK) {
            send_reply(request);
        } else {
            lose_answer(request, err);
        }
    } else {
        count_dropped(request);
    }
}

void dure_request_answer_body(dure_request *request, dure_slice body)
{
    send_answer(request, body, false);
    if (request->key_entry != NULL) {
        dure_rpc_keys_answered(request, body, false);
    }
}

void dure_request_answer_error(dure_request *request, dure_slice error)
{
    send_answer(request, error, true);
    if (request->key_entry != NULL) {
        dure_rpc_keys_answered(request, error, true);
    }
}

static const uint8_t nil_object[] = {0xc0};

dure_slice dure_rpc_object_of(dure_slice body)
{
    const dure_slice nil = {nil_object, sizeof nil_object};
    return body.len == 0 ? nil : body;
}

void dure_request_reply(dure_request *request, dure_slice result)
{
    const dure_slice body = dure_rpc_object_of(result);
    const dure_err err = dure_rpc_check_body(request->rpc, body);
    if (err != DURE_OK) {
        DURE_DEBUG_ASSERT(err != DURE_ERR_MALFORMED); /* what was packed is no MessagePack */
        dure_request_fail(request, DURE_ERR_INTERNAL, "the answer is %s",
                          err == DURE_ERR_TOO_LARGE ? "too large" : "outside the limits");
        return;
    }
    dure_request_answer_body(request, body);
    dure_request_finish(request);
}

/* The link's answers are packed behind their header; others need none. */
dure_packer *dure_request_reply_begin(dure_request *request)
{
    dure_rpc *rpc = request->rpc;
    dure_err err = DURE_OK;
    DURE_ASSERT(request->state != DURE_REQUEST_ANSWERED);
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
        if (err == DURE_OK && request->key_entry != NULL) {
            const dure_slice body = {rpc->reply.data + DURE_FRAME_HEADER_BYTES,
                                     rpc->reply.len - DURE_FRAME_HEADER_BYTES};
            dure_rpc_keys_answered(request, body, false);
        }
    } else if (err == DURE_OK) {
        const dure_slice body = {rpc->reply.data, rpc->reply.len};
        dure_request_answer_body(request, body);
    }
    if (err != DURE_OK) {
        dure_request_fail(request, DURE_ERR_INTERNAL, "the answer could not be packed: %s",
                          dure_err_text(err));
        return;
    }
    dure_request_finish(request);
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
size_t dure_rpc_pack_error(dure_rpc *rpc, uint32_t code, const char *name, const char *text,
                           uint8_t room[DURE_RPC_ERROR_OBJECT_MAX])
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
    DURE_ASSERT(rpc->error.len <= DURE_RPC_ERROR_OBJECT_MAX);
    memcpy(room, rpc->error.data, rpc->error.len);
    return rpc->error.len;
}

void dure_request_fail_code(dure_request *request, uint32_t code, const char *name,
                            const char *text)
{
    uint8_t room[DURE_RPC_ERROR_OBJECT_MAX];
    const uint32_t told = dure_err_code_on_wire(code);
    if (told != code) {
        name = dure_err_name((dure_err)told); /* what stays inside a process has no name outside */
    }
    const dure_slice error = {room, dure_rpc_pack_error(request->rpc, told, name, text, room)};
    if (error.len > 0) {
        dure_request_answer_error(request, error);
    } else {
        lose_answer(request, DURE_ERR_NO_MEMORY);
    }
    dure_request_finish(request);
}

void dure_request_not_begun(dure_request *request)
{
    dure_rpc *rpc = request->rpc;
    const bool is_over =
        request->is_overdue || (dure_deadline_is_set(&request->deadline) &&
                                dure_deadline_left_ms(&rpc->deadlines, &request->deadline) == 0);
    const dure_err err = is_over ? DURE_ERR_DEADLINE : DURE_ERR_CANCELLED;
    rpc->counters.not_begun++;
    if (request->key_entry != NULL) {
        dure_rpc_keys_dropped(request, false);
    }
    dure_request_fail(request, err, "%s: it was not begun", dure_err_text(err));
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

/* An error that came over a link goes on as it is, but for a code that should have stayed there. */
static void forward_error(dure_request *request, const dure_outcome *outcome)
{
    char name[DURE_RPC_ERROR_TEXT_MAX];
    char text[DURE_RPC_ERROR_TEXT_MAX];
    if (outcome->code == 0 || dure_err_code_on_wire(outcome->code) == outcome->code) {
        dure_request_answer_error(request, outcome->error);
        dure_request_finish(request);
        return;
    }
    (void)snprintf(name, sizeof name, "%.*s", DURE_STR_ARG(outcome->name));
    (void)snprintf(text, sizeof text, "%.*s", DURE_STR_ARG(outcome->text));
    dure_request_fail_code(request, outcome->code, name, text);
}

void dure_request_forward(dure_request *request, const dure_outcome *outcome)
{
    if (outcome->status == DURE_OK) {
        dure_request_answer_body(request, dure_rpc_object_of(outcome->body));
        dure_request_finish(request);
    } else if (outcome->error.len > 0) {
        forward_error(request, outcome);
    } else {
        const dure_err err = outcome->status == DURE_ERR_NOT_SENT
                                 ? DURE_ERR_UNAVAILABLE
                                 : (dure_err)dure_err_code_on_wire((uint32_t)outcome->status);
        dure_request_fail(request, err, "%s", dure_err_text(err));
    }
}
