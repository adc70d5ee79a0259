/* SPDX-License-Identifier: MIT
 *
 * Objects of a configuration, key by key.
 */
#include "cluster/config_object.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "cluster/registry.h"

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

static const char *nearest_key(const config_key *keys, const char *name)
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

bool config_is_name(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > DURE_NODE_ID_MAX || name[0] < 'a' || name[0] > 'z') {
        return false;
    }
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

const char *config_kind(const cJSON *item)
{
    return cJSON_IsNull(item)     ? "null"
           : cJSON_IsBool(item)   ? "a boolean"
           : cJSON_IsNumber(item) ? "a number"
           : cJSON_IsString(item) ? "a string"
           : cJSON_IsArray(item)  ? "an array"
                                  : "an object";
}

bool config_want(const config_tree *tree, const cJSON *item, const char *path, bool is_right,
                 const char *expected)
{
    if (!is_right) {
        config_mistake(tree, item, path, "expected %s, got %s", expected, config_kind(item));
    }
    return is_right;
}

static bool check_int(const config_tree *tree, const cJSON *item, const char *path,
                      const config_key *key)
{
    if (!config_want(tree, item, path, cJSON_IsNumber(item), "a whole number")) {
        return false;
    }
    double value = item->valuedouble;
    DURE_ASSERT(key->min <= key->max);
    if (!(fabs(value) < 1e15) || value != trunc(value)) {
        config_mistake(tree, item, path, "%.15g is not a whole number", value);
    } else if (value > (double)key->max) {
        config_mistake(tree, item, path, "%.0f is above %lld", value, (long long)key->max);
    } else if (value < (double)key->min) {
        config_mistake(tree, item, path, "%.0f is below %lld", value, (long long)key->min);
    } else {
        return true;
    }
    return false;
}

static bool check_choice(const config_tree *tree, const cJSON *item, const char *path,
                         const config_key *key)
{
    char framed[80];
    DURE_ASSERT(key->choices != NULL);
    DURE_ASSERT(key->choices[0] == '|');
    if (!config_want(tree, item, path, cJSON_IsString(item), "a string")) {
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
    config_mistake(tree, item, path, "\"%.60s\" is none of: %s", item->valuestring, list);
    return false;
}

static bool check_value(const config_tree *tree, const cJSON *item, const char *path,
                        const config_key *key)
{
    switch (key->type) {
    case CONFIG_TEXT:
        if (config_want(tree, item, path, cJSON_IsString(item), "a string") &&
            item->valuestring[0] == '\0') {
            config_mistake(tree, item, path, "must not be empty");
            return false;
        }
        return cJSON_IsString(item) != 0;
    case CONFIG_NAME:
        if (!config_want(tree, item, path, cJSON_IsString(item), "a string")) {
            return false;
        }
        if (!config_is_name(item->valuestring)) {
            config_mistake(tree, item, path,
                           "\"%.80s\" is no name: a-z, 0-9, - and _, a letter first, at most %d",
                           item->valuestring, DURE_NODE_ID_MAX);
            return false;
        }
        return true;
    case CONFIG_INT:
        return check_int(tree, item, path, key);
    case CONFIG_BOOL:
        return config_want(tree, item, path, cJSON_IsBool(item), "true or false");
    case CONFIG_CHOICE:
        return check_choice(tree, item, path, key);
    case CONFIG_ARRAY:
        return config_want(tree, item, path, cJSON_IsArray(item), "an array");
    case CONFIG_OBJECT:
        return config_want(tree, item, path, cJSON_IsObject(item), "an object");
    }
    return false;
}

/* ---- one object ---- */

void config_path(char out[CONFIG_PATH_MAX], const char *parent, const char *key)
{
    (void)snprintf(out, CONFIG_PATH_MAX, "%.120s%s%.120s", parent, parent[0] != '\0' ? "." : "",
                   key);
}

static const config_key *key_find(const config_key *keys, const char *name)
{
    for (; keys->name != NULL; keys++) {
        if (strcmp(keys->name, name) == 0) {
            return keys;
        }
    }
    return NULL;
}

void config_check_duplicates(const config_tree *tree, const cJSON *object, const char *path)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        for (const cJSON *former = object->child; former != item; former = former->next) {
            if (strcmp(former->string, item->string) == 0) {
                char full[CONFIG_PATH_MAX];
                config_path(full, path, item->string);
                config_key_mistake(tree, item, full, "this key stands here a second time");
                break;
            }
        }
    }
}

static void unknown_key(const config_tree *tree, const cJSON *item, const char *path,
                        const config_key *keys)
{
    const char *nearest = nearest_key(keys, item->string);
    if (strcmp(item->string, "secret") == 0) {
        config_key_mistake(tree, item, path, "%s", CONFIG_NO_SECRET);
    } else if (nearest != NULL) {
        config_key_mistake(tree, item, path, "unknown key; did you mean \"%s\"?", nearest);
    } else {
        config_key_mistake(tree, item, path, "unknown key");
    }
}

void config_show_value(const config_tree *tree, const char *path, const char *value,
                       config_place place)
{
    char where[600];
    if (place.line > 0) {
        (void)snprintf(where, sizeof where, "%.500s:%u:%u", place.name, place.line, place.column);
    } else {
        (void)snprintf(where, sizeof where, "%.500s", place.name);
    }
    dure_registry_value row = {path, value, where};
    dure_registry_report_add_value(tree->report, &row);
}

/* A user's own setting of such a name is not for other eyes. */
static bool is_hidden(const char *key)
{
    return key != NULL && strstr(key, "_file") == NULL &&
           (strstr(key, "secret") != NULL || strstr(key, "password") != NULL ||
            strstr(key, "token") != NULL);
}

#define DOUBLE_WHOLE_MAX 9007199254740992.0 /* 2^53: up to here each whole number is a double */

bool config_number(const config_tree *tree, const cJSON *item, char out[CONFIG_NUMBER_MAX])
{
    double value = item->valuedouble;
    dure_str text = config_tree_text(tree, item);
    if (value == trunc(value) && fabs(value) < DOUBLE_WHOLE_MAX) {
        (void)snprintf(out, CONFIG_NUMBER_MAX, "%.0f", value);
        return true;
    }
    if (text.len == 0 || text.len >= CONFIG_NUMBER_MAX) {
        (void)snprintf(out, CONFIG_NUMBER_MAX, "%.17g", value);
        return isfinite(value) && value != trunc(value);
    }
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    if (strpbrk(out, ".eE") != NULL) {
        return isfinite(value);
    }
    errno = 0;
    (void)strtoll(out, NULL, 10);
    return errno != ERANGE;
}

static void show_number(const config_tree *tree, const cJSON *item, const char *path)
{
    char number[CONFIG_NUMBER_MAX];
    if (config_number(tree, item, number)) {
        config_show_value(tree, path, number, config_tree_place(tree, item));
    }
}

void config_show_item(const config_tree *tree, const cJSON *item, const char *path)
{
    if (cJSON_IsNumber(item) && !is_hidden(item->string)) {
        show_number(tree, item, path);
        return;
    }
    char *text = cJSON_PrintUnformatted(item);
    if (text != NULL) {
        config_show_value(tree, path, is_hidden(item->string) ? "\"(hidden)\"" : text,
                          config_tree_place(tree, item));
        cJSON_free(text);
    }
}

void config_check_object(const config_tree *tree, const cJSON *object, const char *path,
                         const config_key *keys)
{
    char full[CONFIG_PATH_MAX];
    const cJSON *item;
    DURE_ASSERT(cJSON_IsObject(object));
    config_check_duplicates(tree, object, path);
    cJSON_ArrayForEach(item, object)
    {
        config_path(full, path, item->string);
        const config_key *key = key_find(keys, item->string);
        if (key == NULL) {
            unknown_key(tree, item, full, keys);
        } else if (check_value(tree, item, full, key) && key->type < CONFIG_ARRAY) {
            config_show_item(tree, item, full);
        }
    }
    for (const config_key *key = keys; key->name != NULL; key++) {
        if (cJSON_GetObjectItemCaseSensitive(object, key->name) != NULL) {
            continue;
        }
        config_path(full, path, key->name);
        if (key->is_needed) {
            config_mistake(tree, object, path, "\"%s\" is missing", key->name);
        } else if (key->fallback != NULL && key->type < CONFIG_ARRAY) {
            config_show_value(tree, full, key->fallback, (config_place){"default", 0, 0});
        }
    }
}

const char *config_text(const cJSON *object, const char *key, const char *fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(item) ? item->valuestring : fallback;
}

int64_t config_int(const cJSON *object, const char *key, int64_t fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) && fabs(item->valuedouble) < 1e15 ? (int64_t)item->valuedouble
                                                                  : fallback;
}
