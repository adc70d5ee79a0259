/* SPDX-License-Identifier: MIT
 *
 * Whole roles in one simulated world: gateways, game nodes and a db node, each on a core of its
 * own, and the clients of players, on one more. Nothing fails where a client's call cannot be sent
 * or is not answered: the answer is missing then, and it is the test that judges.
 */
#ifndef DURE_TESTS_NODES_ROLE_CLUSTER_H
#define DURE_TESTS_NODES_ROLE_CLUSTER_H

#include "base/buf.h"
#include "iocp/core_sim.h"
#include "net/client_service.h"
#include "node/node.h"
#include "support/check.h"
#include "wire/mprpc.h"

#define ROLE_NODES_MAX    8
#define ROLE_ANSWERS_MAX  256u /* of one client, the last ones */
#define ROLE_VALUE_BYTES  256u
#define ROLE_CALL_MS      7000u /* longer than any call waits: call_deadline_ms is 5 s */
#define ROLE_SETTLE_MS    3000u
#define ROLE_GOODBYE_MS   20000u
#define ROLE_NODE_ID_SIZE 16

typedef struct role_cluster role_cluster;

typedef struct role_node {
    role_cluster *cluster;
    char id[ROLE_NODE_ID_SIZE];
    const dure_role *role;
    dure_iocp_core *core;
    dure_log *log;
    dure_buf log_text;
    dure_node *node; /* NULL: it does not run */
    bool is_ended;
    int exit_code;
} role_node;

/* How a cluster is to be. */
typedef struct role_cluster_config {
    uint64_t seed;
    uint64_t latency_ns;    /* 0: the world's default */
    uint32_t segment_bytes; /* 0: whatever was sent arrives at once */
    int gateways;
    int games;
    const dure_role *own; /* one node of it too, that the gateways dial; NULL: none */
    /* Settings, before the registry is finished; may be NULL. */
    void (*change)(dure_registry_builder *builder);
} role_cluster_config;

/* The nodes are called gateway-1.., game-1.., db-1 and own-1. */
struct role_cluster {
    dure_sim_world *world;
    dure_registry *registry;
    dure_iocp_core *clients; /* the core of all clients */
    role_node nodes[ROLE_NODES_MAX];
    int node_count;
};

/* One gateway, two game nodes, nothing of one's own. */
void role_cluster_config_init(role_cluster_config *config);
/* Every node started, and every link up. */
void role_cluster_open(role_cluster *cluster, const role_cluster_config *config);
/* Stops what runs; nothing is left behind. */
void role_cluster_close(role_cluster *cluster);

/* Lets virtual time pass. */
void role_cluster_run(role_cluster *cluster, uint32_t ms);
role_node *role_cluster_node(role_cluster *cluster, const char *id);
dure_rpc *role_cluster_rpc(role_cluster *cluster, const char *id);
/* Breaks the connection of a link while both processes live on. */
void role_cluster_cut(role_cluster *cluster, const char *id, const char *peer);

/* A graceful stop has ended when stop returns. */
void role_node_begin_stop(role_node *node);
void role_node_stop(role_node *node);
void role_node_start(role_node *node);
bool role_node_logged(const role_node *node, const char *text);

/* ---- clients ---- */

typedef struct role_answer {
    uint32_t id;
    dure_err code; /* DURE_OK: value is the result */
    uint8_t value[ROLE_VALUE_BYTES];
    size_t len; /* 0: it was too long to be kept */
} role_answer;

/* The connection of a player's client, and what came over it. */
typedef struct role_client {
    role_cluster *cluster;
    dure_service *service;
    dure_session *session; /* NULL: there is no connection */
    dure_mprpc_reader reader;
    uint32_t next_id;
    role_answer answers[ROLE_ANSWERS_MAX]; /* by id, modulo */
    uint32_t answered;
    uint64_t notified; /* notifications but `closing` */
    char said[64];     /* the last `chat`: its text */
    bool is_in_order;  /* what was said, as texts, never fell */
    char closing[24];  /* the name in `closing`; "" */
    char player[32];   /* of the last login or resume that went well */
    char token[64];    /* likewise */
    bool is_closed;
} role_client;

/* Connects to a gateway and waits until that is done; session is NULL where it was refused. */
void role_client_open(role_client *client, role_cluster *cluster, const char *gateway);
/* Hangs up and frees; fine for one that the gateway has closed. */
void role_client_close(role_client *client);
/* The connection breaks, and the other side is not told with a farewell but with a reset. */
void role_client_abort(role_client *client);

/*
 * Calls a method; params are given by a letter each: s (const char *), t (dure_str), u (uint64_t).
 * Returns the call's id, 0 where it could not be sent.
 */
uint32_t role_client_ask(role_client *client, const char *method, const char *letters, ...);
/* What was answered; NULL: nothing yet. */
const role_answer *role_client_answer(const role_client *client, uint32_t id);
/* The same, and waits for the answer. The code of it; DURE_ERR_TIMED_OUT where none came. */
dure_err role_client_call(role_client *client, const char *method, const char *letters, ...);
/* Of the answer to the last call: its result as a number; 0 where it is none. */
uint64_t role_client_number(const role_client *client);
/* The number, or the text, of a key in it; 0 or "" where there is none. */
uint64_t role_client_count(const role_client *client, const char *key);
void role_client_text(const role_client *client, const char *key, char *out, size_t size);
/* The array of names of its key `players`, as "ada bob". */
void role_client_players(const role_client *client, char *out, size_t size);

/* Calls, and takes name and token from the answer. The code of it. */
dure_err role_client_login(role_client *client, const char *name);
dure_err role_client_resume(role_client *client, const char *token, uint64_t received);

#endif
