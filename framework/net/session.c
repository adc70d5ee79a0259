/* SPDX-License-Identifier: MIT
 *
 * The life of a session. Every way out leads through CLOSING: session_set_cause keeps the first
 * cause, the socket is closed once, and session_check_ended reports the end when no operation is
 * pending any more. So whatever a handler does, nothing of a former life can reach the next one.
 */
#include "net/session.h"

#include "base/mem.h"
#include "net/address.h"
#include "net/session_impl.h"

static const char *const state_names[] = {
#define SESSION_STATE_NAME(name) #name,
    DURE_SESSION_STATE_LIST(SESSION_STATE_NAME)
#undef SESSION_STATE_NAME
};

/* Row: from; column: to. */
static const bool state_steps[5][5] = {
    [DURE_SESSION_IDLE] = {[DURE_SESSION_CONNECTING] = true, [DURE_SESSION_CONNECTED] = true},
    [DURE_SESSION_CONNECTING] = {[DURE_SESSION_CONNECTED] = true, [DURE_SESSION_CLOSING] = true},
    [DURE_SESSION_CONNECTED] = {[DURE_SESSION_CLOSING] = true},
    [DURE_SESSION_CLOSING] = {[DURE_SESSION_CLOSED] = true},
    [DURE_SESSION_CLOSED] = {[DURE_SESSION_CONNECTING] = true},
};

static void session_set_state(dure_session *session, dure_session_state state)
{
    DURE_ASSERT(state_steps[session->state][state]);
    dure_log *log = dure_iocp_core_log(session->object.core);
    if (dure_log_is_on(log, DURE_LOG_DEBUG)) {
        dure_log_write(log, DURE_LOG_DEBUG, "net", "SESSION_STATE",
                       "service=%s session=%llx from=%s to=%s cause=%s",
                       session->service->config.name, (unsigned long long)session->id,
                       state_names[session->state], state_names[state],
                       dure_err_name(session->cause));
    }
    session->state = state;
}

static const dure_session_handlers *session_handlers(const dure_session *session)
{
    return session->service->config.handlers;
}

/* ---- the timer: one for connecting, stalled writes and closing ---- */

void net_session_arm(dure_session *session, uint32_t delay_ms)
{
    uint64_t due = dure_iocp_core_now_ms(session->object.core) + delay_ms;
    uint64_t running_until = session->timer_due_ms;
    session->timer_due_ms = due;
    if (!dure_iocp_event_is_active(&session->timer)) {
        if (dure_iocp_timer(session->object.core, &session->timer, delay_ms) != DURE_OK) {
            net_session_cut(session, DURE_ERR_NO_MEMORY);
        }
    } else if (running_until == 0 || due < running_until) {
        dure_iocp_cancel(&session->timer); /* its completion starts it anew */
    }
}

static void session_disarm(dure_session *session)
{
    session->timer_due_ms = 0;
    dure_iocp_cancel(&session->timer);
}

static void session_on_due(dure_session *session, uint64_t now_ms)
{
    session->timer_due_ms = 0;
    if (session->state == DURE_SESSION_CONNECTING) {
        net_session_cut(session, DURE_ERR_TIMED_OUT);
    } else if (session->state == DURE_SESSION_CLOSING) {
        net_session_cut(session, session->cause);
    } else if (net_session_has_unsent(session)) {
        uint32_t stall_ms = session->service->config.write_stall_ms;
        uint64_t still = now_ms - session->last_progress_ms;
        if (still >= stall_ms) {
            net_session_cut(session, DURE_ERR_SLOW);
        } else {
            net_session_arm(session, (uint32_t)(stall_ms - still));
        }
    }
}

static void session_on_timer(dure_session *session)
{
    uint64_t now_ms = dure_iocp_core_now_ms(session->object.core);
    if (session->is_ending || session->timer_due_ms == 0) {
        return;
    }
    if (now_ms >= session->timer_due_ms) {
        session_on_due(session, now_ms);
    } else {
        uint64_t due = session->timer_due_ms;
        session->timer_due_ms = 0;
        net_session_arm(session, (uint32_t)(due - now_ms));
    }
}

/* ---- ending ---- */

static bool session_is_quiet(const dure_session *session)
{
    return !dure_iocp_event_is_active(&session->connect) &&
           !dure_iocp_event_is_active(&session->recv) &&
           !dure_iocp_event_is_active(&session->send) &&
           !dure_iocp_event_is_active(&session->disconnect) &&
           !dure_iocp_event_is_active(&session->timer) && !session->is_resolving;
}

static void session_report_end(dure_session *session)
{
    if (session->was_connected) {
        atomic_fetch_add_explicit(&session->shard->closed, 1, memory_order_relaxed);
        session_handlers(session)->on_disconnected(session, session->cause);
    } else {
        atomic_fetch_add_explicit(&session->shard->connect_failed, 1, memory_order_relaxed);
        session_handlers(session)->on_connect_failed(session, session->cause);
    }
}

/* A server's session whose filter never got ready was never shown to its user. */
static bool session_is_to_report(const dure_session *session)
{
    return session->was_connected || !session->service->ops->is_server;
}

static void session_check_ended(dure_session *session)
{
    if (!session->is_ending || session->state != DURE_SESSION_CLOSING ||
        !session_is_quiet(session)) {
        return;
    }
    session_set_state(session, DURE_SESSION_CLOSED);
    (void)dure_idtable_remove(&session->shard->sessions,
                              ((session->id >> 32) << 32) |
                                  (session->id & ((1u << NET_SLOT_BITS) - 1)));
    net_session_drop_unsent(session);
    dure_buf_release(&session->flight);
    dure_buf_release(&session->rest);
    session->flight_at = 0;
    if (session->filter != NULL) {
        session->filter->destroy(session->filter);
        session->filter = NULL;
    }
    dure_iocp_object_hold(&session->object);
    if (session_is_to_report(session)) {
        session_report_end(session);
    }
    session->service->ops->on_session_end(session);
    net_shard_check_closed(session->shard);
    dure_iocp_object_release(&session->object);
}

/* From here on only completions are waited for. */
static void session_end(dure_session *session, bool is_abort)
{
    if (session->is_ending) {
        return;
    }
    session->is_ending = true;
    if (is_abort) {
        dure_iocp_socket_abort(session->socket);
    } else {
        dure_iocp_socket_close(session->socket);
    }
    session->socket = NULL;
    net_session_drop_unsent(session);
    session_disarm(session);
    /* The end is reported at the end of the round, never inside the call that asked for it. */
    dure_iocp_core_defer(session->object.core, &session->flush);
}

static void session_set_cause(dure_session *session, dure_err cause)
{
    DURE_ASSERT(cause != DURE_OK);
    if (session->cause == DURE_OK) {
        session->cause = cause;
    }
    if (session->state != DURE_SESSION_CLOSING) {
        session_set_state(session, DURE_SESSION_CLOSING);
    }
}

static bool session_is_open(const dure_session *session)
{
    return session->state == DURE_SESSION_CONNECTING || session->state == DURE_SESSION_CONNECTED ||
           session->state == DURE_SESSION_CLOSING;
}

void net_session_cut(dure_session *session, dure_err cause)
{
    if (session_is_open(session)) {
        session_set_cause(session, cause);
        session_end(session, false);
    }
}

void dure_session_abort(dure_session *session, dure_err cause)
{
    DURE_ASSERT_OWNER(session->object.core);
    if (session_is_open(session)) {
        session_set_cause(session, cause);
        session_end(session, true);
    }
}

/* In CLOSING: the next thing to do towards a graceful end. */
static void session_close_step(dure_session *session)
{
    if (session->is_ending) {
        return;
    }
    if (!session->fin_sent) {
        if (net_session_has_unsent(session)) {
            return; /* net_session_after_flush comes back here */
        }
        session->fin_sent = true;
        if (dure_iocp_disconnect(session->socket, &session->disconnect) != DURE_OK) {
            session_end(session, false);
        }
        return;
    }
    if (dure_iocp_event_is_active(&session->disconnect)) {
        return;
    }
    if (session->recv_ended) {
        session_end(session, false);
    } else if (!dure_iocp_event_is_active(&session->recv) &&
               dure_iocp_recv(session->socket, &session->recv) != DURE_OK) {
        session_end(session, false);
    }
}

void net_session_after_flush(dure_session *session)
{
    if (session->state == DURE_SESSION_CLOSING) {
        session_close_step(session);
    }
}

void dure_session_disconnect(dure_session *session, dure_err cause)
{
    DURE_ASSERT_OWNER(session->object.core);
    if (session->state == DURE_SESSION_CONNECTING) {
        net_session_cut(session, cause);
        return;
    }
    if (session->state != DURE_SESSION_CONNECTED) {
        return;
    }
    session_set_cause(session, cause);
    session->timer_due_ms = 0;
    net_session_arm(session, session->service->config.close_ms);
    dure_iocp_core_defer(session->object.core, &session->flush);
}

/* The end of a round: send what was queued, go on closing, report an end. */
static void session_flush(dure_iocp_deferred *deferred)
{
    dure_session *session = DURE_CONTAINER_OF(deferred, dure_session, flush);
    dure_iocp_object_hold(&session->object);
    if (!session->is_ending && session->socket != NULL &&
        session->state != DURE_SESSION_CONNECTING) {
        net_session_flush(session);
        if (session->state == DURE_SESSION_CLOSING) {
            session_close_step(session);
        }
    }
    session_check_ended(session);
    dure_iocp_object_release(&session->object);
}

/* ---- receiving ---- */

/* Offers bytes to the reader; what it leaves goes to `rest` (which it may come from already). */
static void session_offer(dure_session *session, const uint8_t *data, size_t len)
{
    bool is_from_rest = session->rest.len > 0;
    dure_err err = DURE_OK;
    if (is_from_rest) {
        err = dure_buf_append(&session->rest, data, len);
        data = session->rest.data;
        len = session->rest.len;
    }
    size_t consumed = 0;
    if (err == DURE_OK && !session->is_paused) {
        err = session_handlers(session)->on_recv(session, data, len, &consumed);
        DURE_ASSERT(consumed <= len);
    }
    if (err != DURE_OK) {
        dure_session_disconnect(session, err == DURE_ERR_FULL ? DURE_ERR_TOO_LARGE : err);
        return;
    }
    if (session->state != DURE_SESSION_CONNECTED) {
        return;
    }
    if (is_from_rest) {
        dure_buf_consume(&session->rest, consumed);
    } else if (consumed < len) {
        err = dure_buf_append(&session->rest, data + consumed, len - consumed);
    }
    if (session->rest.len == 0) {
        dure_buf_release(&session->rest);
    } else if (!session->is_paused && session->rest.len > session->service->config.recv_rest_max) {
        err = DURE_ERR_TOO_LARGE;
    }
    if (err != DURE_OK) {
        dure_session_disconnect(session, err == DURE_ERR_FULL ? DURE_ERR_TOO_LARGE : err);
    }
}

static void session_now_connected(dure_session *session)
{
    session->was_connected = true;
    atomic_fetch_add_explicit(&session->shard->opened, 1, memory_order_relaxed);
    if (session->service->ops->on_session_connected != NULL) {
        session->service->ops->on_session_connected(session);
    }
    session_handlers(session)->on_connected(session);
}

static void session_filter_in(dure_session *session, const uint8_t *data, size_t len)
{
    dure_buf plain;
    dure_buf wire;
    dure_buf_init(&plain, session->service->config.recv_rest_max + 2 * len + 65536);
    dure_buf_init(&wire, session->service->config.send_queue_max);
    dure_err err = session->filter->on_wire(session->filter, data, len, &plain, &wire);
    if (err == DURE_OK && wire.len > 0) {
        err = net_session_queue(session, wire.data, wire.len);
    }
    if (err != DURE_OK) {
        dure_session_disconnect(session, err);
    }
    if (session->state == DURE_SESSION_CONNECTED && !session->was_connected &&
        session->filter->is_ready(session->filter)) {
        session_now_connected(session);
    }
    if (session->state == DURE_SESSION_CONNECTED && session->was_connected && plain.len > 0) {
        session_offer(session, plain.data, plain.len);
    }
    dure_buf_fini(&plain);
    dure_buf_fini(&wire);
}

static void session_on_bytes(dure_session *session, const uint8_t *data, size_t len)
{
    session->last_recv_ms = dure_iocp_core_now_ms(session->object.core);
    atomic_fetch_add_explicit(&session->shard->recv_bytes, len, memory_order_relaxed);
    if (session->state != DURE_SESSION_CONNECTED) {
        return; /* closing: read to the end, unheard */
    }
    if (session->filter != NULL) {
        session_filter_in(session, data, len);
    } else {
        session_offer(session, data, len);
    }
}

static void session_start_recv(dure_session *session)
{
    dure_err err = dure_iocp_recv(session->socket, &session->recv);
    if (err != DURE_OK) {
        net_session_cut(session, err);
    }
}

static void session_on_recv_end(dure_session *session, dure_err status)
{
    if (session->is_ending) {
        return;
    }
    if (status == DURE_ERR_NO_BUFFERS) {
        session_start_recv(session);
    } else if (status == DURE_ERR_CANCELLED) {
        if (!session->is_paused) {
            session_start_recv(session); /* resumed before the pause had taken effect */
        }
    } else if (status == DURE_ERR_PEER_CLOSED) {
        session->recv_ended = true;
        dure_session_disconnect(session, DURE_ERR_PEER_CLOSED);
        if (session->state == DURE_SESSION_CLOSING) {
            session_close_step(session);
        }
    } else {
        net_session_cut(session, status);
    }
}

static void session_on_recv(dure_session *session, const dure_iocp_event *event)
{
    bool has_more = event->more;
    dure_err status = event->status;
    if (status == DURE_OK && event->bytes > 0) {
        session_on_bytes(session, event->data, event->bytes);
    }
    if (!has_more) {
        session_on_recv_end(session, status == DURE_OK ? DURE_ERR_NO_BUFFERS : status);
    }
}

void dure_session_pause_recv(dure_session *session)
{
    DURE_ASSERT_OWNER(session->object.core);
    if (session->state == DURE_SESSION_CONNECTED && !session->is_paused) {
        session->is_paused = true;
        dure_iocp_cancel(&session->recv);
    }
}

void dure_session_resume_recv(dure_session *session)
{
    DURE_ASSERT_OWNER(session->object.core);
    if (session->state != DURE_SESSION_CONNECTED || !session->is_paused) {
        return;
    }
    session->is_paused = false;
    if (!dure_iocp_event_is_active(&session->recv) && !session->recv_ended) {
        session_start_recv(session);
    }
    if (session->rest.len > 0) {
        session_offer(session, NULL, 0);
    }
}

/* ---- beginning ---- */

/* A new life: everything of the former one is gone, and so is its id. */
dure_err net_session_begin_life(dure_session *session)
{
    uint64_t id = 0;
    dure_err err = dure_idtable_add(&session->shard->sessions, session, &id);
    if (err != DURE_OK) {
        return err;
    }
    session->id = id | ((uint64_t)session->shard->index << NET_SLOT_BITS);
    session->context = NULL;
    session->cause = DURE_OK;
    session->timer_due_ms = 0;
    session->last_recv_ms = dure_iocp_core_now_ms(session->object.core);
    session->is_paused = false;
    session->was_connected = false;
    session->recv_ended = false;
    session->fin_sent = false;
    session->is_ending = false;
    session->flight_at = 0;
    session->peer = (dure_net_address){.family = DURE_FAMILY_NONE};
    session->local = (dure_net_address){.family = DURE_FAMILY_NONE};
    return DURE_OK;
}

static dure_err session_open_filter(dure_session *session)
{
    const dure_filter_factory *factory = session->service->config.filter;
    if (factory == NULL) {
        return DURE_OK;
    }
    dure_err err =
        factory->create(factory->ctx, session->service->ops->is_server, &session->filter);
    if (err != DURE_OK) {
        return err;
    }
    dure_buf wire;
    dure_buf_init(&wire, session->service->config.send_queue_max);
    err = session->filter->on_open(session->filter, &wire);
    if (err == DURE_OK && wire.len > 0) {
        err = net_session_queue(session, wire.data, wire.len);
    }
    dure_buf_fini(&wire);
    return err;
}

static void session_set_options(dure_session *session)
{
    const dure_service_config *config = &session->service->config;
    /* A platform without one of these does as well as it can. */
    if (config->keepalive_s > 0) {
        dure_err ignored = dure_iocp_socket_set(session->socket, DURE_IOCP_OPTION_KEEPALIVE_S,
                                                (int)config->keepalive_s);
        (void)ignored;
    }
    if (config->user_timeout_ms > 0) {
        dure_err ignored = dure_iocp_socket_set(session->socket, DURE_IOCP_OPTION_USER_TIMEOUT_MS,
                                                (int)config->user_timeout_ms);
        (void)ignored;
    }
}

/* The connection stands. */
static void session_open(dure_session *session)
{
    session_set_state(session, DURE_SESSION_CONNECTED);
    session_set_options(session);
    if (dure_iocp_socket_peer(session->socket, &session->peer) != DURE_OK ||
        dure_iocp_socket_local(session->socket, &session->local) != DURE_OK) {
        net_session_cut(session, DURE_ERR_RESET); /* gone before it was looked at */
        return;
    }
    session_disarm(session);
    dure_err err = session_open_filter(session);
    if (err != DURE_OK) {
        net_session_cut(session, err);
        return;
    }
    if (session->filter == NULL || session->filter->is_ready(session->filter)) {
        session_now_connected(session);
    }
    if (session->state == DURE_SESSION_CONNECTED && !session->is_paused) {
        session_start_recv(session);
    }
}

void net_session_accepted(dure_session *session, dure_iocp_socket *socket)
{
    session->socket = socket;
    session_open(session);
}

static void session_dial(dure_session *session, const dure_net_address *address)
{
    dure_iocp_core *core = session->object.core;
    dure_err err = dure_iocp_socket_open(core, address->family, &session->socket);
    if (err == DURE_OK) {
        err = dure_iocp_connect(session->socket, &session->connect, address);
    }
    if (err != DURE_OK) {
        net_session_cut(session, err);
    }
}

static void session_on_resolved(void *ctx, dure_err status, const dure_net_address *addresses,
                                size_t count)
{
    dure_session *session = ctx;
    session->is_resolving = false;
    if (!session->is_ending) {
        if (status != DURE_OK || count == 0) {
            net_session_cut(session, status != DURE_OK ? status : DURE_ERR_NAME_NOT_FOUND);
        } else {
            session_dial(session, &addresses[0]);
        }
    }
    session_check_ended(session);
    dure_iocp_object_release(&session->object);
}

dure_err dure_session_connect(dure_session *session)
{
    DURE_ASSERT_OWNER(session->object.core);
    if (session->service->ops->is_server || session->shard->is_closing ||
        (session->state != DURE_SESSION_IDLE && session->state != DURE_SESSION_CLOSED)) {
        return DURE_ERR_STATE;
    }
    dure_net_address address;
    const char *name = NULL;
    uint16_t port = 0;
    dure_err err = session->service->ops->target(session, &address, &name, &port);
    if (err == DURE_OK) {
        err = net_session_begin_life(session);
    }
    if (err != DURE_OK) {
        return err;
    }
    dure_iocp_cancel(&session->redial);
    session_set_state(session, DURE_SESSION_CONNECTING);
    net_session_arm(session, session->service->config.connect_ms);
    if (name == NULL) {
        session_dial(session, &address);
        return DURE_OK;
    }
    dure_iocp_object_hold(&session->object);
    session->is_resolving = true;
    err = dure_net_resolve(session->object.core, name, port, session_on_resolved, session);
    if (err != DURE_OK) {
        session->is_resolving = false;
        net_session_cut(session, err);
        dure_iocp_object_release(&session->object);
    }
    return DURE_OK;
}

static void session_on_connect(dure_session *session, const dure_iocp_event *event)
{
    if (session->is_ending) {
        return;
    }
    if (event->status == DURE_OK) {
        session_open(session);
    } else {
        net_session_cut(session, event->status);
    }
}

/* ---- completions ---- */

static void session_on_redial(dure_session *session)
{
    if (session->shard->is_closing) {
        net_shard_check_closed(session->shard);
        return;
    }
    if (session->state == DURE_SESSION_IDLE || session->state == DURE_SESSION_CLOSED) {
        if (dure_session_connect(session) != DURE_OK) {
            session->service->ops->on_session_end(session); /* the next pause, then again */
        }
    }
}

static void session_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    dure_session *session = DURE_CONTAINER_OF(object, dure_session, object);
    if (event == &session->recv) {
        session_on_recv(session, event);
    } else if (event == &session->send) {
        net_session_on_sent(session, event);
    } else if (event == &session->connect) {
        session_on_connect(session, event);
    } else if (event == &session->disconnect) {
        if (!session->is_ending) {
            if (event->status == DURE_OK) {
                session_close_step(session);
            } else {
                session_end(session, false);
            }
        }
    } else if (event == &session->timer) {
        session_on_timer(session);
    } else {
        session_on_redial(session);
    }
    session_check_ended(session);
}

static void session_destroy(dure_iocp_object *object)
{
    dure_session *session = DURE_CONTAINER_OF(object, dure_session, object);
    dure_service *service = session->service;
    dure_iocp_core_undefer(&session->flush);
    dure_buf_fini(&session->pending);
    dure_buf_fini(&session->flight);
    dure_buf_fini(&session->plain);
    dure_buf_fini(&session->rest);
    atomic_fetch_sub_explicit(&service->session_count, 1, memory_order_relaxed);
    dure_mem_free(session);
}

static const dure_iocp_object_ops session_ops = {session_dispatch, session_destroy};

dure_err net_session_create(service_shard *shard, dure_session **out_session)
{
    dure_session *session = dure_mem_alloc(sizeof *session);
    if (session == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    session->service = shard->service;
    session->shard = shard;
    dure_iocp_object_init(&session->object, shard->object.core, &session_ops);
    dure_iocp_event_init(&session->connect, &session->object, DURE_IOCP_CONNECT);
    dure_iocp_event_init(&session->recv, &session->object, DURE_IOCP_RECV);
    dure_iocp_event_init(&session->send, &session->object, DURE_IOCP_SEND);
    dure_iocp_event_init(&session->disconnect, &session->object, DURE_IOCP_DISCONNECT);
    dure_iocp_event_init(&session->timer, &session->object, DURE_IOCP_TIMER);
    dure_iocp_event_init(&session->redial, &session->object, DURE_IOCP_TIMER);
    net_session_send_init(session);
    session->flush.fn = session_flush;
    dure_buf_init(&session->rest, shard->service->config.recv_rest_max + (1u << 20));
    atomic_fetch_add_explicit(&shard->service->session_count, 1, memory_order_relaxed);
    *out_session = session;
    return DURE_OK;
}

/* ---- questions ---- */

uint64_t dure_session_id(const dure_session *session)
{
    return session->id;
}

dure_session_state dure_session_state_of(const dure_session *session)
{
    return session->state;
}

const char *dure_session_state_name(dure_session_state state)
{
    return state_names[state];
}

bool dure_session_is_connected(const dure_session *session)
{
    return session->state == DURE_SESSION_CONNECTED;
}

uint64_t dure_session_last_recv_ms(const dure_session *session)
{
    return session->last_recv_ms;
}

const dure_net_address *dure_session_peer(const dure_session *session)
{
    return &session->peer;
}

const dure_net_address *dure_session_local(const dure_session *session)
{
    return &session->local;
}

dure_service *dure_session_service(const dure_session *session)
{
    return session->service;
}

dure_iocp_core *dure_session_core(const dure_session *session)
{
    return session->object.core;
}

void *dure_session_context(const dure_session *session)
{
    return session->context;
}

void dure_session_set_context(dure_session *session, void *context)
{
    session->context = context;
}

/* ---- handlers that do nothing ---- */

void dure_session_ignore_connected(dure_session *session)
{
    (void)session;
}

void dure_session_ignore_connect_failed(dure_session *session, dure_err cause)
{
    (void)session;
    (void)cause;
}

dure_err dure_session_ignore_recv(dure_session *session, const uint8_t *data, size_t len,
                                  size_t *out_consumed)
{
    (void)session;
    (void)data;
    *out_consumed = len;
    return DURE_OK;
}

void dure_session_ignore_sent(dure_session *session, size_t bytes)
{
    (void)session;
    (void)bytes;
}

void dure_session_ignore_disconnected(dure_session *session, dure_err cause)
{
    (void)session;
    (void)cause;
}
