/* SPDX-License-Identifier: MIT
 *
 * The heap of deadlines keeps its order through any sequence of adding, removing and popping.
 */
#include "iocp/timer.h"

#include "base/mem.h"
#include "base/rng.h"
#include "support/check.h"

#define EVENTS 300
#define STEPS  20000

static void events_init(dure_iocp_event *events, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        dure_iocp_event_init(&events[i], NULL, DURE_IOCP_TIMER);
    }
}

static void equal_deadlines_come_in_start_order(void)
{
    static dure_iocp_event events[20];
    dure_timer_heap heap;
    dure_timer_heap_init(&heap);
    events_init(events, 20);
    DURE_CHECK_EQ(dure_timer_heap_next_ns(&heap), UINT64_MAX);
    for (size_t i = 0; i < 20; i++) {
        DURE_CHECK_OK(dure_timer_heap_add(&heap, &events[i], 7));
    }
    DURE_CHECK(dure_timer_heap_pop_due(&heap, 6) == NULL);
    for (size_t i = 0; i < 20; i++) {
        DURE_CHECK(dure_timer_heap_pop_due(&heap, 7) == &events[i]);
        DURE_CHECK(dure_timer_heap_is_valid(&heap));
    }
    DURE_CHECK(!dure_timer_heap_remove(&heap, &events[0]));
    dure_timer_heap_fini(&heap);
}

static void any_sequence_keeps_the_order(void)
{
    static dure_iocp_event events[EVENTS];
    dure_timer_heap heap;
    dure_rng rng;
    uint64_t now_ns = 0;
    dure_rng_init(&rng, 42);
    dure_timer_heap_init(&heap);
    events_init(events, EVENTS);
    for (size_t step = 0; step < STEPS; step++) {
        dure_iocp_event *event = &events[dure_rng_below(&rng, EVENTS)];
        if (event->_heap_index != DURE_TIMER_NOWHERE) {
            DURE_CHECK(dure_timer_heap_remove(&heap, event));
        } else {
            DURE_REQUIRE_OK(dure_timer_heap_add(&heap, event, now_ns + dure_rng_below(&rng, 1000)));
        }
        if (step % 3 == 0) {
            now_ns += 5;
            event = dure_timer_heap_pop_due(&heap, now_ns);
            DURE_CHECK(event == NULL || event->_due_ns <= now_ns);
        }
        DURE_CHECK(dure_timer_heap_is_valid(&heap));
    }
    uint64_t last_ns = 0;
    dure_iocp_event *event = NULL;
    while ((event = dure_timer_heap_pop_due(&heap, UINT64_MAX)) != NULL) {
        DURE_CHECK(event->_due_ns >= last_ns);
        last_ns = event->_due_ns;
    }
    dure_timer_heap_fini(&heap);
}

static void without_memory_nothing_is_entered(void)
{
    static dure_iocp_event event;
    dure_timer_heap heap;
    dure_timer_heap_init(&heap);
    events_init(&event, 1);
    dure_mem_fail_nth(1);
    DURE_CHECK_ERR(dure_timer_heap_add(&heap, &event, 1), DURE_ERR_NO_MEMORY);
    DURE_CHECK_EQ(heap.count, 0);
    DURE_CHECK_OK(dure_timer_heap_add(&heap, &event, 1));
    DURE_CHECK(dure_timer_heap_remove(&heap, &event));
    dure_timer_heap_fini(&heap);
}

DURE_SUITE(iocp_timer, DURE_TEST(equal_deadlines_come_in_start_order),
           DURE_TEST(any_sequence_keeps_the_order), DURE_TEST(without_memory_nothing_is_entered));
