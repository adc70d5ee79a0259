/* SPDX-License-Identifier: MIT
 *
 * Listener: a bound socket that accepts until it is closed. Errors of the system pause it (10 ms,
 * doubling to 1 s); only its own close ends it.
 */
#ifndef DURE_NET_LISTENER_H
#define DURE_NET_LISTENER_H

#include "iocp/core.h"

typedef struct dure_listener dure_listener;

/* A connection came; the socket is the receiver's. */
typedef void (*dure_listener_fn)(void *ctx, dure_iocp_socket *socket);

/*
 * Fails: NO_MEMORY.
 * Thread: owner of core, here and below.
 */
DURE_CHECKED dure_err dure_listener_create(dure_iocp_core *core, dure_listener_fn on_accept,
                                           void (*on_closed)(void *ctx), void *ctx,
                                           dure_listener **out_listener);

/* Binds and listens. Fails: ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE, PERMISSION, TOO_MANY_FILES,
 * NO_MEMORY. */
DURE_CHECKED dure_err dure_listener_start(dure_listener *listener, const dure_net_address *address);

/* The address really bound. Fails: STATE. */
DURE_CHECKED dure_err dure_listener_address(const dure_listener *listener,
                                            dure_net_address *out_address);

/* Stops accepting; on_closed is called when the last operation has ended. Twice is once. */
void dure_listener_close(dure_listener *listener);

bool dure_listener_is_closed(const dure_listener *listener);

/* How often it paused. Thread: any. */
uint64_t dure_listener_pauses(const dure_listener *listener);

/* After on_closed, or never started. NULL is fine. */
void dure_listener_destroy(dure_listener *listener);

#endif
