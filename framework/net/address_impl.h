/* SPDX-License-Identifier: MIT
 *
 * The system's half of net/address.h. No other room includes it.
 */
#ifndef DURE_NET_ADDRESS_IMPL_H
#define DURE_NET_ADDRESS_IMPL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "iocp/address.h"

/* A numeric address without port, an IPv6 one with %zone perhaps; false when it is none. */
bool net_ip_parse(const char *ip, dure_net_address *out_address);
void net_ip_print(const dure_net_address *address, char *out, size_t out_size);
/* Blocks; for a job thread. */
DURE_CHECKED dure_err net_name_lookup(const char *host, uint16_t port,
                                      dure_net_address *out_addresses, size_t max,
                                      size_t *out_count);

#endif
