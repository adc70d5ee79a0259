/* SPDX-License-Identifier: MIT
 *
 * One connection of a link: handshake, heartbeat, probe, and its one end; link_hear.c has its
 * frames. The end is known before the session is gone: a connection that is ENDED hears and says
 * nothing more, and its memory goes with on_disconnected.
 */
#include <stdio.h>

#include "base/mem.h"
#include "cluster/link_impl.h"
#include "wire/packer.h"

#define TOPIC "cluster"

static void conn_deadline(dure_deadline *deadline);
static void conn_probe_silent(dure_deadline *deadline);

static dure_log *log_of(const dure_link_conn *conn)
{
    return dure_iocp_core_log(conn->links->core);
}

static bool step_is_allowed(dure_link_conn_state from, dure_link_conn_state to)
{
    switch (to) {
    case DURE_LINK_CONN_WAITING:
        return from == DURE_LINK_CONN_HANDSHAKE;
    case DURE_LINK_CONN_UP:
        return from == DURE_LINK_CONN_HANDSHAKE || from == DURE_LINK_CONN_WAITING;
    case DURE_LINK_CONN_ENDED:
        return from != DURE_LINK_CONN_ENDED;
    case DURE_LINK_CONN_HANDSHAKE:
        break;
    }
    return false;
}

static void conn_set_state(dure_link_conn *conn, dure_link_conn_state state)
{
    DURE_ASSERT(step_is_allowed(conn->state, state));
    conn->state = state;
    if (state == DURE_LINK_CONN_UP || state == DURE_LINK_CONN_WAITING) {
        dure_strangers_remove(&conn->stranger); /* one that ended is one until it is gone */
    }
}

/* ---- birth and death ---- */

static dure_link_conn *conn_create(dure_links *links, dure_session *session, dure_link *link)
{
    uint8_t nonce[DURE_HELLO_NONCE_BYTES];
    if (dure_iocp_core_entropy(links->core, nonce, sizeof nonce) != DURE_OK) {
        return NULL;
    }
    dure_link_conn *conn = dure_mem_alloc(sizeof *conn);
    if (conn == NULL) {
        return NULL;
    }
    conn->hello = dure_mem_alloc(sizeof *conn->hello);
    if (conn->hello == NULL) {
        dure_mem_free(conn);
        return NULL;
    }
    conn->links = links;
    conn->session = session;
    conn->link = link;
    conn->is_dialled = link != NULL;
    conn->state = DURE_LINK_CONN_HANDSHAKE;
    dure_hello_init(conn->hello, &links->self, link != NULL ? link->node : NULL, nonce);
    dure_link_lanes_init(&conn->lanes, session,
                         links->settings->link_queue_max_bytes +
                             (size_t)dure_links_beyond_max(links));
    dure_link_parts_init(&conn->parts, links->settings->body_max_bytes, &links->joining_bytes,
                         (uint64_t)links->settings->body_max_bytes * DURE_LINK_JOINING_BODIES);
    dure_deadline_init(&conn->deadline, conn_deadline);
    dure_deadline_init(&conn->probe, conn_probe_silent);
    dure_list_init(&conn->node);
    dure_list_push_back(&links->conns, &conn->node);
    return conn;
}

static void conn_drop_hello(dure_link_conn *conn)
{
    if (conn->hello != NULL) {
        dure_hello_fini(conn->hello);
        dure_mem_free(conn->hello);
        conn->hello = NULL;
    }
}

static void conn_destroy(dure_link_conn *conn)
{
    DURE_ASSERT(conn->state == DURE_LINK_CONN_ENDED);
    dure_list_remove(&conn->node);
    dure_strangers_remove(&conn->stranger);
    conn_drop_hello(conn);
    dure_link_lanes_fini(&conn->lanes);
    dure_link_parts_fini(&conn->parts);
    dure_mem_free(conn);
}

/* ---- sending ---- */

dure_err dure_link_conn_send_out(dure_link_conn *conn)
{
    const dure_buf *out = &conn->links->out;
    const dure_slice bytes = {out->data, out->len};
    return out->len == 0 ? DURE_OK : dure_link_lanes_control(&conn->lanes, bytes);
}

void dure_link_conn_send_u64(dure_link_conn *conn, dure_frame_kind kind, uint64_t value)
{
    const dure_frame frame = {.kind = kind};
    dure_buf *out = &conn->links->out;
    size_t start = 0;
    dure_buf_clear(out);
    dure_err err = dure_frame_begin(out, &frame, &start);
    if (err == DURE_OK) {
        dure_packer packer = dure_packer_of(out);
        dure_packer_u64(&packer, value);
        err = packer.status == DURE_OK ? dure_frame_end(out, start) : packer.status;
    }
    if (err == DURE_OK) {
        err = dure_link_conn_send_out(conn);
    }
    if (err != DURE_OK) {
        /* Silence judges it: the peer that hears nothing ends the link, and so do we. */
        dure_log_write(log_of(conn), DURE_LOG_DEBUG, TOPIC, "LINK_PING_FAILED", "peer=%s cause=%s",
                       conn->link->node->id, dure_err_name(err));
    }
}

/* ---- the end ---- */

static void log_refused(dure_link_conn *conn, dure_err cause, const char *text)
{
    char peer[96];
    char quoted[256];
    char address[DURE_NET_ADDRESS_TEXT_MAX];
    const dure_hello *hello = conn->hello;
    conn->links->counters.refused++;
    if (!dure_links_may_log(conn->links)) {
        return;
    }
    const char *claimed = hello->claimed_id[0] != '\0' ? hello->claimed_id : "?";
    const bool is_refusal = hello->state == DURE_HELLO_ENDED;
    dure_log_write(log_of(conn), DURE_LOG_WARN, TOPIC,
                   is_refusal ? "LINK_REFUSED" : "LINK_HANDSHAKE_LOST",
                   "peer=%s address=%s by=%s cause=%s text=%s",
                   dure_log_quote(claimed, strlen(claimed), peer, sizeof peer),
                   dure_net_address_print(dure_session_peer(conn->session), address),
                   hello->is_refused_by_peer ? "peer" : "us", dure_err_name(cause),
                   dure_log_quote(text, strlen(text), quoted, sizeof quoted));
}

static void log_replaced(dure_link_conn *conn)
{
    conn->links->counters.replaced++;
    dure_log_write(log_of(conn), DURE_LOG_DEBUG, TOPIC, "LINK_REPLACED", "peer=%s dialled_by=%s",
                   conn->link != NULL ? conn->link->node->id : "?",
                   conn->is_dialled ? "us" : "peer");
}

static void conn_say_goaway(dure_link_conn *conn, dure_err cause, const char *text,
                            uint32_t drain_ms)
{
    dure_buf *out = &conn->links->out;
    dure_buf_clear(out);
    dure_err err = dure_hello_write_goaway(out, cause, text, drain_ms);
    if (err == DURE_OK) {
        err = dure_link_conn_send_out(conn);
    }
    if (err != DURE_OK) {
        dure_log_write(log_of(conn), DURE_LOG_DEBUG, TOPIC, "LINK_GOODBYE_FAILED", "cause=%s",
                       dure_err_name(err));
    }
}

void dure_link_conn_say_draining(dure_link_conn *conn)
{
    conn_say_goaway(conn, DURE_ERR_GOAWAY, "the node is draining", conn->links->drain_ms);
}

/* Says to the other side, as far as it still listens, why this is the end. */
static void conn_say_goodbye(dure_link_conn *conn, dure_err cause, const char *text)
{
    if (conn->hello == NULL || conn->hello->state == DURE_HELLO_DONE) {
        conn_say_goaway(conn, cause, text, 0);
        return;
    }
    if (conn->hello->state == DURE_HELLO_ENDED) {
        return; /* the refusal is said, or was heard */
    }
    dure_buf *out = &conn->links->out;
    dure_buf_clear(out);
    dure_err err = dure_hello_refuse(conn->hello, cause, text, out);
    if (err == DURE_OK) {
        err = dure_link_conn_send_out(conn);
    }
    if (err != DURE_OK) {
        dure_log_write(log_of(conn), DURE_LOG_DEBUG, TOPIC, "LINK_GOODBYE_FAILED", "cause=%s",
                       dure_err_name(err));
    }
}

/* Lets go of the one it was to replace, and of the one that was to replace it. */
static void conn_leave_probe(dure_link_conn *conn)
{
    dure_link_conn *challenger = conn->challenger;
    dure_deadline_clear(conn->links->deadlines, &conn->probe);
    conn->challenger = NULL;
    if (conn->probed != NULL) {
        conn->probed->challenger = NULL;
        conn->probed = NULL;
    }
    if (challenger != NULL) {
        challenger->probed = NULL;
        dure_link_offer(challenger->link, challenger);
    }
}

static void conn_finish(dure_link_conn *conn, dure_err cause, const char *text)
{
    const dure_link_conn_state was = conn->state;
    dure_deadline_clear(conn->links->deadlines, &conn->deadline);
    conn_set_state(conn, DURE_LINK_CONN_ENDED);
    if (cause == DURE_ERR_REPLACED) {
        log_replaced(conn);
    } else if (was != DURE_LINK_CONN_UP) {
        log_refused(conn, cause, text);
    }
    if (was == DURE_LINK_CONN_UP) {
        dure_link_set_down(conn->link, conn, cause);
    }
    conn_leave_probe(conn);
}

/* What waits in the lanes leaves before the goodbye; what cannot has not left. */
static void conn_flush(dure_link_conn *conn)
{
    if (conn->state == DURE_LINK_CONN_UP) {
        const dure_err err =
            dure_link_lanes_pump(&conn->lanes, dure_iocp_core_now_ms(conn->links->core), true);
        (void)err;
    }
}

/* The session's end is reported later, and ends the connection: nothing here may fail. */
void dure_link_conn_cut_later(dure_link_conn *conn, dure_err cause)
{
    DURE_ASSERT(cause != DURE_OK);
    if (conn->state != DURE_LINK_CONN_UP || conn->cut_cause != DURE_OK) {
        return;
    }
    conn->cut_cause = cause;
    dure_session_abort(conn->session, cause);
}

void dure_link_conn_count(const dure_link_conn *conn, dure_links_counters *counters)
{
    counters->parts_sent += conn->lanes.counters.parts_sent;
    counters->bodies_dropped += conn->lanes.counters.bodies_dropped;
    counters->parts_heard += conn->parts.parts_heard;
}

void dure_link_conn_end(dure_link_conn *conn, dure_err cause, const char *text, bool is_cut)
{
    DURE_ASSERT(cause != DURE_OK);
    if (conn->state == DURE_LINK_CONN_ENDED) {
        return;
    }
    if (is_cut) {
        dure_session_abort(conn->session, cause);
    } else {
        conn_flush(conn);
        /* A peer's own GOAWAY ends the link here too, and what it asked may still be open. */
        conn_say_goodbye(conn, cause == DURE_ERR_GOAWAY ? DURE_ERR_CLOSED : cause, text);
        /* What is queued still leaves, so nothing of it can be called unsent. */
        conn->is_flushed = true;
        dure_session_disconnect(conn->session, cause);
    }
    conn_finish(conn, cause, text);
}

void dure_link_conn_end_finished(dure_link_conn *conn)
{
    conn_flush(conn);
    /* An answer that could not leave is one that the peer has not heard. */
    const bool is_all_said = dure_link_lanes_is_empty(&conn->lanes);
    conn_say_goodbye(conn, is_all_said ? DURE_ERR_GOAWAY : DURE_ERR_CLOSED, "the node is stopping");
    conn->is_flushed = true;
    dure_session_disconnect(conn->session, DURE_ERR_CLOSED);
    conn_finish(conn, DURE_ERR_CLOSED, "the node is stopping");
}

/* ---- up ---- */

static void conn_next_heartbeat(dure_link_conn *conn, uint32_t delay_ms)
{
    const dure_err err = dure_deadline_set(conn->links->deadlines, &conn->deadline, delay_ms);
    if (err != DURE_OK) {
        dure_link_conn_end(conn, err, "no memory for its heartbeat", true);
    }
}

static void conn_heartbeat(dure_link_conn *conn)
{
    uint32_t next_ms = 0;
    const uint64_t now_ms = dure_iocp_core_now_ms(conn->links->core);
    dure_link_parts_expire(&conn->parts, now_ms);
    switch (dure_heartbeat_check(&conn->heartbeat, now_ms, dure_session_last_recv_ms(conn->session),
                                 &next_ms)) {
    case DURE_HEARTBEAT_LOST:
        dure_link_conn_end(conn, DURE_ERR_HEARTBEAT_LOST, "", true);
        return;
    case DURE_HEARTBEAT_PING:
        dure_link_conn_send_u64(conn, DURE_FRAME_PING, now_ms);
        break;
    case DURE_HEARTBEAT_WAIT:
        break;
    }
    conn_next_heartbeat(conn, next_ms);
}

static void conn_deadline(dure_deadline *deadline)
{
    dure_link_conn *conn = DURE_CONTAINER_OF(deadline, dure_link_conn, deadline);
    if (conn->state == DURE_LINK_CONN_UP) {
        conn_heartbeat(conn);
    } else {
        dure_link_conn_end(conn, DURE_ERR_HANDSHAKE_TIMEOUT, "the handshake took too long", false);
    }
}

static void log_schema(const dure_link_conn *conn)
{
    const uint64_t ours = conn->links->self.schema_hash;
    const uint64_t theirs = conn->hello->peer_schema_hash;
    if (ours != theirs) {
        dure_log_write(log_of(conn), DURE_LOG_INFO, TOPIC, "LINK_SCHEMA_DIFFERS",
                       "peer=%s ours=%016llx theirs=%016llx", conn->link->node->id,
                       (unsigned long long)ours, (unsigned long long)theirs);
    }
}

void dure_link_conn_admit(dure_link_conn *conn)
{
    dure_links *links = conn->links;
    dure_err err = DURE_OK;
    if (conn->hello->state == DURE_HELLO_PROVEN) {
        dure_buf_clear(&links->out);
        err = dure_hello_welcome(conn->hello, &links->out);
        if (err == DURE_OK) {
            err = dure_link_conn_send_out(conn);
        }
    }
    if (err != DURE_OK) {
        dure_link_conn_end(conn, err, "welcome could not be sent", true);
        return;
    }
    if (conn->state == DURE_LINK_CONN_WAITING) {
        dure_session_resume_recv(conn->session);
    }
    log_schema(conn);
    conn_drop_hello(conn);
    conn_set_state(conn, DURE_LINK_CONN_UP);
    dure_heartbeat_init(&conn->heartbeat, links->settings->heartbeat_ms,
                        links->settings->peer_timeout_ms, dure_iocp_core_now_ms(links->core));
    conn_next_heartbeat(conn, links->settings->heartbeat_ms);
    if (conn->state == DURE_LINK_CONN_UP) {
        dure_link_set_up(conn->link, conn);
    }
}

/* ---- the probe ---- */

void dure_link_conn_probe(dure_link_conn *conn, dure_link_conn *challenger)
{
    dure_links *links = conn->links;
    DURE_ASSERT(conn->state == DURE_LINK_CONN_UP);
    if (conn->challenger != NULL) {
        /* No failure of its: the first one's fate decides, and it may dial again. */
        dure_link_conn_end(challenger, DURE_ERR_REPLACED, "another connection is waiting", false);
        return;
    }
    conn_set_state(challenger, DURE_LINK_CONN_WAITING);
    dure_deadline_clear(links->deadlines, &challenger->deadline);
    dure_session_pause_recv(challenger->session);
    conn->challenger = challenger;
    challenger->probed = conn;
    if (dure_deadline_is_set(&conn->probe)) {
        return; /* asked for an earlier challenger that went away */
    }
    dure_log_write(log_of(conn), DURE_LOG_WARN, TOPIC, "LINK_PROBE", "peer=%s",
                   conn->link->node->id);
    conn->probe_value = dure_iocp_core_random(links->core);
    const dure_err err = dure_deadline_set(links->deadlines, &conn->probe, DURE_LINK_PROBE_MS);
    if (err != DURE_OK) {
        dure_link_conn_end(challenger, err, "no memory to probe the old connection", false);
        return;
    }
    dure_link_conn_send_u64(conn, DURE_FRAME_PING, conn->probe_value);
}

static void conn_probe_silent(dure_deadline *deadline)
{
    dure_link_conn *conn = DURE_CONTAINER_OF(deadline, dure_link_conn, probe);
    dure_link_conn_end(conn, DURE_ERR_HEARTBEAT_LOST, "", true);
}

void dure_link_conn_probe_answered(dure_link_conn *conn)
{
    dure_link_conn *challenger = conn->challenger;
    dure_deadline_clear(conn->links->deadlines, &conn->probe);
    if (challenger != NULL) {
        dure_link_conn_end(challenger, DURE_ERR_DUPLICATE_ID,
                           "another living process has this node id", false);
    }
}

/* ---- what the sessions report ---- */

static void conn_on_sent(dure_session *session, size_t bytes)
{
    dure_link_conn *conn = dure_session_context(session);
    (void)bytes;
    if (conn == NULL || conn->state != DURE_LINK_CONN_UP || conn->cut_cause != DURE_OK) {
        return;
    }
    const dure_err err =
        dure_link_lanes_pump(&conn->lanes, dure_iocp_core_now_ms(conn->links->core), false);
    if (err != DURE_OK) {
        dure_link_conn_cut_later(conn, err);
        return;
    }
    dure_link_look_for_room(conn);
}

/* One that gives its place to another stranger: it has been connected for longest. */
static void conn_shed(dure_link_conn *conn)
{
    DURE_ASSERT(!conn->is_dialled);
    DURE_ASSERT(conn->state == DURE_LINK_CONN_HANDSHAKE || conn->state == DURE_LINK_CONN_ENDED);
    conn->links->counters.shed++;
    if (conn->state == DURE_LINK_CONN_ENDED) {
        dure_session_abort(conn->session, DURE_ERR_OVERLOADED); /* its end took too long */
    } else {
        dure_link_conn_end(conn, DURE_ERR_OVERLOADED, "more strangers came than there is room for",
                           true);
    }
}

static dure_err conn_count_stranger(dure_link_conn *conn, dure_strangers *strangers)
{
    dure_stranger *surplus = NULL;
    const dure_err err =
        dure_strangers_add(strangers, &conn->stranger, dure_session_peer(conn->session), &surplus);
    if (surplus != NULL) {
        conn_shed(DURE_CONTAINER_OF(surplus, dure_link_conn, stranger));
    }
    return err;
}

void dure_link_conn_has_spoken(dure_link_conn *conn)
{
    DURE_ASSERT(!conn->is_dialled);
    DURE_ASSERT(conn->state == DURE_LINK_CONN_HANDSHAKE);
    dure_strangers_remove(&conn->stranger);
    const dure_err err = conn_count_stranger(conn, conn->links->spoken);
    if (err != DURE_OK) {
        dure_link_conn_end(conn, err, "no memory to count it", true);
    }
}

static void conn_begin(dure_links *links, dure_session *session, dure_link *link)
{
    dure_link_conn *conn = conn_create(links, session, link);
    if (conn == NULL) {
        dure_session_abort(session, DURE_ERR_NO_MEMORY);
        return;
    }
    dure_session_set_context(session, conn);
    dure_err err =
        dure_deadline_set(links->deadlines, &conn->deadline, links->settings->handshake_ms);
    if (err == DURE_OK && !conn->is_dialled) {
        err = conn_count_stranger(conn, links->silent);
    }
    if (err == DURE_OK) {
        dure_buf_clear(&links->out);
        err = dure_hello_start(conn->hello, &links->out);
    }
    if (err == DURE_OK) {
        err = dure_link_conn_send_out(conn);
    }
    if (err != DURE_OK) {
        dure_link_conn_end(conn, err, "hello could not be sent", true);
    }
}

static void dialled_on_connected(dure_session *session)
{
    dure_link *link = dure_service_context(dure_session_service(session));
    conn_begin(link->links, session, link);
}

static void accepted_on_connected(dure_session *session)
{
    conn_begin(dure_service_context(dure_session_service(session)), session, NULL);
}

static void dialled_on_connect_failed(dure_session *session, dure_err cause)
{
    dure_link_dial_ended(dure_service_context(dure_session_service(session)), cause, false);
}

static void conn_gone(dure_session *session, dure_err cause)
{
    dure_link_conn *conn = dure_session_context(session);
    if (conn == NULL) {
        return;
    }
    dure_session_set_context(session, NULL);
    if (conn->state != DURE_LINK_CONN_ENDED) {
        conn_finish(conn, cause, dure_err_text(cause));
    }
    conn_destroy(conn);
}

/* Until the other one has proved itself, whatever is wrong with it is a connection that failed: it
 * is worth no minute, which would be in the hands of whoever sits at the address. */
static dure_err cause_of_redial(const dure_link_conn *conn, dure_err cause)
{
    const bool is_believed = conn == NULL || conn->hello == NULL || conn->hello->is_proven;
    return is_believed ? cause : DURE_ERR_REFUSED;
}

static void dialled_on_disconnected(dure_session *session, dure_err cause)
{
    const dure_err redial = cause_of_redial(dure_session_context(session), cause);
    conn_gone(session, cause);
    dure_link_dial_ended(dure_service_context(dure_session_service(session)), redial, true);
}

static void accepted_on_disconnected(dure_session *session, dure_err cause)
{
    conn_gone(session, cause);
}

const dure_session_handlers dure_link_dialled_handlers = {
    .on_connected = dialled_on_connected,
    .on_connect_failed = dialled_on_connect_failed,
    .on_recv = dure_link_conn_on_recv,
    .on_sent = conn_on_sent,
    .on_disconnected = dialled_on_disconnected,
};

const dure_session_handlers dure_link_accepted_handlers = {
    .on_connected = accepted_on_connected,
    .on_connect_failed = dure_session_ignore_connect_failed,
    .on_recv = dure_link_conn_on_recv,
    .on_sent = conn_on_sent,
    .on_disconnected = accepted_on_disconnected,
};
