/* SPDX-License-Identifier: MIT
 *
 * Link frames (docs/wire.md, section 1): a length, a header of six, a body. With an empty meta map
 * the first two take 32 bytes at constant offsets, so a frame is found and routed without decoding.
 */
#ifndef DURE_WIRE_FRAME_H
#define DURE_WIRE_FRAME_H

#include "base/buf.h"
#include "base/str.h"

#define DURE_FRAME_HEADER_BYTES   32
#define DURE_FRAME_META_PAIRS_MAX 13u /* of a message's own: with a part's two still a fixmap */

#define DURE_FRAME_KIND_LIST(X)                                                                    \
    X(REQUEST, 0)                                                                                  \
    X(RESPONSE, 1)                                                                                 \
    X(NOTIFY, 2)                                                                                   \
    X(ERROR, 3)                                                                                    \
    X(CANCEL, 4)                                                                                   \
    X(PING, 5)                                                                                     \
    X(PONG, 6)                                                                                     \
    X(HELLO, 7)                                                                                    \
    X(WELCOME, 8)                                                                                  \
    X(GOAWAY, 9)                                                                                   \
    X(PART, 10)                                                                                    \
    X(CHALLENGE, 11)                                                                               \
    X(PROOF, 12)                                                                                   \
    X(REFUSED, 13)

typedef enum dure_frame_kind {
#define DURE_FRAME_KIND_ROW(name, number) DURE_FRAME_##name = (number),
    DURE_FRAME_KIND_LIST(DURE_FRAME_KIND_ROW)
#undef DURE_FRAME_KIND_ROW
} dure_frame_kind;

/* "REQUEST" and so on; "UNKNOWN" for a number that is not listed. */
const char *dure_frame_kind_name(dure_frame_kind kind);

typedef struct dure_frame {
    dure_frame_kind kind;
    uint32_t id;
    uint32_t method;
    uint32_t left_ms;
    uint64_t subject;
    dure_slice meta; /* the meta map as bytes; empty (len 0) means the empty map */
    dure_slice body; /* one MessagePack object */
} dure_frame;

/*
 * Finds one frame at the start of data and checks it whole: canonical header, length against
 * frame_max (bytes of the whole frame), meta keys, meta and body by one walk of wire/check.h.
 * out_frame points into data; out_len is the length of the whole frame.
 * Fails: MORE (not complete yet; out_len says how many bytes are needed at least), TOO_LARGE,
 *        NOT_CANONICAL (also a meta that is no fixmap), MALFORMED, TOO_DEEP, TOO_MANY_ELEMENTS,
 *        PROTOCOL (a request with 0 ms left, an unknown kind, a meta key twice or no positive
 *        fixint, more than 13 of them on a frame that is no part).
 */
DURE_CHECKED dure_err dure_frame_decode(const uint8_t *data, size_t len, size_t frame_max,
                                        dure_frame *out_frame, size_t *out_len);

/*
 * The fields of one whole frame that was checked or written here: header, meta and body are found,
 * the body is not walked again. Fails: MALFORMED (a meta that does not end).
 */
DURE_CHECKED dure_err dure_frame_split(dure_slice whole, dure_frame *out_frame);

/* The length of the whole frame at whose start data points, from its first five bytes. */
size_t dure_frame_whole_bytes(const uint8_t *data);

/* Kind, id and milliseconds left, as they stand in a header of 32 bytes, checked or not. */
dure_frame_kind dure_frame_kind_of(const uint8_t *whole);
uint32_t dure_frame_id(const uint8_t *whole);
uint32_t dure_frame_left_ms(const uint8_t *whole);

/* Writes the milliseconds left of such a frame anew. */
void dure_frame_set_left_ms(uint8_t *whole, uint32_t left_ms);

/* Turns a request that nobody waits for any more into a cancel of itself, of the same length. */
void dure_frame_retract(uint8_t *whole);

/*
 * Appends a whole frame. An empty body is written as nil.
 * Fails: FULL, NO_MEMORY, INVALID (a meta that is no map). Nothing was appended.
 */
DURE_CHECKED dure_err dure_frame_encode(dure_buf *buf, const dure_frame *frame);

/*
 * The two halves of encode, for a body that is packed in place: begin appends the header
 * (frame->body is not read) and tells where the frame starts; end writes the length of what was
 * appended since. Fails: as encode; buf is as it was before begin.
 */
DURE_CHECKED dure_err dure_frame_begin(dure_buf *buf, const dure_frame *frame, size_t *out_start);
DURE_CHECKED dure_err dure_frame_end(dure_buf *buf, size_t start);

#endif
