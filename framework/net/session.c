/* SPDX-License-Identifier: MIT
 *
 * The session's life: states, both ends, the timer, dispatch.
 *
 * What must survive a change: there is one way to end. Whoever ends a session sets the cause and
 * CLOSING in session_begin_end, once; cut closes the socket; finish runs when no operation is
 * pending, tells the user, and only then may the session live again.
 */
#include "net/session.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "net/session_impl.h"
#include "net/socket_utils.h"

static const char *const state_names[] = {
#define DURE_SESSION_STATE_ROW(name) #name,
    DURE_SESSION_STATE_LIST(DURE_SESSION_STATE_ROW)
#undef DURE_SESSION_STATE_ROW
};

/* Rows: from; bits: to. CLOSED -> IDLE is the recycling of a client's session. */
#define STEP(name) (1u << DURE_SESSION_##name)
static const unsigned state_steps[] = {
    [DURE_SESSION_IDLE] = STEP(CONNECTING),
    [DURE_SESSION_CONNECTING] = STEP(CONNECTED) | STEP(CLOSING),
    [DURE_SESSION_CONNECTED] = STEP(CLOSING),
    [DURE_SESSION_CLOSING] = STEP(CLOSED),
    [DURE_SESSION_CLOSED] = STEP(IDLE),
};
#undef STEP

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

const char *dure_session_state_name(dure_session_state state)
{
    DURE_ASSERT((size_t)state < DURE_COUNT_OF(state_names));
    return state_names[state];
}

static void session_set_state(dure_session *session, dure_session_state state)
{
    dure_session_state old = session->state;
    DURE_ASSERT((state_steps[old] & (1u << (unsigned)state)) != 0);
    session->state = state;
    dure_log *log = dure_iocp_core_log(session->object.core);
    if (dure_log_is_on(log, DURE_LOG_DEBUG)) {
        dure_log_write(log, DURE_LOG_DEBUG, "net", "SESSION_STATE",
                       "service=%s session=%llu old=%s new=%s cause=%s",
                       session_service(session)->name, (unsigned long long)session->id,
                       state_names[old], state_names[state], dure_err_name(session->cause));
    }
}

/* Rows: from; bits: to. */
#define STEP(name) (1u << DURE_SESSION_ENDING_##name)
static const unsigned ending_steps[] = {
    [DURE_SESSION_ENDING_NONE] = STEP(FLUSH) | STEP(CUT),
    [DURE_SESSION_ENDING_FLUSH] = STEP(FIN) | STEP(CUT),
    [DURE_SESSION_ENDING_FIN] = STEP(READ) | STEP(CUT),
    [DURE_SESSION_ENDING_READ] = STEP(CUT),
    [DURE_SESSION_ENDING_CUT] = 0,
};
#undef STEP

static void session_set_ending(dure_session *session, dure_session_ending ending)
{
    DURE_ASSERT(session->state == DURE_SESSION_CLOSING);
    DURE_ASSERT((ending_steps[session->ending] & (1u << (unsigned)ending)) != 0);
    session->ending = ending;
}

/* ---- birth ---- */

static dure_err session_give_id(dure_session *session)
{
    dure_service_shard *shard = session->shard;
    uint64_t id = 0;
    dure_err err = dure_idtable_add(&shard->ids, session, &id);
    if (err != DURE_OK) {
        return err;
    }
    DURE_ASSERT((uint32_t)id < (1u << DURE_SHARD_SLOT_BITS));
    session->id = id | ((uint64_t)shard->index << DURE_SHARD_SLOT_BITS);
    return DURE_OK;
}

static void session_forget_id(dure_session *session)
{
    const uint64_t worker_bits = (uint64_t)(DURE_SERVICE_CORES_MAX - 1) << DURE_SHARD_SLOT_BITS;
    void *object = dure_idtable_remove(&session->shard->ids, session->id & ~worker_bits);
    DURE_ASSERT(object == session);
}

/* Everything that belongs to one life, as it is before the first. */
static void session_reset(dure_session *session)
{
    DURE_ASSERT(session->socket == NULL);
    DURE_ASSERT(session->filter == NULL);
    DURE_ASSERT(session->rest.data == NULL);
    DURE_ASSERT(session->out.data == NULL);
    DURE_ASSERT(session->in_flight.data == NULL);
    DURE_ASSERT(session->plain.data == NULL);
    session->ending = DURE_SESSION_ENDING_NONE;
    session->cause = DURE_OK;
    session->context = NULL;
    session->local = (dure_net_address){0};
    session->peer = (dure_net_address){0};
    session->last_recv_ms = 0;
    session->was_connected = false;
    session->reading = DURE_SESSION_FLOWING;
    session->is_offer_due = false;
    session->in_flight_at = 0;
    session->sent_total = 0;
    session->handed_total = 0;
    session->filtered_total = 0;
    session->acknowledged = 0;
    session->reserved = 0;
    session->deadline_ns = 0;
}

static void session_dispatch(dure_iocp_object *object, dure_iocp_event *event);
static void session_destroy(dure_iocp_object *object);
static void session_turn(dure_iocp_deferred *turn);

static const dure_iocp_object_ops session_ops = {session_dispatch, session_destroy};

dure_err dure_session_create(dure_service_shard *shard, dure_client_slot *slot,
                             dure_session **out_session)
{
    dure_session *session = dure_mem_alloc(sizeof *session);
    if (session == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_iocp_object_init(&session->object, shard->object.core, &session_ops);
    session->shard = shard;
    session->slot = slot;
    DURE_ASSERT(session->state == DURE_SESSION_IDLE); /* zeroed memory */
    dure_list_init(&session->node);
    session->turn.fn = session_turn;
    dure_iocp_event_init(&session->connect_event, &session->object, DURE_IOCP_CONNECT);
    dure_iocp_event_init(&session->recv_event, &session->object, DURE_IOCP_RECV);
    dure_iocp_event_init(&session->send_event, &session->object, DURE_IOCP_SEND);
    dure_iocp_event_init(&session->disconnect_event, &session->object, DURE_IOCP_DISCONNECT);
    dure_iocp_event_init(&session->timer_event, &session->object, DURE_IOCP_TIMER);
    session_reset(session);
    dure_err err = session_give_id(session);
    if (err != DURE_OK) {
        dure_mem_free(session);
        return err;
    }
    *out_session = session;
    return DURE_OK;
}

void dure_session_free(dure_session *session)
{
    if (session == NULL) {
        return;
    }
    DURE_ASSERT(session->object.pending == 0);
    dure_iocp_core_undefer(&session->turn);
    dure_mem_free(session);
}

static dure_err session_take(dure_service_shard *shard, dure_session **out_session)
{
    dure_list *node = dure_list_pop_front(&shard->spare);
    if (node == NULL) {
        return dure_session_create(shard, NULL, out_session);
    }
    shard->spare_count--;
    dure_session *session = DURE_CONTAINER_OF(node, dure_session, node);
    dure_iocp_object_init(&session->object, shard->object.core, &session_ops);
    session_reset(session);
    session_set_state(session, DURE_SESSION_IDLE);
    dure_err err = session_give_id(session);
    if (err != DURE_OK) {
        dure_session_free(session);
        return err;
    }
    *out_session = session;
    return DURE_OK;
}

dure_err dure_session_open(dure_service_shard *shard, dure_iocp_socket *socket)
{
    dure_session *session = NULL;
    dure_err err = session_take(shard, &session);
    if (err != DURE_OK) {
        return err;
    }
    dure_iocp_object_hold(&session->object);
    dure_session_begin(session);
    session->socket = socket;
    dure_session_set_deadline(session, session_config(session)->connect_ms);
    dure_session_stand(session);
    dure_iocp_object_release(&session->object);
    return DURE_OK;
}

void dure_session_begin(dure_session *session)
{
    session_set_state(session, DURE_SESSION_CONNECTING);
    dure_list_push_back(&session->shard->live, &session->node);
    dure_shard_add_busy(session->shard);
}

static dure_err session_open_filter(dure_session *session)
{
    const dure_service *service = session_service(session);
    if (!service->has_filter) {
        return DURE_OK;
    }
    dure_err err =
        service->filter.create(service->filter.ctx, service->is_server, &session->filter);
    if (err != DURE_OK) {
        session->filter = NULL;
        return err;
    }
    dure_shard_take_buf(session->shard, &session->out);
    err = session->filter->on_open(session->filter, &session->out);
    if (session->out.len == 0) {
        dure_session_drop_queue(session);
    }
    return err;
}

/* Options that the service wants; an accepted socket may have them from its listener. */
static dure_err session_set_options(dure_session *session)
{
    const dure_service_config *config = session_config(session);
    if (session_service(session)->is_server &&
        dure_iocp_core_passes_options_on(session->object.core)) {
        return DURE_OK;
    }
    return dure_socket_utils_set_up(session->socket, config->keepalive_s, config->user_timeout_ms,
                                    config->unsent_bytes_max);
}

void dure_session_stand(dure_session *session)
{
    session->last_recv_ms = dure_iocp_core_now_ms(session->object.core);
    dure_err err = dure_iocp_socket_peer(session->socket, &session->peer);
    if (err == DURE_OK) {
        err = dure_iocp_socket_local(session->socket, &session->local);
    }
    if (err == DURE_OK) {
        err = session_set_options(session);
    }
    if (err == DURE_OK) {
        err = session_open_filter(session);
    }
    if (err == DURE_OK) {
        err = dure_session_recv_start(session);
    }
    if (err != DURE_OK) {
        /* A peer that is gone already has no address any more. */
        dure_session_fail(session, err == DURE_ERR_STATE ? DURE_ERR_RESET : err);
        return;
    }
    dure_session_defer(session);
    if (session->filter == NULL || session->filter->is_ready(session->filter)) {
        dure_session_connected(session);
    }
}

void dure_session_connected(dure_session *session)
{
    session_set_state(session, DURE_SESSION_CONNECTED);
    session->was_connected = true;
    dure_session_set_deadline(session, 0);
    dure_shard_count(&session->shard->counters.opened, 1);
    session_service(session)->ops->session_connected(session);
    session_handlers(session)->on_connected(session);
    if (session->state == DURE_SESSION_CONNECTED) {
        dure_session_watch_send(session); /* a filter's, of the handshake; may end the session */
    }
}

/* ---- the end ---- */

static void session_begin_end(dure_session *session, dure_err cause)
{
    DURE_ASSERT(cause != DURE_OK);
    DURE_ASSERT(session->cause == DURE_OK);
    session->cause = cause;
    session_set_state(session, DURE_SESSION_CLOSING);
}

static void session_cut(dure_session *session, bool reset)
{
    DURE_ASSERT(session->state == DURE_SESSION_CLOSING);
    if (session->ending == DURE_SESSION_ENDING_CUT) {
        return;
    }
    session_set_ending(session, DURE_SESSION_ENDING_CUT);
    session->deadline_ns = 0;
    dure_session_drop_queue(session);
    if (session->socket != NULL) {
        if (reset) {
            dure_iocp_socket_abort(session->socket);
        } else {
            dure_iocp_socket_close(session->socket);
        }
        session->socket = NULL;
    }
    dure_iocp_cancel(&session->timer_event);
    dure_session_defer(session);
}

void dure_session_fail(dure_session *session, dure_err cause)
{
    if (session->state == DURE_SESSION_CONNECTING || session->state == DURE_SESSION_CONNECTED) {
        session_begin_end(session, cause);
    }
    if (session->state == DURE_SESSION_CLOSING) {
        session_cut(session, false);
    }
}

void dure_session_disconnect(dure_session *session, dure_err cause)
{
    DURE_ASSERT_OWNER(session->object.core);
    DURE_ASSERT(cause != DURE_OK);
    if (session->state == DURE_SESSION_CONNECTING) {
        dure_session_fail(session, cause);
        return;
    }
    if (session->state != DURE_SESSION_CONNECTED) {
        return;
    }
    session_begin_end(session, cause);
    session_set_ending(session, DURE_SESSION_ENDING_FLUSH);
    dure_session_set_deadline(session, session_config(session)->close_ms);
    dure_session_defer(session);
}

void dure_session_abort(dure_session *session, dure_err cause)
{
    DURE_ASSERT_OWNER(session->object.core);
    if (session->state == DURE_SESSION_CONNECTING || session->state == DURE_SESSION_CONNECTED) {
        session_begin_end(session, cause);
    }
    if (session->state == DURE_SESSION_CLOSING) {
        session_cut(session, true);
    }
}

/* FLUSH: when the queue is empty, this side's sending ends. */
static void session_end_sending(dure_session *session)
{
    if (dure_session_send_queue_bytes(session) > 0 ||
        dure_iocp_event_is_active(&session->send_event)) {
        return;
    }
    dure_err err = dure_iocp_disconnect(session->socket, &session->disconnect_event);
    if (err != DURE_OK) {
        session_cut(session, false);
        return;
    }
    session_set_ending(session, DURE_SESSION_ENDING_FIN);
}

/* READ: what still comes is read and thrown away, so that the peer sees an end and no reset. */
static void session_read_to_end(dure_session *session)
{
    if (session->reading == DURE_SESSION_ENDED) {
        session_cut(session, false);
        return;
    }
    if (!dure_iocp_event_is_active(&session->recv_event) &&
        dure_session_recv_start(session) != DURE_OK) {
        session_cut(session, false);
    }
}

static void session_advance_end(dure_session *session)
{
    if (session->ending == DURE_SESSION_ENDING_FLUSH) {
        session_end_sending(session);
    }
    if (session->ending == DURE_SESSION_ENDING_READ) {
        session_read_to_end(session);
    }
}

static void session_fin_done(dure_session *session, const dure_iocp_event *event)
{
    DURE_ASSERT(session->state == DURE_SESSION_CLOSING);
    if (session->ending != DURE_SESSION_ENDING_FIN) {
        return;
    }
    if (event->status != DURE_OK) {
        session_cut(session, false);
        return;
    }
    session_set_ending(session, DURE_SESSION_ENDING_READ);
}

static bool session_has_pending(const dure_session *session)
{
    return dure_iocp_event_is_active(&session->connect_event) ||
           dure_iocp_event_is_active(&session->recv_event) ||
           dure_iocp_event_is_active(&session->send_event) ||
           dure_iocp_event_is_active(&session->disconnect_event) ||
           dure_iocp_event_is_active(&session->timer_event);
}

static void session_drop_memory(dure_session *session)
{
    dure_service_shard *shard = session->shard;
    if (session->filter != NULL) {
        session->filter->destroy(session->filter);
        session->filter = NULL;
    }
    dure_shard_give_buf(shard, &session->rest);
    dure_shard_give_buf(shard, &session->out);
    dure_shard_give_buf(shard, &session->in_flight);
    dure_buf_fini(&session->plain);
}

/* Tells the user, and ends the life. */
static void session_finish(dure_session *session)
{
    dure_service_shard *shard = session->shard;
    const dure_session_handlers *handlers = session_handlers(session);
    dure_err cause = session->cause;
    session_set_state(session, DURE_SESSION_CLOSED);
    session_forget_id(session);
    dure_list_remove(&session->node);
    dure_iocp_core_undefer(&session->turn);
    session_drop_memory(session);
    if (session->was_connected) {
        dure_shard_count(&shard->counters.closed, 1);
        handlers->on_disconnected(session, cause);
    } else if (session->slot != NULL) {
        dure_shard_count(&shard->counters.connect_failed, 1);
        handlers->on_connect_failed(session, cause);
    }
    session_service(session)->ops->session_ended(session);
    dure_shard_drop_busy(shard);
}

void dure_session_check_end(dure_session *session)
{
    if (session->state == DURE_SESSION_CLOSING && session->ending == DURE_SESSION_ENDING_CUT &&
        !session_has_pending(session)) {
        session_finish(session);
    }
}

void dure_session_recycle(dure_session *session)
{
    session_reset(session);
    session_set_state(session, DURE_SESSION_IDLE);
    /* The slot of the former id is free, so there is room. */
    dure_err err = session_give_id(session);
    DURE_ASSERT(err == DURE_OK);
}

/* The last hold is gone: only sessions of servers end so; a client's live with their service. */
static void session_destroy(dure_iocp_object *object)
{
    dure_session *session = DURE_CONTAINER_OF(object, dure_session, object);
    dure_service_shard *shard = session->shard;
    DURE_ASSERT(session->state == DURE_SESSION_CLOSED);
    DURE_ASSERT(session->slot == NULL);
    if (shard->spare_count < DURE_SHARD_SPARE_MAX) {
        shard->spare_count++;
        dure_list_push_back(&shard->spare, &session->node);
        return;
    }
    dure_session_free(session);
}

/* ---- the timer: one a session, for whatever the state waits for ---- */

static void session_arm_timer(dure_session *session)
{
    uint64_t now_ns = dure_iocp_core_now_ns(session->object.core);
    uint64_t left_ns = session->deadline_ns > now_ns ? session->deadline_ns - now_ns : 0;
    uint32_t left_ms = (uint32_t)((left_ns + 999999u) / 1000000u);
    dure_err err = dure_iocp_timer(session->object.core, &session->timer_event, left_ms);
    if (err != DURE_OK) {
        dure_session_fail(session, err);
        return;
    }
    session->timer_due_ns = session->deadline_ns;
}

void dure_session_set_deadline(dure_session *session, uint32_t ms)
{
    if (ms == 0) {
        session->deadline_ns = 0; /* a timer that is on its way finds nothing to do */
        return;
    }
    session->deadline_ns =
        dure_iocp_core_now_ns(session->object.core) + (uint64_t)ms * UINT64_C(1000000);
    if (!dure_iocp_event_is_active(&session->timer_event)) {
        session_arm_timer(session);
    } else if (session->timer_due_ns > session->deadline_ns) {
        dure_iocp_cancel(&session->timer_event); /* its completion arms it anew */
    }
}

static void session_deadline_passed(dure_session *session)
{
    if (session->state == DURE_SESSION_CONNECTING) {
        dure_session_fail(session, DURE_ERR_TIMED_OUT);
    } else if (session->state == DURE_SESSION_CONNECTED) {
        dure_session_check_stall(session);
    } else if (session->state == DURE_SESSION_CLOSING) {
        session_cut(session, true);
    }
}

static void session_timer_done(dure_session *session)
{
    if (session->deadline_ns == 0 || session->ending == DURE_SESSION_ENDING_CUT) {
        return;
    }
    if (session->deadline_ns <= dure_iocp_core_now_ns(session->object.core)) {
        session_deadline_passed(session);
    } else {
        session_arm_timer(session);
    }
}

/* ---- rounds ---- */

void dure_session_defer(dure_session *session)
{
    dure_iocp_core_defer(session->object.core, &session->turn);
}

/* The end of a dispatch round: what was queued in it leaves together. */
static void session_turn(dure_iocp_deferred *turn)
{
    dure_session *session = DURE_CONTAINER_OF(turn, dure_session, turn);
    dure_iocp_object_hold(&session->object);
    if (session->is_offer_due) {
        dure_session_offer_again(session);
    }
    dure_session_flush(session);
    session_advance_end(session);
    dure_session_check_end(session);
    dure_iocp_object_release(&session->object);
}

static void session_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    dure_session *session = DURE_CONTAINER_OF(object, dure_session, object);
    DURE_ASSERT_OWNER(object->core);
    if (event == &session->connect_event) {
        dure_session_connect_done(session, event);
    } else if (event == &session->recv_event) {
        dure_session_recv_done(session, event);
    } else if (event == &session->send_event) {
        dure_session_send_done(session, event);
    } else if (event == &session->disconnect_event) {
        session_fin_done(session, event);
    } else {
        DURE_ASSERT(event == &session->timer_event);
        session_timer_done(session);
    }
    session_advance_end(session);
    dure_session_check_end(session);
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
    return session_service(session);
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
