/* SPDX-License-Identifier: MIT
 *
 * From a configuration's tree to a registry: one table of keys for each sort of object, then the
 * rules that stand between objects. Everything is looked at before anything is given up, so one run
 * tells all.
 */
#include "cluster/registry_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "cluster/config_tree.h"
#include "cluster/ephemeral.h"
#include "net/address.h"

#define NODES_MAX        4096
#define ROLES_MAX        256
#define SECRET_BYTES_MAX 4096u
#define SECRET_BYTES_MIN 16u

typedef enum key_type {
    KEY_TEXT,
    KEY_NAME,
    KEY_INT,
    KEY_BOOL,
    KEY_CHOICE,
    KEY_ARRAY,
    KEY_OBJECT
} key_type;

typedef struct key_row {
    const char *name;
    key_type type;
    bool is_needed;
    int64_t min;
    int64_t max;
    const char *fallback; /* JSON text of the default, for --show; NULL: none */
    const char *choices;  /* KEY_CHOICE: "|auto|epoll|" */
} key_row;

#define KEYS_END                                                                                   \
    {                                                                                              \
        NULL, KEY_TEXT, false, 0, 0, NULL, NULL                                                    \
    }

static const key_row cluster_keys[] = {
    {"$schema", KEY_TEXT, false, 0, 0, NULL, NULL},
    {"cluster", KEY_NAME, true, 0, 0, NULL, NULL},
    {"data", KEY_TEXT, false, 0, 0, "\"var\"", NULL},
    {"roles", KEY_OBJECT, true, 0, 0, NULL, NULL},
    {"nodes", KEY_ARRAY, true, 0, 0, NULL, NULL},
    {"backend", KEY_CHOICE, false, 0, 0, "\"auto\"", "|auto|epoll|uring|win32|"},
    {"secret_file", KEY_TEXT, false, 0, 0, NULL, NULL},
    {"secret_previous_file", KEY_TEXT, false, 0, 0, NULL, NULL},
    {"handshake_ms", KEY_INT, false, 50, 60000, "2000", NULL},
    {"heartbeat_ms", KEY_INT, false, 50, 600000, "2000", NULL},
    {"peer_timeout_ms", KEY_INT, false, 100, 600000, "8000", NULL},
    {"redial_first_ms", KEY_INT, false, 1, 60000, "250", NULL},
    {"redial_max_ms", KEY_INT, false, 1, 600000, "15000", NULL},
    {"call_deadline_ms", KEY_INT, false, 1, 600000, "5000", NULL},
    {"client_idle_ms", KEY_INT, false, 0, 86400000, "0", NULL},
    {"drain_ms", KEY_INT, false, 0, 600000, "10000", NULL},
    {"log_level", KEY_CHOICE, false, 0, 0, "\"info\"", "|debug|info|warn|error|off|"},
    {"connects_limit_loopback", KEY_BOOL, false, 0, 0, "false", NULL},
#define LIMIT_KEY(name, fallback, least, most)                                                     \
    {#name, KEY_INT, false, least, most, #fallback, NULL},
    DURE_REGISTRY_LIMIT_LIST(LIMIT_KEY)
#undef LIMIT_KEY
        KEYS_END};

static const key_row role_keys[] = {{"program", KEY_TEXT, true, 0, 0, NULL, NULL},
                                    {"dials", KEY_ARRAY, false, 0, 0, "[]", NULL},
                                    {"settings", KEY_OBJECT, false, 0, 0, "{}", NULL},
                                    {"tick_ms", KEY_INT, false, 1, 60000, NULL, NULL},
                                    {"save_ms", KEY_INT, false, 0, 1000, NULL, NULL},
                                    {"engine", KEY_CHOICE, false, 0, 0, NULL, "|sqlite|"},
                                    {"batch_max", KEY_INT, false, 1, 65536, NULL, NULL},
                                    {"lease_ms", KEY_INT, false, 200, 60000, NULL, NULL},
                                    {"resume_ms", KEY_INT, false, 0, 3600000, NULL, NULL},
                                    {"resume_max", KEY_INT, false, 0, 1000000, NULL, NULL},
                                    KEYS_END};

static const key_row node_keys[] = {{"id", KEY_NAME, true, 0, 0, NULL, NULL},
                                    {"role", KEY_TEXT, true, 0, 0, NULL, NULL},
                                    {"host", KEY_TEXT, false, 0, 0, "\"127.0.0.1\"", NULL},
                                    {"bind", KEY_TEXT, false, 0, 0, NULL, NULL},
                                    {"link_port", KEY_INT, false, 1, 65535, NULL, NULL},
                                    {"client_port", KEY_INT, false, 1, 65535, NULL, NULL},
                                    {"settings", KEY_OBJECT, false, 0, 0, "{}", NULL},
                                    KEYS_END};

static const char no_secret[] = "a secret comes from secret_file or DURE_SECRET, never from here";

typedef struct reader {
    config_tree tree;
    const dure_registry_source *source;
    dure_registry_report *report;
    dure_registry_builder *builder;
    char secrets[2][SECRET_BYTES_MAX + 1];
    size_t secret_count;
    uint16_t ephemeral_first;
    uint16_t ephemeral_last;
} reader;

/* ---- names that are nearly right ---- */

static size_t min_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance of two short words. */
static size_t word_distance(const char *a, const char *b)
{
    size_t row[64];
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len >= 63 || b_len >= 63) {
        return 63;
    }
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t above = row[j];
            size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = min_of(changed, min_of(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[b_len];
}

static const char *nearest_key(const key_row *keys, const char *name)
{
    const char *best = NULL;
    size_t best_distance = strlen(name) / 3 + 2;
    for (; keys->name != NULL; keys++) {
        size_t distance = word_distance(keys->name, name);
        if (distance < best_distance) {
            best = keys->name;
            best_distance = distance;
        }
    }
    return best;
}

/* ---- one value ---- */

static bool name_is_valid(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > DURE_NODE_ID_MAX || name[0] < 'a' || name[0] > 'z') {
        return false;
    }
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

static const char *item_kind(const cJSON *item)
{
    return cJSON_IsNull(item)     ? "null"
           : cJSON_IsBool(item)   ? "a boolean"
           : cJSON_IsNumber(item) ? "a number"
           : cJSON_IsString(item) ? "a string"
           : cJSON_IsArray(item)  ? "an array"
                                  : "an object";
}

static bool want(const reader *r, const cJSON *item, const char *path, bool is_right,
                 const char *expected)
{
    if (!is_right) {
        config_mistake(&r->tree, item, path, "expected %s, got %s", expected, item_kind(item));
    }
    return is_right;
}

static bool check_int(const reader *r, const cJSON *item, const char *path, const key_row *key)
{
    if (!want(r, item, path, cJSON_IsNumber(item), "a whole number")) {
        return false;
    }
    double value = item->valuedouble;
    if (!(fabs(value) < 1e15) || value != trunc(value)) {
        config_mistake(&r->tree, item, path, "%.15g is not a whole number", value);
    } else if (value > (double)key->max) {
        config_mistake(&r->tree, item, path, "%.0f is above %lld", value, (long long)key->max);
    } else if (value < (double)key->min) {
        config_mistake(&r->tree, item, path, "%.0f is below %lld", value, (long long)key->min);
    } else {
        return true;
    }
    return false;
}

static bool check_choice(const reader *r, const cJSON *item, const char *path, const key_row *key)
{
    char framed[80];
    if (!want(r, item, path, cJSON_IsString(item), "a string")) {
        return false;
    }
    (void)snprintf(framed, sizeof framed, "|%.60s|", item->valuestring);
    if (strstr(key->choices, framed) != NULL && strchr(item->valuestring, '|') == NULL) {
        return true;
    }
    char list[80];
    (void)snprintf(list, sizeof list, "%.*s", (int)strlen(key->choices) - 2, key->choices + 1);
    for (char *at = list; *at != '\0'; at++) {
        *at = *at == '|' ? ' ' : *at;
    }
    config_mistake(&r->tree, item, path, "\"%.60s\" is none of: %s", item->valuestring, list);
    return false;
}

static bool check_value(const reader *r, const cJSON *item, const char *path, const key_row *key)
{
    switch (key->type) {
    case KEY_TEXT:
        if (want(r, item, path, cJSON_IsString(item), "a string") && item->valuestring[0] == '\0') {
            config_mistake(&r->tree, item, path, "must not be empty");
            return false;
        }
        return cJSON_IsString(item) != 0;
    case KEY_NAME:
        if (!want(r, item, path, cJSON_IsString(item), "a string")) {
            return false;
        }
        if (!name_is_valid(item->valuestring)) {
            config_mistake(&r->tree, item, path,
                           "\"%.80s\" is no name: a-z, 0-9, - and _, a letter first, at most %d",
                           item->valuestring, DURE_NODE_ID_MAX);
            return false;
        }
        return true;
    case KEY_INT:
        return check_int(r, item, path, key);
    case KEY_BOOL:
        return want(r, item, path, cJSON_IsBool(item), "true or false");
    case KEY_CHOICE:
        return check_choice(r, item, path, key);
    case KEY_ARRAY:
        return want(r, item, path, cJSON_IsArray(item), "an array");
    case KEY_OBJECT:
        return want(r, item, path, cJSON_IsObject(item), "an object");
    }
    return false;
}

/* ---- one object ---- */

static void path_of(char out[CONFIG_PATH_MAX], const char *parent, const char *key)
{
    (void)snprintf(out, CONFIG_PATH_MAX, "%.120s%s%.120s", parent, parent[0] != '\0' ? "." : "",
                   key);
}

static const key_row *key_find(const key_row *keys, const char *name)
{
    for (; keys->name != NULL; keys++) {
        if (strcmp(keys->name, name) == 0) {
            return keys;
        }
    }
    return NULL;
}

static void check_duplicate_keys(const reader *r, const cJSON *object, const char *path)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        for (const cJSON *former = object->child; former != item; former = former->next) {
            if (strcmp(former->string, item->string) == 0) {
                char full[CONFIG_PATH_MAX];
                path_of(full, path, item->string);
                config_key_mistake(&r->tree, item, full, "this key stands here a second time");
                break;
            }
        }
    }
}

static void unknown_key(const reader *r, const cJSON *item, const char *path, const key_row *keys)
{
    const char *nearest = nearest_key(keys, item->string);
    if (strcmp(item->string, "secret") == 0) {
        config_key_mistake(&r->tree, item, path, "%s", no_secret);
    } else if (nearest != NULL) {
        config_key_mistake(&r->tree, item, path, "unknown key; did you mean \"%s\"?", nearest);
    } else {
        config_key_mistake(&r->tree, item, path, "unknown key");
    }
}

static void show_value(const reader *r, const char *path, const char *value, config_place place)
{
    char where[600];
    if (place.line > 0) {
        (void)snprintf(where, sizeof where, "%.500s:%u:%u", place.name, place.line, place.column);
    } else {
        (void)snprintf(where, sizeof where, "%.500s", place.name);
    }
    dure_registry_value row = {path, value, where};
    dure_registry_report_add_value(r->report, &row);
}

/* A user's own setting of such a name is not for other eyes. */
static bool is_hidden(const char *key)
{
    return key != NULL && strstr(key, "_file") == NULL &&
           (strstr(key, "secret") != NULL || strstr(key, "password") != NULL ||
            strstr(key, "token") != NULL);
}

static void show_item(const reader *r, const cJSON *item, const char *path)
{
    char *text = cJSON_PrintUnformatted(item);
    if (text != NULL) {
        show_value(r, path, is_hidden(item->string) ? "\"(hidden)\"" : text,
                   config_tree_place(&r->tree, item));
        cJSON_free(text);
    }
}

/* Each key right, known, needed ones there. Containers show what is inside them themselves. */
static void check_object(const reader *r, const cJSON *object, const char *path,
                         const key_row *keys)
{
    char full[CONFIG_PATH_MAX];
    const cJSON *item;
    check_duplicate_keys(r, object, path);
    cJSON_ArrayForEach(item, object)
    {
        path_of(full, path, item->string);
        const key_row *key = key_find(keys, item->string);
        if (key == NULL) {
            unknown_key(r, item, full, keys);
        } else if (check_value(r, item, full, key) && key->type < KEY_ARRAY) {
            show_item(r, item, full);
        }
    }
    for (const key_row *key = keys; key->name != NULL; key++) {
        if (cJSON_GetObjectItemCaseSensitive(object, key->name) != NULL) {
            continue;
        }
        path_of(full, path, key->name);
        if (key->is_needed) {
            config_mistake(&r->tree, object, path, "\"%s\" is missing", key->name);
        } else if (key->fallback != NULL && key->type < KEY_ARRAY) {
            show_value(r, full, key->fallback, (config_place){"default", 0, 0});
        }
    }
}

static const char *text_of(const cJSON *object, const char *key, const char *fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(item) ? item->valuestring : fallback;
}

static int64_t int_of(const cJSON *object, const char *key, int64_t fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) && fabs(item->valuedouble) < 1e15 ? (int64_t)item->valuedouble
                                                                  : fallback;
}

/* ---- settings of roles and nodes ---- */

static void add_setting(reader *r, const char *role, const char *node, const cJSON *item)
{
    char number[40];
    const char *value = cJSON_IsString(item) ? item->valuestring
                        : cJSON_IsTrue(item) ? "true"
                                             : "false";
    if (cJSON_IsNumber(item)) {
        (void)snprintf(number, sizeof number, "%.15g", item->valuedouble);
        value = number;
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
    path_of(full, path, "settings");
    if (!cJSON_IsObject(settings)) {
        return;
    }
    check_duplicate_keys(r, settings, full);
    cJSON_ArrayForEach(item, settings)
    {
        path_of(inner, full, item->string);
        if (strcmp(item->string, "secret") == 0) {
            config_key_mistake(&r->tree, item, inner, "%s", no_secret);
        } else if (cJSON_IsString(item) || cJSON_IsNumber(item) || cJSON_IsBool(item)) {
            add_setting(r, role, node, item);
            show_item(r, item, inner);
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
        if (!want(r, item, full, cJSON_IsString(item), "a string")) {
            continue;
        }
        if (cJSON_GetObjectItemCaseSensitive(roles, item->valuestring) == NULL) {
            config_mistake(&r->tree, item, full, "there is no role \"%.80s\"", item->valuestring);
        } else if (count + 1 < max) {
            out_dials[count++] = item->valuestring;
        }
    }
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
        {"tick_ms", "dure-game"}, {"tick_ms", "dure-gateway"},
    };
    const char *program = text_of(role, "program", "");
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
            path_of(full, path, item->string);
            config_key_mistake(&r->tree, item, full, "%s has no such setting", program);
        }
    }
}

static void read_role(reader *r, const cJSON *roles, const cJSON *role)
{
    static const char *const direct[] = {"tick_ms",  "save_ms",   "engine",    "batch_max",
                                         "lease_ms", "resume_ms", "resume_max"};
    char path[CONFIG_PATH_MAX];
    const char *dials[257];
    path_of(path, "roles", role->string);
    if (!name_is_valid(role->string)) {
        config_key_mistake(&r->tree, role, path, "\"%.80s\" is no name for a role", role->string);
    }
    if (!want(r, role, path, cJSON_IsObject(role), "an object")) {
        return;
    }
    check_object(r, role, path, role_keys);
    check_role_settings(r, role, path);
    read_dials(r, roles, role, path, dials, DURE_COUNT_OF(dials));
    if (r->report->mistake_count == 0 &&
        dure_registry_builder_role(r->builder, role->string, text_of(role, "program", ""), dials) !=
            DURE_OK) {
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
    check_duplicate_keys(r, roles, "roles");
    cJSON_ArrayForEach(role, roles)
    {
        read_role(r, roles, role);
    }
}

/* ---- nodes ---- */

static void node_path(char out[CONFIG_PATH_MAX], size_t index, const char *key)
{
    (void)snprintf(out, CONFIG_PATH_MAX, "nodes[%zu]%s%s", index, key[0] != '\0' ? "." : "", key);
}

/* What it listens on: `bind`, else `host`. */
static const char *node_bind(const cJSON *node)
{
    return text_of(node, "bind", text_of(node, "host", "127.0.0.1"));
}

static void check_port(const reader *r, const cJSON *node, size_t index, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(node, key);
    char path[CONFIG_PATH_MAX];
    int64_t port = int_of(node, key, 0);
    node_path(path, index, key);
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
    const char *bind = node_bind(node);
    char path[CONFIG_PATH_MAX];
    dure_net_address address;
    node_path(path, index, key);
    if (dure_net_address_from_ip(bind, 0, &address) != DURE_OK) {
        config_mistake(&r->tree, item != NULL ? item : node, path,
                       "\"%.80s\" is no numeric address to listen on; give \"bind\" as well", bind);
        return;
    }
    if (link_port != NULL && !dure_net_address_is_loopback(&address) && r->secret_count == 0) {
        node_path(path, index, "link_port");
        config_mistake(&r->tree, link_port, path,
                       "links outside the loopback (%.80s) need a cluster secret: secret_file or "
                       "DURE_SECRET",
                       bind);
    }
}

static void read_node(reader *r, const cJSON *roles, const cJSON *node, size_t index)
{
    char path[CONFIG_PATH_MAX];
    node_path(path, index, "");
    if (!want(r, node, path, cJSON_IsObject(node), "an object")) {
        return;
    }
    check_object(r, node, path, node_keys);
    const char *role = text_of(node, "role", NULL);
    if (role != NULL && cJSON_IsObject(roles) &&
        cJSON_GetObjectItemCaseSensitive(roles, role) == NULL) {
        node_path(path, index, "role");
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
        r->builder, text_of(node, "id", ""), text_of(node, "role", ""),
        text_of(node, "host", "127.0.0.1"), (uint16_t)int_of(node, "link_port", 0),
        (uint16_t)int_of(node, "client_port", 0));
    if (err == DURE_OK) {
        err = dure_registry_builder_bind(r->builder, node_bind(node));
    }
    if (err != DURE_OK) {
        config_mistake(&r->tree, node, path, "%s", dure_err_text(err));
    }
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
    const char *a_host = text_of(a, "host", "127.0.0.1");
    const char *b_host = text_of(b, "host", "127.0.0.1");
    if (is_any_address(node_bind(a)) || is_any_address(node_bind(b))) {
        return strcmp(a_host, b_host) == 0 || (is_loopback(a_host) && is_loopback(b_host));
    }
    return strcmp(node_bind(a), node_bind(b)) == 0;
}

static void check_clash(const reader *r, const cJSON *nodes, const cJSON *node, size_t index,
                        const char *key)
{
    static const char *const keys[] = {"client_port", "link_port"};
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(node, key);
    int64_t port = int_of(node, key, 0);
    const cJSON *other;
    size_t other_index = 0;
    char path[CONFIG_PATH_MAX];
    if (item == NULL || port == 0) {
        return;
    }
    node_path(path, index, key);
    cJSON_ArrayForEach(other, nodes)
    {
        for (size_t k = 0; k < DURE_COUNT_OF(keys); k++) {
            const cJSON *taken = cJSON_GetObjectItemCaseSensitive(other, keys[k]);
            if (taken == item) {
                return; /* only those before it count */
            }
            if (taken != NULL && int_of(other, keys[k], 0) == port && binds_clash(node, other)) {
                config_mistake(&r->tree, item, path, "%lld is the port of nodes[%zu].%s already",
                               (long long)port, other_index, keys[k]);
                return;
            }
        }
        other_index++;
    }
}

static void check_duplicate_id(const reader *r, const cJSON *nodes, const cJSON *node, size_t index)
{
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(node, "id");
    size_t other_index = 0;
    char path[CONFIG_PATH_MAX];
    node_path(path, index, "id");
    for (const cJSON *other = nodes->child; cJSON_IsString(id) && other != node;
         other = other->next) {
        if (strcmp(text_of(other, "id", ""), id->valuestring) == 0) {
            config_mistake(&r->tree, id, path, "\"%.80s\" is the id of nodes[%zu] already",
                           id->valuestring, other_index);
            return;
        }
        other_index++;
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
        check_duplicate_id(r, nodes, node, index);
        check_clash(r, nodes, node, index, "client_port");
        check_clash(r, nodes, node, index, "link_port");
        if (cJSON_IsObject(node)) {
            char path[CONFIG_PATH_MAX];
            node_path(path, index, "");
            read_settings(r, node, path, NULL, text_of(node, "id", ""));
        }
        index++;
    }
}

/* ---- rules between objects ---- */

static bool role_has(const cJSON *nodes, const char *role, const char *port_key)
{
    const cJSON *node;
    cJSON_ArrayForEach(node, nodes)
    {
        if (strcmp(text_of(node, "role", ""), role) == 0 &&
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

static void check_dialled_nodes(const reader *r, const cJSON *nodes, const char *role)
{
    const cJSON *node;
    size_t index = 0;
    cJSON_ArrayForEach(node, nodes)
    {
        if (strcmp(text_of(node, "role", ""), role) == 0 &&
            cJSON_GetObjectItemCaseSensitive(node, "link_port") == NULL) {
            char path[CONFIG_PATH_MAX];
            node_path(path, index, "");
            config_mistake(&r->tree, node, path,
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

static void check_reach(const reader *r, const cJSON *roles, const cJSON *nodes)
{
    const cJSON *role;
    bool reached[ROLES_MAX] = {false};
    bool has_clients = any_has_clients(nodes);
    size_t index = 0;
    if (cJSON_GetArraySize(roles) > ROLES_MAX) {
        config_mistake(&r->tree, roles, "roles", "more than %d roles", ROLES_MAX);
        return;
    }
    find_reached(roles, nodes, has_clients, reached);
    cJSON_ArrayForEach(role, roles)
    {
        char path[CONFIG_PATH_MAX];
        path_of(path, "roles", role->string);
        if (!role_has(nodes, role->string, NULL)) {
            config_key_mistake(&r->tree, role, path, "no node has this role");
        } else if (!reached[index]) {
            config_key_mistake(&r->tree, role, path,
                               "nobody can reach this role: its nodes have no client_port, and no "
                               "role that is reached dials it");
        }
        if (role_is_dialled(roles, role->string, NULL)) {
            check_dialled_nodes(r, nodes, role->string);
        }
        index++;
    }
    if (!has_clients) {
        config_key_mistake(&r->tree, nodes, "nodes",
                           "no node has a client_port, so no client can reach the cluster");
    }
}

/* ---- secrets ---- */

static void add_secret(reader *r, const cJSON *item, const char *path, const char *secret,
                       size_t len)
{
    while (len > 0 && (secret[len - 1] == '\n' || secret[len - 1] == '\r')) {
        len--;
    }
    if (len < SECRET_BYTES_MIN || len > SECRET_BYTES_MAX) {
        config_mistake(&r->tree, item, path, "a secret has from %u to %u bytes, this one %zu",
                       SECRET_BYTES_MIN, SECRET_BYTES_MAX, len);
        return;
    }
    if (r->secret_count < DURE_COUNT_OF(r->secrets)) {
        memcpy(r->secrets[r->secret_count], secret, len);
        r->secrets[r->secret_count][len] = '\0';
        r->secret_count++;
    }
}

static void read_secret(reader *r, const char *key, const char *environment, const char *variable)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(r->tree.root, key);
    if (environment != NULL && environment[0] != '\0') {
        add_secret(r, r->tree.root, variable, environment, strlen(environment));
        show_value(r, variable, "\"(hidden)\"", (config_place){variable, 0, 0});
    } else if (cJSON_IsString(item)) {
        dure_buf bytes;
        dure_buf_init(&bytes, SECRET_BYTES_MAX + 2);
        dure_err err = dure_file_read(item->valuestring, &bytes);
        if (err == DURE_OK) {
            add_secret(r, item, key, (const char *)bytes.data, bytes.len);
        } else {
            config_mistake(&r->tree, item, key, "%.200s: %s", item->valuestring,
                           dure_err_text(err));
        }
        dure_buf_fini(&bytes);
    }
}

/* ---- the whole ---- */

static void read_cluster_settings(reader *r, const cJSON *root)
{
    dure_registry_settings *s = dure_registry_builder_settings(r->builder);
    s->backend = text_of(root, "backend", s->backend);
    s->log_level = text_of(root, "log_level", s->log_level);
    s->handshake_ms = (uint32_t)int_of(root, "handshake_ms", s->handshake_ms);
    s->heartbeat_ms = (uint32_t)int_of(root, "heartbeat_ms", s->heartbeat_ms);
    s->peer_timeout_ms = (uint32_t)int_of(root, "peer_timeout_ms", s->peer_timeout_ms);
    s->redial_first_ms = (uint32_t)int_of(root, "redial_first_ms", s->redial_first_ms);
    s->redial_max_ms = (uint32_t)int_of(root, "redial_max_ms", s->redial_max_ms);
    s->call_deadline_ms = (uint32_t)int_of(root, "call_deadline_ms", s->call_deadline_ms);
    s->client_idle_ms = (uint32_t)int_of(root, "client_idle_ms", s->client_idle_ms);
    s->drain_ms = (uint32_t)int_of(root, "drain_ms", s->drain_ms);
    s->connects_limit_loopback =
        cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "connects_limit_loopback")) != 0;
#define READ_LIMIT(name, fallback, least, most) s->name = (uint32_t)int_of(root, #name, s->name);
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
    show_value(r, "backend", quoted, (config_place){"DURE_BACKEND", 0, 0});
}

static void check_heartbeat(const reader *r, const cJSON *root)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, "peer_timeout_ms");
    int64_t heartbeat = int_of(root, "heartbeat_ms", 2000);
    if (item != NULL && int_of(root, "peer_timeout_ms", 8000) <= heartbeat) {
        config_mistake(&r->tree, item, "peer_timeout_ms", "must be above heartbeat_ms (%lld)",
                       (long long)heartbeat);
    }
}

static void check_order(const reader *r, const cJSON *root, const char *low, int64_t low_fallback,
                        const char *high, int64_t high_fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, high);
    int64_t least = int_of(root, low, low_fallback);
    if (int_of(root, high, high_fallback) < least) {
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
    check_order(r, root, "accept_pause_first_ms", s->accept_pause_first_ms, "accept_pause_max_ms",
                s->accept_pause_max_ms);
}

static dure_err read_all(reader *r, dure_registry **out_registry)
{
    const cJSON *root = r->tree.root;
    if (!cJSON_IsObject(root)) {
        config_mistake(&r->tree, root, "", "expected an object, got %s", item_kind(root));
        return DURE_ERR_CONFIG;
    }
    dure_err err = dure_registry_builder_create(text_of(root, "cluster", ""),
                                                text_of(root, "data", "var"), &r->builder);
    if (err != DURE_OK) {
        return err;
    }
    const cJSON *roles = cJSON_GetObjectItemCaseSensitive(root, "roles");
    const cJSON *nodes = cJSON_GetObjectItemCaseSensitive(root, "nodes");
    check_object(r, root, "", cluster_keys);
    check_heartbeat(r, root);
    check_limits(r, root);
    read_secret(r, "secret_file", r->source->env_secret, "DURE_SECRET");
    read_secret(r, "secret_previous_file", r->source->env_secret_previous, "DURE_SECRET_PREVIOUS");
    read_cluster_settings(r, root);
    check_backend_variable(r);
    if (cJSON_IsObject(roles)) {
        read_roles(r, roles);
    }
    if (cJSON_IsArray(nodes)) {
        read_nodes(r, roles, nodes);
    }
    if (cJSON_IsObject(roles) && cJSON_IsArray(nodes)) {
        check_reach(r, roles, nodes);
    }
    for (size_t i = 0; i < r->secret_count && err == DURE_OK; i++) {
        err = dure_registry_builder_secret(r->builder, r->secrets[i]);
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
