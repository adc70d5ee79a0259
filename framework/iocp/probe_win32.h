/* SPDX-License-Identifier: MIT
 *
 * Does this platform recycle sockets? Windows does; Wine 8 says so and fails with the next use, so
 * it is tried out, on the loopback, when a core is made.
 */
#ifndef DURE_IOCP_PROBE_WIN32_H
#define DURE_IOCP_PROBE_WIN32_H

#include <stdbool.h>

#include "iocp/winsock_win32.h"

/* The longest that one of the probes takes where packets do not come. */
#define DURE_PROBE_MS 500u

/*
 * Whether an accepted socket serves again: a connection is made and ended by its client,
 * DisconnectEx completes, AcceptEx takes the socket once more, and a byte crosses the new
 * connection. The port must be unused; nothing is left on it. Thread: start-up.
 */
bool dure_probe_accepted(HANDLE port, const dure_winsock *winsock);

/* The same of a connected socket, ended by the other side, and ConnectEx. */
bool dure_probe_connected(HANDLE port, const dure_winsock *winsock);

#endif
