/* SPDX-License-Identifier: MIT
 *
 * Slots with generations. Free slots form a list through next_free; index + 1 stands for a slot
 * there, so that a zeroed table is an empty one.
 */
#include "base/idtable.h"

#include "base/assert.h"
#include "base/mem.h"

#define IDTABLE_FIRST_SLOTS 16u

void dure_idtable_init(dure_idtable *table, uint32_t max)
{
    *table = (dure_idtable){._slot_max = max};
}

void dure_idtable_fini(dure_idtable *table)
{
    dure_mem_free(table->_slots);
    *table = (dure_idtable){._slot_max = table->_slot_max};
}

static dure_err idtable_grow(dure_idtable *table)
{
    uint32_t old = table->_slot_count;
    if (old >= table->_slot_max) {
        return DURE_ERR_FULL;
    }
    uint32_t count = old == 0 ? IDTABLE_FIRST_SLOTS : old * 2;
    if (count > table->_slot_max) {
        count = table->_slot_max;
    }
    dure_idtable_slot *slots = dure_mem_realloc(table->_slots, count * sizeof *slots);
    if (slots == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    for (uint32_t i = count; i > old; i--) {
        slots[i - 1] = (dure_idtable_slot){NULL, 1, table->_first_free};
        table->_first_free = i;
    }
    table->_slots = slots;
    table->_slot_count = count;
    return DURE_OK;
}

dure_err dure_idtable_add(dure_idtable *table, void *object, uint64_t *out_id)
{
    DURE_ASSERT(object != NULL);
    if (table->_first_free == 0) {
        dure_err err = idtable_grow(table);
        if (err != DURE_OK) {
            return err;
        }
    }
    uint32_t index = table->_first_free - 1;
    DURE_ASSERT(index < table->_slot_count);
    dure_idtable_slot *slot = &table->_slots[index];
    DURE_ASSERT(slot->object == NULL);
    table->_first_free = slot->next_free;
    slot->object = object;
    table->count++;
    *out_id = ((uint64_t)slot->generation << 32) | index;
    return DURE_OK;
}

static dure_idtable_slot *idtable_slot(const dure_idtable *table, uint64_t id)
{
    uint32_t index = (uint32_t)id;
    if (index >= table->_slot_count) {
        return NULL;
    }
    dure_idtable_slot *slot = &table->_slots[index];
    return slot->object != NULL && slot->generation == (uint32_t)(id >> 32) ? slot : NULL;
}

void *dure_idtable_find(const dure_idtable *table, uint64_t id)
{
    const dure_idtable_slot *slot = idtable_slot(table, id);
    return slot != NULL ? slot->object : NULL;
}

void *dure_idtable_remove(dure_idtable *table, uint64_t id)
{
    dure_idtable_slot *slot = idtable_slot(table, id);
    if (slot == NULL) {
        return NULL;
    }
    void *object = slot->object;
    DURE_ASSERT(table->count > 0);
    slot->object = NULL;
    slot->generation = slot->generation == UINT32_MAX ? 1 : slot->generation + 1;
    slot->next_free = table->_first_free;
    table->_first_free = (uint32_t)id + 1;
    table->count--;
    return object;
}

void *dure_idtable_next(const dure_idtable *table, uint32_t *cursor)
{
    while (*cursor < table->_slot_count) {
        void *object = table->_slots[*cursor].object;
        (*cursor)++;
        if (object != NULL) {
            return object;
        }
    }
    return NULL;
}
