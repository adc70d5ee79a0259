/* SPDX-License-Identifier: MIT
 *
 * A message is first walked to its end, then taken apart: what reaches the cursor is whole and
 * within the limits.
 */
#include "wire/mprpc.h"

#include "wire/cursor.h"

void dure_mprpc_reader_init(dure_mprpc_reader *reader, size_t message_max)
{
    reader->_message_max = message_max;
    reader->_walked = 0;
    dure_check_init(&reader->_check, message_max);
}

void dure_mprpc_reader_set_max(dure_mprpc_reader *reader, size_t message_max)
{
    reader->_message_max = message_max;
    reader->_check._bytes_max = message_max;
}

/* The last object of a message that was walked is what is left of it. */
static dure_slice read_last(const dure_cursor *cursor)
{
    return (dure_slice){cursor->at, dure_cursor_left(cursor)};
}

static dure_err read_parts(dure_cursor *cursor, uint32_t count, dure_mprpc_message *out)
{
    uint32_t kind = 0;
    if (dure_cursor_u32(cursor, &kind) != DURE_OK || kind > DURE_MPRPC_NOTIFICATION) {
        return DURE_ERR_PROTOCOL;
    }
    out->kind = (dure_mprpc_kind)kind;
    if (count != (out->kind == DURE_MPRPC_NOTIFICATION ? 3u : 4u)) {
        return DURE_ERR_PROTOCOL;
    }
    if (out->kind != DURE_MPRPC_NOTIFICATION && dure_cursor_u32(cursor, &out->id) != DURE_OK) {
        return DURE_ERR_PROTOCOL;
    }
    if (out->kind == DURE_MPRPC_RESPONSE) {
        dure_err err = dure_cursor_any(cursor, &out->error);
        out->result = read_last(cursor);
        return err;
    }
    if (dure_cursor_str(cursor, &out->method) != DURE_OK) {
        return DURE_ERR_PROTOCOL;
    }
    if (dure_cursor_peek(cursor) != DURE_WIRE_ARRAY) {
        return DURE_ERR_PROTOCOL;
    }
    out->params = read_last(cursor);
    return DURE_OK;
}

static dure_err read_message(const uint8_t *data, size_t len, dure_mprpc_message *out)
{
    dure_cursor cursor = dure_cursor_of(data, len);
    uint32_t count = 0;
    *out = (dure_mprpc_message){.kind = DURE_MPRPC_REQUEST};
    if (dure_cursor_array(&cursor, &count) != DURE_OK || count < 3) {
        return DURE_ERR_PROTOCOL;
    }
    return read_parts(&cursor, count, out);
}

dure_err dure_mprpc_read(dure_mprpc_reader *reader, const uint8_t *data, size_t len,
                         dure_mprpc_message *out_message, size_t *out_len)
{
    size_t consumed = 0;
    /* Nothing but an array can be a message: said before the rest of it is waited for. */
    if (len > 0 && (data[0] & 0xf0) != 0x90 && data[0] != 0xdc && data[0] != 0xdd) {
        return DURE_ERR_PROTOCOL;
    }
    dure_err err =
        dure_check_feed(&reader->_check, data + reader->_walked, len - reader->_walked, &consumed);
    reader->_walked += consumed;
    if (err != DURE_OK) {
        return err;
    }
    *out_len = reader->_walked;
    dure_mprpc_reader_init(reader, reader->_message_max);
    return read_message(data, *out_len, out_message);
}

/* ---- writing ---- */

static dure_err write_end(dure_packer *packer, size_t start)
{
    if (packer->status != DURE_OK) {
        packer->buf->len = start;
    }
    return packer->status;
}

dure_err dure_mprpc_write_request(dure_buf *buf, uint32_t id, dure_str method, dure_slice params)
{
    size_t start = buf->len;
    dure_packer packer = dure_packer_of(buf);
    dure_packer_array(&packer, 4);
    dure_packer_u64(&packer, DURE_MPRPC_REQUEST);
    dure_packer_u64(&packer, id);
    dure_packer_str(&packer, method);
    dure_packer_raw(&packer, params);
    return write_end(&packer, start);
}

dure_err dure_mprpc_write_notification(dure_buf *buf, dure_str method, dure_slice params)
{
    size_t start = buf->len;
    dure_packer packer = dure_packer_of(buf);
    dure_packer_array(&packer, 3);
    dure_packer_u64(&packer, DURE_MPRPC_NOTIFICATION);
    dure_packer_str(&packer, method);
    dure_packer_raw(&packer, params);
    return write_end(&packer, start);
}

static void write_response_head(dure_packer *packer, uint32_t id)
{
    dure_packer_array(packer, 4);
    dure_packer_u64(packer, DURE_MPRPC_RESPONSE);
    dure_packer_u64(packer, id);
}

dure_err dure_mprpc_write_result(dure_buf *buf, uint32_t id, dure_slice result)
{
    size_t start = buf->len;
    dure_packer packer = dure_packer_of(buf);
    write_response_head(&packer, id);
    dure_packer_nil(&packer);
    if (result.len > 0) {
        dure_packer_raw(&packer, result);
    } else {
        dure_packer_nil(&packer);
    }
    return write_end(&packer, start);
}

dure_err dure_mprpc_write_error(dure_buf *buf, uint32_t id, uint32_t code, dure_str name,
                                dure_str text)
{
    const uint32_t told = dure_err_code_on_wire(code);
    size_t start = buf->len;
    dure_packer packer = dure_packer_of(buf);
    if (name.len == 0 || told != code) {
        name = dure_str_of(dure_err_name((dure_err)told));
    }
    write_response_head(&packer, id);
    dure_packer_array(&packer, 3);
    dure_packer_u64(&packer, told);
    dure_packer_str(&packer, name);
    dure_packer_str(&packer, text);
    dure_packer_nil(&packer);
    return write_end(&packer, start);
}

dure_err dure_mprpc_write_error_raw(dure_buf *buf, uint32_t id, dure_slice error)
{
    uint32_t count = 0;
    uint32_t code = 0;
    dure_str name = {NULL, 0};
    dure_str text = {NULL, 0};
    dure_cursor cursor = dure_cursor_of(error.data, error.len);
    if (dure_cursor_array(&cursor, &count) != DURE_OK || count < 3 ||
        dure_cursor_u32(&cursor, &code) != DURE_OK || dure_cursor_str(&cursor, &name) != DURE_OK ||
        dure_cursor_str(&cursor, &text) != DURE_OK) {
        return dure_mprpc_write_error(buf, id, DURE_ERR_INTERNAL, (dure_str){NULL, 0},
                                      dure_str_of("an error that is no [code, name, text]"));
    }
    return dure_mprpc_write_error(buf, id, code, name, text);
}
