/* SPDX-License-Identifier: MIT
 *
 * One connection through a fault proxy: two sockets, and a pipe each way. For fault_proxy.c alone.
 */
#ifndef DURE_TESTS_HARNESS_FAULT_RELAY_H
#define DURE_TESTS_HARNESS_FAULT_RELAY_H

#include "base/list.h"
#include "fault_words.h"
#include "iocp/core.h"

typedef struct fault_relay fault_relay;

/* What the relays of a proxy share; the proxy's. */
typedef struct fault_relays {
    dure_iocp_core *core;
    dure_net_address to;
    const fault_set *faults;
    dure_list live; /* of relays that have not ended */
    uint32_t count; /* of relays that have memory still */
    uint64_t resets;
    uint64_t bytes[FAULT_WAYS];
    uint64_t held_bytes;
    void (*on_gone)(void *ctx); /* one of them has given its memory back */
    void *ctx;
} fault_relays;

/* Begins with an accepted connection. Takes: socket, on OK only. Fails: NO_MEMORY. */
DURE_CHECKED dure_err fault_relay_create(fault_relays *relays, dure_iocp_socket *socket);

/* The faults have changed, for all of them. */
void fault_relays_look_again(fault_relays *relays);

/* Ends all of them, with FIN or with a reset. */
void fault_relays_end(fault_relays *relays, bool with_reset);

#endif
