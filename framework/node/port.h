/* SPDX-License-Identifier: MIT
 *
 * A port that speaks MessagePack-RPC: what the client port and the admin port share. It reads
 * messages within the limits of docs/wire.md, keeps account of the requests of each connection, and
 * answers them. Whom to let call what is the owner's business (client_port.c, admin.c).
 *
 * Everything here is called on the node's worker.
 */
#ifndef DURE_NODE_PORT_H
#define DURE_NODE_PORT_H

#include "base/list.h"
#include "cluster/rpc.h"
#include "net/server_service.h"
#include "net/strangers.h"
#include "node/rate.h"
#include "wire/mprpc.h"

typedef struct node_port node_port;

/* X(name, what the one that is turned away is told) */
#define NODE_LIMIT_LIST(X)                                                                         \
    X(RATE, "this address connects too often")                                                     \
    X(ADDRESS, "this address has too many connections that have not logged in")                    \
    X(FULL, "there are as many connections as there may be")

typedef enum node_limit {
#define NODE_LIMIT_ROW(name, text) NODE_LIMIT_##name,
    NODE_LIMIT_LIST(NODE_LIMIT_ROW)
#undef NODE_LIMIT_ROW
        NODE_LIMIT_COUNT
} node_limit;

/* One connection. */
typedef struct node_conn {
    node_port *port;
    dure_session *session;
    uint64_t id;
    dure_mprpc_reader reader;
    dure_list requests; /* node_call.in_conn */
    uint32_t request_count;
    uint32_t barrier_count; /* of the requests, those that what comes behind them waits for */
    dure_list in_waiting;   /* those whose first message has not come, oldest first */
    dure_list in_port;      /* all of the port, oldest first */
    uint64_t opened_ms;
    uint64_t partial_since_ms; /* since when a message has begun and not ended; 0: none has */
    node_rate calls;
    uint64_t over_since_ms;     /* since when its queue is over the soft limit; 0: it is not */
    dure_stranger stranger;     /* counted until it is trusted */
    uint64_t stranger_since_ms; /* when it came, or was a stranger again */
    dure_list in_leaving;       /* of the port: it was refused and is told so */
    uint64_t ended_ms;          /* since when the client sends no more, but listens; 0: it does */
    bool is_leaving;
    bool is_cut;       /* it has been, and is gone in a moment */
    bool is_open;      /* on_open was called */
    bool is_trusted;   /* logged in, or authenticated: the limits of strangers end */
    bool is_throttled; /* reading waits for what is queued to leave, or for a barrier */
} node_conn;

typedef struct node_port_ops {
    void (*on_open)(node_port *port, node_conn *conn);
    void (*on_close)(node_port *port, node_conn *conn, dure_err cause);
    /* A request or notification came. */
    void (*on_call)(node_port *port, node_conn *conn, const dure_mprpc_message *message);
} node_port_ops;

typedef struct node_port_config {
    const char *name; /* for logs; borrowed for life */
    dure_log *log;    /* NULL: silent */
    dure_rpc *rpc;
    const node_port_ops *ops;
    void *ctx;
    uint32_t connections_max;
    uint32_t room;      /* connections more that may be on their way out; at least 2 */
    bool has_strangers; /* a full port closes the one of them that has been connected longest */
    uint32_t strangers_per_address; /* 0: no limit */
    uint32_t login_ms;              /* how long one may stay a stranger; 0: for ever */
    bool makes_room;  /* where nobody is a stranger, the one goes that was silent for longest */
    uint32_t idle_ms; /* 0: off */
    uint32_t call_deadline_ms;       /* of a request that is served */
    node_rate_limit calls;           /* of one connection */
    node_rate_limit connects;        /* of one address */
    const dure_net_networks *exempt; /* limits by address are not theirs; borrowed for life */
    const dure_registry_settings *settings; /* the other limits; borrowed for life */
    void (*on_closed)(node_port *port, void *ctx);
} node_port_config;

/* Fails: NO_MEMORY. */
DURE_CHECKED dure_err node_port_create(const node_port_config *config, node_port **out_port);
/* Fails: as dure_service_start. */
DURE_CHECKED dure_err node_port_start(node_port *port, const dure_net_address *address);
DURE_CHECKED dure_err node_port_address(const node_port *port, dure_net_address *out_address);
void node_port_stop_accepting(node_port *port);
/* Ends all connections with a notice; on_closed is called, later, also when it was never started.
 */
void node_port_close(node_port *port, dure_err cause, const char *text);
bool node_port_is_closed(const node_port *port);
void node_port_destroy(node_port *port);

/* Cuts those who are silent or slow. To be called a few times a second. */
void node_port_tick(node_port *port);

/*
 * Closes connections with OVERLOADED: all that are not trusted, and a twentieth of the others, the
 * newest first.
 */
void node_port_shed(node_port *port);

/*
 * Closes so many connections with a notice, the oldest first, but none that waits for an answer.
 * Returns how many. Those that were closed before do not count.
 */
uint32_t node_port_say_farewell(node_port *port, uint32_t most, const char *text);

/* Connections that nobody has closed yet. */
uint32_t node_port_staying(const node_port *port);

/* How often each limit has turned a connection away, and how often accepting had to pause because
 * no descriptor was left. */
void node_port_refusals(const node_port *port, uint64_t out_totals[NODE_LIMIT_COUNT],
                        uint64_t *out_accept_pauses);

/* The ctx it was made with. */
void *node_port_ctx(const node_port *port);
/* Its connections at this moment. */
uint32_t node_port_count(const node_port *port);
/* NULL when it is gone. */
node_conn *node_port_find(node_port *port, uint64_t id);

/* The limits of strangers end, or begin again. */
void node_conn_set_trusted(node_conn *conn, bool is_trusted);

/* Answers a message with an error; nothing for a notification. */
void node_conn_fail(node_conn *conn, const dure_mprpc_message *message, dure_err err,
                    const char *text);

/* Answers a message with a result. */
void node_conn_reply(node_conn *conn, const dure_mprpc_message *message, dure_slice result);

/*
 * Serves a message by a method of this node. Behind a barrier nothing more of the connection is
 * read until it has been answered, so what follows meets the state that it leaves.
 */
void node_conn_serve(node_conn *conn, const dure_mprpc_message *message, const dure_method *method);

/* A request for the owner to answer; NULL after it has been answered with an error. */
dure_request *node_conn_open_request(node_conn *conn, const dure_mprpc_message *message);

/*
 * Sends a notification. Fails: TOO_LARGE over client_queue_bytes (nothing happens to the
 * connection), STATE, OVERLOADED (the connection is cut as SLOW), NO_MEMORY.
 */
DURE_CHECKED dure_err node_conn_notify(node_conn *conn, dure_str method, dure_slice params);

/* Sends `closing [name, text]` and disconnects. */
void node_conn_close(node_conn *conn, dure_err cause, const char *text);

/* The row of a name with all of these flags set; NULL when there is none. */
const dure_method *node_method_find(const dure_method *methods, dure_str name, uint32_t flags);

#endif
