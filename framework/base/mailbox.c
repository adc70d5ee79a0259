/* SPDX-License-Identifier: MIT
 *
 * A list under a mutex: one short lock a push and one a take, whatever number was pushed between.
 */
#include "base/mailbox.h"

#include "base/assert.h"

dure_err dure_mailbox_init(dure_mailbox *mailbox)
{
    dure_list_init(&mailbox->_nodes);
    mailbox->_mutex = dure_mutex_create();
    return mailbox->_mutex != NULL ? DURE_OK : DURE_ERR_NO_MEMORY;
}

void dure_mailbox_fini(dure_mailbox *mailbox)
{
    if (mailbox->_mutex == NULL) {
        return;
    }
    DURE_ASSERT(dure_list_is_empty(&mailbox->_nodes));
    dure_mutex_destroy(mailbox->_mutex);
    mailbox->_mutex = NULL;
}

bool dure_mailbox_push(dure_mailbox *mailbox, dure_list *node)
{
    DURE_ASSERT(dure_list_is_empty(node));
    dure_mutex_lock(mailbox->_mutex);
    bool was_empty = dure_list_is_empty(&mailbox->_nodes);
    dure_list_push_back(&mailbox->_nodes, node);
    dure_mutex_unlock(mailbox->_mutex);
    return was_empty;
}

void dure_mailbox_take_all(dure_mailbox *mailbox, dure_list *out_nodes)
{
    dure_mutex_lock(mailbox->_mutex);
    dure_list_move_all(out_nodes, &mailbox->_nodes);
    dure_mutex_unlock(mailbox->_mutex);
}
