/* SPDX-License-Identifier: MIT
 *
 * Generation-checked ids: whoever may outlive an object, or stands on another thread, holds its id.
 * An id is never 0 and is not given twice for 2^32 reuses of its slot; a stale one finds nothing.
 * Owner thread only; the id itself may travel anywhere.
 */
#ifndef DURE_BASE_IDTABLE_H
#define DURE_BASE_IDTABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct dure_idtable_slot {
    void *object;
    uint32_t generation;
    uint32_t next_free;
} dure_idtable_slot;

typedef struct dure_idtable {
    dure_idtable_slot *_slots;
    uint32_t _slot_count;
    uint32_t _slot_max;
    uint32_t _first_free;
    uint32_t count; /* objects in the table */
} dure_idtable;

/*
 * An empty table of at most max objects (at most 2^31). Allocates nothing.
 */
void dure_idtable_init(dure_idtable *table, uint32_t max);

/*
 * Frees the table, not the objects. A zeroed table is fine.
 */
void dure_idtable_fini(dure_idtable *table);

/*
 * Enters an object (not NULL) and tells its id: the slot in the low 32 bits, the generation above.
 * Fails: FULL at the maximum, NO_MEMORY.
 */
DURE_CHECKED dure_err dure_idtable_add(dure_idtable *table, void *object, uint64_t *out_id);

/*
 * The object of an id, or NULL when the id is stale or never was.
 */
void *dure_idtable_find(const dure_idtable *table, uint64_t id);

/*
 * Takes an id out; it is stale from now on. Returns the object, or NULL when it was stale already.
 */
void *dure_idtable_remove(dure_idtable *table, uint64_t id);

/*
 * Steps through the objects: start with *cursor = 0; NULL at the end. The table may lose the
 * current object between two steps.
 */
void *dure_idtable_next(const dure_idtable *table, uint32_t *cursor);

#endif
