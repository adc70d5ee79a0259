/* SPDX-License-Identifier: MIT
 *
 * Character by character first; then, where there is more than Latin-1, normal form C in pieces
 * that no composition crosses: one character and the marks behind it. Nothing is allocated.
 */
#include "wire/plain.h"

#include <inttypes.h>
#include <stdio.h>
#include <utf8proc.h>

#include "base/assert.h"
#include "base/utf8.h"

/* Below it every character is its own normal form and composes with none before it. */
#define FIRST_MARK 0x300u
/* A character and its marks, each of up to four when it is taken apart (UAX #15, expansion). */
#define PIECE_MAX      (DURE_PLAIN_MARKS_MAX + 1)
#define DECOMPOSED_MAX (4 * PIECE_MAX)

/* The code point of a sequence that is valid. */
static uint32_t code_point(const uint8_t *at, size_t len)
{
    switch (len) {
    case 1:
        return at[0];
    case 2:
        return (at[0] & 0x1fu) << 6 | (at[1] & 0x3fu);
    case 3:
        return (at[0] & 0x0fu) << 12 | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu);
    default:
        return (at[0] & 0x07u) << 18 | (at[1] & 0x3fu) << 12 | (at[2] & 0x3fu) << 6 |
               (at[3] & 0x3fu);
    }
}

/* Symbols that show nothing: the Braille pattern without dots, the musical null notehead. */
static bool is_blank(uint32_t c)
{
    return c == 0x2800u || c == 0x1d159u;
}

static bool is_noncharacter(uint32_t c)
{
    return (c & 0xfffeu) == 0xfffeu || (c >= 0xfdd0u && c <= 0xfdefu);
}

static bool is_mark(utf8proc_category_t category)
{
    return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
           category == UTF8PROC_CATEGORY_ME;
}

/* What one character alone is refused for. */
static dure_plain_rule rule_of(uint32_t c, const utf8proc_property_t *property)
{
    const int category = property->category;
    if (is_noncharacter(c)) {
        return DURE_PLAIN_NONCHARACTER;
    }
    if (category == UTF8PROC_CATEGORY_CC) {
        return DURE_PLAIN_CONTROL;
    }
    if (category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
        category == UTF8PROC_CATEGORY_ZP || is_blank(c)) {
        return DURE_PLAIN_SPACE;
    }
    if (property->ignorable) {
        return DURE_PLAIN_IGNORABLE;
    }
    if (category == UTF8PROC_CATEGORY_CF) {
        return DURE_PLAIN_FORMAT;
    }
    if (category == UTF8PROC_CATEGORY_CO) {
        return DURE_PLAIN_PRIVATE;
    }
    if (category == UTF8PROC_CATEGORY_CN || category == UTF8PROC_CATEGORY_CS) {
        return DURE_PLAIN_UNASSIGNED;
    }
    return DURE_PLAIN_NONE;
}

/*
 * Whether c may become one with what stands before it: a mark, or the second or third letter of a
 * Hangul syllable (UAX #15, 16; utf8proc 2.8 takes U+11A7 for a third one too and drops it). All
 * others begin a piece.
 */
static bool continues(uint32_t c)
{
    if (c < FIRST_MARK) {
        return false;
    }
    return is_mark(utf8proc_category((utf8proc_int32_t)c)) || (c >= 0x1161u && c <= 0x1175u) ||
           (c >= 0x11a8u && c <= 0x11c2u);
}

static bool is_normal(const utf8proc_int32_t *piece, utf8proc_ssize_t count)
{
    utf8proc_int32_t made[DECOMPOSED_MAX];
    const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    utf8proc_ssize_t len = 0;
    for (utf8proc_ssize_t i = 0; i < count; i++) {
        utf8proc_ssize_t more =
            utf8proc_decompose_char(piece[i], made + len, DECOMPOSED_MAX - len, options, NULL);
        DURE_ASSERT(more >= 0 && more <= DECOMPOSED_MAX - len);
        len += more;
    }
    /* Marks into their canonical order: those of a lower class first, equal ones as they came. */
    for (utf8proc_ssize_t i = 1; i < len; i++) {
        const utf8proc_int32_t moved = made[i];
        const int of_moved = utf8proc_get_property(moved)->combining_class;
        utf8proc_ssize_t to = i;
        while (to > 0 && of_moved != 0 &&
               utf8proc_get_property(made[to - 1])->combining_class > of_moved) {
            made[to] = made[to - 1];
            to--;
        }
        made[to] = moved;
    }
    len = utf8proc_normalize_utf32(made, len, options);
    if (len != count) {
        return false;
    }
    for (utf8proc_ssize_t i = 0; i < len; i++) {
        if (made[i] != piece[i]) {
            return false;
        }
    }
    return true;
}

/* A text as it is walked through. */
typedef struct walk {
    utf8proc_int32_t piece[PIECE_MAX];
    utf8proc_ssize_t count;
    bool is_seen;
    dure_plain_fault fault;
} walk;

static bool walk_fails(walk *w, dure_plain_rule rule, uint32_t c)
{
    w->fault = (dure_plain_fault){rule, c};
    return false;
}

static bool walk_end_piece(walk *w)
{
    const utf8proc_ssize_t count = w->count;
    w->count = 0;
    if (count == 0 || (count == 1 && w->piece[0] < (utf8proc_int32_t)FIRST_MARK) ||
        is_normal(w->piece, count)) {
        return true;
    }
    return walk_fails(w, DURE_PLAIN_NOT_NFC, (uint32_t)w->piece[count - 1]);
}

static bool walk_take(walk *w, uint32_t c)
{
    const utf8proc_property_t *property = utf8proc_get_property((utf8proc_int32_t)c);
    const dure_plain_rule rule = rule_of(c, property);
    if (rule != DURE_PLAIN_NONE) {
        return walk_fails(w, rule, c);
    }
    w->is_seen = w->is_seen || !is_mark((utf8proc_category_t)property->category);
    if (!continues(c) && !walk_end_piece(w)) {
        return false;
    }
    if (w->count == PIECE_MAX) {
        return walk_fails(w, DURE_PLAIN_MARKS, (uint32_t)w->piece[0]);
    }
    w->piece[w->count++] = (utf8proc_int32_t)c;
    return true;
}

static bool walk_text(walk *w, dure_str text)
{
    const uint8_t *at = (const uint8_t *)text.data;
    uint32_t first = 0;
    for (size_t left = text.len; left > 0;) {
        const size_t len = dure_utf8_sequence(at, left);
        if (len == 0) {
            return walk_fails(w, DURE_PLAIN_BROKEN, at[0]);
        }
        const uint32_t c = code_point(at, len);
        first = left == text.len ? c : first;
        if (!walk_take(w, c)) {
            return false;
        }
        at += len;
        left -= len;
    }
    if (!walk_end_piece(w)) {
        return false;
    }
    return w->is_seen || text.len == 0 || walk_fails(w, DURE_PLAIN_UNSEEN, first);
}

bool dure_plain_check(dure_str text, dure_plain_fault *out_fault)
{
    walk w = {.count = 0};
    const bool is_plain = walk_text(&w, text);
    DURE_ASSERT(is_plain == (w.fault.rule == DURE_PLAIN_NONE));
    if (out_fault != NULL) {
        *out_fault = w.fault;
    }
    return is_plain;
}

const char *dure_plain_print(const dure_plain_fault *fault, char *text, size_t size)
{
    static const char *const texts[] = {
#define DURE_PLAIN_TEXT_ROW(name, said) said,
        DURE_PLAIN_RULE_LIST(DURE_PLAIN_TEXT_ROW)
#undef DURE_PLAIN_TEXT_ROW
    };
    const char *said = texts[fault->rule];
    if (fault->rule == DURE_PLAIN_BROKEN) {
        (void)snprintf(text, size, "0x%02" PRIX32 " %s", fault->code_point, said);
    } else {
        (void)snprintf(text, size, "U+%04" PRIX32 " %s", fault->code_point, said);
    }
    return text;
}

const char *dure_plain_rule_name(dure_plain_rule rule)
{
    static const char *const names[] = {
#define DURE_PLAIN_NAME_ROW(name, said) #name,
        DURE_PLAIN_RULE_LIST(DURE_PLAIN_NAME_ROW)
#undef DURE_PLAIN_NAME_ROW
    };
    return names[rule];
}
