/* SPDX-License-Identifier: MIT
 *
 * Reading: ranges and types are refused without moving, bytes that end too early are malformed, and
 * nothing past the end is read.
 */
#include "wire/cursor.h"

#include "base/mem.h"
#include "support/check.h"

static dure_cursor cursor_of(const char *bytes, size_t len)
{
    return dure_cursor_of((const uint8_t *)bytes, len);
}

#define CURSOR(bytes) cursor_of(bytes, sizeof(bytes) - 1)

static void a_read_that_fails_does_not_move(void)
{
    dure_cursor cursor = CURSOR("\xcd\x01\x00");
    dure_cursor before = cursor;
    bool truth = false;
    double real = 0;
    dure_str str = {NULL, 0};
    dure_slice bytes = {NULL, 0};
    uint32_t count = 0;
    uint64_t value = 0;
    DURE_CHECK_ERR(dure_cursor_nil(&cursor), DURE_ERR_BAD_REQUEST);
    DURE_CHECK_ERR(dure_cursor_bool(&cursor, &truth), DURE_ERR_BAD_REQUEST);
    DURE_CHECK_ERR(dure_cursor_f64(&cursor, &real), DURE_ERR_BAD_REQUEST);
    DURE_CHECK_ERR(dure_cursor_str(&cursor, &str), DURE_ERR_BAD_REQUEST);
    DURE_CHECK_ERR(dure_cursor_bin(&cursor, &bytes), DURE_ERR_BAD_REQUEST);
    DURE_CHECK_ERR(dure_cursor_array(&cursor, &count), DURE_ERR_BAD_REQUEST);
    DURE_CHECK_ERR(dure_cursor_map(&cursor, &count), DURE_ERR_BAD_REQUEST);
    DURE_CHECK(cursor.at == before.at);
    DURE_CHECK_OK(dure_cursor_u64(&cursor, &value));
    DURE_CHECK_EQ(value, 256);
    DURE_CHECK_ERR(dure_cursor_u64(&cursor, &value), DURE_ERR_MALFORMED);
}

static void integers_are_held_to_the_range_asked_for(void)
{
    uint64_t u64 = 0;
    int64_t i64 = 0;
    uint32_t u32 = 0;
    int32_t i32 = 0;
    dure_cursor cursor = CURSOR("\xff");
    DURE_CHECK_ERR(dure_cursor_u64(&cursor, &u64), DURE_ERR_BAD_REQUEST);
    DURE_CHECK_ERR(dure_cursor_u32(&cursor, &u32), DURE_ERR_BAD_REQUEST);
    DURE_CHECK_OK(dure_cursor_i32(&cursor, &i32));
    DURE_CHECK_EQ(i32, -1);
    cursor = CURSOR("\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
    DURE_CHECK_ERR(dure_cursor_i64(&cursor, &i64), DURE_ERR_BAD_REQUEST);
    DURE_CHECK_OK(dure_cursor_u64(&cursor, &u64));
    DURE_CHECK(u64 == UINT64_MAX);
    cursor = CURSOR("\xcf\x00\x00\x00\x01\x00\x00\x00\x00");
    DURE_CHECK_ERR(dure_cursor_u32(&cursor, &u32), DURE_ERR_BAD_REQUEST);
    cursor = CURSOR("\xce\x80\x00\x00\x00");
    DURE_CHECK_ERR(dure_cursor_i32(&cursor, &i32), DURE_ERR_BAD_REQUEST);
    cursor = CURSOR("\xd3\x00\x00\x00\x00\x00\x00\x00\x05");
    DURE_CHECK_OK(dure_cursor_u32(&cursor, &u32)); /* signed forms may hold what is not negative */
    DURE_CHECK_EQ(u32, 5);
    cursor = CURSOR("\xd1\xff\x00");
    DURE_CHECK_OK(dure_cursor_i64(&cursor, &i64));
    DURE_CHECK_EQ(i64, -256);
}

static void numbers_are_finite(void)
{
    double value = 0;
    dure_cursor cursor = CURSOR("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00");
    DURE_CHECK_ERR(dure_cursor_number(&cursor, &value), DURE_ERR_BAD_REQUEST);
    cursor = CURSOR("\xca\x7f\xc0\x00\x00");
    DURE_CHECK_ERR(dure_cursor_number(&cursor, &value), DURE_ERR_BAD_REQUEST);
    cursor = CURSOR("\xca\x3f\x00\x00\x00");
    DURE_CHECK_OK(dure_cursor_number(&cursor, &value));
    DURE_CHECK(value > 0.49 && value < 0.51);
    cursor = CURSOR("\xe0");
    DURE_CHECK_OK(dure_cursor_number(&cursor, &value));
    DURE_CHECK_EQ(value, -32);
}

static void text_is_utf8(void)
{
    dure_str str = {NULL, 0};
    dure_cursor cursor = CURSOR("\xa2\xc0\x80"); /* an overlong zero */
    DURE_CHECK_ERR(dure_cursor_str(&cursor, &str), DURE_ERR_BAD_REQUEST);
    cursor = CURSOR("\xa3\xed\xa0\x80"); /* a surrogate */
    DURE_CHECK_ERR(dure_cursor_str(&cursor, &str), DURE_ERR_BAD_REQUEST);
    cursor = CURSOR("\xa2\xc3\xa4");
    DURE_CHECK_OK(dure_cursor_str(&cursor, &str));
    DURE_CHECK_EQ(str.len, 2);
}

/* Every read of every cut of it: nothing past the end is touched (the address sanitizer looks). */
static void read_all_ways(dure_cursor from)
{
    uint64_t u64 = 0;
    int64_t i64 = 0;
    double real = 0;
    bool truth = false;
    uint32_t count = 0;
    dure_str str = {NULL, 0};
    dure_slice bytes = {NULL, 0};
    dure_cursor cursor = from;
    (void)dure_cursor_peek(&cursor);
    DURE_CHECK(dure_cursor_u64(&cursor, &u64) != DURE_OK);
    DURE_CHECK(dure_cursor_i64(&cursor, &i64) != DURE_OK);
    DURE_CHECK(dure_cursor_number(&cursor, &real) != DURE_OK);
    DURE_CHECK(dure_cursor_bool(&cursor, &truth) != DURE_OK);
    DURE_CHECK(dure_cursor_str(&cursor, &str) != DURE_OK);
    DURE_CHECK(dure_cursor_bin(&cursor, &bytes) != DURE_OK);
    DURE_CHECK(dure_cursor_array(&cursor, &count) != DURE_OK);
    DURE_CHECK(dure_cursor_map(&cursor, &count) != DURE_OK);
    DURE_CHECK_ERR(dure_cursor_any(&cursor, &bytes), DURE_ERR_MALFORMED);
    DURE_CHECK(cursor.at == from.at);
}

static void what_is_cut_is_never_read_past_its_end(void)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {{"\xcc\x01", 2},
                {"\xcf\x01\x02\x03\x04\x05\x06\x07\x08", 9},
                {"\xd3\x01\x02\x03\x04\x05\x06\x07\x08", 9},
                {"\xca\x01\x02\x03\x04", 5},
                {"\xcb\x01\x02\x03\x04\x05\x06\x07\x08", 9},
                {"\xa3xyz", 4},
                {"\xd9\x03xyz", 5},
                {"\xda\x00\x03xyz", 6},
                {"\xdb\x00\x00\x00\x03xyz", 8},
                {"\xc4\x03xyz", 5},
                {"\xc5\x00\x03xyz", 6},
                {"\xc6\x00\x00\x00\x03xyz", 8},
                {"\xc7\x03\x01xyz", 6},
                {"\xd6\x01wxyz", 6}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t len = 0; len < rows[i].len; len++) {
            uint8_t *copy = dure_mem_alloc(len > 0 ? len : 1);
            DURE_REQUIRE(copy != NULL);
            memcpy(copy, rows[i].bytes, len);
            read_all_ways(dure_cursor_of(copy, len));
            dure_mem_free(copy);
        }
    }
}

static void heads_of_containers_tell_their_count(void)
{
    uint32_t count = 0;
    dure_slice object = {NULL, 0};
    dure_cursor cursor = CURSOR("\xdd\x00\x00\x00\x02\x01\x02\x80");
    DURE_CHECK_OK(dure_cursor_array(&cursor, &count));
    DURE_CHECK_EQ(count, 2);
    DURE_CHECK_OK(dure_cursor_skip(&cursor));
    DURE_CHECK_OK(dure_cursor_any(&cursor, &object));
    DURE_CHECK_EQ(object.len, 1);
    DURE_CHECK_OK(dure_cursor_map(&cursor, &count));
    DURE_CHECK_EQ(count, 0);
    DURE_CHECK_EQ(dure_cursor_peek(&cursor), DURE_WIRE_NONE);
}

DURE_SUITE(wire_cursor, DURE_TEST(a_read_that_fails_does_not_move),
           DURE_TEST(integers_are_held_to_the_range_asked_for), DURE_TEST(numbers_are_finite),
           DURE_TEST(text_is_utf8), DURE_TEST(what_is_cut_is_never_read_past_its_end),
           DURE_TEST(heads_of_containers_tell_their_count));
