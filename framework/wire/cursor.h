/* SPDX-License-Identifier: MIT
 *
 * Reading MessagePack (msgpack spec, "Formats") where it lies: no allocation, no tree, every bound
 * checked. A cursor moves only when a read succeeds, so a caller may try another type. What it
 * gives out points into the bytes it was made over.
 *
 * Errors of every read: MALFORMED (the bytes end too early or 0xc1), BAD_REQUEST (another type, or
 * a number out of the range asked for). Thread: any.
 */
#ifndef DURE_WIRE_CURSOR_H
#define DURE_WIRE_CURSOR_H

#include "base/err.h"
#include "base/str.h"

typedef struct dure_cursor {
    const uint8_t *at;
    const uint8_t *end;
} dure_cursor;

typedef enum dure_wire_type {
    DURE_WIRE_NONE, /* nothing is left, or 0xc1 */
    DURE_WIRE_NIL,
    DURE_WIRE_BOOL,
    DURE_WIRE_INT,
    DURE_WIRE_FLOAT,
    DURE_WIRE_STR,
    DURE_WIRE_BIN,
    DURE_WIRE_ARRAY,
    DURE_WIRE_MAP,
    DURE_WIRE_EXT
} dure_wire_type;

/* A cursor on the first of len bytes; data may be NULL when len is 0. */
static inline dure_cursor dure_cursor_of(const uint8_t *data, size_t len)
{
    dure_cursor cursor = {data, data != NULL ? data + len : data};
    return cursor;
}

/* The bytes behind the cursor. */
static inline size_t dure_cursor_left(const dure_cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

/* The type of the next object; the cursor does not move. */
dure_wire_type dure_cursor_peek(const dure_cursor *cursor);

/* "nil", "a boolean", "an integer", "a number", "a string", "bytes", "an array", "a map", ... */
const char *dure_wire_type_text(dure_wire_type type);

/* A nil. */
DURE_CHECKED dure_err dure_cursor_nil(dure_cursor *cursor);
/* A boolean. */
DURE_CHECKED dure_err dure_cursor_bool(dure_cursor *cursor, bool *out_value);
/* An integer, in whatever width, from 0. */
DURE_CHECKED dure_err dure_cursor_u64(dure_cursor *cursor, uint64_t *out_value);
/* An integer, in whatever width, of 64 bits with sign. */
DURE_CHECKED dure_err dure_cursor_i64(dure_cursor *cursor, int64_t *out_value);
/* An integer from 0 to 2^32 - 1. */
DURE_CHECKED dure_err dure_cursor_u32(dure_cursor *cursor, uint32_t *out_value);
/* An integer of 32 bits with sign. */
DURE_CHECKED dure_err dure_cursor_i32(dure_cursor *cursor, int32_t *out_value);
/* float32 and float64 only. */
DURE_CHECKED dure_err dure_cursor_f64(dure_cursor *cursor, double *out_value);
/* Any number, integers too; NaN and infinities are refused with BAD_REQUEST. */
DURE_CHECKED dure_err dure_cursor_number(dure_cursor *cursor, double *out_value);
/* A str; its bytes are checked to be UTF-8 (RFC 3629), else BAD_REQUEST. */
DURE_CHECKED dure_err dure_cursor_str(dure_cursor *cursor, dure_str *out_str);
/* A bin. */
DURE_CHECKED dure_err dure_cursor_bin(dure_cursor *cursor, dure_slice *out_bytes);
/* The head of an array: its elements. The cursor stands on the first then, as with maps. */
DURE_CHECKED dure_err dure_cursor_array(dure_cursor *cursor, uint32_t *out_count);
/* The head of a map: its pairs. */
DURE_CHECKED dure_err dure_cursor_map(dure_cursor *cursor, uint32_t *out_pairs);
/* One whole object, nested ones included, as bytes; no recursion. */
DURE_CHECKED dure_err dure_cursor_any(dure_cursor *cursor, dure_slice *out_object);
/* Steps over one whole object. */
DURE_CHECKED dure_err dure_cursor_skip(dure_cursor *cursor);

#endif
