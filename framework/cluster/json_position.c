/* SPDX-License-Identifier: MIT
 *
 * The strict tokenizer. It walks the text once with a state instead of recursion: a text decides
 * neither how deep our stack gets nor how much memory it takes.
 */
#include "cluster/json_position.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "base/utf8.h"

#define ENTRIES_FIRST 64u

/* What may come next. */
typedef enum scan_state {
    SCAN_VALUE,         /* a value */
    SCAN_FIRST_ELEMENT, /* a value, or the end of the array */
    SCAN_FIRST_KEY,     /* a key, or the end of the object */
    SCAN_KEY,           /* a key */
    SCAN_AFTER,         /* a comma, or the end of what it stands in */
    SCAN_END            /* nothing */
} scan_state;

typedef struct scanner {
    dure_json_positions *positions;
    size_t capacity;
    const char *text;
    size_t len;
    size_t at;
    scan_state state;
    uint32_t parent; /* the open array or object */
    uint32_t depth;
    uint32_t depth_max;
    size_t marked; /* how far `mark` has counted */
    dure_json_place mark;
    dure_json_place key_place;
    bool has_key;
    dure_json_mistake *mistake;
} scanner;

/* Places are asked in rising order, so that counting lines stays linear. */
static dure_json_place scan_place(scanner *s, size_t at)
{
    for (; s->marked < at && s->marked < s->len; s->marked++) {
        unsigned char byte = (unsigned char)s->text[s->marked];
        if (byte == '\n') {
            s->mark.line++;
            s->mark.column = 1;
        } else if ((byte & 0xC0u) != 0x80u) {
            s->mark.column++; /* continuation bytes belong to the character before */
        }
    }
    return s->mark;
}

static dure_err scan_fail(scanner *s, dure_err err, size_t at, const char *message)
{
    s->mistake->place = scan_place(s, at);
    (void)snprintf(s->mistake->message, sizeof s->mistake->message, "%s", message);
    return err;
}

static dure_err scan_syntax(scanner *s, size_t at, const char *message)
{
    return scan_fail(s, DURE_ERR_SYNTAX, at, message);
}

static char scan_peek(const scanner *s)
{
    return s->at < s->len ? s->text[s->at] : '\0';
}

static void scan_space(scanner *s)
{
    while (s->at < s->len && memchr(" \t\r\n", s->text[s->at], 4) != NULL) {
        s->at++;
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ---- strings ---- */

/* The four digits behind \u, or -1. */
static int32_t hex4(const scanner *s, size_t at)
{
    int32_t unit = 0;
    for (size_t i = at; i < at + 4; i++) {
        char c = i < s->len ? s->text[i] : '\0';
        int digit = is_digit(c)            ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            return -1;
        }
        unit = unit * 16 + digit;
    }
    return unit;
}

static dure_err scan_unicode_escape(scanner *s)
{
    size_t start = s->at;
    int32_t unit = hex4(s, s->at + 2);
    if (unit < 0) {
        return scan_syntax(s, start, "\\u needs four hexadecimal digits");
    }
    if (unit == 0) {
        return scan_syntax(s, start, "\\u0000 is not allowed in a configuration");
    }
    s->at += 6;
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        bool is_pair = s->at + 1 < s->len && s->text[s->at] == '\\' && s->text[s->at + 1] == 'u';
        int32_t low = is_pair ? hex4(s, s->at + 2) : -1;
        if (low < 0xDC00 || low > 0xDFFF) {
            return scan_syntax(s, start, "half of a surrogate pair");
        }
        s->at += 6;
    } else if (unit >= 0xDC00 && unit <= 0xDFFF) {
        return scan_syntax(s, start, "half of a surrogate pair");
    }
    return DURE_OK;
}

static dure_err scan_escape(scanner *s)
{
    char c = s->at + 1 < s->len ? s->text[s->at + 1] : '\0';
    if (c == 'u') {
        return scan_unicode_escape(s);
    }
    if (c == '\0' || strchr("\"\\/bfnrt", c) == NULL) {
        return scan_syntax(s, s->at,
                           "unknown escape; JSON has \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u");
    }
    s->at += 2;
    return DURE_OK;
}

/* From the opening quote to behind the closing one. */
static dure_err scan_string(scanner *s)
{
    size_t start = s->at++;
    while (s->at < s->len && s->text[s->at] != '"') {
        unsigned char byte = (unsigned char)s->text[s->at];
        if (byte == '\n') {
            return scan_syntax(s, start, "the string does not end on its line");
        }
        if (byte < 0x20) {
            return scan_syntax(s, s->at, "a control character in a string; write it as \\u00..");
        }
        if (byte == '\\') {
            dure_err err = scan_escape(s);
            if (err != DURE_OK) {
                return err;
            }
            continue;
        }
        size_t step = dure_utf8_sequence((const uint8_t *)s->text + s->at, s->len - s->at);
        if (step == 0) {
            return scan_syntax(s, s->at, "not UTF-8");
        }
        s->at += step;
    }
    if (s->at >= s->len) {
        return scan_syntax(s, start, "the string does not end");
    }
    s->at++;
    return DURE_OK;
}

/* ---- numbers and words ---- */

static bool scan_digits(scanner *s)
{
    size_t start = s->at;
    while (is_digit(scan_peek(s))) {
        s->at++;
    }
    return s->at > start;
}

static dure_err scan_number(scanner *s)
{
    size_t start = s->at;
    s->at += scan_peek(s) == '-' ? 1 : 0;
    size_t first = s->at;
    if (!scan_digits(s)) {
        return scan_syntax(s, start, "a number needs a digit behind its sign");
    }
    if (s->text[first] == '0' && s->at > first + 1) {
        return scan_syntax(s, start, "a number does not begin with 0");
    }
    if (scan_peek(s) == '.') {
        s->at++;
        if (!scan_digits(s)) {
            return scan_syntax(s, start, "a number needs a digit behind its point");
        }
    }
    if (scan_peek(s) == 'e' || scan_peek(s) == 'E') {
        s->at++;
        s->at += scan_peek(s) == '+' || scan_peek(s) == '-' ? 1 : 0;
        if (!scan_digits(s)) {
            return scan_syntax(s, start, "a number needs a digit in its exponent");
        }
    }
    return DURE_OK;
}

static bool scan_word(scanner *s, const char *word)
{
    size_t len = strlen(word);
    if (s->len - s->at < len || memcmp(s->text + s->at, word, len) != 0) {
        return false;
    }
    s->at += len;
    return true;
}

/* ---- structure ---- */

static dure_err scan_push(scanner *s, dure_json_kind kind, uint32_t *out_index)
{
    dure_json_positions *p = s->positions;
    DURE_ASSERT(s->parent == DURE_JSON_NONE || s->parent < p->count);
    if (p->count >= DURE_JSON_VALUES_MAX) {
        return scan_fail(s, DURE_ERR_TOO_MANY_ELEMENTS, s->at, "more than 65536 values");
    }
    if (s->parent != DURE_JSON_NONE && p->entries[s->parent].children >= DURE_JSON_CHILDREN_MAX) {
        return scan_fail(s, DURE_ERR_TOO_MANY_ELEMENTS, s->at,
                         "more than 4096 values in one array or object");
    }
    if (p->count >= s->capacity) {
        size_t capacity = s->capacity == 0 ? ENTRIES_FIRST : s->capacity * 2;
        dure_json_entry *grown = dure_mem_realloc(p->entries, capacity * sizeof *grown);
        if (grown == NULL) {
            return DURE_ERR_NO_MEMORY;
        }
        p->entries = grown;
        s->capacity = capacity;
    }
    dure_json_place place = scan_place(s, s->at);
    p->entries[p->count] = (dure_json_entry){
        .kind = kind,
        .place = place,
        .key_place = s->has_key ? s->key_place : place,
        .start = (uint32_t)s->at,
        .parent = s->parent,
    };
    if (s->parent != DURE_JSON_NONE) {
        p->entries[s->parent].children++;
    }
    s->has_key = false;
    *out_index = (uint32_t)p->count++;
    return DURE_OK;
}

static void scan_after_value(scanner *s, uint32_t index)
{
    DURE_ASSERT(index < s->positions->count);
    DURE_ASSERT(s->positions->entries[index].start < s->at);
    s->positions->entries[index].end = (uint32_t)s->at;
    s->state = s->parent == DURE_JSON_NONE ? SCAN_END : SCAN_AFTER;
}

static dure_err scan_open(scanner *s, dure_json_kind kind)
{
    uint32_t index = 0;
    if (s->depth >= s->depth_max) {
        (void)scan_fail(s, DURE_ERR_TOO_DEEP, s->at, "");
        (void)snprintf(s->mistake->message, sizeof s->mistake->message,
                       "nested deeper than %u levels", (unsigned)s->depth_max);
        return DURE_ERR_TOO_DEEP;
    }
    dure_err err = scan_push(s, kind, &index);
    if (err == DURE_OK) {
        s->at++;
        s->depth++;
        s->parent = index;
        s->state = kind == DURE_JSON_ARRAY ? SCAN_FIRST_ELEMENT : SCAN_FIRST_KEY;
    }
    return err;
}

static void scan_close(scanner *s)
{
    uint32_t closed = s->parent;
    DURE_ASSERT(closed < s->positions->count);
    DURE_ASSERT(s->depth > 0);
    s->at++;
    s->depth--;
    s->parent = s->positions->entries[closed].parent;
    scan_after_value(s, closed);
}

static dure_err scan_not_a_value(scanner *s)
{
    char c = scan_peek(s);
    const char *message = s->at >= s->len        ? "the text ends where a value belongs"
                          : c == ']' || c == '}' ? "no value behind the comma or colon"
                          : c == '\''            ? "strings stand in double quotes"
                          : c == '/' || c == '#' ? "JSON has no comments"
                          : c == '+' || c == '.' ? "a number begins with a digit or -"
                          : c == 'T' || c == 'F' ? "JSON writes true and false in small letters"
                                                 : "no JSON value begins like this";
    return scan_syntax(s, s->at, message);
}

static dure_err scan_scalar(scanner *s)
{
    char c = scan_peek(s);
    size_t start = s->at;
    uint32_t index = 0;
    dure_json_kind kind = c == '"'                  ? DURE_JSON_STRING
                          : is_digit(c) || c == '-' ? DURE_JSON_NUMBER
                          : c == 'n'                ? DURE_JSON_NULL
                                                    : DURE_JSON_BOOL;
    bool is_word = kind == DURE_JSON_NULL || kind == DURE_JSON_BOOL;
    if (is_word && !scan_word(s, "null") && !scan_word(s, "true") && !scan_word(s, "false")) {
        return scan_not_a_value(s);
    }
    s->at = start;
    dure_err err = scan_push(s, kind, &index);
    if (err != DURE_OK) {
        return err;
    }
    if (is_word) {
        s->at += c == 'f' ? 5 : 4;
    } else {
        err = kind == DURE_JSON_STRING ? scan_string(s) : scan_number(s);
    }
    if (err == DURE_OK) {
        scan_after_value(s, index);
    }
    return err;
}

static dure_err scan_value(scanner *s)
{
    char c = scan_peek(s);
    if (s->state == SCAN_FIRST_ELEMENT && c == ']') {
        scan_close(s);
        return DURE_OK;
    }
    if (c == '{' || c == '[') {
        return scan_open(s, c == '{' ? DURE_JSON_OBJECT : DURE_JSON_ARRAY);
    }
    return scan_scalar(s);
}

static dure_err scan_key(scanner *s)
{
    char c = scan_peek(s);
    if (s->state == SCAN_FIRST_KEY && c == '}') {
        scan_close(s);
        return DURE_OK;
    }
    if (c != '"') {
        const char *message = s->at >= s->len ? "the text ends within an object"
                              : c == '}'      ? "no key behind the comma"
                              : c == '/'      ? "JSON has no comments"
                                              : "a key in double quotes belongs here";
        return scan_syntax(s, s->at, message);
    }
    s->key_place = scan_place(s, s->at);
    s->has_key = true;
    dure_err err = scan_string(s);
    if (err != DURE_OK) {
        return err;
    }
    scan_space(s);
    if (scan_peek(s) != ':') {
        return scan_syntax(s, s->at, "a colon belongs behind a key");
    }
    s->at++;
    s->state = SCAN_VALUE;
    return DURE_OK;
}

static dure_err scan_after(scanner *s)
{
    DURE_ASSERT(s->parent < s->positions->count); /* behind the outermost value comes the end */
    char c = scan_peek(s);
    bool is_array = s->positions->entries[s->parent].kind == DURE_JSON_ARRAY;
    if (c == ',') {
        s->at++;
        s->state = is_array ? SCAN_VALUE : SCAN_KEY;
        return DURE_OK;
    }
    if (c == (is_array ? ']' : '}')) {
        scan_close(s);
        return DURE_OK;
    }
    if (s->at >= s->len) {
        return scan_syntax(s, s->at,
                           is_array ? "the text ends within an array"
                                    : "the text ends within an object");
    }
    return scan_syntax(s, s->at,
                       is_array ? "a comma or ] belongs here" : "a comma or } belongs here");
}

static dure_err scan_step(scanner *s)
{
    switch (s->state) {
    case SCAN_VALUE:
    case SCAN_FIRST_ELEMENT:
        return scan_value(s);
    case SCAN_FIRST_KEY:
    case SCAN_KEY:
        return scan_key(s);
    case SCAN_AFTER:
        return scan_after(s);
    case SCAN_END:
        break;
    }
    return scan_syntax(s, s->at, "nothing may follow the end of the document");
}

dure_err dure_json_positions_init(dure_json_positions *positions, const char *text, size_t len,
                                  uint32_t depth_max, dure_json_mistake *out_mistake)
{
    *positions = (dure_json_positions){NULL, 0};
    scanner s = {.positions = positions, .text = text, .len = len, .depth_max = depth_max};
    s.parent = DURE_JSON_NONE;
    s.mark = (dure_json_place){1, 1};
    s.mistake = out_mistake;
    if (len >= UINT32_MAX) {
        return scan_fail(&s, DURE_ERR_TOO_LARGE, 0, "larger than 4 GiB");
    }
    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        s.at = 3;
        s.marked = 3;
    }
    dure_err err = DURE_OK;
    scan_space(&s);
    while (err == DURE_OK && (s.state != SCAN_END || s.at < s.len)) {
        err = scan_step(&s); /* consumes a byte or fails, so it ends */
        scan_space(&s);
    }
    if (err != DURE_OK) {
        dure_json_positions_fini(positions);
    }
    return err;
}

void dure_json_positions_fini(dure_json_positions *positions)
{
    dure_mem_free(positions->entries);
    *positions = (dure_json_positions){NULL, 0};
}

const char *dure_json_kind_name(dure_json_kind kind)
{
    static const char *const names[] = {"null",     "true or false", "a number",
                                        "a string", "an array",      "an object"};
    DURE_ASSERT((size_t)kind < DURE_COUNT_OF(names));
    return names[kind];
}
