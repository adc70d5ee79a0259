/* SPDX-License-Identifier: MIT
 *
 * One queue, one mutex, some threads; the last thread that was left behind frees it all.
 */
#include "iocp/apart.h"

#include "base/assert.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/thread.h"

#define APART_THREADS_MAX 64u

/* _backend_index of the event, under the mutex */
enum { APART_WAITING = 1, APART_DONE = 2 };

typedef struct apart_worker {
    dure_iocp_apart *apart;
    dure_thread *thread;
    dure_list node; /* in apart->workers, while it is to be joined */

    /* under the mutex */
    bool is_busy; /* in a task's function */
    bool is_left; /* nobody joins it */
} apart_worker;

struct dure_iocp_apart {
    /* set before start */
    dure_iocp_apart_done_fn on_done;
    void *ctx;
    uint32_t threads_max;
    dure_mutex *mutex;
    dure_cond *cond;

    /* owner */
    dure_list workers;
    uint32_t worker_count;

    /* under the mutex */
    dure_list queue;
    uint32_t queued_count;
    uint32_t idle_count;
    uint32_t holds; /* the owner, and each thread that was left behind */
    bool is_stopping;
};

/* ---- tasks ---- */

dure_err dure_iocp_task_create(dure_iocp_job_fn fn, dure_iocp_job_fn release, void *ctx,
                               dure_iocp_task **out_task)
{
    dure_iocp_task *task = dure_mem_alloc(sizeof *task);
    if (task == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    task->fn = fn;
    task->release = release;
    task->ctx = ctx;
    dure_list_init(&task->node);
    *out_task = task;
    return DURE_OK;
}

void dure_iocp_task_run(dure_iocp_task *task)
{
    task->fn(task->ctx);
    dure_iocp_task_drop(task);
}

void dure_iocp_task_drop(dure_iocp_task *task)
{
    task->release(task->ctx);
    dure_mem_free(task);
}

void dure_iocp_task_forget(dure_iocp_task *task)
{
    dure_mem_free(task);
}

/* ---- the end ---- */

static void apart_free(dure_iocp_apart *apart)
{
    dure_cond_destroy(apart->cond);
    dure_mutex_destroy(apart->mutex);
    dure_mem_free(apart);
}

/* Lets go of one hold; the mutex is held, and is not any more afterwards. */
static void apart_release(dure_iocp_apart *apart)
{
    DURE_ASSERT(apart->holds > 0);
    apart->holds--;
    bool is_last = apart->holds == 0;
    dure_mutex_unlock(apart->mutex);
    if (is_last) {
        apart_free(apart);
    }
}

dure_err dure_iocp_apart_create(uint32_t threads_max, dure_iocp_apart_done_fn on_done, void *ctx,
                                dure_iocp_apart **out_apart)
{
    dure_iocp_apart *apart = dure_mem_alloc(sizeof *apart);
    if (apart == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    apart->on_done = on_done;
    apart->ctx = ctx;
    apart->threads_max = threads_max < 1                   ? 1
                         : threads_max > APART_THREADS_MAX ? APART_THREADS_MAX
                                                           : threads_max;
    apart->holds = 1;
    dure_list_init(&apart->workers);
    dure_list_init(&apart->queue);
    apart->mutex = dure_mutex_create();
    apart->cond = dure_cond_create();
    if (apart->mutex == NULL || apart->cond == NULL) {
        apart_free(apart);
        return DURE_ERR_NO_MEMORY;
    }
    *out_apart = apart;
    return DURE_OK;
}

/* Parts with the threads that are in a task's function. */
static void apart_leave_busy(dure_iocp_apart *apart)
{
    dure_list *next = NULL;
    for (dure_list *at = apart->workers.next; at != &apart->workers; at = next) {
        apart_worker *worker = DURE_CONTAINER_OF(at, apart_worker, node);
        next = at->next;
        if (worker->is_busy) {
            dure_list_remove(&worker->node);
            dure_thread_detach(worker->thread);
            worker->is_left = true;
            apart->holds++;
        }
    }
}

void dure_iocp_apart_destroy(dure_iocp_apart *apart)
{
    if (apart == NULL) {
        return;
    }
    dure_mutex_lock(apart->mutex);
    DURE_ASSERT(dure_list_is_empty(&apart->queue));
    apart->is_stopping = true;
    apart_leave_busy(apart);
    dure_cond_broadcast(apart->cond);
    dure_mutex_unlock(apart->mutex);
    dure_list *node = NULL;
    while ((node = dure_list_pop_front(&apart->workers)) != NULL) {
        apart_worker *worker = DURE_CONTAINER_OF(node, apart_worker, node);
        dure_thread_join(worker->thread);
        dure_mem_free(worker);
    }
    dure_mutex_lock(apart->mutex);
    apart_release(apart);
}

/* ---- threads ---- */

/* The next task, or NULL when the thread is to end. The mutex is held. */
static dure_iocp_task *apart_next(dure_iocp_apart *apart)
{
    while (dure_list_is_empty(&apart->queue) && !apart->is_stopping) {
        apart->idle_count++;
        dure_cond_wait(apart->cond, apart->mutex);
        apart->idle_count--;
    }
    dure_list *node = dure_list_pop_front(&apart->queue);
    if (node == NULL) {
        return NULL;
    }
    apart->queued_count--;
    return DURE_CONTAINER_OF(node, dure_iocp_task, node);
}

/* The mutex is held before and after. */
static void apart_run(apart_worker *worker, dure_iocp_task *task)
{
    dure_iocp_apart *apart = worker->apart;
    worker->is_busy = true;
    dure_mutex_unlock(apart->mutex);
    task->fn(task->ctx);
    dure_mutex_lock(apart->mutex);
    worker->is_busy = false;
    if (task->event != NULL) {
        DURE_ASSERT(!worker->is_left);
        task->event->_backend_index = APART_DONE;
        apart->on_done(apart->ctx, task->event);
    }
    dure_iocp_task_drop(task);
}

static void apart_main(void *ctx)
{
    apart_worker *worker = ctx;
    dure_iocp_apart *apart = worker->apart;
    dure_iocp_task *task = NULL;
    dure_mutex_lock(apart->mutex);
    while ((task = apart_next(apart)) != NULL) {
        apart_run(worker, task);
    }
    if (worker->is_left) {
        dure_mem_free(worker);
        apart_release(apart);
    } else {
        dure_mutex_unlock(apart->mutex);
    }
}

static dure_err apart_start_thread(dure_iocp_apart *apart)
{
    apart_worker *worker = dure_mem_alloc(sizeof *worker);
    if (worker == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    worker->apart = apart;
    dure_list_init(&worker->node);
    dure_err err = dure_thread_create("dure-apart", apart_main, worker, &worker->thread);
    if (err != DURE_OK) {
        dure_mem_free(worker);
        return err;
    }
    dure_list_push_back(&apart->workers, &worker->node);
    apart->worker_count++;
    return DURE_OK;
}

/* Starts a thread when more tasks wait than threads are idle. */
static dure_err apart_grow(dure_iocp_apart *apart)
{
    dure_mutex_lock(apart->mutex);
    bool is_enough = apart->queued_count < apart->idle_count;
    dure_mutex_unlock(apart->mutex);
    if (is_enough || apart->worker_count == apart->threads_max) {
        return DURE_OK;
    }
    dure_err err = apart_start_thread(apart);
    return apart->worker_count > 0 ? DURE_OK : err;
}

dure_err dure_iocp_apart_push(dure_iocp_apart *apart, dure_iocp_task *task, dure_iocp_event *event)
{
    dure_err err = apart_grow(apart);
    if (err != DURE_OK) {
        return err;
    }
    dure_mutex_lock(apart->mutex);
    task->event = event;
    event->_backend_index = APART_WAITING;
    dure_list_push_back(&apart->queue, &task->node);
    apart->queued_count++;
    dure_cond_signal(apart->cond);
    dure_mutex_unlock(apart->mutex);
    return DURE_OK;
}

bool dure_iocp_apart_leave(dure_iocp_apart *apart, dure_iocp_event *event)
{
    dure_iocp_task *unbegun = NULL;
    dure_mutex_lock(apart->mutex);
    bool is_waiting = event->_backend_index == APART_WAITING;
    if (is_waiting) {
        dure_iocp_task *task = event->_job_ctx;
        DURE_ASSERT(task->event == event);
        task->event = NULL;
        event->_backend_index = APART_DONE;
        if (!dure_list_is_empty(&task->node)) {
            dure_list_remove(&task->node);
            apart->queued_count--;
            unbegun = task;
        }
    }
    dure_mutex_unlock(apart->mutex);
    if (unbegun != NULL) {
        dure_iocp_task_drop(unbegun);
    }
    return is_waiting;
}
