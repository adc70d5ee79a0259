/* SPDX-License-Identifier: MIT
 *
 * Nodes are compared in pairs: a configuration has a few dozen.
 */
#include "cluster/registry_rules.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "cluster/config_object.h"
#include "net/address.h"

#define ROLES_MAX 256

/* ---- nodes ---- */

void registry_node_path(char out[CONFIG_PATH_MAX], size_t index, const char *key)
{
    (void)snprintf(out, CONFIG_PATH_MAX, "nodes[%zu]%s%s", index, key[0] != '\0' ? "." : "", key);
}

/* What it listens on: `bind`, else `host`. */
const char *registry_node_bind(const cJSON *node)
{
    return config_text(node, "bind", config_text(node, "host", "127.0.0.1"));
}

static bool is_any_address(const char *bind)
{
    return strcmp(bind, "0.0.0.0") == 0 || strcmp(bind, "::") == 0;
}

static bool is_loopback(const char *host)
{
    dure_net_address address;
    return strcmp(host, "localhost") == 0 ||
           (dure_net_address_from_ip(host, 0, &address) == DURE_OK &&
            dure_net_address_is_loopback(&address));
}

/* Two listeners that cannot both have a port: the same address, or one of them on all addresses of
 * the same machine. Nodes share a machine when their hosts are the same or both loopback. */
static bool binds_clash(const cJSON *a, const cJSON *b)
{
    const char *a_host = config_text(a, "host", "127.0.0.1");
    const char *b_host = config_text(b, "host", "127.0.0.1");
    if (is_any_address(registry_node_bind(a)) || is_any_address(registry_node_bind(b))) {
        return strcmp(a_host, b_host) == 0 || (is_loopback(a_host) && is_loopback(b_host));
    }
    return strcmp(registry_node_bind(a), registry_node_bind(b)) == 0;
}

static void check_clash(const config_tree *tree, const cJSON *nodes, const cJSON *node,
                        size_t index, const char *key)
{
    static const char *const keys[] = {"client_port", "link_port"};
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(node, key);
    int64_t port = config_int(node, key, 0);
    const cJSON *other;
    size_t other_index = 0;
    char path[CONFIG_PATH_MAX];
    if (item == NULL || port == 0) {
        return;
    }
    registry_node_path(path, index, key);
    cJSON_ArrayForEach(other, nodes)
    {
        for (size_t k = 0; k < DURE_COUNT_OF(keys); k++) {
            const cJSON *taken = cJSON_GetObjectItemCaseSensitive(other, keys[k]);
            if (taken == item) {
                return; /* only those before it count */
            }
            if (taken != NULL && config_int(other, keys[k], 0) == port &&
                binds_clash(node, other)) {
                config_mistake(tree, item, path, "%lld is the port of nodes[%zu].%s already",
                               (long long)port, other_index, keys[k]);
                return;
            }
        }
        other_index++;
    }
}

static void check_duplicate_id(const config_tree *tree, const cJSON *nodes, const cJSON *node,
                               size_t index)
{
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(node, "id");
    size_t other_index = 0;
    char path[CONFIG_PATH_MAX];
    registry_node_path(path, index, "id");
    for (const cJSON *other = nodes->child; cJSON_IsString(id) && other != node;
         other = other->next) {
        if (strcmp(config_text(other, "id", ""), id->valuestring) == 0) {
            config_mistake(tree, id, path, "\"%.80s\" is the id of nodes[%zu] already",
                           id->valuestring, other_index);
            return;
        }
        other_index++;
    }
}

void registry_check_clashes(const config_tree *tree, const cJSON *nodes, const cJSON *node,
                            size_t index)
{
    check_duplicate_id(tree, nodes, node, index);
    check_clash(tree, nodes, node, index, "client_port");
    check_clash(tree, nodes, node, index, "link_port");
}

/* ---- roles ---- */

static bool role_has(const cJSON *nodes, const char *role, const char *port_key)
{
    const cJSON *node;
    cJSON_ArrayForEach(node, nodes)
    {
        if (strcmp(config_text(node, "role", ""), role) == 0 &&
            (port_key == NULL || cJSON_GetObjectItemCaseSensitive(node, port_key) != NULL)) {
            return true;
        }
    }
    return false;
}

/* Whether a role of `reached` (by index; NULL: any role) dials this one. */
static bool role_is_dialled(const cJSON *roles, const char *name, const bool *reached)
{
    const cJSON *role;
    const cJSON *dial;
    size_t index = 0;
    cJSON_ArrayForEach(role, roles)
    {
        DURE_ASSERT(index < ROLES_MAX);
        bool counts = reached == NULL || reached[index];
        index++;
        if (!counts) {
            continue;
        }
        cJSON_ArrayForEach(dial, cJSON_GetObjectItemCaseSensitive(role, "dials"))
        {
            if (cJSON_IsString(dial) && strcmp(dial->valuestring, name) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* A role is reached when a node of it has a client port or a role that is reached dials it. Where
 * no node has a client port, which is a mistake of its own, the roles that nobody dials count. */
static void find_reached(const cJSON *roles, const cJSON *nodes, bool has_clients, bool *reached)
{
    for (bool is_more = true; is_more;) {
        const cJSON *role;
        size_t index = 0;
        is_more = false;
        cJSON_ArrayForEach(role, roles)
        {
            bool is_first = has_clients ? role_has(nodes, role->string, "client_port")
                                        : !role_is_dialled(roles, role->string, NULL);
            if (!reached[index] && (is_first || role_is_dialled(roles, role->string, reached))) {
                reached[index] = true;
                is_more = true;
            }
            index++;
        }
    }
}

static void check_dialled_nodes(const config_tree *tree, const cJSON *nodes, const char *role)
{
    const cJSON *node;
    size_t index = 0;
    cJSON_ArrayForEach(node, nodes)
    {
        if (strcmp(config_text(node, "role", ""), role) == 0 &&
            cJSON_GetObjectItemCaseSensitive(node, "link_port") == NULL) {
            char path[CONFIG_PATH_MAX];
            registry_node_path(path, index, "");
            config_mistake(tree, node, path,
                           "\"link_port\" is missing: other nodes dial the role %.80s", role);
        }
        index++;
    }
}

static bool any_has_clients(const cJSON *nodes)
{
    const cJSON *node;
    cJSON_ArrayForEach(node, nodes)
    {
        if (cJSON_GetObjectItemCaseSensitive(node, "client_port") != NULL) {
            return true;
        }
    }
    return false;
}

void registry_check_reach(const config_tree *tree, const cJSON *roles, const cJSON *nodes)
{
    const cJSON *role;
    bool reached[ROLES_MAX] = {false};
    bool has_clients = any_has_clients(nodes);
    size_t index = 0;
    DURE_ASSERT(cJSON_IsObject(roles));
    DURE_ASSERT(cJSON_IsArray(nodes));
    if (cJSON_GetArraySize(roles) > ROLES_MAX) {
        config_mistake(tree, roles, "roles", "more than %d roles", ROLES_MAX);
        return;
    }
    find_reached(roles, nodes, has_clients, reached);
    cJSON_ArrayForEach(role, roles)
    {
        char path[CONFIG_PATH_MAX];
        config_path(path, "roles", role->string);
        if (!role_has(nodes, role->string, NULL)) {
            config_key_mistake(tree, role, path, "no node has this role");
        } else if (!reached[index]) {
            config_key_mistake(tree, role, path,
                               "nobody can reach this role: its nodes have no client_port, and no "
                               "role that is reached dials it");
        }
        if (role_is_dialled(roles, role->string, NULL)) {
            check_dialled_nodes(tree, nodes, role->string);
        }
        index++;
    }
    if (!has_clients) {
        config_key_mistake(tree, nodes, "nodes",
                           "no node has a client_port, so no client can reach the cluster");
    }
}
