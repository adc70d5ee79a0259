/* SPDX-License-Identifier: MIT
 *
 * Writing MessagePack into a dure_buf, always in the shortest form. The first failure (FULL,
 * NO_MEMORY) stays in status and later writes do nothing, so encoders check once, at the end.
 * Thread: owner of the buffer.
 */
#ifndef DURE_WIRE_PACKER_H
#define DURE_WIRE_PACKER_H

#include "base/buf.h"
#include "base/str.h"

typedef struct dure_packer {
    dure_buf *buf;
    dure_err status;
} dure_packer;

/* A packer that appends to buf, which it borrows. */
static inline dure_packer dure_packer_of(dure_buf *buf)
{
    dure_packer packer = {buf, DURE_OK};
    return packer;
}

/* A nil. */
void dure_packer_nil(dure_packer *packer);
/* A boolean. */
void dure_packer_bool(dure_packer *packer, bool value);
/* An integer from 0. */
void dure_packer_u64(dure_packer *packer, uint64_t value);
/* An integer with sign. */
void dure_packer_i64(dure_packer *packer, int64_t value);
/* A float64, whatever the value. */
void dure_packer_f64(dure_packer *packer, double value);
/* An integer where the value is one and fits in 53 bits, else a float64: what clients sent as 3
 * comes back as 3. */
void dure_packer_number(dure_packer *packer, double value);
/* A str; that its bytes are UTF-8 is the caller's care. */
void dure_packer_str(dure_packer *packer, dure_str value);
/* A zero-terminated text as a str. */
void dure_packer_cstr(dure_packer *packer, const char *value);
/* A bin. */
void dure_packer_bin(dure_packer *packer, dure_slice value);
/* The head of an array; its elements are to follow. */
void dure_packer_array(dure_packer *packer, uint32_t count);
/* The head of a map; its keys and values are to follow in turn. */
void dure_packer_map(dure_packer *packer, uint32_t pairs);
/* Bytes that are MessagePack already. */
void dure_packer_raw(dure_packer *packer, dure_slice object);

#endif
