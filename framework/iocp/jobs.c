/* SPDX-License-Identifier: MIT
 *
 * One queue, one mutex, a few threads.
 */
#include "iocp/jobs.h"

#include "base/assert.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/thread.h"
#include "iocp/core.h"

/* _backend_index of a job event, under the mutex */
enum { JOB_QUEUED = 1, JOB_BEGUN = 2 };

struct dure_iocp_jobs {
    /* set before start */
    dure_iocp_jobs_done_fn on_done;
    void *ctx;
    uint32_t threads_max;
    dure_mutex *mutex;
    dure_cond *cond;

    /* owner */
    dure_thread *threads[DURE_IOCP_JOB_THREADS_MAX];
    uint32_t thread_count;

    /* under the mutex */
    dure_list queue;
    uint32_t queued_count;
    uint32_t idle_count;
    bool is_stopping;
};

dure_err dure_iocp_jobs_create(uint32_t threads_max, dure_iocp_jobs_done_fn on_done, void *ctx,
                               dure_iocp_jobs **out_jobs)
{
    DURE_ASSERT(threads_max >= 1);
    DURE_ASSERT(threads_max <= DURE_IOCP_JOB_THREADS_MAX);
    dure_iocp_jobs *jobs = dure_mem_alloc(sizeof *jobs);
    if (jobs == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_list_init(&jobs->queue);
    jobs->on_done = on_done;
    jobs->ctx = ctx;
    jobs->threads_max = threads_max;
    jobs->mutex = dure_mutex_create();
    jobs->cond = dure_cond_create();
    if (jobs->mutex == NULL || jobs->cond == NULL) {
        dure_iocp_jobs_destroy(jobs);
        return DURE_ERR_NO_MEMORY;
    }
    *out_jobs = jobs;
    return DURE_OK;
}

void dure_iocp_jobs_destroy(dure_iocp_jobs *jobs)
{
    if (jobs == NULL) {
        return;
    }
    DURE_ASSERT(dure_list_is_empty(&jobs->queue));
    if (jobs->thread_count > 0) {
        dure_mutex_lock(jobs->mutex);
        jobs->is_stopping = true;
        dure_cond_broadcast(jobs->cond);
        dure_mutex_unlock(jobs->mutex);
    }
    for (uint32_t i = 0; i < jobs->thread_count; i++) {
        dure_thread_join(jobs->threads[i]);
    }
    dure_cond_destroy(jobs->cond);
    dure_mutex_destroy(jobs->mutex);
    dure_mem_free(jobs);
}

/* The next job, or NULL when the threads are to end. */
static dure_iocp_event *jobs_next(dure_iocp_jobs *jobs)
{
    dure_iocp_event *event = NULL;
    dure_mutex_lock(jobs->mutex);
    while (dure_list_is_empty(&jobs->queue) && !jobs->is_stopping) {
        jobs->idle_count++;
        dure_cond_wait(jobs->cond, jobs->mutex);
        jobs->idle_count--;
    }
    dure_list *node = dure_list_pop_front(&jobs->queue);
    if (node != NULL) {
        jobs->queued_count--;
        event = DURE_CONTAINER_OF(node, dure_iocp_event, _node);
        DURE_ASSERT(event->_backend_index == JOB_QUEUED);
        event->_backend_index = JOB_BEGUN;
    }
    dure_mutex_unlock(jobs->mutex);
    return event;
}

static void jobs_main(void *ctx)
{
    dure_iocp_jobs *jobs = ctx;
    dure_iocp_event *event = NULL;
    while ((event = jobs_next(jobs)) != NULL) {
        event->_job_fn(event->_job_ctx);
        jobs->on_done(jobs->ctx, event);
    }
}

/* Starts a thread when more jobs wait than threads are idle. */
static dure_err jobs_grow(dure_iocp_jobs *jobs)
{
    dure_mutex_lock(jobs->mutex);
    bool is_enough = jobs->queued_count < jobs->idle_count;
    dure_mutex_unlock(jobs->mutex);
    if (is_enough || jobs->thread_count == jobs->threads_max) {
        return DURE_OK;
    }
    dure_err err =
        dure_thread_create("dure-job", jobs_main, jobs, &jobs->threads[jobs->thread_count]);
    if (err == DURE_OK) {
        jobs->thread_count++;
    }
    /* Fewer threads are slower, none would be for ever. */
    return jobs->thread_count > 0 ? DURE_OK : err;
}

dure_err dure_iocp_jobs_push(dure_iocp_jobs *jobs, dure_iocp_event *event)
{
    dure_err err = jobs_grow(jobs);
    if (err != DURE_OK) {
        return err;
    }
    DURE_ASSERT(event->kind == DURE_IOCP_JOB);
    DURE_ASSERT(dure_list_is_empty(&event->_node));
    DURE_ASSERT(jobs->thread_count > 0);
    dure_mutex_lock(jobs->mutex);
    event->_backend_index = JOB_QUEUED;
    dure_list_push_back(&jobs->queue, &event->_node);
    jobs->queued_count++;
    dure_cond_signal(jobs->cond);
    dure_mutex_unlock(jobs->mutex);
    return DURE_OK;
}

bool dure_iocp_jobs_take_back(dure_iocp_jobs *jobs, dure_iocp_event *event)
{
    dure_mutex_lock(jobs->mutex);
    bool is_queued = event->_backend_index == JOB_QUEUED;
    if (is_queued) {
        dure_list_remove(&event->_node);
        jobs->queued_count--;
        event->_backend_index = JOB_BEGUN;
    }
    dure_mutex_unlock(jobs->mutex);
    return is_queued;
}
