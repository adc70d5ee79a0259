/* SPDX-License-Identifier: MIT
 *
 * Memory comes zeroed, sizes do not overflow, and the fault plan fails the one it was told to.
 */
#include "base/mem.h"

#include <stdint.h>

#include "support/check.h"

static void memory_comes_zeroed(void)
{
    static const uint8_t zeros[1000];
    uint8_t *bytes = dure_mem_alloc_array(10, 100);
    DURE_REQUIRE(bytes != NULL);
    DURE_CHECK_BYTES(bytes, sizeof zeros, zeros, sizeof zeros);
    dure_mem_free(bytes);
}

static void nothing_is_still_something_to_free(void)
{
    void *none = dure_mem_alloc(0);
    void *array = dure_mem_alloc_array(0, 8);
    DURE_CHECK(none != NULL && array != NULL);
    none = dure_mem_realloc(none, 0);
    DURE_CHECK(none != NULL);
    dure_mem_free(none);
    dure_mem_free(array);
    dure_mem_free(NULL);
}

static void a_product_that_overflows_is_refused(void)
{
    DURE_CHECK(dure_mem_alloc_array(SIZE_MAX / 2, 3) == NULL);
    DURE_CHECK(dure_mem_alloc_array(SIZE_MAX / 2 + 2, 2) == NULL); /* two bytes, were it to wrap */
}

static void realloc_keeps_the_bytes(void)
{
    char *text = dure_mem_strdup("hello");
    DURE_REQUIRE(text != NULL);
    char *longer = dure_mem_realloc(text, 5000);
    DURE_REQUIRE(longer != NULL);
    DURE_CHECK_STR(longer, "hello");
    dure_mem_free(longer);
}

static void the_nth_allocation_fails_once(void)
{
    dure_mem_fail_nth(3);
    void *first = dure_mem_alloc(1);
    void *second = dure_mem_strdup("x");
    DURE_CHECK(first != NULL && second != NULL);
    DURE_CHECK(dure_mem_realloc(first, 100) == NULL);
    void *fourth = dure_mem_alloc(1);
    DURE_CHECK(fourth != NULL);
    dure_mem_free(first);
    dure_mem_free(second);
    dure_mem_free(fourth);
}

DURE_SUITE(base_mem, DURE_TEST(memory_comes_zeroed), DURE_TEST(nothing_is_still_something_to_free),
           DURE_TEST(a_product_that_overflows_is_refused), DURE_TEST(realloc_keeps_the_bytes),
           DURE_TEST(the_nth_allocation_fails_once));
