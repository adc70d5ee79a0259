/* SPDX-License-Identifier: MIT
 *
 * System sockets: opening, options and addresses, shared by the epoll and uring back ends.
 */
#ifndef DURE_IOCP_SOCKET_POSIX_H
#define DURE_IOCP_SOCKET_POSIX_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "iocp/core.h"

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
 * A non-blocking TCP socket, closed on exec, with TCP_NODELAY, V6ONLY. Those that are accepted from
 * it have its options, as Linux hands them on.
 * Fails: TOO_MANY_FILES, NO_MEMORY, UNSUPPORTED, SYSTEM.
 */
DURE_CHECKED dure_err dure_socket_fd_open(dure_family family, int *out_fd);

/* Sets SO_LINGER 0, so that close sends a reset. */
void dure_socket_fd_set_abort(int fd);

/* bind(2) with SO_REUSEADDR. Fails: as dure_iocp_socket_bind. */
DURE_CHECKED dure_err dure_socket_fd_bind(int fd, const dure_net_address *address);
/* listen(2). Fails: as dure_iocp_socket_listen. */
DURE_CHECKED dure_err dure_socket_fd_listen(int fd, uint32_t backlog);
/* getsockname(2). Fails: as dure_iocp_socket_local. */
DURE_CHECKED dure_err dure_socket_fd_local(int fd, dure_net_address *out_address);
/* getpeername(2). Fails: as dure_iocp_socket_peer. */
DURE_CHECKED dure_err dure_socket_fd_peer(int fd, dure_net_address *out_address);
/* setsockopt(2) of one of our options. Fails: as dure_iocp_socket_set. */
DURE_CHECKED dure_err dure_socket_fd_set(int fd, dure_iocp_option option, int value);

/* Bytes that the other end's system has acknowledged; 0 where this one does not say. */
uint64_t dure_socket_fd_acknowledged(int fd);

/*
 * Whether both ends of a connection are this one: a dialled port of the ephemeral range can meet
 * itself.
 */
bool dure_socket_fd_is_self_connected(int fd);

/* A descriptor that holds a place for the one that EMFILE would not give; -1 when there is none. */
int dure_spare_fd_open(void);

/*
 * Uses the spare descriptor to accept one connection and reset it, so that a client learns at once
 * and the backlog does not stay full.
 */
void dure_spare_fd_refuse(int *spare_fd, int listener_fd);

/*
 * The status of a failed accept that says something about one connection or about nothing at all,
 * so that accepting goes on.
 */
bool dure_accept_error_is_passing(int system_error);

/* errno of an operation on a connection as its status. */
DURE_CHECKED dure_err dure_connection_error(int system_error);

#endif
