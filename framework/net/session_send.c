/* SPDX-License-Identifier: MIT
 *
 * The send queue: `pending` gathers what is sent during a round, `flight` is what the core has. At
 * the end of the round they change places, so many small sends leave in one system call.
 */
#include <string.h>

#include "base/mem.h"
#include "net/session_impl.h"

void net_session_send_init(dure_session *session)
{
    size_t max = session->service->config.send_queue_max;
    dure_buf_init(&session->pending, max);
    dure_buf_init(&session->flight, max);
    dure_buf_init(&session->plain, max);
}

size_t dure_session_send_queue_bytes(const dure_session *session)
{
    return session->pending.len + session->flight.len - session->flight_at;
}

bool net_session_has_unsent(const dure_session *session)
{
    return dure_session_send_queue_bytes(session) > 0;
}

void net_session_drop_unsent(dure_session *session)
{
    dure_iocp_core_undefer(&session->flush);
    dure_buf_release(&session->pending);
    dure_buf_release(&session->plain);
}

/* Whether so many bytes more may be queued. */
static dure_err session_room(const dure_session *session, size_t len)
{
    if (session->state != DURE_SESSION_CONNECTED) {
        return DURE_ERR_STATE;
    }
    size_t max = session->service->config.send_queue_max;
    size_t queued = dure_session_send_queue_bytes(session);
    return queued > max || len > max - queued ? DURE_ERR_OVERLOADED : DURE_OK;
}

dure_err net_session_queue(dure_session *session, const void *data, size_t len)
{
    dure_err err = dure_buf_append(&session->pending, data, len);
    if (err == DURE_OK) {
        dure_iocp_core_defer(session->object.core, &session->flush);
    }
    return err == DURE_ERR_FULL ? DURE_ERR_OVERLOADED : err;
}

dure_err dure_session_send(dure_session *session, const void *data, size_t len)
{
    DURE_ASSERT_OWNER(session->object.core);
    uint8_t *room = NULL;
    dure_err err = dure_session_reserve(session, len, &room);
    if (err == DURE_OK && len > 0) {
        memcpy(room, data, len);
        dure_session_commit(session, len);
    }
    return err;
}

dure_err dure_session_reserve(dure_session *session, size_t len, uint8_t **out_room)
{
    DURE_ASSERT_OWNER(session->object.core);
    dure_err err = session_room(session, len);
    if (err != DURE_OK) {
        return err;
    }
    dure_buf *buf = session->filter != NULL ? &session->plain : &session->pending;
    err = dure_buf_reserve(buf, len, out_room);
    return err == DURE_ERR_FULL ? DURE_ERR_OVERLOADED : err;
}

void dure_session_commit(dure_session *session, size_t len)
{
    if (len == 0) {
        return;
    }
    if (session->filter == NULL) {
        session->pending.len += len;
    } else {
        dure_err err =
            session->filter->on_plain(session->filter, session->plain.data, len, &session->pending);
        dure_buf_release(&session->plain);
        if (err != DURE_OK) {
            dure_session_disconnect(session, err);
            return;
        }
    }
    dure_iocp_core_defer(session->object.core, &session->flush);
}

static void session_send_piece(dure_session *session)
{
    size_t left = session->flight.len - session->flight_at;
    dure_iocp_slice slice = {session->flight.data + session->flight_at,
                             left < NET_SEND_PIECE_MAX ? left : NET_SEND_PIECE_MAX};
    dure_err err = dure_iocp_send(session->socket, &session->send, &slice, 1);
    if (err != DURE_OK) {
        net_session_cut(session, err);
        return;
    }
    session->last_progress_ms = dure_iocp_core_now_ms(session->object.core);
    if (session->state == DURE_SESSION_CONNECTED && session->service->config.write_stall_ms > 0 &&
        session->timer_due_ms == 0) {
        net_session_arm(session, session->service->config.write_stall_ms);
    }
}

void net_session_flush(dure_session *session)
{
    if (session->is_ending || dure_iocp_event_is_active(&session->send)) {
        return;
    }
    if (session->flight_at == session->flight.len) {
        dure_buf empty = session->flight;
        empty.len = 0;
        session->flight = session->pending;
        session->flight_at = 0;
        session->pending = empty;
    }
    if (session->flight.len > 0) {
        session_send_piece(session);
    }
}

void net_session_on_sent(dure_session *session, dure_iocp_event *event)
{
    atomic_fetch_add_explicit(&session->shard->sent_bytes, event->bytes, memory_order_relaxed);
    session->flight_at += event->bytes;
    if (session->flight_at >= session->flight.len) {
        session->flight.len = 0;
        session->flight_at = 0;
    }
    if (session->is_ending) {
        return;
    }
    if (event->status != DURE_OK) {
        net_session_cut(session, event->status);
        return;
    }
    if (session->was_connected) {
        session->service->config.handlers->on_sent(session, event->bytes);
    }
    net_session_flush(session);
    if (!net_session_has_unsent(session)) {
        /* Idle sessions hold no buffers. */
        dure_buf_release(&session->flight);
        dure_buf_release(&session->pending);
        net_session_after_flush(session);
    }
}
