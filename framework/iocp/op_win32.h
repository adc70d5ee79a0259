/* SPDX-License-Identifier: MIT
 *
 * One overlapped operation of the win32 back end: what a packet of the completion port points to.
 */
#ifndef DURE_IOCP_OP_WIN32_H
#define DURE_IOCP_OP_WIN32_H

#include <stdbool.h>

#include "base/assert.h"
#include "iocp/winsock_win32.h"

typedef enum dure_op_kind {
    DURE_OP_CONNECT,
    DURE_OP_RECV, /* of no bytes: tells that some are there */
    DURE_OP_SEND,
    DURE_OP_ACCEPT,
    DURE_OP_RECYCLE /* a DisconnectEx on the way to the pool */
} dure_op_kind;

/* From the posting call to its packet it must stay where it is. */
typedef struct dure_op {
    OVERLAPPED overlapped;
    dure_op_kind kind;
    bool is_pending;
    bool is_cancelled;
    void *owner; /* the socket, or what the kind says */
} dure_op;

/* Everything is filled in before the posting call: its packet may come before it returns. */
static inline void dure_op_begin(dure_op *op, dure_op_kind kind, void *owner)
{
    const OVERLAPPED zero = {0};
    DURE_ASSERT(!op->is_pending); /* the system still has this memory */
    op->overlapped = zero;
    op->kind = kind;
    op->is_pending = true;
    op->is_cancelled = false;
    op->owner = owner;
}

#endif
