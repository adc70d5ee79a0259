/* SPDX-License-Identifier: MIT
 *
 * The table of methods by name.
 */
#define HASH_NONFATAL_OOM 1
#include "nodes/gateway/methods.h"

#include "base/mem.h"

const gateway_method *gateway_methods_find(const gateway_method_table *table, dure_str name)
{
    gateway_method *method = NULL;
    HASH_FIND(hh, table->by_name, name.data, name.len, method);
    return method;
}

dure_err gateway_methods_add(gateway_method_table *table, dure_str name, uint32_t number,
                             uint32_t flags, const dure_registry_role *role)
{
    gateway_method *method = NULL;
    if (name.len == 0) {
        return DURE_ERR_INVALID;
    }
    if (name.len > GATEWAY_METHOD_NAME_MAX) {
        return DURE_ERR_TOO_LARGE;
    }
    HASH_FIND(hh, table->by_name, name.data, name.len, method);
    if (method == NULL) {
        if (HASH_COUNT(table->by_name) >= GATEWAY_METHODS_MAX) {
            return DURE_ERR_FULL;
        }
        method = dure_mem_alloc(sizeof *method);
        if (method == NULL) {
            return DURE_ERR_NO_MEMORY;
        }
        memcpy(method->name, name.data, name.len);
        HASH_ADD(hh, table->by_name, name, name.len, method);
        if (method->hh.tbl == NULL) {
            dure_mem_free(method);
            return DURE_ERR_NO_MEMORY;
        }
    }
    method->number = number;
    method->flags = flags;
    method->role = role;
    return DURE_OK;
}

bool gateway_methods_is_described(const gateway_method_table *table, const dure_registry_role *role)
{
    for (uint32_t i = 0; i < table->described_count; i++) {
        if (table->described[i] == role) {
            return true;
        }
    }
    return false;
}

void gateway_methods_set_described(gateway_method_table *table, const dure_registry_role *role)
{
    if (!gateway_methods_is_described(table, role) &&
        table->described_count < DURE_COUNT_OF(table->described)) {
        table->described[table->described_count++] = role;
    }
}

void gateway_methods_fini(gateway_method_table *table)
{
    gateway_method *method;
    gateway_method *next;
    HASH_ITER(hh, table->by_name, method, next)
    {
        HASH_DELETE(hh, table->by_name, method);
        dure_mem_free(method);
    }
}
