/* SPDX-License-Identifier: MIT
 *
 * Where each value of a JSON text stands. cJSON reads values but keeps no positions and is lenient;
 * this tokenizer is strict (RFC 8259, UTF-8 alone), keeps to limits before anything is allocated
 * for good, and gives the line and column of every value and key in the order of the text. It holds
 * no values: json_tree.h puts both together.
 */
#ifndef DURE_CLUSTER_JSON_POSITION_H
#define DURE_CLUSTER_JSON_POSITION_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DURE_JSON_VALUES_MAX   65536u /* values in one text */
#define DURE_JSON_CHILDREN_MAX 4096u  /* values in one array or object */
#define DURE_JSON_NONE         UINT32_MAX

typedef enum dure_json_kind {
    DURE_JSON_NULL,
    DURE_JSON_BOOL,
    DURE_JSON_NUMBER,
    DURE_JSON_STRING,
    DURE_JSON_ARRAY,
    DURE_JSON_OBJECT
} dure_json_kind;

typedef struct dure_json_place {
    uint32_t line;   /* from 1 */
    uint32_t column; /* from 1, in characters; a tab is one */
} dure_json_place;

/* One value of the text. The first entry is the whole; a parent stands before its children. */
typedef struct dure_json_entry {
    dure_json_kind kind;
    dure_json_place place;
    dure_json_place key_place; /* of its key; of the value where it has none */
    uint32_t start;            /* the value's bytes: [start, end) */
    uint32_t end;
    uint32_t parent; /* index of its array or object; DURE_JSON_NONE: the whole */
    uint32_t children;
} dure_json_entry;

typedef struct dure_json_positions {
    dure_json_entry *entries;
    size_t count;
} dure_json_positions;

/* The mistake that ended the reading. */
typedef struct dure_json_mistake {
    dure_json_place place;
    char message[128];
} dure_json_mistake;

/*
 * Reads a whole text. A byte order mark at its start is passed over.
 * Borrows: text, for the call.
 * Fails:   SYNTAX, TOO_DEEP (more than depth_max arrays and objects within each other),
 *          TOO_MANY_ELEMENTS, TOO_LARGE (over 4 GiB), each with out_mistake; NO_MEMORY without.
 * Thread:  any.
 */
DURE_CHECKED dure_err dure_json_positions_init(dure_json_positions *positions, const char *text,
                                               size_t len, uint32_t depth_max,
                                               dure_json_mistake *out_mistake);

/* Frees the entries; zeroed positions are fine. Thread: any. */
void dure_json_positions_fini(dure_json_positions *positions);

/* "a string", "a number" and so on, for messages. Thread: any. */
const char *dure_json_kind_name(dure_json_kind kind);

#endif
