/* SPDX-License-Identifier: MIT
 *
 * Threads, mutexes and condition variables, for base/, iocp/, node/ and the programs only:
 * every other room lives on one worker and has no use for them.
 */
#ifndef DURE_BASE_THREAD_H
#define DURE_BASE_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

typedef struct dure_thread dure_thread;
typedef struct dure_mutex dure_mutex;
typedef struct dure_cond dure_cond;
typedef void (*dure_thread_fn)(void *ctx);

/*
 * Starts a thread that runs fn(ctx). name is for debuggers, 15 characters count. Signals that are
 * sent to the process do not reach it: they are for the threads that want them.
 * Fails: NO_MEMORY, SYSTEM.
 * Thread: any.
 */
DURE_CHECKED dure_err dure_thread_create(const char *name, dure_thread_fn fn, void *ctx,
                                         dure_thread **out_thread);

/*
 * Waits for the end of the thread and frees it; NULL is fine.
 * Thread: any but the thread itself.
 */
void dure_thread_join(dure_thread *thread);

/*
 * Lets go of a thread that nobody will join; it frees what is its own when it ends. NULL is fine.
 * Thread: any.
 */
void dure_thread_detach(dure_thread *thread);

/*
 * A number for the calling thread, never 0, not given twice while the process lives.
 * Thread: any.
 */
uint64_t dure_thread_self(void);

/*
 * A mutex; NULL when there is no memory. It is not recursive, destroy accepts NULL, and unlock is
 * for the thread that locked.
 * Thread: any.
 */
dure_mutex *dure_mutex_create(void);
void dure_mutex_destroy(dure_mutex *mutex);
void dure_mutex_lock(dure_mutex *mutex);
void dure_mutex_unlock(dure_mutex *mutex);

/*
 * A condition; NULL when there is no memory. Destroy accepts NULL. A wait gives the mutex, which
 * the caller holds, away and takes it again; it may return without a signal, so callers look again.
 * Thread: any.
 */
dure_cond *dure_cond_create(void);
void dure_cond_destroy(dure_cond *cond);
void dure_cond_wait(dure_cond *cond, dure_mutex *mutex);
/* False when timeout_ms passed without a signal. */
bool dure_cond_wait_ms(dure_cond *cond, dure_mutex *mutex, uint32_t timeout_ms);
void dure_cond_signal(dure_cond *cond);
void dure_cond_broadcast(dure_cond *cond);

#endif
