/* SPDX-License-Identifier: MIT
 *
 * What a gateway knows of its connections, and of the players behind them. A connection is a
 * stranger's until it has a client. A client is one login: it has a number of its own, which no
 * other login ever has, it may lose its connection and go on with another one, and it ends with
 * logout, a takeover, or when nobody comes back. So nothing that is meant for one player finds the
 * next one of the same connection.
 *
 * Calls that come while the player is on its way to a game node wait in line, in the order in which
 * they came.
 */
#ifndef DURE_NODES_GATEWAY_CLIENT_H
#define DURE_NODES_GATEWAY_CLIENT_H

/* uthash's own choice falls through its cases, which clang objects to. */
#define HASH_FUNCTION(key, len, hash) HASH_OAT(key, len, hash)
#include <uthash.h>

#include "base/list.h"
#include "base/log.h"
#include "cluster/rpc.h"
#include "nodes/gateway/methods.h"
#include "nodes/gateway/missed.h"

#define GATEWAY_NAME_BYTES_MAX 256
#define GATEWAY_SECRET_BYTES   16u  /* of a resume token: 128 random bits */
#define GATEWAY_WAITING_MAX    256u /* calls of one client that may get in line */

/* Drawn in nodes/README.md; the steps are in client.c. */
#define GATEWAY_CLIENT_STATE_LIST(X)                                                               \
    X(LOGGING_IN) /* login is on its way to db */                                                  \
    X(ENTERING)   /* logged in; the first game node is asked, and login is not answered yet */     \
    X(BINDING)    /* the player enters a game node, moves to another or leaves one that drains */  \
    X(BOUND)      /* the player is on `node` */                                                    \
    X(AWAITING)   /* on none, and soon on one: calls wait */                                       \
    X(UNBOUND)    /* on none for too long already: calls are refused */                            \
    X(ENDED)      /* it is about to be freed */

typedef enum gateway_client_state {
#define GATEWAY_CLIENT_STATE_ROW(name) GATEWAY_CLIENT_##name,
    GATEWAY_CLIENT_STATE_LIST(GATEWAY_CLIENT_STATE_ROW)
#undef GATEWAY_CLIENT_STATE_ROW
} gateway_client_state;

typedef struct gateway_client gateway_client;
struct gateway_join_params; /* of gateway.schema.h */

/* A connection of the client port. */
typedef struct gateway_conn {
    uint64_t id;
    gateway_client *client; /* NULL: a stranger's */
    UT_hash_handle hh;
} gateway_conn;

struct gateway_client {
    uint64_t id;        /* of this login, which other nodes know it by; never 0 */
    gateway_conn *conn; /* NULL: it is waited for in the line of the dropped, or about to end */
    gateway_client_state state;
    char player[GATEWAY_NAME_BYTES_MAX + 1];
    char room[GATEWAY_NAME_BYTES_MAX + 1];
    uint64_t epoch;                 /* 0: db has not begun its session */
    const dure_registry_node *node; /* where the player is, or may be; NULL: nowhere */
    uint64_t await_until_ms;        /* until then calls wait for a node; of AWAITING, and of the
                                     * BINDING that it leads to */
    dure_list waiting;              /* gateway_call.in_client, by their numbers */
    uint32_t waiting_count;
    dure_list in_waiting; /* of gateway_clients.waiting */
    dure_list forwarded;  /* gateway_call.in_client */
    dure_request **asked; /* of the login or join that is under way, in the step that answers it;
                           * NULL: there is none */
    uint64_t call_number; /* of the last call */
    gateway_missed missed;
    uint8_t secret[GATEWAY_SECRET_BYTES]; /* of its token */
    uint8_t former[GATEWAY_SECRET_BYTES]; /* of the one before, */
    bool former_serves;                   /* which serves too until the newer one has been heard */
    uint64_t dropped_ms;
    dure_list in_dropped; /* of gateway.dropped */
    dure_list in_unbound; /* of gateway_clients.unbound: AWAITING and UNBOUND */
    UT_hash_handle hh;
};

/*
 * A call of a client that waits in line, or that another node is asked on its behalf. It owns its
 * held request until that is answered.
 */
typedef struct gateway_call gateway_call;
/* Takes the call. Run when the player has arrived, or is not expected any more. */
typedef void (*gateway_call_fn)(void *ctx, gateway_client *client, gateway_call *call);

struct gateway_call {
    dure_list in_client;
    uint64_t number;       /* rising in the order in which the client's calls came */
    dure_request *request; /* NULL: it has been answered */
    gateway_call_fn run;
    const struct gateway_join_params *join; /* of a join; lives as long as its request */
    const gateway_method *method;           /* of a call that is passed on */
    dure_slice params;                      /* likewise; lives as long as its request */
    /* of one that another node is asked */
    void *gateway;
    uint64_t client; /* whose it is; 0: a stranger's */
    uint64_t epoch;  /* of its player then */
    dure_call_id id;
};

typedef struct gateway_clients {
    gateway_client *by_id;
    gateway_conn *conns;
    dure_list unbound; /* gateway_client.in_unbound: those that the tick binds, in turn */
    uint32_t unbound_count;
    dure_list waiting; /* gateway_client.in_waiting: those with calls in line */
    dure_log *log;     /* NULL: silent */
} gateway_clients;

/* Also before _fini. */
void gateway_clients_init(gateway_clients *clients, dure_log *log);
/* All of them; nothing may be unanswered. */
void gateway_clients_fini(gateway_clients *clients);

/* ---- connections ---- */

/* A stranger's. NULL when there is no memory. */
gateway_conn *gateway_conn_add(gateway_clients *clients, uint64_t id);
/* NULL when it is gone. */
gateway_conn *gateway_conn_find(const gateway_clients *clients, uint64_t id);
/* Its client, where it has one, has no connection from here on. */
void gateway_conn_remove(gateway_clients *clients, gateway_conn *conn);

/* ---- clients ---- */

/* One that is LOGGING_IN as player, on a stranger's connection. NULL when there is no memory. */
gateway_client *gateway_client_add(gateway_clients *clients, uint64_t id, gateway_conn *conn,
                                   dure_str player);
/* NULL when it has ended. */
gateway_client *gateway_client_find(const gateway_clients *clients, uint64_t id);
/* Takes its connection from a client, or gives it a stranger's. */
void gateway_client_detach(gateway_client *client);
void gateway_client_attach(gateway_client *client, gateway_conn *conn);
/* It has ended; what waits must have been answered. Its connection is a stranger's again. */
void gateway_client_remove(gateway_clients *clients, gateway_client *client);

/* The one place where a state changes. why is for the log. */
void gateway_client_set_state(gateway_clients *clients, gateway_client *client,
                              gateway_client_state state, const char *why);
const char *gateway_client_state_name(gateway_client_state state);
/* Whether the table has this step. */
bool gateway_client_step_is_allowed(gateway_client_state from, gateway_client_state to);

/* Whether login has gone well, whether or not it has been answered. */
bool gateway_client_is_logged_in(const gateway_client *client);

/* ---- its calls ---- */

/* Whether a call of the client has to get in line. */
bool gateway_client_is_busy(const gateway_client *client);

/*
 * A call that came now, of a request that is held from here on. NULL when there is no memory; it
 * has been answered then.
 */
gateway_call *gateway_call_create(gateway_client *client, dure_request *request,
                                  gateway_call_fn run);
/* One whose request has been answered. */
void gateway_call_free(gateway_call *call);

/* Takes a call that has come, into the line; answers OVERLOADED where the line is full. */
void gateway_client_wait(gateway_clients *clients, gateway_client *client, gateway_call *call);
/* Takes one that was on its way already, and that nobody has begun, to its place in the line. */
void gateway_client_wait_again(gateway_clients *clients, gateway_client *client,
                               gateway_call *call);

/*
 * Answers calls that wait to be passed on with UNAVAILABLE where they have no more than left_ms:
 * soon they would end as DEADLINE, which leaves open whether they have run.
 */
void gateway_clients_end_late(gateway_clients *clients, uint32_t left_ms);
/* Answers the login or join that is under way, where there is one; its step goes on without. */
void gateway_client_fail_asked(gateway_client *client, dure_err err, const char *text);
/* Answers what waits. */
void gateway_client_fail_waiting(gateway_client *client, dure_err err, const char *text);
/* Runs what waits, in order, for as long as the client is not busy again. ctx goes to run. */
void gateway_client_run_waiting(gateway_clients *clients, gateway_client *client, void *ctx);

/* Copies text that fits. */
void gateway_name_copy(char out[GATEWAY_NAME_BYTES_MAX + 1], dure_str name);

#endif
