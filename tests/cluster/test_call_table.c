/* SPDX-License-Identifier: MIT
 *
 * The call table: ids find their call until it ends and nothing afterwards, whatever the order.
 */
#include "cluster/call_table.h"

#include "base/mem.h"
#include "support/check.h"

static void end_call(dure_call_table *table, dure_call *call)
{
    dure_call_table_remove(table, call);
    dure_call_table_release(table, call);
}

static void an_id_finds_its_call_until_it_ends(void)
{
    dure_call_table table;
    dure_call *call = NULL;
    dure_call_table_init(&table, 8, 1);
    DURE_REQUIRE_OK(dure_call_table_add(&table, &call));
    const uint64_t id = call->id;
    DURE_CHECK(dure_call_table_find(&table, id) == call);
    DURE_CHECK(dure_call_table_find_wire(&table, (uint32_t)id) == call);
    DURE_CHECK_EQ(table.count, 1);
    end_call(&table, call);
    DURE_CHECK(dure_call_table_find(&table, id) == NULL);
    DURE_CHECK(dure_call_table_find_wire(&table, (uint32_t)id) == NULL);
    DURE_CHECK(dure_call_table_find(&table, 0) == NULL);
    DURE_CHECK_EQ(table.count, 0);
    dure_call_table_fini(&table);
}

static void a_stale_id_does_not_find_the_next_call(void)
{
    dure_call_table table;
    dure_call *first = NULL;
    dure_call *second = NULL;
    dure_call_table_init(&table, 8, 1);
    DURE_REQUIRE_OK(dure_call_table_add(&table, &first));
    const uint64_t stale = first->id;
    end_call(&table, first);
    for (int i = 0; i < 1000; i++) {
        DURE_REQUIRE_OK(dure_call_table_add(&table, &second));
        DURE_CHECK(second == first); /* its memory serves again */
        DURE_CHECK(dure_call_table_find(&table, stale) == NULL);
        DURE_CHECK(dure_call_table_find_wire(&table, (uint32_t)stale) == NULL);
        end_call(&table, second);
    }
    dure_call_table_fini(&table);
}

static void a_full_table_says_so(void)
{
    dure_call_table table;
    dure_call *calls[3] = {NULL, NULL, NULL};
    dure_call_table_init(&table, 2, 1);
    DURE_REQUIRE_OK(dure_call_table_add(&table, &calls[0]));
    DURE_REQUIRE_OK(dure_call_table_add(&table, &calls[1]));
    DURE_CHECK_ERR(dure_call_table_add(&table, &calls[2]), DURE_ERR_FULL);
    end_call(&table, calls[0]);
    DURE_CHECK_OK(dure_call_table_add(&table, &calls[2]));
    end_call(&table, calls[1]);
    end_call(&table, calls[2]);
    dure_call_table_fini(&table);
}

static void long_calls_stay_while_numbers_go_round(void)
{
    enum { LONG = 100, SHORT = 5000 };
    dure_call_table table;
    dure_call *longs[LONG];
    uint64_t ids[LONG];
    /* the numbers pass 2^32, where the low half is 0 */
    dure_call_table_init(&table, 1000, UINT32_MAX - 1000u);
    for (int i = 0; i < LONG; i++) {
        DURE_REQUIRE_OK(dure_call_table_add(&table, &longs[i]));
        ids[i] = longs[i]->id;
    }
    for (int i = 0; i < SHORT; i++) {
        dure_call *call = NULL;
        DURE_REQUIRE_OK(dure_call_table_add(&table, &call));
        DURE_CHECK((uint32_t)call->id != 0);
        end_call(&table, call);
    }
    for (int i = 0; i < LONG; i++) {
        DURE_CHECK(dure_call_table_find(&table, ids[i]) == longs[i]);
        DURE_CHECK(dure_call_table_find_wire(&table, (uint32_t)ids[i]) == longs[i]);
        end_call(&table, longs[i]);
    }
    dure_call_table_fini(&table);
}

static void without_memory_nothing_is_entered(void)
{
    dure_call_table table;
    dure_call *call = NULL;
    dure_call_table_init(&table, 8, 1);
    for (size_t n = 1; n <= 2; n++) {
        dure_mem_fail_nth(n);
        DURE_CHECK_ERR(dure_call_table_add(&table, &call), DURE_ERR_NO_MEMORY);
        DURE_CHECK_EQ(table.count, 0);
    }
    dure_mem_fail_nth(0);
    DURE_REQUIRE_OK(dure_call_table_add(&table, &call));
    end_call(&table, call);
    dure_call_table_fini(&table);
}

DURE_SUITE(cluster_call_table, DURE_TEST(an_id_finds_its_call_until_it_ends),
           DURE_TEST(a_stale_id_does_not_find_the_next_call), DURE_TEST(a_full_table_says_so),
           DURE_TEST(long_calls_stay_while_numbers_go_round),
           DURE_TEST(without_memory_nothing_is_entered));
