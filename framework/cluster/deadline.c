/* SPDX-License-Identifier: MIT
 *
 * A binary heap of deadlines and the one timer that serves it. The timer is never moved later: when
 * the earliest deadline is taken back the timer fires for nothing and is set anew, which is rarer
 * and cheaper than cancelling it for every call that ends.
 */
#include "cluster/deadline.h"

#include "base/mem.h"

static void deadlines_dispatch(dure_iocp_object *object, dure_iocp_event *event);

static void deadlines_destroy(dure_iocp_object *object)
{
    (void)object; /* it lives in its owner's memory */
}

static const dure_iocp_object_ops deadlines_ops = {deadlines_dispatch, deadlines_destroy};

static void heap_put(dure_deadlines *deadlines, uint32_t place, dure_deadline *deadline)
{
    deadlines->_heap[place] = deadline;
    deadline->_place = place;
}

static void heap_up(dure_deadlines *deadlines, dure_deadline *deadline)
{
    uint32_t place = deadline->_place;
    while (place > 1 && deadlines->_heap[place / 2]->_due_ms > deadline->_due_ms) {
        heap_put(deadlines, place, deadlines->_heap[place / 2]);
        place /= 2;
    }
    heap_put(deadlines, place, deadline);
}

static void heap_down(dure_deadlines *deadlines, dure_deadline *deadline)
{
    uint32_t place = deadline->_place;
    for (;;) {
        uint32_t child = place * 2;
        if (child > deadlines->_count) {
            break;
        }
        if (child < deadlines->_count &&
            deadlines->_heap[child + 1]->_due_ms < deadlines->_heap[child]->_due_ms) {
            child++;
        }
        if (deadlines->_heap[child]->_due_ms >= deadline->_due_ms) {
            break;
        }
        heap_put(deadlines, place, deadlines->_heap[child]);
        place = child;
    }
    heap_put(deadlines, place, deadline);
}

static dure_err heap_make_room(dure_deadlines *deadlines)
{
    if (deadlines->_count + 1 < deadlines->_capacity) {
        return DURE_OK;
    }
    uint32_t capacity = deadlines->_capacity == 0 ? 64 : deadlines->_capacity * 2;
    dure_deadline **heap =
        dure_mem_realloc(deadlines->_heap, (size_t)capacity * sizeof(dure_deadline *));
    if (heap == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    deadlines->_heap = heap;
    deadlines->_capacity = capacity;
    return DURE_OK;
}

/* Lets the timer fire at the earliest deadline, or before it. */
static dure_err deadlines_arm(dure_deadlines *deadlines)
{
    if (deadlines->_count == 0 || deadlines->_is_closing || deadlines->_is_running) {
        return DURE_OK;
    }
    const uint64_t due_ms = deadlines->_heap[1]->_due_ms;
    if (dure_iocp_event_is_active(&deadlines->_timer)) {
        if (due_ms < deadlines->_armed_ms) {
            /* its completion sets it anew */
            deadlines->_armed_ms = due_ms;
            dure_iocp_cancel(&deadlines->_timer);
        }
        return DURE_OK;
    }
    const uint64_t now_ms = dure_iocp_core_now_ms(deadlines->_object.core);
    const uint64_t delay_ms = due_ms > now_ms ? due_ms - now_ms : 0;
    const dure_err err =
        dure_iocp_timer(deadlines->_object.core, &deadlines->_timer, (uint32_t)delay_ms);
    if (err == DURE_OK) {
        deadlines->_armed_ms = due_ms;
    }
    return err;
}

static void deadlines_run_due(dure_deadlines *deadlines)
{
    const uint64_t now_ms = dure_iocp_core_now_ms(deadlines->_object.core);
    while (deadlines->_count > 0 && deadlines->_heap[1]->_due_ms <= now_ms &&
           !deadlines->_is_closing) {
        dure_deadline *deadline = deadlines->_heap[1];
        dure_deadline_clear(deadlines, deadline);
        deadline->fn(deadline);
    }
}

static void deadlines_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    dure_deadlines *deadlines = DURE_CONTAINER_OF(object, dure_deadlines, _object);
    DURE_ASSERT(event == &deadlines->_timer);
    deadlines->_is_running = true;
    deadlines_run_due(deadlines);
    deadlines->_is_running = false;
    if (deadlines->_is_closing) {
        if (deadlines->_on_closed != NULL) {
            void (*on_closed)(void *ctx) = deadlines->_on_closed;
            deadlines->_on_closed = NULL;
            on_closed(deadlines->_ctx);
        }
        return;
    }
    /* A timer that cannot be set now is set by the next deadline: heartbeats bring one soon. */
    const dure_err err = deadlines_arm(deadlines);
    if (err != DURE_OK) {
        dure_log_write(dure_iocp_core_log(object->core), DURE_LOG_ERROR, "cluster",
                       "DEADLINE_TIMER_FAILED", "cause=%s", dure_err_name(err));
    }
}

void dure_deadlines_init(dure_deadlines *deadlines, dure_iocp_core *core)
{
    dure_iocp_object_init(&deadlines->_object, core, &deadlines_ops);
    dure_iocp_event_init(&deadlines->_timer, &deadlines->_object, DURE_IOCP_TIMER);
    deadlines->_heap = NULL;
    deadlines->_count = 0;
    deadlines->_capacity = 0;
    deadlines->_armed_ms = 0;
    deadlines->_is_running = false;
    deadlines->_is_closing = false;
    deadlines->_on_closed = NULL;
    deadlines->_ctx = NULL;
}

void dure_deadlines_close(dure_deadlines *deadlines, void (*on_closed)(void *ctx), void *ctx)
{
    DURE_ASSERT(!deadlines->_is_closing);
    deadlines->_is_closing = true;
    while (deadlines->_count > 0) {
        dure_deadline_clear(deadlines, deadlines->_heap[deadlines->_count]);
    }
    if (!dure_iocp_event_is_active(&deadlines->_timer)) {
        on_closed(ctx);
        return;
    }
    deadlines->_on_closed = on_closed;
    deadlines->_ctx = ctx;
    dure_iocp_cancel(&deadlines->_timer);
}

void dure_deadlines_fini(dure_deadlines *deadlines)
{
    DURE_ASSERT(!dure_iocp_event_is_active(&deadlines->_timer));
    dure_mem_free(deadlines->_heap);
    deadlines->_heap = NULL;
    deadlines->_count = 0;
    deadlines->_capacity = 0;
}

void dure_deadline_init(dure_deadline *deadline, void (*fn)(dure_deadline *deadline))
{
    deadline->fn = fn;
    deadline->_due_ms = 0;
    deadline->_place = 0;
}

dure_err dure_deadline_set(dure_deadlines *deadlines, dure_deadline *deadline, uint32_t delay_ms)
{
    if (deadlines->_is_closing) {
        return DURE_OK;
    }
    const uint64_t due_ms = dure_iocp_core_now_ms(deadlines->_object.core) + delay_ms;
    if (dure_deadline_is_set(deadline)) {
        dure_deadline_clear(deadlines, deadline);
    }
    dure_err err = heap_make_room(deadlines);
    if (err != DURE_OK) {
        return err;
    }
    deadline->_due_ms = due_ms;
    deadlines->_count++;
    heap_put(deadlines, deadlines->_count, deadline);
    heap_up(deadlines, deadline);
    err = deadlines_arm(deadlines);
    if (err != DURE_OK) {
        dure_deadline_clear(deadlines, deadline);
    }
    return err;
}

void dure_deadline_clear(dure_deadlines *deadlines, dure_deadline *deadline)
{
    if (deadline->_place == 0) {
        return;
    }
    const uint32_t place = deadline->_place;
    DURE_ASSERT(place <= deadlines->_count);
    DURE_ASSERT(deadlines->_heap[place] == deadline);
    dure_deadline *last = deadlines->_heap[deadlines->_count];
    deadlines->_count--;
    deadline->_place = 0;
    if (last != deadline) {
        heap_put(deadlines, place, last);
        heap_up(deadlines, last);
        heap_down(deadlines, last);
    }
}

uint32_t dure_deadline_left_ms(const dure_deadlines *deadlines, const dure_deadline *deadline)
{
    const uint64_t now_ms = dure_iocp_core_now_ms(deadlines->_object.core);
    if (deadline->_place == 0 || deadline->_due_ms <= now_ms) {
        return 0;
    }
    const uint64_t left_ms = deadline->_due_ms - now_ms;
    return left_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)left_ms;
}

bool dure_deadlines_validate(const dure_deadlines *deadlines)
{
    for (uint32_t place = 1; place <= deadlines->_count; place++) {
        if (deadlines->_heap[place]->_place != place) {
            return false;
        }
        if (place > 1 && deadlines->_heap[place / 2]->_due_ms > deadlines->_heap[place]->_due_ms) {
            return false;
        }
    }
    return true;
}
