/* SPDX-License-Identifier: MIT
 *
 * The client protocol: messages come out as they went in, however they are cut, and what is no
 * message ends the stream with its reason.
 */
#include "wire/mprpc.h"

#include "support/check.h"
#include "wire/cursor.h"

static void a_request_read_byte_by_byte_comes_out_once(void)
{
    dure_buf buf;
    dure_buf_init(&buf, 4096);
    const uint8_t params[] = {0x92, 0x01, 0xa1, 'x'};
    DURE_REQUIRE_OK(
        dure_mprpc_write_request(&buf, 7, dure_str_of("move"), (dure_slice){params, 4}));
    dure_mprpc_reader reader;
    dure_mprpc_reader_init(&reader, 4096);
    dure_mprpc_message message;
    size_t len = 0;
    for (size_t i = 1; i < buf.len; i++) {
        DURE_CHECK_ERR(dure_mprpc_read(&reader, buf.data, i, &message, &len), DURE_ERR_MORE);
    }
    DURE_REQUIRE_OK(dure_mprpc_read(&reader, buf.data, buf.len, &message, &len));
    DURE_CHECK_EQ(len, buf.len);
    DURE_CHECK_EQ(message.id, 7);
    DURE_CHECK(dure_str_equal(message.method, dure_str_of("move")));
    DURE_CHECK_BYTES(message.params.data, message.params.len, params, sizeof params);
    dure_buf_fini(&buf);
}

static dure_err read_bytes(const char *bytes, size_t count, size_t max)
{
    dure_mprpc_reader reader;
    dure_mprpc_reader_init(&reader, max);
    dure_mprpc_message message;
    size_t len = 0;
    return dure_mprpc_read(&reader, (const uint8_t *)bytes, count, &message, &len);
}

static void what_is_no_message_is_refused_with_its_reason(void)
{
    /* half a gigabyte asked for in five bytes */
    DURE_CHECK_ERR(read_bytes("\xdd\x1f\xff\xff\xff", 5, 65536), DURE_ERR_TOO_MANY_ELEMENTS);
    DURE_CHECK_ERR(read_bytes("\x93\xdb\xff\xff\xff\xff", 6, 65536), DURE_ERR_TOO_LARGE);
    DURE_CHECK_ERR(read_bytes("\x94\x00\xc1", 3, 65536), DURE_ERR_MALFORMED);
    DURE_CHECK_ERR(read_bytes("\xdb", 1, 65536), DURE_ERR_PROTOCOL); /* not waited for */
    DURE_CHECK_ERR(read_bytes("GET / HTTP/1.1\r\n", 16, 65536), DURE_ERR_PROTOCOL);
    DURE_CHECK_ERR(read_bytes("\x94\x05\x01\xa1m\x90", 6, 65536), DURE_ERR_PROTOCOL);
    DURE_CHECK_ERR(read_bytes("\x94\x00\x01\xa1m\x80", 6, 65536), DURE_ERR_PROTOCOL);
    char deep[40];
    memset(deep, 0x91, sizeof deep);
    DURE_CHECK_ERR(read_bytes(deep, sizeof deep, 65536), DURE_ERR_TOO_DEEP);
}

static void a_message_that_does_not_fit_leaves_nothing_behind(void)
{
    static const uint8_t params[100] = {0xdc, 0x00, 0x61};
    dure_buf buf;
    dure_buf_init(&buf, 64);
    DURE_REQUIRE_OK(dure_buf_append(&buf, "before", 6));
    const dure_slice all = {params, sizeof params};
    const dure_str method = dure_str_of("move");
    DURE_CHECK_ERR(dure_mprpc_write_request(&buf, 7, method, all), DURE_ERR_FULL);
    DURE_CHECK_ERR(dure_mprpc_write_notification(&buf, method, all), DURE_ERR_FULL);
    DURE_CHECK_ERR(dure_mprpc_write_result(&buf, 7, all), DURE_ERR_FULL);
    DURE_CHECK_BYTES(buf.data, buf.len, "before", 6);
    dure_buf_fini(&buf);
}

/* The error of the response that raw becomes; its elements in *out_count. */
static uint32_t told_code(dure_slice raw, uint32_t *out_count, dure_str *out_name, dure_buf *buf)
{
    dure_mprpc_reader reader;
    dure_mprpc_message message;
    size_t len = 0;
    uint32_t code = 0;
    dure_buf_clear(buf);
    DURE_REQUIRE_OK(dure_mprpc_write_error_raw(buf, 7, raw));
    dure_mprpc_reader_init(&reader, 4096);
    DURE_REQUIRE_OK(dure_mprpc_read(&reader, buf->data, buf->len, &message, &len));
    DURE_CHECK_EQ(message.kind, DURE_MPRPC_RESPONSE);
    dure_cursor cursor = dure_cursor_of(message.error.data, message.error.len);
    DURE_CHECK_OK(dure_cursor_array(&cursor, out_count));
    DURE_CHECK_OK(dure_cursor_u32(&cursor, &code));
    DURE_CHECK_OK(dure_cursor_str(&cursor, out_name));
    return code;
}

static void a_client_gets_errors_of_three_elements_and_codes_of_the_page(void)
{
    static const uint8_t five[] = {0x95, 0xcd, 0x03, 0xe8, 0xa1, 'A', 0xa1, 'b', 0x05, 0x90};
    static const uint8_t full[] = {0x93, 0x72, 0xa4, 'F', 'U', 'L', 'L', 0xa1, 'b'};
    static const uint8_t high[] = {0x93, 0xcd, 0x03, 0xe7, 0xa1, 'X', 0xa1, 'b'};
    static const uint8_t none[] = {0x01};
    uint32_t count = 0;
    dure_str name = {NULL, 0};
    dure_buf buf;
    dure_buf_init(&buf, 4096);
    DURE_CHECK_EQ(told_code((dure_slice){five, sizeof five}, &count, &name, &buf), 1000);
    DURE_CHECK_EQ(count, 3);
    DURE_CHECK(dure_str_equal(name, dure_str_of("A")));
    DURE_CHECK_EQ(told_code((dure_slice){full, sizeof full}, &count, &name, &buf),
                  DURE_ERR_OVERLOADED);
    DURE_CHECK(dure_str_equal(name, dure_str_of("OVERLOADED")));
    DURE_CHECK_EQ(told_code((dure_slice){high, sizeof high}, &count, &name, &buf),
                  DURE_ERR_INTERNAL);
    DURE_CHECK(dure_str_equal(name, dure_str_of("INTERNAL")));
    DURE_CHECK_EQ(told_code((dure_slice){none, sizeof none}, &count, &name, &buf),
                  DURE_ERR_INTERNAL);
    DURE_CHECK_EQ(count, 3);
    dure_buf_fini(&buf);
}

DURE_SUITE(wire_mprpc, DURE_TEST(a_request_read_byte_by_byte_comes_out_once),
           DURE_TEST(what_is_no_message_is_refused_with_its_reason),
           DURE_TEST(a_message_that_does_not_fit_leaves_nothing_behind),
           DURE_TEST(a_client_gets_errors_of_three_elements_and_codes_of_the_page));
