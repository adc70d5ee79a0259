/* SPDX-License-Identifier: MIT
 *
 * Routing tables over the registry; see router.h. Clusters have tens of nodes: names are compared
 * one by one, pointers first, because callers mostly pass the registry's own strings.
 */
#include "cluster/router.h"

#include <string.h>
#include <xxhash.h>

#include "base/mem.h"

typedef struct router_node {
    const char *id;
    uint64_t id_hash; /* the seed of its weights */
} router_node;

struct dure_router {
    router_node *nodes;
    uint32_t node_count;
    dure_router_role *roles;
    uint32_t role_count;
    uint32_t *members; /* the node lists of all roles, one behind the other */
};

static void fill_nodes(dure_router *router, const dure_registry *registry)
{
    for (uint32_t i = 0; i < router->node_count; i++) {
        const char *id = dure_registry_node_at(registry, i)->id;
        router->nodes[i].id = id;
        router->nodes[i].id_hash = XXH3_64bits(id, strlen(id));
    }
}

static void fill_roles(dure_router *router, const dure_registry *registry)
{
    uint32_t *member = router->members;
    for (uint32_t r = 0; r < router->role_count; r++) {
        dure_router_role *role = &router->roles[r];
        role->name = dure_registry_role_at(registry, r)->name;
        role->nodes = member;
        for (uint32_t i = 0; i < router->node_count; i++) {
            if (strcmp(dure_registry_node_at(registry, i)->role, role->name) == 0) {
                *member++ = i;
                role->node_count++;
            }
        }
    }
}

dure_err dure_router_create(const dure_registry *registry, dure_router **out_router)
{
    dure_router *router = dure_mem_alloc(sizeof *router);
    if (router == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    router->node_count = (uint32_t)dure_registry_node_count(registry);
    router->role_count = (uint32_t)dure_registry_role_count(registry);
    /* One element more: a count of zero is not a failed allocation. */
    router->nodes = dure_mem_alloc_array(router->node_count + 1u, sizeof *router->nodes);
    router->roles = dure_mem_alloc_array(router->role_count + 1u, sizeof *router->roles);
    router->members = dure_mem_alloc_array(router->node_count + 1u, sizeof *router->members);
    if (router->nodes == NULL || router->roles == NULL || router->members == NULL) {
        dure_router_destroy(router);
        return DURE_ERR_NO_MEMORY;
    }
    fill_nodes(router, registry);
    fill_roles(router, registry);
    *out_router = router;
    return DURE_OK;
}

void dure_router_destroy(dure_router *router)
{
    if (router == NULL) {
        return;
    }
    dure_mem_free(router->nodes);
    dure_mem_free(router->roles);
    dure_mem_free(router->members);
    dure_mem_free(router);
}

uint32_t dure_router_find_node(const dure_router *router, const char *id)
{
    for (uint32_t i = 0; i < router->node_count; i++) {
        if (router->nodes[i].id == id) {
            return i;
        }
    }
    for (uint32_t i = 0; i < router->node_count; i++) {
        if (strcmp(router->nodes[i].id, id) == 0) {
            return i;
        }
    }
    return DURE_ROUTER_NONE;
}

const dure_router_role *dure_router_find_role(const dure_router *router, const char *name)
{
    for (uint32_t i = 0; i < router->role_count; i++) {
        if (router->roles[i].name == name || strcmp(router->roles[i].name, name) == 0) {
            return &router->roles[i];
        }
    }
    return NULL;
}

uint32_t dure_router_least(const dure_router_role *role, uint32_t turn, dure_router_load_fn load,
                           void *ctx)
{
    uint32_t best = DURE_ROUTER_NONE;
    uint32_t best_load = UINT32_MAX;
    for (uint32_t i = 0; i < role->node_count; i++) {
        const uint32_t node = role->nodes[(i + turn % role->node_count) % role->node_count];
        const uint32_t node_load = load(ctx, node);
        if (node_load < best_load) {
            best = node;
            best_load = node_load;
        }
    }
    return best;
}

uint32_t dure_router_of_key(const dure_router *router, const dure_router_role *role, dure_str key)
{
    uint32_t best = DURE_ROUTER_NONE;
    uint64_t best_weight = 0;
    for (uint32_t i = 0; i < role->node_count; i++) {
        const uint32_t node = role->nodes[i];
        const uint64_t weight =
            XXH3_64bits_withSeed(key.data, key.len, router->nodes[node].id_hash);
        /* Equal weights are as good as impossible, but all nodes must agree even then. */
        if (best == DURE_ROUTER_NONE || weight > best_weight ||
            (weight == best_weight && strcmp(router->nodes[node].id, router->nodes[best].id) < 0)) {
            best = node;
            best_weight = weight;
        }
    }
    return best;
}
