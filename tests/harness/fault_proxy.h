/* SPDX-License-Identifier: MIT
 *
 * A fault proxy: stands between those who dial its port and one address, and does to the bytes what
 * a bad network does. What it does is said at run time and takes effect at once, on the connections
 * that stand as on later ones. It knows nothing of what the bytes mean, and never changes, drops or
 * reorders one: a connection that stays open carries what was sent into it.
 *
 * Each connection that is accepted is dialled on. An end (FIN) is passed on behind the bytes before
 * it, each way for itself; a reset ends both sides with a reset.
 *
 * The words in which faults are said, here, on the standard input of the program fault-proxy and in
 * harness/harness.h ([WAY]: to-server or to-client; both without it):
 *
 *   delay MS [WAY]        what comes is passed on so much later
 *   split N [WAY]         at most N bytes at a time, 1 ms apart, so that they arrive apart; what
 *                         a late timer held up leaves without a pause
 *   merge MS [WAY]        what comes within MS leaves together
 *   slow N [WAY]          at most N bytes a second; the sender is held back
 *   silent [WAY]          nothing is passed on, ends neither; what comes is kept until `heal`
 *                         as TCP keeps it, and new connections are not dialled on
 *   one-way WAY           the same as silent WAY
 *   reset-at N [WAY]      a connection is reset once N bytes of it have gone that way, since its
 *                         beginning; at once where they have
 *   cut                   connections end now, new ones are reset at once
 *   close                 connections end now (FIN); new ones are served
 *   reset                 connections are reset now; new ones are served
 *   heal                  no fault any more; what was kept leaves
 *
 * Faults add up until `heal`; 0 takes a single one back. Thread: owner of the core, for everything
 * here.
 */
#ifndef DURE_TESTS_HARNESS_FAULT_PROXY_H
#define DURE_TESTS_HARNESS_FAULT_PROXY_H

#include "base/buf.h"
#include "iocp/core.h"

typedef struct dure_fault_proxy dure_fault_proxy;

typedef struct dure_fault_proxy_config {
    dure_iocp_core *core;         /* borrowed for the proxy's life */
    const char *name;             /* for logs; borrowed for the proxy's life */
    dure_net_address listen;      /* port 0: the system chooses */
    dure_net_address to;          /* where connections are dialled on to */
    void (*on_closed)(void *ctx); /* after close: nothing is pending; destroy it */
    void *ctx;
} dure_fault_proxy_config;

/* Fails: NO_MEMORY. Ends with dure_fault_proxy_destroy. */
DURE_CHECKED dure_err dure_fault_proxy_create(const dure_fault_proxy_config *config,
                                              dure_fault_proxy **out_proxy);

/* Listens. Fails: as dure_listener_open. */
DURE_CHECKED dure_err dure_fault_proxy_open(dure_fault_proxy *proxy);

/* Where it listens. Fails: STATE when it is not open. */
DURE_CHECKED dure_err dure_fault_proxy_address(const dure_fault_proxy *proxy,
                                               dure_net_address *out_address);

/*
 * Does what a line of the words above says.
 * Fails: INVALID: no such word, or a number that is missing or out of range. Nothing changed.
 */
DURE_CHECKED dure_err dure_fault_proxy_command(dure_fault_proxy *proxy, const char *line);

typedef struct dure_fault_counters {
    uint32_t connections; /* now */
    uint64_t accepted;    /* since open */
    uint64_t refused;     /* reset at accept: `cut`, or too many */
    uint64_t resets;      /* by `reset` and `reset-at` */
    uint64_t bytes[2];    /* passed on: to the server, to the client */
    uint64_t held_bytes;  /* came and have not left, now */
} dure_fault_counters;

/* What it has done. */
void dure_fault_proxy_counters(const dure_fault_proxy *proxy, dure_fault_counters *out_counters);

/* Ends listening and every connection. Calls: on_closed, once, later, also when it was never open.
 * Twice is once. */
void dure_fault_proxy_close(dure_fault_proxy *proxy);

/* After on_closed, or when it was never opened. NULL is fine. */
void dure_fault_proxy_destroy(dure_fault_proxy *proxy);

#endif
