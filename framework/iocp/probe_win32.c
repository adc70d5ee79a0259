/* SPDX-License-Identifier: MIT
 *
 * The trials of recycling. The socket under trial is always the one whose peer ended first: the
 * other one is in TIME_WAIT, and its DisconnectEx would take as long.
 */
#include "iocp/probe_win32.h"

#include <string.h>

#include "base/compiler.h"
#include "iocp/op_win32.h"
#include "iocp/socket_win32.h"
#include "iocp/system.h"

#define NS_PER_MS    UINT64_C(1000000)
#define ADDRESS_ROOM (sizeof(struct sockaddr_storage) + 16)

typedef struct probe {
    HANDLE port;
    const dure_winsock *winsock;
    uint64_t until_ns;
    SOCKET listener;
    SOCKET accepted;
    SOCKET connected;
    dure_sockaddr address; /* the listener's */
    int address_len;
    dure_op accept_op;
    dure_op connect_op;
    dure_op disconnect_op;
    uint32_t pending; /* packets that are still to come */
    uint8_t room[2 * ADDRESS_ROOM];
} probe;

static bool has_begun(probe *self, BOOL result)
{
    if (result || WSAGetLastError() == ERROR_IO_PENDING) {
        self->pending++;
        return true;
    }
    return false;
}

/* Waits for one packet; false when the time is over. */
static bool wait_packet(probe *self)
{
    uint64_t now_ns = dure_system_now_ns();
    DWORD wait_ms = now_ns < self->until_ns ? (DWORD)((self->until_ns - now_ns) / NS_PER_MS) : 0;
    DWORD bytes = 0;
    ULONG_PTR key = 0;
    OVERLAPPED *overlapped = NULL;
    (void)GetQueuedCompletionStatus(self->port, &bytes, &key, &overlapped, wait_ms);
    if (overlapped == NULL) {
        return false;
    }
    DURE_CONTAINER_OF(overlapped, dure_op, overlapped)->is_pending = false;
    self->pending--;
    return true;
}

static bool wait_op(probe *self, const dure_op *op)
{
    while (op->is_pending) {
        if (!wait_packet(self)) {
            return false;
        }
    }
    return true;
}

static bool open_socket(probe *self, SOCKET *out_handle)
{
    return dure_socket_handle_open(DURE_FAMILY_IPV4, out_handle) == DURE_OK &&
           self->winsock->create_io_completion_port((HANDLE)*out_handle, self->port, 0, 0) != NULL;
}

static bool probe_open(probe *self, HANDLE port, const dure_winsock *winsock)
{
    const dure_net_address at = {.family = DURE_FAMILY_IPV4, .ip = {127, 0, 0, 1}};
    memset(self, 0, sizeof *self);
    self->port = port;
    self->winsock = winsock;
    self->until_ns = dure_system_now_ns() + DURE_PROBE_MS * NS_PER_MS;
    self->listener = INVALID_SOCKET;
    self->accepted = INVALID_SOCKET;
    self->connected = INVALID_SOCKET;
    self->address_len = (int)sizeof self->address;
    return open_socket(self, &self->listener) &&
           dure_socket_handle_bind(self->listener, &at) == DURE_OK &&
           dure_socket_handle_listen(self->listener, 4) == DURE_OK &&
           getsockname(self->listener, &self->address.any, &self->address_len) == 0;
}

static void close_one(probe *self, SOCKET *handle)
{
    if (*handle != INVALID_SOCKET) {
        (void)CancelIoEx((HANDLE)*handle, NULL);
        (void)self->winsock->close_socket(*handle);
        *handle = INVALID_SOCKET;
    }
}

/* Every packet is fetched: the operations stand in this frame. */
static void probe_close(probe *self)
{
    close_one(self, &self->connected);
    close_one(self, &self->accepted);
    close_one(self, &self->listener);
    while (self->pending > 0) {
        self->until_ns = dure_system_now_ns() + DURE_PROBE_MS * NS_PER_MS;
        (void)wait_packet(self);
    }
}

/* Makes a connection of the two sockets, whichever of them is new. */
static bool probe_connect(probe *self)
{
    DWORD bytes = 0;
    dure_op_begin(&self->accept_op, DURE_OP_ACCEPT, NULL);
    if (!has_begun(self, self->winsock->accept_ex(self->listener, self->accepted, self->room, 0,
                                                  ADDRESS_ROOM, ADDRESS_ROOM, &bytes,
                                                  &self->accept_op.overlapped))) {
        return false;
    }
    dure_op_begin(&self->connect_op, DURE_OP_CONNECT, NULL);
    if (!has_begun(self,
                   self->winsock->connect_ex(self->connected, &self->address.any, self->address_len,
                                             NULL, 0, NULL, &self->connect_op.overlapped))) {
        return false;
    }
    return wait_op(self, &self->accept_op) && wait_op(self, &self->connect_op) &&
           dure_winsock_result(self->winsock, self->listener, &self->accept_op.overlapped) == 0 &&
           dure_winsock_result(self->winsock, self->connected, &self->connect_op.overlapped) == 0 &&
           setsockopt(self->accepted, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT,
                      (const char *)&self->listener, (int)sizeof self->listener) == 0 &&
           setsockopt(self->connected, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0) == 0;
}

/* One recv, when there is something to read; it must return what is expected. */
static bool read_within(probe *self, SOCKET handle, int expected)
{
    char byte = 0;
    uint64_t now_ns = dure_system_now_ns();
    uint64_t left_ns = self->until_ns > now_ns ? self->until_ns - now_ns : 0;
    WSAPOLLFD wanted = {.fd = handle, .events = POLLRDNORM};
    return WSAPoll(&wanted, 1, (int)(left_ns / NS_PER_MS)) == 1 &&
           recv(handle, &byte, 1, 0) == expected;
}

/* `first` ends, `second` is recycled. */
static bool probe_recycle(probe *self, SOCKET first, SOCKET second)
{
    if (shutdown(first, SD_SEND) != 0 || !read_within(self, second, 0)) {
        return false;
    }
    dure_op_begin(&self->disconnect_op, DURE_OP_RECYCLE, NULL);
    return has_begun(self, self->winsock->disconnect_ex(second, &self->disconnect_op.overlapped,
                                                        TF_REUSE_SOCKET, 0)) &&
           wait_op(self, &self->disconnect_op) &&
           dure_winsock_result(self->winsock, second, &self->disconnect_op.overlapped) == 0;
}

/* One byte each way. */
static bool probe_talk(probe *self)
{
    return send(self->accepted, "a", 1, 0) == 1 && read_within(self, self->connected, 1) &&
           send(self->connected, "b", 1, 0) == 1 && read_within(self, self->accepted, 1);
}

bool dure_probe_accepted(HANDLE port, const dure_winsock *winsock)
{
    probe self;
    bool works = probe_open(&self, port, winsock) && open_socket(&self, &self.accepted) &&
                 open_socket(&self, &self.connected) &&
                 dure_socket_handle_bind_any(self.connected, DURE_FAMILY_IPV4) == DURE_OK &&
                 probe_connect(&self) && probe_recycle(&self, self.connected, self.accepted);
    if (works) {
        close_one(&self, &self.connected);
        works = open_socket(&self, &self.connected) &&
                dure_socket_handle_bind_any(self.connected, DURE_FAMILY_IPV4) == DURE_OK &&
                probe_connect(&self) && probe_talk(&self);
    }
    probe_close(&self);
    return works;
}

bool dure_probe_connected(HANDLE port, const dure_winsock *winsock)
{
    probe self;
    bool works = probe_open(&self, port, winsock) && open_socket(&self, &self.accepted) &&
                 open_socket(&self, &self.connected) &&
                 dure_socket_handle_bind_any(self.connected, DURE_FAMILY_IPV4) == DURE_OK &&
                 probe_connect(&self) && probe_recycle(&self, self.accepted, self.connected);
    if (works) {
        close_one(&self, &self.accepted);
        works = open_socket(&self, &self.accepted) && probe_connect(&self) && probe_talk(&self);
    }
    probe_close(&self);
    return works;
}
