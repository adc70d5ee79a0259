/* SPDX-License-Identifier: MIT
 *
 * Parts are written and put together; see link_parts.h.
 */
#include "cluster/link_parts.h"

#include "base/assert.h"
#include "base/mem.h"
#include "wire/check.h"
#include "wire/cursor.h"
#include "wire/packer.h"

#define META_PART 4u
#define META_KIND 5u

/* A body that is not whole yet. */
typedef struct stream {
    dure_list node;
    dure_part part; /* index: of the next one */
    dure_frame message;
    uint64_t received;   /* bytes of the body */
    uint64_t expires_ms; /* nobody waits for it from then on */
    bool is_dropped;     /* it holds no bytes, and counts for no bound */
    dure_buf meta;
    dure_buf body;
} stream;

/* What the meta of a part says. */
typedef struct part_meta {
    dure_part part;
    dure_frame_kind kind;
    bool has_part;
    bool has_kind;
} part_meta;

/* ---- writing ---- */

static dure_err pack_meta(dure_packer *packer, const dure_frame *message, const dure_part *part)
{
    const bool has_own = part->index == 0 && message->meta.len > 1;
    const uint32_t own = has_own ? message->meta.data[0] & 0x0fu : 0;
    if (own > DURE_FRAME_META_PAIRS_MAX || (has_own && (message->meta.data[0] & 0xf0) != 0x80)) {
        return DURE_ERR_INVALID;
    }
    dure_packer_map(packer, own + 2);
    if (has_own) {
        dure_packer_raw(packer, (dure_slice){message->meta.data + 1, message->meta.len - 1});
    }
    dure_packer_u64(packer, META_PART);
    dure_packer_array(packer, 3);
    dure_packer_u64(packer, part->stream);
    dure_packer_u64(packer, part->index);
    dure_packer_u64(packer, part->total);
    dure_packer_u64(packer, META_KIND);
    dure_packer_u64(packer, (uint64_t)message->kind);
    return packer->status;
}

dure_err dure_part_encode(dure_buf *buf, const dure_frame *message, const dure_part *part,
                          dure_slice piece)
{
    dure_frame frame = *message;
    dure_buf meta;
    size_t start = 0;
    dure_buf_init(&meta, DURE_PARTS_META_MAX + 64);
    dure_packer packer = dure_packer_of(&meta);
    dure_err err = pack_meta(&packer, message, part);
    if (err != DURE_OK) {
        goto out;
    }
    frame.kind = DURE_FRAME_PART;
    frame.meta = (dure_slice){meta.data, meta.len};
    err = dure_frame_begin(buf, &frame, &start);
    if (err != DURE_OK) {
        goto out;
    }
    packer = dure_packer_of(buf);
    dure_packer_bin(&packer, piece);
    err = packer.status == DURE_OK ? dure_frame_end(buf, start) : packer.status;
out:
    dure_buf_fini(&meta);
    return err;
}

/* ---- streams ---- */

void dure_link_parts_init(dure_link_parts *parts, uint64_t body_max, uint64_t *total,
                          uint64_t total_max)
{
    memset(parts, 0, sizeof *parts);
    parts->_body_max = body_max;
    parts->_total = total;
    parts->_total_max = total_max;
    dure_list_init(&parts->_streams);
}

static void stream_free(stream *s)
{
    dure_buf_fini(&s->meta);
    dure_buf_fini(&s->body);
    dure_mem_free(s);
}

static void stream_close(dure_link_parts *parts, stream *s)
{
    dure_list_remove(&s->node);
    if (s->is_dropped) {
        DURE_ASSERT(parts->_dropped_count > 0);
        parts->_dropped_count--;
        return;
    }
    DURE_ASSERT(parts->_stream_count > 0);
    DURE_ASSERT(parts->open_bytes >= s->part.total);
    DURE_ASSERT(*parts->_total >= s->part.total);
    parts->_stream_count--;
    parts->open_bytes -= s->part.total;
    *parts->_total -= s->part.total;
}

/* Of more than a few that were dropped the ones dropped first are forgotten: their senders have
 * said nothing of them. */
static void forget_dropped(dure_link_parts *parts)
{
    dure_list *node = parts->_streams.next;
    while (parts->_dropped_count > DURE_PARTS_STREAMS_MAX) {
        stream *s = DURE_CONTAINER_OF(node, stream, node);
        node = node->next;
        if (s->is_dropped) {
            stream_close(parts, s);
            stream_free(s);
        }
    }
}

static void stream_drop(dure_link_parts *parts, stream *s)
{
    DURE_ASSERT(!s->is_dropped);
    stream_close(parts, s);
    dure_buf_release(&s->meta);
    dure_buf_release(&s->body);
    s->is_dropped = true;
    parts->_dropped_count++;
    dure_list_push_back(&parts->_streams, &s->node); /* behind those that were dropped before it */
}

void dure_link_parts_expire(dure_link_parts *parts, uint64_t now_ms)
{
    dure_list *next = NULL;
    for (dure_list *node = parts->_streams.next; node != &parts->_streams; node = next) {
        stream *s = DURE_CONTAINER_OF(node, stream, node);
        next = node->next;
        if (!s->is_dropped && now_ms >= s->expires_ms) {
            stream_drop(parts, s);
        }
    }
    forget_dropped(parts);
}

void dure_link_parts_release(dure_link_parts *parts)
{
    if (parts->_done != NULL) {
        stream_free(parts->_done);
        parts->_done = NULL;
    }
}

void dure_link_parts_fini(dure_link_parts *parts)
{
    while (!dure_list_is_empty(&parts->_streams)) {
        stream *s = DURE_CONTAINER_OF(parts->_streams.next, stream, node);
        stream_close(parts, s);
        stream_free(s);
    }
    dure_link_parts_release(parts);
}

static stream *find_stream(dure_link_parts *parts, uint32_t number)
{
    for (dure_list *node = parts->_streams.next; node != &parts->_streams; node = node->next) {
        stream *s = DURE_CONTAINER_OF(node, stream, node);
        if (s->part.stream == number) {
            return s;
        }
    }
    return NULL;
}

void dure_link_parts_cancel(dure_link_parts *parts, uint32_t id)
{
    for (dure_list *node = parts->_streams.next; node != &parts->_streams; node = node->next) {
        stream *s = DURE_CONTAINER_OF(node, stream, node);
        if (s->message.kind == DURE_FRAME_REQUEST && s->message.id == id) {
            stream_close(parts, s);
            stream_free(s);
            return;
        }
    }
}

/* ---- reading ---- */

static dure_err read_part(dure_cursor *cursor, dure_part *out_part)
{
    uint32_t count = 0;
    dure_err err = dure_cursor_array(cursor, &count);
    if (err == DURE_OK && count != 3) {
        err = DURE_ERR_PROTOCOL;
    }
    if (err == DURE_OK) {
        err = dure_cursor_u32(cursor, &out_part->stream);
    }
    if (err == DURE_OK) {
        err = dure_cursor_u32(cursor, &out_part->index);
    }
    return err == DURE_OK ? dure_cursor_u64(cursor, &out_part->total) : err;
}

static dure_err read_kind(dure_cursor *cursor, part_meta *meta)
{
    uint32_t kind = 0;
    const dure_err err = dure_cursor_u32(cursor, &kind);
    meta->kind = (dure_frame_kind)kind;
    meta->has_kind = true;
    return err;
}

/* The message's own pairs are packed behind room for a map's head. */
static dure_err read_meta(dure_slice bytes, part_meta *out_meta, dure_buf *own, uint32_t *out_pairs)
{
    static const uint8_t head[] = {0x80};
    uint32_t pairs = 0;
    dure_cursor cursor = dure_cursor_of(bytes.data, bytes.len);
    dure_err err = dure_buf_append(own, head, sizeof head);
    if (err == DURE_OK) {
        err = dure_cursor_map(&cursor, &pairs);
    }
    for (uint32_t i = 0; err == DURE_OK && i < pairs; i++) {
        const uint8_t *start = cursor.at;
        uint32_t key = 0;
        err = dure_cursor_u32(&cursor, &key);
        if (err != DURE_OK) {
            break;
        }
        if (key == META_PART) {
            out_meta->has_part = true;
            err = read_part(&cursor, &out_meta->part);
        } else if (key == META_KIND) {
            err = read_kind(&cursor, out_meta);
        } else {
            err = dure_cursor_skip(&cursor);
            if (err == DURE_OK) {
                err = dure_buf_append(own, start, (size_t)(cursor.at - start));
                (*out_pairs)++;
            }
        }
    }
    return err;
}

static bool kind_has_parts(const dure_frame *frame, dure_frame_kind kind)
{
    if (kind == DURE_FRAME_REQUEST) {
        return frame->id != 0 && frame->left_ms != 0;
    }
    if (kind == DURE_FRAME_RESPONSE || kind == DURE_FRAME_ERROR) {
        return frame->id != 0;
    }
    return kind == DURE_FRAME_NOTIFY;
}

static dure_err check_bounds(const dure_link_parts *parts, const part_meta *meta,
                             const char **out_text)
{
    const uint64_t total = meta->part.total;
    if (total == 0 || total > parts->_body_max) {
        *out_text = "a body in parts is empty or larger than this node takes";
        return DURE_ERR_TOO_LARGE;
    }
    if (parts->_stream_count >= DURE_PARTS_STREAMS_MAX) {
        *out_text = "too many bodies in parts at a time";
        return DURE_ERR_PROTOCOL;
    }
    if (parts->open_bytes + total > 2 * parts->_body_max) {
        *out_text = "the bodies in parts of this link are too large together";
        return DURE_ERR_TOO_LARGE;
    }
    if (*parts->_total + total > parts->_total_max) {
        *out_text = "the bodies in parts of all links are too large together";
        return DURE_ERR_OVERLOADED;
    }
    return DURE_OK;
}

/* The first part opens a stream. It takes the meta over. */
static dure_err open_stream(dure_link_parts *parts, const dure_frame *frame, const part_meta *meta,
                            dure_buf *own, uint32_t pairs, stream **out_stream)
{
    stream *s = dure_mem_alloc(sizeof *s);
    if (s == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_list_init(&s->node);
    s->part = meta->part;
    s->message = *frame;
    s->message.kind = meta->kind;
    s->message.meta = (dure_slice){NULL, 0};
    s->message.body = (dure_slice){NULL, 0};
    dure_buf_init(&s->meta, 0);
    dure_buf_init(&s->body, (size_t)meta->part.total);
    if (pairs > 0) {
        own->data[0] = (uint8_t)(0x80 | pairs);
        s->meta = *own;
        dure_buf_init(own, 0);
    }
    dure_list_push_back(&parts->_streams, &s->node);
    parts->_stream_count++;
    parts->open_bytes += s->part.total;
    *parts->_total += s->part.total;
    *out_stream = s;
    return DURE_OK;
}

static bool is_same_message(const stream *s, const dure_frame *frame, const part_meta *meta)
{
    return s->part.total == meta->part.total && s->message.kind == meta->kind &&
           s->message.id == frame->id && s->message.method == frame->method &&
           s->message.subject == frame->subject;
}

static dure_err stream_of(dure_link_parts *parts, const dure_frame *frame, stream **out_stream,
                          const char **out_text)
{
    part_meta meta = {.has_part = false};
    dure_buf own;
    uint32_t pairs = 0;
    dure_buf_init(&own, frame->meta.len + 1); /* what is not known here may be of any length */
    dure_err err = read_meta(frame->meta, &meta, &own, &pairs);
    if (err == DURE_OK && (!meta.has_part || !meta.has_kind || !kind_has_parts(frame, meta.kind))) {
        err = DURE_ERR_PROTOCOL;
    }
    if (err != DURE_OK) {
        *out_text = "a part without a sound meta map";
        err = err == DURE_ERR_NO_MEMORY ? err : DURE_ERR_PROTOCOL;
        goto out;
    }
    stream *s = find_stream(parts, meta.part.stream);
    if (s == NULL && meta.part.index == 0) {
        err = check_bounds(parts, &meta, out_text);
        if (err == DURE_OK) {
            err = open_stream(parts, frame, &meta, &own, pairs, out_stream);
        }
        goto out;
    }
    if (s == NULL || s->part.index != meta.part.index) {
        *out_text = "a part out of order";
        err = DURE_ERR_PROTOCOL;
    } else if (!is_same_message(s, frame, &meta)) {
        *out_text = "a part of another message in this one's place";
        err = DURE_ERR_PROTOCOL;
    }
    *out_stream = s;
out:
    dure_buf_fini(&own);
    return err;
}

static dure_err finish_stream(dure_link_parts *parts, stream *s, dure_frame *out_whole,
                              const char **out_text)
{
    size_t walked = 0;
    stream_close(parts, s);
    dure_link_parts_release(parts);
    parts->_done = s;
    parts->bodies_joined++;
    dure_err err = dure_check_object(s->body.data, s->body.len, &walked);
    if (err == DURE_OK && walked != s->body.len) {
        err = DURE_ERR_MALFORMED;
    }
    if (err != DURE_OK) {
        *out_text = "the parts make no sound body";
        return err == DURE_ERR_MORE ? DURE_ERR_MALFORMED : err;
    }
    *out_whole = s->message;
    out_whole->meta = (dure_slice){s->meta.data, s->meta.len};
    out_whole->body = (dure_slice){s->body.data, s->body.len};
    return DURE_OK;
}

/* How long somebody waits for more of it. Of what is no request only its sender knows. */
static uint64_t waits_ms(const stream *s)
{
    return s->message.kind == DURE_FRAME_REQUEST ? s->message.left_ms : DURE_PARTS_STALL_MS;
}

dure_err dure_link_parts_add(dure_link_parts *parts, const dure_frame *frame, uint64_t now_ms,
                             dure_frame *out_whole, bool *out_is_whole, const char **out_text)
{
    stream *s = NULL;
    dure_slice piece = {NULL, 0};
    dure_cursor cursor = dure_cursor_of(frame->body.data, frame->body.len);
    *out_is_whole = false;
    *out_text = "";
    if (dure_cursor_bin(&cursor, &piece) != DURE_OK || piece.len == 0) {
        *out_text = "a part that is no bin, or empty";
        return DURE_ERR_PROTOCOL;
    }
    dure_err err = stream_of(parts, frame, &s, out_text);
    if (err != DURE_OK) {
        return err;
    }
    if (piece.len > s->part.total - s->received) {
        *out_text = "parts that are longer than their body";
        return DURE_ERR_PROTOCOL;
    }
    err = s->is_dropped ? DURE_OK : dure_buf_append(&s->body, piece.data, piece.len);
    if (err != DURE_OK) {
        return err;
    }
    parts->parts_heard++;
    s->received += piece.len;
    s->part.index++;
    s->message.left_ms = frame->left_ms; /* it runs on while the parts travel */
    s->expires_ms = now_ms + waits_ms(s);
    if (s->received < s->part.total) {
        return DURE_OK;
    }
    if (s->is_dropped) {
        stream_close(parts, s);
        stream_free(s);
        return DURE_OK;
    }
    *out_is_whole = true;
    return finish_stream(parts, s, out_whole, out_text);
}
