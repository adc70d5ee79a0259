/* SPDX-License-Identifier: MIT
 *
 * Reading MessagePack where it lies. Every read works on a copy of the cursor and gives it back
 * only when all of it was there.
 */
#include "wire/cursor.h"

#include <math.h>

#include "base/utf8.h"
#include "wire/check.h"

/* Shifts of a constant width, which compilers turn into one load and one swap. */
static inline uint64_t load_be32(const uint8_t *at)
{
    return (uint64_t)at[0] << 24 | (uint64_t)at[1] << 16 | (uint64_t)at[2] << 8 | at[3];
}

static inline uint64_t load_be(const uint8_t *at, unsigned bytes)
{
    switch (bytes) {
    case 1:
        return at[0];
    case 2:
        return (uint64_t)at[0] << 8 | at[1];
    case 4:
        return load_be32(at);
    default:
        return load_be32(at) << 32 | load_be32(at + 4);
    }
}

static bool cursor_has(const dure_cursor *cursor, size_t bytes)
{
    return dure_cursor_left(cursor) >= bytes;
}

dure_wire_type dure_cursor_peek(const dure_cursor *cursor)
{
    static const uint8_t by_tag[32] = {
        /* 0xc0 */ DURE_WIRE_NIL,   DURE_WIRE_NONE,  DURE_WIRE_BOOL,  DURE_WIRE_BOOL,
        /* 0xc4 */ DURE_WIRE_BIN,   DURE_WIRE_BIN,   DURE_WIRE_BIN,   DURE_WIRE_EXT,
        /* 0xc8 */ DURE_WIRE_EXT,   DURE_WIRE_EXT,   DURE_WIRE_FLOAT, DURE_WIRE_FLOAT,
        /* 0xcc */ DURE_WIRE_INT,   DURE_WIRE_INT,   DURE_WIRE_INT,   DURE_WIRE_INT,
        /* 0xd0 */ DURE_WIRE_INT,   DURE_WIRE_INT,   DURE_WIRE_INT,   DURE_WIRE_INT,
        /* 0xd4 */ DURE_WIRE_EXT,   DURE_WIRE_EXT,   DURE_WIRE_EXT,   DURE_WIRE_EXT,
        /* 0xd8 */ DURE_WIRE_EXT,   DURE_WIRE_STR,   DURE_WIRE_STR,   DURE_WIRE_STR,
        /* 0xdc */ DURE_WIRE_ARRAY, DURE_WIRE_ARRAY, DURE_WIRE_MAP,   DURE_WIRE_MAP};
    if (!cursor_has(cursor, 1)) {
        return DURE_WIRE_NONE;
    }
    uint8_t tag = *cursor->at;
    if (tag < 0x80 || tag >= 0xe0) {
        return DURE_WIRE_INT;
    }
    if (tag < 0x90) {
        return DURE_WIRE_MAP;
    }
    if (tag < 0xa0) {
        return DURE_WIRE_ARRAY;
    }
    return tag < 0xc0 ? DURE_WIRE_STR : (dure_wire_type)by_tag[tag - 0xc0];
}

const char *dure_wire_type_text(dure_wire_type type)
{
    static const char *const texts[] = {"nothing", "nil",         "a boolean", "an integer",
                                        "a float", "a string",    "bytes",     "an array",
                                        "a map",   "an extension"};
    return texts[type];
}

/* What is wrong when the next object is not of the type asked for. */
static dure_err cursor_mismatch(const dure_cursor *cursor)
{
    return dure_cursor_peek(cursor) == DURE_WIRE_NONE ? DURE_ERR_MALFORMED : DURE_ERR_BAD_REQUEST;
}

dure_err dure_cursor_nil(dure_cursor *cursor)
{
    if (!cursor_has(cursor, 1) || *cursor->at != 0xc0) {
        return cursor_mismatch(cursor);
    }
    cursor->at++;
    return DURE_OK;
}

dure_err dure_cursor_bool(dure_cursor *cursor, bool *out_value)
{
    if (!cursor_has(cursor, 1) || (*cursor->at & 0xfe) != 0xc2) {
        return cursor_mismatch(cursor);
    }
    *out_value = (*cursor->at & 1) != 0;
    cursor->at++;
    return DURE_OK;
}

/* Any integer, as its 64 bits and whether it is below zero. */
static dure_err cursor_int(dure_cursor *cursor, uint64_t *out_bits, bool *out_negative)
{
    if (dure_cursor_peek(cursor) != DURE_WIRE_INT) {
        return cursor_mismatch(cursor);
    }
    uint8_t tag = *cursor->at;
    *out_negative = false;
    if (tag < 0x80) {
        *out_bits = tag;
        cursor->at++;
        return DURE_OK;
    }
    if (tag >= 0xe0) {
        *out_bits = (uint64_t)(int64_t)(int8_t)tag;
        *out_negative = true;
        cursor->at++;
        return DURE_OK;
    }
    unsigned bytes = 1u << (tag & 3);
    if (!cursor_has(cursor, 1 + bytes)) {
        return DURE_ERR_MALFORMED;
    }
    uint64_t bits = load_be(cursor->at + 1, bytes);
    if (tag >= 0xd0) {
        unsigned shift = 64 - 8 * bytes;
        uint64_t sign = bits >> (8 * bytes - 1);
        *out_negative = sign != 0;
        bits = sign != 0 && shift > 0 ? bits | (UINT64_MAX << (8 * bytes)) : bits;
    }
    *out_bits = bits;
    cursor->at += 1 + bytes;
    return DURE_OK;
}

dure_err dure_cursor_u64(dure_cursor *cursor, uint64_t *out_value)
{
    dure_cursor at = *cursor;
    bool is_negative = false;
    uint64_t bits = 0;
    dure_err err = cursor_int(&at, &bits, &is_negative);
    if (err != DURE_OK) {
        return err;
    }
    if (is_negative) {
        return DURE_ERR_BAD_REQUEST;
    }
    *cursor = at;
    *out_value = bits;
    return DURE_OK;
}

dure_err dure_cursor_i64(dure_cursor *cursor, int64_t *out_value)
{
    dure_cursor at = *cursor;
    bool is_negative = false;
    uint64_t bits = 0;
    dure_err err = cursor_int(&at, &bits, &is_negative);
    if (err != DURE_OK) {
        return err;
    }
    if (!is_negative && bits > INT64_MAX) {
        return DURE_ERR_BAD_REQUEST;
    }
    *cursor = at;
    *out_value = (int64_t)bits;
    return DURE_OK;
}

dure_err dure_cursor_u32(dure_cursor *cursor, uint32_t *out_value)
{
    dure_cursor at = *cursor;
    uint64_t value = 0;
    dure_err err = dure_cursor_u64(&at, &value);
    if (err != DURE_OK || value > UINT32_MAX) {
        return err != DURE_OK ? err : DURE_ERR_BAD_REQUEST;
    }
    *cursor = at;
    *out_value = (uint32_t)value;
    return DURE_OK;
}

dure_err dure_cursor_i32(dure_cursor *cursor, int32_t *out_value)
{
    dure_cursor at = *cursor;
    int64_t value = 0;
    dure_err err = dure_cursor_i64(&at, &value);
    if (err != DURE_OK || value > INT32_MAX || value < INT32_MIN) {
        return err != DURE_OK ? err : DURE_ERR_BAD_REQUEST;
    }
    *cursor = at;
    *out_value = (int32_t)value;
    return DURE_OK;
}

dure_err dure_cursor_f64(dure_cursor *cursor, double *out_value)
{
    if (dure_cursor_peek(cursor) != DURE_WIRE_FLOAT) {
        return cursor_mismatch(cursor);
    }
    if (*cursor->at == 0xca) {
        if (!cursor_has(cursor, 5)) {
            return DURE_ERR_MALFORMED;
        }
        uint32_t bits = (uint32_t)load_be(cursor->at + 1, 4);
        float value;
        memcpy(&value, &bits, sizeof value);
        *out_value = (double)value;
        cursor->at += 5;
        return DURE_OK;
    }
    if (!cursor_has(cursor, 9)) {
        return DURE_ERR_MALFORMED;
    }
    uint64_t bits = load_be(cursor->at + 1, 8);
    memcpy(out_value, &bits, sizeof *out_value);
    cursor->at += 9;
    return DURE_OK;
}

dure_err dure_cursor_number(dure_cursor *cursor, double *out_value)
{
    dure_cursor at = *cursor;
    double value = 0;
    dure_err err;
    if (dure_cursor_peek(cursor) == DURE_WIRE_INT) {
        bool is_negative = false;
        uint64_t bits = 0;
        err = cursor_int(&at, &bits, &is_negative);
        value = is_negative ? (double)(int64_t)bits : (double)bits;
    } else {
        err = dure_cursor_f64(&at, &value);
    }
    if (err != DURE_OK || !isfinite(value)) {
        return err != DURE_OK ? err : DURE_ERR_BAD_REQUEST;
    }
    *cursor = at;
    *out_value = value;
    return DURE_OK;
}

/* ---- runs of bytes ---- */

/* After a tag: a length of so many bytes, then the bytes. */
static dure_err cursor_run(dure_cursor *cursor, unsigned length_bytes, size_t fixed,
                           const uint8_t **out_data, size_t *out_len)
{
    if (!cursor_has(cursor, 1 + length_bytes)) {
        return DURE_ERR_MALFORMED;
    }
    size_t len = length_bytes > 0 ? (size_t)load_be(cursor->at + 1, length_bytes) : fixed;
    if (dure_cursor_left(cursor) - 1 - length_bytes < len) {
        return DURE_ERR_MALFORMED;
    }
    *out_data = cursor->at + 1 + length_bytes;
    *out_len = len;
    cursor->at = *out_data + len;
    return DURE_OK;
}

dure_err dure_cursor_str(dure_cursor *cursor, dure_str *out_str)
{
    if (dure_cursor_peek(cursor) != DURE_WIRE_STR) {
        return cursor_mismatch(cursor);
    }
    dure_cursor at = *cursor;
    uint8_t tag = *at.at;
    const uint8_t *data = NULL;
    size_t len = 0;
    dure_err err = tag < 0xc0 ? cursor_run(&at, 0, tag & 0x1f, &data, &len)
                              : cursor_run(&at, 1u << (tag - 0xd9), 0, &data, &len);
    if (err != DURE_OK) {
        return err;
    }
    if (!dure_utf8_is_valid((const char *)data, len)) {
        return DURE_ERR_BAD_REQUEST;
    }
    *cursor = at;
    out_str->data = (const char *)data;
    out_str->len = len;
    return DURE_OK;
}

dure_err dure_cursor_bin(dure_cursor *cursor, dure_slice *out_bytes)
{
    if (dure_cursor_peek(cursor) != DURE_WIRE_BIN) {
        return cursor_mismatch(cursor);
    }
    return cursor_run(cursor, 1u << (*cursor->at - 0xc4), 0, &out_bytes->data, &out_bytes->len);
}

/* ---- containers ---- */

static dure_err cursor_head(dure_cursor *cursor, dure_wire_type type, uint8_t tag16,
                            uint32_t *out_count)
{
    if (dure_cursor_peek(cursor) != type) {
        return cursor_mismatch(cursor);
    }
    uint8_t tag = *cursor->at;
    if (tag < 0xa0) {
        *out_count = tag & 0x0f;
        cursor->at++;
        return DURE_OK;
    }
    unsigned bytes = tag == tag16 ? 2 : 4;
    if (!cursor_has(cursor, 1 + bytes)) {
        return DURE_ERR_MALFORMED;
    }
    *out_count = (uint32_t)load_be(cursor->at + 1, bytes);
    cursor->at += 1 + bytes;
    return DURE_OK;
}

dure_err dure_cursor_array(dure_cursor *cursor, uint32_t *out_count)
{
    return cursor_head(cursor, DURE_WIRE_ARRAY, 0xdc, out_count);
}

dure_err dure_cursor_map(dure_cursor *cursor, uint32_t *out_pairs)
{
    return cursor_head(cursor, DURE_WIRE_MAP, 0xde, out_pairs);
}

dure_err dure_cursor_any(dure_cursor *cursor, dure_slice *out_object)
{
    size_t len = 0;
    dure_err err = dure_check_object(cursor->at, dure_cursor_left(cursor), &len);
    if (err != DURE_OK) {
        return DURE_ERR_MALFORMED;
    }
    out_object->data = cursor->at;
    out_object->len = len;
    cursor->at += len;
    return DURE_OK;
}

dure_err dure_cursor_skip(dure_cursor *cursor)
{
    dure_slice object;
    return dure_cursor_any(cursor, &object);
}
