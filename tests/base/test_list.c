/* SPDX-License-Identifier: MIT
 *
 * A list keeps order, and a node may be removed twice.
 */
#include "base/list.h"

#include "support/check.h"

typedef struct item {
    int number;
    dure_list node;
} item;

static int pop_number(dure_list *head)
{
    dure_list *node = dure_list_pop_front(head);
    return node != NULL ? DURE_CONTAINER_OF(node, item, node)->number : -1;
}

static void fill(dure_list *head, item *items, int count, int first)
{
    dure_list_init(head);
    for (int i = 0; i < count; i++) {
        items[i].number = first + i;
        dure_list_init(&items[i].node);
        dure_list_push_back(head, &items[i].node);
    }
}

static void nodes_come_out_as_they_went_in(void)
{
    dure_list head;
    item items[3];
    fill(&head, items, 3, 0);
    DURE_CHECK(!dure_list_is_empty(&head));
    for (int i = 0; i < 3; i++) {
        DURE_CHECK_EQ(pop_number(&head), i);
    }
    DURE_CHECK_EQ(pop_number(&head), -1);
    DURE_CHECK(dure_list_is_empty(&head));
}

static void a_node_may_be_removed_twice(void)
{
    dure_list head;
    item items[3];
    fill(&head, items, 3, 0);
    dure_list_remove(&items[1].node);
    dure_list_remove(&items[1].node);
    DURE_CHECK(dure_list_is_empty(&items[1].node));
    DURE_CHECK_EQ(pop_number(&head), 0);
    DURE_CHECK_EQ(pop_number(&head), 2);
}

static void moving_all_keeps_both_orders(void)
{
    dure_list to, from;
    item first[2], second[2];
    fill(&to, first, 2, 0);
    fill(&from, second, 2, 2);
    dure_list_move_all(&to, &from);
    DURE_CHECK(dure_list_is_empty(&from));
    dure_list_move_all(&to, &from);
    for (int i = 0; i < 4; i++) {
        DURE_CHECK_EQ(pop_number(&to), i);
    }
}

DURE_SUITE(base_list, DURE_TEST(nodes_come_out_as_they_went_in),
           DURE_TEST(a_node_may_be_removed_twice), DURE_TEST(moving_all_keeps_both_orders));
