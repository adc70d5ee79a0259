/* SPDX-License-Identifier: MIT
 *
 * A binary heap whose items carry their index.
 */
#include "iocp/timer.h"

#include "base/assert.h"
#include "base/mem.h"

#define TIMER_CAPACITY_FIRST 64u

void dure_timer_heap_init(dure_timer_heap *heap)
{
    heap->_items = NULL;
    heap->count = 0;
    heap->_capacity = 0;
    heap->_next_sequence = 0;
}

void dure_timer_heap_fini(dure_timer_heap *heap)
{
    DURE_ASSERT(heap->count == 0);
    dure_mem_free(heap->_items);
    dure_timer_heap_init(heap);
}

static bool is_before(const dure_iocp_event *a, const dure_iocp_event *b)
{
    return a->_due_ns != b->_due_ns ? a->_due_ns < b->_due_ns : a->_sequence < b->_sequence;
}

static void place(dure_timer_heap *heap, uint32_t index, dure_iocp_event *event)
{
    heap->_items[index] = event;
    event->_heap_index = index;
}

static void sift_up(dure_timer_heap *heap, uint32_t index, dure_iocp_event *event)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / 2;
        if (!is_before(event, heap->_items[parent])) {
            break;
        }
        place(heap, index, heap->_items[parent]);
        index = parent;
    }
    place(heap, index, event);
}

static void sift_down(dure_timer_heap *heap, uint32_t index, dure_iocp_event *event)
{
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= heap->count) {
            break;
        }
        if (child + 1 < heap->count && is_before(heap->_items[child + 1], heap->_items[child])) {
            child++;
        }
        if (!is_before(heap->_items[child], event)) {
            break;
        }
        place(heap, index, heap->_items[child]);
        index = child;
    }
    place(heap, index, event);
}

dure_err dure_timer_heap_add(dure_timer_heap *heap, dure_iocp_event *event, uint64_t due_ns)
{
    DURE_ASSERT(event->_heap_index == DURE_TIMER_NOWHERE);
    if (heap->count == heap->_capacity) {
        uint32_t capacity = heap->_capacity == 0 ? TIMER_CAPACITY_FIRST : 2 * heap->_capacity;
        dure_iocp_event **items = dure_mem_realloc(heap->_items, capacity * sizeof(*items));
        if (items == NULL) {
            return DURE_ERR_NO_MEMORY;
        }
        heap->_items = items;
        heap->_capacity = capacity;
    }
    DURE_ASSERT(heap->count < heap->_capacity);
    event->_due_ns = due_ns;
    event->_sequence = heap->_next_sequence++;
    sift_up(heap, heap->count++, event);
    return DURE_OK;
}

bool dure_timer_heap_remove(dure_timer_heap *heap, dure_iocp_event *event)
{
    uint32_t index = event->_heap_index;
    if (index == DURE_TIMER_NOWHERE) {
        return false;
    }
    DURE_ASSERT(index < heap->count);
    DURE_ASSERT(heap->_items[index] == event);
    dure_iocp_event *last = heap->_items[--heap->count];
    if (last != event) {
        if (index > 0 && is_before(last, heap->_items[(index - 1) / 2])) {
            sift_up(heap, index, last);
        } else {
            sift_down(heap, index, last);
        }
    }
    event->_heap_index = DURE_TIMER_NOWHERE;
    return true;
}

uint64_t dure_timer_heap_next_ns(const dure_timer_heap *heap)
{
    return heap->count > 0 ? heap->_items[0]->_due_ns : UINT64_MAX;
}

dure_iocp_event *dure_timer_heap_pop_due(dure_timer_heap *heap, uint64_t now_ns)
{
    if (heap->count == 0 || heap->_items[0]->_due_ns > now_ns) {
        return NULL;
    }
    dure_iocp_event *event = heap->_items[0];
    bool was_in = dure_timer_heap_remove(heap, event);
    DURE_ASSERT(was_in);
    return event;
}

bool dure_timer_heap_is_valid(const dure_timer_heap *heap)
{
    for (uint32_t i = 0; i < heap->count; i++) {
        if (heap->_items[i]->_heap_index != i) {
            return false;
        }
        if (i > 0 && is_before(heap->_items[i], heap->_items[(i - 1) / 2])) {
            return false;
        }
    }
    return heap->count <= heap->_capacity;
}
