/* SPDX-License-Identifier: MIT
 *
 * What one connection hears: the frames of the handshake, of the link itself, and of calls, whole
 * or in parts.
 */
#include "cluster/link_impl.h"
#include "wire/cursor.h"
#include "wire/limits.h"

#define TOPIC        "cluster"
#define GIVEN_UP_MAX 256u

static dure_log *log_of(const dure_link_conn *conn)
{
    return dure_iocp_core_log(conn->links->core);
}

/* ---- receiving ---- */

static void conn_on_hello_frame(dure_link_conn *conn, const dure_frame *frame, dure_slice raw)
{
    dure_links *links = conn->links;
    dure_hello *hello = conn->hello;
    DURE_ASSERT(conn->state == DURE_LINK_CONN_HANDSHAKE);
    DURE_ASSERT(hello != NULL);
    dure_buf_clear(&links->out);
    dure_err err = dure_hello_on_frame(hello, frame, raw, &links->out);
    if (err == DURE_OK) {
        err = dure_link_conn_send_out(conn);
    }
    if (err != DURE_OK) {
        dure_link_conn_end(conn, err, "the handshake could not be written", true);
        return;
    }
    if (hello->state == DURE_HELLO_ENDED) {
        const bool is_duplicate = dure_hello_is_duplicate(hello);
        dure_link_conn_end(conn, hello->cause, hello->text, false);
        if (is_duplicate) {
            links->handlers->on_duplicate(links->ctx);
        }
    } else if (hello->state == DURE_HELLO_WAIT_PROOF) {
        dure_link_conn_has_spoken(conn);
    } else if (hello->state == DURE_HELLO_PROVEN || hello->state == DURE_HELLO_DONE) {
        if (!conn->is_dialled) {
            conn->link = dure_links_find(links, hello->peer);
        }
        DURE_ASSERT(hello->is_proven);
        DURE_ASSERT(conn->link != NULL);
        conn->incarnation = hello->peer_incarnation;
        dure_link_offer(conn->link, conn);
    }
}

/* It stays for what it has begun. */
static void conn_on_draining(dure_link_conn *conn, uint32_t drain_ms)
{
    dure_link *link = conn->link;
    if (link->is_peer_draining) {
        return;
    }
    link->is_peer_draining = true;
    dure_log_write(log_of(conn), DURE_LOG_INFO, TOPIC, "LINK_DRAINING", "peer=%s drain_ms=%u",
                   link->node->id, (unsigned)drain_ms);
    conn->links->handlers->on_draining(conn->links->ctx, link);
}

static void conn_on_goaway(dure_link_conn *conn, const dure_frame *frame)
{
    uint32_t count = 0;
    uint32_t drain_ms = 0;
    dure_str name = {NULL, 0};
    dure_str text = {NULL, 0};
    char quoted[256];
    char quoted_name[64];
    dure_cursor cursor = dure_cursor_of(frame->body.data, frame->body.len);
    if (dure_cursor_array(&cursor, &count) != DURE_OK || count < 2 ||
        dure_cursor_str(&cursor, &name) != DURE_OK || dure_cursor_str(&cursor, &text) != DURE_OK ||
        (count > 2 && dure_cursor_u32(&cursor, &drain_ms) != DURE_OK)) {
        dure_link_conn_end(conn, DURE_ERR_PROTOCOL, "a malformed goaway", false);
        return;
    }
    if (drain_ms > 0) {
        conn_on_draining(conn, drain_ms);
        return;
    }
    if (dure_str_equal(name, dure_str_of(dure_err_name(DURE_ERR_REPLACED)))) {
        dure_link_conn_end(conn, DURE_ERR_REPLACED, "", false);
        return;
    }
    dure_log_write(log_of(conn), DURE_LOG_INFO, TOPIC, "LINK_GOAWAY", "peer=%s cause=%s text=%s",
                   conn->link->node->id,
                   dure_log_quote(name.data, name.len, quoted_name, sizeof quoted_name),
                   dure_log_quote(text.data, text.len, quoted, sizeof quoted));
    conn->link->has_answered_all =
        dure_str_equal(name, dure_str_of(dure_err_name(DURE_ERR_GOAWAY)));
    /* Whatever its name says: a link that ends is the worst that a goaway can do. */
    dure_link_conn_end(conn, DURE_ERR_GOAWAY, "", false);
}

/*
 * The one that dialled heard our welcome and did not like it (we proved nothing, say). Its cause is
 * for the log: who is dialled acts on no refusal. Who welcomed us cannot refuse us any more.
 */
static void conn_on_late_refusal(dure_link_conn *conn, const dure_frame *frame)
{
    dure_err cause = DURE_ERR_PROTOCOL;
    dure_str text = {NULL, 0};
    char quoted[256];
    if (conn->is_dialled) {
        dure_link_conn_end(conn, DURE_ERR_PROTOCOL, "refused after its welcome", false);
        return;
    }
    const dure_err err = dure_hello_read_refused(frame->body, &cause, &text);
    if (err == DURE_OK && dure_links_may_log(conn->links)) {
        dure_log_write(log_of(conn), DURE_LOG_WARN, TOPIC, "LINK_REFUSED",
                       "peer=%s by=peer cause=%s text=%s", conn->link->node->id,
                       dure_err_name(cause),
                       dure_log_quote(text.data, text.len, quoted, sizeof quoted));
    }
    dure_link_conn_end(conn, err == DURE_OK ? DURE_ERR_REFUSED : err, "", false);
}

static void conn_on_ping(dure_link_conn *conn, const dure_frame *frame)
{
    uint64_t value = 0;
    dure_cursor cursor = dure_cursor_of(frame->body.data, frame->body.len);
    if (dure_cursor_u64(&cursor, &value) != DURE_OK) {
        dure_link_conn_end(conn, DURE_ERR_PROTOCOL, "a malformed ping or pong", false);
    } else if (frame->kind == DURE_FRAME_PING) {
        dure_link_conn_send_u64(conn, DURE_FRAME_PONG, value);
    } else if (dure_deadline_is_set(&conn->probe) && value == conn->probe_value) {
        dure_link_conn_probe_answered(conn);
    }
}

/* Not OK: the peer broke the protocol. */
static dure_err conn_on_call_frame(dure_link_conn *conn, const dure_frame *frame)
{
    if (frame->kind == DURE_FRAME_CANCEL) {
        dure_link_parts_cancel(&conn->parts, frame->id);
    }
    return conn->links->handlers->on_frame(conn->links->ctx, conn->link, frame);
}

static void conn_on_part(dure_link_conn *conn, const dure_frame *frame)
{
    dure_frame whole;
    bool is_whole = false;
    const char *text = "";
    const uint64_t now_ms = dure_iocp_core_now_ms(conn->links->core);
    dure_link_parts_expire(&conn->parts, now_ms);
    dure_err err = dure_link_parts_add(&conn->parts, frame, now_ms, &whole, &is_whole, &text);
    if (err == DURE_OK && is_whole) {
        err = conn_on_call_frame(conn, &whole);
        text = dure_err_text(err);
    }
    dure_link_parts_release(&conn->parts);
    if (err != DURE_OK) {
        dure_log_write(log_of(conn), DURE_LOG_WARN, TOPIC, "LINK_BAD_PART",
                       "peer=%s cause=%s text=\"%s\"", conn->link->node->id, dure_err_name(err),
                       text);
        dure_link_conn_end(conn, err, text, false);
    }
}

static void conn_on_link_frame(dure_link_conn *conn, const dure_frame *frame)
{
    dure_err err = DURE_OK;
    DURE_ASSERT(conn->state == DURE_LINK_CONN_UP);
    DURE_ASSERT(conn->link->conn == conn);
    switch (frame->kind) {
    case DURE_FRAME_PING:
    case DURE_FRAME_PONG:
        conn_on_ping(conn, frame);
        return;
    case DURE_FRAME_GOAWAY:
        conn_on_goaway(conn, frame);
        return;
    case DURE_FRAME_REFUSED:
        conn_on_late_refusal(conn, frame);
        return;
    case DURE_FRAME_PART:
        conn_on_part(conn, frame);
        return;
    case DURE_FRAME_REQUEST:
    case DURE_FRAME_RESPONSE:
    case DURE_FRAME_NOTIFY:
    case DURE_FRAME_ERROR:
    case DURE_FRAME_CANCEL:
        err = conn_on_call_frame(conn, frame);
        break;
    case DURE_FRAME_HELLO:
    case DURE_FRAME_WELCOME:
    case DURE_FRAME_CHALLENGE:
    case DURE_FRAME_PROOF:
        err = DURE_ERR_PROTOCOL;
        break;
    }
    if (err != DURE_OK) {
        dure_link_conn_end(conn, err, dure_err_text(err), false);
    }
}

/* What stands behind the end of a connection is dropped; answers, of a process that may be gone by
 * now, are counted. */
static void conn_count_stale(dure_link_conn *conn, const uint8_t *data, size_t len)
{
    dure_frame frame;
    size_t at = 0;
    size_t frame_len = 0;
    while (at < len && dure_frame_decode(data + at, len - at, DURE_WIRE_LINK_FRAME_MAX, &frame,
                                         &frame_len) == DURE_OK) {
        if (frame.kind == DURE_FRAME_RESPONSE || frame.kind == DURE_FRAME_ERROR) {
            conn->links->counters.stale_answers++;
        }
        at += frame_len;
    }
}

static bool conn_is_reading(const dure_link_conn *conn)
{
    return conn->state == DURE_LINK_CONN_HANDSHAKE ||
           (conn->state == DURE_LINK_CONN_UP && conn->cut_cause == DURE_OK);
}

/* Requests that are given up in the same bytes that bring them, as after a pause of this process.
 */
typedef struct given_up {
    uint32_t ids[GIVEN_UP_MAX];
    uint32_t count;
} given_up;

/* Looks at headers only; what is wrong with a frame is found when its turn comes. */
static void find_given_up(const uint8_t *data, size_t len, given_up *out)
{
    size_t at = 0;
    out->count = 0;
    while (len - at > DURE_FRAME_HEADER_BYTES && out->count < GIVEN_UP_MAX) {
        const size_t whole = dure_frame_whole_bytes(data + at);
        if (whole <= DURE_FRAME_HEADER_BYTES || whole > len - at) {
            return;
        }
        if (dure_frame_kind_of(data + at) == DURE_FRAME_CANCEL) {
            out->ids[out->count++] = dure_frame_id(data + at);
        }
        at += whole;
    }
}

static bool is_given_up(const given_up *all, const dure_frame *frame)
{
    for (uint32_t i = 0; frame->kind == DURE_FRAME_REQUEST && i < all->count; i++) {
        if (all->ids[i] == frame->id) {
            return true;
        }
    }
    return false;
}

dure_err dure_link_conn_on_recv(dure_session *session, const uint8_t *data, size_t len,
                                size_t *out_consumed)
{
    dure_link_conn *conn = dure_session_context(session);
    size_t at = 0;
    given_up cancelled;
    find_given_up(data, len, &cancelled);
    while (conn != NULL && at < len && conn_is_reading(conn)) {
        const size_t frame_max = conn->state == DURE_LINK_CONN_UP ? DURE_WIRE_LINK_FRAME_MAX
                                                                  : DURE_WIRE_LINK_STRANGER_MAX;
        dure_frame frame;
        size_t frame_len = 0;
        const dure_err err = dure_frame_decode(data + at, len - at, frame_max, &frame, &frame_len);
        if (err == DURE_ERR_MORE) {
            break;
        }
        if (err != DURE_OK) {
            dure_link_conn_end(conn, err, dure_err_text(err), false);
            break;
        }
        const dure_slice raw = {data + at, frame_len};
        at += frame_len;
        if (conn->state == DURE_LINK_CONN_UP && is_given_up(&cancelled, &frame)) {
            conn->links->counters.not_begun++;
        } else if (conn->state == DURE_LINK_CONN_UP) {
            conn_on_link_frame(conn, &frame);
        } else {
            conn_on_hello_frame(conn, &frame, raw);
        }
    }
    if (conn != NULL && conn->state == DURE_LINK_CONN_ENDED) {
        conn_count_stale(conn, data + at, len - at);
    }
    *out_consumed = conn == NULL || conn->state == DURE_LINK_CONN_ENDED ? len : at;
    return DURE_OK;
}
