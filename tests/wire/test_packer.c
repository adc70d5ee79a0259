/* SPDX-License-Identifier: MIT
 *
 * What the packer writes: the shortest form, read back by our cursor and by msgpack-c, which also
 * writes the objects that we read. A buffer that is full or without memory is told once, at the
 * end.
 */
#include "wire/packer.h"

#include <float.h>
#include <math.h>
#include <msgpack.h>

#include "base/mem.h"
#include "base/rng.h"
#include "support/check.h"
#include "wire/check.h"
#include "wire/cursor.h"

typedef struct int_row {
    int64_t value;
    size_t bytes;
} int_row;

static void integers_take_their_shortest_form(void)
{
    static const int_row rows[] = {
        {0, 1},         {127, 1},    {128, 2},        {255, 2},         {256, 3},
        {65535, 3},     {65536, 5},  {4294967295, 5}, {4294967296, 9},  {INT64_MAX, 9},
        {-1, 1},        {-32, 1},    {-33, 2},        {-128, 2},        {-129, 3},
        {INT16_MIN, 3}, {-32769, 5}, {INT32_MIN, 5},  {-2147483649, 9}, {INT64_MIN, 9}};
    dure_buf buf;
    dure_buf_init(&buf, 64);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        dure_buf_clear(&buf);
        dure_packer packer = dure_packer_of(&buf);
        dure_packer_i64(&packer, rows[i].value);
        DURE_CHECK_OK(packer.status);
        DURE_CHECK_EQ(buf.len, rows[i].bytes);
        dure_cursor cursor = dure_cursor_of(buf.data, buf.len);
        int64_t back = 0;
        DURE_CHECK_OK(dure_cursor_i64(&cursor, &back));
        DURE_CHECK(back == rows[i].value);
        DURE_CHECK_EQ(dure_cursor_left(&cursor), 0);
    }
    dure_buf_fini(&buf);
}

static void containers_take_their_shortest_form(void)
{
    static const struct {
        uint32_t count;
        size_t bytes;
    } rows[] = {{0, 1}, {15, 1}, {16, 3}, {65535, 3}, {65536, 5}};
    dure_buf buf;
    dure_buf_init(&buf, 64);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t elements = 0;
        uint32_t pairs = 0;
        dure_buf_clear(&buf);
        dure_packer packer = dure_packer_of(&buf);
        dure_packer_array(&packer, rows[i].count);
        dure_packer_map(&packer, rows[i].count);
        DURE_CHECK_OK(packer.status);
        DURE_CHECK_EQ(buf.len, 2 * rows[i].bytes);
        dure_cursor cursor = dure_cursor_of(buf.data, buf.len);
        DURE_CHECK_OK(dure_cursor_array(&cursor, &elements));
        DURE_CHECK_OK(dure_cursor_map(&cursor, &pairs));
        DURE_CHECK_EQ(elements, rows[i].count);
        DURE_CHECK_EQ(pairs, rows[i].count);
    }
    dure_buf_fini(&buf);
}

static void numbers_that_are_whole_come_back_as_integers(void)
{
    static const struct {
        double value;
        dure_wire_type type;
    } rows[] = {{3, DURE_WIRE_INT},        {-7, DURE_WIRE_INT},
                {0.5, DURE_WIRE_FLOAT},    {-0.0, DURE_WIRE_FLOAT},
                {1e300, DURE_WIRE_FLOAT},  {9007199254740992.0, DURE_WIRE_INT},
                {DBL_MIN, DURE_WIRE_FLOAT}};
    dure_buf buf;
    dure_buf_init(&buf, 64);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        dure_buf_clear(&buf);
        dure_packer packer = dure_packer_of(&buf);
        dure_packer_number(&packer, rows[i].value);
        dure_cursor cursor = dure_cursor_of(buf.data, buf.len);
        DURE_CHECK_EQ(dure_cursor_peek(&cursor), rows[i].type);
        double back = 0;
        DURE_CHECK_OK(dure_cursor_number(&cursor, &back));
        DURE_CHECK(memcmp(&back, &rows[i].value, sizeof back) == 0);
    }
    dure_buf_fini(&buf);
}

static void a_full_buffer_is_told_once_at_the_end(void)
{
    dure_buf buf;
    dure_buf_init(&buf, 4);
    dure_packer packer = dure_packer_of(&buf);
    dure_packer_array(&packer, 2);
    dure_packer_cstr(&packer, "too long");
    DURE_CHECK_ERR(packer.status, DURE_ERR_FULL);
    dure_packer_nil(&packer);
    DURE_CHECK_EQ(buf.len, 1);
    dure_buf_fini(&buf);
    dure_buf_init(&buf, 64);
    packer = dure_packer_of(&buf);
    dure_mem_fail_nth(1);
    dure_packer_u64(&packer, 1);
    dure_mem_fail_nth(0);
    DURE_CHECK_ERR(packer.status, DURE_ERR_NO_MEMORY);
    dure_buf_fini(&buf);
}

/* ---- random objects, written by both and read by both ---- */

/* Writes the same object to both; depth bounds the recursion. */
static void sample_object(dure_rng *rng, dure_packer *packer, msgpack_packer *theirs, int depth)
{
    static const char text[] = "The quick brown fox jumps over the lazy dog and runs away";
    static const size_t texts[] = {0, 1, 31, 32, 57};
    const uint64_t value = dure_rng_next(rng) >> dure_rng_below(rng, 64);
    const size_t len = texts[dure_rng_below(rng, 5)];
    const uint32_t count = (uint32_t)dure_rng_below(rng, depth > 2 ? 3 : 18);
    double real = (double)value / 3;
    switch (dure_rng_below(rng, depth > 0 ? 9 : 7)) {
    case 0:
        dure_packer_nil(packer);
        msgpack_pack_nil(theirs);
        return;
    case 1:
        dure_packer_bool(packer, (value & 1) != 0);
        (value & 1) != 0 ? msgpack_pack_true(theirs) : msgpack_pack_false(theirs);
        return;
    case 2:
        dure_packer_u64(packer, value);
        msgpack_pack_uint64(theirs, value);
        return;
    case 3:
        dure_packer_i64(packer, -(int64_t)(value >> 1));
        msgpack_pack_int64(theirs, -(int64_t)(value >> 1));
        return;
    case 4:
        dure_packer_f64(packer, real);
        msgpack_pack_double(theirs, real);
        return;
    case 5:
        dure_packer_str(packer, (dure_str){text, len});
        msgpack_pack_str_with_body(theirs, text, len);
        return;
    case 6:
        dure_packer_bin(packer, (dure_slice){(const uint8_t *)text, len});
        msgpack_pack_bin_with_body(theirs, text, len);
        return;
    case 7:
        dure_packer_array(packer, count);
        msgpack_pack_array(theirs, count);
        break;
    default:
        dure_packer_map(packer, count / 2);
        msgpack_pack_map(theirs, count / 2);
        for (uint32_t i = 0; i < count / 2 * 2; i++) {
            sample_object(rng, packer, theirs, depth - 1);
        }
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        sample_object(rng, packer, theirs, depth - 1);
    }
}

static void same_number(dure_cursor *cursor, const msgpack_object *object)
{
    uint64_t number = 0;
    int64_t negative = 0;
    double real = 0;
    if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER) {
        DURE_CHECK_OK(dure_cursor_u64(cursor, &number));
        DURE_CHECK(number == object->via.u64);
    } else if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) {
        DURE_CHECK_OK(dure_cursor_i64(cursor, &negative));
        DURE_CHECK(negative == object->via.i64);
    } else {
        DURE_CHECK_OK(dure_cursor_f64(cursor, &real));
        DURE_CHECK(memcmp(&real, &object->via.f64, sizeof real) == 0);
    }
}

/* What our cursor reads is what msgpack-c unpacked. */
static void same_object(dure_cursor *cursor, const msgpack_object *object)
{
    uint32_t count = 0;
    bool truth = false;
    dure_str str = {NULL, 0};
    dure_slice bin = {NULL, 0};
    if (object->type == MSGPACK_OBJECT_NIL) {
        DURE_CHECK_OK(dure_cursor_nil(cursor));
    } else if (object->type == MSGPACK_OBJECT_BOOLEAN) {
        DURE_CHECK_OK(dure_cursor_bool(cursor, &truth));
        DURE_CHECK(truth == object->via.boolean);
    } else if (object->type == MSGPACK_OBJECT_STR) {
        DURE_CHECK_OK(dure_cursor_str(cursor, &str));
        DURE_CHECK_BYTES(str.data, str.len, object->via.str.ptr, object->via.str.size);
    } else if (object->type == MSGPACK_OBJECT_BIN) {
        DURE_CHECK_OK(dure_cursor_bin(cursor, &bin));
        DURE_CHECK_BYTES(bin.data, bin.len, object->via.bin.ptr, object->via.bin.size);
    } else if (object->type == MSGPACK_OBJECT_ARRAY) {
        DURE_CHECK_OK(dure_cursor_array(cursor, &count));
        DURE_REQUIRE(count == object->via.array.size);
        for (uint32_t i = 0; i < count; i++) {
            same_object(cursor, &object->via.array.ptr[i]);
        }
    } else if (object->type == MSGPACK_OBJECT_MAP) {
        DURE_CHECK_OK(dure_cursor_map(cursor, &count));
        DURE_REQUIRE(count == object->via.map.size);
        for (uint32_t i = 0; i < count; i++) {
            same_object(cursor, &object->via.map.ptr[i].key);
            same_object(cursor, &object->via.map.ptr[i].val);
        }
    } else {
        same_number(cursor, object);
    }
}

static void one_sample(uint64_t seed)
{
    dure_rng rng;
    dure_buf buf;
    msgpack_sbuffer theirs;
    msgpack_packer their_packer;
    dure_rng_init(&rng, seed);
    dure_buf_init(&buf, 1048576);
    msgpack_sbuffer_init(&theirs);
    msgpack_packer_init(&their_packer, &theirs, msgpack_sbuffer_write);
    dure_packer packer = dure_packer_of(&buf);
    sample_object(&rng, &packer, &their_packer, 4);
    DURE_REQUIRE_OK(packer.status);
    if (buf.len != theirs.size || memcmp(buf.data, theirs.data, buf.len) != 0) {
        printf("seed %" PRIu64 "\n", seed);
    }
    DURE_CHECK_BYTES(buf.data, buf.len, (const uint8_t *)theirs.data, theirs.size);
    size_t walked = 0;
    DURE_CHECK_OK(dure_check_object(buf.data, buf.len, &walked));
    DURE_CHECK_EQ(walked, buf.len);
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    DURE_REQUIRE(msgpack_unpack_next(&unpacked, (const char *)buf.data, buf.len, NULL) ==
                 MSGPACK_UNPACK_SUCCESS);
    dure_cursor cursor = dure_cursor_of((const uint8_t *)theirs.data, theirs.size);
    same_object(&cursor, &unpacked.data);
    DURE_CHECK_EQ(dure_cursor_left(&cursor), 0);
    msgpack_unpacked_destroy(&unpacked);
    msgpack_sbuffer_destroy(&theirs);
    dure_buf_fini(&buf);
}

static void random_objects_agree_with_msgpack_c(void)
{
    for (uint64_t seed = 1; seed <= 400; seed++) {
        one_sample(seed);
    }
}

DURE_SUITE(wire_packer, DURE_TEST(integers_take_their_shortest_form),
           DURE_TEST(containers_take_their_shortest_form),
           DURE_TEST(numbers_that_are_whole_come_back_as_integers),
           DURE_TEST(a_full_buffer_is_told_once_at_the_end),
           DURE_TEST(random_objects_agree_with_msgpack_c));
