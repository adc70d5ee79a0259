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
#include "iocp/recycle_win32.h"
#include "iocp/socket_win32.h"
#include "iocp/system.h"

#define PACKETS_PER_POLL 256u
#define NS_PER_MS        1000000u

/* A socket's share of one round, so that a loud one takes no other's turn. */
#define RECVS_PER_ROUND 4u

/* A recv takes an int, and the system locks in memory what one WSASend is given. */
#define SEND_MOST ((size_t)1 << 20)

/* AcceptEx asks for sixteen bytes more than the largest address, twice. */
#define ADDRESS_ROOM (sizeof(struct sockaddr_storage) + 16)

/* An AcceptEx that fails at the call because of one connection is tried again so many times. */
#define ACCEPT_TRIES 4u

/* How long destroy waits for the last packets of sockets that were being recycled. */
#define LAST_PACKETS_MS 5000u

typedef struct win32_core {
    dure_iocp_core base;
    HANDLE port;
    dure_winsock system; /* unless config.winsock stands in its place */
    const dure_winsock *winsock;
    dure_recycler recycler;
    uint32_t listeners; /* without one, no accepted socket is worth keeping */
    dure_list hot;      /* sockets with something to read in this round */
    dure_list deferred; /* sockets that had their share; hot again in the next round */
    uint8_t *buffer;    /* what RECV lends: one for all, filled and lent at once */
    OVERLAPPED_ENTRY packets[PACKETS_PER_POLL];
    ULONG packet_count;
} win32_core;

/* One of a listener's outstanding AcceptEx. */
typedef struct win32_accept {
    dure_op op;
    SOCKET handle;
    bool is_recycled;
    uint8_t addresses[2 * ADDRESS_ROOM];
} win32_accept;

typedef struct win32_socket {
    dure_iocp_socket base;
    SOCKET handle;
    dure_op in_op;  /* of a receive */
    dure_op out_op; /* of a connect, then of a send */
    bool is_associated;
    bool is_bound;    /* by its owner */
    bool is_recycled; /* came from a pool and has not proved itself */
    bool is_altered;  /* has options that the next connection must not inherit */
    bool is_stranger; /* joined another core's port: looks as if its peer had ended */
    bool is_reset;
    bool has_connection;
    bool has_peer_ended;
    dure_socket_sort sort;
    uint32_t share; /* what it did in the round `round` */
    uint64_t round;
    dure_list node; /* in hot or deferred */

    /* of a listener */
    win32_accept *accepts;
    uint32_t accept_count;
    uint32_t accepts_pending;
    bool is_accept_ending;
    dure_err accept_status;
    int accept_error;
} win32_socket;

static win32_core *core_of(dure_iocp_core *core)
{
    return DURE_CONTAINER_OF(core, win32_core, base);
}

/* As core_of, for looking only; base is the first member. */
static const win32_core *core_view(const dure_iocp_core *core)
{
    return (const void *)core;
}

static win32_socket *socket_of(dure_iocp_socket *socket)
{
    return DURE_CONTAINER_OF(socket, win32_socket, base);
}

static const win32_socket *socket_view(const dure_iocp_socket *socket)
{
    return (const void *)socket;
}

static win32_core *socket_core(win32_socket *socket)
{
    return core_of(socket->base.core);
}

static void make_hot(win32_socket *socket)
{
    if (dure_list_is_empty(&socket->node)) {
        dure_list_push_back(&socket_core(socket)->hot, &socket->node);
    }
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
    win32_core *core = core_of(base);
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
    win32_core *core = core_of(base);
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
    BOOL is_posted = PostQueuedCompletionStatus(core_of(base)->port, 0, 0, NULL);
    DURE_ASSERT(is_posted);
}

static uint64_t win32_now_ns(const dure_iocp_core *core)
{
    (void)core;
    return dure_system_now_ns();
}

static uint64_t win32_wall_ms(const dure_iocp_core *core)
{
    (void)core;
    return dure_system_wall_ms();
}

static dure_err win32_entropy(dure_iocp_core *core, void *out, size_t len)
{
    (void)core;
    return dure_system_entropy(out, len);
}

static uint32_t win32_sockets_limit(const dure_iocp_core *core)
{
    (void)core;
    return dure_system_sockets_max();
}

/* ---- sockets ---- */

static win32_socket *socket_new(SOCKET handle)
{
    win32_socket *socket = dure_mem_alloc(sizeof *socket);
    if (socket != NULL) {
        socket->handle = handle;
        dure_list_init(&socket->node);
    }
    return socket;
}

static dure_err open_fresh(win32_core *core, dure_family family, SOCKET *out_handle)
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
    win32_core *core = core_of(base);
    SOCKET handle = dure_recycler_take(&core->recycler, DURE_SOCKET_CONNECTED, family);
    bool is_recycled = handle != INVALID_SOCKET;
    dure_err err = is_recycled ? DURE_OK : open_fresh(core, family, &handle);
    if (err != DURE_OK) {
        return err;
    }
    win32_socket *socket = socket_new(handle);
    if (socket == NULL) {
        (void)core->winsock->close_socket(handle);
        return DURE_ERR_NO_MEMORY;
    }
    socket->is_recycled = is_recycled;
    socket->is_associated = is_recycled;
    *out_socket = &socket->base;
    return DURE_OK;
}

static void note_reuse(win32_socket *socket)
{
    socket->is_recycled = false;
    socket_core(socket)->base.counters.sockets_reused++;
}

/* Puts a fresh socket in the place of a recycled one. */
static dure_err exchange_for_fresh(win32_socket *socket)
{
    SOCKET fresh = INVALID_SOCKET;
    dure_err err = open_fresh(socket_core(socket), socket->base.family, &fresh);
    if (err != DURE_OK) {
        return err;
    }
    (void)socket_core(socket)->winsock->close_socket(socket->handle);
    socket->handle = fresh;
    socket->is_recycled = false;
    socket->is_associated = false;
    return DURE_OK;
}

/* Before the first operation: a socket joins the port of the core that it ended up with. */
static dure_err socket_associate(win32_socket *socket)
{
    if (socket->is_associated) {
        return DURE_OK;
    }
    win32_core *core = socket_core(socket);
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
           (socket->sort == DURE_SOCKET_CONNECTED || socket_core(socket)->listeners > 0);
}

static void close_handle(win32_socket *socket, bool reset)
{
    win32_core *core = socket_core(socket);
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
    win32_socket *socket = socket_of(base);
    win32_core *core = socket_core(socket);
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
    dure_list_remove(&socket_of(base)->node);
}

static void win32_adopt(dure_iocp_core *core, dure_iocp_socket *base)
{
    win32_socket *socket = socket_of(base);
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
    DURE_ASSERT(socket_of(base)->handle == INVALID_SOCKET);
}

static void win32_free(dure_iocp_socket *base)
{
    win32_socket *socket = socket_of(base);
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
    dure_err err = open_fresh(socket_core(socket), socket->base.family, &fresh);
    if (err == DURE_OK) {
        dure_recycler_put_back(&socket_core(socket)->recycler, DURE_SOCKET_CONNECTED,
                               socket->base.family, recycled);
        socket->handle = fresh;
        socket->is_recycled = false;
        socket->is_associated = false;
    }
    return err;
}

static dure_err win32_bind(dure_iocp_socket *base, const dure_net_address *address)
{
    win32_socket *socket = socket_of(base);
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
    win32_socket *socket = socket_of(base);
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
    win32_socket *socket = socket_of(base);
    if (option == DURE_IOCP_OPTION_SEND_BUFFER || option == DURE_IOCP_OPTION_RECV_BUFFER ||
        option == DURE_IOCP_OPTION_V6ONLY) {
        socket->is_altered = true;
    }
    return dure_socket_handle_set(socket->handle, option, value);
}

/* ---- connect ---- */

static bool is_posted(BOOL result, int *out_error)
{
    *out_error = result ? 0 : WSAGetLastError();
    return *out_error == 0 || *out_error == ERROR_IO_PENDING;
}

static dure_err connect_prepare(win32_socket *socket)
{
    dure_err err = socket_associate(socket);
    if (err == DURE_OK && !socket->is_bound && !socket->is_recycled) {
        err = dure_socket_handle_bind_any(socket->handle, socket->base.family);
    }
    return err;
}

static bool connect_post(win32_socket *socket, dure_iocp_event *event, int *out_error)
{
    dure_sockaddr address;
    int len = dure_sockaddr_from(&event->_address, &address);
    dure_op_begin(&socket->out_op, DURE_OP_CONNECT, socket);
    socket_core(socket)->base.counters.system_calls++;
    if (is_posted(socket_core(socket)->winsock->connect_ex(socket->handle, &address.any, len, NULL,
                                                           0, NULL, &socket->out_op.overlapped),
                  out_error)) {
        return true;
    }
    socket->out_op.is_pending = false;
    return false;
}

/* A recycled socket was not taken: the same with a fresh one. False: the event is ready. */
static void connect_again(win32_socket *socket, dure_iocp_event *event)
{
    int system_error = 0;
    socket_core(socket)->base.counters.sockets_refused++;
    dure_err err = exchange_for_fresh(socket);
    if (err == DURE_OK) {
        err = connect_prepare(socket);
    }
    if (err == DURE_OK && !connect_post(socket, event, &system_error)) {
        err = dure_err_from_system(system_error);
    }
    if (err != DURE_OK) {
        dure_iocp_ready(event, err, system_error);
    }
}

static dure_err start_connect(win32_socket *socket, dure_iocp_event *event)
{
    int system_error = 0;
    dure_err err = connect_prepare(socket);
    if (err != DURE_OK || connect_post(socket, event, &system_error)) {
        return err;
    }
    if (socket->is_recycled) {
        connect_again(socket, event);
    } else {
        dure_iocp_ready(event, dure_err_from_system(system_error), system_error);
    }
    return DURE_OK;
}

/* What says something about the other side, whatever socket asked. */
static bool is_answer_of_peer(dure_err status)
{
    return status == DURE_ERR_CONNECT_REFUSED || status == DURE_ERR_TIMED_OUT ||
           status == DURE_ERR_UNREACHABLE;
}

static void connect_done(win32_socket *socket, dure_iocp_event *event, int system_error)
{
    bool is_unwanted = socket->base.state == DURE_IOCP_SOCKET_CLOSED || socket->out_op.is_cancelled;
    dure_err status = dure_err_from_system(system_error);
    if (status == DURE_OK && socket->base.state != DURE_IOCP_SOCKET_CLOSED) {
        /* Until then shutdown and getpeername do not work. */
        if (setsockopt(socket->handle, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0) != 0) {
            system_error = WSAGetLastError();
            status = dure_connection_error(system_error);
        } else if (dure_socket_handle_is_self_connected(socket->handle)) {
            status = DURE_ERR_SELF_CONNECT;
        }
    } else if (is_unwanted) {
        status = DURE_ERR_CANCELLED;
    } else if (socket->is_recycled && !is_answer_of_peer(status)) {
        connect_again(socket, event);
        return;
    }
    if (status == DURE_OK) {
        socket->has_connection = true;
        socket->sort = DURE_SOCKET_CONNECTED;
        if (socket->is_recycled) {
            note_reuse(socket);
        }
    }
    dure_iocp_ready(event, status, system_error);
}

/* ---- accept ---- */

static dure_err accept_take_socket(win32_core *core, win32_socket *listener, win32_accept *slot,
                                   bool may_recycle)
{
    slot->handle = may_recycle ? dure_recycler_take(&core->recycler, DURE_SOCKET_ACCEPTED,
                                                    listener->base.family)
                               : INVALID_SOCKET;
    slot->is_recycled = slot->handle != INVALID_SOCKET;
    return slot->is_recycled ? DURE_OK : open_fresh(core, listener->base.family, &slot->handle);
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
        if (is_posted(core->winsock->accept_ex(listener->handle, slot->handle, slot->addresses, 0,
                                               ADDRESS_ROOM, ADDRESS_ROOM, &bytes,
                                               &slot->op.overlapped),
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

static dure_err start_accept(win32_core *core, win32_socket *listener, dure_iocp_event *event)
{
    dure_err err = socket_associate(listener);
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

/* Ends with this status when the last AcceptEx has come back. */
static void accept_end(win32_core *core, win32_socket *listener, dure_err status, int system_error)
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
        accept_end(core, listener, DURE_ERR_TOO_MANY_FILES, 0);
        return NULL;
    }
    win32_socket *socket = socket_new(slot->handle);
    if (socket == NULL) {
        accept_end(core, listener, DURE_ERR_NO_MEMORY, 0);
        return NULL;
    }
    dure_iocp_socket_init(&socket->base, &core->base, listener->base.family,
                          DURE_IOCP_SOCKET_CONNECTED);
    socket->has_connection = true;
    socket->sort = DURE_SOCKET_ACCEPTED;
    socket->is_associated = slot->is_recycled;
    if (slot->is_recycled) {
        note_reuse(socket);
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
    slot->handle = INVALID_SOCKET;
    event->accepted = &socket->base;
    dure_iocp_deliver(event, DURE_OK, 0, true);
}

static void accept_done(win32_core *core, win32_socket *listener, win32_accept *slot,
                        int system_error)
{
    dure_iocp_event *event = listener->base.events[DURE_IOCP_ACCEPT];
    bool is_closed = listener->base.state == DURE_IOCP_SOCKET_CLOSED;
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

/* ---- receive ---- */

/* Waits for bytes, or the end, without a buffer. */
static void recv_post(win32_socket *socket, dure_iocp_event *event)
{
    WSABUF nothing = {0, NULL};
    DWORD flags = 0;
    dure_op_begin(&socket->in_op, DURE_OP_RECV, socket);
    socket_core(socket)->base.counters.system_calls++;
    if (WSARecv(socket->handle, &nothing, 1, NULL, &flags, &socket->in_op.overlapped, NULL) == 0) {
        return;
    }
    int system_error = WSAGetLastError();
    if (system_error != ERROR_IO_PENDING) {
        socket->in_op.is_pending = false;
        socket->is_reset = true;
        dure_iocp_ready(event, dure_connection_error(system_error), system_error);
    }
}

static dure_err start_recv(win32_socket *socket, dure_iocp_event *event)
{
    if (socket->is_stranger) {
        dure_iocp_ready(event, DURE_ERR_PEER_CLOSED, 0);
        return DURE_OK;
    }
    dure_err err = socket_associate(socket);
    if (err == DURE_OK) {
        recv_post(socket, event);
    }
    return err;
}

static void recv_done(win32_socket *socket, dure_iocp_event *event, int system_error)
{
    if (socket->base.state == DURE_IOCP_SOCKET_CLOSED || socket->in_op.is_cancelled) {
        dure_iocp_ready(event, DURE_ERR_CANCELLED, 0); /* bytes that are there stay there */
    } else if (system_error != 0) {
        socket->is_reset = true;
        dure_iocp_ready(event, dure_connection_error(system_error), system_error);
    } else if (event->kind == DURE_IOCP_PRE_RECV) {
        dure_iocp_ready(event, DURE_OK, 0);
    } else {
        make_hot(socket);
    }
}

/* Whether the socket may read once more in this round; if not, it is put off to the next. */
static bool take_share(win32_core *core, win32_socket *socket)
{
    if (socket->round != core->base.counters.rounds) {
        socket->round = core->base.counters.rounds;
        socket->share = 0;
    }
    if (socket->share == RECVS_PER_ROUND) {
        dure_list_remove(&socket->node);
        dure_list_push_back(&core->deferred, &socket->node);
        return false;
    }
    socket->share++;
    return true;
}

/* True: there may be more. */
static bool recv_result(win32_core *core, win32_socket *socket, dure_iocp_event *event, int got)
{
    uint32_t asked = core->base.config.recv_buffer_bytes;
    int system_error = got < 0 ? WSAGetLastError() : 0;
    if (got > 0) {
        event->data = core->buffer;
        event->bytes = (size_t)got;
        dure_iocp_deliver(event, DURE_OK, 0, true);
        if ((uint32_t)got == asked) {
            return true;
        }
        event = dure_iocp_socket_waiting(&socket->base, DURE_IOCP_RECV);
        if (event != NULL && !socket->in_op.is_pending) {
            recv_post(socket, event);
        }
    } else if (got == 0) {
        socket->has_peer_ended = true;
        dure_iocp_ready(event, DURE_ERR_PEER_CLOSED, 0);
    } else if (system_error == WSAEWOULDBLOCK) {
        recv_post(socket, event);
    } else {
        socket->is_reset = true;
        dure_iocp_ready(event, dure_connection_error(system_error), system_error);
    }
    return false;
}

static void socket_advance(win32_core *core, win32_socket *socket)
{
    dure_iocp_event *event = NULL;
    while ((event = dure_iocp_socket_waiting(&socket->base, DURE_IOCP_RECV)) != NULL &&
           !socket->in_op.is_pending) {
        if (!take_share(core, socket)) {
            return;
        }
        uint8_t *buffer = core->buffer;
        core->base.counters.system_calls++;
        int got = recv(socket->handle, (char *)buffer, (int)core->base.config.recv_buffer_bytes, 0);
        if (!recv_result(core, socket, event, got)) {
            return;
        }
    }
}

/* ---- send ---- */

static DWORD gather(const dure_iocp_slice *slices, const dure_iocp_event *event, WSABUF *out_parts)
{
    size_t room = SEND_MOST;
    DWORD count = 0;
    for (uint32_t i = event->_slice_at; i < event->_slice_count && room > 0; i++) {
        size_t len = slices[i].len < room ? slices[i].len : room;
        if (len > 0) {
            /* WSABUF is for reading too, hence its pointer is not const. */
            memcpy(&out_parts[count].buf, &slices[i].data, sizeof out_parts[count].buf);
            out_parts[count++].len = (ULONG)len;
            room -= len;
        }
    }
    return count;
}

static void send_post(win32_socket *socket, dure_iocp_event *event)
{
    WSABUF parts[DURE_IOCP_SLICES_MAX];
    DWORD count = gather(dure_iocp_event_slices(event), event, parts);
    if (count == 0) {
        bool is_all = dure_iocp_event_advance(event, 0);
        DURE_ASSERT(is_all);
        dure_iocp_ready(event, DURE_OK, 0);
        return;
    }
    dure_op_begin(&socket->out_op, DURE_OP_SEND, socket);
    socket_core(socket)->base.counters.system_calls++;
    if (WSASend(socket->handle, parts, count, NULL, 0, &socket->out_op.overlapped, NULL) == 0) {
        return;
    }
    int system_error = WSAGetLastError();
    if (system_error != ERROR_IO_PENDING) {
        socket->out_op.is_pending = false;
        socket->is_reset = true;
        dure_iocp_ready(event, dure_connection_error(system_error), system_error);
    }
}

static dure_err start_send(win32_socket *socket, dure_iocp_event *event)
{
    if (socket->is_reset || socket->is_stranger) {
        dure_iocp_ready(event, DURE_ERR_RESET, 0);
        return DURE_OK;
    }
    dure_err err = socket_associate(socket);
    if (err == DURE_OK) {
        send_post(socket, event);
    }
    return err;
}

static void send_done(win32_socket *socket, dure_iocp_event *event, size_t bytes, int system_error)
{
    bool is_all = bytes > 0 && dure_iocp_event_advance(event, bytes);
    if (is_all) {
        dure_iocp_ready(event, DURE_OK, 0);
    } else if (socket->base.state == DURE_IOCP_SOCKET_CLOSED || socket->out_op.is_cancelled) {
        dure_iocp_ready(event, DURE_ERR_CANCELLED, 0);
    } else if (system_error != 0) {
        socket->is_reset = true;
        dure_iocp_ready(event, dure_connection_error(system_error), system_error);
    } else {
        send_post(socket, event);
    }
}

/* The FIN; DisconnectEx comes when the peer's end was read and the socket is closed. */
static void start_disconnect(win32_socket *socket, dure_iocp_event *event)
{
    int system_error = 0;
    if (shutdown(socket->handle, SD_SEND) != 0) {
        system_error = WSAGetLastError();
    }
    socket_core(socket)->base.counters.system_calls++;
    if (socket->is_reset) {
        dure_iocp_ready(event, DURE_ERR_RESET, system_error);
    } else {
        dure_iocp_ready(event, dure_connection_error(system_error), system_error);
    }
}

/* ---- operations ---- */

static dure_err win32_start(dure_iocp_socket *base, dure_iocp_event *event)
{
    win32_socket *socket = socket_of(base);
    switch (event->kind) {
    case DURE_IOCP_CONNECT:
        return start_connect(socket, event);
    case DURE_IOCP_ACCEPT:
        return start_accept(core_of(base->core), socket, event);
    case DURE_IOCP_PRE_RECV:
    case DURE_IOCP_RECV:
        return start_recv(socket, event);
    case DURE_IOCP_SEND:
        return start_send(socket, event);
    case DURE_IOCP_DISCONNECT:
        start_disconnect(socket, event);
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
    (void)socket_core(socket)->winsock->cancel_io_ex((HANDLE)socket->handle, &op->overlapped);
}

static void win32_cancel(dure_iocp_socket *base, dure_iocp_event *event)
{
    win32_socket *socket = socket_of(base);
    if (!has_packet_to_come(socket, event->kind)) {
        dure_iocp_ready(event, DURE_ERR_CANCELLED, 0);
    } else if (event->kind == DURE_IOCP_ACCEPT) {
        accept_end(core_of(base->core), socket, DURE_ERR_CANCELLED, 0);
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
    return dure_winsock_result(socket_core(socket)->winsock, socket->handle, &op->overlapped);
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
        connect_done(socket, socket->base.events[DURE_IOCP_CONNECT], system_error);
        return;
    case DURE_OP_RECV:
        recv_done(socket, recv_event(socket), system_error);
        return;
    case DURE_OP_SEND:
        send_done(socket, socket->base.events[DURE_IOCP_SEND], packet->dwNumberOfBytesTransferred,
                  system_error);
        return;
    case DURE_OP_ACCEPT:
        accept_done(core, socket, DURE_CONTAINER_OF(op, win32_accept, op), system_error);
        return;
    case DURE_OP_RECYCLE:
        break;
    }
    DURE_UNREACHABLE();
}

static void win32_advance(dure_iocp_core *base)
{
    win32_core *core = core_of(base);
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
        socket_advance(core, DURE_CONTAINER_OF(node, win32_socket, node));
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
    .now_ns = win32_now_ns,
    .wall_ms = win32_wall_ms,
    .entropy = win32_entropy,
    .sockets_limit = win32_sockets_limit,
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
