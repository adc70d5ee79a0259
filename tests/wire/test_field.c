/* SPDX-License-Identifier: MIT
 *
 * The readers of fields: what is at a limit is taken, what is past it is refused and leaves the
 * value alone.
 */
#include "wire/field.h"

#include "support/check.h"

static dure_cursor pack(dure_buf *buf, void (*fill)(dure_packer *packer, int64_t value),
                        int64_t value)
{
    dure_packer packer = dure_packer_of(buf);
    dure_buf_clear(buf);
    fill(&packer, value);
    DURE_REQUIRE_OK(packer.status);
    return dure_cursor_of(buf->data, buf->len);
}

static void fill_i64(dure_packer *packer, int64_t value)
{
    dure_packer_i64(packer, value);
}

static void fill_str(dure_packer *packer, int64_t value)
{
    static const char text[] = "abcdefgh";
    dure_packer_str(packer, (dure_str){text, (size_t)value});
}

static void fill_bin(dure_packer *packer, int64_t value)
{
    static const uint8_t bytes[8];
    dure_packer_bin(packer, (dure_slice){bytes, (size_t)value});
}

static void fill_array(dure_packer *packer, int64_t value)
{
    dure_packer_array(packer, (uint32_t)value);
}

static void fill_map(dure_packer *packer, int64_t value)
{
    dure_packer_map(packer, (uint32_t)value);
}

static void integers_of_32_bits_reach_their_ends(void)
{
    static const int64_t rows[] = {INT32_MIN, INT32_MAX, 0, -1, 1};
    dure_buf buf;
    dure_buf_init(&buf, 64);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int32_t value = 7;
        dure_cursor cursor = pack(&buf, fill_i64, rows[i]);
        DURE_CHECK_OK(dure_cursor_i32(&cursor, &value));
        DURE_CHECK_EQ(value, rows[i]);
        cursor = pack(&buf, fill_i64, rows[i]);
        DURE_CHECK_OK(dure_field_i32(&cursor, INT32_MIN, INT32_MAX, &value, NULL));
        DURE_CHECK_EQ(value, rows[i]);
    }
    static const int64_t past[] = {(int64_t)INT32_MAX + 1, (int64_t)INT32_MIN - 1};
    for (size_t i = 0; i < sizeof past / sizeof past[0]; i++) {
        int32_t value = 7;
        dure_cursor cursor = pack(&buf, fill_i64, past[i]);
        DURE_CHECK_ERR(dure_cursor_i32(&cursor, &value), DURE_ERR_BAD_REQUEST);
        DURE_CHECK_EQ(dure_cursor_left(&cursor), buf.len); /* it has not moved */
        DURE_CHECK_EQ(value, 7);
    }
    uint32_t value = 7;
    dure_cursor cursor = pack(&buf, fill_i64, UINT32_MAX);
    DURE_CHECK_OK(dure_cursor_u32(&cursor, &value));
    DURE_CHECK_EQ(value, UINT32_MAX);
    value = 7;
    cursor = pack(&buf, fill_i64, (int64_t)UINT32_MAX + 1);
    DURE_CHECK_ERR(dure_cursor_u32(&cursor, &value), DURE_ERR_BAD_REQUEST);
    DURE_CHECK_EQ(value, 7);
    dure_buf_fini(&buf);
}

/* Each integer reader, one above its most and one below its least, and another type. */
static void a_refused_number_leaves_the_value_alone(void)
{
    static const int64_t rows[] = {1, 6};
    dure_buf buf;
    dure_buf_init(&buf, 64);
    for (size_t i = 0; i < 3; i++) {
        int32_t i32 = 7;
        int64_t i64 = 7;
        uint32_t u32 = 7;
        uint64_t u64 = 7;
        double num = 7;
        bool flag = true;
        dure_cursor cursor = i < 2 ? pack(&buf, fill_i64, rows[i]) : pack(&buf, fill_str, 3);
        dure_cursor at = cursor;
        DURE_CHECK_ERR(dure_field_i32(&at, 2, 5, &i32, NULL), DURE_ERR_BAD_REQUEST);
        at = cursor;
        DURE_CHECK_ERR(dure_field_i64(&at, 2, 5, &i64, NULL), DURE_ERR_BAD_REQUEST);
        at = cursor;
        DURE_CHECK_ERR(dure_field_u32(&at, 2, 5, &u32, NULL), DURE_ERR_BAD_REQUEST);
        at = cursor;
        DURE_CHECK_ERR(dure_field_u64(&at, 2, 5, &u64, NULL), DURE_ERR_BAD_REQUEST);
        at = cursor;
        DURE_CHECK_ERR(dure_field_num(&at, 2, 5, &num, NULL), DURE_ERR_BAD_REQUEST);
        at = cursor;
        DURE_CHECK_ERR(dure_field_bool(&at, &flag, NULL), DURE_ERR_BAD_REQUEST);
        DURE_CHECK_EQ(i32, 7);
        DURE_CHECK_EQ(i64, 7);
        DURE_CHECK_EQ(u32, 7);
        DURE_CHECK_EQ(u64, 7);
        DURE_CHECK(num > 6.9 && num < 7.1);
        DURE_CHECK(flag);
    }
    dure_buf_fini(&buf);
}

static void a_refused_length_leaves_the_value_alone(void)
{
    dure_buf buf;
    dure_buf_init(&buf, 64);
    for (int64_t len = 1; len <= 6; len++) {
        const dure_err expected = len >= 2 && len <= 5 ? DURE_OK : DURE_ERR_BAD_REQUEST;
        dure_str str = {NULL, 99};
        dure_slice bin = {NULL, 99};
        uint32_t list = 99;
        uint32_t map = 99;
        uint32_t params = 99;
        dure_cursor cursor = pack(&buf, fill_str, len);
        DURE_CHECK_ERR(dure_field_str(&cursor, 2, 5, true, &str, NULL), expected);
        DURE_CHECK_EQ(str.len, expected == DURE_OK ? (size_t)len : 99u);
        cursor = pack(&buf, fill_bin, len);
        DURE_CHECK_ERR(dure_field_bin(&cursor, 2, 5, &bin, NULL), expected);
        DURE_CHECK_EQ(bin.len, expected == DURE_OK ? (size_t)len : 99u);
        cursor = pack(&buf, fill_array, len);
        DURE_CHECK_ERR(dure_field_list(&cursor, 2, 5, &list, NULL), expected);
        DURE_CHECK_EQ(list, expected == DURE_OK ? (uint32_t)len : 99u);
        cursor = pack(&buf, fill_array, len);
        DURE_CHECK_ERR(dure_field_params(&cursor, 2, 5, &params, NULL), expected);
        DURE_CHECK_EQ(params, expected == DURE_OK ? (uint32_t)len : 99u);
        cursor = pack(&buf, fill_map, len);
        DURE_CHECK_ERR(dure_field_map(&cursor, 2, 5, &map, NULL), expected);
        DURE_CHECK_EQ(map, expected == DURE_OK ? (uint32_t)len : 99u);
    }
    dure_buf_fini(&buf);
}

DURE_SUITE(wire_field, DURE_TEST(integers_of_32_bits_reach_their_ends),
           DURE_TEST(a_refused_number_leaves_the_value_alone),
           DURE_TEST(a_refused_length_leaves_the_value_alone));
