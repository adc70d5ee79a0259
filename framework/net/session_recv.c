/* SPDX-License-Identifier: MIT
 *
 * Receiving: lent bytes go straight to on_recv; only what it leaves is copied, into a rest that
 * exists as long as there is one, so an idle session holds no memory.
 */
#include "base/assert.h"
#include "net/session_impl.h"

/* Rows: from; bits: to. */
static const unsigned reading_steps[] = {
    [DURE_SESSION_FLOWING] = 1u << DURE_SESSION_PAUSED | 1u << DURE_SESSION_ENDED,
    [DURE_SESSION_PAUSED] = 1u << DURE_SESSION_FLOWING | 1u << DURE_SESSION_ENDED,
    [DURE_SESSION_ENDED] = 0,
};

static void session_set_reading(dure_session *session, dure_session_reading reading)
{
    DURE_ASSERT((reading_steps[session->reading] & (1u << (unsigned)reading)) != 0);
    session->reading = reading;
    session->is_offer_due = reading == DURE_SESSION_FLOWING;
}

dure_err dure_session_recv_start(dure_session *session)
{
    return dure_iocp_recv(session->socket, &session->recv_event);
}

/* Whether bytes go to the reader now. */
static bool session_is_reading(const dure_session *session)
{
    return session->state == DURE_SESSION_CONNECTED && session->reading != DURE_SESSION_PAUSED;
}

/* One call of on_recv. False when the session is to get no more. */
static bool session_offer(dure_session *session, const uint8_t *data, size_t len,
                          size_t *out_consumed)
{
    size_t consumed = 0;
    dure_err err = session_handlers(session)->on_recv(session, data, len, &consumed);
    DURE_ASSERT(consumed <= len);
    *out_consumed = consumed;
    if (err != DURE_OK) {
        dure_session_disconnect(session, err);
    }
    return session->state == DURE_SESSION_CONNECTED;
}

/* Copies bytes behind the rest. False, and the session ends, where that is not possible. */
static bool session_store(dure_session *session, const uint8_t *data, size_t len)
{
    if (len == 0) {
        return true;
    }
    if (session->rest.data == NULL) {
        dure_shard_take_buf(session->shard, &session->rest);
    }
    dure_err err = dure_buf_append(&session->rest, data, len);
    if (err != DURE_OK) {
        dure_session_disconnect(session, err == DURE_ERR_FULL ? DURE_ERR_TOO_LARGE : err);
        return false;
    }
    return true;
}

/* What may stay after a reader had its chance. */
static bool session_check_rest(dure_session *session)
{
    if (session->reading != DURE_SESSION_PAUSED &&
        session->rest.len > session_config(session)->recv_rest_max) {
        dure_session_disconnect(session, DURE_ERR_TOO_LARGE);
        return false;
    }
    return true;
}

/* Offers the rest. The buffer is out of the session meanwhile, so that nobody moves its bytes. */
static bool session_offer_rest(dure_session *session)
{
    dure_buf rest = session->rest;
    size_t consumed = 0;
    session->rest = (dure_buf){0};
    bool goes_on = session_offer(session, rest.data, rest.len, &consumed);
    DURE_ASSERT(session->rest.data == NULL);
    session->rest = rest;
    dure_buf_consume(&session->rest, consumed);
    if (session->rest.len == 0 || !goes_on) {
        dure_shard_give_buf(session->shard, &session->rest);
    }
    return goes_on && session_check_rest(session);
}

static void session_feed_plain(dure_session *session, const uint8_t *data, size_t len)
{
    while (len > 0 && session_is_reading(session)) {
        if (session->rest.len == 0) {
            size_t consumed = 0;
            if (!session_offer(session, data, len, &consumed)) {
                return;
            }
            if (session_store(session, data + consumed, len - consumed)) {
                (void)session_check_rest(session);
            }
            return;
        }
        size_t piece = len < DURE_SESSION_PIECE_BYTES ? len : DURE_SESSION_PIECE_BYTES;
        if (!session_store(session, data, piece) || !session_offer_rest(session)) {
            return;
        }
        data += piece;
        len -= piece;
    }
    if (session->state == DURE_SESSION_CONNECTED) {
        (void)session_store(session, data, len);
    }
}

static void session_feed_filter(dure_session *session, const uint8_t *data, size_t len)
{
    dure_filter *filter = session->filter;
    if (session->rest.data == NULL) {
        dure_shard_take_buf(session->shard, &session->rest);
    }
    if (session->out.data == NULL) {
        dure_shard_take_buf(session->shard, &session->out);
    }
    dure_err err = filter->on_wire(filter, data, len, &session->rest, &session->out);
    if (session->out.len == 0) {
        dure_session_drop_queue(session);
    }
    dure_session_defer(session);
    if (err != DURE_OK) {
        dure_session_disconnect(session, err);
        return;
    }
    if (session->state == DURE_SESSION_CONNECTING && filter->is_ready(filter)) {
        dure_session_connected(session);
    }
    if (session->rest.len == 0) {
        dure_shard_give_buf(session->shard, &session->rest);
    } else if (session_is_reading(session)) {
        (void)session_offer_rest(session);
    }
}

static void session_feed(dure_session *session, const uint8_t *data, size_t len)
{
    session->last_recv_ms = dure_iocp_core_now_ms(session->object.core);
    dure_shard_count(&session->shard->counters.recv_bytes, len);
    if (session->state == DURE_SESSION_CLOSING) {
        return; /* read to the end, for nobody */
    }
    if (session->filter != NULL) {
        session_feed_filter(session, data, len);
    } else {
        session_feed_plain(session, data, len);
    }
}

void dure_session_offer_again(dure_session *session)
{
    session->is_offer_due = false;
    if (session_is_reading(session) && session->rest.len > 0) {
        (void)session_offer_rest(session);
    }
}

static void session_recv_again(dure_session *session)
{
    dure_err err = dure_session_recv_start(session);
    if (err != DURE_OK) {
        dure_session_fail(session, err);
    }
}

/* The receive came back without an end: our own pause, perhaps taken back meanwhile. */
static void session_recv_returned(dure_session *session)
{
    if (session->reading == DURE_SESSION_FLOWING || session->state == DURE_SESSION_CLOSING) {
        session_recv_again(session);
    }
}

/* The peer sends no more. What it sent before has been offered. */
static void session_peer_ended(dure_session *session)
{
    void (*on_peer_ended)(dure_session * session) = session_config(session)->on_peer_ended;
    if (session->state == DURE_SESSION_CONNECTED && on_peer_ended != NULL) {
        on_peer_ended(session);
    } else {
        dure_session_disconnect(session, DURE_ERR_PEER_CLOSED);
    }
}

static void session_recv_ended(dure_session *session, dure_err status)
{
    DURE_ASSERT(session->reading != DURE_SESSION_ENDED);
    if (session->ending == DURE_SESSION_ENDING_CUT) {
        return;
    }
    if (status == DURE_ERR_CANCELLED || status == DURE_ERR_NO_BUFFERS || status == DURE_OK) {
        session_recv_returned(session);
        return;
    }
    const bool is_end = status == DURE_ERR_PEER_CLOSED;
    if (session->is_offer_due) {
        dure_session_offer_again(session);
    }
    if (is_end && session->state == DURE_SESSION_CONNECTED &&
        (session->reading == DURE_SESSION_PAUSED ||
         dure_iocp_event_is_active(&session->recv_event))) {
        return; /* behind what waits here: it comes again after the pause */
    }
    session_set_reading(session, DURE_SESSION_ENDED);
    if (is_end && session->state != DURE_SESSION_CONNECTING) {
        session_peer_ended(session);
    } else {
        dure_session_fail(session, status);
    }
}

void dure_session_recv_done(dure_session *session, const dure_iocp_event *event)
{
    DURE_ASSERT(session->state != DURE_SESSION_IDLE && session->state != DURE_SESSION_CLOSED);
    DURE_ASSERT(!event->more || event->bytes > 0);
    if (event->bytes > 0 && event->status == DURE_OK &&
        session->ending != DURE_SESSION_ENDING_CUT) {
        bool more = event->more;
        session_feed(session, event->data, event->bytes);
        if (more) {
            return;
        }
    }
    if (!event->more) {
        session_recv_ended(session, event->status);
    }
}

void dure_session_pause_recv(dure_session *session)
{
    DURE_ASSERT_OWNER(session->object.core);
    if (session->state == DURE_SESSION_CONNECTED && session->reading == DURE_SESSION_FLOWING) {
        session_set_reading(session, DURE_SESSION_PAUSED);
        dure_iocp_cancel(&session->recv_event);
    }
}

void dure_session_resume_recv(dure_session *session)
{
    DURE_ASSERT_OWNER(session->object.core);
    if (session->state != DURE_SESSION_CONNECTED || session->reading != DURE_SESSION_PAUSED) {
        return;
    }
    session_set_reading(session, DURE_SESSION_FLOWING);
    dure_session_defer(session);
    /* Where the cancelled receive has not come back yet, its completion starts it again. */
    if (!dure_iocp_event_is_active(&session->recv_event)) {
        session_recv_again(session);
    }
}
