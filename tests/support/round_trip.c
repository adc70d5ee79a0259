/* SPDX-License-Identifier: MIT
 *
 * Each message begins as the encoding of a struct of zeros, which has the right types. Its elements
 * are then left as they are, replaced by another value of their type or of any, or cut off.
 */
#include "support/round_trip.h"

#include <string.h>

#include "base/rng.h"
#include "support/check.h"

#define TRIES     100000u
#define TAKEN_MAX 500u
#define BYTES_MAX 4096u
#define DEPTH_MAX 4u

typedef union room {
    uint64_t words[256];
    double number;
    void *pointer;
} room;

static void put_text(dure_packer *packer, uint32_t pick)
{
    static const char *const texts[] = {"", "a", "lobby", "\xeb\x91\x90"};
    dure_packer_cstr(packer, texts[pick % 4]);
}

static void put_any(dure_packer *packer, dure_wire_type type, uint32_t pick)
{
    switch (type) {
    case DURE_WIRE_NIL:
        dure_packer_nil(packer);
        return;
    case DURE_WIRE_BOOL:
        dure_packer_bool(packer, pick % 2 == 0);
        return;
    case DURE_WIRE_INT:
        if (pick % 4 == 0) {
            dure_packer_i64(packer, -1);
        } else {
            dure_packer_u64(packer, pick % 4 == 1 ? UINT64_MAX : pick % 8);
        }
        return;
    case DURE_WIRE_FLOAT:
        dure_packer_f64(packer, (double)(pick % 5) - 1.5);
        return;
    case DURE_WIRE_STR:
        put_text(packer, pick);
        return;
    case DURE_WIRE_BIN:
        dure_packer_bin(packer, (dure_slice){(const uint8_t *)"bytes", pick % 6});
        return;
    case DURE_WIRE_ARRAY:
        dure_packer_array(packer, pick % 3);
        for (uint32_t i = 0; i < pick % 3; i++) {
            if (pick % 2 == 0) {
                put_text(packer, pick / 3);
            } else {
                dure_packer_u64(packer, pick);
            }
        }
        return;
    case DURE_WIRE_MAP:
    case DURE_WIRE_EXT:
    case DURE_WIRE_NONE:
    default:
        dure_packer_map(packer, pick % 2);
        if (pick % 2 == 1) {
            put_text(packer, 1);
            dure_packer_u64(packer, pick);
        }
        return;
    }
}

static void put_elements(dure_packer *packer, dure_cursor *cursor, dure_rng *rng, unsigned depth);

/* An object as it is, changed inside, or another one in its place. */
static void put_changed(dure_packer *packer, dure_cursor *cursor, dure_rng *rng, unsigned depth)
{
    dure_wire_type type = dure_cursor_peek(cursor);
    dure_cursor inside = *cursor;
    dure_slice object;
    DURE_REQUIRE_OK(dure_cursor_any(cursor, &object));
    uint32_t what = (uint32_t)dure_rng_below(rng, 8);
    uint32_t pick = (uint32_t)dure_rng_below(rng, 1000);
    bool has_elements = (type == DURE_WIRE_ARRAY || type == DURE_WIRE_MAP) && object.len > 1;
    if (has_elements && depth < DEPTH_MAX && what < 6) {
        put_elements(packer, &inside, rng, depth + 1);
    } else if (what < 3) {
        dure_packer_raw(packer, object);
    } else if (what < 7) {
        put_any(packer, type, pick);
    } else {
        put_any(packer, (dure_wire_type)(pick % DURE_WIRE_EXT), pick);
    }
}

/* The elements of an array or map, of every second one not all. */
static void put_elements(dure_packer *packer, dure_cursor *cursor, dure_rng *rng, unsigned depth)
{
    uint32_t count = 0;
    bool is_map = dure_cursor_peek(cursor) == DURE_WIRE_MAP;
    DURE_REQUIRE_OK(is_map ? dure_cursor_map(cursor, &count) : dure_cursor_array(cursor, &count));
    if (dure_rng_below(rng, 2) == 1) {
        count = (uint32_t)dure_rng_below(rng, count + 1);
    }
    if (is_map) {
        dure_packer_map(packer, count);
    } else {
        dure_packer_array(packer, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        dure_slice key;
        if (is_map) {
            DURE_REQUIRE_OK(dure_cursor_any(cursor, &key));
            dure_packer_raw(packer, key);
        }
        put_changed(packer, cursor, rng, depth);
    }
}

static void make_message(dure_buf *out, const dure_buf *zero, dure_rng *rng)
{
    dure_packer packer = dure_packer_of(out);
    dure_cursor cursor = dure_cursor_of(zero->data, zero->len);
    dure_wire_type type = dure_cursor_peek(&cursor);
    dure_buf_clear(out);
    if (type == DURE_WIRE_ARRAY || type == DURE_WIRE_MAP) {
        put_elements(&packer, &cursor, rng, 0);
    } else {
        put_changed(&packer, &cursor, rng, 0);
    }
}

static dure_err decode(const round_trip *row, const dure_buf *bytes, room *out)
{
    dure_cursor cursor = dure_cursor_of(bytes->data, bytes->len);
    memset(out, 0xa5, sizeof *out);
    return row->decode(&cursor, out);
}

static void encode(const round_trip *row, dure_buf *bytes, const room *value)
{
    dure_packer packer = dure_packer_of(bytes);
    dure_buf_clear(bytes);
    row->encode(&packer, value);
    DURE_CHECK_OK(packer.status);
}

unsigned round_trip_row(const round_trip *row)
{
    dure_buf zero, first, second, third;
    dure_rng rng;
    room value;
    unsigned taken = 0;
    DURE_REQUIRE(row->size <= sizeof value);
    dure_rng_init(&rng, 1);
    dure_buf *all[] = {&zero, &first, &second, &third};
    for (size_t i = 0; i < 4; i++) {
        dure_buf_init(all[i], BYTES_MAX);
    }
    memset(&value, 0, sizeof value);
    encode(row, &zero, &value);
    for (unsigned i = 0; i < TRIES && taken < TAKEN_MAX; i++) {
        make_message(&first, &zero, &rng);
        if (decode(row, &first, &value) != DURE_OK) {
            continue;
        }
        taken++;
        encode(row, &second, &value);
        dure_err err = decode(row, &second, &value);
        if (err != DURE_OK) {
            DURE_CHECK_STR(row->name, "takes what it has taken");
            break;
        }
        encode(row, &third, &value);
        DURE_CHECK_BYTES(third.data, third.len, second.data, second.len);
    }
    for (size_t i = 0; i < 4; i++) {
        dure_buf_fini(all[i]);
    }
    return taken;
}
