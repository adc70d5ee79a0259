/* SPDX-License-Identifier: MIT
 *
 * Sending: bytes are copied behind `out`; at the end of the dispatch round `out` becomes
 * `in_flight` and leaves in one send, while the next round fills a fresh `out`. One send is in
 * flight a session. Queued are both together, and never more than send_queue_max.
 */
#include "base/assert.h"
#include "net/session_impl.h"

/* Of one send: so often on_sent is called while a long queue leaves. */
#define SEND_BYTES_MAX ((size_t)262144)

/* Looks at a pending send within write_stall_ms, so that its end is late by such a part at most. */
#define STALL_LOOKS 8u

size_t dure_session_send_queue_bytes(const dure_session *session)
{
    return session->out.len + (session->in_flight.len - session->in_flight_at);
}

uint64_t dure_session_handed_bytes(const dure_session *session)
{
    const bool is_filtered = session->filter != NULL || session->filtered_total > 0;
    return is_filtered ? session->filtered_total : session->handed_total;
}

/* Whether len more bytes may be queued; `out` has its buffer afterwards. */
static dure_err session_admit(dure_session *session, size_t len)
{
    DURE_ASSERT_OWNER(session->object.core);
    size_t max = session_config(session)->send_queue_max;
    if (session->state != DURE_SESSION_CONNECTED) {
        return DURE_ERR_STATE;
    }
    size_t queued = dure_session_send_queue_bytes(session);
    if (queued > max || len > max - queued) {
        return DURE_ERR_OVERLOADED;
    }
    if (session->out.data == NULL) {
        dure_shard_take_buf(session->shard, &session->out);
    }
    return DURE_OK;
}

static void session_queued(dure_session *session)
{
    if (!dure_iocp_event_is_active(&session->send_event)) {
        dure_session_defer(session);
    }
}

/* A filter that fails has lost its place in the stream: the session cannot go on. */
static dure_err session_send_through(dure_session *session, const uint8_t *data, size_t len)
{
    dure_err err = session->filter->on_plain(session->filter, data, len, &session->out);
    session->filtered_total += len;
    if (err != DURE_OK) {
        dure_session_fail(session, err);
        return err;
    }
    session_queued(session);
    return DURE_OK;
}

dure_err dure_session_send(dure_session *session, const void *data, size_t len)
{
    dure_err err = session_admit(session, len);
    if (err != DURE_OK || len == 0) {
        return err;
    }
    if (session->filter != NULL) {
        return session_send_through(session, data, len);
    }
    err = dure_buf_append(&session->out, data, len);
    if (err != DURE_OK) {
        return err == DURE_ERR_FULL ? DURE_ERR_OVERLOADED : err;
    }
    session_queued(session);
    return DURE_OK;
}

dure_err dure_session_reserve(dure_session *session, size_t len, uint8_t **out_room)
{
    dure_err err = session_admit(session, len);
    if (err != DURE_OK) {
        return err;
    }
    dure_buf *buf = &session->out;
    if (session->filter != NULL) {
        buf = &session->plain;
        dure_buf_fini(buf);
        dure_buf_init(buf, session_config(session)->send_queue_max);
    }
    err = dure_buf_reserve(buf, len, out_room);
    session->reserved = err == DURE_OK ? len : 0;
    return err == DURE_ERR_FULL ? DURE_ERR_OVERLOADED : err;
}

void dure_session_commit(dure_session *session, size_t len)
{
    DURE_ASSERT_OWNER(session->object.core);
    DURE_ASSERT(session->state == DURE_SESSION_CONNECTED);
    DURE_ASSERT(len <= session->reserved);
    session->reserved = 0;
    if (session->filter == NULL) {
        session->out.len += len;
        if (session->out.len == 0) {
            dure_session_drop_queue(session);
        } else {
            session_queued(session);
        }
        return;
    }
    if (len > 0) {
        /* A filter that fails here ends the session, which tells the user all the same. */
        (void)session_send_through(session, session->plain.data, len);
    }
    dure_buf_fini(&session->plain);
}

void dure_session_drop_queue(dure_session *session)
{
    dure_shard_give_buf(session->shard, &session->out);
}

static void session_drop_in_flight(dure_session *session)
{
    dure_shard_give_buf(session->shard, &session->in_flight);
    session->in_flight_at = 0;
}

static bool session_fill_in_flight(dure_session *session)
{
    if (session->in_flight.len > 0) {
        return true;
    }
    if (session->out.len == 0) {
        return false;
    }
    session->in_flight = session->out;
    session->out = (dure_buf){0};
    return true;
}

/* How long until the next look at a pending send; 0: never. */
static uint32_t session_look_ms(const dure_session *session)
{
    uint32_t stall_ms = session_config(session)->write_stall_ms;
    return stall_ms / STALL_LOOKS + (stall_ms % STALL_LOOKS != 0);
}

void dure_session_watch_send(dure_session *session)
{
    if (!dure_iocp_event_is_active(&session->send_event)) {
        dure_session_set_deadline(session, 0);
        return;
    }
    session->taken = dure_iocp_socket_taken(session->socket);
    session->progress_ns = dure_iocp_core_now_ns(session->object.core);
    dure_session_set_deadline(session, session_look_ms(session));
}

void dure_session_flush(dure_session *session)
{
    if (session->socket == NULL || session->ending > DURE_SESSION_ENDING_FLUSH ||
        dure_iocp_event_is_active(&session->send_event) || !session_fill_in_flight(session)) {
        return;
    }
    size_t left = session->in_flight.len - session->in_flight_at;
    dure_iocp_slice slice = {session->in_flight.data + session->in_flight_at,
                             left < SEND_BYTES_MAX ? left : SEND_BYTES_MAX};
    dure_err err = dure_iocp_send(session->socket, &session->send_event, &slice, 1);
    if (err != DURE_OK) {
        dure_session_fail(session, err);
        return;
    }
    session->handed_total = session->sent_total + slice.len;
    if (session->state == DURE_SESSION_CONNECTED) {
        dure_session_watch_send(session);
    }
}

/*
 * What was acknowledged when the send began is not asked, since that costs a system call and most
 * sends never come here: what has changed since the last look may have changed just now, so that
 * nobody is cut early.
 */
void dure_session_check_stall(dure_session *session)
{
    DURE_ASSERT(session->state == DURE_SESSION_CONNECTED);
    DURE_ASSERT(dure_iocp_event_is_active(&session->send_event));
    uint64_t now_ns = dure_iocp_core_now_ns(session->object.core);
    uint64_t acknowledged = dure_iocp_socket_acknowledged(session->socket);
    size_t taken = dure_iocp_socket_taken(session->socket);
    uint64_t stall_ns = (uint64_t)session_config(session)->write_stall_ms * UINT64_C(1000000);
    if (acknowledged != session->acknowledged || taken != session->taken) {
        session->acknowledged = acknowledged;
        session->taken = taken;
        session->progress_ns = now_ns;
    } else if (now_ns - session->progress_ns >= stall_ns) {
        dure_session_abort(session, DURE_ERR_SLOW);
        return;
    }
    dure_session_set_deadline(session, session_look_ms(session));
}

void dure_session_send_done(dure_session *session, const dure_iocp_event *event)
{
    size_t bytes = event->bytes;
    DURE_ASSERT(session->in_flight.len > 0);
    DURE_ASSERT(bytes <= session->in_flight.len - session->in_flight_at);
    dure_shard_count(&session->shard->counters.sent_bytes, bytes);
    session->in_flight_at += bytes;
    session->sent_total += bytes;
    if (session->in_flight_at == session->in_flight.len ||
        session->ending == DURE_SESSION_ENDING_CUT) {
        session_drop_in_flight(session);
    }
    if (session->ending == DURE_SESSION_ENDING_CUT) {
        return;
    }
    if (session->state == DURE_SESSION_CONNECTED) {
        dure_session_set_deadline(session, 0);
    }
    if (event->status != DURE_OK) {
        session_drop_in_flight(session);
        dure_session_fail(session, event->status);
        return;
    }
    if (dure_session_send_queue_bytes(session) > 0) {
        dure_session_defer(session);
    }
    if (bytes > 0) {
        session_handlers(session)->on_sent(session, bytes);
    }
}
