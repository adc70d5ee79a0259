/* SPDX-License-Identifier: MIT
 *
 * Bodies that go out: packed behind room for their header, and judged before they leave; and the
 * errors that come back.
 */
#include "base/mem.h"
#include "cluster/rpc_impl.h"
#include "wire/check.h"
#include "wire/cursor.h"

void dure_rpc_own_outcome(dure_err status, dure_outcome *out_outcome)
{
    const dure_outcome outcome = {
        .status = status,
        .code = (uint32_t)status,
        .name = dure_str_of(dure_err_name(status)),
        .text = dure_str_of(dure_err_text(status)),
    };
    *out_outcome = outcome;
}

dure_err dure_rpc_read_error(dure_slice error, dure_outcome *out_outcome)
{
    dure_outcome outcome = {.error = error};
    uint32_t count = 0;
    dure_cursor cursor = dure_cursor_of(error.data, error.len);
    if (dure_cursor_array(&cursor, &count) != DURE_OK || count < 3 ||
        dure_cursor_u32(&cursor, &outcome.code) != DURE_OK || outcome.code == 0 ||
        dure_cursor_str(&cursor, &outcome.name) != DURE_OK ||
        dure_cursor_str(&cursor, &outcome.text) != DURE_OK) {
        return DURE_ERR_PROTOCOL;
    }
    /* From 100 to 999 they stay inside a process: what another one means by them is not known. */
    const bool is_ours =
        outcome.code < 100 && strcmp(dure_err_name((dure_err)outcome.code), "UNLISTED") != 0;
    outcome.status = is_ours ? (dure_err)outcome.code : DURE_ERR_INTERNAL;
    *out_outcome = outcome;
    return DURE_OK;
}

void dure_rpc_clear_buf(dure_buf *buf)
{
    if (buf->len > DURE_RPC_BUF_KEEP) {
        dure_buf_release(buf);
    } else {
        dure_buf_clear(buf);
    }
}

dure_err dure_rpc_check_body(const dure_rpc *rpc, dure_slice body)
{
    size_t len = 0;
    if (body.len > rpc->settings->body_max_bytes) {
        return DURE_ERR_TOO_LARGE;
    }
    /* The other end would end the link for a bad one, with all that is on it: said here, to its
     * author. */
    const dure_err err = dure_check_object(body.data, body.len, &len);
    return err == DURE_OK && len != body.len ? DURE_ERR_MALFORMED : err;
}

dure_slice dure_rpc_frame_body(const dure_rpc *rpc)
{
    DURE_ASSERT(rpc->frame.len >= DURE_FRAME_HEADER_BYTES);
    const dure_slice body = {rpc->frame.data + DURE_FRAME_HEADER_BYTES,
                             rpc->frame.len - DURE_FRAME_HEADER_BYTES};
    return body;
}

dure_packer *dure_rpc_call_begin(dure_rpc *rpc)
{
    const dure_frame no_frame = {.kind = DURE_FRAME_REQUEST};
    size_t start = 0;
    dure_rpc_clear_buf(&rpc->frame);
    /* Room for the header, which is written over it when it is known. */
    const dure_err err = dure_frame_begin(&rpc->frame, &no_frame, &start);
    rpc->call_packer = dure_packer_of(&rpc->frame);
    rpc->call_packer.status = err;
    return &rpc->call_packer;
}

void dure_rpc_call_drop(dure_rpc *rpc)
{
    dure_buf_clear(&rpc->frame);
}

/* Packs a body that is given, behind room for the header. */
dure_err dure_rpc_pack_body(dure_rpc *rpc, dure_slice body)
{
    dure_packer *packer = dure_rpc_call_begin(rpc);
    if (body.len == 0) {
        dure_packer_nil(packer);
    } else {
        dure_packer_raw(packer, body);
    }
    return packer->status;
}

dure_err dure_rpc_packed_body_status(const dure_rpc *rpc)
{
    if (rpc->call_packer.status == DURE_ERR_FULL) {
        return DURE_ERR_TOO_LARGE;
    }
    if (rpc->call_packer.status != DURE_OK) {
        return rpc->call_packer.status;
    }
    const dure_err err = dure_rpc_check_body(rpc, dure_rpc_frame_body(rpc));
    return err == DURE_OK || err == DURE_ERR_TOO_LARGE ? err : DURE_ERR_INVALID;
}

/* The room is that of a header without meta, so the frame is put together elsewhere. */
static dure_err finish_with_meta(dure_rpc *rpc, const dure_frame *frame, dure_slice *out_bytes)
{
    dure_frame whole = *frame;
    whole.body = dure_rpc_frame_body(rpc);
    dure_rpc_clear_buf(&rpc->keyed);
    const dure_err err = dure_frame_encode(&rpc->keyed, &whole);
    out_bytes->data = rpc->keyed.data;
    out_bytes->len = rpc->keyed.len;
    return err;
}

/* Writes the header into the room before the packed body. */
dure_err dure_rpc_finish_frame(dure_rpc *rpc, const dure_frame *frame, dure_slice *out_bytes)
{
    const size_t len = rpc->frame.len;
    size_t start = 0;
    if (frame->meta.len > 0) {
        return finish_with_meta(rpc, frame, out_bytes);
    }
    rpc->frame.len = 0;
    dure_err err = dure_frame_begin(&rpc->frame, frame, &start);
    rpc->frame.len = len;
    DURE_ASSERT(start == 0);
    if (err == DURE_OK) {
        err = dure_frame_end(&rpc->frame, 0);
    }
    out_bytes->data = rpc->frame.data;
    out_bytes->len = rpc->frame.len;
    return err;
}
