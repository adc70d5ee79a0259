/* SPDX-License-Identifier: MIT
 *
 * What a gateway knows of each client: its session, which may outlive a connection and go on with
 * another one, its player, and the game node that the player is bound to.
 * Requests that come while the binding changes wait in line, so that pipelined calls meet the state
 * that they expect.
 */
#ifndef DURE_NODES_GATEWAY_CLIENT_H
#define DURE_NODES_GATEWAY_CLIENT_H

/* uthash's own choice falls through its cases, which clang objects to. */
#define HASH_FUNCTION(key, len, hash) HASH_OAT(key, len, hash)
#include <uthash.h>

#include "base/list.h"
#include "cluster/rpc.h"
#include "nodes/gateway/missed.h"

#define GATEWAY_NAME_BYTES_MAX 256
#define GATEWAY_SECRET_BYTES   16u  /* of a resume token: 128 random bits */
#define GATEWAY_WAITING_MAX    256u /* requests of one client that wait for its binding */

/* Forward but for BOUND <-> UNBOUND <-> BINDING. */
#define GATEWAY_CLIENT_STATE_LIST(X)                                                               \
    X(STRANGER)   /* not logged in */                                                              \
    X(LOGGING_IN) /* login is on its way */                                                        \
    X(BINDING)    /* the player enters a game node, or moves to another */                         \
    X(BOUND)      /* the player is on `node` */                                                    \
    X(UNBOUND)    /* logged in, but its game node is not reachable */

typedef enum gateway_client_state {
#define GATEWAY_CLIENT_STATE_ROW(name) GATEWAY_CLIENT_##name,
    GATEWAY_CLIENT_STATE_LIST(GATEWAY_CLIENT_STATE_ROW)
#undef GATEWAY_CLIENT_STATE_ROW
} gateway_client_state;

typedef struct gateway_client {
    uint64_t id;   /* of the session: its first connection's */
    uint64_t conn; /* its connection; 0: none at present */
    gateway_client_state state;
    char player[GATEWAY_NAME_BYTES_MAX + 1];
    char room[GATEWAY_NAME_BYTES_MAX + 1];
    uint64_t epoch;
    const dure_registry_node *node; /* where the player is, or may be; BINDING: where to */
    uint64_t await_until_ms; /* UNBOUND: its node restarts, and calls wait for it; 0: they do not */
    dure_list waiting;       /* gateway_waiting.in_client */
    uint32_t waiting_count;
    dure_list forwarded; /* gateway_forwarded.in_client */
    gateway_missed missed;
    uint8_t secret[GATEWAY_SECRET_BYTES]; /* of its token */
    bool has_secret;
    bool is_dropped; /* stands in the line of those without a connection */
    uint64_t dropped_ms;
    dure_list in_dropped;
    UT_hash_handle hh;
    UT_hash_handle by_conn;
} gateway_client;

/* A call that another node is asked on the client's behalf. */
typedef struct gateway_forwarded {
    dure_list in_client;
    dure_request *request; /* NULL: answered already */
    bool is_idempotent;
} gateway_forwarded;

/* A request in line; run is called when the binding has been settled. */
typedef struct gateway_waiting {
    dure_list in_client;
    dure_request *request;
    void (*run)(void *ctx, gateway_client *client, struct gateway_waiting *waiting);
    dure_slice params; /* lent by the held request */
    const void *row;   /* for a forwarded call: its method */
} gateway_waiting;

typedef struct gateway_clients {
    gateway_client *by_id;
    gateway_client *by_conn;
} gateway_clients;

/* One whose session has the id of its connection. NULL when there is no memory. */
gateway_client *gateway_client_add(gateway_clients *clients, uint64_t conn);
/* By the session; NULL when it has ended. */
gateway_client *gateway_client_find(const gateway_clients *clients, uint64_t id);
/* By the connection; NULL when no session has it. */
gateway_client *gateway_client_of(const gateway_clients *clients, uint64_t conn);
/* Takes its connection from a session, or gives it one. */
void gateway_client_detach(gateway_clients *clients, gateway_client *client);
void gateway_client_attach(gateway_clients *clients, gateway_client *client, uint64_t conn);
/* Answers what waits. */
void gateway_client_fail_waiting(gateway_client *client, dure_err err, const char *text);
/* Answers what waits, and frees it. */
void gateway_client_remove(gateway_clients *clients, gateway_client *client);

bool gateway_client_is_logged_in(const gateway_client *client);

/* Whether its player's node restarts, so that calls wait instead of failing. */
bool gateway_client_is_awaiting(const gateway_client *client);

/* Puts a request in line and holds it; answers OVERLOADED where the line is full. */
void gateway_client_wait(gateway_client *client, const gateway_waiting *waiting);

/* Runs what waits, in order, for as long as the client is not BINDING again, or awaiting. */
void gateway_client_run_waiting(gateway_clients *clients, gateway_client *client, void *ctx);

/* Copies text that fits. */
void gateway_name_copy(char out[GATEWAY_NAME_BYTES_MAX + 1], dure_str name);

#endif
