/* SPDX-License-Identifier: MIT
 *
 * Many writers, one reader. The nodes belong to the senders, so a push cannot fail for want of room
 * and a completion cannot be lost; what bounds a mailbox is that every node in it is an operation
 * somebody already counted.
 */
#ifndef DURE_BASE_MAILBOX_H
#define DURE_BASE_MAILBOX_H

#include "base/list.h"
#include "base/thread.h"

typedef struct dure_mailbox {
    dure_mutex *_mutex;
    dure_list _nodes;
} dure_mailbox;

/*
 * Fails: NO_MEMORY.
 */
DURE_CHECKED dure_err dure_mailbox_init(dure_mailbox *mailbox);

/*
 * The mailbox must be empty. A zeroed one is fine.
 */
void dure_mailbox_fini(dure_mailbox *mailbox);

/*
 * Puts a node in; true when the mailbox was empty, so that the reader must be woken.
 * Holds: node, until it is taken out.
 * Thread: any.
 */
bool dure_mailbox_push(dure_mailbox *mailbox, dure_list *node);

/*
 * Moves all nodes behind those of out_nodes, oldest first.
 * Thread: the reader.
 */
void dure_mailbox_take_all(dure_mailbox *mailbox, dure_list *out_nodes);

#endif
