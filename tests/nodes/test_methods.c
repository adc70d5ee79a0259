/* SPDX-License-Identifier: MIT
 *
 * Which methods a gateway takes from the description of a node.
 */
#include "nodes/gateway/methods.h"

#include "support/check.h"

static void a_name_is_neither_empty_nor_long(void)
{
    gateway_method_table table;
    char name[GATEWAY_METHOD_NAME_MAX + 1];
    memset(&table, 0, sizeof table);
    memset(name, 'a', sizeof name);
    DURE_CHECK_ERR(gateway_methods_add(&table, dure_str_of(""), 513, 1, NULL), DURE_ERR_INVALID);
    DURE_CHECK_ERR(gateway_methods_add(&table, (dure_str){name, sizeof name}, 513, 1, NULL),
                   DURE_ERR_TOO_LARGE);
    DURE_CHECK_OK(gateway_methods_add(&table, (dure_str){name, sizeof name - 1}, 513, 1, NULL));
    DURE_CHECK(gateway_methods_find(&table, dure_str_of("")) == NULL);
    DURE_CHECK(gateway_methods_find(&table, (dure_str){name, sizeof name - 1}) != NULL);
    gateway_methods_fini(&table);
}

DURE_SUITE(nodes_methods, DURE_TEST(a_name_is_neither_empty_nor_long));
