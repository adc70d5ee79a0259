/* SPDX-License-Identifier: MIT
 *
 * Listener: keeps accepting on one address. Whatever the system says about an accept, it goes on:
 * after an error it pauses, twice as long each time while the errors last. Only close ends it.
 * Thread: owner of its core, for everything here.
 */
#ifndef DURE_NET_LISTENER_H
#define DURE_NET_LISTENER_H

#include "iocp/core.h"

typedef struct dure_listener dure_listener;

typedef struct dure_listener_config {
    dure_iocp_core *core;
    const char *name;         /* for logs; borrowed for the listener's life */
    dure_net_address address; /* port 0: the system chooses */
    uint32_t backlog;         /* connections that wait to be accepted */
    uint32_t pause_first_ms;  /* after an error; 0: 10 */
    uint32_t pause_max_ms;    /* what it doubles to; 0: 1,000 */
    /* For accepted connections, where a listener passes them on; as dure_socket_utils_set_up. */
    uint32_t keepalive_s;
    uint32_t user_timeout_ms;
    uint32_t unsent_bytes;
    /* A connection came. Takes: socket. */
    void (*on_accept)(void *ctx, dure_iocp_socket *socket);
    /* An accept failed and the listener pauses. */
    void (*on_pause)(void *ctx, dure_err cause);
    /* After close: nothing is pending; destroy it. */
    void (*on_closed)(void *ctx);
    void *ctx;
} dure_listener_config;

/* Fails: NO_MEMORY. Ends with dure_listener_destroy. */
DURE_CHECKED dure_err dure_listener_create(const dure_listener_config *config,
                                           dure_listener **out_listener);

/*
 * Binds, listens, accepts.
 * Fails: ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE, PERMISSION, TOO_MANY_FILES, NO_MEMORY, SYSTEM;
 *        nothing is open then and it may be tried again.
 */
DURE_CHECKED dure_err dure_listener_open(dure_listener *listener);

/* Where it listens. Fails: STATE when it is not open. */
DURE_CHECKED dure_err dure_listener_address(const dure_listener *listener,
                                            dure_net_address *out_address);

/* Ends accepting. Calls: on_closed, once, later, if it was open. Twice is once. */
void dure_listener_close(dure_listener *listener);

/* Whether it was opened and on_closed has not been called. */
bool dure_listener_is_open(const dure_listener *listener);

/* Not while it is open. NULL is fine. */
void dure_listener_destroy(dure_listener *listener);

#endif
