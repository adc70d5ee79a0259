/* SPDX-License-Identifier: MIT
 *
 * Moments at which something must have happened: the deadlines of calls and requests, handshakes,
 * heartbeats, redials. All of one node stand in one heap behind one timer of the core, because a
 * timer of the core for each call would cost more than the call.
 *
 * A dure_deadline lives inside what waits for it. Everything here is called on the owner thread.
 */
#ifndef DURE_CLUSTER_DEADLINE_H
#define DURE_CLUSTER_DEADLINE_H

#include <stdbool.h>

#include "iocp/core.h"

typedef struct dure_deadline dure_deadline;
typedef struct dure_deadlines dure_deadlines;

struct dure_deadline {
    void (*fn)(dure_deadline *deadline); /* it is due; it stands in the heap no more */
    uint64_t _due_ms;
    uint32_t _place; /* in the heap, from 1; 0: it is not set */
};

/* Made in the caller's memory; must not move once it is set up. */
struct dure_deadlines {
    dure_iocp_object _object;
    dure_iocp_event _timer;
    dure_deadline **_heap; /* [1.._count]; the earliest first, each before its two children */
    uint32_t _count;
    uint32_t _capacity;
    uint64_t _armed_ms; /* when the timer fires, while it is active */
    bool _is_running;   /* what is due is being run; the timer is set afterwards, once */
    bool _is_closing;
    void (*_on_closed)(void *ctx);
    void *_ctx;
};

/* Allocates and starts nothing. */
void dure_deadlines_init(dure_deadlines *deadlines, dure_iocp_core *core);

/*
 * Ends it: nothing is due any more, later sets do nothing.
 * Calls: on_closed, once: later where the timer was running, else now.
 */
void dure_deadlines_close(dure_deadlines *deadlines, void (*on_closed)(void *ctx), void *ctx);

/* After on_closed, or without a close when nothing was ever set. */
void dure_deadlines_fini(dure_deadlines *deadlines);

/* A deadline that is not set. */
void dure_deadline_init(dure_deadline *deadline, void (*fn)(dure_deadline *deadline));

/*
 * Sets it to delay_ms from now, or moves it there; fn runs then, once, never inside this call.
 * Fails: NO_MEMORY. It is not set then.
 */
DURE_CHECKED dure_err dure_deadline_set(dure_deadlines *deadlines, dure_deadline *deadline,
                                        uint32_t delay_ms);

/* Takes it back; nothing happens when it is not set. */
void dure_deadline_clear(dure_deadlines *deadlines, dure_deadline *deadline);

/* Whether it is armed. Thread: owner. */
static inline bool dure_deadline_is_set(const dure_deadline *deadline)
{
    return deadline->_place != 0;
}

/* Milliseconds until it is due, 0 when it is due already or not set. */
uint32_t dure_deadline_left_ms(const dure_deadlines *deadlines, const dure_deadline *deadline);

/* Whether the heap is one; for tests, after every step. */
bool dure_deadlines_validate(const dure_deadlines *deadlines);

#endif
