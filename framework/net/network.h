/* SPDX-License-Identifier: MIT
 *
 * Networks: the addresses that share a prefix, as configurations name them ("10.0.0.0/8",
 * "2001:db8::/32"), and the group of an address, which is what limits by address count. Plain
 * values.
 */
#ifndef DURE_NET_NETWORK_H
#define DURE_NET_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "iocp/address.h"

#define DURE_NET_NETWORKS_MAX 64u

typedef struct dure_net_network {
    dure_family family;
    uint8_t bits; /* of the prefix */
    uint8_t ip[16];
} dure_net_network;

typedef struct dure_net_networks {
    dure_net_network rows[DURE_NET_NETWORKS_MAX];
    uint32_t count;
} dure_net_networks;

/*
 * "ip/bits", or "ip" for that address alone. An IPv4 address as IPv6 writes it
 * (::ffff:10.0.0.0/104) becomes the IPv4 network. Fails: INVALID, also where bits behind the prefix
 * are set, because it is not clear then which of the two was meant. Thread: any.
 */
DURE_CHECKED dure_err dure_net_network_parse(const char *text, dure_net_network *out_network);

/* Whether the address is one of the network's, whichever way it is written. Thread: any. */
bool dure_net_network_has(const dure_net_network *network, const dure_net_address *address);

/* Whether one of them has it. Thread: any. */
bool dure_net_networks_have(const dure_net_networks *networks, const dure_net_address *address);

/* The loopback: 127.0.0.0/8 and ::1. Thread: any. */
void dure_net_networks_init_loopback(dure_net_networks *networks);

/*
 * Who counts as one: an IPv4 address, or the 2^64 addresses of an IPv6 subnet, because whoever has
 * one of these has them all. Equal for addresses of one group, different for any two groups.
 */
typedef struct dure_net_group {
    uint8_t key[9];
} dure_net_group;

/* The group of an address. Thread: any. */
dure_net_group dure_net_group_of(const dure_net_address *address);

#endif
