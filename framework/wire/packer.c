/* SPDX-License-Identifier: MIT
 *
 * Writing MessagePack, always in the shortest form.
 */
#include "wire/packer.h"

#include <math.h>

/* Room for one head and its payload; NULL once the packer has failed. */
static inline uint8_t *packer_room(dure_packer *packer, size_t bytes)
{
    uint8_t *room = NULL;
    if (packer->status != DURE_OK) {
        return NULL;
    }
    packer->status = dure_buf_room(packer->buf, bytes, &room);
    if (packer->status != DURE_OK) {
        return NULL;
    }
    packer->buf->len += bytes;
    return room;
}

/* Shifts of a constant width, which compilers turn into one swap and one store. */
static inline void store_be16(uint8_t *at, uint64_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void store_be32(uint8_t *at, uint64_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static inline void store_be64(uint8_t *at, uint64_t value)
{
    store_be32(at, value >> 32);
    store_be32(at + 4, value);
}

static inline void store_be(uint8_t *at, uint64_t value, unsigned bytes)
{
    switch (bytes) {
    case 0:
        break;
    case 1:
        at[0] = (uint8_t)value;
        break;
    case 2:
        store_be16(at, value);
        break;
    case 4:
        store_be32(at, value);
        break;
    default:
        store_be64(at, value);
        break;
    }
}

static inline void packer_tagged(dure_packer *packer, uint8_t tag, uint64_t value, unsigned bytes)
{
    uint8_t *room = packer_room(packer, 1 + bytes);
    if (room != NULL) {
        room[0] = tag;
        store_be(room + 1, value, bytes);
    }
}

void dure_packer_nil(dure_packer *packer)
{
    packer_tagged(packer, 0xc0, 0, 0);
}

void dure_packer_bool(dure_packer *packer, bool value)
{
    packer_tagged(packer, value ? 0xc3 : 0xc2, 0, 0);
}

void dure_packer_u64(dure_packer *packer, uint64_t value)
{
    if (value < 0x80) {
        packer_tagged(packer, (uint8_t)value, 0, 0);
    } else if (value <= UINT8_MAX) {
        packer_tagged(packer, 0xcc, value, 1);
    } else if (value <= UINT16_MAX) {
        packer_tagged(packer, 0xcd, value, 2);
    } else if (value <= UINT32_MAX) {
        packer_tagged(packer, 0xce, value, 4);
    } else {
        packer_tagged(packer, 0xcf, value, 8);
    }
}

void dure_packer_i64(dure_packer *packer, int64_t value)
{
    if (value >= 0) {
        dure_packer_u64(packer, (uint64_t)value);
    } else if (value >= -32) {
        packer_tagged(packer, (uint8_t)value, 0, 0);
    } else if (value >= INT8_MIN) {
        packer_tagged(packer, 0xd0, (uint64_t)value, 1);
    } else if (value >= INT16_MIN) {
        packer_tagged(packer, 0xd1, (uint64_t)value, 2);
    } else if (value >= INT32_MIN) {
        packer_tagged(packer, 0xd2, (uint64_t)value, 4);
    } else {
        packer_tagged(packer, 0xd3, (uint64_t)value, 8);
    }
}

void dure_packer_f64(dure_packer *packer, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    packer_tagged(packer, 0xcb, bits, 8);
}

void dure_packer_number(dure_packer *packer, double value)
{
    const double exact_max = 9007199254740992.0; /* 2^53 */
    if (value >= -exact_max && value <= exact_max && trunc(value) == value &&
        !(value == 0 && signbit(value))) {
        dure_packer_i64(packer, (int64_t)value);
    } else {
        dure_packer_f64(packer, value);
    }
}

static void packer_run(dure_packer *packer, size_t head, const void *data, size_t len,
                       const uint8_t *head_bytes)
{
    uint8_t *room = packer_room(packer, head + len);
    if (room != NULL) {
        memcpy(room, head_bytes, head);
        if (len > 0) {
            memcpy(room + head, data, len);
        }
    }
}

/* A head of tag8, tag8 + 1 or tag8 + 2 with 1, 2 or 4 bytes of length. */
static size_t head_of(uint8_t head[5], uint8_t tag8, size_t len)
{
    unsigned index = len <= UINT8_MAX ? 0 : len <= UINT16_MAX ? 1 : 2;
    head[0] = (uint8_t)(tag8 + index);
    store_be(head + 1, len, 1u << index);
    return 1 + (1u << index);
}

void dure_packer_str(dure_packer *packer, dure_str value)
{
    if (value.len < 32) {
        uint8_t *room = packer_room(packer, 1 + value.len);
        if (room != NULL) {
            room[0] = (uint8_t)(0xa0u | value.len);
            for (size_t i = 0; i < value.len; i++) {
                room[1 + i] = (uint8_t)value.data[i];
            }
        }
        return;
    }
    uint8_t head[5];
    const size_t head_len = head_of(head, 0xd9, value.len);
    packer_run(packer, head_len, value.data, value.len, head);
}

void dure_packer_cstr(dure_packer *packer, const char *value)
{
    dure_packer_str(packer, dure_str_of(value));
}

void dure_packer_bin(dure_packer *packer, dure_slice value)
{
    uint8_t head[5];
    size_t head_len = head_of(head, 0xc4, value.len);
    packer_run(packer, head_len, value.data, value.len, head);
}

static void packer_container(dure_packer *packer, uint32_t count, uint8_t fix, uint8_t tag16)
{
    if (count < 16) {
        packer_tagged(packer, (uint8_t)(fix | count), 0, 0);
    } else if (count <= UINT16_MAX) {
        packer_tagged(packer, tag16, count, 2);
    } else {
        packer_tagged(packer, (uint8_t)(tag16 + 1), count, 4);
    }
}

void dure_packer_array(dure_packer *packer, uint32_t count)
{
    packer_container(packer, count, 0x90, 0xdc);
}

void dure_packer_map(dure_packer *packer, uint32_t pairs)
{
    packer_container(packer, pairs, 0x80, 0xde);
}

void dure_packer_raw(dure_packer *packer, dure_slice object)
{
    uint8_t *room = packer_room(packer, object.len);
    if (room != NULL && object.len > 0) {
        memcpy(room, object.data, object.len);
    }
}
