/* SPDX-License-Identifier: MIT
 *
 * The lanes of one connection, see link_lanes.h. Whenever a send has ended the session is filled up
 * again: small frames first, then at least one part of the body whose turn it is, so that neither
 * lane starves the other. What is in the bulk lane leaves in the order in which it came.
 *
 * A body that has to wait for small frames waits for those that queued before it, never for later
 * ones, so it cannot be held off for ever.
 */
#include "cluster/link_lanes.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/link_parts.h"
#include "wire/packer.h"

#define PART_FRAME_MAX 65536u /* a part, its header, its meta and that of its message */

/* A mark is an offset in the connection (small frames that did not wait), or in a lane. */
#define MARK_NORMAL ((uint64_t)1 << 63)
#define MARK_BULK   ((uint64_t)1 << 62)
#define MARK_OFFSET (MARK_BULK - 1)

/* A message of the bulk lane, waiting or half sent: a large body, or a small one behind it. */
typedef struct bulk_body {
    dure_list node;
    dure_frame frame; /* body and meta are those below */
    bool is_small;    /* leaves whole */
    uint64_t after;   /* leaves when so much of the normal lane has left */
    uint64_t number;  /* among the lane's messages; what its mark says */
    uint64_t expires_ms;
    dure_buf meta;
    dure_buf body;
    size_t at;
    uint32_t index;
    uint32_t stream;
} bulk_body;

void dure_link_lanes_init(dure_link_lanes *lanes, dure_session *session, size_t queue_max)
{
    DURE_ASSERT(session != NULL);
    memset(lanes, 0, sizeof *lanes);
    lanes->_session = session;
    dure_buf_init(&lanes->_normal, queue_max * 2);
    dure_buf_init(&lanes->_part, PART_FRAME_MAX);
    dure_list_init(&lanes->_bulk);
}

static size_t small_cost(const bulk_body *bulk)
{
    return sizeof *bulk + bulk->meta.len + bulk->body.len;
}

static uint32_t *subject_slot(dure_link_lanes *lanes, uint64_t subject)
{
    /* Knuth's multiplicative hash. Sessions count up in their upper half. */
    const uint32_t hash = (uint32_t)(subject ^ (subject >> 32)) * 2654435761u;
    return &lanes->_bulk_subjects[hash >> (32 - DURE_LANES_SUBJECT_BITS)];
}

static void bulk_free(dure_link_lanes *lanes, bulk_body *bulk)
{
    uint32_t *slot = subject_slot(lanes, bulk->frame.subject);
    DURE_ASSERT(*slot > 0);
    *slot -= 1;
    lanes->_bulk_notifies -= bulk->frame.kind == DURE_FRAME_NOTIFY;
    if (bulk->is_small) {
        DURE_ASSERT(lanes->_behind_bytes >= small_cost(bulk));
        lanes->_behind_bytes -= small_cost(bulk);
    } else {
        DURE_ASSERT(lanes->_bulk_bytes >= bulk->body.len - bulk->at);
        lanes->_bulk_bytes -= bulk->body.len - bulk->at;
    }
    dure_list_remove(&bulk->node);
    dure_buf_fini(&bulk->meta);
    dure_buf_fini(&bulk->body);
    dure_mem_free(bulk);
}

static bulk_body *bulk_of(dure_list *node)
{
    return DURE_CONTAINER_OF(node, bulk_body, node);
}

void dure_link_lanes_fini(dure_link_lanes *lanes)
{
    while (!dure_list_is_empty(&lanes->_bulk)) {
        bulk_free(lanes, bulk_of(lanes->_bulk.next));
    }
    dure_buf_fini(&lanes->_normal);
    dure_buf_fini(&lanes->_part);
}

size_t dure_link_lanes_small_queued(const dure_link_lanes *lanes)
{
    return lanes->_normal.len - lanes->_normal_at + lanes->_behind_bytes +
           dure_session_send_queue_bytes(lanes->_session);
}

size_t dure_link_lanes_queued(const dure_link_lanes *lanes)
{
    return dure_link_lanes_small_queued(lanes) + lanes->_bulk_bytes;
}

bool dure_link_lanes_is_empty(const dure_link_lanes *lanes)
{
    return lanes->_normal.len == lanes->_normal_at && dure_list_is_empty(&lanes->_bulk);
}

/* ---- marks ---- */

static void marks_forget(dure_lanes_marks *marks, uint64_t handed)
{
    uint32_t gone = 0;
    while (gone < marks->count && marks->runs[gone].session_end <= handed) {
        gone++;
    }
    marks->count -= gone;
    memmove(marks->runs, marks->runs + gone, marks->count * sizeof *marks->runs);
}

static void marks_add(dure_lanes_marks *marks, uint64_t lane_end, uint64_t session_end,
                      uint64_t handed)
{
    marks_forget(marks, handed);
    DURE_ASSERT(lane_end > marks->handed);
    DURE_ASSERT(marks->count <= DURE_LANES_RUNS);
    if (marks->count == DURE_LANES_RUNS) {
        /* The oldest is taken for sent: to be called unknown is never false. */
        marks->count--;
        memmove(marks->runs, marks->runs + 1, marks->count * sizeof *marks->runs);
    }
    marks->runs[marks->count++] = (dure_lanes_run){
        .lane_start = marks->handed, .lane_end = lane_end, .session_end = session_end};
    marks->handed = lane_end;
}

static bool marks_has_left(const dure_lanes_marks *marks, uint64_t offset, uint64_t handed)
{
    if (offset > marks->handed) {
        return false;
    }
    for (uint32_t i = 0; i < marks->count; i++) {
        const dure_lanes_run *run = &marks->runs[i];
        if (offset > run->lane_start && offset <= run->lane_end) {
            return run->session_end - (run->lane_end - offset) <= handed;
        }
    }
    return true;
}

bool dure_link_lanes_has_left(const dure_link_lanes *lanes, uint64_t mark, uint64_t handed)
{
    if ((mark & MARK_NORMAL) != 0) {
        return marks_has_left(&lanes->_normal_marks, mark & MARK_OFFSET, handed);
    }
    if ((mark & MARK_BULK) != 0) {
        return marks_has_left(&lanes->_bulk_marks, mark & MARK_OFFSET, handed);
    }
    return mark <= handed;
}

/* ---- control and small frames ---- */

dure_err dure_link_lanes_control(dure_link_lanes *lanes, dure_slice frames)
{
    const dure_err err = dure_session_send(lanes->_session, frames.data, frames.len);
    if (err == DURE_OK) {
        lanes->session_bytes += frames.len;
    }
    return err;
}

static size_t session_queued(const dure_link_lanes *lanes)
{
    return dure_session_send_queue_bytes(lanes->_session);
}

static size_t normal_waiting(const dure_link_lanes *lanes)
{
    DURE_ASSERT(lanes->_normal_at <= lanes->_normal.len);
    return lanes->_normal.len - lanes->_normal_at;
}

/* A request that waits carries the moment at which its time is over, until it leaves. */
static void note_expiry(uint8_t *frame, uint64_t now_ms)
{
    if (dure_frame_kind_of(frame) == DURE_FRAME_REQUEST) {
        const uint32_t left_ms = dure_frame_left_ms(frame);
        const uint32_t kept_ms = left_ms < INT32_MAX ? left_ms : INT32_MAX;
        dure_frame_set_left_ms(frame, (uint32_t)now_ms + kept_ms);
    }
}

/* What is left of it then; one that has no time left leaves as its own cancel. */
static void count_down(uint8_t *frames, size_t len, uint64_t now_ms)
{
    for (size_t at = 0; at < len; at += dure_frame_whole_bytes(frames + at)) {
        uint8_t *frame = frames + at;
        if (dure_frame_kind_of(frame) != DURE_FRAME_REQUEST) {
            continue;
        }
        const uint32_t left_ms = dure_frame_left_ms(frame) - (uint32_t)now_ms;
        if (left_ms == 0 || left_ms > INT32_MAX) {
            dure_frame_retract(frame);
        } else {
            dure_frame_set_left_ms(frame, left_ms);
        }
    }
}

static dure_err add_normal(dure_link_lanes *lanes, dure_slice frame, uint64_t now_ms,
                           uint64_t *out_mark)
{
    if (normal_waiting(lanes) == 0 && session_queued(lanes) < DURE_LANES_SESSION_BYTES) {
        const dure_err err = dure_link_lanes_control(lanes, frame);
        *out_mark = lanes->session_bytes;
        return err;
    }
    if (lanes->_normal_at > lanes->_normal.len / 2) {
        dure_buf_consume(&lanes->_normal, lanes->_normal_at);
        lanes->_normal_at = 0;
    }
    const dure_err err = dure_buf_append(&lanes->_normal, frame.data, frame.len);
    if (err == DURE_OK) {
        note_expiry(lanes->_normal.data + lanes->_normal.len - frame.len, now_ms);
        lanes->_normal_queued += frame.len;
        *out_mark = MARK_NORMAL | lanes->_normal_queued;
    }
    return err == DURE_ERR_FULL ? DURE_ERR_OVERLOADED : err;
}

/* As many whole frames as the session may hold, at least one. */
static size_t normal_piece(const dure_link_lanes *lanes, size_t room)
{
    const uint8_t *data = lanes->_normal.data + lanes->_normal_at;
    const size_t waiting = normal_waiting(lanes);
    size_t len = dure_frame_whole_bytes(data);
    DURE_ASSERT(len <= waiting);
    while (len < waiting) {
        const size_t next = dure_frame_whole_bytes(data + len);
        if (len + next > room) {
            break;
        }
        len += next;
    }
    return len;
}

static dure_err pump_normal(dure_link_lanes *lanes, size_t session_max, uint64_t now_ms)
{
    if (normal_waiting(lanes) == 0 || session_queued(lanes) >= session_max) {
        return DURE_OK;
    }
    const size_t len = normal_piece(lanes, session_max - session_queued(lanes));
    uint8_t *frames = lanes->_normal.data + lanes->_normal_at;
    const dure_slice piece = {frames, len};
    count_down(frames, len, now_ms);
    const dure_err err = dure_link_lanes_control(lanes, piece);
    if (err != DURE_OK) {
        return err;
    }
    lanes->_normal_at += len;
    marks_add(&lanes->_normal_marks, lanes->_normal_queued - normal_waiting(lanes),
              lanes->session_bytes, dure_session_handed_bytes(lanes->_session));
    if (normal_waiting(lanes) == 0) {
        dure_buf_release(&lanes->_normal);
        lanes->_normal_at = 0;
    }
    return DURE_OK;
}

/* ---- the bulk lane ---- */

static bool has_conversation(const dure_frame *frame)
{
    return frame->kind == DURE_FRAME_NOTIFY || frame->subject != 0;
}

/* Whether something of its conversation waits in the bulk lane. */
static bool is_behind_bulk(dure_link_lanes *lanes, const dure_frame *frame)
{
    if (frame->kind == DURE_FRAME_NOTIFY && lanes->_bulk_notifies > 0) {
        return true;
    }
    if (frame->subject == 0 || *subject_slot(lanes, frame->subject) == 0) {
        return false;
    }
    for (dure_list *node = lanes->_bulk.prev; node != &lanes->_bulk; node = node->prev) {
        if (bulk_of(node)->frame.subject == frame->subject) {
            return true;
        }
    }
    return false;
}

static bulk_body *bulk_create(const dure_frame *frame)
{
    bulk_body *bulk = dure_mem_alloc(sizeof *bulk);
    if (bulk == NULL) {
        return NULL;
    }
    dure_buf_init(&bulk->meta, DURE_PARTS_META_MAX);
    dure_buf_init(&bulk->body, frame->body.len);
    if (dure_buf_append(&bulk->body, frame->body.data, frame->body.len) != DURE_OK ||
        dure_buf_append(&bulk->meta, frame->meta.data, frame->meta.len) != DURE_OK) {
        dure_buf_fini(&bulk->meta);
        dure_buf_fini(&bulk->body);
        dure_mem_free(bulk);
        return NULL;
    }
    bulk->frame = *frame;
    bulk->frame.meta = (dure_slice){bulk->meta.data, bulk->meta.len};
    bulk->frame.body = (dure_slice){bulk->body.data, bulk->body.len};
    return bulk;
}

static dure_err add_bulk(dure_link_lanes *lanes, const dure_frame *frame, uint64_t now_ms,
                         uint64_t *out_mark)
{
    if (frame->meta.len > DURE_PARTS_META_MAX) {
        return DURE_ERR_INVALID;
    }
    bulk_body *bulk = bulk_create(frame);
    if (bulk == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    bulk->is_small = frame->body.len <= DURE_LANES_PART_BYTES;
    bulk->expires_ms = frame->kind == DURE_FRAME_REQUEST ? now_ms + frame->left_ms : 0;
    if (bulk->is_small) {
        lanes->_behind_bytes += small_cost(bulk);
    } else {
        bulk->after = has_conversation(frame) ? lanes->_normal_queued : 0;
        bulk->stream = ++lanes->_stream;
        lanes->_bulk_bytes += bulk->body.len;
    }
    dure_list_push_back(&lanes->_bulk, &bulk->node);
    *subject_slot(lanes, frame->subject) += 1;
    lanes->_bulk_notifies += frame->kind == DURE_FRAME_NOTIFY;
    bulk->number = ++lanes->_bulk_queued;
    *out_mark = MARK_BULK | bulk->number;
    return DURE_OK;
}

/* The body is given up; a peer that has parts of it is told to forget them. */
static void bulk_drop(dure_link_lanes *lanes, bulk_body *bulk, bool tells)
{
    const dure_frame cancel = {.kind = DURE_FRAME_CANCEL, .id = bulk->frame.id};
    lanes->counters.bodies_dropped++;
    dure_buf_clear(&lanes->_part);
    if (tells && bulk->index > 0 && dure_frame_encode(&lanes->_part, &cancel) == DURE_OK) {
        const dure_slice bytes = {lanes->_part.data, lanes->_part.len};
        const dure_err err = dure_link_lanes_control(lanes, bytes);
        (void)err; /* the session is ending then, and the parts with it */
    }
    bulk_free(lanes, bulk);
}

bool dure_link_lanes_cancel(dure_link_lanes *lanes, uint32_t id)
{
    for (dure_list *node = lanes->_bulk.next; node != &lanes->_bulk; node = node->next) {
        bulk_body *bulk = bulk_of(node);
        if (bulk->frame.kind == DURE_FRAME_REQUEST && bulk->frame.id == id) {
            const bool is_unheard = bulk->index == 0;
            bulk_drop(lanes, bulk, false);
            return is_unheard;
        }
    }
    return false;
}

void dure_link_lanes_drop_answer(dure_link_lanes *lanes, uint32_t id)
{
    for (dure_list *node = lanes->_bulk.next; node != &lanes->_bulk; node = node->next) {
        bulk_body *bulk = bulk_of(node);
        const bool is_answer =
            bulk->frame.kind == DURE_FRAME_RESPONSE || bulk->frame.kind == DURE_FRAME_ERROR;
        if (is_answer && bulk->frame.id == id) {
            if (bulk->index == 0) {
                bulk_drop(lanes, bulk, false);
            }
            return;
        }
    }
}

static dure_err send_small(dure_link_lanes *lanes, bulk_body *bulk)
{
    const dure_err err = dure_frame_encode(&lanes->_part, &bulk->frame);
    if (err != DURE_OK) {
        return err;
    }
    return dure_link_lanes_control(lanes, (dure_slice){lanes->_part.data, lanes->_part.len});
}

static dure_err send_part(dure_link_lanes *lanes, bulk_body *bulk)
{
    DURE_ASSERT(bulk->at < bulk->body.len);
    const size_t left = bulk->body.len - bulk->at;
    const size_t len = left < DURE_LANES_PART_BYTES ? left : DURE_LANES_PART_BYTES;
    const dure_part part = {.stream = bulk->stream, .index = bulk->index, .total = bulk->body.len};
    const dure_slice piece = {bulk->body.data + bulk->at, len};
    dure_err err = dure_part_encode(&lanes->_part, &bulk->frame, &part, piece);
    if (err == DURE_OK) {
        const dure_slice bytes = {lanes->_part.data, lanes->_part.len};
        err = dure_link_lanes_control(lanes, bytes);
    }
    if (err != DURE_OK) {
        return err;
    }
    lanes->counters.bodies_cut += bulk->index == 0;
    lanes->counters.parts_sent++;
    lanes->_bulk_bytes -= len;
    bulk->at += len;
    bulk->index++;
    return DURE_OK;
}

/* The next part of the bulk lane, or a whole small frame of it. */
static dure_err pump_bulk(dure_link_lanes *lanes, uint64_t now_ms)
{
    bulk_body *bulk = bulk_of(lanes->_bulk.next);
    if (bulk->expires_ms != 0 && now_ms >= bulk->expires_ms) {
        bulk_drop(lanes, bulk, true);
        return DURE_OK;
    }
    if (bulk->expires_ms != 0) {
        bulk->frame.left_ms = (uint32_t)(bulk->expires_ms - now_ms);
    }
    dure_buf_clear(&lanes->_part);
    const dure_err err = bulk->is_small ? send_small(lanes, bulk) : send_part(lanes, bulk);
    if (err == DURE_OK && (bulk->is_small || bulk->at == bulk->body.len)) {
        marks_add(&lanes->_bulk_marks, bulk->number, lanes->session_bytes,
                  dure_session_handed_bytes(lanes->_session));
        bulk_free(lanes, bulk);
    }
    return err;
}

/* Whether something of the bulk lane may leave: what queued before it, if it minds, has. */
static bool has_bulk(const dure_link_lanes *lanes)
{
    return !dure_list_is_empty(&lanes->_bulk) &&
           bulk_of(lanes->_bulk.next)->after <= lanes->_normal_queued - normal_waiting(lanes);
}

/* ---- both ---- */

dure_err dure_link_lanes_add(dure_link_lanes *lanes, dure_slice frame, uint64_t now_ms,
                             uint64_t *out_mark)
{
    dure_frame split;
    /* The smallest frame around a body that is cut; the exact length follows. */
    const bool may_be_large = frame.len > DURE_LANES_PART_BYTES + DURE_FRAME_HEADER_BYTES;
    if (may_be_large || !dure_list_is_empty(&lanes->_bulk)) {
        const dure_err err = dure_frame_split(frame, &split);
        if (err != DURE_OK) {
            return err;
        }
        if (split.body.len > DURE_LANES_PART_BYTES || is_behind_bulk(lanes, &split)) {
            return add_bulk(lanes, &split, now_ms, out_mark);
        }
    }
    return add_normal(lanes, frame, now_ms, out_mark);
}

static bool has_room(const dure_link_lanes *lanes, size_t session_max, bool is_all)
{
    return is_all || session_queued(lanes) < session_max;
}

dure_err dure_link_lanes_pump(dure_link_lanes *lanes, uint64_t now_ms, bool is_all)
{
    const size_t reserve = dure_list_is_empty(&lanes->_bulk) ? 0 : PART_FRAME_MAX;
    dure_err err =
        pump_normal(lanes, is_all ? SIZE_MAX : DURE_LANES_SESSION_BYTES - reserve, now_ms);
    bool is_owed = true; /* one part, also while small frames fill the session */
    while (err == DURE_OK && has_bulk(lanes) &&
           has_room(lanes, is_owed ? DURE_LANES_SESSION_BYTES : DURE_LANES_BULK_BYTES, is_all)) {
        err = pump_bulk(lanes, now_ms);
        is_owed = false;
    }
    return err;
}
