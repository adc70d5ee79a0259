/* SPDX-License-Identifier: MIT
 *
 * Bytes. A receive waits with a WSARecv of no bytes and then reads without waiting; a send is one
 * WSASend at a time, gathered.
 */
#include <string.h>

#include "iocp/core_impl_win32.h"

/*
 * Of one WSASend. The system locks it in memory, and says nothing of how far it has got until all
 * of it has left: whoever asks for progress (dure_iocp_socket_taken) sees it in such pieces.
 */
#define SEND_MOST ((size_t)1 << 16)

/* ---- receive ---- */

/* Waits for bytes, or the end, without a buffer. */
static void recv_post(win32_socket *socket, dure_iocp_event *event)
{
    WSABUF nothing = {0, NULL};
    DWORD flags = 0;
    dure_op_begin(&socket->in_op, DURE_OP_RECV, socket);
    dure_win32_socket_core(socket)->base.counters.system_calls++;
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

dure_err dure_win32_recv(win32_socket *socket, dure_iocp_event *event)
{
    if (socket->is_stranger) {
        dure_iocp_ready(event, DURE_ERR_PEER_CLOSED, 0);
        return DURE_OK;
    }
    dure_err err = dure_win32_associate(socket);
    if (err == DURE_OK) {
        recv_post(socket, event);
    }
    return err;
}

void dure_win32_recv_done(win32_socket *socket, dure_iocp_event *event, int system_error)
{
    DURE_ASSERT(event->kind == DURE_IOCP_RECV || event->kind == DURE_IOCP_PRE_RECV);
    if (socket->base.state == DURE_IOCP_SOCKET_CLOSED || socket->in_op.is_cancelled) {
        dure_iocp_ready(event, DURE_ERR_CANCELLED, 0); /* bytes that are there stay there */
    } else if (system_error != 0) {
        socket->is_reset = true;
        dure_iocp_ready(event, dure_connection_error(system_error), system_error);
    } else if (event->kind == DURE_IOCP_PRE_RECV) {
        dure_iocp_ready(event, DURE_OK, 0);
    } else {
        dure_win32_make_hot(socket);
    }
}

/* Whether the socket may read once more in this round; if not, it is put off to the next. */
static bool take_share(win32_core *core, win32_socket *socket)
{
    if (socket->round != core->base.counters.rounds) {
        socket->round = core->base.counters.rounds;
        socket->share = 0;
    }
    if (socket->share == DURE_IOCP_RECVS_PER_ROUND) {
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
        DURE_ASSERT((uint32_t)got <= asked);
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

void dure_win32_read(win32_core *core, win32_socket *socket)
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
    dure_win32_socket_core(socket)->base.counters.system_calls++;
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

dure_err dure_win32_send(win32_socket *socket, dure_iocp_event *event)
{
    if (socket->is_reset || socket->is_stranger) {
        dure_iocp_ready(event, DURE_ERR_RESET, 0);
        return DURE_OK;
    }
    dure_err err = dure_win32_associate(socket);
    if (err == DURE_OK) {
        send_post(socket, event);
    }
    return err;
}

void dure_win32_send_done(win32_socket *socket, dure_iocp_event *event, size_t bytes,
                          int system_error)
{
    DURE_ASSERT(event->kind == DURE_IOCP_SEND);
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

void dure_win32_disconnect(win32_socket *socket, dure_iocp_event *event)
{
    int system_error = 0;
    if (shutdown(socket->handle, SD_SEND) != 0) {
        system_error = WSAGetLastError();
    }
    dure_win32_socket_core(socket)->base.counters.system_calls++;
    if (socket->is_reset) {
        dure_iocp_ready(event, DURE_ERR_RESET, system_error);
    } else {
        dure_iocp_ready(event, dure_connection_error(system_error), system_error);
    }
}
