/* SPDX-License-Identifier: MIT
 *
 * The registry: which roles and nodes the configuration names, and who dials whom. Read once, then
 * never changed, so it may be shared by all threads. registry_json.h makes one from a file.
 */
#ifndef DURE_CLUSTER_REGISTRY_H
#define DURE_CLUSTER_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "net/network.h"

#define DURE_NODE_ID_MAX 63 /* bytes of a node id or role name: a-z 0-9 - _, a letter first */

typedef struct dure_registry dure_registry;

typedef struct dure_registry_node {
    const char *id;
    const char *role;
    const char *host; /* where others dial it, and what it binds unless `bind` says otherwise */
    const char *bind;
    uint16_t link_port;   /* 0: nobody dials it (or, with free ports, chosen at start) */
    uint16_t client_port; /* 0: it has no clients, or with has_clients one chosen at start */
    bool has_clients; /* it has a client port, of a number chosen at start where client_port is 0 */
    size_t role_index;
} dure_registry_node;

typedef struct dure_registry_role {
    const char *name;
    const char *program;      /* file name of the program */
    const char *const *dials; /* names of roles */
    size_t dial_count;
} dure_registry_role;

/* The cluster's name. */
const char *dure_registry_cluster(const dure_registry *registry);

/* Where nodes keep their files; each has a folder of its own below, named by its id. */
const char *dure_registry_data(const dure_registry *registry);

/* How many nodes the configuration names. Thread: any. */
size_t dure_registry_node_count(const dure_registry *registry);
/* The node at an index below the count, in the order of the file. Thread: any. */
const dure_registry_node *dure_registry_node_at(const dure_registry *registry, size_t index);
/* NULL when it is not configured. */
const dure_registry_node *dure_registry_find_node(const dure_registry *registry, const char *id);

/* How many roles the configuration names. Thread: any. */
size_t dure_registry_role_count(const dure_registry *registry);
/* The role at an index below the count, in the order of the file. Thread: any. */
const dure_registry_role *dure_registry_role_at(const dure_registry *registry, size_t index);
/* NULL when it is not configured. Thread: any. */
const dure_registry_role *dure_registry_find_role(const dure_registry *registry, const char *name);

/* Whether nodes of role `from` dial nodes of role `to`. */
bool dure_registry_dials(const dure_registry *registry, const char *from, const char *to);

/*
 * Settings of a role ("tick_ms", "engine", a user's own keys): the node's value, else the role's,
 * else the default given.
 */
int64_t dure_registry_setting_int(const dure_registry *registry, const char *node_id,
                                  const char *key, int64_t fallback);
const char *dure_registry_setting_str(const dure_registry *registry, const char *node_id,
                                      const char *key, const char *fallback);
bool dure_registry_setting_bool(const dure_registry *registry, const char *node_id, const char *key,
                                bool fallback);

/*
 * Limits of nodes: X(name, default, least, most). What each means stands in
 * config/cluster.schema.json.
 */
#define DURE_REGISTRY_LIMIT_LIST(X)                                                                \
    X(clients_max, 100000, 1, 16000000)                                                            \
    X(client_first_ms, 2000, 50, 60000)                                                            \
    X(client_login_ms, 30000, 0, 86400000)                                                         \
    X(client_message_ms, 10000, 50, 600000)                                                        \
    X(client_queue_soft_bytes, 262144, 4096, 1073741824)                                           \
    X(client_slow_ms, 5000, 50, 600000)                                                            \
    X(client_queue_bytes, 1048576, 65536, 1073741824)                                              \
    X(client_calls_per_s, 1000, 0, 1000000)                                                        \
    X(client_calls_burst, 5000, 1, 10000000)                                                       \
    X(connects_per_s, 200, 0, 1000000)                                                             \
    X(connects_burst, 1000, 1, 10000000)                                                           \
    X(strangers_per_address, 1024, 0, 1000000)                                                     \
    X(link_strangers_max, 4096, 8, 65536)                                                          \
    X(write_stall_ms, 10000, 100, 600000)                                                          \
    X(descriptor_reserve, 128, 16, 65536)                                                          \
    X(memory_limit_mib, 0, 0, 16777216)                                                            \
    X(login_memory_percent, 92, 1, 100)                                                            \
    X(shed_memory_percent, 95, 1, 100)                                                             \
    X(admin_connections_max, 64, 1, 1024)                                                          \
    X(admin_idle_ms, 60000, 1000, 86400000)                                                        \
    X(body_max_bytes, 16777216, 65536, 268435456)                                                  \
    X(link_queue_high_bytes, 8388608, 65536, 1073741824)                                           \
    X(link_queue_max_bytes, 33554432, 65536, 1073741824)                                           \
    X(drain_clients_ms, 30000, 0, 600000)                                                          \
    X(user_timeout_ms, 10000, 100, 600000)                                                         \
    X(accepts_outstanding, 64, 1, 1024)                                                            \
    X(accept_pause_first_ms, 10, 1, 10000)                                                         \
    X(accept_pause_max_ms, 1000, 1, 600000)                                                        \
    X(call_attempts, 3, 1, 10)                                                                     \
    X(retry_budget_percent, 10, 0, 1000)                                                           \
    X(retry_budget_per_s, 10, 0, 1000000)                                                          \
    X(request_key_ms, 120000, 100, 86400000)                                                       \
    X(request_keys_max, 65536, 1, 1048576)                                                         \
    X(request_keys_bytes, 67108864, 65536, 1073741824)

/* Settings of the whole cluster, from the top level of the file, each with its default in
 * config/cluster.schema.json. */
typedef struct dure_registry_settings {
    const char *backend; /* "auto", "epoll", "uring", "win32" */
    uint32_t handshake_ms;
    uint32_t heartbeat_ms;
    uint32_t peer_timeout_ms;
    uint32_t redial_first_ms;
    uint32_t redial_max_ms;
    uint32_t call_deadline_ms;
    uint32_t client_idle_ms; /* 0: off */
    uint32_t drain_ms;
    const char *log_level;
    dure_net_networks address_exempt; /* limits by address are not theirs: balancers, say */
#define DURE_REGISTRY_LIMIT_MEMBER(name, fallback, least, most) uint32_t name;
    DURE_REGISTRY_LIMIT_LIST(DURE_REGISTRY_LIMIT_MEMBER)
#undef DURE_REGISTRY_LIMIT_MEMBER
} dure_registry_settings;

/* The settings of the whole cluster; they live as long as the registry. Thread: any. */
const dure_registry_settings *dure_registry_settings_of(const dure_registry *registry);

/*
 * The cluster secrets, the first one to prove with, both good to accept (for rotation); count 0
 * where there is none. Read from the file that the configuration names or from the environment;
 * never printed. Lends: their bytes, for the registry's life; they are no C strings.
 */
size_t dure_registry_secrets(const dure_registry *registry, dure_slice out_secrets[2]);

/* Frees it; NULL is fine. */
void dure_registry_destroy(dure_registry *registry);

/* ---- making one by hand: for dure dev, tests, and registry_json.c ---- */

typedef struct dure_registry_builder dure_registry_builder;

/* An empty registry of that name. Fails: NO_MEMORY. Owned by the caller; ends with finish or
 * destroy. */
DURE_CHECKED dure_err dure_registry_builder_create(const char *cluster, const char *data,
                                                   dure_registry_builder **out_builder);
/* dials ends with NULL. */
DURE_CHECKED dure_err dure_registry_builder_role(dure_registry_builder *builder, const char *name,
                                                 const char *program, const char *const *dials);
DURE_CHECKED dure_err dure_registry_builder_node(dure_registry_builder *builder, const char *id,
                                                 const char *role, const char *host,
                                                 uint16_t link_port, uint16_t client_port);
/* Of the node added last: another address to bind than its host. Fails: NO_MEMORY. */
DURE_CHECKED dure_err dure_registry_builder_bind(dure_registry_builder *builder, const char *bind);
/* The node added last has a client port, chosen at start where its number is 0. Fails: never. */
DURE_CHECKED dure_err dure_registry_builder_clients(dure_registry_builder *builder);
/* node_id NULL: for the role. value is JSON text of a scalar. */
DURE_CHECKED dure_err dure_registry_builder_setting(dure_registry_builder *builder,
                                                    const char *role, const char *node_id,
                                                    const char *key, const char *value);
/* To be written before finish. */
dure_registry_settings *dure_registry_builder_settings(dure_registry_builder *builder);
/* One more secret, any bytes, copied: the first to prove with, then the one before it. Fails:
 * INVALID (it is empty), FULL, NO_MEMORY. */
DURE_CHECKED dure_err dure_registry_builder_secret(dure_registry_builder *builder,
                                                   dure_slice secret);
/* Ends the builder; the registry is the caller's. Fails: CONFIG (an unknown role, two nodes of one
 * id, a peer_timeout_ms that is not above heartbeat_ms). */
DURE_CHECKED dure_err dure_registry_builder_finish(dure_registry_builder *builder,
                                                   dure_registry **out_registry);
void dure_registry_builder_destroy(dure_registry_builder *builder);

#endif
