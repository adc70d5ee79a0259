/* SPDX-License-Identifier: MIT
 *
 * An id finds its object until it is removed, and never the next one in the same slot.
 */
#include "base/idtable.h"

#include "base/mem.h"
#include "base/rng.h"
#include "support/check.h"

#define OBJECTS 100

static void an_id_finds_its_object(void)
{
    dure_idtable table;
    int objects[OBJECTS];
    uint64_t ids[OBJECTS];
    dure_idtable_init(&table, OBJECTS);
    for (int i = 0; i < OBJECTS; i++) {
        DURE_REQUIRE_OK(dure_idtable_add(&table, &objects[i], &ids[i]));
        DURE_CHECK(ids[i] != 0);
    }
    DURE_CHECK_EQ(table.count, OBJECTS);
    for (int i = 0; i < OBJECTS; i++) {
        DURE_CHECK(dure_idtable_find(&table, ids[i]) == &objects[i]);
    }
    dure_idtable_fini(&table);
}

static void the_maximum_is_full(void)
{
    dure_idtable table;
    int object;
    uint64_t id = 5;
    dure_idtable_init(&table, 3);
    for (int i = 0; i < 3; i++) {
        DURE_CHECK_OK(dure_idtable_add(&table, &object, &id));
    }
    uint64_t last = id;
    DURE_CHECK_ERR(dure_idtable_add(&table, &object, &id), DURE_ERR_FULL);
    DURE_CHECK_EQ(id, last);
    DURE_CHECK(dure_idtable_remove(&table, last) == &object);
    DURE_CHECK_OK(dure_idtable_add(&table, &object, &id));
    dure_idtable_fini(&table);
}

static void a_removed_id_is_stale_for_good(void)
{
    dure_idtable table;
    int first, second;
    uint64_t old_id, new_id;
    dure_idtable_init(&table, 1);
    DURE_REQUIRE_OK(dure_idtable_add(&table, &first, &old_id));
    DURE_CHECK(dure_idtable_remove(&table, old_id) == &first);
    DURE_CHECK(dure_idtable_remove(&table, old_id) == NULL);
    for (int i = 0; i < 1000; i++) {
        DURE_REQUIRE_OK(dure_idtable_add(&table, &second, &new_id));
        DURE_CHECK(dure_idtable_find(&table, old_id) == NULL);
        DURE_CHECK(dure_idtable_find(&table, new_id) == &second);
        DURE_CHECK(dure_idtable_remove(&table, new_id) == &second);
    }
    dure_idtable_fini(&table);
}

static void ids_that_never_were_find_nothing(void)
{
    dure_idtable table;
    int object;
    uint64_t id;
    dure_idtable_init(&table, 10);
    DURE_CHECK(dure_idtable_find(&table, 0) == NULL);
    DURE_REQUIRE_OK(dure_idtable_add(&table, &object, &id));
    DURE_CHECK(dure_idtable_find(&table, 0) == NULL);
    DURE_CHECK(dure_idtable_find(&table, UINT64_MAX) == NULL);
    DURE_CHECK(dure_idtable_find(&table, id + 1) == NULL);
    DURE_CHECK(dure_idtable_find(&table, id + (UINT64_C(1) << 32)) == NULL);
    dure_idtable_fini(&table);
}

static void a_walk_sees_each_object_once_while_it_is_emptied(void)
{
    dure_idtable table;
    uint64_t ids[OBJECTS];
    int seen = 0;
    uint32_t cursor = 0;
    dure_idtable_init(&table, OBJECTS);
    for (int i = 0; i < OBJECTS; i++) {
        DURE_REQUIRE_OK(dure_idtable_add(&table, &ids[i], &ids[i]));
    }
    for (uint64_t *id; (id = dure_idtable_next(&table, &cursor)) != NULL;) {
        DURE_CHECK(dure_idtable_remove(&table, *id) == id);
        seen++;
    }
    DURE_CHECK_EQ(seen, OBJECTS);
    DURE_CHECK_EQ(table.count, 0);
    dure_idtable_fini(&table);
}

/* Random steps against a plain array; the seed is fixed, so a failure repeats. */
static void it_agrees_with_an_array_over_random_steps(void)
{
    enum { SLOTS = 64 };
    dure_idtable table;
    dure_rng rng;
    int objects[SLOTS];
    uint64_t ids[SLOTS] = {0};
    uint32_t count = 0;
    dure_rng_init(&rng, 11);
    dure_idtable_init(&table, SLOTS);
    for (int step = 0; step < 20000; step++) {
        size_t at = (size_t)dure_rng_below(&rng, SLOTS);
        if (ids[at] == 0) {
            DURE_REQUIRE_OK(dure_idtable_add(&table, &objects[at], &ids[at]));
            count++;
        } else {
            DURE_REQUIRE(dure_idtable_remove(&table, ids[at]) == &objects[at]);
            ids[at] = 0;
            count--;
        }
        DURE_REQUIRE(table.count == count);
    }
    for (size_t i = 0; i < SLOTS; i++) {
        DURE_CHECK(dure_idtable_find(&table, ids[i]) == (ids[i] != 0 ? &objects[i] : NULL));
    }
    dure_idtable_fini(&table);
}

static void without_memory_nothing_is_added(void)
{
    dure_idtable table;
    int object;
    uint64_t id = 1;
    dure_idtable_init(&table, 10);
    dure_mem_fail_nth(1);
    DURE_CHECK_ERR(dure_idtable_add(&table, &object, &id), DURE_ERR_NO_MEMORY);
    dure_mem_fail_nth(0);
    DURE_CHECK_EQ(id, 1);
    DURE_CHECK_EQ(table.count, 0);
    DURE_CHECK_OK(dure_idtable_add(&table, &object, &id));
    dure_idtable_fini(&table);
}

DURE_SUITE(base_idtable, DURE_TEST(an_id_finds_its_object), DURE_TEST(the_maximum_is_full),
           DURE_TEST(a_removed_id_is_stale_for_good), DURE_TEST(ids_that_never_were_find_nothing),
           DURE_TEST(a_walk_sees_each_object_once_while_it_is_emptied),
           DURE_TEST(it_agrees_with_an_array_over_random_steps),
           DURE_TEST(without_memory_nothing_is_added));
