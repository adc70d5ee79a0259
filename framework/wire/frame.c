/* SPDX-License-Identifier: MIT
 *
 * The canonical header stands at constant offsets:
 *   0 ce len32 | 5 96 | 6 kind | 7 ce id32 | 12 ce method32 | 17 ce left32 | 22 cf subject64 | 31
 * 80 | 32 body
 */
#include "wire/frame.h"

#include "base/assert.h"
#include "wire/check.h"
#include "wire/cursor.h"
#include "wire/limits.h"
#include "wire/packer.h"

#define FRAME_LENGTH_BYTES 5 /* the length counts what follows it */
#define FRAME_KIND_AT      6
#define FRAME_ID_AT        8
#define FRAME_LEFT_AT      18
#define FRAME_META_AT      31   /* where the meta map starts */
#define FRAME_META_KEY_MAX 0x7f /* keys are positive fixints */
#define FRAME_KEYS_WORD    64u

const char *dure_frame_kind_name(dure_frame_kind kind)
{
    switch (kind) {
#define FRAME_KIND_NAME(name, number)                                                              \
    case DURE_FRAME_##name:                                                                        \
        return #name;
        DURE_FRAME_KIND_LIST(FRAME_KIND_NAME)
#undef FRAME_KIND_NAME
    default:
        return "UNKNOWN";
    }
}

static inline uint64_t frame_load(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value = (value << 8) | at[i];
    }
    return value;
}

static void frame_store(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    }
}

/* The five tags that must stand before their fields, compared at once; the meta map is looked at
 * apart. */
static bool frame_is_canonical(const uint8_t *data)
{
    return ((data[0] ^ 0xce) | (data[5] ^ 0x96) | (data[6] & 0x80) | (data[7] ^ 0xce) |
            (data[12] ^ 0xce) | (data[17] ^ 0xce) | (data[22] ^ 0xcf)) == 0;
}

static bool frame_has_call_id(dure_frame_kind kind)
{
    return kind == DURE_FRAME_REQUEST || kind == DURE_FRAME_RESPONSE || kind == DURE_FRAME_ERROR ||
           kind == DURE_FRAME_CANCEL;
}

/* Whether a key of a meta map is new in it; notes it. */
static bool frame_note_key(uint64_t seen[2], uint8_t key)
{
    uint64_t *word = &seen[key / FRAME_KEYS_WORD];
    const uint64_t bit = (uint64_t)1 << (key % FRAME_KEYS_WORD);
    const bool is_new = (*word & bit) == 0;
    *word |= bit;
    return is_new;
}

/*
 * The meta map of bytes that were walked already: a fixmap whose keys are small integers, each
 * once. What a key that is not known here says is skipped, as a field that is not known is.
 */
static dure_err frame_meta(const uint8_t *data, size_t len, dure_frame_kind kind,
                           dure_slice *out_meta)
{
    dure_cursor cursor = dure_cursor_of(data, len);
    uint64_t seen[2] = {0, 0};
    const uint32_t pairs = data[0] & 0x0fu;
    if ((data[0] & 0xf0) != 0x80) {
        return DURE_ERR_NOT_CANONICAL;
    }
    if (kind != DURE_FRAME_PART && pairs > DURE_FRAME_META_PAIRS_MAX) {
        return DURE_ERR_PROTOCOL;
    }
    cursor.at++;
    for (uint32_t i = 0; i < pairs; i++) {
        if (dure_cursor_left(&cursor) == 0) {
            return DURE_ERR_MALFORMED;
        }
        const uint8_t key = *cursor.at;
        if (key == 0 || key > FRAME_META_KEY_MAX || !frame_note_key(seen, key)) {
            return DURE_ERR_PROTOCOL;
        }
        cursor.at++;
        const dure_err err = dure_cursor_skip(&cursor);
        if (err != DURE_OK) {
            return err;
        }
    }
    out_meta->data = data;
    out_meta->len = (size_t)(cursor.at - data);
    return DURE_OK;
}

static dure_err frame_rules(const dure_frame *frame)
{
    if (frame->kind > DURE_FRAME_REFUSED) {
        return DURE_ERR_PROTOCOL;
    }
    if (frame->kind == DURE_FRAME_REQUEST && frame->left_ms == 0) {
        return DURE_ERR_PROTOCOL;
    }
    if (frame_has_call_id(frame->kind) && frame->id == 0) {
        return DURE_ERR_PROTOCOL;
    }
    return DURE_OK;
}

/* Meta and body are walked under one budget, so that neither multiplies what the other may cost. */
static dure_err frame_body(const uint8_t *data, size_t len, dure_frame *frame)
{
    const bool has_meta = data[FRAME_META_AT] != 0x80;
    size_t at = has_meta ? FRAME_META_AT : FRAME_META_AT + 1;
    size_t walked = 0;
    dure_err err = dure_check_objects(data + at, len - at, has_meta ? 2 : 1, &walked);
    if (err != DURE_OK) {
        return err;
    }
    if (walked != len - at) {
        return DURE_ERR_MALFORMED;
    }
    frame->meta = (dure_slice){NULL, 0};
    if (has_meta) {
        err = frame_meta(data + at, len - at, frame->kind, &frame->meta);
        if (err != DURE_OK) {
            return err;
        }
        at += frame->meta.len;
    }
    frame->body.data = data + at;
    frame->body.len = len - at;
    return DURE_OK;
}

static void frame_header(const uint8_t *data, dure_frame *out_frame)
{
    out_frame->kind = (dure_frame_kind)data[6];
    out_frame->id = (uint32_t)frame_load(data + 8, 4);
    out_frame->method = (uint32_t)frame_load(data + 13, 4);
    out_frame->left_ms = (uint32_t)frame_load(data + 18, 4);
    out_frame->subject = frame_load(data + 23, 8);
}

size_t dure_frame_whole_bytes(const uint8_t *data)
{
    return FRAME_LENGTH_BYTES + (size_t)frame_load(data + 1, 4);
}

dure_frame_kind dure_frame_kind_of(const uint8_t *whole)
{
    return (dure_frame_kind)whole[FRAME_KIND_AT];
}

uint32_t dure_frame_id(const uint8_t *whole)
{
    return (uint32_t)frame_load(whole + FRAME_ID_AT, 4);
}

uint32_t dure_frame_left_ms(const uint8_t *whole)
{
    return (uint32_t)frame_load(whole + FRAME_LEFT_AT, 4);
}

void dure_frame_set_left_ms(uint8_t *whole, uint32_t left_ms)
{
    frame_store(whole + FRAME_LEFT_AT, left_ms, 4);
}

void dure_frame_retract(uint8_t *whole)
{
    DURE_ASSERT(whole[FRAME_KIND_AT] == DURE_FRAME_REQUEST);
    whole[FRAME_KIND_AT] = DURE_FRAME_CANCEL;
}

dure_err dure_frame_split(dure_slice whole, dure_frame *out_frame)
{
    size_t at = FRAME_META_AT + 1;
    DURE_ASSERT(whole.len > FRAME_META_AT);
    frame_header(whole.data, out_frame);
    out_frame->meta = (dure_slice){NULL, 0};
    if (whole.data[FRAME_META_AT] != 0x80) {
        const dure_err err = frame_meta(whole.data + FRAME_META_AT, whole.len - FRAME_META_AT,
                                        out_frame->kind, &out_frame->meta);
        if (err != DURE_OK) {
            return DURE_ERR_MALFORMED;
        }
        at = FRAME_META_AT + out_frame->meta.len;
    }
    out_frame->body = (dure_slice){whole.data + at, whole.len - at};
    return DURE_OK;
}

dure_err dure_frame_decode(const uint8_t *data, size_t len, size_t frame_max, dure_frame *out_frame,
                           size_t *out_len)
{
    *out_len = DURE_FRAME_HEADER_BYTES + 1;
    if (len > 0 && data[0] != 0xce) {
        return DURE_ERR_NOT_CANONICAL;
    }
    if (len < FRAME_LENGTH_BYTES) {
        return DURE_ERR_MORE;
    }
    const uint64_t following = frame_load(data + 1, 4);
    if (frame_max < FRAME_LENGTH_BYTES || following > frame_max - FRAME_LENGTH_BYTES) {
        return DURE_ERR_TOO_LARGE;
    }
    const size_t whole = FRAME_LENGTH_BYTES + (size_t)following;
    if (whole < DURE_FRAME_HEADER_BYTES + 1) {
        return DURE_ERR_NOT_CANONICAL;
    }
    *out_len = whole;
    if (len >= DURE_FRAME_HEADER_BYTES && !frame_is_canonical(data)) {
        return DURE_ERR_NOT_CANONICAL;
    }
    if (len < whole) {
        return DURE_ERR_MORE;
    }
    frame_header(data, out_frame);
    dure_err err = frame_rules(out_frame);
    return err == DURE_OK ? frame_body(data, whole, out_frame) : err;
}

dure_err dure_frame_begin(dure_buf *buf, const dure_frame *frame, size_t *out_start)
{
    bool has_meta = frame->meta.len > 0;
    if (has_meta && (frame->meta.data[0] & 0xf0) != 0x80) {
        return DURE_ERR_INVALID;
    }
    size_t bytes = FRAME_META_AT + (has_meta ? frame->meta.len : 1);
    uint8_t *room = NULL;
    dure_err err = dure_buf_reserve(buf, bytes, &room);
    if (err != DURE_OK) {
        return err;
    }
    room[0] = 0xce;
    frame_store(room + 1, 0, 4);
    room[5] = 0x96;
    room[6] = (uint8_t)frame->kind;
    room[7] = 0xce;
    frame_store(room + 8, frame->id, 4);
    room[12] = 0xce;
    frame_store(room + 13, frame->method, 4);
    room[17] = 0xce;
    frame_store(room + 18, frame->left_ms, 4);
    room[22] = 0xcf;
    frame_store(room + 23, frame->subject, 8);
    room[FRAME_META_AT] = 0x80;
    if (has_meta) {
        memcpy(room + FRAME_META_AT, frame->meta.data, frame->meta.len);
    }
    *out_start = buf->len;
    buf->len += bytes;
    return DURE_OK;
}

dure_err dure_frame_end(dure_buf *buf, size_t start)
{
    size_t whole = buf->len - start;
    if (whole - FRAME_LENGTH_BYTES > UINT32_MAX) {
        buf->len = start;
        return DURE_ERR_FULL;
    }
    frame_store(buf->data + start + 1, whole - FRAME_LENGTH_BYTES, 4);
    return DURE_OK;
}

dure_err dure_frame_encode(dure_buf *buf, const dure_frame *frame)
{
    size_t start = 0;
    dure_err err = dure_frame_begin(buf, frame, &start);
    if (err != DURE_OK) {
        return err;
    }
    dure_packer packer = dure_packer_of(buf);
    if (frame->body.len > 0) {
        dure_packer_raw(&packer, frame->body);
    } else {
        dure_packer_nil(&packer);
    }
    if (packer.status != DURE_OK) {
        buf->len = start;
        return packer.status;
    }
    return dure_frame_end(buf, start);
}
