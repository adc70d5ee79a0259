/* SPDX-License-Identifier: MIT
 *
 * The rows of RFC 3629, section 4: the first byte decides the length and the range of the second.
 */
#include "base/utf8.h"

#include "base/compiler.h"

typedef struct utf8_row {
    uint8_t first_min, first_max;
    uint8_t second_min, second_max;
    uint8_t len;
} utf8_row;

static const utf8_row utf8_rows[] = {
    {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
    {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
    {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

static const utf8_row *utf8_row_of(uint8_t first)
{
    for (size_t i = 0; i < DURE_COUNT_OF(utf8_rows); i++) {
        if (first >= utf8_rows[i].first_min && first <= utf8_rows[i].first_max) {
            return &utf8_rows[i];
        }
    }
    return NULL;
}

size_t dure_utf8_sequence(const uint8_t *data, size_t len)
{
    if (len == 0) {
        return 0;
    }
    if (data[0] < 0x80) {
        return 1;
    }
    const utf8_row *row = utf8_row_of(data[0]);
    if (row == NULL || len < row->len) {
        return 0;
    }
    if (data[1] < row->second_min || data[1] > row->second_max) {
        return 0;
    }
    for (size_t i = 2; i < row->len; i++) {
        if ((data[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return row->len;
}

bool dure_utf8_is_valid(const void *data, size_t len)
{
    const uint8_t *bytes = data;
    size_t at = 0;
    while (at < len) {
        if (bytes[at] < 0x80) {
            at++;
            continue;
        }
        size_t step = dure_utf8_sequence(bytes + at, len - at);
        if (step == 0) {
            return false;
        }
        at += step;
    }
    return true;
}

size_t dure_utf8_count(const void *data, size_t len)
{
    const uint8_t *bytes = data;
    size_t count = 0;
    for (size_t i = 0; i < len; i++) {
        count += (bytes[i] & 0xc0) != 0x80;
    }
    return count;
}
