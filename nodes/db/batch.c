/* SPDX-License-Identifier: MIT
 *
 * Two lists: what waits, and what the job works on. Only one job runs at a time, so the store has
 * one user.
 */
#include "nodes/db/batch.h"

#include <inttypes.h>

#include "base/assert.h"
#include "base/mem.h"

/* Between two lines of the log about requests that the store refused. */
#define REFUSALS_TOLD_NS UINT64_C(10000000000)

typedef struct op_list {
    db_op *first;
    db_op *last;
    uint32_t count;
} op_list;

struct db_batch {
    dure_node *node;
    db_store *store;
    uint32_t ops_max;
    op_list waiting; /* worker */
    op_list running; /* the job's while is_running */
    bool is_running;
    dure_err outcome; /* of the transaction as a whole */
    uint64_t refused; /* requests, since the log was told of such */
    uint64_t tell_ns; /* not before */
};

static void op_list_push(op_list *list, db_op *op)
{
    op->_next = NULL;
    if (list->last != NULL) {
        list->last->_next = op;
    } else {
        list->first = op;
    }
    list->last = op;
    list->count++;
}

static db_op *op_list_pop(op_list *list)
{
    db_op *op = list->first;
    if (op != NULL) {
        list->first = op->_next;
        list->last = list->first != NULL ? list->last : NULL;
        list->count--;
    }
    return op;
}

dure_err db_batch_create(dure_node *node, db_store *store, uint32_t ops_max, db_batch **out_batch)
{
    db_batch *batch = dure_mem_alloc(sizeof *batch);
    if (batch == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    batch->node = node;
    batch->store = store;
    batch->ops_max = ops_max;
    *out_batch = batch;
    return DURE_OK;
}

void db_batch_destroy(db_batch *batch)
{
    if (batch != NULL) {
        DURE_ASSERT(!batch->is_running && batch->waiting.count == 0);
        dure_mem_free(batch);
    }
}

/* ---- on the job thread ---- */

static bool is_wanted(const db_batch *batch, const db_op *op)
{
    return !atomic_load(&op->_is_given_up) &&
           dure_iocp_core_exact_ns(dure_node_core(batch->node)) < op->_due_ns;
}

static dure_err batch_apply(db_batch *batch, db_op *op)
{
    if (!is_wanted(batch, op)) {
        op->_is_skipped = true;
        return DURE_OK;
    }
    dure_err err = db_store_savepoint(batch->store);
    if (err != DURE_OK) {
        return err;
    }
    op->status = op->apply(op, batch->store);
    if (!db_store_is_in_transaction(batch->store)) {
        return DURE_ERR_STORAGE; /* the neighbours' work went with it */
    }
    return db_store_end_savepoint(batch->store, op->status == DURE_OK);
}

static bool batch_has_writes(const db_batch *batch)
{
    for (const db_op *op = batch->running.first; op != NULL; op = op->_next) {
        if (!op->is_reading) {
            return true;
        }
    }
    return false;
}

/* Begins for all, or for those that read, while another program holds the lock for writing. */
static dure_err batch_begin(const db_batch *batch, bool *out_can_write)
{
    *out_can_write = batch_has_writes(batch) && db_store_begin(batch->store) == DURE_OK;
    return *out_can_write ? DURE_OK : db_store_begin_reading(batch->store);
}

static void batch_work(void *ctx)
{
    db_batch *batch = ctx;
    bool can_write = false;
    dure_err err = batch_begin(batch, &can_write);
    for (db_op *op = batch->running.first; op != NULL && err == DURE_OK; op = op->_next) {
        if (op->is_reading || can_write) {
            err = batch_apply(batch, op);
        } else {
            op->status = DURE_ERR_STORAGE;
        }
    }
    /* Also after a failure: commit rolls back what cannot be committed. */
    if (err == DURE_OK) {
        err = db_store_commit(batch->store);
    } else {
        db_store_rollback(batch->store);
    }
    batch->outcome = err;
}

/* ---- on the worker ---- */

static void op_answer(db_batch *batch, db_op *op)
{
    dure_request_on_cancel(op->request, NULL, NULL);
    if (op->_is_skipped) {
        dure_request_not_begun(op->request);
    } else if (db_store_is_broken(batch->store)) {
        dure_request_fail(op->request, DURE_ERR_OUTCOME_UNKNOWN, "the storage broke: %s",
                          db_store_error(batch->store));
    } else if (batch->outcome != DURE_OK || op->status == DURE_ERR_STORAGE) {
        dure_request_fail(op->request, DURE_ERR_STORAGE, "nothing was written: %s",
                          db_store_error(batch->store));
        batch->refused++;
    } else {
        op->reply(op);
    }
    if (op->fini != NULL) {
        op->fini(op);
    }
    dure_mem_free(op);
}

/* Of a full disk whoever runs the node must hear, and not a thousand times a second. */
static void batch_tell_refused(db_batch *batch)
{
    const uint64_t now_ns = dure_iocp_core_now_ns(dure_node_core(batch->node));
    char quoted[512];
    if (batch->refused == 0 || now_ns < batch->tell_ns) {
        return;
    }
    const char *why = db_store_error(batch->store);
    dure_log_write(dure_node_log(batch->node), DURE_LOG_ERROR, "db", "STORE_FAILED",
                   "requests=%" PRIu64 " why=%s", batch->refused,
                   dure_log_quote(why, strlen(why), quoted, sizeof quoted));
    batch->refused = 0;
    batch->tell_ns = now_ns + REFUSALS_TOLD_NS;
}

static void batch_start(db_batch *batch);

static void batch_done(dure_node *node, void *ctx)
{
    db_batch *batch = ctx;
    if (db_store_is_broken(batch->store)) {
        /* What is on disk is not known: nothing is answered, the node ends, callers see
         * OUTCOME_UNKNOWN. */
        dure_node_fail(node, DURE_ERR_STORAGE, db_store_error(batch->store));
    }
    db_op *op;
    while ((op = op_list_pop(&batch->running)) != NULL) {
        op_answer(batch, op);
    }
    batch_tell_refused(batch);
    batch->is_running = false;
    batch_start(batch);
}

static void batch_refuse_waiting(db_batch *batch, dure_err err, const char *text)
{
    db_op *op;
    while ((op = op_list_pop(&batch->waiting)) != NULL) {
        dure_request_on_cancel(op->request, NULL, NULL);
        dure_request_fail(op->request, err, "%s", text);
        if (op->fini != NULL) {
            op->fini(op);
        }
        dure_mem_free(op);
    }
}

static void batch_start(db_batch *batch)
{
    if (batch->is_running || batch->waiting.count == 0) {
        return;
    }
    if (db_store_is_broken(batch->store)) {
        /* Nothing is tried on a disk that has lost something: the node is on its way to its end. */
        batch_refuse_waiting(batch, DURE_ERR_UNAVAILABLE, "the storage broke, nothing was begun");
        return;
    }
    while (batch->waiting.count > 0 && batch->running.count < batch->ops_max) {
        op_list_push(&batch->running, op_list_pop(&batch->waiting));
    }
    batch->is_running = true;
    if (dure_node_job(batch->node, batch_work, batch_done, batch) != DURE_OK) {
        batch->is_running = false;
        db_op *op;
        while ((op = op_list_pop(&batch->running)) != NULL) {
            op_list_push(&batch->waiting, op);
        }
        batch_refuse_waiting(batch, DURE_ERR_OVERLOADED, "out of memory");
    }
}

/* Its request is answered by the batch all the same. */
static void op_given_up(dure_request *request, void *ctx)
{
    (void)request;
    atomic_store(&((db_op *)ctx)->_is_given_up, true);
}

void db_batch_push(db_batch *batch, db_op *op)
{
    const uint64_t left_ns = (uint64_t)dure_request_left_ms(op->request) * 1000000u;
    dure_request_hold(op->request);
    op->_due_ns = dure_iocp_core_exact_ns(dure_node_core(batch->node)) + left_ns;
    op->_is_skipped = false;
    atomic_store(&op->_is_given_up, dure_request_is_cancelled(op->request));
    if (!dure_request_is_cancelled(op->request)) {
        dure_request_on_cancel(op->request, op_given_up, op);
    }
    op_list_push(&batch->waiting, op);
    batch_start(batch);
}
