/* SPDX-License-Identifier: MIT
 *
 * NetAddress: parsing, printing and comparing dure_net_address (iocp/address.h), and looking up
 * names. Text forms: "127.0.0.1:7777", "[::1]:7777" (RFC 3986 brackets, RFC 5952 printing).
 */
#ifndef DURE_NET_ADDRESS_H
#define DURE_NET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "iocp/address.h"
#include "iocp/core.h"
#include "net/lookup.h"

#define DURE_NET_ADDRESS_TEXT_MAX 64 /* with the terminating zero */

/*
 * A numeric IPv4 or IPv6 address without port (no brackets) and a port.
 * Fails: INVALID: it is not numeric.
 * Thread: any.
 */
DURE_CHECKED dure_err dure_net_address_from_ip(const char *ip, uint16_t port,
                                               dure_net_address *out_address);

/*
 * "ip:port" or "[ip6]:port".
 * Fails: INVALID.
 * Thread: any.
 */
DURE_CHECKED dure_err dure_net_address_parse(const char *text, dure_net_address *out_address);

/* Writes "ip:port" or "[ip6]:port" and returns out. Thread: any. */
const char *dure_net_address_print(const dure_net_address *address,
                                   char out[DURE_NET_ADDRESS_TEXT_MAX]);

/* Same family, ip, port and scope. Thread: any. */
bool dure_net_address_equal(const dure_net_address *a, const dure_net_address *b);

/* 127.0.0.0/8, ::1 or ::ffff:127.0.0.0/104. Thread: any. */
bool dure_net_address_is_loopback(const dure_net_address *address);

/* The outcome of a look-up: count addresses (at most 8), lent for the call; status not OK: none. */
typedef void (*dure_net_resolve_fn)(void *ctx, dure_err status, const dure_net_address *addresses,
                                    size_t count);

typedef struct dure_net_name {
    const char *host; /* borrowed for the call */
    uint16_t port;
    dure_net_lookup_fn lookup; /* NULL: the system's */
} dure_net_name;

typedef struct dure_net_resolver dure_net_resolver;

/*
 * Looks a name up (getaddrinfo, RFC 3493) on a thread that nobody waits for; a numeric host needs
 * no look-up but its outcome comes later all the same. "localhost" is the loopback everywhere (RFC
 * 6761, section 6.3); on a sim core only it and numeric hosts are known, unless the name brings a
 * look-up of its own.
 * Completes: on_done once: OK, NAME_NOT_FOUND, SYSTEM, CANCELLED.
 * Fails:  INVALID (empty or longer than 253), NO_MEMORY, SYSTEM; on_done is not called.
 * Lends:  out_resolver, until on_done is called; may be NULL.
 * Thread: owner of core.
 */
DURE_CHECKED dure_err dure_net_resolve(dure_iocp_core *core, const dure_net_name *name,
                                       dure_net_resolve_fn on_done, void *ctx,
                                       dure_net_resolver **out_resolver);

/* Gives a look-up up: on_done comes soon, with CANCELLED or its outcome, however long the system
 * still takes. Thread: owner. */
void dure_net_resolve_cancel(dure_net_resolver *resolver);

#endif
