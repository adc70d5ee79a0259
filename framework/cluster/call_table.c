/* SPDX-License-Identifier: MIT
 *
 * Outstanding calls by id; see call_table.h. The table is kept at most half full, so the next free
 * number is found in one or two steps.
 */
#include "cluster/call_table.h"

#include "base/mem.h"

#define SLOTS_FIRST     64u
#define BODY_KEPT_BYTES 1024u /* a free call keeps no more memory than that */

void dure_call_table_init(dure_call_table *table, uint32_t max, uint64_t first_id)
{
    memset(table, 0, sizeof *table);
    table->_max = max;
    table->_next_id = first_id;
    dure_list_init(&table->_free);
}

void dure_call_table_fini(dure_call_table *table)
{
    DURE_ASSERT(table->count == 0);
    dure_list *node;
    while (table->_free.next != NULL && (node = dure_list_pop_front(&table->_free)) != NULL) {
        dure_call *call = DURE_CONTAINER_OF(node, dure_call, node);
        dure_buf_fini(&call->result);
        dure_buf_fini(&call->again);
        dure_mem_free(call);
    }
    dure_mem_free(table->_slots);
    table->_slots = NULL;
    table->_slot_count = 0;
}

static dure_call **slot_of(const dure_call_table *table, uint64_t id)
{
    return &table->_slots[id & (table->_slot_count - 1)];
}

static dure_err table_grow(dure_call_table *table)
{
    dure_call **old_slots = table->_slots;
    const uint32_t old_count = table->_slot_count;
    const uint32_t new_count = old_count == 0 ? SLOTS_FIRST : old_count * 2;
    dure_call **slots = dure_mem_alloc_array(new_count, sizeof(dure_call *));
    if (slots == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    table->_slots = slots;
    table->_slot_count = new_count;
    /* Ids that differ in fewer low bits differ in more. */
    for (uint32_t i = 0; i < old_count; i++) {
        if (old_slots[i] != NULL) {
            *slot_of(table, old_slots[i]->id) = old_slots[i];
        }
    }
    dure_mem_free(old_slots);
    return DURE_OK;
}

static dure_call *take_free(dure_call_table *table)
{
    dure_list *node = dure_list_pop_front(&table->_free);
    if (node != NULL) {
        return DURE_CONTAINER_OF(node, dure_call, node);
    }
    dure_call *call = dure_mem_alloc(sizeof *call);
    if (call != NULL) {
        dure_list_init(&call->node);
        dure_list_init(&call->in_request);
        dure_buf_init(&call->result, DURE_CALL_RESULT_MAX);
        dure_buf_init(&call->again, DURE_CALL_RESULT_MAX);
    }
    return call;
}

/* 0 means "none" on the wire, so ids with 32 low zeroes are passed over. */
static uint64_t next_free_id(dure_call_table *table)
{
    for (;;) {
        const uint64_t id = table->_next_id++;
        if ((uint32_t)id != 0 && *slot_of(table, id) == NULL) {
            return id;
        }
    }
}

dure_err dure_call_table_add(dure_call_table *table, dure_call **out_call)
{
    if (table->count >= table->_max) {
        return DURE_ERR_FULL;
    }
    if (table->_slot_count < (table->count + 1) * 2) {
        const dure_err err = table_grow(table);
        if (err != DURE_OK) {
            return err;
        }
    }
    dure_call *call = take_free(table);
    if (call == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    call->id = next_free_id(table);
    *slot_of(table, call->id) = call;
    table->count++;
    *out_call = call;
    return DURE_OK;
}

dure_call *dure_call_table_find(const dure_call_table *table, uint64_t id)
{
    if (id == 0 || table->_slot_count == 0) {
        return NULL;
    }
    dure_call *call = *slot_of(table, id);
    return call != NULL && call->id == id ? call : NULL;
}

dure_call *dure_call_table_find_wire(const dure_call_table *table, uint32_t wire_id)
{
    if (wire_id == 0 || table->_slot_count == 0) {
        return NULL;
    }
    dure_call *call = *slot_of(table, wire_id);
    return call != NULL && (uint32_t)call->id == wire_id ? call : NULL;
}

void dure_call_table_remove(dure_call_table *table, dure_call *call)
{
    DURE_ASSERT(call->id != 0);
    dure_call **slot = slot_of(table, call->id);
    DURE_ASSERT(*slot == call);
    *slot = NULL;
    call->id = 0;
    table->count--;
}

void dure_call_table_release(dure_call_table *table, dure_call *call)
{
    DURE_ASSERT(call->id == 0);
    dure_list_remove(&call->node);
    dure_list_remove(&call->in_request);
    dure_buf result = call->result;
    dure_buf again = call->again;
    memset(call, 0, sizeof *call);
    call->result = result;
    dure_buf_release(&call->result); /* only answers that wait hold memory */
    call->again = again;
    if (call->again.len > BODY_KEPT_BYTES) {
        dure_buf_release(&call->again);
    } else {
        dure_buf_clear(&call->again);
    }
    dure_list_init(&call->node);
    dure_list_init(&call->in_request);
    dure_list_push_back(&table->_free, &call->node);
}
