/* SPDX-License-Identifier: MIT
 *
 * From a configuration's tree to a registry: one table of keys for each sort of object, and what
 * their values become. Everything is looked at before anything is given up, so one run tells all.
 */
#include "cluster/registry_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/config_object.h"
#include "cluster/ephemeral.h"
#include "cluster/registry_rules.h"
#include "net/address.h"

#define NODES_MAX        4096
#define SECRET_BYTES_MAX 4096u
#define SECRET_BYTES_MIN 16u
#define EXEMPT_DEFAULT   "[\"127.0.0.0/8\",\"::1/128\"]"

static const config_key cluster_keys[] = {
    {"$schema", CONFIG_TEXT, false, 0, 0, NULL, NULL},
    {"cluster", CONFIG_NAME, true, 0, 0, NULL, NULL},
    {"data", CONFIG_TEXT, false, 0, 0, "\"var\"", NULL},
    {"roles", CONFIG_OBJECT, true, 0, 0, NULL, NULL},
    {"nodes", CONFIG_ARRAY, true, 0, 0, NULL, NULL},
    {"backend", CONFIG_CHOICE, false, 0, 0, "\"auto\"", "|auto|epoll|uring|win32|"},
    {"secret_file", CONFIG_TEXT, false, 0, 0, NULL, NULL},
    {"secret_previous_file", CONFIG_TEXT, false, 0, 0, NULL, NULL},
    {"handshake_ms", CONFIG_INT, false, 50, 60000, "2000", NULL},
    {"heartbeat_ms", CONFIG_INT, false, 50, 600000, "2000", NULL},
    {"peer_timeout_ms", CONFIG_INT, false, 100, 600000, "8000", NULL},
    {"redial_first_ms", CONFIG_INT, false, 1, 60000, "250", NULL},
    {"redial_max_ms", CONFIG_INT, false, 1, 600000, "15000", NULL},
    {"call_deadline_ms", CONFIG_INT, false, 1, 600000, "5000", NULL},
    {"client_idle_ms", CONFIG_INT, false, 0, 86400000, "0", NULL},
    {"drain_ms", CONFIG_INT, false, 0, 600000, "10000", NULL},
    {"log_level", CONFIG_CHOICE, false, 0, 0, "\"info\"", "|debug|info|warn|error|off|"},
    {"address_exempt", CONFIG_ARRAY, false, 0, 0, EXEMPT_DEFAULT, NULL},
    {"connects_limit_loopback", CONFIG_BOOL, false, 0, 0, NULL, NULL},
#define LIMIT_KEY(name, fallback, least, most)                                                     \
    {#name, CONFIG_INT, false, least, most, #fallback, NULL},
    DURE_REGISTRY_LIMIT_LIST(LIMIT_KEY)
#undef LIMIT_KEY
        CONFIG_KEYS_END};

static const config_key role_keys[] = {{"program", CONFIG_TEXT, true, 0, 0, NULL, NULL},
                                       {"dials", CONFIG_ARRAY, false, 0, 0, "[]", NULL},
                                       {"settings", CONFIG_OBJECT, false, 0, 0, "{}", NULL},
                                       {"tick_ms", CONFIG_INT, false, 1, 60000, NULL, NULL},
                                       {"save_ms", CONFIG_INT, false, 0, 1000, NULL, NULL},
                                       {"engine", CONFIG_CHOICE, false, 0, 0, NULL, "|sqlite|"},
                                       {"batch_max", CONFIG_INT, false, 1, 65536, NULL, NULL},
                                       {"lease_ms", CONFIG_INT, false, 200, 60000, NULL, NULL},
                                       {"gift_keys_days", CONFIG_INT, false, 0, 36500, NULL, NULL},
                                       {"resume_ms", CONFIG_INT, false, 0, 3600000, NULL, NULL},
                                       {"resume_max", CONFIG_INT, false, 0, 1000000, NULL, NULL},
                                       CONFIG_KEYS_END};

static const config_key node_keys[] = {{"id", CONFIG_NAME, true, 0, 0, NULL, NULL},
                                       {"role", CONFIG_TEXT, true, 0, 0, NULL, NULL},
                                       {"host", CONFIG_TEXT, false, 0, 0, "\"127.0.0.1\"", NULL},
                                       {"bind", CONFIG_TEXT, false, 0, 0, NULL, NULL},
                                       {"link_port", CONFIG_INT, false, 1, 65535, NULL, NULL},
                                       {"client_port", CONFIG_INT, false, 1, 65535, NULL, NULL},
                                       {"settings", CONFIG_OBJECT, false, 0, 0, "{}", NULL},
                                       CONFIG_KEYS_END};

typedef struct reader {
    config_tree tree;
    const dure_registry_source *source;
    dure_registry_report *report;
    dure_registry_builder *builder;
    uint8_t secrets[2][SECRET_BYTES_MAX];
    size_t secret_lens[2];
    size_t secret_count;
    uint16_t ephemeral_first;
    uint16_t ephemeral_last;
} reader;

/* ---- settings of roles and nodes ---- */

static void add_setting(reader *r, const char *role, const char *node, const cJSON *item)
{
    char number[CONFIG_NUMBER_MAX];
    const char *value = cJSON_IsString(item) ? item->valuestring
                        : cJSON_IsTrue(item) ? "true"
                                             : "false";
    if (cJSON_IsNumber(item)) {
        value = config_number(&r->tree, item, number) ? number : "";
    }
    if (dure_registry_builder_setting(r->builder, role, node, item->string, value) != DURE_OK) {
        config_mistake(&r->tree, item, item->string, "out of memory");
    }
}

static void read_settings(reader *r, const cJSON *owner, const char *path, const char *role,
                          const char *node)
{
    const cJSON *settings = cJSON_GetObjectItemCaseSensitive(owner, "settings");
    const cJSON *item;
    char full[CONFIG_PATH_MAX];
    char inner[CONFIG_PATH_MAX];
    char number[CONFIG_NUMBER_MAX];
    config_path(full, path, "settings");
    if (!cJSON_IsObject(settings)) {
        return;
    }
    config_check_duplicates(&r->tree, settings, full);
    cJSON_ArrayForEach(item, settings)
    {
        config_path(inner, full, item->string);
        if (strcmp(item->string, "secret") == 0) {
            config_key_mistake(&r->tree, item, inner, "%s", CONFIG_NO_SECRET);
        } else if (cJSON_IsNumber(item) && !config_number(&r->tree, item, number)) {
            config_mistake(&r->tree, item, inner,
                           "neither 64 bits nor a double hold this number: write it as a string");
        } else if (cJSON_IsString(item) || cJSON_IsNumber(item) || cJSON_IsBool(item)) {
            add_setting(r, role, node, item);
            config_show_item(&r->tree, item, inner);
        } else {
            config_mistake(&r->tree, item, inner, "expected a string, a number or a boolean");
        }
    }
}

/* ---- roles ---- */

static void read_dials(const reader *r, const cJSON *roles, const cJSON *role, const char *path,
                       const char **out_dials, size_t max)
{
    const cJSON *dials = cJSON_GetObjectItemCaseSensitive(role, "dials");
    const cJSON *item;
    size_t count = 0;
    size_t index = 0;
    cJSON_ArrayForEach(item, dials)
    {
        char full[CONFIG_PATH_MAX];
        (void)snprintf(full, sizeof full, "%.200s.dials[%zu]", path, index++);
        if (!config_want(&r->tree, item, full, cJSON_IsString(item), "a string")) {
            continue;
        }
        if (cJSON_GetObjectItemCaseSensitive(roles, item->valuestring) == NULL) {
            config_mistake(&r->tree, item, full, "there is no role \"%.80s\"", item->valuestring);
        } else if (count + 1 < max) {
            out_dials[count++] = item->valuestring;
        }
    }
    DURE_ASSERT(count < max);
    out_dials[count] = NULL;
}

/*
 * A setting of one of the programs that ship says nothing to the others. What a program of one's
 * own makes of it is not known here.
 */
static void check_role_settings(const reader *r, const cJSON *role, const char *path)
{
    static const char *const owners[][2] = {
        {"save_ms", "dure-game"}, {"engine", "dure-db"},         {"batch_max", "dure-db"},
        {"lease_ms", "dure-db"},  {"resume_ms", "dure-gateway"}, {"resume_max", "dure-gateway"},
        {"tick_ms", "dure-game"}, {"tick_ms", "dure-gateway"},   {"gift_keys_days", "dure-db"},
    };
    const char *program = config_text(role, "program", "");
    if (strcmp(program, "dure-db") != 0 && strcmp(program, "dure-game") != 0 &&
        strcmp(program, "dure-gateway") != 0) {
        return;
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, role)
    {
        bool is_owned = false;
        bool is_own = false;
        for (size_t i = 0; i < DURE_COUNT_OF(owners); i++) {
            bool is_it = strcmp(owners[i][0], item->string) == 0;
            is_owned = is_owned || is_it;
            is_own = is_own || (is_it && strcmp(owners[i][1], program) == 0);
        }
        if (is_owned && !is_own) {
            char full[CONFIG_PATH_MAX];
            config_path(full, path, item->string);
            config_key_mistake(&r->tree, item, full, "%s has no such setting", program);
        }
    }
}

static void read_role(reader *r, const cJSON *roles, const cJSON *role)
{
    static const char *const direct[] = {"tick_ms",  "save_ms",   "engine",     "batch_max",
                                         "lease_ms", "resume_ms", "resume_max", "gift_keys_days"};
    char path[CONFIG_PATH_MAX];
    const char *dials[257];
    config_path(path, "roles", role->string);
    if (!config_is_name(role->string)) {
        config_key_mistake(&r->tree, role, path, "\"%.80s\" is no name for a role", role->string);
    }
    if (!config_want(&r->tree, role, path, cJSON_IsObject(role), "an object")) {
        return;
    }
    config_check_object(&r->tree, role, path, role_keys);
    check_role_settings(r, role, path);
    read_dials(r, roles, role, path, dials, DURE_COUNT_OF(dials));
    if (r->report->mistake_count == 0 &&
        dure_registry_builder_role(r->builder, role->string, config_text(role, "program", ""),
                                   dials) != DURE_OK) {
        config_mistake(&r->tree, role, path, "out of memory, or too many roles");
    }
    for (size_t i = 0; i < DURE_COUNT_OF(direct); i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(role, direct[i]);
        if (cJSON_IsNumber(item) || cJSON_IsString(item)) {
            add_setting(r, role->string, NULL, item);
        }
    }
    read_settings(r, role, path, role->string, NULL);
}

static void read_roles(reader *r, const cJSON *roles)
{
    const cJSON *role;
    config_check_duplicates(&r->tree, roles, "roles");
    cJSON_ArrayForEach(role, roles)
    {
        read_role(r, roles, role);
    }
}

/* ---- nodes ---- */

static void check_port(const reader *r, const cJSON *node, size_t index, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(node, key);
    char path[CONFIG_PATH_MAX];
    int64_t port = config_int(node, key, 0);
    registry_node_path(path, index, key);
    if (item != NULL && port >= r->ephemeral_first && port <= r->ephemeral_last) {
        config_warning(&r->tree, item, path,
                       "%lld lies among the ports that the system gives to dialled connections "
                       "(%u to %u), so it may be taken at start",
                       (long long)port, r->ephemeral_first, r->ephemeral_last);
    }
}

static void check_address(const reader *r, const cJSON *node, size_t index)
{
    const char *key = cJSON_GetObjectItemCaseSensitive(node, "bind") != NULL ? "bind" : "host";
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(node, key);
    const cJSON *link_port = cJSON_GetObjectItemCaseSensitive(node, "link_port");
    const char *bind = registry_node_bind(node);
    char path[CONFIG_PATH_MAX];
    dure_net_address address;
    registry_node_path(path, index, key);
    if (dure_net_address_from_ip(bind, 0, &address) != DURE_OK) {
        config_mistake(&r->tree, item != NULL ? item : node, path,
                       "\"%.80s\" is no numeric address to listen on; give \"bind\" as well", bind);
        return;
    }
    if (link_port != NULL && !dure_net_address_is_loopback(&address) && r->secret_count == 0) {
        registry_node_path(path, index, "link_port");
        config_mistake(&r->tree, link_port, path,
                       "links outside the loopback (%.80s) need a cluster secret: secret_file or "
                       "DURE_SECRET",
                       bind);
    }
}

static void read_node(reader *r, const cJSON *roles, const cJSON *node, size_t index)
{
    char path[CONFIG_PATH_MAX];
    registry_node_path(path, index, "");
    if (!config_want(&r->tree, node, path, cJSON_IsObject(node), "an object")) {
        return;
    }
    config_check_object(&r->tree, node, path, node_keys);
    const char *role = config_text(node, "role", NULL);
    if (role != NULL && cJSON_IsObject(roles) &&
        cJSON_GetObjectItemCaseSensitive(roles, role) == NULL) {
        registry_node_path(path, index, "role");
        config_mistake(&r->tree, cJSON_GetObjectItemCaseSensitive(node, "role"), path,
                       "there is no role \"%.80s\"", role);
    }
    check_port(r, node, index, "link_port");
    check_port(r, node, index, "client_port");
    check_address(r, node, index);
    if (r->report->mistake_count > 0) {
        return;
    }
    dure_err err = dure_registry_builder_node(
        r->builder, config_text(node, "id", ""), config_text(node, "role", ""),
        config_text(node, "host", "127.0.0.1"), (uint16_t)config_int(node, "link_port", 0),
        (uint16_t)config_int(node, "client_port", 0));
    if (err == DURE_OK) {
        err = dure_registry_builder_bind(r->builder, registry_node_bind(node));
    }
    if (err != DURE_OK) {
        config_mistake(&r->tree, node, path, "%s", dure_err_text(err));
    }
}

static void read_nodes(reader *r, const cJSON *roles, const cJSON *nodes)
{
    const cJSON *node;
    size_t index = 0;
    if (cJSON_GetArraySize(nodes) > NODES_MAX) {
        config_mistake(&r->tree, nodes, "nodes", "more than %d nodes", NODES_MAX);
        return;
    }
    cJSON_ArrayForEach(node, nodes)
    {
        read_node(r, roles, node, index);
        registry_check_clashes(&r->tree, nodes, node, index);
        if (cJSON_IsObject(node)) {
            char path[CONFIG_PATH_MAX];
            registry_node_path(path, index, "");
            read_settings(r, node, path, NULL, config_text(node, "id", ""));
        }
        index++;
    }
}

/* ---- secrets ---- */

/* Text in 16-bit units: a mark in front, or each second byte of the beginning is zero. */
static bool looks_like_utf16(const uint8_t *bytes, size_t len)
{
    const bool has_mark = len >= 2 && ((bytes[0] == 0xff && bytes[1] == 0xfe) ||
                                       (bytes[0] == 0xfe && bytes[1] == 0xff));
    return has_mark || (len >= 4 && ((bytes[0] == 0 && bytes[2] == 0 && bytes[1] != 0) ||
                                     (bytes[1] == 0 && bytes[3] == 0 && bytes[0] != 0)));
}

/* A secret is what two people can compare by looking at it; what looks the same is the same. */
static bool secret_is_text(const reader *r, const cJSON *item, const char *path,
                           const uint8_t *secret, size_t len)
{
    static const uint8_t utf8_mark[] = {0xef, 0xbb, 0xbf};
    const uint8_t *zero = len > 0 ? memchr(secret, 0, len) : NULL;
    if (zero != NULL) {
        config_mistake(&r->tree, item, path, "a secret is text; this file has a zero byte at %zu%s",
                       (size_t)(zero - secret),
                       looks_like_utf16(secret, len) ? ", it looks like UTF-16" : "");
        return false;
    }
    if (len >= sizeof utf8_mark && memcmp(secret, utf8_mark, sizeof utf8_mark) == 0) {
        config_mistake(
            &r->tree, item, path,
            "it begins with the byte order mark of an editor (ef bb bf), which would be a "
            "part of the secret; save it without");
        return false;
    }
    return true;
}

static void add_secret(reader *r, const cJSON *item, const char *path, const uint8_t *secret,
                       size_t len)
{
    while (len > 0 && (secret[len - 1] == '\n' || secret[len - 1] == '\r')) {
        len--;
    }
    if (!secret_is_text(r, item, path, secret, len)) {
        return;
    }
    if (len < SECRET_BYTES_MIN || len > SECRET_BYTES_MAX) {
        config_mistake(&r->tree, item, path, "a secret has from %u to %u bytes, this one %zu",
                       SECRET_BYTES_MIN, SECRET_BYTES_MAX, len);
        return;
    }
    DURE_ASSERT(r->secret_count < DURE_COUNT_OF(r->secrets));
    memcpy(r->secrets[r->secret_count], secret, len);
    r->secret_lens[r->secret_count] = len;
    r->secret_count++;
}

static void read_secret(reader *r, const char *key, const char *environment, const char *variable)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(r->tree.root, key);
    if (environment != NULL && environment[0] != '\0') {
        add_secret(r, r->tree.root, variable, (const uint8_t *)environment, strlen(environment));
        config_show_value(&r->tree, variable, "\"(hidden)\"", (config_place){variable, 0, 0});
    } else if (cJSON_IsString(item)) {
        dure_buf bytes;
        dure_buf_init(&bytes, SECRET_BYTES_MAX + 2);
        dure_err err = dure_file_read(item->valuestring, &bytes);
        if (err == DURE_OK) {
            add_secret(r, item, key, bytes.data, bytes.len);
        } else {
            config_mistake(&r->tree, item, key, "%.200s: %s", item->valuestring,
                           dure_err_text(err));
        }
        if (bytes.len > 0) {
            memset(bytes.data, 0, bytes.len);
        }
        dure_buf_fini(&bytes);
    }
}

/* The secret before, alone, would be the secret. */
static void read_secrets(reader *r)
{
    read_secret(r, "secret_file", r->source->env_secret, "DURE_SECRET");
    const size_t count = r->secret_count;
    const size_t mistakes = r->report->mistake_count;
    read_secret(r, "secret_previous_file", r->source->env_secret_previous, "DURE_SECRET_PREVIOUS");
    if (count == 0 && mistakes == 0 && r->secret_count > 0) {
        config_mistake(&r->tree, r->tree.root, "secret_previous_file",
                       "the secret before is given and the present one is not: secret_file or "
                       "DURE_SECRET");
    }
}

/* ---- the whole ---- */

/* What 0.1 had in the place of address_exempt: files of then mean what they meant. */
static bool is_loopback_limited(const reader *r, const cJSON *root, const cJSON *list)
{
    const cJSON *former = cJSON_GetObjectItemCaseSensitive(root, "connects_limit_loopback");
    if (former == NULL || !cJSON_IsBool(former)) {
        return false;
    }
    if (list != NULL) {
        config_key_mistake(&r->tree, former, "connects_limit_loopback",
                           "address_exempt says the same and is there too: leave this one out");
        return false;
    }
    config_warning(&r->tree, former, "connects_limit_loopback", "address_exempt%s says this now",
                   cJSON_IsTrue(former) ? " with an empty list" : ", left out,");
    return cJSON_IsTrue(former);
}

/* Networks that limits by address do not count. */
static void read_exempt(const reader *r, const cJSON *root, dure_net_networks *networks)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "address_exempt");
    const cJSON *item;
    size_t index = 0;
    if (is_loopback_limited(r, root, list)) {
        config_show_value(&r->tree, "address_exempt", "[]",
                          (config_place){"connects_limit_loopback", 0, 0});
        networks->count = 0;
        return;
    }
    if (!cJSON_IsArray(list)) {
        config_show_value(&r->tree, "address_exempt", EXEMPT_DEFAULT,
                          (config_place){"default", 0, 0});
        return; /* the builder's own: the loopback */
    }
    config_show_item(&r->tree, list, "address_exempt");
    networks->count = 0;
    cJSON_ArrayForEach(item, list)
    {
        char path[CONFIG_PATH_MAX];
        (void)snprintf(path, sizeof path, "address_exempt[%zu]", index++);
        if (!config_want(&r->tree, item, path, cJSON_IsString(item), "a string")) {
            continue;
        }
        if (networks->count == DURE_NET_NETWORKS_MAX) {
            config_mistake(&r->tree, item, path, "more than %u networks", DURE_NET_NETWORKS_MAX);
            return;
        }
        if (dure_net_network_parse(item->valuestring, &networks->rows[networks->count]) !=
            DURE_OK) {
            config_mistake(&r->tree, item, path,
                           "\"%.80s\" is no network: an address, or one with the length of its "
                           "prefix and nothing set behind that, as 10.0.0.0/8 or fd00::/8",
                           item->valuestring);
            continue;
        }
        networks->count++;
    }
}

static void read_cluster_settings(reader *r, const cJSON *root)
{
    dure_registry_settings *s = dure_registry_builder_settings(r->builder);
    s->backend = config_text(root, "backend", s->backend);
    s->log_level = config_text(root, "log_level", s->log_level);
    s->handshake_ms = (uint32_t)config_int(root, "handshake_ms", s->handshake_ms);
    s->heartbeat_ms = (uint32_t)config_int(root, "heartbeat_ms", s->heartbeat_ms);
    s->peer_timeout_ms = (uint32_t)config_int(root, "peer_timeout_ms", s->peer_timeout_ms);
    s->redial_first_ms = (uint32_t)config_int(root, "redial_first_ms", s->redial_first_ms);
    s->redial_max_ms = (uint32_t)config_int(root, "redial_max_ms", s->redial_max_ms);
    s->call_deadline_ms = (uint32_t)config_int(root, "call_deadline_ms", s->call_deadline_ms);
    s->client_idle_ms = (uint32_t)config_int(root, "client_idle_ms", s->client_idle_ms);
    s->drain_ms = (uint32_t)config_int(root, "drain_ms", s->drain_ms);
    read_exempt(r, root, &s->address_exempt);
#define READ_LIMIT(name, fallback, least, most)                                                    \
    s->name = (uint32_t)config_int(root, #name, s->name);
    DURE_REGISTRY_LIMIT_LIST(READ_LIMIT)
#undef READ_LIMIT
}

static void check_backend_variable(const reader *r)
{
    const char *backend = r->source->env_backend;
    if (backend == NULL || backend[0] == '\0') {
        return;
    }
    if (strcmp(backend, "auto") != 0 && strcmp(backend, "epoll") != 0 &&
        strcmp(backend, "uring") != 0 && strcmp(backend, "win32") != 0) {
        dure_registry_diagnostic diagnostic = {
            DURE_REGISTRY_MISTAKE, "DURE_BACKEND", 0, 0, "", "none of: auto epoll uring win32"};
        dure_registry_report_add(r->report, &diagnostic);
        return;
    }
    dure_registry_builder_settings(r->builder)->backend = backend;
    char quoted[16];
    (void)snprintf(quoted, sizeof quoted, "\"%.8s\"", backend);
    config_show_value(&r->tree, "backend", quoted, (config_place){"DURE_BACKEND", 0, 0});
}

/* Whichever of the two was written: the other one is its default. */
static void check_heartbeat(const reader *r, const cJSON *root)
{
    const dure_registry_settings *s = dure_registry_builder_settings(r->builder);
    const cJSON *timeout = cJSON_GetObjectItemCaseSensitive(root, "peer_timeout_ms");
    const cJSON *every = cJSON_GetObjectItemCaseSensitive(root, "heartbeat_ms");
    const int64_t timeout_ms = config_int(root, "peer_timeout_ms", s->peer_timeout_ms);
    const int64_t every_ms = config_int(root, "heartbeat_ms", s->heartbeat_ms);
    DURE_ASSERT(s->peer_timeout_ms > s->heartbeat_ms); /* the defaults */
    if (timeout_ms > every_ms) {
        return;
    }
    if (timeout != NULL) {
        config_mistake(&r->tree, timeout, "peer_timeout_ms", "must be above heartbeat_ms (%lld)",
                       (long long)every_ms);
    } else {
        config_mistake(&r->tree, every, "heartbeat_ms", "must be below peer_timeout_ms (%lld)",
                       (long long)timeout_ms);
    }
}

static void check_order(const reader *r, const cJSON *root, const char *low, int64_t low_fallback,
                        const char *high, int64_t high_fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, high);
    DURE_ASSERT(low_fallback <= high_fallback);
    int64_t least = config_int(root, low, low_fallback);
    if (config_int(root, high, high_fallback) < least) {
        config_mistake(&r->tree, item != NULL ? item : root, high, "must not be below %s (%lld)",
                       low, (long long)least);
    }
}

static void check_limits(const reader *r, const cJSON *root)
{
    const dure_registry_settings *s = dure_registry_builder_settings(r->builder);
    check_order(r, root, "client_queue_soft_bytes", s->client_queue_soft_bytes,
                "client_queue_bytes", s->client_queue_bytes);
    check_order(r, root, "login_memory_percent", s->login_memory_percent, "shed_memory_percent",
                s->shed_memory_percent);
    check_order(r, root, "redial_first_ms", s->redial_first_ms, "redial_max_ms", s->redial_max_ms);
    check_order(r, root, "link_queue_high_bytes", s->link_queue_high_bytes, "link_queue_max_bytes",
                s->link_queue_max_bytes);
    check_order(r, root, "body_max_bytes", s->body_max_bytes, "link_queue_max_bytes",
                s->link_queue_max_bytes);
    check_order(r, root, "accept_pause_first_ms", s->accept_pause_first_ms, "accept_pause_max_ms",
                s->accept_pause_max_ms);
}

static dure_err read_all(reader *r, dure_registry **out_registry)
{
    const cJSON *root = r->tree.root;
    DURE_ASSERT(root != NULL);
    DURE_ASSERT(r->builder == NULL);
    if (!cJSON_IsObject(root)) {
        config_mistake(&r->tree, root, "", "expected an object, got %s", config_kind(root));
        return DURE_ERR_CONFIG;
    }
    dure_err err = dure_registry_builder_create(config_text(root, "cluster", ""),
                                                config_text(root, "data", "var"), &r->builder);
    if (err != DURE_OK) {
        return err;
    }
    const cJSON *roles = cJSON_GetObjectItemCaseSensitive(root, "roles");
    const cJSON *nodes = cJSON_GetObjectItemCaseSensitive(root, "nodes");
    config_check_object(&r->tree, root, "", cluster_keys);
    check_heartbeat(r, root);
    check_limits(r, root);
    read_secrets(r);
    read_cluster_settings(r, root);
    check_backend_variable(r);
    if (cJSON_IsObject(roles)) {
        read_roles(r, roles);
    }
    if (cJSON_IsArray(nodes)) {
        read_nodes(r, roles, nodes);
    }
    if (cJSON_IsObject(roles) && cJSON_IsArray(nodes)) {
        registry_check_reach(&r->tree, roles, nodes);
    }
    DURE_ASSERT(r->secret_count <= DURE_COUNT_OF(r->secrets));
    for (size_t i = 0; i < r->secret_count && err == DURE_OK; i++) {
        const dure_slice secret = {r->secrets[i], r->secret_lens[i]};
        err = dure_registry_builder_secret(r->builder, secret);
    }
    if (err != DURE_OK || r->report->mistake_count > 0) {
        return err != DURE_OK ? err : DURE_ERR_CONFIG;
    }
    dure_registry_builder *builder = r->builder;
    r->builder = NULL;
    return dure_registry_builder_finish(builder, out_registry);
}

/* Up to the ';' that ends an override; one within a JSON string ends nothing. */
static size_t override_len(const char *text)
{
    bool in_string = false;
    size_t i = 0;
    for (; text[i] != '\0' && (in_string || text[i] != ';'); i++) {
        if (in_string && text[i] == '\\' && text[i + 1] != '\0') {
            i++;
        } else if (text[i] == '"') {
            in_string = !in_string;
        }
    }
    return i;
}

static dure_err apply_overrides(reader *r)
{
    dure_err err = DURE_OK;
    const char *at = r->source->env_set;
    while (at != NULL && *at != '\0' && err == DURE_OK) {
        size_t len = override_len(at);
        if (len > 0) {
            err = config_tree_set(&r->tree, "DURE_SET", at, len);
        }
        at += len + (at[len] == ';' ? 1 : 0);
    }
    for (size_t i = 0; i < r->source->set_count && err == DURE_OK; i++) {
        err = config_tree_set(&r->tree, "--set", r->source->sets[i], strlen(r->source->sets[i]));
    }
    return err;
}

static dure_err load_text(reader *r, const char *text, size_t len, dure_registry **out_registry)
{
    dure_err err = config_tree_init(&r->tree, r->source->path, text, len, r->report);
    if (err != DURE_OK) {
        return err;
    }
    err = apply_overrides(r);
    if (err == DURE_OK) {
        err = read_all(r, out_registry);
    }
    dure_registry_builder_destroy(r->builder);
    config_tree_fini(&r->tree);
    return err;
}

static dure_err load_file(reader *r, dure_registry **out_registry)
{
    dure_buf bytes;
    dure_buf_init(&bytes, DURE_REGISTRY_BYTES_MAX);
    dure_err err = dure_file_read(r->source->path, &bytes);
    if (err == DURE_OK) {
        err = load_text(r, (const char *)bytes.data, bytes.len, out_registry);
    } else if (err != DURE_ERR_NO_MEMORY) {
        dure_registry_diagnostic diagnostic = {DURE_REGISTRY_MISTAKE,
                                               r->source->path,
                                               0,
                                               0,
                                               "",
                                               err == DURE_ERR_TOO_LARGE || err == DURE_ERR_FULL
                                                   ? "larger than 1 MiB"
                                               : err == DURE_ERR_NOT_FOUND ? "there is no such file"
                                               : err == DURE_ERR_INVALID   ? "a folder, not a file"
                                                                           : dure_err_text(err)};
        dure_registry_report_add(r->report, &diagnostic);
        err = DURE_ERR_CONFIG;
    }
    dure_buf_fini(&bytes);
    return err;
}

void dure_registry_source_init(dure_registry_source *source, const char *path)
{
    *source = (dure_registry_source){.path = path};
}

void dure_registry_source_from_environment(dure_registry_source *source)
{
    source->env_set = getenv("DURE_SET");
    source->env_backend = getenv("DURE_BACKEND");
    source->env_secret = getenv("DURE_SECRET");
    source->env_secret_previous = getenv("DURE_SECRET_PREVIOUS");
}

dure_err dure_registry_load(const dure_registry_source *source, dure_registry **out_registry,
                            dure_registry_report *report)
{
    reader *r = dure_mem_alloc(sizeof *r);
    if (r == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    r->source = source;
    r->report = report;
    r->ephemeral_first = source->ephemeral_first;
    r->ephemeral_last = source->ephemeral_last;
    if (r->ephemeral_last == 0) {
        dure_ephemeral_range(&r->ephemeral_first, &r->ephemeral_last);
    }
    dure_err err = source->text != NULL ? load_text(r, source->text, source->text_len, out_registry)
                                        : load_file(r, out_registry);
    memset(r->secrets, 0, sizeof r->secrets);
    dure_mem_free(r);
    dure_err ended = dure_registry_report_end(report);
    return err != DURE_OK ? err : ended;
}
