/* SPDX-License-Identifier: MIT
 *
 * What a generated decoder takes can be encoded, is taken again, and is the same then: over
 * messages that are cut short, of other types, and at the ends of their ranges.
 */
#ifndef DURE_TESTS_SUPPORT_ROUND_TRIP_H
#define DURE_TESTS_SUPPORT_ROUND_TRIP_H

#include "wire/field.h"

typedef struct round_trip {
    const char *name;
    size_t size;
    dure_err (*decode)(dure_cursor *cursor, void *out);
    void (*encode)(dure_packer *packer, const void *value);
} round_trip;

/* For a list X(service, message, type), as tests/schema/round_trip_rows.py writes it. */
#define ROUND_TRIP_FUNCTIONS(service, message, type)                                               \
    static dure_err again_decode_##service##_##message(dure_cursor *cursor, void *out)             \
    {                                                                                              \
        dure_mistake mistake;                                                                      \
        return service##_decode_##message(cursor, out, &mistake);                                  \
    }                                                                                              \
    static void again_encode_##service##_##message(dure_packer *packer, const void *value)         \
    {                                                                                              \
        service##_encode_##message(packer, value);                                                 \
    }
#define ROUND_TRIP_ROW(service, message, type)                                                     \
    {#service "." #message, sizeof(type), again_decode_##service##_##message,                      \
     again_encode_##service##_##message},

/* Goes through messages made of the row's own; gives how many the decoder took. */
unsigned round_trip_row(const round_trip *row);

#endif
