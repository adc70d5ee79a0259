/* SPDX-License-Identifier: MIT
 *
 * A buffer holds what was put in, never more than its cap, and nothing after release.
 */
#include "base/buf.h"

#include "base/mem.h"
#include "support/check.h"

static void a_new_buffer_is_empty_and_owns_nothing(void)
{
    dure_buf buf;
    dure_buf_init(&buf, 100);
    DURE_CHECK_EQ(buf.len, 0);
    DURE_CHECK(buf.data == NULL);
    DURE_CHECK_EQ(dure_buf_cap(&buf), 100);
    dure_buf_fini(&buf);
}

static void a_zeroed_buffer_ends_and_holds_nothing(void)
{
    dure_buf buf = {0};
    dure_buf_fini(&buf);
    DURE_CHECK_ERR(dure_buf_append(&buf, "a", 1), DURE_ERR_FULL);
    DURE_CHECK_OK(dure_buf_append(&buf, "", 0));
}

static void appended_bytes_stand_in_order(void)
{
    dure_buf buf;
    dure_buf_init(&buf, 100000);
    for (unsigned i = 0; i < 10000; i++) {
        uint8_t bytes[3] = {(uint8_t)i, (uint8_t)(i >> 8), 7};
        DURE_REQUIRE_OK(dure_buf_append(&buf, bytes, sizeof bytes));
    }
    DURE_CHECK_EQ(buf.len, 30000);
    unsigned wrong = 0;
    for (unsigned i = 0; i < 10000; i++) {
        wrong += buf.data[3 * i] != (uint8_t)i || buf.data[3 * i + 1] != (uint8_t)(i >> 8);
    }
    DURE_CHECK_EQ(wrong, 0);
    dure_buf_fini(&buf);
}

static void the_cap_is_reached_exactly_and_never_passed(void)
{
    dure_buf buf;
    uint8_t *room = NULL;
    dure_buf_init(&buf, 300);
    static const uint8_t bytes[300];
    DURE_CHECK_OK(dure_buf_append(&buf, bytes, 299));
    DURE_CHECK_ERR(dure_buf_append(&buf, bytes, 2), DURE_ERR_FULL);
    DURE_CHECK_EQ(buf.len, 299);
    DURE_CHECK_OK(dure_buf_append(&buf, bytes, 1));
    DURE_CHECK_EQ(buf.len, 300);
    DURE_CHECK_ERR(dure_buf_reserve(&buf, SIZE_MAX, &room), DURE_ERR_FULL);
    DURE_CHECK(room == NULL);
    dure_buf_fini(&buf);
}

static void reserve_leaves_the_length_alone(void)
{
    dure_buf buf;
    uint8_t *room = NULL;
    dure_buf_init(&buf, 1000);
    DURE_REQUIRE_OK(dure_buf_append(&buf, "abc", 3));
    DURE_REQUIRE_OK(dure_buf_reserve(&buf, 500, &room));
    DURE_CHECK(room == buf.data + 3);
    DURE_CHECK_EQ(buf.len, 3);
    memset(room, 'x', 500);
    DURE_CHECK_BYTES(buf.data, buf.len, "abc", 3u);
    dure_buf_fini(&buf);
}

static void consume_moves_the_rest_to_the_front(void)
{
    dure_buf buf;
    dure_buf_init(&buf, 100);
    DURE_REQUIRE_OK(dure_buf_append(&buf, "abcdef", 6));
    dure_buf_consume(&buf, 0);
    dure_buf_consume(&buf, 2);
    DURE_CHECK_BYTES(buf.data, buf.len, "cdef", 4u);
    dure_buf_consume(&buf, 100);
    DURE_CHECK_EQ(buf.len, 0);
    dure_buf_fini(&buf);
}

static void clear_keeps_the_memory_and_release_gives_it_back(void)
{
    dure_buf buf;
    dure_buf_init(&buf, 100);
    DURE_REQUIRE_OK(dure_buf_append(&buf, "abc", 3));
    dure_buf_clear(&buf);
    DURE_CHECK_EQ(buf.len, 0);
    DURE_CHECK(buf.data != NULL);
    dure_buf_release(&buf);
    DURE_CHECK(buf.data == NULL);
    DURE_CHECK_OK(dure_buf_append(&buf, "abc", 3));
    dure_buf_fini(&buf);
}

static void without_memory_nothing_changes(void)
{
    dure_buf buf;
    uint8_t more[1000] = {0};
    dure_buf_init(&buf, 2000);
    DURE_REQUIRE_OK(dure_buf_append(&buf, "abc", 3));
    dure_mem_fail_nth(1);
    DURE_CHECK_ERR(dure_buf_append(&buf, more, sizeof more), DURE_ERR_NO_MEMORY);
    dure_mem_fail_nth(0);
    DURE_CHECK_BYTES(buf.data, buf.len, "abc", 3u);
    DURE_CHECK_OK(dure_buf_append(&buf, more, sizeof more));
    dure_buf_fini(&buf);
}

DURE_SUITE(base_buf, DURE_TEST(a_new_buffer_is_empty_and_owns_nothing),
           DURE_TEST(a_zeroed_buffer_ends_and_holds_nothing),
           DURE_TEST(appended_bytes_stand_in_order),
           DURE_TEST(the_cap_is_reached_exactly_and_never_passed),
           DURE_TEST(reserve_leaves_the_length_alone),
           DURE_TEST(consume_moves_the_rest_to_the_front),
           DURE_TEST(clear_keeps_the_memory_and_release_gives_it_back),
           DURE_TEST(without_memory_nothing_changes));
