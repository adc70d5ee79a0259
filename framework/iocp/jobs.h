/* SPDX-License-Identifier: MIT
 *
 * The job threads of one core: work that may block, away from the worker. Threads start when jobs
 * wait and no thread is idle, up to a stated number. Jobs begin in the order in which they came.
 */
#ifndef DURE_IOCP_JOBS_H
#define DURE_IOCP_JOBS_H

#include "iocp/event.h"

typedef struct dure_iocp_jobs dure_iocp_jobs;

/* A job has run; called on the job's thread. */
typedef void (*dure_iocp_jobs_done_fn)(void *ctx, dure_iocp_event *event);

/*
 * Fails: NO_MEMORY. No thread runs yet.
 */
DURE_CHECKED dure_err dure_iocp_jobs_create(uint32_t threads_max, dure_iocp_jobs_done_fn on_done,
                                            void *ctx, dure_iocp_jobs **out_jobs);

/* Joins the threads; no job may be queued. NULL is fine. */
void dure_iocp_jobs_destroy(dure_iocp_jobs *jobs);

/*
 * Queues an event with its job function filled in.
 * Fails: NO_MEMORY, SYSTEM when there is no thread yet and none can be started.
 * Thread: owner.
 */
DURE_CHECKED dure_err dure_iocp_jobs_push(dure_iocp_jobs *jobs, dure_iocp_event *event);

/* Takes a job back that has not begun; false when it has. Thread: owner. */
bool dure_iocp_jobs_take_back(dure_iocp_jobs *jobs, dure_iocp_event *event);

#endif
