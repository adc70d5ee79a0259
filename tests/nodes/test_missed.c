/* SPDX-License-Identifier: MIT
 *
 * What a session keeps of its notifications: the last ones, in order, in bounded room.
 */
#include "nodes/gateway/missed.h"

#include <stdio.h>

#include "support/check.h"

static void push_number(gateway_missed *missed, unsigned number, size_t len)
{
    static const uint8_t zeros[GATEWAY_MISSED_BYTES_MAX + 1];
    char method[16];
    (void)snprintf(method, sizeof method, "n%u", number);
    gateway_notice *notice = gateway_notice_create(dure_str_of(method), (dure_slice){zeros, len});
    DURE_REQUIRE(notice != NULL);
    gateway_missed_push(missed, notice);
    gateway_notice_release(notice);
}

static void check_number(const gateway_missed *missed, unsigned number)
{
    char method[16];
    (void)snprintf(method, sizeof method, "n%u", number);
    const gateway_notice *notice = gateway_missed_at(missed, number);
    DURE_CHECK(dure_str_equal(notice->method, dure_str_of(method)));
}

static void the_last_256_are_kept_in_order(void)
{
    gateway_missed missed = {.cap = 0};
    for (unsigned i = 0; i < 1000; i++) {
        push_number(&missed, i, 3);
        unsigned gone = i + 1 > GATEWAY_MISSED_MAX ? i + 1 - GATEWAY_MISSED_MAX : 0;
        DURE_CHECK_EQ(missed.total, i + 1);
        DURE_CHECK_EQ(gateway_missed_gone(&missed), gone);
        check_number(&missed, gone);
        check_number(&missed, i);
    }
    gateway_missed_fini(&missed);
    DURE_CHECK_EQ(missed.count, 0);
}

static void large_ones_push_out_more(void)
{
    gateway_missed missed = {.cap = 0};
    for (unsigned i = 0; i < 100; i++) {
        push_number(&missed, i, 1000);
    }
    DURE_CHECK(missed.count < 66);
    DURE_CHECK(missed.count > 50);
    DURE_CHECK(missed.bytes <= GATEWAY_MISSED_BYTES_MAX);
    check_number(&missed, 99);
    push_number(&missed, 100, GATEWAY_MISSED_BYTES_MAX);
    DURE_CHECK_EQ(missed.count, 0);
    DURE_CHECK_EQ(gateway_missed_gone(&missed), 101);
    gateway_missed_fini(&missed);
}

static void one_to_many_is_kept_once(void)
{
    gateway_missed a = {.cap = 0};
    gateway_missed b = {.cap = 0};
    gateway_notice *notice = gateway_notice_create(dure_str_of("chat"), (dure_slice){NULL, 0});
    DURE_REQUIRE(notice != NULL);
    gateway_missed_push(&a, notice);
    gateway_missed_push(&b, notice);
    DURE_CHECK_EQ(notice->refs, 3);
    gateway_notice_release(notice);
    gateway_missed_fini(&a);
    DURE_CHECK(gateway_missed_at(&b, 0) == notice);
    DURE_CHECK_EQ(notice->refs, 1);
    gateway_missed_fini(&b);
}

static void what_there_was_no_memory_for_is_counted_as_gone(void)
{
    gateway_missed missed = {.cap = 0};
    push_number(&missed, 0, 3);
    gateway_missed_push(&missed, NULL);
    DURE_CHECK_EQ(missed.total, 2);
    DURE_CHECK_EQ(gateway_missed_gone(&missed), 2);
    push_number(&missed, 2, 3);
    check_number(&missed, 2);
    gateway_missed_fini(&missed);
}

DURE_SUITE(nodes_missed, DURE_TEST(the_last_256_are_kept_in_order),
           DURE_TEST(large_ones_push_out_more), DURE_TEST(one_to_many_is_kept_once),
           DURE_TEST(what_there_was_no_memory_for_is_counted_as_gone));
