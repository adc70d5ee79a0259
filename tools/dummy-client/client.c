/* SPDX-License-Identifier: MIT
 *
 * Requests and answers of dummy-client, and its service.
 */
#include "tools/dummy-client/client.h"

#include "wire/cursor.h"

static dure_slice as_slice(dure_str text)
{
    dure_slice slice = {(const uint8_t *)text.data, text.len};
    return slice;
}

dure_err dummy_write(dure_buf *buf, const dummy_options *options, uint32_t id, dure_str payload)
{
    if (options->is_raw) {
        return dure_buf_append(buf, payload.data, payload.len);
    }
    dure_buf params;
    dure_buf_init(&params, DUMMY_MESSAGE_MAX);
    dure_packer packer = dure_packer_of(&params);
    dure_packer_array(&packer, 1);
    dure_packer_str(&packer, payload);
    dure_err err = packer.status;
    if (err == DURE_OK) {
        dure_slice array = {params.data, params.len};
        err = dure_mprpc_write_request(buf, id, dure_str_of("echo"), array);
    }
    dure_buf_fini(&params);
    return err;
}

void dummy_reader_init(dummy_reader *reader, const dummy_options *options, size_t size)
{
    reader->is_raw = options->is_raw;
    reader->size = size;
    dure_mprpc_reader_init(&reader->mprpc, DUMMY_MESSAGE_MAX);
}

static dure_err read_raw(const dummy_reader *reader, const uint8_t *data, size_t len,
                         dummy_answer *out_answer, size_t *out_len)
{
    if (len < reader->size) {
        return DURE_ERR_MORE;
    }
    *out_answer = (dummy_answer){.bytes = {data, reader->size}};
    *out_len = reader->size;
    return DURE_OK;
}

static void fill_answer(const dure_mprpc_message *message, dummy_answer *out_answer)
{
    dure_cursor error = dure_cursor_of(message->error.data, message->error.len);
    dure_cursor result = dure_cursor_of(message->result.data, message->result.len);
    dure_str text = {NULL, 0};
    *out_answer = (dummy_answer){.id = message->id};
    if (dure_cursor_peek(&error) != DURE_WIRE_NIL) {
        out_answer->is_error = true;
        out_answer->bytes = message->error;
    } else if (dure_cursor_str(&result, &text) == DURE_OK) {
        out_answer->bytes = as_slice(text);
    } else {
        out_answer->bytes = message->result;
    }
}

dure_err dummy_read(dummy_reader *reader, const uint8_t *data, size_t len, dummy_answer *out_answer,
                    size_t *out_len)
{
    size_t at = 0;
    if (reader->is_raw) {
        return read_raw(reader, data, len, out_answer, out_len);
    }
    for (;;) {
        dure_mprpc_message message;
        size_t used = 0;
        dure_err err = dure_mprpc_read(&reader->mprpc, data + at, len - at, &message, &used);
        *out_len = at;
        if (err != DURE_OK) {
            return err;
        }
        at += used;
        *out_len = at;
        if (message.kind == DURE_MPRPC_RESPONSE) {
            fill_answer(&message, out_answer);
            return DURE_OK;
        }
        if (message.kind == DURE_MPRPC_REQUEST) {
            return DURE_ERR_PROTOCOL; /* a server does not call */
        }
    }
}

dure_err dummy_make_service(const dummy_options *options, dure_iocp_core *core,
                            const dure_session_handlers *handlers, void *context,
                            void (*on_closed)(dure_service *service, void *context),
                            dure_service **out_service)
{
    dure_service_config config;
    dure_client_service_config client;
    dure_service_config_init(&config);
    config.name = "dummy";
    config.cores = &core;
    config.core_count = 1;
    config.handlers = handlers;
    config.context = context;
    config.on_closed = on_closed;
    config.recv_rest_max = DUMMY_MESSAGE_MAX;
    dure_client_service_config_init(&client);
    client.host = options->host;
    client.port = options->port;
    client.session_count = options->sessions;
    return dure_client_service_create(&config, &client, out_service);
}
