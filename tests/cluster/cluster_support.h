/* SPDX-License-Identifier: MIT
 *
 * Small clusters for tests: nodes of a dure_rpc each, all in one simulated world, with a few
 * methods to call; and peers that speak whatever bytes they like.
 */
#ifndef DURE_TESTS_CLUSTER_CLUSTER_SUPPORT_H
#define DURE_TESTS_CLUSTER_CLUSTER_SUPPORT_H

#include "cluster/rpc.h"
#include "iocp/core_sim.h"
#include "net/client_service.h"
#include "wire/frame.h"

#define TEST_NODES_MAX    4
#define TEST_GATHERED_MAX 2048

enum {
    METHOD_ECHO = 257,
    METHOD_FAIL,
    METHOD_HOLD,
    METHOD_LEFT,
    METHOD_HOP,
    METHOD_NOTE,
    METHOD_ADMIN,
    METHOD_CUSTOM,
    METHOD_TALLY,    /* counts itself; answers as its node was told to */
    METHOD_HOP_HOLD, /* asks db to hold, for as long as it is wanted itself */
    METHOD_GATHER,   /* holds all that come */
    METHOD_CLOSE     /* closes its rpc */
};

typedef struct test_node {
    struct test_cluster *cluster;
    const char *id;
    dure_iocp_core *core;
    dure_rpc *rpc;
    int up;
    int down;
    int duplicates;
    int notes;
    int cancels;
    bool is_closed;
    dure_err down_cause;
    dure_request *held;
    int runs;           /* of tally */
    bool tally_holds;   /* instead of answering its number */
    dure_err fail_with; /* so often */
    int fails;
    dure_request *gathered[TEST_GATHERED_MAX];
    size_t gathered_count;
    /* What note, echo, tally and gather got, before they serve it. May be NULL. */
    void (*on_served)(void *ctx, const dure_request *request);
    void *served_ctx;
} test_node;

typedef struct test_cluster {
    dure_sim_world *world;
    dure_log *log;
    char log_text[65536];
    size_t log_len;
    dure_registry *registry;
    test_node nodes[TEST_NODES_MAX];
} test_cluster;

/* A cluster of db-1 and game-1. */
typedef struct test_pair {
    test_cluster cluster;
    test_node *db;
    test_node *game;
} test_pair;

typedef struct test_call {
    int count;
    dure_err status;
    uint32_t code;
    uint8_t body[64];
    size_t body_len;
    char text[160];
    const dure_registry_node *from;
} test_call;

/* gateway-1 dials game-1 and game-2, which dial db-1; peer-1 and peer-2 dial each other. */
void test_cluster_init(test_cluster *cluster, const char *secret);
/* Closes what runs and checks that each core completed what it started. */
void test_cluster_fini(test_cluster *cluster);

/* A node of the cluster's registry, or of another that is given. */
test_node *test_node_start(test_cluster *cluster, const char *id, const dure_registry *registry);
void test_node_stop(test_node *node);
/* Both are linked; registry may be NULL. Ends with test_cluster_fini. */
void test_pair_init(test_pair *pair, const dure_registry *registry);
void test_run(test_cluster *cluster, uint32_t ms);
bool test_log_has(const test_cluster *cluster, const char *text);

dure_registry *test_registry(const char *name, const char *secret);
/* The same with settings of its own; tune may be NULL. */
dure_registry *test_registry_tuned(const char *name, const char *secret,
                                   void (*tune)(dure_registry_settings *settings));

void test_on_done(void *ctx, const dure_outcome *outcome);
/* With options of the caller's; call is set up anew. */
dure_call_id test_call_with(test_node *node, const char *to, uint32_t method,
                            const dure_call_options *options, test_call *call);
dure_call_id test_call_node(test_node *node, const char *to, uint32_t method, uint32_t deadline_ms,
                            test_call *call);
/* Answers all that METHOD_GATHER holds, in one go. */
void test_answer_gathered(test_node *node, dure_slice result);
/* It has ended, once, in that way. */
void test_check_ended(const test_call *call, dure_err status);
/* The same, after so long. */
void test_check_ends(test_cluster *cluster, const test_call *call, uint32_t ms, dure_err status);
/* The number that tally answered. */
uint64_t test_number_of(const test_call *call);

dure_rpc_counters test_counters_of(const test_node *node);

#endif
