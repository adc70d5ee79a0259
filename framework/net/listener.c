/* SPDX-License-Identifier: MIT
 *
 * One persistent accept. When it ends by an error, a timer starts it again.
 */
#include "net/listener.h"

#include <stdatomic.h>

#include "base/mem.h"

#define LISTENER_BACKLOG      4096u
#define LISTENER_PAUSE_MIN_MS 10u
#define LISTENER_PAUSE_MAX_MS 1000u

struct dure_listener {
    dure_iocp_object object;
    dure_iocp_event accept;
    dure_iocp_event pause;
    dure_iocp_socket *socket;
    dure_listener_fn on_accept;
    void (*on_closed)(void *ctx);
    void *ctx;
    uint32_t pause_ms;
    bool is_closing;
    bool is_closed;
    atomic_uint_fast64_t pauses;
};

static void listener_accept(dure_listener *listener);

static void listener_check_closed(dure_listener *listener)
{
    if (listener->is_closing && !listener->is_closed &&
        !dure_iocp_event_is_active(&listener->accept) &&
        !dure_iocp_event_is_active(&listener->pause)) {
        listener->is_closed = true;
        listener->on_closed(listener->ctx);
    }
}

static void listener_pause(dure_listener *listener, dure_err why, int system_error)
{
    atomic_fetch_add_explicit(&listener->pauses, 1, memory_order_relaxed);
    dure_log_write(dure_iocp_core_log(listener->object.core), DURE_LOG_WARN, "net", "ACCEPT_PAUSED",
                   "cause=%s system_error=%d pause_ms=%u", dure_err_name(why), system_error,
                   listener->pause_ms);
    /* A timer needs nothing that could run out while the core lives; without it nobody would be
     * accepted. */
    dure_err err = dure_iocp_timer(listener->object.core, &listener->pause, listener->pause_ms);
    DURE_ASSERT(err == DURE_OK);
    listener->pause_ms = listener->pause_ms * 2 > LISTENER_PAUSE_MAX_MS ? LISTENER_PAUSE_MAX_MS
                                                                        : listener->pause_ms * 2;
}

static void listener_accept(dure_listener *listener)
{
    dure_err err = dure_iocp_accept(listener->socket, &listener->accept);
    if (err != DURE_OK) {
        listener_pause(listener, err, 0);
    }
}

static void listener_on_accept(dure_listener *listener, dure_iocp_event *event)
{
    if (event->status == DURE_OK && event->accepted != NULL) {
        if (listener->is_closing) {
            dure_iocp_socket_close(event->accepted);
        } else {
            listener->pause_ms = LISTENER_PAUSE_MIN_MS;
            listener->on_accept(listener->ctx, event->accepted);
        }
    }
    if (!event->more && !listener->is_closing) {
        listener_pause(listener, event->status, event->system_error);
    }
}

static void listener_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    dure_listener *listener = DURE_CONTAINER_OF(object, dure_listener, object);
    if (event == &listener->accept) {
        listener_on_accept(listener, event);
    } else if (!listener->is_closing) {
        listener_accept(listener);
    }
    listener_check_closed(listener);
}

static void listener_destroy_object(dure_iocp_object *object)
{
    dure_mem_free(DURE_CONTAINER_OF(object, dure_listener, object));
}

static const dure_iocp_object_ops listener_ops = {listener_dispatch, listener_destroy_object};

dure_err dure_listener_create(dure_iocp_core *core, dure_listener_fn on_accept,
                              void (*on_closed)(void *ctx), void *ctx, dure_listener **out_listener)
{
    dure_listener *listener = dure_mem_alloc(sizeof *listener);
    if (listener == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_iocp_object_init(&listener->object, core, &listener_ops);
    dure_iocp_event_init(&listener->accept, &listener->object, DURE_IOCP_ACCEPT);
    dure_iocp_event_init(&listener->pause, &listener->object, DURE_IOCP_TIMER);
    listener->on_accept = on_accept;
    listener->on_closed = on_closed;
    listener->ctx = ctx;
    listener->pause_ms = LISTENER_PAUSE_MIN_MS;
    atomic_init(&listener->pauses, 0);
    *out_listener = listener;
    return DURE_OK;
}

dure_err dure_listener_start(dure_listener *listener, const dure_net_address *address)
{
    dure_err err = dure_iocp_socket_open(listener->object.core, address->family, &listener->socket);
    if (err != DURE_OK) {
        return err;
    }
    err = dure_iocp_socket_bind(listener->socket, address);
    if (err == DURE_OK) {
        err = dure_iocp_socket_listen(listener->socket, LISTENER_BACKLOG);
    }
    if (err == DURE_OK) {
        err = dure_iocp_accept(listener->socket, &listener->accept);
    }
    if (err != DURE_OK) {
        dure_iocp_socket_close(listener->socket);
        listener->socket = NULL;
    }
    return err;
}

dure_err dure_listener_address(const dure_listener *listener, dure_net_address *out_address)
{
    return listener->socket != NULL ? dure_iocp_socket_local(listener->socket, out_address)
                                    : DURE_ERR_STATE;
}

void dure_listener_close(dure_listener *listener)
{
    if (listener->is_closing) {
        return;
    }
    listener->is_closing = true;
    dure_iocp_socket_close(listener->socket);
    listener->socket = NULL;
    dure_iocp_cancel(&listener->pause);
    listener_check_closed(listener);
}

bool dure_listener_is_closed(const dure_listener *listener)
{
    return listener->is_closed;
}

uint64_t dure_listener_pauses(const dure_listener *listener)
{
    return atomic_load_explicit(&listener->pauses, memory_order_relaxed);
}

void dure_listener_destroy(dure_listener *listener)
{
    if (listener != NULL) {
        dure_iocp_object_release(&listener->object);
    }
}
