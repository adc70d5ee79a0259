/* SPDX-License-Identifier: MIT
 *
 * One table of words; a line is a word, its number where it has one, and a way.
 */
#include "fault_words.h"

#include <string.h>

#include "base/str.h"

#define WORDS_MAX 3u

typedef enum word_kind {
    WORD_DELAY,
    WORD_SPLIT,
    WORD_MERGE,
    WORD_SLOW,
    WORD_SILENT,
    WORD_ONE_WAY,
    WORD_RESET_AT,
    WORD_CUT,
    WORD_CLOSE,
    WORD_RESET,
    WORD_HEAL
} word_kind;

static const struct {
    const char *word;
    word_kind kind;
    uint64_t number_max; /* 0: it has no number */
    bool has_way;
} words[] = {
    {"delay", WORD_DELAY, FAULT_MS_MAX, true},
    {"split", WORD_SPLIT, UINT32_MAX, true},
    {"merge", WORD_MERGE, FAULT_MS_MAX, true},
    {"slow", WORD_SLOW, FAULT_NUMBER_MAX, true},
    {"silent", WORD_SILENT, 0, true},
    {"one-way", WORD_ONE_WAY, 0, true},
    {"reset-at", WORD_RESET_AT, FAULT_NUMBER_MAX, true},
    {"cut", WORD_CUT, 0, false},
    {"close", WORD_CLOSE, 0, false},
    {"reset", WORD_RESET, 0, false},
    {"heal", WORD_HEAL, 0, false},
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* False where there are more than fit. */
static bool split_line(const char *line, dure_str out[WORDS_MAX], size_t *out_count)
{
    size_t count = 0;
    const char *at = line;
    for (;;) {
        while (is_blank(*at)) {
            at++;
        }
        if (*at == '\0') {
            *out_count = count;
            return true;
        }
        const char *start = at;
        while (*at != '\0' && !is_blank(*at)) {
            at++;
        }
        if (count == WORDS_MAX) {
            return false;
        }
        out[count++] = (dure_str){start, (size_t)(at - start)};
    }
}

static bool read_number(dure_str text, uint64_t max, uint64_t *out_number)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || number > max / 10) {
            return false;
        }
        number = number * 10 + (uint64_t)(text.data[i] - '0');
    }
    *out_number = number;
    return text.len > 0 && number <= max;
}

/* A bit for each way. */
static bool read_ways(dure_str text, unsigned *out_ways)
{
    if (dure_str_equal(text, dure_str_of("to-server"))) {
        *out_ways = 1u << FAULT_TO_SERVER;
        return true;
    }
    *out_ways = 1u << FAULT_TO_CLIENT;
    return dure_str_equal(text, dure_str_of("to-client"));
}

static void apply_way(fault_way *way, word_kind kind, uint64_t number)
{
    switch (kind) {
    case WORD_DELAY:
        way->delay_ms = (uint32_t)number;
        break;
    case WORD_SPLIT:
        way->split_bytes = (uint32_t)number;
        break;
    case WORD_MERGE:
        way->merge_ms = (uint32_t)number;
        break;
    case WORD_SLOW:
        way->bytes_per_s = number;
        break;
    case WORD_RESET_AT:
        way->reset_at = number;
        break;
    case WORD_SILENT:
    case WORD_ONE_WAY:
        way->is_silent = true;
        break;
    case WORD_CUT:
    case WORD_CLOSE:
    case WORD_RESET:
    case WORD_HEAL:
        break;
    }
}

static void apply(fault_set *faults, fault_action *out_action, word_kind kind, uint64_t number,
                  unsigned ways)
{
    *out_action = kind == WORD_CUT || kind == WORD_CLOSE ? FAULT_CLOSE
                  : kind == WORD_RESET                   ? FAULT_RESET
                                                         : FAULT_NONE;
    faults->is_cut = faults->is_cut || kind == WORD_CUT;
    if (kind == WORD_HEAL) {
        *faults = (fault_set){0};
    }
    for (unsigned i = 0; i < FAULT_WAYS; i++) {
        if ((ways & (1u << i)) != 0) {
            apply_way(&faults->ways[i], kind, number);
        }
    }
}

dure_err fault_parse(const char *line, fault_set *faults, fault_action *out_action)
{
    dure_str found[WORDS_MAX];
    size_t count = 0;
    if (!split_line(line, found, &count) || count == 0) {
        return DURE_ERR_INVALID;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        uint64_t number = 0;
        unsigned ways = (1u << FAULT_TO_SERVER) | (1u << FAULT_TO_CLIENT);
        size_t used = 1;
        if (!dure_str_equal(found[0], dure_str_of(words[i].word))) {
            continue;
        }
        if (words[i].number_max != 0) {
            if (count < 2 || !read_number(found[1], words[i].number_max, &number)) {
                return DURE_ERR_INVALID;
            }
            used = 2;
        }
        bool has_way = words[i].has_way && count > used;
        if (has_way && !read_ways(found[used++], &ways)) {
            return DURE_ERR_INVALID;
        }
        if (used != count || (words[i].kind == WORD_ONE_WAY && !has_way)) {
            return DURE_ERR_INVALID;
        }
        apply(faults, out_action, words[i].kind, number, ways);
        return DURE_OK;
    }
    return DURE_ERR_INVALID;
}
