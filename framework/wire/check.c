/* SPDX-License-Identifier: MIT
 *
 * The walk keeps, for each depth, how many objects are still to come. An object ends when its own
 * bytes have passed; then containers that it was the last of end with it.
 */
#include "wire/check.h"

/* What the head of one object says. */
typedef struct check_head {
    size_t bytes;     /* of the head itself */
    uint64_t payload; /* bytes behind it that belong to the object */
    uint64_t objects; /* objects inside it */
    int is_container;
} check_head;

void dure_check_init(dure_check *check, size_t bytes_max)
{
    /* _left is written where a container is entered, so the rest of it may hold anything. */
    check->_left[0] = 1;
    check->_skip = 0;
    check->_walked = 0;
    check->_bytes_max = bytes_max;
    check->_elements = 0;
    check->_depth = 0;
    check->_pending = 1;
}

static uint64_t head_be(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value = (value << 8) | at[i];
    }
    return value;
}

/* A head whose length or count is the next `bytes` bytes. */
static dure_err head_sized(const uint8_t *data, size_t len, unsigned bytes, uint64_t *out_value,
                           check_head *head)
{
    head->bytes = 1 + bytes;
    if (len < head->bytes) {
        return DURE_ERR_MORE;
    }
    *out_value = head_be(data + 1, bytes);
    return DURE_OK;
}

static dure_err head_long(const uint8_t *data, size_t len, check_head *head)
{
    uint8_t tag = data[0];
    uint64_t count = 0;
    dure_err err;
    if (tag >= 0xc4 && tag <= 0xc6) { /* bin 8, 16, 32 */
        return head_sized(data, len, 1u << (tag - 0xc4), &head->payload, head);
    }
    if (tag >= 0xc7 && tag <= 0xc9) { /* ext 8, 16, 32: one byte of type before the data */
        err = head_sized(data, len, 1u << (tag - 0xc7), &head->payload, head);
        head->payload++;
        return err;
    }
    if (tag >= 0xd4 && tag <= 0xd8) { /* fixext */
        head->payload = 1 + (1u << (tag - 0xd4));
        return DURE_OK;
    }
    if (tag >= 0xd9 && tag <= 0xdb) { /* str 8, 16, 32 */
        return head_sized(data, len, 1u << (tag - 0xd9), &head->payload, head);
    }
    /* array and map 16, 32 */
    head->is_container = 1;
    err = head_sized(data, len, (tag & 1) != 0 ? 4 : 2, &count, head);
    head->objects = tag >= 0xde ? count * 2 : count;
    return err;
}

static inline dure_err head_read(const uint8_t *data, size_t len, check_head *head)
{
    uint8_t tag = data[0];
    *head = (check_head){1, 0, 0, 0};
    if (tag < 0x80 || tag >= 0xe0 || tag == 0xc0 || tag == 0xc2 || tag == 0xc3) {
        return DURE_OK;
    }
    if (tag < 0xa0) {
        head->is_container = 1;
        head->objects = tag < 0x90 ? (tag & 0x0fu) * 2u : (tag & 0x0fu);
        return DURE_OK;
    }
    if (tag < 0xc0) {
        head->payload = tag & 0x1fu;
        return DURE_OK;
    }
    if (tag == 0xc1) {
        return DURE_ERR_MALFORMED;
    }
    if (tag == 0xca || tag == 0xcb) {
        head->payload = tag == 0xca ? 4 : 8;
        return DURE_OK;
    }
    if ((tag >= 0xcc && tag <= 0xcf) || (tag >= 0xd0 && tag <= 0xd3)) {
        head->payload = 1u << (tag & 3);
        return DURE_OK;
    }
    return head_long(data, len, head);
}

static inline dure_err check_enter(dure_check *check, const check_head *head)
{
    if (!head->is_container) {
        return DURE_OK;
    }
    if (head->objects > DURE_WIRE_ELEMENTS_MAX - check->_elements) {
        return DURE_ERR_TOO_MANY_ELEMENTS;
    }
    check->_elements += (uint32_t)head->objects;
    if (check->_depth >= DURE_WIRE_DEPTH_MAX) {
        return DURE_ERR_TOO_DEEP;
    }
    check->_depth++;
    check->_left[check->_depth] = head->objects;
    return DURE_OK;
}

/* One object ended: so do the containers that it filled. True when the outermost did. */
static inline int check_leave(dure_check *check)
{
    while (check->_left[check->_depth] == 0) {
        if (check->_depth == 0) {
            return 1;
        }
        check->_depth--;
    }
    return 0;
}

static inline uint64_t check_room(const dure_check *check)
{
    return check->_bytes_max > check->_walked ? check->_bytes_max - check->_walked : 0;
}

/* What a head promises, and what was promised before it and is still due, must fit into the bytes
 * that the message may still have. */
static inline dure_err check_budget(dure_check *check, const check_head *head)
{
    uint64_t room = check_room(check);
    uint64_t promised = head->bytes + head->payload + head->objects + check->_pending - 1;
    if (promised <= room) {
        check->_pending += head->objects - 1;
        return DURE_OK;
    }
    return head->is_container && head->bytes <= room ? DURE_ERR_TOO_MANY_ELEMENTS
                                                     : DURE_ERR_TOO_LARGE;
}

static inline size_t check_take(dure_check *check, size_t len)
{
    size_t taken = check->_skip < len ? check->_skip : len;
    check->_skip -= taken;
    check->_walked += taken;
    return taken;
}

/* All bytes of an object whose first byte tells them, 0 for all others. */
static inline size_t scalar_bytes(uint8_t tag)
{
    static const uint8_t by_tag[32] = {1, 0, 1, 1, 0, 0, 0, 0,  0,  0, 5, 9, 2, 3, 5, 9,
                                       2, 3, 5, 9, 3, 4, 6, 10, 18, 0, 0, 0, 0, 0, 0, 0};
    if (tag < 0x80 || tag >= 0xe0) {
        return 1;
    }
    if (tag < 0xa0) {
        return 0;
    }
    return tag < 0xc0 ? 1u + (tag & 0x1fu) : by_tag[tag - 0xc0];
}

/* Steps over scalars that are there whole, as many as the innermost container still has; what it
 * leaves goes the long way. Returns the bytes taken. */
static size_t check_scalars(dure_check *check, const uint8_t *data, size_t len)
{
    const uint64_t room = check_room(check);
    uint64_t *left = &check->_left[check->_depth];
    size_t at = 0;
    while (*left > 0 && at < len) {
        const size_t bytes = scalar_bytes(data[at]);
        if (bytes == 0 || bytes > len - at || at + bytes + check->_pending - 1 > room) {
            break;
        }
        at += bytes;
        *left -= 1;
        check->_pending--;
    }
    check->_walked += at;
    return at;
}

dure_err dure_check_feed(dure_check *check, const uint8_t *data, size_t len, size_t *out_consumed)
{
    size_t at = 0;
    dure_err err = DURE_ERR_MORE;
    for (;;) {
        at += check_take(check, len - at);
        if (check->_skip > 0) {
            break;
        }
        at += check_scalars(check, data + at, len - at);
        if (check_leave(check)) {
            err = DURE_OK;
            break;
        }
        if (at == len) {
            break;
        }
        check_head head;
        err = head_read(data + at, len - at, &head);
        if (err == DURE_ERR_MORE && len - at >= check_room(check)) {
            err = DURE_ERR_TOO_LARGE; /* what is missing of the head has no room any more */
        }
        if (err != DURE_OK) {
            break;
        }
        err = check_budget(check, &head);
        if (err != DURE_OK) {
            break;
        }
        check->_left[check->_depth]--;
        check->_walked += head.bytes;
        at += head.bytes;
        check->_skip = (size_t)head.payload;
        err = check_enter(check, &head);
        if (err != DURE_OK) {
            break;
        }
        err = DURE_ERR_MORE;
    }
    *out_consumed = at;
    return err;
}

dure_err dure_check_objects(const uint8_t *data, size_t len, unsigned count, size_t *out_len)
{
    dure_check check;
    size_t consumed = 0;
    dure_check_init(&check, len);
    check._left[0] = count;
    check._pending = count;
    dure_err err = dure_check_feed(&check, data, len, &consumed);
    if (err == DURE_OK) {
        *out_len = consumed;
        return DURE_OK;
    }
    return err == DURE_ERR_MORE || err == DURE_ERR_TOO_LARGE ? DURE_ERR_MALFORMED : err;
}

dure_err dure_check_object(const uint8_t *data, size_t len, size_t *out_len)
{
    return dure_check_objects(data, len, 1, out_len);
}
