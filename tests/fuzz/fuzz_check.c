/* SPDX-License-Identifier: MIT
 *
 * The walk: at once and byte by byte it says the same, and what it calls whole a cursor can skip.
 */
#include "base/assert.h"
#include "fuzz.h"
#include "wire/check.h"
#include "wire/cursor.h"

static dure_err feed_bytes(const uint8_t *data, size_t size, size_t *out_walked)
{
    dure_check check;
    dure_err err = DURE_ERR_MORE;
    dure_check_init(&check, size);
    *out_walked = 0;
    for (size_t there = 1; there <= size && err == DURE_ERR_MORE; there++) {
        size_t consumed = 0;
        err = dure_check_feed(&check, data + *out_walked, there - *out_walked, &consumed);
        *out_walked += consumed;
        DURE_ASSERT(*out_walked <= there);
    }
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t len = 0;
    size_t walked = 0;
    const dure_err err = dure_check_object(data, size, &len);
    const dure_err in_pieces = feed_bytes(data, size, &walked);
    DURE_ASSERT((err == DURE_OK) == (in_pieces == DURE_OK));
    if (err == DURE_OK) {
        dure_cursor cursor = dure_cursor_of(data, size);
        DURE_ASSERT(len == walked);
        DURE_ASSERT(len <= size);
        DURE_ASSERT(dure_cursor_skip(&cursor) == DURE_OK);
        DURE_ASSERT(dure_cursor_left(&cursor) == size - len);
    }
    return 0;
}
