/* SPDX-License-Identifier: MIT
 *
 * System sockets: opening, options and addresses, for the win32 back end. The twin of
 * socket_posix.h.
 */
#ifndef DURE_IOCP_SOCKET_WIN32_H
#define DURE_IOCP_SOCKET_WIN32_H

#include <stdbool.h>
#include <stdint.h>

#include "iocp/core.h"
#include "iocp/winsock_win32.h"

/* Large enough for both families. */
typedef union dure_sockaddr {
    struct sockaddr any;
    struct sockaddr_storage storage;
} dure_sockaddr;

/* The system's form of an address. */
socklen_t dure_sockaddr_from(const dure_net_address *address, dure_sockaddr *out_sockaddr);

/*
 * Ours.
 * Fails: UNSUPPORTED for another family.
 */
DURE_CHECKED dure_err dure_sockaddr_to(const dure_sockaddr *sockaddr,
                                       dure_net_address *out_address);

/*
 * An overlapped TCP socket that no child inherits, with TCP_NODELAY, V6ONLY. Calls without an
 * OVERLAPPED do not wait on it (FIONBIO).
 * Fails: TOO_MANY_FILES, NO_MEMORY, UNSUPPORTED, SYSTEM.
 */
DURE_CHECKED dure_err dure_socket_handle_open(dure_family family, SOCKET *out_handle);

/* Sets SO_LINGER 0, so that closesocket sends a reset. */
void dure_socket_handle_set_abort(SOCKET handle);

/* bind with SO_EXCLUSIVEADDRUSE: nobody else may take the port. Fails: as dure_iocp_socket_bind. */
DURE_CHECKED dure_err dure_socket_handle_bind(SOCKET handle, const dure_net_address *address);
/* bind to a port of the system's choice, which ConnectEx asks for. Fails: as bind. */
DURE_CHECKED dure_err dure_socket_handle_bind_any(SOCKET handle, dure_family family);
/* listen. Fails: as dure_iocp_socket_listen. */
DURE_CHECKED dure_err dure_socket_handle_listen(SOCKET handle, uint32_t backlog);
/* getsockname. Fails: as dure_iocp_socket_local. */
DURE_CHECKED dure_err dure_socket_handle_local(SOCKET handle, dure_net_address *out_address);
/* getpeername. Fails: as dure_iocp_socket_peer. */
DURE_CHECKED dure_err dure_socket_handle_peer(SOCKET handle, dure_net_address *out_address);
/* setsockopt of one of our options. Fails: as dure_iocp_socket_set. */
DURE_CHECKED dure_err dure_socket_handle_set(SOCKET handle, dure_iocp_option option, int value);

/*
 * Whether both ends of a connection are this one: a dialled port of the ephemeral range can meet
 * itself.
 */
bool dure_socket_handle_is_self_connected(SOCKET handle);

/*
 * A failed AcceptEx that says something about one connection, so that accepting goes on.
 */
bool dure_accept_error_is_passing(int system_error);

/* A Winsock code of an operation on a connection as its status. */
DURE_CHECKED dure_err dure_connection_error(int system_error);

#endif
