/* SPDX-License-Identifier: MIT
 *
 * IocpObject: what owns operations. A pending operation holds its owner, and so does the
 * dispatcher while a handler runs; the object is destroyed by the last release, on the worker that
 * owns it. `pending` is the ledger: operations started and not yet completed.
 *
 * Everything here is called on the owner thread.
 */
#ifndef DURE_IOCP_OBJECT_H
#define DURE_IOCP_OBJECT_H

#include <stdint.h>

#include "base/assert.h"

typedef struct dure_iocp_core dure_iocp_core;
typedef struct dure_iocp_event dure_iocp_event;
typedef struct dure_iocp_object dure_iocp_object;

typedef struct dure_iocp_object_ops {
    /* One completion of one of the owner's operations. May start, cancel, close, release. */
    void (*dispatch)(dure_iocp_object *object, dure_iocp_event *event);
    /* The last hold is gone: free it. */
    void (*destroy)(dure_iocp_object *object);
} dure_iocp_object_ops;

struct dure_iocp_object {
    const dure_iocp_object_ops *ops;
    dure_iocp_core *core;
    uint32_t refs;
    uint32_t pending;
};

/* Sets up the object with one hold, the creator's. */
static inline void dure_iocp_object_init(dure_iocp_object *object, dure_iocp_core *core,
                                         const dure_iocp_object_ops *ops)
{
    object->ops = ops;
    object->core = core;
    object->refs = 1;
    object->pending = 0;
}

/* One more hold; ends with dure_iocp_object_release. Thread: owner. */
static inline void dure_iocp_object_hold(dure_iocp_object *object)
{
    DURE_ASSERT(object->refs > 0);
    object->refs++;
}

/* May destroy the object. */
static inline void dure_iocp_object_release(dure_iocp_object *object)
{
    DURE_ASSERT(object->refs > 0);
    object->refs--;
    if (object->refs == 0) {
        DURE_ASSERT(object->pending == 0);
        object->ops->destroy(object);
    }
}

#endif
