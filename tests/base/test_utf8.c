/* SPDX-License-Identifier: MIT
 *
 * UTF-8 by RFC 3629: the borders of each row, and what looks like it but is not.
 */
#include "base/utf8.h"

#include "support/check.h"

static bool valid(const char *text)
{
    return dure_utf8_is_valid(text, strlen(text));
}

static void the_borders_of_each_length_are_valid(void)
{
    DURE_CHECK(valid(""));
    DURE_CHECK(valid("plain \x7f"));
    DURE_CHECK(dure_utf8_is_valid("\0", 1));
    DURE_CHECK(valid("\xc2\x80 \xdf\xbf"));
    DURE_CHECK(valid("\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf"));
    DURE_CHECK(valid("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"));
}

static void overlong_forms_surrogates_and_what_lies_beyond_are_not(void)
{
    static const char *const wrong[] = {
        "\x80",         "\xbf",         "\xc0\xaf",         "\xc1\xbf",         "\xe0\x9f\xbf",
        "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xff",         "\xc2",         "\xe2\x82",         "\xf0\x90\x80",     "\xc2 ",
        "\xe2\x82 ",    "\xe2 \x82",
    };
    for (size_t i = 0; i < DURE_COUNT_OF(wrong); i++) {
        DURE_CHECK(!valid(wrong[i]));
    }
}

static void characters_are_counted_not_bytes(void)
{
    DURE_CHECK_EQ(dure_utf8_count("", 0), 0);
    DURE_CHECK_EQ(dure_utf8_count("abc", 3), 3);
    DURE_CHECK_EQ(dure_utf8_count("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9), 3);
}

static void a_sequence_knows_its_length(void)
{
    DURE_CHECK_EQ(dure_utf8_sequence((const uint8_t *)"a", 1), 1);
    DURE_CHECK_EQ(dure_utf8_sequence((const uint8_t *)"\xe2\x82\xac", 3), 3);
    DURE_CHECK_EQ(dure_utf8_sequence((const uint8_t *)"\xe2\x82\xac", 2), 0);
    DURE_CHECK_EQ(dure_utf8_sequence((const uint8_t *)"", 0), 0);
}

DURE_SUITE(base_utf8, DURE_TEST(the_borders_of_each_length_are_valid),
           DURE_TEST(overlong_forms_surrogates_and_what_lies_beyond_are_not),
           DURE_TEST(characters_are_counted_not_bytes), DURE_TEST(a_sequence_knows_its_length));
