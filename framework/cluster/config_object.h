/* SPDX-License-Identifier: MIT
 *
 * One object of a configuration against a table of the keys that it may hold: every mistake is
 * reported at its place, every value with where it came from. Rules between objects are the
 * business of whoever reads them.
 */
#ifndef DURE_CLUSTER_CONFIG_OBJECT_H
#define DURE_CLUSTER_CONFIG_OBJECT_H

#include "cluster/config_tree.h"

typedef enum config_key_type {
    CONFIG_TEXT,
    CONFIG_NAME,
    CONFIG_INT,
    CONFIG_BOOL,
    CONFIG_CHOICE,
    CONFIG_ARRAY,
    CONFIG_OBJECT
} config_key_type;

typedef struct config_key {
    const char *name;
    config_key_type type;
    bool is_needed;
    int64_t min;
    int64_t max;
    const char *fallback; /* JSON text of the default, for --show; NULL: none */
    const char *choices;  /* CONFIG_CHOICE: "|auto|epoll|" */
} config_key;

#define CONFIG_KEYS_END                                                                            \
    {                                                                                              \
        NULL, CONFIG_TEXT, false, 0, 0, NULL, NULL                                                 \
    }

/* Where a key named secret is refused. */
#define CONFIG_NO_SECRET "a secret comes from secret_file or DURE_SECRET, never from here"

/* Each key right, known, needed ones there. Containers show what is inside them themselves. */
void config_check_object(const config_tree *tree, const cJSON *object, const char *path,
                         const config_key *keys);
/* The same for an object whose keys are its user's: none stands there twice. */
void config_check_duplicates(const config_tree *tree, const cJSON *object, const char *path);

/* False, and a mistake "expected ..., got a number", where a value is not of the right type. */
bool config_want(const config_tree *tree, const cJSON *item, const char *path, bool is_right,
                 const char *expected);

/* Whether it may name a node, a role or a cluster. */
bool config_is_name(const char *name);

/* For --show: a value and its place; what is named like a secret is hidden. */
void config_show_value(const config_tree *tree, const char *path, const char *value,
                       config_place place);
void config_show_item(const config_tree *tree, const cJSON *item, const char *path);

#define CONFIG_NUMBER_MAX 64

/*
 * A number's text, to the last digit: a double, which cJSON keeps, holds no more than 53 bits.
 * Whole numbers below that are written out (1e3 is 1000), all else is as the file has it. False: a
 * whole number that no int64_t holds, or one that no double does.
 */
bool config_number(const config_tree *tree, const cJSON *item, char out[CONFIG_NUMBER_MAX]);

/* "parent.key". */
void config_path(char out[CONFIG_PATH_MAX], const char *parent, const char *key);

/* "a number": for "expected an object, got a number". */
const char *config_kind(const cJSON *item);

/* The value of a key; the fallback where it is missing or of another type. */
const char *config_text(const cJSON *object, const char *key, const char *fallback);
int64_t config_int(const cJSON *object, const char *key, int64_t fallback);

#endif
