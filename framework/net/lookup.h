/* SPDX-License-Identifier: MIT
 *
 * The system's own look-up of names, which blocks: for job threads only.
 */
#ifndef DURE_NET_LOOKUP_H
#define DURE_NET_LOOKUP_H

#include <stddef.h>

#include "base/err.h"
#include "iocp/address.h"

/*
 * The addresses of a name for TCP (getaddrinfo, RFC 3493), at most max of them, each with port.
 * Fails: NAME_NOT_FOUND, NO_MEMORY, SYSTEM.
 * Thread: any; it blocks.
 */
DURE_CHECKED dure_err dure_net_lookup(const char *host, uint16_t port, dure_net_address *out,
                                      size_t max, size_t *out_count);

#endif
