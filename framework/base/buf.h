/* SPDX-License-Identifier: MIT
 *
 * A run of bytes that grows up to a cap. Readable bytes are data[0..len). It cannot be made
 * without a cap, so no sender can make us hold more than we meant to.
 */
#ifndef DURE_BASE_BUF_H
#define DURE_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct dure_buf {
    uint8_t *data;
    size_t len;
    size_t _capacity;
    size_t _cap;
} dure_buf;

/*
 * An empty buffer that will hold cap_bytes at most. Allocates nothing.
 */
void dure_buf_init(dure_buf *buf, size_t cap_bytes);

/*
 * Frees the bytes; the buffer is empty and may be used again. A zeroed buffer is fine.
 */
void dure_buf_fini(dure_buf *buf);

/*
 * Makes room for more bytes behind len and points out_room at it; len does not change.
 * Fails: FULL past the cap, NO_MEMORY. Nothing changed.
 */
DURE_CHECKED dure_err dure_buf_reserve(dure_buf *buf, size_t more, uint8_t **out_room);

/*
 * As dure_buf_reserve, without a call where there is room already.
 */
DURE_CHECKED static inline dure_err dure_buf_room(dure_buf *buf, size_t more, uint8_t **out_room)
{
    if (more <= buf->_capacity - buf->len && buf->data != NULL) {
        *out_room = buf->data + buf->len;
        return DURE_OK;
    }
    return dure_buf_reserve(buf, more, out_room);
}

/*
 * Copies len bytes to the end.
 * Borrows: data, for the call.
 * Fails: FULL past the cap, NO_MEMORY. Nothing was appended.
 */
DURE_CHECKED dure_err dure_buf_append(dure_buf *buf, const void *data, size_t len);

/*
 * Drops the first len bytes (at most all of them) and moves the rest to the front.
 */
void dure_buf_consume(dure_buf *buf, size_t len);

/*
 * Empties the buffer and keeps its memory.
 */
void dure_buf_clear(dure_buf *buf);

/*
 * Empties the buffer and gives its memory back, so that an idle owner holds nothing.
 */
void dure_buf_release(dure_buf *buf);

/*
 * Bytes of memory that it holds, however few are readable.
 */
size_t dure_buf_capacity(const dure_buf *buf);

/*
 * The cap in bytes.
 */
size_t dure_buf_cap(const dure_buf *buf);

#endif
