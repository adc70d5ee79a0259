/* SPDX-License-Identifier: MIT
 *
 * Blocking work and delays of a node. Jobs stand in line, so that a role's storage has one user at
 * a time.
 */
#include "base/assert.h"
#include "base/mem.h"
#include "node/node_impl.h"

typedef struct node_delay {
    dure_iocp_object object;
    dure_iocp_event timer;
    dure_list in_node;
    dure_node *node;
    dure_node_delay_fn fn;
    void *ctx;
} node_delay;

void node_work_init(dure_node *node)
{
    dure_list_init(&node->jobs);
    dure_list_init(&node->delays);
    dure_iocp_event_init(&node->job, &node->object, DURE_IOCP_JOB);
}

bool node_work_is_idle(const dure_node *node)
{
    return dure_list_is_empty(&node->jobs) && !dure_iocp_event_is_active(&node->job);
}

/* ---- jobs ---- */

static void job_run(void *ctx)
{
    node_job *job = ctx;
    job->work(job->ctx);
}

/* Begins the first job in line, if none is running. Fails: as dure_iocp_job, with the first ever.
 */
static dure_err node_next_job(dure_node *node)
{
    if (dure_list_is_empty(&node->jobs) || dure_iocp_event_is_active(&node->job)) {
        return DURE_OK;
    }
    node_job *job = DURE_CONTAINER_OF(node->jobs.next, node_job, in_line);
    return dure_iocp_job(node->object.core, &node->job, job_run, job);
}

static void node_on_job(dure_node *node)
{
    dure_list *first = dure_list_pop_front(&node->jobs);
    DURE_ASSERT(first != NULL);
    node_job *job = DURE_CONTAINER_OF(first, node_job, in_line);
    job->done(node, job->ctx);
    dure_mem_free(job);
    dure_err err = node_next_job(node);
    DURE_ASSERT(err == DURE_OK); /* the core has a job thread, so it takes every job */
}

dure_err dure_node_job(dure_node *node, void (*work)(void *ctx),
                       void (*done)(dure_node *node, void *ctx), void *ctx)
{
    node_job *job = dure_mem_alloc(sizeof *job);
    if (job == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    job->work = work;
    job->done = done;
    job->ctx = ctx;
    dure_list_init(&job->in_line);
    dure_list_push_back(&node->jobs, &job->in_line);
    dure_err err = node_next_job(node);
    if (err != DURE_OK) {
        DURE_ASSERT(node->jobs.next == &job->in_line); /* no job has run, so none is in line */
        dure_list_remove(&job->in_line);
        dure_mem_free(job);
    }
    return err;
}

bool node_work_dispatch(dure_node *node, dure_iocp_event *event)
{
    if (event != &node->job) {
        return false;
    }
    node_on_job(node);
    return true;
}

/* ---- delays ---- */

static void delay_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    node_delay *delay = DURE_CONTAINER_OF(object, node_delay, object);
    dure_node *node = delay->node;
    DURE_ASSERT(event == &delay->timer);
    DURE_ASSERT(node->state != NODE_ENDED); /* it waits for its delays */
    delay->fn(node, delay->ctx, event->status);
    dure_list_remove(&delay->in_node);
    dure_iocp_object_release(object);
    node_check_ended(node);
}

static void delay_destroy(dure_iocp_object *object)
{
    dure_mem_free(DURE_CONTAINER_OF(object, node_delay, object));
}

static const dure_iocp_object_ops delay_ops = {delay_dispatch, delay_destroy};

dure_err dure_node_after(dure_node *node, uint32_t ms, dure_node_delay_fn fn, void *ctx)
{
    if (node->state == NODE_CLOSING || node->state == NODE_ENDED) {
        return DURE_ERR_STATE;
    }
    node_delay *delay = dure_mem_alloc(sizeof *delay);
    if (delay == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_iocp_object_init(&delay->object, node->object.core, &delay_ops);
    dure_iocp_event_init(&delay->timer, &delay->object, DURE_IOCP_TIMER);
    delay->node = node;
    delay->fn = fn;
    delay->ctx = ctx;
    dure_list_init(&delay->in_node);
    dure_err err = dure_iocp_timer(node->object.core, &delay->timer, ms);
    if (err != DURE_OK) {
        dure_mem_free(delay);
        return err;
    }
    dure_list_push_back(&node->delays, &delay->in_node);
    return DURE_OK;
}

void node_work_cancel_delays(dure_node *node)
{
    for (dure_list *at = node->delays.next; at != &node->delays; at = at->next) {
        dure_iocp_cancel(&DURE_CONTAINER_OF(at, node_delay, in_node)->timer);
    }
}
