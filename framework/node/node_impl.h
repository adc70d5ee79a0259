/* SPDX-License-Identifier: MIT
 *
 * What the files of node/ share about a node. No other room includes it.
 */
#ifndef DURE_NODE_NODE_IMPL_H
#define DURE_NODE_NODE_IMPL_H

#include <stdatomic.h>

#include "node/node.h"
#include "node/port.h"
#include "node/resources.h"

#define NODE_STATE_LIST(X)                                                                         \
    X(NEW)      /* made */                                                                         \
    X(RUNNING)  /* ports are open */                                                               \
    X(STOPPING) /* nobody new; what is in flight is finished */                                    \
    X(CLOSING)  /* ports and links end */                                                          \
    X(ENDED)    /* on_ended was called */

typedef enum node_state {
#define NODE_STATE_ROW(name) NODE_##name,
    NODE_STATE_LIST(NODE_STATE_ROW)
#undef NODE_STATE_ROW
} node_state;

/* Blocking work in line. */
typedef struct node_job {
    dure_list in_line;
    void (*work)(void *ctx);
    void (*done)(dure_node *node, void *ctx);
    void *ctx;
} node_job;

struct dure_node {
    dure_iocp_object object; /* owns the timers, the job and the stop */
    dure_node_config config;
    const dure_registry_node *self;
    const dure_registry_settings *settings;
    node_state state;
    char *data_dir;
    void *role_state;
    bool has_role_state; /* on_start went well, so on_end is due */
    dure_rpc *rpc;
    bool rpc_is_closed;
    node_port *clients;
    node_port *admin;
    char *admin_path;
    char admin_token[65];
    void *data_lock;
    uint64_t started_ms;
    uint64_t stop_since_ms;
    uint64_t stop_due_ms;    /* the end of waiting */
    uint64_t farewell_count; /* clients when the stop began, */
    uint64_t farewells_said; /* and how many were told to go */
    int exit_code;

    node_pressure pressure;
    node_memory_limit memory_limit;
    uint64_t next_memory_look_ms;
    uint64_t next_limit_look_ms; /* when the limit itself is read again */

    dure_iocp_event watch; /* a few times a second: cutting, and the steps of the stop */
    dure_iocp_event tick;
    uint32_t tick_ms;
    uint64_t next_tick_ns;

    dure_iocp_event stop;
    atomic_bool is_stop_posted; /* any thread */

    dure_iocp_event job;
    dure_list jobs;
    uint32_t stop_holds;
    dure_list delays; /* node_delay, of dure_node_after */
};

/* builtin.c */
extern const dure_method *const node_builtin_methods;
uint64_t node_builtin_schema_hash(void);

/* client_port.c */
DURE_CHECKED dure_err node_client_port_create(dure_node *node);
/* Clients at once: as many as are asked for and the process has descriptors for, one at least. */
uint32_t node_client_port_max(const dure_registry_settings *settings, uint32_t descriptors);

/* admin.c */
DURE_CHECKED dure_err node_admin_create(dure_node *node);
/* Listens and writes the file that says where and with which token. */
DURE_CHECKED dure_err node_admin_start(dure_node *node);
void node_admin_forget(dure_node *node);

/* work.c: jobs and delays */
void node_work_init(dure_node *node);
bool node_work_is_idle(const dure_node *node);
void node_work_cancel_delays(dure_node *node);
bool node_work_dispatch(dure_node *node, dure_iocp_event *event);

/* node.c */
void node_port_closed(node_port *port, void *ctx);
void node_begin_stop(dure_node *node);
/* Ends the node where it is closing and nothing of it is left; it may be gone then. */
void node_check_ended(dure_node *node);

#endif
