/* SPDX-License-Identifier: MIT
 *
 * A line is put together in one buffer on the caller's stack and handed as a whole to the ring of
 * the log's writer, or to the sink under the log's mutex, so that lines of several workers never
 * mix. The pairs are formatted once and, for JSON, taken apart again: callers know one form only.
 */
#include "base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "base/log_writer.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/utf8.h"

/* Longer pairs are cut. A JSON escape takes at most six bytes for one, hence the size of a line. */
#define LOG_FIELDS_BYTES 2048u
#define LOG_HEAD_BYTES   512u
#define LOG_LINE_BYTES   (6u * (LOG_HEAD_BYTES + LOG_FIELDS_BYTES))
#define LOG_NODE_BYTES   64u

struct dure_log {
    /* set before start */
    dure_log_format format;
    dure_log_sink_fn sink;   /* NULL: there is a writer */
    dure_log_writer *writer; /* to stderr */
    dure_log_clock_fn clock;
    void *ctx;
    dure_mutex *mutex; /* of the sink */
    char node[LOG_NODE_BYTES];
    /* any thread, atomic, relaxed: a late look at the level costs a line at most */
    atomic_int level;
};

typedef struct log_line {
    char bytes[LOG_LINE_BYTES];
    size_t len;
} log_line;

static const char *const level_names[] = {"debug", "info", "warn", "error", "off"};

static size_t log_tell_dropped(void *ctx, uint64_t lines, char *out, size_t out_size);

/* Where its lines go. */
static dure_err log_open(dure_log *log, const dure_log_config *config)
{
    const dure_log_writer_config to_stderr = {.tell = log_tell_dropped, .ctx = log};
    if (config->sink == NULL) {
        return dure_log_writer_create(&to_stderr, &log->writer);
    }
    log->sink = config->sink;
    log->mutex = dure_mutex_create();
    return log->mutex != NULL ? DURE_OK : DURE_ERR_NO_MEMORY;
}

dure_err dure_log_create(const dure_log_config *config, dure_log **out_log)
{
    dure_log *log = dure_mem_alloc(sizeof *log);
    if (log == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    log->format = config->format;
    log->clock = config->clock;
    log->ctx = config->ctx;
    if (config->node != NULL) {
        (void)snprintf(log->node, sizeof log->node, "%s", config->node);
    }
    atomic_init(&log->level, (int)config->level);
    dure_err err = log_open(log, config);
    if (err != DURE_OK) {
        dure_mem_free(log);
        return err;
    }
    *out_log = log;
    return DURE_OK;
}

void dure_log_destroy(dure_log *log)
{
    if (log != NULL) {
        dure_log_writer_destroy(log->writer);
        dure_mutex_destroy(log->mutex);
        dure_mem_free(log);
    }
}

void dure_log_set_level(dure_log *log, dure_log_level level)
{
    if (log != NULL) {
        atomic_store_explicit(&log->level, (int)level, memory_order_relaxed);
    }
}

dure_log_level dure_log_level_of(const dure_log *log)
{
    if (log == NULL) {
        return DURE_LOG_OFF;
    }
    return (dure_log_level)atomic_load_explicit(&log->level, memory_order_relaxed);
}

bool dure_log_is_on(const dure_log *log, dure_log_level level)
{
    return level < DURE_LOG_OFF && level >= dure_log_level_of(log);
}

static void line_put(log_line *line, const char *bytes, size_t len)
{
    size_t left = sizeof line->bytes - line->len;
    if (len > left) {
        len = left;
    }
    memcpy(line->bytes + line->len, bytes, len);
    line->len += len;
}

static void line_put_text(log_line *line, const char *text)
{
    line_put(line, text, strlen(text));
}

/* ---- JSON ---- */

static void json_put_byte(log_line *line, uint8_t byte)
{
    char escape[8];
    if (byte == '"' || byte == '\\') {
        escape[0] = '\\';
        escape[1] = (char)byte;
        line_put(line, escape, 2);
    } else if (byte < 0x20 || byte == 0x7f) {
        (void)snprintf(escape, sizeof escape, "\\u%04x", byte);
        line_put(line, escape, 6);
    } else {
        char plain = (char)byte;
        line_put(line, &plain, 1);
    }
}

/* Text as it is, escaped for JSON; a byte that is not UTF-8 becomes U+FFFD. */
static size_t json_put_sequence(log_line *line, const char *text, size_t len)
{
    size_t step = dure_utf8_sequence((const uint8_t *)text, len);
    if (step == 0) {
        line_put_text(line, "\\ufffd");
        return 1;
    }
    if (step == 1) {
        json_put_byte(line, (uint8_t)text[0]);
    } else {
        line_put(line, text, step);
    }
    return step;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One escape of dure_log_quote at the front of text, as JSON. Returns the bytes it took. */
static size_t json_put_escape(log_line *line, const char *text, size_t len)
{
    if (len < 2) {
        json_put_byte(line, '\\');
        return 1;
    }
    if (text[1] == 'n' || text[1] == 't') {
        line_put(line, text, 2);
        return 2;
    }
    if (text[1] != 'x' || len < 4 || hex_digit(text[2]) < 0 || hex_digit(text[3]) < 0) {
        json_put_byte(line, (uint8_t)text[1]);
        return 2;
    }
    int byte = hex_digit(text[2]) * 16 + hex_digit(text[3]);
    if (byte < 0x80) {
        json_put_byte(line, (uint8_t)byte);
    } else {
        /* Not UTF-8, so JSON cannot hold it: the escape itself is shown. */
        json_put_byte(line, '\\');
        line_put(line, text + 1, 3);
    }
    return 4;
}

/* A number of JSON's grammar, small enough to be exact in every reader. */
static bool json_is_number(const char *text, size_t len)
{
    size_t at = len > 0 && text[0] == '-' ? 1 : 0;
    size_t digits = 0;
    bool dot = false;
    if (len - at == 0 || len > 15 || (text[at] == '0' && len - at > 1 && text[at + 1] != '.')) {
        return false;
    }
    for (; at < len; at++) {
        if (text[at] == '.' && !dot && digits > 0) {
            dot = true;
            digits = 0;
        } else if (text[at] >= '0' && text[at] <= '9') {
            digits++;
        } else {
            return false;
        }
    }
    return digits > 0;
}

static bool text_is(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

static void json_put_bare(log_line *line, const char *text, size_t len)
{
    if (json_is_number(text, len) || text_is(text, len, "true") || text_is(text, len, "false")) {
        line_put(line, text, len);
        return;
    }
    line_put_text(line, "\"");
    for (size_t at = 0; at < len;) {
        at += json_put_sequence(line, text + at, len - at);
    }
    line_put_text(line, "\"");
}

/* A value in quotes; text begins behind the first. Returns the bytes it took, with the last. */
static size_t json_put_quoted(log_line *line, const char *text, size_t len)
{
    size_t at = 0;
    line_put_text(line, "\"");
    while (at < len && text[at] != '"') {
        if (text[at] == '\\') {
            at += json_put_escape(line, text + at, len - at);
        } else {
            at += json_put_sequence(line, text + at, len - at);
        }
    }
    line_put_text(line, "\"");
    return at < len ? at + 1 : at;
}

static size_t span_until(const char *text, size_t len, char stop)
{
    size_t at = 0;
    while (at < len && text[at] != ' ' && text[at] != stop) {
        at++;
    }
    return at;
}

static void json_put_key(log_line *line, const char *key, size_t len)
{
    line_put_text(line, ",\"");
    for (size_t at = 0; at < len;) {
        at += json_put_sequence(line, key + at, len - at);
    }
    line_put_text(line, "\":");
}

/* key=value key="quoted value" ...; a word without = counts as a key whose value is true. */
static void json_put_pairs(log_line *line, const char *text, size_t len)
{
    size_t at = 0;
    while (at < len) {
        if (text[at] == ' ') {
            at++;
            continue;
        }
        size_t key = span_until(text + at, len - at, '=');
        json_put_key(line, text + at, key);
        at += key;
        if (at >= len || text[at] != '=') {
            line_put_text(line, "true");
            continue;
        }
        at++;
        if (at < len && text[at] == '"') {
            at++;
            at += json_put_quoted(line, text + at, len - at);
            continue;
        }
        size_t value = span_until(text + at, len - at, ' ');
        json_put_bare(line, text + at, value);
        at += value;
    }
}

/* ---- the line ---- */

/* The date of a day counted from 1970 (Howard Hinnant, "chrono-compatible low-level date
 * algorithms", days_from_civil turned round); gmtime would not be safe among threads. */
static void date_of(uint64_t days, unsigned *out_year, unsigned *out_month, unsigned *out_day)
{
    uint64_t z = days + 719468;
    uint64_t era = z / 146097;
    unsigned doe = (unsigned)(z % 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    *out_day = doy - (153 * mp + 2) / 5 + 1;
    *out_month = mp < 10 ? mp + 3 : mp - 9;
    *out_year = (unsigned)(yoe + era * 400) + (*out_month <= 2 ? 1 : 0);
}

static void log_format_time(uint64_t ms, char *out, size_t out_size)
{
    unsigned year, month, day;
    uint64_t seconds = ms / 1000;
    unsigned of_day = (unsigned)(seconds % 86400);
    date_of(seconds / 86400, &year, &month, &day);
    (void)snprintf(out, out_size, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year, month, day,
                   of_day / 3600, of_day / 60 % 60, of_day % 60, (unsigned)(ms % 1000));
}

/* What every line begins with, as pairs. */
static void log_head(const dure_log *log, dure_log_level level, const char *topic,
                     const char *event, char *out, size_t out_size)
{
    char time_text[48] = "";
    char node_text[2 * LOG_NODE_BYTES];
    if (log->clock != NULL) {
        memcpy(time_text, "time=", sizeof "time=");
        log_format_time(log->clock(log->ctx), time_text + 5, sizeof time_text - 5);
    }
    (void)dure_log_quote(log->node, strlen(log->node), node_text, sizeof node_text);
    (void)snprintf(out, out_size, "%s%slevel=%s%s%s topic=%s event=%s", time_text,
                   time_text[0] != '\0' ? " " : "", dure_log_level_name(level),
                   log->node[0] != '\0' ? " node=" : "", log->node[0] != '\0' ? node_text : "",
                   topic, event);
}

/* A line feed in a value must not begin a line of its own. */
static void log_flatten(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20) {
            *text = ' ';
        }
    }
}

static void log_put_line(log_line *line, dure_log_format format, const char *head,
                         const char *fields)
{
    line->len = 0;
    if (format == DURE_LOG_JSON) {
        json_put_pairs(line, head, strlen(head));
        json_put_pairs(line, fields, strlen(fields));
        /* Each pair came with a comma in front; the first one opens the object instead. */
        line->bytes[0] = '{';
        line_put_text(line, "}");
    } else {
        line_put_text(line, head);
        line_put_text(line, fields[0] != '\0' ? " " : "");
        line_put_text(line, fields);
    }
    line_put_text(line, "\n");
}

void dure_log_write(dure_log *log, dure_log_level level, const char *topic, const char *event,
                    const char *fields, ...)
{
    char head[LOG_HEAD_BYTES];
    char pairs[LOG_FIELDS_BYTES] = "";
    log_line line;
    if (!dure_log_is_on(log, level)) {
        return;
    }
    if (fields != NULL) {
        va_list args;
        va_start(args, fields);
        int len = vsnprintf(pairs, sizeof pairs, fields, args);
        va_end(args);
        if (len >= (int)sizeof pairs) {
            memcpy(pairs + sizeof pairs - sizeof "...", "...", sizeof "...");
        }
        log_flatten(pairs);
    }
    log_head(log, level, topic, event, head, sizeof head);
    log_put_line(&line, log->format, head, pairs);
    if (log->writer != NULL) {
        (void)dure_log_writer_put(log->writer, line.bytes, line.len); /* lost ones are told of */
        return;
    }
    dure_mutex_lock(log->mutex);
    log->sink(log->ctx, line.bytes, line.len);
    dure_mutex_unlock(log->mutex);
}

static size_t log_tell_dropped(void *ctx, uint64_t lines, char *out, size_t out_size)
{
    const dure_log *log = ctx;
    char head[LOG_HEAD_BYTES];
    char pairs[64];
    log_line line;
    (void)snprintf(pairs, sizeof pairs, "lines=%" PRIu64, lines);
    log_head(log, DURE_LOG_WARN, "log", "LOG_DROPPED", head, sizeof head);
    log_put_line(&line, log->format, head, pairs);
    DURE_DEBUG_ASSERT(line.len <= out_size);
    memcpy(out, line.bytes, line.len);
    return line.len;
}

/* ---- values and names ---- */

static bool quote_is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=') {
            return false;
        }
    }
    return len > 0;
}

/* One character of text as it stands in quotes, into out (at least 5 bytes). Returns the bytes it
 * took of text; out_len how many it gave. */
static size_t quote_one(const char *text, size_t len, char *out, size_t *out_len)
{
    unsigned char c = (unsigned char)text[0];
    size_t step = dure_utf8_sequence((const uint8_t *)text, len);
    out[0] = '\\';
    *out_len = 2;
    if (c == '"' || c == '\\') {
        out[1] = (char)c;
    } else if (c == '\n' || c == '\t') {
        out[1] = c == '\n' ? 'n' : 't';
    } else if (step == 0 || c < 0x20 || c == 0x7f) {
        (void)snprintf(out, 5, "\\x%02x", c);
        *out_len = 4;
        return 1;
    } else {
        memcpy(out, text, step);
        *out_len = step;
        return step;
    }
    return 1;
}

const char *dure_log_quote(const char *text, size_t len, char *out, size_t out_size)
{
    static const char cut[] = "...\"";
    if (quote_is_plain(text, len) && len < out_size) {
        memcpy(out, text, len);
        out[len] = '\0';
        return out;
    }
    if (out_size < sizeof cut + 1) {
        return "";
    }
    size_t put = 0;
    size_t fits = 1; /* how much may stand before a cut */
    out[put++] = '"';
    for (size_t at = 0; at < len;) {
        char one[8];
        size_t one_len;
        at += quote_one(text + at, len - at, one, &one_len);
        if (put + one_len + 2 > out_size) {
            memcpy(out + fits, cut, sizeof cut);
            return out;
        }
        memcpy(out + put, one, one_len);
        put += one_len;
        if (put + sizeof cut <= out_size) {
            fits = put;
        }
    }
    out[put++] = '"';
    out[put] = '\0';
    return out;
}

dure_err dure_log_level_parse(const char *name, dure_log_level *out_level)
{
    for (size_t i = 0; i < DURE_COUNT_OF(level_names); i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out_level = (dure_log_level)i;
            return DURE_OK;
        }
    }
    return DURE_ERR_INVALID;
}

const char *dure_log_level_name(dure_log_level level)
{
    return (size_t)level < DURE_COUNT_OF(level_names) ? level_names[level] : "off";
}
