/* SPDX-License-Identifier: MIT
 *
 * ConnectEx: bound first, its context updated at once; with a recycled socket where there is one,
 * and with a fresh one where the system does not take that.
 */
#include "iocp/core_impl_win32.h"

static dure_err connect_prepare(win32_socket *socket)
{
    dure_err err = dure_win32_associate(socket);
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
    dure_win32_socket_core(socket)->base.counters.system_calls++;
    if (dure_win32_is_posted(
            dure_win32_socket_core(socket)->winsock->connect_ex(
                socket->handle, &address.any, len, NULL, 0, NULL, &socket->out_op.overlapped),
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
    dure_win32_socket_core(socket)->base.counters.sockets_refused++;
    dure_err err = dure_win32_exchange_for_fresh(socket);
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

dure_err dure_win32_connect(win32_socket *socket, dure_iocp_event *event)
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

void dure_win32_connect_done(win32_socket *socket, dure_iocp_event *event, int system_error)
{
    DURE_ASSERT(event->kind == DURE_IOCP_CONNECT);
    DURE_ASSERT(!socket->has_connection);
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
            dure_win32_note_reuse(socket);
        }
    }
    dure_iocp_ready(event, status, system_error);
}
