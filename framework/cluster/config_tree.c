/* SPDX-License-Identifier: MIT
 *
 * cJSON's items and the positions' entries come in the same order of the text, so walking both at
 * once joins them.
 */
#include "cluster/config_tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "cluster/registry_json.h"

/* ---- parsing ---- */

static void tree_syntax(config_tree *tree, const dure_json_mistake *mistake)
{
    dure_registry_diagnostic diagnostic = {
        .severity = DURE_REGISTRY_MISTAKE,
        .place = tree->file,
        .line = mistake->place.line,
        .column = mistake->place.column,
        .path = "",
        .message = mistake->message,
    };
    dure_registry_report_add(tree->report, &diagnostic);
}

/* Joins in the order of the text; a stack of parents is cJSON's own nesting, held to the depth
 * limit before. */
static size_t tree_join(config_tree *tree, const cJSON *item, size_t at)
{
    const cJSON *stack[DURE_REGISTRY_DEPTH_MAX + 2];
    size_t depth = 0;
    while (item != NULL && at < tree->positions.count) {
        tree->items[at++] = item;
        if (item->child != NULL) {
            DURE_ASSERT(depth < DURE_COUNT_OF(stack)); /* the tokenizer has refused deeper ones */
            stack[depth++] = item;
            item = item->child;
            continue;
        }
        while (item->next == NULL && depth > 0) {
            item = stack[--depth];
        }
        item = depth > 0 || item != tree->root ? item->next : NULL;
    }
    return at;
}

dure_err config_tree_init(config_tree *tree, const char *file, const char *text, size_t len,
                          dure_registry_report *report)
{
    dure_json_mistake mistake;
    DURE_ASSERT(report != NULL);
    memset(tree, 0, sizeof *tree);
    tree->file = file;
    tree->text = text;
    tree->report = report;
    dure_err err =
        dure_json_positions_init(&tree->positions, text, len, DURE_REGISTRY_DEPTH_MAX, &mistake);
    if (err == DURE_ERR_NO_MEMORY) {
        return err;
    }
    if (err != DURE_OK) {
        tree_syntax(tree, &mistake);
        return DURE_ERR_CONFIG;
    }
    tree->root = cJSON_ParseWithLength(text, len);
    tree->items = dure_mem_alloc_array(tree->positions.count, sizeof *tree->items);
    if (tree->root == NULL || tree->items == NULL) {
        config_tree_fini(tree);
        return DURE_ERR_NO_MEMORY;
    }
    const size_t joined = tree_join(tree, tree->root, 0);
    DURE_ASSERT(joined == tree->positions.count); /* both readers found the same values */
    return DURE_OK;
}

void config_tree_fini(config_tree *tree)
{
    cJSON_Delete(tree->root);
    dure_json_positions_fini(&tree->positions);
    dure_mem_free(tree->items);
    for (size_t i = 0; i < tree->override_count; i++) {
        dure_mem_free(tree->overrides[i].value);
    }
    dure_mem_free(tree->overrides);
    memset(tree, 0, sizeof *tree);
}

/* ---- places ---- */

static const dure_json_entry *tree_entry(const config_tree *tree, const cJSON *item)
{
    for (size_t i = 0; i < tree->positions.count; i++) {
        if (tree->items[i] == item) {
            return &tree->positions.entries[i];
        }
    }
    return NULL;
}

static const config_override *tree_override(const config_tree *tree, const cJSON *item)
{
    for (size_t i = tree->override_count; i > 0; i--) {
        if (tree->overrides[i - 1].item == item) {
            return &tree->overrides[i - 1];
        }
    }
    return NULL;
}

static config_place tree_place(const config_tree *tree, const cJSON *item, bool of_key)
{
    config_place place = {tree->file, 1, 1};
    const dure_json_entry *entry = tree_entry(tree, item);
    if (entry != NULL) {
        const dure_json_place *at = of_key ? &entry->key_place : &entry->place;
        place.line = at->line;
        place.column = at->column;
        return place;
    }
    const config_override *override = tree_override(tree, item);
    return override != NULL ? (config_place){override->name, 0, 0} : place;
}

config_place config_tree_place(const config_tree *tree, const cJSON *item)
{
    return tree_place(tree, item, false);
}

config_place config_tree_key_place(const config_tree *tree, const cJSON *item)
{
    return tree_place(tree, item, true);
}

dure_str config_tree_text(const config_tree *tree, const cJSON *item)
{
    const dure_json_entry *entry = tree_entry(tree, item);
    if (entry != NULL) {
        return (dure_str){tree->text + entry->start, entry->end - entry->start};
    }
    const config_override *override = tree_override(tree, item);
    return override != NULL ? dure_str_of(override->value) : (dure_str){"", 0};
}

static void tree_add(const config_tree *tree, dure_registry_severity severity, config_place place,
                     const char *path, const char *format, va_list args) DURE_PRINTF(5, 0);

static void tree_add(const config_tree *tree, dure_registry_severity severity, config_place place,
                     const char *path, const char *format, va_list args)
{
    char message[512];
    (void)vsnprintf(message, sizeof message, format, args);
    dure_registry_diagnostic diagnostic = {severity,     place.name, place.line,
                                           place.column, path,       message};
    dure_registry_report_add(tree->report, &diagnostic);
}

void config_mistake(const config_tree *tree, const cJSON *item, const char *path,
                    const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tree_add(tree, DURE_REGISTRY_MISTAKE, config_tree_place(tree, item), path, format, args);
    va_end(args);
}

void config_key_mistake(const config_tree *tree, const cJSON *item, const char *path,
                        const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tree_add(tree, DURE_REGISTRY_MISTAKE, config_tree_key_place(tree, item), path, format, args);
    va_end(args);
}

void config_warning(const config_tree *tree, const cJSON *item, const char *path,
                    const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tree_add(tree, DURE_REGISTRY_WARNING, config_tree_place(tree, item), path, format, args);
    va_end(args);
}

/* ---- overrides ---- */

static void set_mistake(const config_tree *tree, const char *name, const char *path,
                        const char *message)
{
    dure_registry_diagnostic diagnostic = {DURE_REGISTRY_MISTAKE, name, 0, 0, path, message};
    dure_registry_report_add(tree->report, &diagnostic);
}

/* JSON where it is JSON, else the text itself: client_port=7000, backend=epoll. */
static cJSON *set_value(const char *text)
{
    cJSON *value = cJSON_ParseWithOpts(text, NULL, 1);
    return value != NULL ? value : cJSON_CreateString(text);
}

static bool set_remember_one(config_tree *tree, const char *name, const cJSON *item,
                             const char *text)
{
    size_t count = tree->override_count;
    DURE_ASSERT(item != NULL);
    char *value = dure_mem_strdup(text);
    config_override *grown =
        value != NULL ? dure_mem_realloc(tree->overrides, (count + 1) * sizeof *tree->overrides)
                      : NULL;
    if (grown == NULL) {
        dure_mem_free(value);
        return false;
    }
    tree->overrides = grown;
    tree->overrides[tree->override_count++] = (config_override){item, name, value};
    return true;
}

/* The value and all that is inside it: the list of what was remembered is also what is left to look
 * into, so no nesting makes this deeper. */
static bool set_remember(config_tree *tree, const char *name, const cJSON *item, const char *text)
{
    size_t at = tree->override_count;
    if (!set_remember_one(tree, name, item, text)) {
        return false;
    }
    for (; at < tree->override_count; at++) {
        const cJSON *inner;
        cJSON_ArrayForEach(inner, tree->overrides[at].item)
        {
            if (!set_remember_one(tree, name, inner, "")) {
                return false;
            }
        }
    }
    return true;
}

#define CONFIG_INDEX_MAX 65535 /* more elements than any array here may have */

/* One step of a path: the name up to '.' or '[', or the number in brackets. */
typedef struct path_step {
    char key[CONFIG_PATH_MAX];
    long index; /* -1: a key */
} path_step;

/* False when the path is none. *inout_at stands behind the step afterwards. */
static bool path_next(const char **inout_at, path_step *step)
{
    const char *at = *inout_at;
    step->index = -1;
    if (*at == '[') {
        char *end = NULL;
        step->index = strtol(at + 1, &end, 10);
        if (end == at + 1 || *end != ']' || step->index < 0 || step->index > CONFIG_INDEX_MAX) {
            return false;
        }
        *inout_at = end + 1;
        return true;
    }
    at += *at == '.' ? 1 : 0;
    size_t len = strcspn(at, ".[");
    if (len == 0 || len >= sizeof step->key) {
        return false;
    }
    memcpy(step->key, at, len);
    step->key[len] = '\0';
    *inout_at = at + len;
    return true;
}

static cJSON *step_child(const cJSON *parent, const path_step *step)
{
    return step->index >= 0 ? cJSON_GetArrayItem(parent, (int)step->index)
                            : cJSON_GetObjectItemCaseSensitive(parent, step->key);
}

/* Puts the value where the last step points. False: no such place. */
static bool step_put(cJSON *parent, const path_step *step, cJSON *value)
{
    if (step->index >= 0) {
        return cJSON_IsArray(parent) && step_child(parent, step) != NULL &&
               cJSON_ReplaceItemInArray(parent, (int)step->index, value);
    }
    if (!cJSON_IsObject(parent)) {
        return false;
    }
    return step_child(parent, step) != NULL
               ? cJSON_ReplaceItemInObjectCaseSensitive(parent, step->key, value)
               : cJSON_AddItemToObject(parent, step->key, value);
}

static void override_forget(config_tree *tree, const cJSON *item)
{
    for (size_t i = 0; i < tree->override_count; i++) {
        if (tree->overrides[i].item == item) {
            tree->overrides[i].item = NULL;
        }
    }
}

/* Overrides that stand inside a value, or are it. */
static void overrides_forget(config_tree *tree, const cJSON *item)
{
    const cJSON *stack[CJSON_NESTING_LIMIT + DURE_REGISTRY_DEPTH_MAX];
    const cJSON *const outermost = item;
    size_t depth = 0;
    while (item != NULL) {
        override_forget(tree, item);
        if (item->child != NULL) {
            DURE_ASSERT(depth < DURE_COUNT_OF(stack)); /* of the file and one override inside it */
            stack[depth++] = item;
            item = item->child;
            continue;
        }
        while (depth > 0 && item->next == NULL) {
            item = stack[--depth];
        }
        item = item == outermost ? NULL : item->next;
    }
}

/* A value that is replaced is freed, so nothing may find it any more: it and all that is inside it.
 */
static void tree_forget(config_tree *tree, const cJSON *item)
{
    const dure_json_entry *entry = item != NULL ? tree_entry(tree, item) : NULL;
    for (size_t i = 0; entry != NULL && i < tree->positions.count; i++) {
        const dure_json_entry *other = &tree->positions.entries[i];
        if (other->start >= entry->start && other->end <= entry->end) {
            tree->items[i] = NULL;
        }
    }
    overrides_forget(tree, item);
}

static dure_err set_apply(config_tree *tree, const char *name, const char *path, const char *text)
{
    cJSON *parent = tree->root;
    const char *at = path;
    path_step step;
    if (!path_next(&at, &step)) {
        set_mistake(tree, name, path, "this is no path such as nodes[0].client_port");
        return DURE_OK;
    }
    while (*at != '\0') {
        cJSON *child = step_child(parent, &step);
        bool is_new = child == NULL && step.index < 0 && cJSON_IsObject(parent) && *at == '.';
        parent = is_new ? cJSON_AddObjectToObject(parent, step.key) : child;
        if (parent == NULL || !path_next(&at, &step)) {
            set_mistake(tree, name, path, "the configuration has no such place");
            return DURE_OK;
        }
    }
    cJSON *value = set_value(text);
    if (value == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    tree_forget(tree, step_child(parent, &step));
    if (!step_put(parent, &step, value)) {
        cJSON_Delete(value);
        set_mistake(tree, name, path, "the configuration has no such place");
        return DURE_OK;
    }
    return set_remember(tree, name, value, text) ? DURE_OK : DURE_ERR_NO_MEMORY;
}

dure_err config_tree_set(config_tree *tree, const char *name, const char *set, size_t len)
{
    char *copy = dure_mem_alloc(len + 1);
    if (copy == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    memcpy(copy, set, len);
    dure_err err = DURE_OK;
    char *equals = strchr(copy, '=');
    if (equals == NULL || equals == copy) {
        set_mistake(tree, name, copy, "expected PATH=VALUE");
    } else {
        *equals = '\0';
        err = set_apply(tree, name, copy, equals + 1);
    }
    dure_mem_free(copy);
    return err;
}
