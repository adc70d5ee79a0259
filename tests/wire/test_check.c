/* SPDX-License-Identifier: MIT
 *
 * The walk: whole objects end where they end, everything else is refused for its own reason, and
 * feeding byte by byte gives the same and costs no more.
 */
#include "wire/check.h"

#include "base/mem.h"
#include "support/check.h"

typedef struct check_row {
    const char *bytes;
    size_t len;
    dure_err expected;
} check_row;

#define ROW(bytes, expected)                                                                       \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, expected                                                         \
    }

static const check_row rows[] = {
    ROW("", DURE_ERR_MALFORMED),
    ROW("\x00", DURE_OK),
    ROW("\xff", DURE_OK),
    ROW("\xc0", DURE_OK),
    ROW("\xc1", DURE_ERR_MALFORMED),
    ROW("\xc2", DURE_OK),
    ROW("\xc3", DURE_OK),
    ROW("\xc4\x02zz", DURE_OK),
    ROW("\xc4\x03zz", DURE_ERR_MALFORMED),
    ROW("\xc4", DURE_ERR_MALFORMED),
    ROW("\xc5\x00\x01z", DURE_OK),
    ROW("\xc5\x00", DURE_ERR_MALFORMED),
    ROW("\xc6\x00\x00\x00\x01z", DURE_OK),
    ROW("\xc7\x01\x05z", DURE_OK),
    ROW("\xc7\x01\x05", DURE_ERR_MALFORMED),
    ROW("\xc7\x00\x05", DURE_OK),
    ROW("\xc8\x00\x01\x05z", DURE_OK),
    ROW("\xc9\x00\x00\x00\x01\x05z", DURE_OK),
    ROW("\xc9\xff\xff\xff\xff\x05z", DURE_ERR_MALFORMED),
    ROW("\xca\x01\x02\x03\x04", DURE_OK),
    ROW("\xca\x01\x02\x03", DURE_ERR_MALFORMED),
    ROW("\xcb\x01\x02\x03\x04\x05\x06\x07\x08", DURE_OK),
    ROW("\xcc\x01", DURE_OK),
    ROW("\xcc", DURE_ERR_MALFORMED),
    ROW("\xcd\x01\x02", DURE_OK),
    ROW("\xce\x01\x02\x03\x04", DURE_OK),
    ROW("\xcf\x01\x02\x03\x04\x05\x06\x07\x08", DURE_OK),
    ROW("\xcf\x01\x02\x03\x04\x05\x06\x07", DURE_ERR_MALFORMED),
    ROW("\xd0\x01", DURE_OK),
    ROW("\xd1\x01\x02", DURE_OK),
    ROW("\xd2\x01\x02\x03\x04", DURE_OK),
    ROW("\xd3\x01\x02\x03\x04\x05\x06\x07\x08", DURE_OK),
    ROW("\xd4\x05z", DURE_OK),
    ROW("\xd5\x05zz", DURE_OK),
    ROW("\xd6\x05zzzz", DURE_OK),
    ROW("\xd7\x05zzzzzzzz", DURE_OK),
    ROW("\xd8\x05zzzzzzzzzzzzzzzz", DURE_OK),
    ROW("\xd8\x05zzzzzzzzzzzzzzz", DURE_ERR_MALFORMED),
    ROW("\xd9\x01z", DURE_OK),
    ROW("\xda\x00\x01z", DURE_OK),
    ROW("\xdb\x00\x00\x00\x01z", DURE_OK),
    ROW("\xdb\xff\xff\xff\xffz", DURE_ERR_MALFORMED),
    ROW("\xdc\x00\x01\xc0", DURE_OK),
    ROW("\xdc\x00\x02\xc0", DURE_ERR_TOO_MANY_ELEMENTS),
    ROW("\xdd\x00\x00\x00\x01\xc0", DURE_OK),
    ROW("\xdd\x1f\xff\xff\xff", DURE_ERR_TOO_MANY_ELEMENTS),
    ROW("\xde\x00\x01\xc0\xc0", DURE_OK),
    ROW("\xdf\x00\x00\x00\x01\xc0\xc0", DURE_OK),
    ROW("\xdf\xff\xff\xff\xff", DURE_ERR_TOO_MANY_ELEMENTS),
    ROW("\x90", DURE_OK),
    ROW("\x80", DURE_OK),
    ROW("\x92\x90\x80", DURE_OK),
    ROW("\x81\xa1k\x92\x01\xa2vv", DURE_OK),
    ROW("\x81\xa1k", DURE_ERR_MALFORMED),
    ROW("\xa3zz", DURE_ERR_MALFORMED),
    ROW("\x92\x92\x01\x02", DURE_ERR_TOO_MANY_ELEMENTS),
};

/* A copy of exactly this size, so that the address sanitizer sees a read past it. */
static uint8_t *copy_of(const char *bytes, size_t len)
{
    uint8_t *copy = dure_mem_alloc(len > 0 ? len : 1);
    DURE_REQUIRE(copy != NULL);
    memcpy(copy, bytes, len);
    return copy;
}

static void each_form_is_walked_or_refused_for_its_reason(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t *bytes = copy_of(rows[i].bytes, rows[i].len);
        size_t len = 0;
        const dure_err err = dure_check_object(bytes, rows[i].len, &len);
        if (err != rows[i].expected) {
            printf("row %zu\n", i);
        }
        DURE_CHECK_ERR(err, rows[i].expected);
        DURE_CHECK(err != DURE_OK || len == rows[i].len);
        dure_mem_free(bytes);
    }
}

/* Feeds a stream of which only one byte more is there each time; counts the bytes looked at. */
static dure_err feed_bytes(const uint8_t *bytes, size_t len, size_t bytes_max, size_t *out_seen)
{
    dure_check check;
    dure_check_init(&check, bytes_max);
    size_t walked = 0;
    dure_err err = DURE_ERR_MORE;
    *out_seen = 0;
    for (size_t there = 1; there <= len && err == DURE_ERR_MORE; there++) {
        size_t consumed = 0;
        *out_seen += there - walked;
        err = dure_check_feed(&check, bytes + walked, there - walked, &consumed);
        walked += consumed;
    }
    return err;
}

static void byte_by_byte_gives_the_same_as_at_once(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].expected != DURE_OK) {
            continue;
        }
        uint8_t *bytes = copy_of(rows[i].bytes, rows[i].len);
        size_t seen = 0;
        DURE_CHECK_OK(feed_bytes(bytes, rows[i].len, 65536, &seen));
        DURE_CHECK(rows[i].len < 2 ||
                   feed_bytes(bytes, rows[i].len - 1, 65536, &seen) == DURE_ERR_MORE);
        dure_mem_free(bytes);
    }
}

static void single_bytes_cost_no_more_than_whole_messages(void)
{
    enum { LEN = 60000 };
    uint8_t *bytes = dure_mem_alloc(LEN);
    DURE_REQUIRE(bytes != NULL);
    bytes[0] = 0xdc;
    bytes[1] = (LEN - 3) >> 8;
    bytes[2] = (LEN - 3) & 0xff;
    size_t seen = 0;
    DURE_CHECK_OK(feed_bytes(bytes, LEN, 65536, &seen));
    DURE_CHECK(seen <= 2 * LEN);
    dure_mem_free(bytes);
}

static void nesting_of_32_is_allowed_and_33_is_not(void)
{
    uint8_t bytes[40];
    size_t len = 0;
    memset(bytes, 0x91, sizeof bytes);
    bytes[32] = 0x01;
    DURE_CHECK_OK(dure_check_object(bytes, 33, &len));
    bytes[32] = 0x90;
    DURE_CHECK_ERR(dure_check_object(bytes, 33, &len), DURE_ERR_TOO_DEEP);
    bytes[31] = 0x81;
    bytes[32] = 0x01;
    bytes[33] = 0x02;
    DURE_CHECK_OK(dure_check_object(bytes, 34, &len));
}

static void all_containers_share_65536_elements(void)
{
    enum { INNER = 32767, LEN = 1 + 2 * (3 + INNER) + 1 };
    uint8_t *bytes = dure_mem_alloc(LEN);
    DURE_REQUIRE(bytes != NULL);
    size_t len = 0;
    bytes[0] = 0x92; /* 2 + 2 * 32767 = 65536 */
    for (size_t i = 0; i < 2; i++) {
        uint8_t *head = bytes + 1 + i * (3 + INNER);
        head[0] = 0xdc;
        head[1] = INNER >> 8;
        head[2] = INNER & 0xff;
    }
    DURE_CHECK_OK(dure_check_object(bytes, LEN - 1, &len));
    bytes[0] = 0x93; /* one more */
    DURE_CHECK_ERR(dure_check_object(bytes, LEN, &len), DURE_ERR_TOO_MANY_ELEMENTS);
    dure_mem_free(bytes);
}

static void promises_are_held_against_the_limit_of_the_whole_message(void)
{
    dure_check check;
    size_t consumed = 0;
    dure_check_init(&check, 100);
    DURE_CHECK_ERR(dure_check_feed(&check, (const uint8_t *)"\xd9\x62", 2, &consumed),
                   DURE_ERR_MORE); /* 2 + 98: just fits */
    dure_check_init(&check, 100);
    DURE_CHECK_ERR(dure_check_feed(&check, (const uint8_t *)"\xd9\x63", 2, &consumed),
                   DURE_ERR_TOO_LARGE);
    dure_check_init(&check, 100);
    DURE_CHECK_ERR(dure_check_feed(&check, (const uint8_t *)"\x95\xd9\x5e", 3, &consumed),
                   DURE_ERR_TOO_LARGE); /* four more objects are due behind the text */
    dure_check_init(&check, 4);
    DURE_CHECK_ERR(dure_check_feed(&check, (const uint8_t *)"\x91\x91\x91\xdc", 4, &consumed),
                   DURE_ERR_TOO_LARGE); /* the head itself has no room any more */
    dure_check_init(&check, 3);
    DURE_CHECK_ERR(dure_check_feed(&check, (const uint8_t *)"\x92\x01\xcc\xc8", 4, &consumed),
                   DURE_ERR_TOO_LARGE); /* small objects that are there whole count as well */
}

static void objects_in_a_row_share_one_budget(void)
{
    size_t len = 0;
    DURE_CHECK_OK(dure_check_objects((const uint8_t *)"\x81\x01\x02\x92\x01\x02\xc0", 7, 2, &len));
    DURE_CHECK_EQ(len, 6);
    DURE_CHECK_ERR(dure_check_objects((const uint8_t *)"\x81\x01\x02", 3, 2, &len),
                   DURE_ERR_TOO_MANY_ELEMENTS);
}

DURE_SUITE(wire_check, DURE_TEST(each_form_is_walked_or_refused_for_its_reason),
           DURE_TEST(byte_by_byte_gives_the_same_as_at_once),
           DURE_TEST(single_bytes_cost_no_more_than_whole_messages),
           DURE_TEST(nesting_of_32_is_allowed_and_33_is_not),
           DURE_TEST(all_containers_share_65536_elements),
           DURE_TEST(promises_are_held_against_the_limit_of_the_whole_message),
           DURE_TEST(objects_in_a_row_share_one_budget));
