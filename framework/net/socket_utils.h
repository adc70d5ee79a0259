/* SPDX-License-Identifier: MIT
 *
 * SocketUtils: what every connection of a service gets. It is
 * asked of the core, so the sockets of a simulation obey too.
 */
#ifndef DURE_NET_SOCKET_UTILS_H
#define DURE_NET_SOCKET_UTILS_H

#include "iocp/core.h"

/*
 * Sets keepalive (seconds; 0: off), the user timeout (milliseconds; 0: the system's) and what the
 * system may take without having sent it (bytes; 0: as it likes) of a connected socket. What a
 * platform does not have is passed over.
 * Fails: as dure_iocp_socket_set, but UNSUPPORTED.
 * Thread: owner.
 */
DURE_CHECKED dure_err dure_socket_utils_set_up(dure_iocp_socket *socket, uint32_t keepalive_s,
                                               uint32_t user_timeout_ms, uint32_t unsent_bytes);

#endif
