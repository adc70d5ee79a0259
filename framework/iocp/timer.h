/* SPDX-License-Identifier: MIT
 *
 * The deadlines of a core: a binary heap of TIMER events by due time, and by start order where the
 * times are equal. It reads no clock. Each event knows its place, so taking one out is cheap.
 */
#ifndef DURE_IOCP_TIMER_H
#define DURE_IOCP_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "iocp/event.h"

#define DURE_TIMER_NOWHERE UINT32_MAX /* _heap_index of an event that is in no heap */

typedef struct dure_timer_heap {
    dure_iocp_event **_items;
    uint32_t count;
    uint32_t _capacity;
    uint64_t _next_sequence;
} dure_timer_heap;

/* An empty heap; a zeroed one is the same. Allocates nothing. */
void dure_timer_heap_init(dure_timer_heap *heap);

/* Frees the heap, not the events; it must be empty. */
void dure_timer_heap_fini(dure_timer_heap *heap);

/*
 * Enters an event with its deadline.
 * Fails: NO_MEMORY.
 */
DURE_CHECKED dure_err dure_timer_heap_add(dure_timer_heap *heap, dure_iocp_event *event,
                                          uint64_t due_ns);

/* Takes an event out; false when it was not in. */
bool dure_timer_heap_remove(dure_timer_heap *heap, dure_iocp_event *event);

/* When the earliest one is due; UINT64_MAX when there is none. */
uint64_t dure_timer_heap_next_ns(const dure_timer_heap *heap);

/* Takes out the earliest event if it is due at now_ns; NULL otherwise. */
dure_iocp_event *dure_timer_heap_pop_due(dure_timer_heap *heap, uint64_t now_ns);

/* Whether order and places hold; for tests, after every step. */
bool dure_timer_heap_is_valid(const dure_timer_heap *heap);

#endif
