/* SPDX-License-Identifier: MIT
 *
 * What port.c (messages, requests, life) and port_guard.c (who may stay) share about a port. No
 * other file includes it.
 */
#ifndef DURE_NODE_PORT_IMPL_H
#define DURE_NODE_PORT_IMPL_H

#include "node/port.h"

/* How often one limit has turned somebody away, and what the log has not said of it yet. */
typedef struct node_refusals {
    uint64_t total;
    uint32_t unsaid;
    uint64_t next_say_ms;
    dure_net_address address; /* of the last one */
} node_refusals;

struct node_port {
    node_port_config config;
    dure_service *service;
    dure_list waiting; /* node_conn.in_waiting */
    dure_list conns;   /* node_conn.in_port */
    uint32_t count;    /* of conns, */
    uint32_t leaving_count;
    uint32_t cut_count;         /* those of them that are cut and will be gone in a moment */
    dure_list leaving;          /* node_conn.in_leaving: refused, and being told so; oldest first */
    dure_strangers *strangers;  /* NULL: nobody is one here */
    node_rate_table *addresses; /* connects of each */
    node_refusals refusals[NODE_LIMIT_COUNT];
    uint64_t refused_at_accept; /* what the service had counted when that was last looked at */
    dure_buf scratch; /* messages are built here, then queued; holds client_queue_bytes at most */
    uint64_t next_too_large_ms; /* when the log may say again that an answer was too large */
    uint32_t too_large_count;   /* since it did */
    bool is_started;
    bool is_closed;
    bool is_closing;
};

static inline dure_iocp_core *node_port_core(const node_port *port)
{
    return dure_rpc_core(port->config.rpc);
}

/* Ends a connection at once, without a word. */
void node_conn_cut(node_conn *conn, dure_err cause);

/* ---- port_guard.c ---- */

/* Fails: NO_MEMORY, SYSTEM (no random bytes). */
DURE_CHECKED dure_err node_guard_init(node_port *port);
void node_guard_fini(node_port *port);

/*
 * Whether a connection that came just now may stay; it is told why not, and is on its way out then.
 * Where it may, another one may have had to go.
 */
bool node_guard_admit(node_conn *conn);

/* A connection is gone. */
void node_guard_forget(node_conn *conn);

#endif
