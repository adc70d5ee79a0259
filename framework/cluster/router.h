/* SPDX-License-Identifier: MIT
 *
 * Which node gets a call: by id, of a role the one with the least load, by key, or all of a role.
 * Pure over the registry; whether a node is up and how busy it is, the caller says. Nodes are named
 * by their index in the registry.
 */
#ifndef DURE_CLUSTER_ROUTER_H
#define DURE_CLUSTER_ROUTER_H

#include "base/str.h"
#include "cluster/registry.h"

#define DURE_ROUTER_NONE UINT32_MAX

typedef struct dure_router dure_router;

typedef struct dure_router_role {
    const char *name;
    const uint32_t *nodes; /* indexes, in the order of the registry */
    uint32_t node_count;
} dure_router_role;

/*
 * Borrows: registry, for life. Owned by the caller; ends with dure_router_destroy.
 * Fails: NO_MEMORY.
 */
DURE_CHECKED dure_err dure_router_create(const dure_registry *registry, dure_router **out_router);
/* NULL is fine. */
void dure_router_destroy(dure_router *router);

/* The index of a node id, or DURE_ROUTER_NONE. Thread: any, here and below. */
uint32_t dure_router_find_node(const dure_router *router, const char *id);

/* The role of a name, or NULL. It may have no nodes. */
const dure_router_role *dure_router_find_role(const dure_router *router, const char *name);

/* How busy a node is; UINT32_MAX: it cannot be asked now. */
typedef uint32_t (*dure_router_load_fn)(void *ctx, uint32_t node);

/*
 * The node of a role with the least load, of equals the first from a place that `turn` chooses (a
 * number that the caller counts up); DURE_ROUTER_NONE when none can be asked.
 */
uint32_t dure_router_least(const dure_router_role *role, uint32_t turn, dure_router_load_fn load,
                           void *ctx);

/*
 * The node that a key belongs to, up or not (rendezvous hashing, Thaler and Ravishankar 1998, over
 * XXH3): every node of the cluster finds the same, and a node more or less moves only its share of
 * the keys. DURE_ROUTER_NONE when the role has no nodes.
 */
uint32_t dure_router_of_key(const dure_router *router, const dure_router_role *role, dure_str key);

#endif
