/* SPDX-License-Identifier: MIT
 *
 * Group commit. Requests that arrive while one commit is on its way to the disk wait, and share the
 * next one. Each is an operation with its parameters, its request and, afterwards, its result;
 * operations are run on the job thread, each in a savepoint, and answered on the worker once COMMIT
 * has returned. One whose caller is gone, or whose time is over, is not begun.
 */
#ifndef DURE_NODES_DB_BATCH_H
#define DURE_NODES_DB_BATCH_H

#include <stdatomic.h>

#include "node/node.h"
#include "nodes/db/store.h"

typedef struct db_op db_op;
typedef struct db_batch db_batch;

struct db_op {
    dure_request *request; /* held */
    /* Job thread: does the work. */
    dure_err (*apply)(db_op *op, db_store *store);
    /* Worker, after a successful COMMIT: answers with what apply left in the op. */
    void (*reply)(db_op *op);
    /* Worker, always, before the op is freed; NULL where it owns nothing. */
    void (*fini)(db_op *op);
    bool is_reading; /* it writes nothing */

    /* the batch's */
    dure_err status;
    db_op *_next;
    uint64_t _due_ns; /* when nobody waits for it any more */
    atomic_bool _is_given_up;
    bool _is_skipped;
};

/* Fails: NO_MEMORY. store is borrowed for life. */
DURE_CHECKED dure_err db_batch_create(dure_node *node, db_store *store, uint32_t ops_max,
                                      db_batch **out_batch);

/* Only when nothing waits and nothing runs. NULL is fine. */
void db_batch_destroy(db_batch *batch);

/*
 * Takes an operation made with dure_mem_alloc, and holds its request, whose on_cancel it uses; it
 * is answered and freed later. Thread: owner.
 */
void db_batch_push(db_batch *batch, db_op *op);

#endif
