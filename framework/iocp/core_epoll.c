/* SPDX-License-Identifier: MIT
 *
 * Readiness turned into completions. Each socket is registered once, edge-triggered, so an idle one
 * costs nothing and a busy one no epoll_ctl. An edge sets is_readable or is_writable and puts the
 * socket on the hot list; advance tries the operations of hot sockets until the system says EAGAIN.
 *
 * What must survive a change: a flag is cleared only by EAGAIN or by a read that came back short
 * with no end in sight; whoever stops earlier leaves the socket hot, or the edge is lost.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/mem.h"
#include "iocp/backends.h"
#include "iocp/socket_posix.h"

#define EVENTS_PER_POLL 256
#define NS_PER_MS       1000000u

typedef struct epoll_core {
    dure_iocp_core base;
    int epoll_fd;
    int wake_fd;
    int spare_fd;
    dure_list hot;      /* sockets to be looked at in this round */
    dure_list deferred; /* sockets that had their share; hot again in the next round */
    uint8_t *buffer;    /* what RECV lends: one for all, filled and lent at once */
    struct epoll_event events[EVENTS_PER_POLL];
} epoll_core;

typedef struct epoll_socket {
    dure_iocp_socket base;
    int fd;
    bool is_registered;
    bool is_readable;
    bool is_writable;
    bool is_ending; /* FIN, reset or error was seen: a short read is not the last */
    uint32_t share; /* what it did in the round `round` */
    uint64_t round;
    dure_list node; /* in hot or deferred */
} epoll_socket;

static epoll_core *core_of(dure_iocp_core *core)
{
    return DURE_CONTAINER_OF(core, epoll_core, base);
}

/* As core_of, for looking only; base is the first member. */
static const epoll_core *core_view(const dure_iocp_core *core)
{
    return (const void *)core;
}

static epoll_socket *socket_of(dure_iocp_socket *socket)
{
    return DURE_CONTAINER_OF(socket, epoll_socket, base);
}

static const epoll_socket *socket_view(const dure_iocp_socket *socket)
{
    return (const void *)socket;
}

static void make_hot(epoll_socket *socket)
{
    DURE_ASSERT(socket->fd >= 0);
    if (dure_list_is_empty(&socket->node)) {
        dure_list_push_back(&core_of(socket->base.core)->hot, &socket->node);
    }
}

/* ---- core ---- */

static void epoll_destroy(dure_iocp_core *base)
{
    epoll_core *core = core_of(base);
    DURE_ASSERT(dure_list_is_empty(&core->hot));
    DURE_ASSERT(dure_list_is_empty(&core->deferred));
    const int fds[] = {core->epoll_fd, core->wake_fd, core->spare_fd};
    for (size_t i = 0; i < DURE_COUNT_OF(fds); i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
    dure_mem_free(core->buffer);
    dure_mem_free(core);
}

static dure_err epoll_open_fds(epoll_core *core)
{
    core->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    core->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    core->spare_fd = dure_spare_fd_open();
    if (core->epoll_fd < 0 || core->wake_fd < 0) {
        return dure_err_from_system(errno);
    }
    struct epoll_event interest = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(core->epoll_fd, EPOLL_CTL_ADD, core->wake_fd, &interest) != 0) {
        return dure_err_from_system(errno);
    }
    return DURE_OK;
}

static dure_err epoll_create_core(const dure_iocp_core_config *config, const char **out_reason,
                                  dure_iocp_core **out_core)
{
    epoll_core *core = dure_mem_alloc(sizeof *core);
    if (core == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_list_init(&core->hot);
    dure_list_init(&core->deferred);
    dure_err err = epoll_open_fds(core);
    core->buffer = dure_mem_alloc(config->recv_buffer_bytes);
    if (err == DURE_OK && core->buffer == NULL) {
        err = DURE_ERR_NO_MEMORY;
    }
    if (err != DURE_OK) {
        *out_reason = "epoll_failed";
        epoll_destroy(&core->base);
        return err;
    }
    *out_core = &core->base;
    return DURE_OK;
}

static void drain_wake_fd(epoll_core *core)
{
    uint64_t count = 0;
    ssize_t got = read(core->wake_fd, &count, sizeof count);
    (void)got; /* EAGAIN: somebody else's wake was read with the last one */
}

static void note_edge(epoll_core *core, const struct epoll_event *edge)
{
    epoll_socket *socket = edge->data.ptr;
    if (socket == NULL) {
        drain_wake_fd(core);
        return;
    }
    const uint32_t ends = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
    if ((edge->events & ends) != 0) {
        socket->is_ending = true;
    }
    if ((edge->events & (EPOLLIN | ends)) != 0) {
        socket->is_readable = true;
    }
    if ((edge->events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
        socket->is_writable = true;
    }
    make_hot(socket);
}

/* Rounded up: a timer is never early. */
static int timeout_ms(uint64_t wait_ns)
{
    uint64_t ms = wait_ns / NS_PER_MS + (wait_ns % NS_PER_MS != 0 ? 1 : 0);
    if (wait_ns == UINT64_MAX) {
        return -1;
    }
    return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

static void epoll_poll(dure_iocp_core *base, uint64_t wait_ns)
{
    epoll_core *core = core_of(base);
    base->counters.system_calls++;
    int count = epoll_wait(core->epoll_fd, core->events, EVENTS_PER_POLL, timeout_ms(wait_ns));
    DURE_ASSERT(count >= 0 || errno == EINTR);
    dure_list_move_all(&core->hot, &core->deferred);
    for (int i = 0; i < count; i++) {
        note_edge(core, &core->events[i]);
    }
}

static bool epoll_is_busy(const dure_iocp_core *base)
{
    const epoll_core *core = core_view(base);
    return !dure_list_is_empty(&core->hot) || !dure_list_is_empty(&core->deferred);
}

static bool epoll_is_busy_now(const dure_iocp_core *base)
{
    return !dure_list_is_empty(&core_view(base)->hot);
}

static void epoll_wake(dure_iocp_core *base)
{
    const uint64_t one = 1;
    ssize_t put = write(core_of(base)->wake_fd, &one, sizeof one);
    (void)put; /* EAGAIN: the counter is full, so the core is awake */
}

/* ---- sockets ---- */

static epoll_socket *socket_new(int fd)
{
    epoll_socket *socket = dure_mem_alloc(sizeof *socket);
    if (socket != NULL) {
        socket->fd = fd;
        socket->is_writable = true; /* until a send finds otherwise */
        dure_list_init(&socket->node);
    }
    return socket;
}

static dure_err epoll_open(dure_iocp_core *core, dure_family family, dure_iocp_socket **out_socket)
{
    (void)core;
    int fd = -1;
    dure_err err = dure_socket_fd_open(family, &fd);
    if (err != DURE_OK) {
        return err;
    }
    epoll_socket *socket = socket_new(fd);
    if (socket == NULL) {
        (void)close(fd);
        return DURE_ERR_NO_MEMORY;
    }
    *out_socket = &socket->base;
    return DURE_OK;
}

/* A socket without a connection is not registered: it would report a hang-up. */
static dure_err socket_register(epoll_core *core, epoll_socket *socket)
{
    struct epoll_event interest = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                   .data.ptr = socket};
    DURE_ASSERT(!socket->is_registered);
    if (epoll_ctl(core->epoll_fd, EPOLL_CTL_ADD, socket->fd, &interest) != 0) {
        return errno == ENOSPC ? DURE_ERR_TOO_MANY_FILES : dure_err_from_system(errno);
    }
    socket->is_registered = true;
    return DURE_OK;
}

/* close(2) alone would not do: a process that was forked meanwhile shares the file until it execs,
 * and the registration lives as long as the file. */
static void socket_unregister(epoll_socket *socket, epoll_core *core)
{
    if (socket->is_registered) {
        (void)epoll_ctl(core->epoll_fd, EPOLL_CTL_DEL, socket->fd, NULL);
        socket->is_registered = false;
    }
}

static void epoll_close(dure_iocp_socket *base, bool reset)
{
    epoll_socket *socket = socket_of(base);
    for (size_t kind = 0; kind < DURE_IOCP_SOCKET_KINDS; kind++) {
        dure_iocp_event *event = dure_iocp_socket_waiting(base, (dure_iocp_kind)kind);
        if (event != NULL) {
            dure_iocp_ready(event, DURE_ERR_CANCELLED, 0);
        }
    }
    DURE_ASSERT(socket->fd >= 0);
    dure_list_remove(&socket->node);
    if (reset) {
        dure_socket_fd_set_abort(socket->fd);
    }
    socket_unregister(socket, core_of(base->core));
    (void)close(socket->fd);
    socket->fd = -1;
}

static void epoll_release(dure_iocp_socket *base)
{
    epoll_socket *socket = socket_of(base);
    dure_list_remove(&socket->node);
    socket_unregister(socket, core_of(base->core));
}

/* What had come before is reported by the new registration. */
static void epoll_adopt(dure_iocp_core *core, dure_iocp_socket *base)
{
    epoll_socket *socket = socket_of(base);
    DURE_ASSERT(!socket->is_registered);
    DURE_ASSERT(dure_list_is_empty(&socket->node));
    socket->round = 0;
    if (socket_register(core_of(core), socket) != DURE_OK) {
        (void)shutdown(socket->fd, SHUT_RDWR);
        socket->is_readable = true;
        dure_list_push_back(&core_of(core)->hot, &socket->node);
    }
}

static void epoll_bury(dure_iocp_socket *base)
{
    DURE_ASSERT(socket_of(base)->fd < 0);
}

static void epoll_free(dure_iocp_socket *base)
{
    dure_mem_free(socket_of(base));
}

static dure_err epoll_bind(dure_iocp_socket *base, const dure_net_address *address)
{
    return dure_socket_fd_bind(socket_of(base)->fd, address);
}

static dure_err epoll_listen(dure_iocp_socket *base, uint32_t backlog)
{
    epoll_socket *socket = socket_of(base);
    dure_err err = dure_socket_fd_listen(socket->fd, backlog);
    if (err == DURE_OK && !socket->is_registered) {
        err = socket_register(core_of(base->core), socket);
    }
    return err;
}

static dure_err epoll_local(const dure_iocp_socket *base, dure_net_address *out_address)
{
    return dure_socket_fd_local(socket_view(base)->fd, out_address);
}

static dure_err epoll_peer(const dure_iocp_socket *base, dure_net_address *out_address)
{
    return dure_socket_fd_peer(socket_view(base)->fd, out_address);
}

static dure_err epoll_set(dure_iocp_socket *base, dure_iocp_option option, int value)
{
    return dure_socket_fd_set(socket_of(base)->fd, option, value);
}

static uint64_t epoll_acknowledged(const dure_iocp_socket *base)
{
    return dure_socket_fd_acknowledged(((const epoll_socket *)(const void *)base)->fd);
}

/* ---- connect ---- */

static void connect_finish(epoll_socket *socket, dure_iocp_event *event, int system_error)
{
    dure_err status = dure_err_from_system(system_error);
    if (status == DURE_OK && dure_socket_fd_is_self_connected(socket->fd)) {
        status = DURE_ERR_SELF_CONNECT;
    }
    dure_iocp_ready(event, status, system_error);
}

static dure_err start_connect(epoll_core *core, epoll_socket *socket, dure_iocp_event *event)
{
    dure_sockaddr address;
    socklen_t len = dure_sockaddr_from(&event->_address, &address);
    core->base.counters.system_calls++;
    int result = connect(socket->fd, &address.any, len);
    int system_error = result == 0 ? 0 : errno;
    socket->is_writable = false;
    dure_err err = socket_register(core, socket);
    if (err != DURE_OK) {
        return err;
    }
    if (system_error != EINPROGRESS && system_error != EINTR) {
        socket->is_writable = true;
        connect_finish(socket, event, system_error);
    }
    return DURE_OK;
}

static void try_connect(epoll_socket *socket, dure_iocp_event *event)
{
    int system_error = 0;
    socklen_t len = sizeof system_error;
    if (getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &system_error, &len) != 0) {
        system_error = errno;
    }
    connect_finish(socket, event, system_error);
}

/* ---- accept ---- */

/* Whether the socket may do one more thing in this round; if not, it is put off to the next. */
static bool take_share(epoll_core *core, epoll_socket *socket, uint32_t share_max)
{
    if (socket->round != core->base.counters.rounds) {
        socket->round = core->base.counters.rounds;
        socket->share = 0;
    }
    DURE_ASSERT(socket->share <= share_max);
    if (socket->share == share_max) {
        dure_list_remove(&socket->node);
        dure_list_push_back(&core->deferred, &socket->node);
        return false;
    }
    socket->share++;
    return true;
}

static void accept_exhausted(epoll_core *core, epoll_socket *listener, dure_iocp_event *event,
                             int system_error)
{
    dure_spare_fd_refuse(&core->spare_fd, listener->fd);
    dure_iocp_ready(event, DURE_ERR_TOO_MANY_FILES, system_error);
}

static void accept_deliver(epoll_core *core, epoll_socket *listener, dure_iocp_event *event, int fd)
{
    epoll_socket *socket = socket_new(fd);
    dure_err err = socket == NULL ? DURE_ERR_NO_MEMORY : socket_register(core, socket);
    if (err != DURE_OK) {
        dure_mem_free(socket);
        (void)close(fd);
        dure_iocp_ready(event, err, 0);
        return;
    }
    dure_iocp_socket_init(&socket->base, &core->base, listener->base.family,
                          DURE_IOCP_SOCKET_CONNECTED);
    event->accepted = &socket->base;
    dure_iocp_deliver(event, DURE_OK, 0, true);
}

static void try_accept(epoll_core *core, epoll_socket *listener)
{
    dure_iocp_event *event = NULL;
    while (listener->is_readable &&
           (event = dure_iocp_socket_waiting(&listener->base, DURE_IOCP_ACCEPT)) != NULL) {
        if (!take_share(core, listener, DURE_IOCP_ACCEPTS_PER_ROUND)) {
            return;
        }
        core->base.counters.system_calls++;
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        int system_error = errno;
        if (fd >= 0 && dure_iocp_core_has_room(&core->base)) {
            accept_deliver(core, listener, event, fd);
        } else if (fd >= 0) {
            dure_socket_fd_set_abort(fd);
            (void)close(fd);
            dure_iocp_ready(event, DURE_ERR_TOO_MANY_FILES, 0);
        } else if (system_error == EAGAIN) {
            listener->is_readable = false;
        } else if (system_error == EMFILE || system_error == ENFILE) {
            accept_exhausted(core, listener, event, system_error);
        } else if (!dure_accept_error_is_passing(system_error)) {
            dure_iocp_ready(event, dure_err_from_system(system_error), system_error);
        }
    }
}

/* ---- receive ---- */

static void try_pre_recv(epoll_core *core, epoll_socket *socket, dure_iocp_event *event)
{
    uint8_t byte = 0;
    core->base.counters.system_calls++;
    ssize_t got = recv(socket->fd, &byte, 1, MSG_PEEK);
    if (got >= 0) {
        dure_iocp_ready(event, DURE_OK, 0);
    } else if (errno == EAGAIN) {
        socket->is_readable = false;
    } else if (errno != EINTR) {
        dure_iocp_ready(event, dure_connection_error(errno), errno);
    }
}

static void recv_result(epoll_core *core, epoll_socket *socket, dure_iocp_event *event, ssize_t got,
                        int system_error)
{
    if (got > 0) {
        size_t asked = core->base.config.recv_buffer_bytes;
        DURE_ASSERT((size_t)got <= asked);
        if ((size_t)got < asked && !socket->is_ending) {
            socket->is_readable = false;
        }
        event->data = core->buffer;
        event->bytes = (size_t)got;
        dure_iocp_deliver(event, DURE_OK, 0, true);
    } else if (got == 0) {
        dure_iocp_ready(event, DURE_ERR_PEER_CLOSED, 0);
    } else if (system_error == EAGAIN) {
        socket->is_readable = false;
    } else if (system_error != EINTR) {
        dure_iocp_ready(event, dure_connection_error(system_error), system_error);
    }
}

static void try_recv(epoll_core *core, epoll_socket *socket)
{
    dure_iocp_event *event = NULL;
    while (socket->is_readable &&
           (event = dure_iocp_socket_waiting(&socket->base, DURE_IOCP_RECV)) != NULL) {
        if (!take_share(core, socket, DURE_IOCP_RECVS_PER_ROUND)) {
            return;
        }
        core->base.counters.system_calls++;
        ssize_t got = recv(socket->fd, core->buffer, core->base.config.recv_buffer_bytes, 0);
        recv_result(core, socket, event, got, errno);
    }
}

/* ---- send ---- */

static void try_send(epoll_core *core, epoll_socket *socket, dure_iocp_event *event)
{
    struct iovec parts[DURE_IOCP_SLICES_MAX];
    while (socket->is_writable && !dure_iocp_is_ready(event)) {
        const dure_iocp_slice *slices = dure_iocp_event_slices(event);
        size_t count = 0;
        for (uint32_t i = event->_slice_at; i < event->_slice_count; i++) {
            /* iovec is for reading too, hence its pointer is not const. */
            memcpy(&parts[count].iov_base, &slices[i].data, sizeof parts[count].iov_base);
            parts[count++].iov_len = slices[i].len;
        }
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
        core->base.counters.system_calls++;
        ssize_t sent = sendmsg(socket->fd, &message, MSG_NOSIGNAL);
        if (sent >= 0) {
            if (dure_iocp_event_advance(event, (size_t)sent)) {
                dure_iocp_ready(event, DURE_OK, 0);
            }
        } else if (errno == EAGAIN) {
            socket->is_writable = false;
        } else if (errno != EINTR) {
            dure_iocp_ready(event, dure_connection_error(errno), errno);
        }
    }
}

static void start_disconnect(epoll_core *core, epoll_socket *socket, dure_iocp_event *event)
{
    core->base.counters.system_calls++;
    int system_error = shutdown(socket->fd, SHUT_WR) == 0 ? 0 : errno;
    dure_iocp_ready(event, dure_connection_error(system_error), system_error);
}

/* ---- operations ---- */

static dure_err epoll_start(dure_iocp_socket *base, dure_iocp_event *event)
{
    epoll_core *core = core_of(base->core);
    epoll_socket *socket = socket_of(base);
    switch (event->kind) {
    case DURE_IOCP_CONNECT:
        return start_connect(core, socket, event);
    case DURE_IOCP_SEND:
        try_send(core, socket, event);
        return DURE_OK;
    case DURE_IOCP_DISCONNECT:
        start_disconnect(core, socket, event);
        return DURE_OK;
    case DURE_IOCP_ACCEPT:
    case DURE_IOCP_PRE_RECV:
    case DURE_IOCP_RECV:
        if (socket->is_readable) {
            make_hot(socket);
        }
        return DURE_OK;
    case DURE_IOCP_TIMER:
    case DURE_IOCP_POST:
    case DURE_IOCP_JOB:
        break;
    }
    DURE_UNREACHABLE();
}

static void epoll_cancel(dure_iocp_socket *socket, dure_iocp_event *event)
{
    (void)socket;
    dure_iocp_ready(event, DURE_ERR_CANCELLED, 0);
}

/* Tries all that waits on a hot socket. Handlers may close it on the way. */
static void socket_advance(epoll_core *core, epoll_socket *socket)
{
    dure_iocp_event *event = NULL;
    if (socket->is_writable &&
        (event = dure_iocp_socket_waiting(&socket->base, DURE_IOCP_CONNECT)) != NULL) {
        try_connect(socket, event);
        return; /* what comes after it is started by its completion */
    }
    if (socket->is_writable &&
        (event = dure_iocp_socket_waiting(&socket->base, DURE_IOCP_SEND)) != NULL) {
        try_send(core, socket, event);
    }
    if (socket->is_readable &&
        (event = dure_iocp_socket_waiting(&socket->base, DURE_IOCP_PRE_RECV)) != NULL) {
        try_pre_recv(core, socket, event);
    }
    try_accept(core, socket);
    try_recv(core, socket);
}

static void epoll_advance(dure_iocp_core *base)
{
    epoll_core *core = core_of(base);
    dure_list batch;
    dure_list *node = NULL;
    dure_list_init(&batch);
    dure_list_move_all(&batch, &core->hot);
    while ((node = dure_list_pop_front(&batch)) != NULL) {
        socket_advance(core, DURE_CONTAINER_OF(node, epoll_socket, node));
    }
}

const dure_iocp_backend dure_iocp_backend_epoll = {
    .name = "epoll",
    .passes_options_on = true,
    .create = epoll_create_core,
    .destroy = epoll_destroy,
    .poll = epoll_poll,
    .advance = epoll_advance,
    .is_busy = epoll_is_busy,
    .is_busy_now = epoll_is_busy_now,
    .wake = epoll_wake,
    .open = epoll_open,
    .close = epoll_close,
    .release = epoll_release,
    .adopt = epoll_adopt,
    .bury = epoll_bury,
    .free = epoll_free,
    .bind = epoll_bind,
    .listen = epoll_listen,
    .local = epoll_local,
    .peer = epoll_peer,
    .set = epoll_set,
    .acknowledged = epoll_acknowledged,
    .start = epoll_start,
    .cancel = epoll_cancel,
};
