/* SPDX-License-Identifier: MIT
 *
 * Old keys of gifts are deleted in the background, a bite at a time between the batches: each pass
 * goes once through all keys, and the next begins some minutes later.
 */
#ifndef DURE_NODES_DB_KEYS_H
#define DURE_NODES_DB_KEYS_H

#include "node/node.h"
#include "nodes/db/store.h"

typedef struct db_keys {
    dure_node *node;
    db_store *store;
    uint32_t days; /* 0: kept for ever */
    uint64_t before_ms;
    db_key_place place;
    uint64_t deleted; /* in this pass */
    dure_err status;
} db_keys;

/* Begins, where keys are not kept for ever. Fails: NO_MEMORY. */
DURE_CHECKED dure_err db_keys_start(db_keys *keys, dure_node *node, db_store *store, uint32_t days);

#endif
