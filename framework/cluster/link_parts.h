/* SPDX-License-Identifier: MIT
 *
 * Bodies in parts (docs/wire.md): how a part is written, and how the parts of one connection are
 * put together. What a peer announces is held against three bounds before any of it is kept: a
 * body, the open bodies of a link, and those of all links together. What nobody waits for any more
 * (the milliseconds of its request have passed, or no part of it has come for long) is dropped; its
 * parts that still come are passed over.
 *
 * Owner thread only.
 */
#ifndef DURE_CLUSTER_LINK_PARTS_H
#define DURE_CLUSTER_LINK_PARTS_H

#include "base/list.h"
#include "wire/frame.h"

#define DURE_PARTS_META_MAX    512u   /* bytes of a message's own meta map */
#define DURE_PARTS_STREAMS_MAX 8u     /* bodies of a link that may be open at a time */
#define DURE_PARTS_STALL_MS    30000u /* without a part: write_stall_ms by default, thrice */

typedef struct dure_part {
    uint32_t stream;
    uint32_t index;
    uint64_t total; /* bytes of the whole body */
} dure_part;

/*
 * Appends a part of a message: its header is the message's, its meta the message's (with part 0
 * only) and the keys 4 and 5. Fails: FULL, NO_MEMORY, INVALID (a meta of more than 13 keys).
 */
DURE_CHECKED dure_err dure_part_encode(dure_buf *buf, const dure_frame *message,
                                       const dure_part *part, dure_slice piece);

typedef struct dure_link_parts {
    uint64_t _body_max;
    uint64_t *_total; /* of all links: bytes announced by bodies that are open */
    uint64_t _total_max;
    uint64_t open_bytes; /* of this link: announced by bodies that are open */
    dure_list _streams;
    uint32_t _stream_count;  /* that are open */
    uint32_t _dropped_count; /* whose rest may still come */
    void *_done;             /* the body that was given out last */
    uint64_t parts_heard;    /* in all */
    uint64_t bodies_joined;  /* in all */
} dure_link_parts;

/* A link may have two bodies' worth open. Allocates nothing. Borrows: total, for life. */
void dure_link_parts_init(dure_link_parts *parts, uint64_t body_max, uint64_t *total,
                          uint64_t total_max);
/* Gives back what is open. */
void dure_link_parts_fini(dure_link_parts *parts);

/*
 * Takes a frame of kind part. *out_is_whole: it was the last one, and out_whole is the message,
 * lent until dure_link_parts_release. What fails ends the link: out_text says what was wrong.
 * Fails: PROTOCOL (order, shape, more than 8 open), TOO_LARGE (a body, or those of this link),
 *        OVERLOADED (those of all links), NO_MEMORY, as dure_check_object (the whole body).
 */
DURE_CHECKED dure_err dure_link_parts_add(dure_link_parts *parts, const dure_frame *frame,
                                          uint64_t now_ms, dure_frame *out_whole,
                                          bool *out_is_whole, const char **out_text);

/* Drops what nobody waits for any more. */
void dure_link_parts_expire(dure_link_parts *parts, uint64_t now_ms);
/* The whole message was used. */
void dure_link_parts_release(dure_link_parts *parts);

/* The peer gave a request up: forgets its parts, if there are any. */
void dure_link_parts_cancel(dure_link_parts *parts, uint32_t id);

#endif
