/* SPDX-License-Identifier: MIT
 *
 * The threads of one core for work that may hang, such as a look-up of a name. They are apart from
 * the job threads, so that no job waits behind such work, and nobody waits for them: a task that is
 * cancelled while it runs is left behind, and so is its thread when the core ends.
 *
 * What must survive a change: a thread touches the core and the event under the mutex only, and
 * only while the task has its event; what the task's function touches belongs to the task.
 */
#ifndef DURE_IOCP_APART_H
#define DURE_IOCP_APART_H

#include "iocp/event.h"

typedef struct dure_iocp_apart dure_iocp_apart;

/* One piece of work; see dure_iocp_job_apart for what it may touch. */
typedef struct dure_iocp_task {
    dure_iocp_job_fn fn;
    dure_iocp_job_fn release;
    void *ctx;

    /* under the mutex */
    dure_iocp_event *event; /* NULL: left behind */
    dure_list node;
} dure_iocp_task;

/* A task is done; called on its thread, under the mutex. */
typedef void (*dure_iocp_apart_done_fn)(void *ctx, dure_iocp_event *event);

/* Fails: NO_MEMORY. Ends with dure_iocp_task_run or dure_iocp_task_drop. Thread: any. */
DURE_CHECKED dure_err dure_iocp_task_create(dure_iocp_job_fn fn, dure_iocp_job_fn release,
                                            void *ctx, dure_iocp_task **out_task);

/* Runs the function, here; then lets go of what it had. Thread: any. */
void dure_iocp_task_run(dure_iocp_task *task);

/* Lets go of it without having run. Thread: any. */
void dure_iocp_task_drop(dure_iocp_task *task);

/* Frees the task alone: its creator keeps what it was to have. Thread: any. */
void dure_iocp_task_forget(dure_iocp_task *task);

/* Fails: NO_MEMORY. No thread runs yet. Thread: owner. */
DURE_CHECKED dure_err dure_iocp_apart_create(uint32_t threads_max, dure_iocp_apart_done_fn on_done,
                                             void *ctx, dure_iocp_apart **out_apart);

/*
 * Joins the threads that are idle and leaves the others to themselves: they free what is theirs
 * when their work ends. No task may have its event any more. NULL is fine. Thread: owner.
 */
void dure_iocp_apart_destroy(dure_iocp_apart *apart);

/*
 * Queues a task for an event.
 * Takes: task, on OK only.
 * Fails: NO_MEMORY, SYSTEM when there is no thread yet and none can be started.
 * Thread: owner.
 */
DURE_CHECKED dure_err dure_iocp_apart_push(dure_iocp_apart *apart, dure_iocp_task *task,
                                           dure_iocp_event *event);

/* Parts an event from its task, begun or not; false when on_done was called. Thread: owner. */
bool dure_iocp_apart_leave(dure_iocp_apart *apart, dure_iocp_event *event);

#endif
