/* SPDX-License-Identifier: MIT
 *
 * The system's clocks, entropy and descriptor limit, for the back ends that have no world of their
 * own.
 */
#ifndef DURE_IOCP_SYSTEM_H
#define DURE_IOCP_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Monotonic nanoseconds; on Linux without the time in which the machine was suspended. Thread: any.
 */
uint64_t dure_system_now_ns(void);

/* As dure_system_now_ns, with the time in which the machine was suspended. Thread: any. */
uint64_t dure_system_elapsed_ns(void);

/* Milliseconds since 1970. Thread: any. */
uint64_t dure_system_wall_ms(void);

/*
 * Bytes that nobody can guess.
 * Fails: SYSTEM.
 * Thread: any.
 */
DURE_CHECKED dure_err dure_system_entropy(void *out, size_t len);

/* Sockets that one process may have: the descriptor limit less a reserve of 32, or of a quarter
 * where that is less. Thread: any. */
uint32_t dure_system_sockets_max(void);

#endif
