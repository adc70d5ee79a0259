/* SPDX-License-Identifier: MIT
 *
 * AcceptEx without data, as many outstanding as the configuration says: each has a socket of its
 * own ready, and another takes its place when a connection has come. Trouble of one connection, or
 * of a recycled socket, stops nothing.
 */
#include "base/mem.h"
#include "iocp/core_impl_win32.h"

/* An AcceptEx that fails at the call because of one connection is tried again so many times. */
#define ACCEPT_TRIES 4u

static dure_err accept_take_socket(win32_core *core, win32_socket *listener, win32_accept *slot,
                                   bool may_recycle)
{
    slot->handle = may_recycle ? dure_recycler_take(&core->recycler, DURE_SOCKET_ACCEPTED,
                                                    listener->base.family)
                               : INVALID_SOCKET;
    slot->is_recycled = slot->handle != INVALID_SOCKET;
    return slot->is_recycled ? DURE_OK
                             : dure_win32_open_fresh(core, listener->base.family, &slot->handle);
}

static void accept_drop_socket(win32_core *core, win32_accept *slot)
{
    (void)core->winsock->close_socket(slot->handle);
    slot->handle = INVALID_SOCKET;
}

/* One AcceptEx. Trouble of a connection, and of a recycled socket, is passed over. */
static dure_err accept_post(win32_core *core, win32_socket *listener, win32_accept *slot,
                            int *out_error)
{
    dure_err err = DURE_ERR_RESET;
    for (uint32_t i = 0; i < ACCEPT_TRIES; i++) {
        DWORD bytes = 0;
        err = accept_take_socket(core, listener, slot, i == 0);
        if (err != DURE_OK) {
            return err;
        }
        dure_op_begin(&slot->op, DURE_OP_ACCEPT, listener);
        core->base.counters.system_calls++;
        if (dure_win32_is_posted(
                core->winsock->accept_ex(listener->handle, slot->handle, slot->addresses, 0,
                                         ADDRESS_ROOM, ADDRESS_ROOM, &bytes, &slot->op.overlapped),
                out_error)) {
            listener->accepts_pending++;
            return DURE_OK;
        }
        slot->op.is_pending = false;
        accept_drop_socket(core, slot);
        core->base.counters.sockets_refused += slot->is_recycled;
        err = dure_err_from_system(*out_error);
        if (!slot->is_recycled && !dure_accept_error_is_passing(*out_error)) {
            return err;
        }
    }
    return err;
}

/* All AcceptEx that are missing; what stands in the way matters only when none is left. */
static void accept_refill(win32_core *core, win32_socket *listener, dure_iocp_event *event)
{
    dure_err err = DURE_OK;
    int system_error = 0;
    for (uint32_t i = 0; i < listener->accept_count && err == DURE_OK; i++) {
        if (!listener->accepts[i].op.is_pending) {
            err = accept_post(core, listener, &listener->accepts[i], &system_error);
        }
    }
    if (listener->accepts_pending == 0) {
        dure_iocp_ready(event, err, system_error);
    }
}

dure_err dure_win32_accept(win32_core *core, win32_socket *listener, dure_iocp_event *event)
{
    dure_err err = dure_win32_associate(listener);
    if (err != DURE_OK) {
        return err;
    }
    if (listener->accepts == NULL) {
        listener->accept_count = core->base.config.accepts_max;
        listener->accepts = dure_mem_alloc_array(listener->accept_count, sizeof *listener->accepts);
        if (listener->accepts == NULL) {
            return DURE_ERR_NO_MEMORY;
        }
        core->listeners++;
    }
    listener->is_accept_ending = false;
    accept_refill(core, listener, event);
    return DURE_OK;
}

void dure_win32_accept_end(win32_core *core, win32_socket *listener, dure_err status,
                           int system_error)
{
    if (listener->is_accept_ending) {
        return;
    }
    listener->is_accept_ending = true;
    listener->accept_status = status;
    listener->accept_error = system_error;
    (void)core->winsock->cancel_io_ex((HANDLE)listener->handle, NULL);
}

/* The connection as a socket of ours; NULL when it is over already or there is no room. */
static win32_socket *accept_socket(win32_core *core, win32_socket *listener, win32_accept *slot)
{
    if (setsockopt(slot->handle, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT,
                   (const char *)&listener->handle, (int)sizeof listener->handle) != 0) {
        core->base.counters.sockets_refused += slot->is_recycled;
        return NULL;
    }
    if (!dure_iocp_core_has_room(&core->base)) {
        dure_win32_accept_end(core, listener, DURE_ERR_TOO_MANY_FILES, 0);
        return NULL;
    }
    win32_socket *socket = dure_win32_socket_new(slot->handle);
    if (socket == NULL) {
        dure_win32_accept_end(core, listener, DURE_ERR_NO_MEMORY, 0);
        return NULL;
    }
    dure_iocp_socket_init(&socket->base, &core->base, listener->base.family,
                          DURE_IOCP_SOCKET_CONNECTED);
    socket->has_connection = true;
    socket->sort = DURE_SOCKET_ACCEPTED;
    socket->is_associated = slot->is_recycled;
    if (slot->is_recycled) {
        dure_win32_note_reuse(socket);
    }
    return socket;
}

static void accept_deliver(win32_core *core, win32_socket *listener, dure_iocp_event *event,
                           win32_accept *slot)
{
    win32_socket *socket = accept_socket(core, listener, slot);
    if (socket == NULL) {
        dure_socket_handle_set_abort(slot->handle);
        accept_drop_socket(core, slot);
        return;
    }
    DURE_ASSERT(slot->handle != INVALID_SOCKET);
    slot->handle = INVALID_SOCKET;
    event->accepted = &socket->base;
    dure_iocp_deliver(event, DURE_OK, 0, true);
}

void dure_win32_accept_done(win32_core *core, win32_socket *listener, win32_accept *slot,
                            int system_error)
{
    dure_iocp_event *event = listener->base.events[DURE_IOCP_ACCEPT];
    bool is_closed = listener->base.state == DURE_IOCP_SOCKET_CLOSED;
    DURE_ASSERT(event != NULL);
    DURE_ASSERT(listener->accepts_pending > 0);
    listener->accepts_pending--;
    if (is_closed || system_error != 0) {
        core->base.counters.sockets_refused += slot->is_recycled && !is_closed &&
                                               !listener->is_accept_ending &&
                                               !dure_accept_error_is_passing(system_error);
        accept_drop_socket(core, slot);
    } else {
        accept_deliver(core, listener, event, slot);
        is_closed = listener->base.state == DURE_IOCP_SOCKET_CLOSED;
        if (dure_iocp_is_ready(event)) {
            return; /* the handler ended it, and nothing else was outstanding */
        }
    }
    if (is_closed && listener->accepts_pending == 0) {
        dure_iocp_ready(event, DURE_ERR_CANCELLED, 0);
    } else if (is_closed) {
        return;
    } else if (!listener->is_accept_ending) {
        accept_refill(core, listener, event);
    } else if (listener->accepts_pending == 0) {
        dure_iocp_ready(event, listener->accept_status, listener->accept_error);
    }
}
