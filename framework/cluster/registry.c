/* SPDX-License-Identifier: MIT
 *
 * The registry and its builder: small arrays that are searched from end to end, because they are
 * read at start and on rare events, never per message.
 */
#include "cluster/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"

#define REGISTRY_NODES_MAX    4096u
#define REGISTRY_ROLES_MAX    256u
#define REGISTRY_SETTINGS_MAX 65536u
#define REGISTRY_SECRETS_MAX  2u

/* One setting of a role or of a node. */
typedef struct setting_row {
    char *owner; /* role or node id */
    bool is_node;
    char *key;
    char *value; /* JSON text of a scalar; a string without its quotes */
} setting_row;

struct dure_registry {
    char *cluster;
    char *data;
    char *backend;
    char *log_level;
    dure_registry_role *roles;
    size_t role_count;
    dure_registry_node *nodes;
    size_t node_count;
    setting_row *rows;
    size_t row_count;
    dure_buf secrets[REGISTRY_SECRETS_MAX];
    size_t secret_count;
    dure_registry_settings settings;
};

struct dure_registry_builder {
    dure_registry *registry;
};

/* Makes room for one more row of an array that doubles. */
static dure_err array_grow(void **array, size_t count, size_t size, size_t max)
{
    if (count >= max) {
        return DURE_ERR_FULL;
    }
    if ((count & (count - 1)) != 0 && count != 0) {
        return DURE_OK; /* not a power of two: there is room */
    }
    void *grown = dure_mem_realloc(*array, (count == 0 ? 1 : count * 2) * size);
    if (grown == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    *array = grown;
    return DURE_OK;
}

/* ---- building ---- */

dure_err dure_registry_builder_create(const char *cluster, const char *data,
                                      dure_registry_builder **out_builder)
{
    dure_registry_builder *builder = dure_mem_alloc(sizeof *builder);
    if (builder == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    builder->registry = dure_mem_alloc(sizeof *builder->registry);
    if (builder->registry == NULL) {
        dure_mem_free(builder);
        return DURE_ERR_NO_MEMORY;
    }
    dure_registry *r = builder->registry;
    r->cluster = dure_mem_strdup(cluster);
    r->data = dure_mem_strdup(data);
    if (r->cluster == NULL || r->data == NULL) {
        dure_registry_builder_destroy(builder);
        return DURE_ERR_NO_MEMORY;
    }
    r->settings = (dure_registry_settings){.backend = "auto",
                                           .handshake_ms = 2000,
                                           .heartbeat_ms = 2000,
                                           .peer_timeout_ms = 8000,
                                           .redial_first_ms = 250,
                                           .redial_max_ms = 15000,
                                           .call_deadline_ms = 5000,
                                           .client_idle_ms = 0,
                                           .drain_ms = 10000,
                                           .log_level = "info",
#define REGISTRY_LIMIT_DEFAULT(name, fallback, least, most) .name = (fallback),
                                           DURE_REGISTRY_LIMIT_LIST(REGISTRY_LIMIT_DEFAULT)
#undef REGISTRY_LIMIT_DEFAULT
    };
    dure_net_networks_init_loopback(&r->settings.address_exempt);
    *out_builder = builder;
    return DURE_OK;
}

void dure_registry_builder_destroy(dure_registry_builder *builder)
{
    if (builder != NULL) {
        dure_registry_destroy(builder->registry);
        dure_mem_free(builder);
    }
}

static void role_fini(dure_registry_role *role)
{
    for (size_t i = 0; i < role->dial_count; i++) {
        dure_mem_free((void *)(uintptr_t)role->dials[i]);
    }
    dure_mem_free((void *)(uintptr_t)role->dials);
    dure_mem_free((void *)(uintptr_t)role->name);
    dure_mem_free((void *)(uintptr_t)role->program);
}

static dure_err role_init(dure_registry_role *role, const char *name, const char *program,
                          const char *const *dials)
{
    size_t count = 0;
    while (dials != NULL && dials[count] != NULL) {
        count++;
    }
    const char **copies = dure_mem_alloc_array(count + 1, sizeof *copies);
    *role = (dure_registry_role){dure_mem_strdup(name), dure_mem_strdup(program), copies, 0};
    bool is_whole = copies != NULL && role->name != NULL && role->program != NULL;
    for (size_t i = 0; i < count && is_whole; i++) {
        copies[i] = dure_mem_strdup(dials[i]);
        is_whole = copies[i] != NULL;
        role->dial_count = is_whole ? i + 1 : i;
    }
    if (!is_whole) {
        role_fini(role);
        return DURE_ERR_NO_MEMORY;
    }
    return DURE_OK;
}

dure_err dure_registry_builder_role(dure_registry_builder *builder, const char *name,
                                    const char *program, const char *const *dials)
{
    dure_registry *r = builder->registry;
    void *roles = r->roles;
    dure_err err = array_grow(&roles, r->role_count, sizeof *r->roles, REGISTRY_ROLES_MAX);
    r->roles = roles;
    if (err == DURE_OK) {
        err = role_init(&r->roles[r->role_count], name, program, dials);
    }
    r->role_count += err == DURE_OK ? 1 : 0;
    return err;
}

static void node_fini(dure_registry_node *node)
{
    dure_mem_free((void *)(uintptr_t)node->id);
    dure_mem_free((void *)(uintptr_t)node->role);
    dure_mem_free((void *)(uintptr_t)node->host);
    dure_mem_free((void *)(uintptr_t)node->bind);
}

dure_err dure_registry_builder_node(dure_registry_builder *builder, const char *id,
                                    const char *role, const char *host, uint16_t link_port,
                                    uint16_t client_port)
{
    dure_registry *r = builder->registry;
    void *nodes = r->nodes;
    dure_err err = array_grow(&nodes, r->node_count, sizeof *r->nodes, REGISTRY_NODES_MAX);
    r->nodes = nodes;
    if (err != DURE_OK) {
        return err;
    }
    dure_registry_node *node = &r->nodes[r->node_count];
    *node = (dure_registry_node){
        .id = dure_mem_strdup(id),
        .role = dure_mem_strdup(role),
        .host = dure_mem_strdup(host),
        .bind = dure_mem_strdup(host),
        .link_port = link_port,
        .client_port = client_port,
        .has_clients = client_port != 0,
    };
    if (node->id == NULL || node->role == NULL || node->host == NULL || node->bind == NULL) {
        node_fini(node);
        return DURE_ERR_NO_MEMORY;
    }
    r->node_count++;
    return DURE_OK;
}

dure_err dure_registry_builder_bind(dure_registry_builder *builder, const char *bind)
{
    dure_registry *r = builder->registry;
    DURE_ASSERT(r->node_count > 0);
    char *copy = dure_mem_strdup(bind);
    if (copy == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_registry_node *node = &r->nodes[r->node_count - 1];
    dure_mem_free((void *)(uintptr_t)node->bind);
    node->bind = copy;
    return DURE_OK;
}

dure_err dure_registry_builder_clients(dure_registry_builder *builder)
{
    dure_registry *r = builder->registry;
    DURE_ASSERT(r->node_count > 0);
    r->nodes[r->node_count - 1].has_clients = true;
    return DURE_OK;
}

dure_err dure_registry_builder_setting(dure_registry_builder *builder, const char *role,
                                       const char *node_id, const char *key, const char *value)
{
    dure_registry *r = builder->registry;
    void *rows = r->rows;
    dure_err err = array_grow(&rows, r->row_count, sizeof *r->rows, REGISTRY_SETTINGS_MAX);
    r->rows = rows;
    if (err != DURE_OK) {
        return err;
    }
    setting_row *row = &r->rows[r->row_count++];
    row->is_node = node_id != NULL;
    row->owner = dure_mem_strdup(node_id != NULL ? node_id : role);
    row->key = dure_mem_strdup(key);
    row->value = dure_mem_strdup(value);
    return row->owner != NULL && row->key != NULL && row->value != NULL ? DURE_OK
                                                                        : DURE_ERR_NO_MEMORY;
}

dure_registry_settings *dure_registry_builder_settings(dure_registry_builder *builder)
{
    return &builder->registry->settings;
}

dure_err dure_registry_builder_secret(dure_registry_builder *builder, dure_slice secret)
{
    dure_registry *r = builder->registry;
    if (secret.len == 0) {
        return DURE_ERR_INVALID; /* it would prove everything to everybody */
    }
    if (r->secret_count >= REGISTRY_SECRETS_MAX) {
        return DURE_ERR_FULL;
    }
    dure_buf *kept = &r->secrets[r->secret_count];
    dure_buf_init(kept, secret.len);
    const dure_err err = dure_buf_append(kept, secret.data, secret.len);
    if (err == DURE_OK) {
        r->secret_count++;
    }
    return err;
}

static dure_err registry_link_roles(dure_registry *r)
{
    for (size_t i = 0; i < r->node_count; i++) {
        const dure_registry_role *role = dure_registry_find_role(r, r->nodes[i].role);
        if (role == NULL || dure_registry_find_node(r, r->nodes[i].id) != &r->nodes[i]) {
            return DURE_ERR_CONFIG;
        }
        r->nodes[i].role_index = (size_t)(role - r->roles);
    }
    return DURE_OK;
}

/* The settings' texts were lent; from now on the registry owns them. */
static dure_err registry_own_settings(dure_registry *r)
{
    r->backend = dure_mem_strdup(r->settings.backend);
    r->log_level = dure_mem_strdup(r->settings.log_level);
    if (r->backend == NULL || r->log_level == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    r->settings.backend = r->backend;
    r->settings.log_level = r->log_level;
    return DURE_OK;
}

dure_err dure_registry_builder_finish(dure_registry_builder *builder, dure_registry **out_registry)
{
    dure_registry *r = builder->registry;
    DURE_ASSERT(r->settings.link_strangers_max >= 2);
    DURE_ASSERT(r->settings.address_exempt.count <= DURE_NET_NETWORKS_MAX);
    dure_err err = r->settings.peer_timeout_ms > r->settings.heartbeat_ms ? registry_link_roles(r)
                                                                          : DURE_ERR_CONFIG;
    if (err == DURE_OK) {
        err = registry_own_settings(r);
    }
    if (err == DURE_OK) {
        *out_registry = r;
        builder->registry = NULL;
    }
    dure_registry_builder_destroy(builder);
    return err;
}

void dure_registry_destroy(dure_registry *registry)
{
    if (registry == NULL) {
        return;
    }
    for (size_t i = 0; i < registry->role_count; i++) {
        role_fini(&registry->roles[i]);
    }
    for (size_t i = 0; i < registry->node_count; i++) {
        node_fini(&registry->nodes[i]);
    }
    for (size_t i = 0; i < registry->row_count; i++) {
        dure_mem_free(registry->rows[i].owner);
        dure_mem_free(registry->rows[i].key);
        dure_mem_free(registry->rows[i].value);
    }
    for (size_t i = 0; i < registry->secret_count; i++) {
        memset(registry->secrets[i].data, 0, registry->secrets[i].len);
        dure_buf_fini(&registry->secrets[i]);
    }
    dure_mem_free(registry->roles);
    dure_mem_free(registry->nodes);
    dure_mem_free(registry->rows);
    dure_mem_free(registry->cluster);
    dure_mem_free(registry->data);
    dure_mem_free(registry->backend);
    dure_mem_free(registry->log_level);
    dure_mem_free(registry);
}

/* ---- questions ---- */

const char *dure_registry_cluster(const dure_registry *registry)
{
    return registry->cluster;
}

const char *dure_registry_data(const dure_registry *registry)
{
    return registry->data;
}

size_t dure_registry_node_count(const dure_registry *registry)
{
    return registry->node_count;
}

const dure_registry_node *dure_registry_node_at(const dure_registry *registry, size_t index)
{
    return &registry->nodes[index];
}

const dure_registry_node *dure_registry_find_node(const dure_registry *registry, const char *id)
{
    for (size_t i = 0; i < registry->node_count; i++) {
        if (strcmp(registry->nodes[i].id, id) == 0) {
            return &registry->nodes[i];
        }
    }
    return NULL;
}

size_t dure_registry_role_count(const dure_registry *registry)
{
    return registry->role_count;
}

const dure_registry_role *dure_registry_role_at(const dure_registry *registry, size_t index)
{
    return &registry->roles[index];
}

const dure_registry_role *dure_registry_find_role(const dure_registry *registry, const char *name)
{
    for (size_t i = 0; i < registry->role_count; i++) {
        if (strcmp(registry->roles[i].name, name) == 0) {
            return &registry->roles[i];
        }
    }
    return NULL;
}

bool dure_registry_dials(const dure_registry *registry, const char *from, const char *to)
{
    const dure_registry_role *role = dure_registry_find_role(registry, from);
    for (size_t i = 0; role != NULL && i < role->dial_count; i++) {
        if (strcmp(role->dials[i], to) == 0) {
            return true;
        }
    }
    return false;
}

static const char *registry_value(const dure_registry *registry, const char *owner, bool is_node,
                                  const char *key)
{
    for (size_t i = 0; i < registry->row_count; i++) {
        const setting_row *row = &registry->rows[i];
        if (row->is_node == is_node && strcmp(row->owner, owner) == 0 &&
            strcmp(row->key, key) == 0) {
            return row->value;
        }
    }
    return NULL;
}

const char *dure_registry_setting_str(const dure_registry *registry, const char *node_id,
                                      const char *key, const char *fallback)
{
    const char *value = registry_value(registry, node_id, true, key);
    if (value == NULL) {
        const dure_registry_node *node = dure_registry_find_node(registry, node_id);
        value = node != NULL ? registry_value(registry, node->role, false, key) : NULL;
    }
    return value != NULL ? value : fallback;
}

int64_t dure_registry_setting_int(const dure_registry *registry, const char *node_id,
                                  const char *key, int64_t fallback)
{
    const char *value = dure_registry_setting_str(registry, node_id, key, NULL);
    char *end = NULL;
    long long number = value != NULL ? strtoll(value, &end, 10) : 0;
    return value != NULL && end != value && *end == '\0' ? (int64_t)number : fallback;
}

bool dure_registry_setting_bool(const dure_registry *registry, const char *node_id, const char *key,
                                bool fallback)
{
    const char *value = dure_registry_setting_str(registry, node_id, key, NULL);
    return value == NULL ? fallback : strcmp(value, "true") == 0;
}

const dure_registry_settings *dure_registry_settings_of(const dure_registry *registry)
{
    return &registry->settings;
}

size_t dure_registry_secrets(const dure_registry *registry, dure_slice out_secrets[2])
{
    for (size_t i = 0; i < registry->secret_count; i++) {
        DURE_ASSERT(registry->secrets[i].len > 0);
        out_secrets[i] = (dure_slice){registry->secrets[i].data, registry->secrets[i].len};
    }
    return registry->secret_count;
}
