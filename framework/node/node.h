/* SPDX-License-Identifier: MIT
 *
 * The runtime of one node: a role (handler table) on a worker, with its links, its clients, its
 * admin port, its log and its graceful stop. Several nodes may live in one process, each on a
 * thread of its own (dure dev) or all on sim cores (tests).
 *
 * Except where it says "any", functions are called on the node's worker: from handlers, or before
 * start.
 */
#ifndef DURE_NODE_NODE_H
#define DURE_NODE_NODE_H

#include "cluster/rpc.h"

typedef struct dure_node dure_node;

/* What a node is made of. What is NULL or 0 is left out. Must outlive the node; static const. */
typedef struct dure_role {
    const char *name;
    const dure_method *methods; /* generated; its last row's serve is NULL */
    uint64_t schema_hash;
    uint32_t tick_ms; /* period of on_tick; the setting "tick_ms" overrides it */

    /* Before any port opens. *out_state goes to all handlers. Not OK: the node does not start. */
    dure_err (*on_start)(dure_node *node, void **out_state);
    /*
     * The node is to stop: nobody new is let in, and the peers know. Links still work: begin what
     * must be finished. The node closes its clients over drain_clients_ms, and waits for the
     * requests it serves, its own calls and dure_node_hold_stop, drain_ms more at most.
     */
    void (*on_stop)(dure_node *node, void *state);
    /* All is over: free the state. */
    void (*on_end)(dure_node *node, void *state);
    void (*on_tick)(dure_node *node, void *state);

    /* Clients; ids are never 0 nor used twice in the life of a process. */
    void (*on_client_open)(dure_node *node, uint64_t client, void *state);
    void (*on_client_close)(dure_node *node, uint64_t client, dure_err cause, void *state);
    /*
     * A client calls a method that this node does not serve itself. The request is held: answer it
     * now or later (dure_request_forward). method is lent for the call, params as long as the
     * request lives.
     */
    void (*on_client_call)(dure_node *node, dure_request *request, dure_str method,
                           dure_slice params, void *state);

    void (*on_peer_up)(dure_node *node, const dure_registry_node *peer, void *state);
    void (*on_peer_down)(dure_node *node, const dure_registry_node *peer, dure_err cause,
                         void *state);
    /* A peer that is up begins to stop: it finishes what it has and wants nothing new. */
    void (*on_peer_draining)(dure_node *node, const dure_registry_node *peer, void *state);
} dure_role;

/*
 * The main of a node program: --config FILE --node ID [--set PATH=VALUE]... [--log-level L]
 * [--log-format F] [--help] [--version]. argc and argv are what main was given. Loads the
 * configuration, runs the node until SIGTERM, Ctrl-C or the admin method stop; a second signal ends
 * it at once. Returns the exit code: 0 good, 1 failed, 2 usage, 78 configuration or DUPLICATE_ID.
 */
int dure_node_main(int argc, char **argv, const dure_role *role);

/* ---- from handlers ---- */

/* Its calls and peers; lives as long as the node. */
dure_rpc *dure_node_rpc(dure_node *node);

/* The core it was made with. */
dure_iocp_core *dure_node_core(dure_node *node);

/* The log it was made with; NULL: silent. */
dure_log *dure_node_log(dure_node *node);

/* Its id in the configuration; lives as long as the node. */
const char *dure_node_id(const dure_node *node);

/* The node's own folder, made at start with mode 0700. */
const char *dure_node_data_dir(const dure_node *node);
/* What on_start gave; NULL before, and where it failed. */
void *dure_node_state(dure_node *node);

/* Settings of this node, as dure_registry_setting_*. */
int64_t dure_node_setting_int(const dure_node *node, const char *key, int64_t fallback);
const char *dure_node_setting_str(const dure_node *node, const char *key, const char *fallback);

/* Asks the node to stop gracefully; on_stop runs later. Thread: any. */
void dure_node_stop(dure_node *node);
/* Stops with a failure: the program will exit with 1 and the log says why (an I/O error on commit,
 * say). */
void dure_node_fail(dure_node *node, dure_err err, const char *why);
bool dure_node_is_stopping(const dure_node *node);

/* The stop waits while holds are out (drain_ms at most). */
void dure_node_hold_stop(dure_node *node);
void dure_node_release_stop(dure_node *node);

/* status: OK when the time has passed, CANCELLED when the node ends before: then fn only frees what
 * hangs on ctx. */
typedef void (*dure_node_delay_fn)(dure_node *node, void *ctx, dure_err status);

/*
 * Calls fn on this worker in ms milliseconds, or sooner with CANCELLED where the node closes: in
 * any case once, later, and before on_end, also where on_start fails behind it. Fails: NO_MEMORY,
 * STATE when the node is closing or has ended; fn will not be called.
 */
DURE_CHECKED dure_err dure_node_after(dure_node *node, uint32_t ms, dure_node_delay_fn fn,
                                      void *ctx);

/*
 * work(ctx) on a job thread, then done(node, ctx) on this worker, always, also while stopping. One
 * job of a node runs at a time, in the order of the calls. Holds the stop meanwhile. Fails:
 * NO_MEMORY, SYSTEM (no thread for the node's first job): neither work nor done will run.
 */
DURE_CHECKED dure_err dure_node_job(dure_node *node, void (*work)(void *ctx),
                                    void (*done)(dure_node *node, void *ctx), void *ctx);

/* ---- clients ---- */

/* The client is known now: the limits of strangers end. */
void dure_node_client_set_logged_in(dure_node *node, uint64_t client, bool is_logged_in);
bool dure_node_client_is_logged_in(const dure_node *node, uint64_t client);
/* The client that a request came from (its subject); the same as dure_request_subject. */

/*
 * Sends [2, method, params]; params is one MessagePack array. Fails: STALE, OVERLOADED (the client
 * does not read and is cut), TOO_LARGE over client_queue_bytes with what belongs to it (it was not
 * sent, the client stays, and the log names the method), NO_MEMORY.
 */
DURE_CHECKED dure_err dure_node_client_notify(dure_node *node, uint64_t client, dure_str method,
                                              dure_slice params);
/* Sends `closing [name, text]` and disconnects with cause; nothing happens when it is gone. */
void dure_node_client_close(dure_node *node, uint64_t client, dure_err cause, const char *text);
uint32_t dure_node_client_count(const dure_node *node);

/* ---- for programs that host nodes: dure dev, tests ---- */

typedef struct dure_node_config {
    const dure_registry *registry; /* borrowed for life */
    const char *node_id;
    const dure_role *role;
    dure_iocp_core *core; /* borrowed for life */
    dure_log *log;        /* borrowed for life; NULL: silent */
    bool no_admin;        /* no admin port and no data folder (sim) */
    bool free_ports;      /* the link port is chosen at start where it is 0 (dure dev, tests) */
    void (*on_ready)(dure_node *node, void *ctx); /* ports are open */
    /* The node has ended; destroy it. exit_code as dure_node_main returns it. */
    void (*on_ended)(dure_node *node, int exit_code, void *ctx);
    void *ctx;
} dure_node_config;

/* Fails: NOT_CONFIGURED (no such node), INVALID (the node has another role), NO_MEMORY. */
DURE_CHECKED dure_err dure_node_create(const dure_node_config *config, dure_node **out_node);

/*
 * Runs on_start, opens the ports, dials. Not OK: what was opened ends, and on_ended is called when
 * it has; destroy it then. Fails: ADDRESS_IN_USE, what on_start said, ...; the log line that says
 * what is taken is written.
 */
DURE_CHECKED dure_err dure_node_start(dure_node *node);

/* The ports really bound. Fails: STATE, NOT_FOUND where it has no such port. */
DURE_CHECKED dure_err dure_node_client_address(const dure_node *node,
                                               dure_net_address *out_address);
DURE_CHECKED dure_err dure_node_link_address(const dure_node *node, dure_net_address *out_address);

/* After on_ended, or a start that failed. NULL is fine. */
void dure_node_destroy(dure_node *node);

#endif
