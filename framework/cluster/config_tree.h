/* SPDX-License-Identifier: MIT
 *
 * A configuration as a tree of values, each with the place it came from: a line and column of the
 * file, or the override that set it. cJSON holds the values, json_position.h the places.
 */
#ifndef DURE_CLUSTER_CONFIG_TREE_H
#define DURE_CLUSTER_CONFIG_TREE_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/str.h"
#include "cluster/json_position.h"
#include "cluster/registry_report.h"

#define CONFIG_PATH_MAX 256

typedef struct config_place {
    const char *name; /* the file, "--set" or "DURE_SET"; lent by the tree */
    uint32_t line;    /* 0: not of the file */
    uint32_t column;
} config_place;

typedef struct config_override {
    const cJSON *item;
    const char *name;
    char *value; /* as it was written */
} config_override;

typedef struct config_tree {
    cJSON *root;
    const char *file;
    const char *text;
    dure_json_positions positions;
    const cJSON **items; /* by entry of positions */
    config_override *overrides;
    size_t override_count;
    dure_registry_report *report;
} config_tree;

/*
 * Parses the text. A mistake is reported. Fails: CONFIG, NO_MEMORY.
 * Borrows: file, text and report, for the tree's life.
 */
DURE_CHECKED dure_err config_tree_init(config_tree *tree, const char *file, const char *text,
                                       size_t len, dure_registry_report *report);
void config_tree_fini(config_tree *tree);

/* Applies "PATH=VALUE"; what is wrong with it is reported under `name`. Fails: NO_MEMORY. */
DURE_CHECKED dure_err config_tree_set(config_tree *tree, const char *name, const char *set,
                                      size_t len);

/* Where a value stands, and where its key does. */
config_place config_tree_place(const config_tree *tree, const cJSON *item);
config_place config_tree_key_place(const config_tree *tree, const cJSON *item);

/*
 * A value as it was written, without what is around it; not ended by a zero. Empty for what is
 * inside an array or object that an override brought.
 * Lends: the text, for the tree's life.
 */
dure_str config_tree_text(const config_tree *tree, const cJSON *item);

/* Reports at a value, or at its key. path is that of the value. */
void config_mistake(const config_tree *tree, const cJSON *item, const char *path,
                    const char *format, ...) DURE_PRINTF(4, 5);
void config_key_mistake(const config_tree *tree, const cJSON *item, const char *path,
                        const char *format, ...) DURE_PRINTF(4, 5);
void config_warning(const config_tree *tree, const cJSON *item, const char *path,
                    const char *format, ...) DURE_PRINTF(4, 5);

#endif
