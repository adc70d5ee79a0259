/* SPDX-License-Identifier: MIT
 *
 * Every decoder against tests/golden/: good frames mean what stands beside them, bad ones end with
 * their error, each cut of a good one asks for more, and bytes that come one at a time change
 * nothing.
 */
#include "golden.h"
#include "support/check.h"
#include "wire/frame.h"
#include "wire/limits.h"
#include "wire/mprpc.h"

static const cJSON *of(const cJSON *row, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(row, key);
}

static void frame_means(const cJSON *row, const dure_frame *frame)
{
    static const uint8_t no_meta[] = {0x80};
    dure_slice meta = frame->meta.len > 0 ? frame->meta : (dure_slice){no_meta, 1};
    DURE_CHECK_STR(dure_frame_kind_name(frame->kind), golden_text(row, "kind"));
    DURE_CHECK(frame->id == golden_number(row, "id"));
    DURE_CHECK(frame->method == golden_number(row, "method"));
    DURE_CHECK(frame->left_ms == golden_number(row, "left_ms"));
    DURE_CHECK(frame->subject == golden_number(row, "subject"));
    DURE_CHECK(golden_value_is(meta, of(row, "meta")));
    DURE_CHECK(golden_value_is(frame->body, of(row, "body")));
}

static void frame_is_written_as_it_was(const dure_frame *frame, dure_slice bytes)
{
    dure_buf buf;
    dure_buf_init(&buf, GOLDEN_BYTES_MAX);
    DURE_CHECK_OK(dure_frame_encode(&buf, frame));
    DURE_CHECK_BYTES(buf.data, buf.len, bytes.data, bytes.len);
    dure_buf_fini(&buf);
}

/* The bytes as a stream that is cut after each byte. */
static dure_err frame_in_pieces(dure_slice bytes, dure_frame *out_frame, size_t *out_len)
{
    dure_err err = DURE_ERR_MORE;
    for (size_t len = 0; len <= bytes.len && err == DURE_ERR_MORE; len++) {
        err = dure_frame_decode(bytes.data, len, DURE_WIRE_LINK_FRAME_MAX, out_frame, out_len);
        DURE_CHECK(err != DURE_ERR_MORE || *out_len > len);
    }
    return err;
}

static void one_link_frame(const cJSON *row, dure_slice bytes)
{
    dure_frame frame;
    size_t len = 0;
    const dure_err expected = (dure_err)golden_error(row);
    dure_err err = dure_frame_decode(bytes.data, bytes.len, DURE_WIRE_LINK_FRAME_MAX, &frame, &len);
    if (err != expected) {
        printf("%s: %s\n", golden_text(row, "name"), dure_err_name(err));
    }
    DURE_CHECK_ERR(err, expected);
    if (expected == DURE_OK) {
        DURE_REQUIRE(err == DURE_OK);
        DURE_CHECK_EQ(len, bytes.len);
        frame_means(row, &frame);
        frame_is_written_as_it_was(&frame, bytes);
        DURE_CHECK_ERR(dure_frame_decode(bytes.data, bytes.len, bytes.len - 1, &frame, &len),
                       DURE_ERR_TOO_LARGE);
    }
    DURE_CHECK_ERR(frame_in_pieces(bytes, &frame, &len), expected);
    if (expected == DURE_OK) {
        DURE_CHECK_EQ(len, bytes.len);
    }
}

static void link_frames_mean_what_stands_beside_them(void)
{
    DURE_CHECK(golden_each("links.json", "frames", one_link_frame) > 40);
}

static void message_means(const cJSON *row, const dure_mprpc_message *message)
{
    static const char *const kinds[] = {"REQUEST", "RESPONSE", "NOTIFICATION"};
    DURE_CHECK_STR(kinds[message->kind], golden_text(row, "kind"));
    if (message->kind != DURE_MPRPC_NOTIFICATION) {
        DURE_CHECK(message->id == golden_number(row, "id"));
    }
    if (message->kind == DURE_MPRPC_RESPONSE) {
        DURE_CHECK(golden_value_is(message->error, of(row, "error_value")));
        DURE_CHECK(golden_value_is(message->result, of(row, "result")));
        return;
    }
    DURE_CHECK(dure_str_equal(message->method, dure_str_of(golden_text(row, "method"))));
    DURE_CHECK(golden_value_is(message->params, of(row, "params")));
}

static void one_client_message(const cJSON *row, dure_slice bytes)
{
    dure_mprpc_reader reader;
    dure_mprpc_message message;
    size_t len = 0;
    const dure_err expected = (dure_err)golden_error(row);
    dure_mprpc_reader_init(&reader, DURE_WIRE_CLIENT_MESSAGE_MAX);
    dure_err err = dure_mprpc_read(&reader, bytes.data, bytes.len, &message, &len);
    if (err != expected) {
        printf("%s: %s\n", golden_text(row, "name"), dure_err_name(err));
    }
    DURE_CHECK_ERR(err, expected);
    if (expected == DURE_OK) {
        DURE_REQUIRE(err == DURE_OK);
        DURE_CHECK_EQ(len, bytes.len);
        message_means(row, &message);
    }
    dure_mprpc_reader_init(&reader, DURE_WIRE_CLIENT_MESSAGE_MAX);
    err = DURE_ERR_MORE;
    for (size_t cut = 0; cut <= bytes.len && err == DURE_ERR_MORE; cut++) {
        err = dure_mprpc_read(&reader, bytes.data, cut, &message, &len);
        DURE_CHECK(err != DURE_OK || cut == bytes.len);
    }
    DURE_CHECK_ERR(err, expected);
}

static void client_messages_mean_what_stands_beside_them(void)
{
    DURE_CHECK(golden_each("clients.json", "messages", one_client_message) > 25);
}

DURE_SUITE(wire_golden, DURE_TEST(link_frames_mean_what_stands_beside_them),
           DURE_TEST(client_messages_mean_what_stands_beside_them));
