/* SPDX-License-Identifier: MIT
 *
 * Link frames: the canonical form and nothing else.
 */
#include "wire/frame.h"

#include "support/check.h"
#include "wire/limits.h"

static void a_frame_has_its_fields_at_the_offsets_of_the_page(void)
{
    const uint8_t body[] = {0x91, 0x2a};
    dure_frame frame = {.kind = DURE_FRAME_REQUEST,
                        .id = 0x01020304,
                        .method = 0x0203,
                        .left_ms = 5000,
                        .subject = 0x1122334455667788u,
                        .body = {body, sizeof body}};
    dure_buf buf;
    dure_buf_init(&buf, 4096);
    DURE_REQUIRE_OK(dure_frame_encode(&buf, &frame));
    static const uint8_t expected[] = {0xce, 0,    0,    0,    29,   0x96, 0x00, 0xce, 1,
                                       2,    3,    4,    0xce, 0,    0,    2,    3,    0xce,
                                       0,    0,    0x13, 0x88, 0xcf, 0x11, 0x22, 0x33, 0x44,
                                       0x55, 0x66, 0x77, 0x88, 0x80, 0x91, 0x2a};
    DURE_CHECK_BYTES(buf.data, buf.len, expected, sizeof expected);
    dure_frame out;
    size_t len = 0;
    for (size_t i = 0; i < buf.len; i++) {
        DURE_CHECK_ERR(dure_frame_decode(buf.data, i, 4096, &out, &len), DURE_ERR_MORE);
    }
    DURE_REQUIRE_OK(dure_frame_decode(buf.data, buf.len, 4096, &out, &len));
    DURE_CHECK_EQ(len, buf.len);
    DURE_CHECK_EQ(out.id, frame.id);
    DURE_CHECK_EQ(out.subject, frame.subject);
    DURE_CHECK_BYTES(out.body.data, out.body.len, body, sizeof body);
    buf.data[18] = buf.data[19] = buf.data[20] = buf.data[21] = 0;
    DURE_CHECK_ERR(dure_frame_decode(buf.data, buf.len, 4096, &out, &len), DURE_ERR_PROTOCOL);
    buf.data[7] = 0xcd;
    DURE_CHECK_ERR(dure_frame_decode(buf.data, buf.len, 4096, &out, &len), DURE_ERR_NOT_CANONICAL);
    dure_buf_fini(&buf);
}

/* A frame of the largest length is read, and one of a byte more is not, from its head on. */
static void a_frame_may_have_its_limit_and_no_byte_more(void)
{
    enum { MAX = 300 };
    static uint8_t body[MAX];
    dure_frame out;
    dure_buf buf;
    size_t len = 0;
    dure_buf_init(&buf, 4096);
    for (size_t whole = MAX - 1; whole <= MAX + 1; whole++) {
        const size_t content = whole - DURE_FRAME_HEADER_BYTES - 3;
        body[0] = 0xc5; /* bin 16 */
        body[1] = (uint8_t)(content >> 8);
        body[2] = (uint8_t)content;
        const dure_frame frame = {.kind = DURE_FRAME_NOTIFY, .body = {body, content + 3}};
        dure_buf_clear(&buf);
        DURE_REQUIRE_OK(dure_frame_encode(&buf, &frame));
        DURE_REQUIRE(buf.len == whole);
        const dure_err expected = whole <= MAX ? DURE_OK : DURE_ERR_TOO_LARGE;
        DURE_CHECK_ERR(dure_frame_decode(buf.data, buf.len, MAX, &out, &len), expected);
        DURE_CHECK_ERR(dure_frame_decode(buf.data, 5, MAX, &out, &len),
                       expected == DURE_OK ? DURE_ERR_MORE : expected);
    }
    dure_buf_fini(&buf);
}

DURE_SUITE(wire_frame, DURE_TEST(a_frame_has_its_fields_at_the_offsets_of_the_page),
           DURE_TEST(a_frame_may_have_its_limit_and_no_byte_more));
