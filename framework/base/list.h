/* SPDX-License-Identifier: MIT
 *
 * An intrusive doubly linked list with a head node. A node that stands in no list points at itself,
 * so removing it twice does nothing.
 */
#ifndef DURE_BASE_LIST_H
#define DURE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

typedef struct dure_list {
    struct dure_list *next;
    struct dure_list *prev;
} dure_list;

/* Makes an empty head, or a node that stands in no list. */
static inline void dure_list_init(dure_list *node)
{
    node->next = node;
    node->prev = node;
}

/* Whether a head has no nodes, or a node stands in no list. */
static inline bool dure_list_is_empty(const dure_list *head)
{
    return head->next == head;
}

/* Puts a node that stands in no list behind the last one. */
static inline void dure_list_push_back(dure_list *head, dure_list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Takes a node out of its list, if it stands in one. */
static inline void dure_list_remove(dure_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    dure_list_init(node);
}

/* Takes out the first node; NULL when there is none. */
static inline dure_list *dure_list_pop_front(dure_list *head)
{
    if (dure_list_is_empty(head)) {
        return NULL;
    }
    dure_list *node = head->next;
    dure_list_remove(node);
    return node;
}

/* Moves all nodes of `from` behind those of `to`; `from` is empty afterwards. */
static inline void dure_list_move_all(dure_list *to, dure_list *from)
{
    if (dure_list_is_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    dure_list_init(from);
}

#endif
