/* SPDX-License-Identifier: MIT
 *
 * The system's own look-up of names, which blocks, perhaps for long: for threads that nobody waits
 * for (dure_iocp_job_apart).
 */
#ifndef DURE_NET_LOOKUP_H
#define DURE_NET_LOOKUP_H

#include <stddef.h>

#include "base/err.h"
#include "iocp/address.h"

/* How names are looked up; as dure_net_lookup, and the default. A test's own may hang. */
typedef dure_err (*dure_net_lookup_fn)(const char *host, uint16_t port, dure_net_address *out,
                                       size_t max, size_t *out_count);

/*
 * The addresses of a name for TCP (getaddrinfo, RFC 3493), at most max of them, each with port.
 * Fails: NAME_NOT_FOUND, NO_MEMORY, SYSTEM.
 * Thread: any; it blocks.
 */
DURE_CHECKED dure_err dure_net_lookup(const char *host, uint16_t port, dure_net_address *out,
                                      size_t max, size_t *out_count);

#endif
