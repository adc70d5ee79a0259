/* SPDX-License-Identifier: MIT
 *
 * Accepting without end. While open, either the accept or the pause's timer is pending; that is
 * what close relies on to be told when it is over.
 */
#include "net/listener.h"

#include "base/assert.h"
#include "base/mem.h"
#include "net/address.h"
#include "net/socket_utils.h"

#define PAUSE_FIRST_MS 10u
#define PAUSE_MAX_MS   1000u

#define LISTENER_STATE_LIST(X)                                                                     \
    X(NEW)                                                                                         \
    X(LISTENING) /* the accept is pending */                                                       \
    X(PAUSED)    /* after an error; the pause's timer, or the post in its place, is pending */     \
    X(CLOSING)   /* what is pending comes back */                                                  \
    X(CLOSED)    /* on_closed was called */

typedef enum listener_state {
#define LISTENER_STATE_ROW(name) LISTENER_##name,
    LISTENER_STATE_LIST(LISTENER_STATE_ROW)
#undef LISTENER_STATE_ROW
} listener_state;

static const char *const state_names[] = {
#define LISTENER_STATE_ROW(name) #name,
    LISTENER_STATE_LIST(LISTENER_STATE_ROW)
#undef LISTENER_STATE_ROW
};

/* Rows: from; bits: to. */
#define STEP(name) (1u << LISTENER_##name)
static const unsigned state_steps[] = {
    [LISTENER_NEW] = STEP(LISTENING),
    [LISTENER_LISTENING] = STEP(PAUSED) | STEP(CLOSING),
    [LISTENER_PAUSED] = STEP(LISTENING) | STEP(CLOSING),
    [LISTENER_CLOSING] = STEP(CLOSED),
    [LISTENER_CLOSED] = 0,
};
#undef STEP

struct dure_listener {
    dure_iocp_object object;
    dure_listener_config config;
    listener_state state;
    dure_iocp_socket *socket;
    dure_net_address address;
    dure_iocp_event accept_event;
    dure_iocp_event pause_event;
    dure_iocp_event retry_event; /* a post cannot fail */
    bool is_retrying;
    uint32_t pause_ms;
};

static void listener_dispatch(dure_iocp_object *object, dure_iocp_event *event);
static void listener_free(dure_iocp_object *object);

static const dure_iocp_object_ops listener_ops = {listener_dispatch, listener_free};

dure_err dure_listener_create(const dure_listener_config *config, dure_listener **out_listener)
{
    dure_listener *listener = dure_mem_alloc(sizeof *listener);
    if (listener == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    listener->config = *config;
    DURE_ASSERT(listener->state == LISTENER_NEW); /* zeroed memory */
    if (config->pause_first_ms == 0) {
        listener->config.pause_first_ms = PAUSE_FIRST_MS;
    }
    if (config->pause_max_ms == 0) {
        listener->config.pause_max_ms = PAUSE_MAX_MS;
    }
    listener->pause_ms = listener->config.pause_first_ms;
    dure_iocp_object_init(&listener->object, config->core, &listener_ops);
    dure_iocp_event_init(&listener->accept_event, &listener->object, DURE_IOCP_ACCEPT);
    dure_iocp_event_init(&listener->pause_event, &listener->object, DURE_IOCP_TIMER);
    dure_iocp_event_init(&listener->retry_event, &listener->object, DURE_IOCP_POST);
    *out_listener = listener;
    return DURE_OK;
}

static void listener_set_state(dure_listener *listener, listener_state state)
{
    DURE_ASSERT((state_steps[listener->state] & (1u << (unsigned)state)) != 0);
    dure_log_write(dure_iocp_core_log(listener->object.core), DURE_LOG_DEBUG, "net",
                   "LISTENER_STATE", "service=%s old=%s new=%s", listener->config.name,
                   state_names[listener->state], state_names[state]);
    listener->state = state;
}

static dure_err listener_bind(dure_listener *listener, dure_iocp_socket *socket)
{
    dure_err err = DURE_OK;
    if (listener->config.address.family == DURE_FAMILY_IPV6) {
        /* One listener, one family, on every platform; the systems' defaults differ. */
        err = dure_iocp_socket_set(socket, DURE_IOCP_OPTION_V6ONLY, 1);
        if (err != DURE_OK && err != DURE_ERR_UNSUPPORTED) {
            return err;
        }
    }
    err = dure_iocp_socket_bind(socket, &listener->config.address);
    if (err == DURE_OK && dure_iocp_core_passes_options_on(listener->config.core)) {
        err = dure_socket_utils_set_up(socket, listener->config.keepalive_s,
                                       listener->config.user_timeout_ms,
                                       listener->config.unsent_bytes);
    }
    if (err == DURE_OK) {
        err = dure_iocp_socket_listen(socket, listener->config.backlog);
    }
    if (err == DURE_OK) {
        err = dure_iocp_socket_local(socket, &listener->address);
    }
    return err;
}

dure_err dure_listener_open(dure_listener *listener)
{
    DURE_ASSERT_OWNER(listener->object.core);
    DURE_ASSERT(listener->state == LISTENER_NEW);
    dure_iocp_socket *socket = NULL;
    dure_err err =
        dure_iocp_socket_open(listener->config.core, listener->config.address.family, &socket);
    if (err != DURE_OK) {
        return err;
    }
    err = listener_bind(listener, socket);
    if (err == DURE_OK) {
        err = dure_iocp_accept(socket, &listener->accept_event);
    }
    if (err != DURE_OK) {
        dure_iocp_socket_close(socket);
        return err;
    }
    listener->socket = socket;
    listener_set_state(listener, LISTENER_LISTENING);
    char text[DURE_NET_ADDRESS_TEXT_MAX];
    dure_log_write(dure_iocp_core_log(listener->object.core), DURE_LOG_INFO, "net", "LISTENING",
                   "service=%s address=%s", listener->config.name,
                   dure_net_address_print(&listener->address, text));
    return DURE_OK;
}

dure_err dure_listener_address(const dure_listener *listener, dure_net_address *out_address)
{
    if (!dure_listener_is_open(listener)) {
        return DURE_ERR_STATE;
    }
    *out_address = listener->address;
    return DURE_OK;
}

void dure_listener_close(dure_listener *listener)
{
    DURE_ASSERT_OWNER(listener->object.core);
    if (listener->state != LISTENER_LISTENING && listener->state != LISTENER_PAUSED) {
        return;
    }
    listener_set_state(listener, LISTENER_CLOSING);
    dure_iocp_cancel(&listener->pause_event);
    dure_iocp_socket_close(listener->socket);
    listener->socket = NULL;
}

bool dure_listener_is_open(const dure_listener *listener)
{
    return listener->state != LISTENER_NEW && listener->state != LISTENER_CLOSED;
}

void dure_listener_destroy(dure_listener *listener)
{
    if (listener == NULL) {
        return;
    }
    DURE_ASSERT(!dure_listener_is_open(listener));
    dure_iocp_object_release(&listener->object);
}

static void listener_free(dure_iocp_object *object)
{
    dure_mem_free(DURE_CONTAINER_OF(object, dure_listener, object));
}

/* A pause must not fail: without memory for a timer the accept is tried in the next round. */
static void listener_pause(dure_listener *listener, dure_err cause)
{
    listener->config.on_pause(listener->config.ctx, cause);
    dure_log_write(dure_iocp_core_log(listener->object.core), DURE_LOG_WARN, "net", "ACCEPT_PAUSED",
                   "service=%s cause=%s pause_ms=%u", listener->config.name, dure_err_name(cause),
                   (unsigned)listener->pause_ms);
    listener_set_state(listener, LISTENER_PAUSED);
    dure_err err =
        dure_iocp_timer(listener->object.core, &listener->pause_event, listener->pause_ms);
    if (err != DURE_OK) {
        listener->is_retrying = true;
        dure_iocp_post(listener->object.core, &listener->retry_event);
    }
    uint32_t max_ms = listener->config.pause_max_ms;
    listener->pause_ms = listener->pause_ms < max_ms / 2 ? listener->pause_ms * 2 : max_ms;
}

static void listener_resume(dure_listener *listener)
{
    listener_set_state(listener, LISTENER_LISTENING);
    dure_err err = dure_iocp_accept(listener->socket, &listener->accept_event);
    if (err != DURE_OK) {
        listener_pause(listener, err);
    }
}

static void listener_accepted(dure_listener *listener, const dure_iocp_event *event)
{
    bool more = event->more;
    dure_err status = event->status;
    if (status == DURE_OK && event->accepted != NULL) {
        listener->pause_ms = listener->config.pause_first_ms;
        if (listener->state == LISTENER_CLOSING) {
            dure_iocp_socket_close(event->accepted);
        } else {
            listener->config.on_accept(listener->config.ctx, event->accepted);
        }
    }
    if (more || listener->state != LISTENER_LISTENING) {
        return;
    }
    if (status == DURE_OK) {
        listener_resume(listener);
    } else {
        listener_pause(listener, status);
    }
}

static void listener_check_closed(dure_listener *listener)
{
    if (listener->state != LISTENER_CLOSING || listener->is_retrying ||
        dure_iocp_event_is_active(&listener->accept_event) ||
        dure_iocp_event_is_active(&listener->pause_event)) {
        return;
    }
    listener_set_state(listener, LISTENER_CLOSED);
    listener->config.on_closed(listener->config.ctx);
}

static void listener_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    dure_listener *listener = DURE_CONTAINER_OF(object, dure_listener, object);
    DURE_ASSERT_OWNER(object->core);
    DURE_ASSERT(listener->state != LISTENER_NEW && listener->state != LISTENER_CLOSED);
    if (event == &listener->retry_event) {
        listener->is_retrying = false;
    }
    if (event == &listener->accept_event) {
        listener_accepted(listener, event);
    } else if (listener->state == LISTENER_PAUSED) {
        listener_resume(listener);
    }
    listener_check_closed(listener);
}
