/* SPDX-License-Identifier: MIT
 *
 * Which client methods the roles behind this gateway offer. Each peer tells (node.describe) when
 * its link stands, so a role that a user wrote is reached like those that ship.
 */
#ifndef DURE_NODES_GATEWAY_METHODS_H
#define DURE_NODES_GATEWAY_METHODS_H

/* uthash's own choice falls through its cases, which clang objects to. */
#define HASH_FUNCTION(key, len, hash) HASH_OAT(key, len, hash)
#include <uthash.h>

#include "cluster/rpc.h"

#define GATEWAY_METHOD_NAME_MAX 64
#define GATEWAY_METHODS_MAX     65536u

typedef struct gateway_method {
    char name[GATEWAY_METHOD_NAME_MAX + 1];
    uint32_t number;
    uint32_t flags;
    const dure_registry_role *role;
    UT_hash_handle hh;
} gateway_method;

typedef struct gateway_method_table {
    gateway_method *by_name;
    const dure_registry_role *described[256]; /* roles that have told */
    uint32_t described_count;
} gateway_method_table;

/* Enters or replaces a row. Fails: NO_MEMORY, FULL, INVALID (a name that is empty), TOO_LARGE
 * (one that is long). */
DURE_CHECKED dure_err gateway_methods_add(gateway_method_table *table, dure_str name,
                                          uint32_t number, uint32_t flags,
                                          const dure_registry_role *role);
const gateway_method *gateway_methods_find(const gateway_method_table *table, dure_str name);
void gateway_methods_set_described(gateway_method_table *table, const dure_registry_role *role);
bool gateway_methods_is_described(const gateway_method_table *table,
                                  const dure_registry_role *role);
void gateway_methods_fini(gateway_method_table *table);

#endif
