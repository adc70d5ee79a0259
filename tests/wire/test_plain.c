/* SPDX-License-Identifier: MIT
 *
 * Which text is plain: each character against another table of Unicode's properties, normal forms
 * against another implementation, and texts that were tried on players.
 */
#include "wire/plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"

#define CODE_POINTS 0x110000u

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* Default_Ignorable_Code_Point of DerivedCoreProperties.txt. */
static bool is_ignorable(uint32_t c)
{
    static const uint32_t ranges[][2] = {
        {0xad, 0xad},       {0x34f, 0x34f},   {0x61c, 0x61c},     {0x115f, 0x1160},
        {0x17b4, 0x17b5},   {0x180b, 0x180f}, {0x200b, 0x200f},   {0x202a, 0x202e},
        {0x2060, 0x206f},   {0x3164, 0x3164}, {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},
        {0xffa0, 0xffa0},   {0xfff0, 0xfff8}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
        {0xe0000, 0xe0fff},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (c >= ranges[i][0] && c <= ranges[i][1]) {
            return true;
        }
    }
    return false;
}

static bool is_refused(dure_str text, dure_plain_rule *out_rule)
{
    dure_plain_fault fault;
    bool is_plain = dure_plain_check(text, &fault);
    *out_rule = fault.rule;
    return !is_plain;
}

static FILE *open_table(const char *name)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", DURE_PLAIN_TABLES, name);
    FILE *file = fopen(path, "rb");
    DURE_REQUIRE(file != NULL);
    return file;
}

/* A character between two letters is refused exactly where a property says so. */
static void each_character_is_judged_by_its_properties(void)
{
    FILE *file = open_table("characters.txt");
    uint32_t refused = 0;
    for (uint32_t c = 0; c < CODE_POINTS; c++) {
        char text[8] = "a";
        dure_plain_rule rule;
        int kind = fgetc(file);
        DURE_REQUIRE(kind != EOF);
        if (c >= 0xd800 && c <= 0xdfff) {
            continue; /* no UTF-8 has them */
        }
        size_t len = 1 + put_utf8(text + 1, c);
        text[len++] = 'b';
        bool is_wrong = is_refused((dure_str){text, len}, &rule);
        bool is_noncharacter = (c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef);
        bool is_blank = c == 0x2800 || c == 0x1d159;
        bool is_due =
            strchr("scfp", kind) != NULL || is_ignorable(c) || is_noncharacter || is_blank;
        refused += is_wrong ? 1 : 0;
        if (is_due != is_wrong && kind != 'x' && rule != DURE_PLAIN_NOT_NFC &&
            rule != DURE_PLAIN_UNASSIGNED) {
            (void)printf("U+%04X is %c here and %s there\n", (unsigned)c, kind,
                         dure_plain_rule_name(rule));
            DURE_CHECK_EQ(is_wrong, is_due);
        } else if (is_due) {
            DURE_CHECK(is_wrong);
        }
    }
    (void)fclose(file);
    DURE_CHECK(refused > 800000); /* private use and what is not assigned is the most */
}

static void normal_forms_agree_with_those_of_another_implementation(void)
{
    FILE *file = open_table("normal.txt");
    char line[256];
    unsigned normal = 0;
    unsigned other = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        char text[64];
        size_t len = 0;
        char *at = line + 1;
        while (*at == ' ') {
            len += put_utf8(text + len, (uint32_t)strtoul(at + 1, &at, 16));
        }
        dure_plain_rule rule;
        (void)is_refused((dure_str){text, len}, &rule);
        if (rule != DURE_PLAIN_NONE && rule != DURE_PLAIN_NOT_NFC) {
            continue; /* refused for what it is made of */
        }
        if ((rule == DURE_PLAIN_NONE) != (line[0] == 'y')) {
            (void)printf("%s", line);
            DURE_CHECK_EQ(rule == DURE_PLAIN_NONE, line[0] == 'y');
        }
        normal += rule == DURE_PLAIN_NONE ? 1 : 0;
        other += rule == DURE_PLAIN_NONE ? 0 : 1;
    }
    (void)fclose(file);
    DURE_CHECK(normal > 10000);
    DURE_CHECK(other > 10000);
}

static void texts_are_refused_with_character_and_rule(void)
{
    static const struct {
        const char *text;
        const char *said;
    } rows[] = {
        {"", NULL},
        {"ann", NULL},
        {"\xeb\x91\x90\xeb\xa0\x88", NULL},         /* 두레 */
        {"Zo\xc3\xab", NULL},                       /* Zoë */
        {"\xf0\x9f\x90\x89", NULL},                 /* a dragon */
        {"\xd0\x90\xd0\xbd\xd0\xbd\xd0\xb0", NULL}, /* Анна */
        {"e\xcc\x81", "U+0301 is not in normal form C (NFC)"},
        {"\xe2\x84\xab", "U+212B is not in normal form C (NFC)"},
        {"a b", "U+0020 is white space"},
        {"a\xc2\xa0", "U+00A0 is white space"},
        {"a\xe3\x80\x80", "U+3000 is white space"},
        {"a\xe2\xa0\x80", "U+2800 is white space"},
        {"a\n", "U+000A is a control character"},
        {"a\xc2\x85", "U+0085 is a control character"},
        {"\xe3\x85\xa4", "U+3164 is invisible (default-ignorable)"},
        {"\xe1\x85\x9f", "U+115F is invisible (default-ignorable)"},
        {"\xef\xbe\xa0", "U+FFA0 is invisible (default-ignorable)"},
        {"\xef\xb8\x8f", "U+FE0F is invisible (default-ignorable)"},
        {"\xe1\xa0\x8e", "U+180E is invisible (default-ignorable)"},
        {"a\xc2\xad", "U+00AD is invisible (default-ignorable)"},
        {"a\xe2\x80\x8d", "U+200D is invisible (default-ignorable)"},
        {"a\xf3\xa0\x81\x81", "U+E0041 is invisible (default-ignorable)"},
        {"a\xe2\x80\xae", "U+202E is invisible (default-ignorable)"},
        {"a\xef\xbf\xb9", "U+FFF9 is a format character"},
        {"a\xef\xbf\xbe", "U+FFFE is a noncharacter"},
        {"a\xf4\x8f\xbf\xbf", "U+10FFFF is a noncharacter"},
        {"a\xee\x80\x80", "U+E000 is for private use"},
        {"a\xcd\xb8", "U+0378 is not assigned"},
        {"\xcc\x81", "U+0301 is no visible character, and there is no other one"},
        {"a\xff", "0xFF is not valid UTF-8"},
        {"a\xed\xa0\x80", "0xED is not valid UTF-8"}, /* a surrogate */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char said[96] = "";
        dure_plain_fault fault;
        bool is_plain = dure_plain_check(dure_str_of(rows[i].text), &fault);
        DURE_CHECK_EQ(is_plain, rows[i].said == NULL);
        if (!is_plain) {
            DURE_CHECK_STR(dure_plain_print(&fault, said, sizeof said), rows[i].said);
        }
    }
}

/* However long the text: marks are counted for each character. */
static void marks_have_a_limit(void)
{
    char text[4096] = "x";
    size_t len = 1;
    dure_plain_rule rule;
    for (unsigned marks = 0; marks < DURE_PLAIN_MARKS_MAX; marks++) {
        len += put_utf8(text + len, 0x35c); /* composes with nothing */
    }
    DURE_CHECK(!is_refused((dure_str){text, len}, &rule));
    size_t more = put_utf8(text + len, 0x35c);
    DURE_CHECK(is_refused((dure_str){text, len + more}, &rule));
    DURE_CHECK_EQ(rule, DURE_PLAIN_MARKS);
    for (size_t at = len; at + len <= sizeof text; at += len) {
        memcpy(text + at, text, len);
        DURE_CHECK(!is_refused((dure_str){text, at + len}, &rule));
    }
}

DURE_SUITE(wire_plain, DURE_TEST(each_character_is_judged_by_its_properties),
           DURE_TEST(normal_forms_agree_with_those_of_another_implementation),
           DURE_TEST(texts_are_refused_with_character_and_rule), DURE_TEST(marks_have_a_limit));
