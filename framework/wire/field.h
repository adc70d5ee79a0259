/* SPDX-License-Identifier: MIT
 *
 * What generated decoders are made of: one value read, held against the limits that the schema sets
 * for it, and a mistake that can be told to the one who made it ("place.x: expected a number, got a
 * string"). Handlers never call these. Nothing here allocates; what is read points into the bytes.
 *
 * Every reader returns OK, BAD_REQUEST or MALFORMED and then describes the mistake, where one is
 * asked for (NULL: not), and leaves *out alone. Thread: any.
 */
#ifndef DURE_WIRE_FIELD_H
#define DURE_WIRE_FIELD_H

#include "wire/cursor.h"
#include "wire/packer.h"

#define DURE_MISTAKE_DEPTH      8   /* names kept of a path; a longer path loses its front */
#define DURE_MISTAKE_TEXT_BYTES 320 /* enough for any mistake printed */

typedef struct dure_mistake {
    const char *_path[DURE_MISTAKE_DEPTH]; /* innermost first; NULL: an index */
    uint32_t _index[DURE_MISTAKE_DEPTH];
    uint32_t _depth;
    char _text[128];
} dure_mistake;

/* Describes nothing yet. */
static inline void dure_mistake_init(dure_mistake *mistake)
{
    mistake->_depth = 0;
    mistake->_text[0] = '\0';
}

/* Adds the field, or the index of the element, in which a mistake happened; gives err back. */
DURE_CHECKED dure_err dure_mistake_in(dure_mistake *mistake, const char *field, dure_err err);
DURE_CHECKED dure_err dure_mistake_at(dure_mistake *mistake, uint32_t index, dure_err err);

/* Writes "path: what is wrong" into text, cut to size, and gives text back. */
const char *dure_mistake_print(const dure_mistake *mistake, char *text, size_t size);

/* ---- reading; min and max are allowed themselves ---- */

/* A boolean. */
DURE_CHECKED dure_err dure_field_bool(dure_cursor *cursor, bool *out_value, dure_mistake *mistake);
/* A 32-bit integer from least to most. */
DURE_CHECKED dure_err dure_field_i32(dure_cursor *cursor, int32_t min, int32_t max,
                                     int32_t *out_value, dure_mistake *mistake);
/* A 64-bit integer from least to most. */
DURE_CHECKED dure_err dure_field_i64(dure_cursor *cursor, int64_t min, int64_t max,
                                     int64_t *out_value, dure_mistake *mistake);
/* A 32-bit integer from least to most, none below zero. */
DURE_CHECKED dure_err dure_field_u32(dure_cursor *cursor, uint32_t min, uint32_t max,
                                     uint32_t *out_value, dure_mistake *mistake);
/* A 64-bit integer from least to most, none below zero. */
DURE_CHECKED dure_err dure_field_u64(dure_cursor *cursor, uint64_t min, uint64_t max,
                                     uint64_t *out_value, dure_mistake *mistake);
/* A float of 32 or 64 bits. */
DURE_CHECKED dure_err dure_field_f64(dure_cursor *cursor, double *out_value, dure_mistake *mistake);
/* Any finite number, integers too. */
DURE_CHECKED dure_err dure_field_num(dure_cursor *cursor, double min, double max, double *out_value,
                                     dure_mistake *mistake);
/*
 * Text of min to max characters (code points). Plain text is that of plain.h; the mistake names the
 * character and the rule.
 */
DURE_CHECKED dure_err dure_field_str(dure_cursor *cursor, uint32_t min, uint32_t max, bool plain,
                                     dure_str *out_value, dure_mistake *mistake);
DURE_CHECKED dure_err dure_field_bin(dure_cursor *cursor, uint32_t min, uint32_t max,
                                     dure_slice *out_value, dure_mistake *mistake);
DURE_CHECKED dure_err dure_field_any(dure_cursor *cursor, dure_slice *out_value,
                                     dure_mistake *mistake);

/* ---- heads; the cursor stands on the first element afterwards ---- */

/* A list or map of min to max elements. */
DURE_CHECKED dure_err dure_field_list(dure_cursor *cursor, uint32_t min, uint32_t max,
                                      uint32_t *out_count, dure_mistake *mistake);
DURE_CHECKED dure_err dure_field_map(dure_cursor *cursor, uint32_t min, uint32_t max,
                                     uint32_t *out_count, dure_mistake *mistake);
/* The array of a message's fields, or a record as array or map. */
DURE_CHECKED dure_err dure_field_record(dure_cursor *cursor, uint32_t *out_count,
                                        dure_mistake *mistake);
/* The parameters of a client: not fewer than least, not more than most. */
DURE_CHECKED dure_err dure_field_params(dure_cursor *cursor, uint32_t least, uint32_t most,
                                        uint32_t *out_count, dure_mistake *mistake);
/* The elements from known to count, which a later version of the schema may have added. */
DURE_CHECKED dure_err dure_field_rest(dure_cursor *cursor, uint32_t known, uint32_t count,
                                      dure_mistake *mistake);
/* A field that is not there and has no default that its limits allow; BAD_REQUEST. */
DURE_CHECKED dure_err dure_field_missing(dure_mistake *mistake);
/* Nil, where a value is optional: taken, and true. */
bool dure_field_absent(dure_cursor *cursor);

/* ---- lists and maps that were checked when they were decoded ---- */

/* Stands before the element that begins at bytes into raw (0: the first); false behind the last. */
bool dure_field_next(dure_slice raw, size_t at, dure_cursor *out_cursor);
/* The elements, or pairs, of the list or map in raw; 0 when it is neither. */
uint32_t dure_field_count(dure_slice raw);

/* ---- writing ---- */

/* One MessagePack object; nil for none. */
void dure_field_put_any(dure_packer *packer, dure_slice object);
/* A list or map as it came; without one, an empty list or map. */
void dure_field_put_list(dure_packer *packer, dure_slice raw);
void dure_field_put_map(dure_packer *packer, dure_slice raw);

#endif
