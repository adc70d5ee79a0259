/* SPDX-License-Identifier: MIT
 *
 * What the harness's files share; nobody else includes it.
 *
 *   harness.c          the run: beginning, story, end; failures
 *   harness_config.c   from the test's JSON to a file, ports, nodes and links
 *   harness_proxies.c  the thread of the fault proxies
 *   harness_nodes.c    starting and ending nodes, whatever they are made of
 *   harness_threads.c  nodes as threads; harness_process.h: nodes as processes
 *   harness_wait.c     asking nodes and their logs until something is so
 *   harness_client.c   clients
 */
#ifndef DURE_TESTS_HARNESS_HARNESS_IMPL_H
#define DURE_TESTS_HARNESS_HARNESS_IMPL_H

#include "cluster/registry.h"
#include "harness.h"
#include "harness_process.h"
#include "node.schema.h"
#include "node/rpc_client.h"

#define HARNESS_PATH_MAX    4096u
#define HARNESS_FAILURE_MAX 1024u
#define HARNESS_NODES_MAX   64u
#define HARNESS_CLIENTS_MAX 4096u
#define HARNESS_START_MS    20000u
#define HARNESS_STOP_MS     20000u
#define HARNESS_END_MS      1000u /* for a node to end by itself when the story is over */
#define HARNESS_CALL_MS     10000u
#define HARNESS_ADMIN_MS    1000u /* a node that takes longer is asked again */
#define HARNESS_LOOK_MS     10u   /* between two looks at what is waited for */

typedef struct harness_thread harness_thread;
typedef struct harness_proxies harness_proxies;

/* One node of the configuration. */
typedef struct harness_node {
    const dure_registry_node *entry;
    const char *program;
    char log_path[HARNESS_PATH_MAX];
    harness_process *process; /* NULL: it does not run, or is a thread */
    harness_thread *thread;   /* NULL: it does not run, or is a process */
    dure_rpc_client *admin;   /* NULL: not connected */
    dure_net_address client_address;
    size_t client_proxy; /* SIZE_MAX: none */
} harness_node;

typedef struct harness_link {
    size_t dialer; /* indexes of nodes */
    size_t listener;
    size_t proxy;
    uint16_t port; /* the proxy's */
} harness_link;

struct dure_harness {
    const dure_harness_config *config;
    char folder[HARNESS_PATH_MAX];
    char config_path[HARNESS_PATH_MAX];
    harness_watchdog *watchdog;
    dure_registry *registry;
    harness_node *nodes;
    size_t node_count;
    harness_link *links;
    size_t link_count;
    harness_proxies *proxies;
    dure_harness_client *clients[HARNESS_CLIENTS_MAX];
    size_t client_count;
    uint32_t port_at; /* where the next free port is looked for */
    bool has_failed;
    char failure[HARNESS_FAILURE_MAX];
};

/* ---- harness.c ---- */

/* The node of an id; NULL, and a failure, where there is none or the story has failed before. */
harness_node *harness_find(dure_harness *h, const char *id);

/* ---- harness_config.c ---- */

/* Writes the file, reads it as a node would, and fills in nodes. */
bool harness_config_make(dure_harness *h);
/* Fills in links and opens a proxy for each of them and for each client port. */
bool harness_config_connect(dure_harness *h);
/* The n-th "PATH=VALUE" that the node needs beside the file: where the proxies of those are that it
 * dials. False: there is none. */
bool harness_config_set(const dure_harness *h, size_t node, size_t n, char *out, size_t out_size);

/* ---- harness_proxies.c ---- */

DURE_CHECKED dure_err harness_proxies_create(harness_proxies **out_proxies);
/* A proxy on port listen of 127.0.0.1, before port to of it. */
DURE_CHECKED dure_err harness_proxies_add(harness_proxies *proxies, const char *name,
                                          uint16_t listen, uint16_t to, size_t *out_index);
/* Fails: INVALID. */
DURE_CHECKED dure_err harness_proxies_say(harness_proxies *proxies, size_t index, const char *line);
void harness_proxies_count(harness_proxies *proxies, size_t index,
                           dure_fault_counters *out_counters);
/* NULL is fine. */
void harness_proxies_destroy(harness_proxies *proxies);

/* ---- harness_nodes.c ---- */

/* Starts without waiting. */
bool harness_node_begin(dure_harness *h, harness_node *node);
/* Whatever it takes; NULL is fine. */
void harness_node_end(dure_harness *h, harness_node *node);
void harness_node_forget_admin(harness_node *node);

/* ---- harness_threads.c ---- */

/* Fails: what the node said; its log has more. */
DURE_CHECKED dure_err harness_thread_start(dure_harness *h, harness_node *node,
                                           harness_thread **out_thread);
/* Asks the node to stop; it may have ended already. */
void harness_thread_stop(harness_thread *thread);
/* False when it has not ended after ms. */
bool harness_thread_wait(harness_thread *thread, uint32_t ms, int *out_exit_code);
/* After it has ended. NULL is fine. */
void harness_thread_destroy(harness_thread *thread);

/* ---- harness_wait.c ---- */

/* What the node says of itself; lent until the next question. Within HARNESS_ADMIN_MS. */
DURE_CHECKED dure_err harness_status(dure_harness *h, harness_node *node,
                                     node_status_result *out_status);
/* Prints a node's log to stderr. */
void harness_show_log(const harness_node *node);

/* ---- harness_client.c ---- */

void harness_clients_end(dure_harness *h);

#endif
