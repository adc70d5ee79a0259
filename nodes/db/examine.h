/* SPDX-License-Identifier: MIT
 *
 * Looks through the file of a db node that does not run for what this version would not put there:
 * names, rooms and items that are not plain, and counts that are no whole numbers.
 */
#ifndef DURE_NODES_DB_EXAMINE_H
#define DURE_NODES_DB_EXAMINE_H

#include "base/err.h"
#include "base/str.h"
#include "wire/plain.h"

typedef enum db_finding_kind {
    DB_FOUND_PLAYER,
    DB_FOUND_ROOM,
    DB_FOUND_ITEM,
    DB_FOUND_COUNT
} db_finding_kind;

typedef struct db_finding {
    db_finding_kind kind;
    dure_str text;          /* the name that is not plain, or the item whose count it is */
    dure_str player;        /* who has that name, is in that room, or has that item */
    dure_plain_fault fault; /* what is wrong with text; of a count: NONE */
} db_finding;

/* Lends the finding for the call. */
typedef void (*db_finding_fn)(void *ctx, const db_finding *finding);

/*
 * Calls fn for each finding, by table and player. The file is read and not changed. Nobody may
 * write to it meanwhile. Fails: NO_MEMORY, STORAGE; why is a sentence with the path.
 */
DURE_CHECKED dure_err db_examine(const char *path, db_finding_fn fn, void *ctx, char *why,
                                 size_t why_size);

#endif
