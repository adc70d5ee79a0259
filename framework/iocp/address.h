/* SPDX-License-Identifier: MIT
 *
 * An IPv4 or IPv6 address with its port, as the core takes and gives it. A plain value without
 * anything of the system inside. net/address.h parses and prints it.
 */
#ifndef DURE_IOCP_ADDRESS_H
#define DURE_IOCP_ADDRESS_H

#include <stdint.h>

typedef enum dure_family { DURE_FAMILY_NONE, DURE_FAMILY_IPV4, DURE_FAMILY_IPV6 } dure_family;

typedef struct dure_net_address {
    dure_family family;
    uint16_t port;     /* host byte order */
    uint32_t scope_id; /* IPv6 only */
    uint8_t ip[16];    /* network byte order; IPv4 uses the first four */
} dure_net_address;

#endif
