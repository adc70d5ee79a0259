/* SPDX-License-Identifier: MIT
 *
 * A capped buffer that doubles as it grows.
 */
#include "base/buf.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define BUF_FIRST_BYTES 256

void dure_buf_init(dure_buf *buf, size_t cap_bytes)
{
    buf->data = NULL;
    buf->len = 0;
    buf->_capacity = 0;
    buf->_cap = cap_bytes;
}

void dure_buf_fini(dure_buf *buf)
{
    dure_buf_release(buf);
}

static dure_err buf_grow(dure_buf *buf, size_t needed)
{
    size_t capacity = buf->_capacity > 0 ? buf->_capacity : BUF_FIRST_BYTES;
    while (capacity < needed) {
        capacity = capacity > buf->_cap / 2 ? buf->_cap : capacity * 2;
    }
    if (capacity > buf->_cap) {
        capacity = buf->_cap;
    }
    uint8_t *data = dure_mem_realloc(buf->data, capacity);
    if (data == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    DURE_ASSERT(capacity >= needed);
    buf->data = data;
    buf->_capacity = capacity;
    return DURE_OK;
}

dure_err dure_buf_reserve(dure_buf *buf, size_t more, uint8_t **out_room)
{
    if (buf->len > buf->_cap || more > buf->_cap - buf->len) {
        return DURE_ERR_FULL;
    }
    if (buf->len + more > buf->_capacity || buf->data == NULL) {
        dure_err err = buf_grow(buf, buf->len + more);
        if (err != DURE_OK) {
            return err;
        }
    }
    *out_room = buf->data + buf->len;
    return DURE_OK;
}

dure_err dure_buf_append(dure_buf *buf, const void *data, size_t len)
{
    if (len == 0) {
        return DURE_OK;
    }
    DURE_ASSERT(data != NULL);
    uint8_t *room = NULL;
    dure_err err = dure_buf_reserve(buf, len, &room);
    if (err == DURE_OK) {
        memcpy(room, data, len);
        buf->len += len;
    }
    return err;
}

void dure_buf_consume(dure_buf *buf, size_t len)
{
    if (len >= buf->len) {
        buf->len = 0;
        return;
    }
    DURE_ASSERT(buf->len <= buf->_capacity);
    if (len > 0) {
        memmove(buf->data, buf->data + len, buf->len - len);
        buf->len -= len;
    }
}

void dure_buf_clear(dure_buf *buf)
{
    buf->len = 0;
}

void dure_buf_release(dure_buf *buf)
{
    dure_mem_free(buf->data);
    buf->data = NULL;
    buf->len = 0;
    buf->_capacity = 0;
}

size_t dure_buf_capacity(const dure_buf *buf)
{
    return buf->data != NULL ? buf->_capacity : 0;
}

size_t dure_buf_cap(const dure_buf *buf)
{
    return buf->_cap;
}
