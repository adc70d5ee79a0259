/* SPDX-License-Identifier: MIT
 *
 * The Windows I/O completion port. Each core has one port; a socket joins it with its first
 * operation. Connect, accept and send are overlapped. A receive waits with a WSARecv of no bytes,
 * so that an idle connection pins no buffer, and reads without waiting what is there then.
 *
 * What must survive a change:
 * - An event of a socket and its overlapped operation end together, by the packet; memory that the
 *   system may still write is not freed before. CancelIoEx only asks.
 * - Every operation is complete in memory before the posting call: its packet can overtake the
 *   return (another thread's port would see it; ours sees it in the next poll).
 * - Any error of a packet means "ended": systems differ in the code (995, 64, 676, 1236).
 * - A socket that joined a port stays with its core.
 */
#include <string.h>

#include "base/mem.h"
#include "iocp/backends.h"
#include "iocp/core_impl_win32.h"
#include "iocp/system.h"

#define NS_PER_MS 1000000u

/* How long destroy waits for the last packets of sockets that were being recycled. */
#define LAST_PACKETS_MS 5000u

/* As core_of, for looking only; base is the first member. */
static const win32_core *core_view(const dure_iocp_core *core)
{
    return (const void *)core;
}

static const win32_socket *socket_view(const dure_iocp_socket *socket)
{
    return (const void *)socket;
}

/* ---- core ---- */

static void take_packets(win32_core *core, DWORD wait_ms)
{
    ULONG count = 0;
    core->base.counters.system_calls++;
    /* On failure, such as a timeout, the count means nothing. */
    bool has_any = GetQueuedCompletionStatusEx(core->port, core->packets, PACKETS_PER_POLL, &count,
                                               wait_ms, FALSE) != FALSE;
    DURE_ASSERT(has_any || GetLastError() == WAIT_TIMEOUT);
    core->packet_count = has_any ? count : 0;
}

/* Nothing but sockets on their way to a pool is left. */
static void wait_for_recycler(win32_core *core)
{
    uint64_t until_ns = dure_system_now_ns() + (uint64_t)LAST_PACKETS_MS * NS_PER_MS;
    dure_recycler_close(&core->recycler);
    while (core->recycler.leaving_count > 0 && dure_system_now_ns() < until_ns) {
        take_packets(core, 100);
        for (ULONG i = 0; i < core->packet_count; i++) {
            OVERLAPPED *overlapped = core->packets[i].lpOverlapped;
            if (overlapped != NULL) {
                dure_recycler_completed(&core->recycler,
                                        DURE_CONTAINER_OF(overlapped, dure_op, overlapped));
            }
        }
    }
    /* What is freed while the system may write it is worse than what is lost. */
    DURE_ASSERT(core->recycler.leaving_count == 0);
}

static void win32_destroy(dure_iocp_core *base)
{
    win32_core *core = dure_win32_core_of(base);
    if (core->port != NULL) {
        wait_for_recycler(core);
        (void)CloseHandle(core->port);
    }
    dure_winsock_stop();
    dure_mem_free(core->buffer);
    dure_mem_free(core);
}

static dure_err win32_set_up(win32_core *core, const dure_iocp_core_config *config)
{
    core->winsock = config->winsock;
    if (core->winsock == NULL) {
        dure_err err = dure_winsock_load(&core->system);
        if (err != DURE_OK) {
            return err;
        }
        core->winsock = &core->system;
    }
    core->buffer = dure_mem_alloc(config->recv_buffer_bytes);
    if (core->buffer == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    /* One thread waits on it. */
    core->port = core->winsock->create_io_completion_port(INVALID_HANDLE_VALUE, NULL, 0, 1);
    if (core->port == NULL) {
        return dure_err_from_system((int)GetLastError());
    }
    dure_recycler_init(&core->recycler, config->recycling, core->port, core->winsock,
                       &core->base.counters);
    return DURE_OK;
}

static dure_err win32_create_core(const dure_iocp_core_config *config, const char **out_reason,
                                  dure_iocp_core **out_core)
{
    dure_err err = dure_winsock_start();
    if (err != DURE_OK) {
        *out_reason = "winsock_failed";
        return err;
    }
    win32_core *core = dure_mem_alloc(sizeof *core);
    if (core == NULL) {
        dure_winsock_stop();
        return DURE_ERR_NO_MEMORY;
    }
    dure_list_init(&core->hot);
    dure_list_init(&core->deferred);
    err = win32_set_up(core, config);
    if (err != DURE_OK) {
        *out_reason = "completion_port_failed";
        win32_destroy(&core->base);
        return err;
    }
    *out_core = &core->base;
    return DURE_OK;
}

/* Rounded up: a timer is never early. */
static DWORD timeout_ms(uint64_t wait_ns)
{
    if (wait_ns == UINT64_MAX) {
        return INFINITE;
    }
    uint64_t ms = wait_ns / NS_PER_MS + (wait_ns % NS_PER_MS != 0 ? 1 : 0);
    return ms > INT32_MAX ? (DWORD)INT32_MAX : (DWORD)ms;
}

static void win32_poll(dure_iocp_core *base, uint64_t wait_ns)
{
    win32_core *core = dure_win32_core_of(base);
    uint64_t due_ns = dure_recycler_due_ns(&core->recycler);
    if (due_ns != UINT64_MAX) {
        uint64_t now_ns = dure_system_now_ns();
        dure_recycler_expire(&core->recycler, now_ns);
        uint64_t left_ns = due_ns > now_ns ? due_ns - now_ns : 0;
        wait_ns = left_ns < wait_ns ? left_ns : wait_ns;
    }
    take_packets(core, timeout_ms(wait_ns));
    dure_list_move_all(&core->hot, &core->deferred);
}

static bool win32_is_busy(const dure_iocp_core *base)
{
    const win32_core *core = core_view(base);
    return core->packet_count > 0 || !dure_list_is_empty(&core->hot) ||
           !dure_list_is_empty(&core->deferred);
}

static bool win32_is_busy_now(const dure_iocp_core *base)
{
    const win32_core *core = core_view(base);
    return core->packet_count > 0 || !dure_list_is_empty(&core->hot);
}

static void win32_wake(dure_iocp_core *base)
{
    BOOL is_posted = PostQueuedCompletionStatus(dure_win32_core_of(base)->port, 0, 0, NULL);
    DURE_ASSERT(is_posted);
}

/* ---- sockets ---- */

win32_socket *dure_win32_socket_new(SOCKET handle)
{
    win32_socket *socket = dure_mem_alloc(sizeof *socket);
    if (socket != NULL) {
        socket->handle = handle;
        dure_list_init(&socket->node);
    }
    return socket;
}

dure_err dure_win32_open_fresh(win32_core *core, dure_family family, SOCKET *out_handle)
{
    dure_err err = dure_socket_handle_open(family, out_handle);
    if (err == DURE_OK) {
        core->base.counters.sockets_fresh++;
    }
    return err;
}

/* A socket that is opened is mostly there to connect, so a connected one of before will do; for
 * anything else it is exchanged. */
static dure_err win32_open(dure_iocp_core *base, dure_family family, dure_iocp_socket **out_socket)
{
    win32_core *core = dure_win32_core_of(base);
    SOCKET handle = dure_recycler_take(&core->recycler, DURE_SOCKET_CONNECTED, family);
    bool is_recycled = handle != INVALID_SOCKET;
    dure_err err = is_recycled ? DURE_OK : dure_win32_open_fresh(core, family, &handle);
    if (err != DURE_OK) {
        return err;
    }
    win32_socket *socket = dure_win32_socket_new(handle);
    if (socket == NULL) {
        (void)core->winsock->close_socket(handle);
        return DURE_ERR_NO_MEMORY;
    }
    socket->is_recycled = is_recycled;
    socket->is_associated = is_recycled;
    *out_socket = &socket->base;
    return DURE_OK;
}

void dure_win32_note_reuse(win32_socket *socket)
{
    socket->is_recycled = false;
    dure_win32_socket_core(socket)->base.counters.sockets_reused++;
}

dure_err dure_win32_exchange_for_fresh(win32_socket *socket)
{
    SOCKET fresh = INVALID_SOCKET;
    dure_err err =
        dure_win32_open_fresh(dure_win32_socket_core(socket), socket->base.family, &fresh);
    if (err != DURE_OK) {
        return err;
    }
    (void)dure_win32_socket_core(socket)->winsock->close_socket(socket->handle);
    socket->handle = fresh;
    socket->is_recycled = false;
    socket->is_associated = false;
    return DURE_OK;
}

dure_err dure_win32_associate(win32_socket *socket)
{
    if (socket->is_associated) {
        return DURE_OK;
    }
    win32_core *core = dure_win32_socket_core(socket);
    if (core->winsock->create_io_completion_port((HANDLE)socket->handle, core->port, 0, 0) ==
        NULL) {
        return dure_err_from_system((int)GetLastError());
    }
    socket->is_associated = true;
    return DURE_OK;
}

static bool is_worth_recycling(win32_socket *socket, bool reset)
{
    return !reset && socket->base.pending == 0 && socket->has_connection &&
           socket->has_peer_ended && socket->is_associated && !socket->is_altered &&
           !socket->is_reset && !socket->is_stranger &&
           (socket->sort == DURE_SOCKET_CONNECTED || dure_win32_socket_core(socket)->listeners > 0);
}

static void close_handle(win32_socket *socket, bool reset)
{
    win32_core *core = dure_win32_socket_core(socket);
    if (socket->base.pending > 0) {
        /* Before closesocket, which alone leaves a large send waiting for its peer. */
        (void)core->winsock->cancel_io_ex((HANDLE)socket->handle, NULL);
    }
    if (reset) {
        dure_socket_handle_set_abort(socket->handle);
    }
    (void)core->winsock->close_socket(socket->handle);
}

static bool has_packet_to_come(const win32_socket *socket, dure_iocp_kind kind)
{
    switch (kind) {
    case DURE_IOCP_CONNECT:
    case DURE_IOCP_SEND:
        return socket->out_op.is_pending;
    case DURE_IOCP_PRE_RECV:
    case DURE_IOCP_RECV:
        return socket->in_op.is_pending;
    case DURE_IOCP_ACCEPT:
        return socket->accepts_pending > 0;
    case DURE_IOCP_DISCONNECT:
    case DURE_IOCP_TIMER:
    case DURE_IOCP_POST:
    case DURE_IOCP_JOB:
        break;
    }
    return false;
}

static void win32_close(dure_iocp_socket *base, bool reset)
{
    win32_socket *socket = dure_win32_socket_of(base);
    win32_core *core = dure_win32_socket_core(socket);
    dure_list_remove(&socket->node);
    if (socket->accepts != NULL) {
        core->listeners--;
    }
    if (!is_worth_recycling(socket, reset) ||
        !dure_recycler_give(&core->recycler, socket->sort, base->family, socket->handle,
                            dure_system_now_ns())) {
        close_handle(socket, reset);
    }
    socket->handle = INVALID_SOCKET;
    for (size_t kind = 0; kind < DURE_IOCP_SOCKET_KINDS; kind++) {
        dure_iocp_event *event = dure_iocp_socket_waiting(base, (dure_iocp_kind)kind);
        if (event != NULL && !has_packet_to_come(socket, event->kind)) {
            dure_iocp_ready(event, DURE_ERR_CANCELLED, 0);
        }
    }
}

static void win32_release(dure_iocp_socket *base)
{
    dure_list_remove(&dure_win32_socket_of(base)->node);
}

static void win32_adopt(dure_iocp_core *core, dure_iocp_socket *base)
{
    win32_socket *socket = dure_win32_socket_of(base);
    socket->round = 0;
    if (socket->is_associated && core != base->core) {
        socket->is_stranger = true;
        (void)shutdown(socket->handle, SD_BOTH);
    }
}

static bool win32_is_pinned(const dure_iocp_socket *base)
{
    return socket_view(base)->is_associated;
}

static void win32_bury(dure_iocp_socket *base)
{
    DURE_ASSERT(dure_win32_socket_of(base)->handle == INVALID_SOCKET);
}

static void win32_free(dure_iocp_socket *base)
{
    win32_socket *socket = dure_win32_socket_of(base);
    dure_mem_free(socket->accepts);
    dure_mem_free(socket);
}

/* Options of a recycled socket would not be noticed to be another's. */
static dure_err make_own(win32_socket *socket)
{
    if (!socket->is_recycled) {
        return DURE_OK;
    }
    SOCKET recycled = socket->handle;
    SOCKET fresh = INVALID_SOCKET;
    dure_err err =
        dure_win32_open_fresh(dure_win32_socket_core(socket), socket->base.family, &fresh);
    if (err == DURE_OK) {
        dure_recycler_put_back(&dure_win32_socket_core(socket)->recycler, DURE_SOCKET_CONNECTED,
                               socket->base.family, recycled);
        socket->handle = fresh;
        socket->is_recycled = false;
        socket->is_associated = false;
    }
    return err;
}

static dure_err win32_bind(dure_iocp_socket *base, const dure_net_address *address)
{
    win32_socket *socket = dure_win32_socket_of(base);
    dure_err err = make_own(socket);
    if (err == DURE_OK) {
        err = dure_socket_handle_bind(socket->handle, address);
    }
    if (err == DURE_OK) {
        socket->is_bound = true;
    }
    return err;
}

static dure_err win32_listen(dure_iocp_socket *base, uint32_t backlog)
{
    win32_socket *socket = dure_win32_socket_of(base);
    if (!socket->is_bound) {
        return DURE_ERR_INVALID;
    }
    return dure_socket_handle_listen(socket->handle, backlog);
}

static dure_err win32_local(const dure_iocp_socket *base, dure_net_address *out_address)
{
    return dure_socket_handle_local(socket_view(base)->handle, out_address);
}

static dure_err win32_peer(const dure_iocp_socket *base, dure_net_address *out_address)
{
    return dure_socket_handle_peer(socket_view(base)->handle, out_address);
}

static dure_err win32_set(dure_iocp_socket *base, dure_iocp_option option, int value)
{
    win32_socket *socket = dure_win32_socket_of(base);
    if (option == DURE_IOCP_OPTION_SEND_BUFFER || option == DURE_IOCP_OPTION_RECV_BUFFER ||
        option == DURE_IOCP_OPTION_V6ONLY) {
        socket->is_altered = true;
    }
    return dure_socket_handle_set(socket->handle, option, value);
}

/* ---- operations ---- */

static dure_err win32_start(dure_iocp_socket *base, dure_iocp_event *event)
{
    win32_socket *socket = dure_win32_socket_of(base);
    switch (event->kind) {
    case DURE_IOCP_CONNECT:
        return dure_win32_connect(socket, event);
    case DURE_IOCP_ACCEPT:
        return dure_win32_accept(dure_win32_core_of(base->core), socket, event);
    case DURE_IOCP_PRE_RECV:
    case DURE_IOCP_RECV:
        return dure_win32_recv(socket, event);
    case DURE_IOCP_SEND:
        return dure_win32_send(socket, event);
    case DURE_IOCP_DISCONNECT:
        dure_win32_disconnect(socket, event);
        return DURE_OK;
    case DURE_IOCP_TIMER:
    case DURE_IOCP_POST:
    case DURE_IOCP_JOB:
        break;
    }
    DURE_UNREACHABLE();
}

static void op_cancel(win32_socket *socket, dure_op *op)
{
    op->is_cancelled = true;
    /* Not found: it has completed, and its packet is on the way. */
    (void)dure_win32_socket_core(socket)->winsock->cancel_io_ex((HANDLE)socket->handle,
                                                                &op->overlapped);
}

static void win32_cancel(dure_iocp_socket *base, dure_iocp_event *event)
{
    win32_socket *socket = dure_win32_socket_of(base);
    if (!has_packet_to_come(socket, event->kind)) {
        dure_iocp_ready(event, DURE_ERR_CANCELLED, 0);
    } else if (event->kind == DURE_IOCP_ACCEPT) {
        dure_win32_accept_end(dure_win32_core_of(base->core), socket, DURE_ERR_CANCELLED, 0);
    } else if (event->kind == DURE_IOCP_CONNECT || event->kind == DURE_IOCP_SEND) {
        op_cancel(socket, &socket->out_op);
    } else {
        op_cancel(socket, &socket->in_op);
    }
}

/* The event that waits for a receive's packet: only one of the two can be active. */
static dure_iocp_event *recv_event(win32_socket *socket)
{
    dure_iocp_event *event = socket->base.events[DURE_IOCP_RECV];
    return event != NULL ? event : socket->base.events[DURE_IOCP_PRE_RECV];
}

static int packet_error(win32_socket *socket, dure_op *op)
{
    if (socket->handle == INVALID_SOCKET) {
        return ERROR_OPERATION_ABORTED; /* whatever it was, nobody wants it */
    }
    return dure_winsock_result(dure_win32_socket_core(socket)->winsock, socket->handle,
                               &op->overlapped);
}

static void packet_arrived(win32_core *core, const OVERLAPPED_ENTRY *packet)
{
    dure_op *op = DURE_CONTAINER_OF(packet->lpOverlapped, dure_op, overlapped);
    op->is_pending = false;
    if (op->kind == DURE_OP_RECYCLE) {
        dure_recycler_completed(&core->recycler, op);
        return;
    }
    win32_socket *socket = op->owner;
    int system_error = packet_error(socket, op);
    switch (op->kind) {
    case DURE_OP_CONNECT:
        dure_win32_connect_done(socket, socket->base.events[DURE_IOCP_CONNECT], system_error);
        return;
    case DURE_OP_RECV:
        dure_win32_recv_done(socket, recv_event(socket), system_error);
        return;
    case DURE_OP_SEND:
        dure_win32_send_done(socket, socket->base.events[DURE_IOCP_SEND],
                             packet->dwNumberOfBytesTransferred, system_error);
        return;
    case DURE_OP_ACCEPT:
        dure_win32_accept_done(core, socket, DURE_CONTAINER_OF(op, win32_accept, op), system_error);
        return;
    case DURE_OP_RECYCLE:
        break;
    }
    DURE_UNREACHABLE();
}

static void win32_advance(dure_iocp_core *base)
{
    win32_core *core = dure_win32_core_of(base);
    dure_list batch;
    dure_list *node = NULL;
    for (ULONG i = 0; i < core->packet_count; i++) {
        if (core->packets[i].lpOverlapped != NULL) {
            packet_arrived(core, &core->packets[i]);
        }
    }
    core->packet_count = 0;
    dure_list_init(&batch);
    dure_list_move_all(&batch, &core->hot);
    while ((node = dure_list_pop_front(&batch)) != NULL) {
        dure_win32_read(core, DURE_CONTAINER_OF(node, win32_socket, node));
    }
}

const dure_iocp_backend dure_iocp_backend_win32 = {
    .name = "win32",
    .create = win32_create_core,
    .destroy = win32_destroy,
    .poll = win32_poll,
    .advance = win32_advance,
    .is_busy = win32_is_busy,
    .is_busy_now = win32_is_busy_now,
    .wake = win32_wake,
    .open = win32_open,
    .close = win32_close,
    .release = win32_release,
    .adopt = win32_adopt,
    .is_pinned = win32_is_pinned,
    .bury = win32_bury,
    .free = win32_free,
    .bind = win32_bind,
    .listen = win32_listen,
    .local = win32_local,
    .peer = win32_peer,
    .set = win32_set,
    .start = win32_start,
    .cancel = win32_cancel,
};
