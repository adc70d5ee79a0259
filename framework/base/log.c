/* SPDX-License-Identifier: MIT
 *
 * Log lines. The fields arrive formatted as logfmt; the JSON form is made from the same text, so
 * that a caller writes one call for both.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/thread.h"

#define LOG_FIELDS_BYTES_MAX 2048
#define LOG_LINE_BYTES_MAX   4096

struct dure_log {
    dure_log_config config;
    char *node;
    dure_mutex *mutex;
    atomic_int level;
};

static const char *const level_names[] = {"debug", "info", "warn", "error", "off"};

/* A line under construction; what does not fit is left out. */
typedef struct log_line {
    char text[LOG_LINE_BYTES_MAX];
    size_t len;
} log_line;

static void log_stderr(void *ctx, const char *line, size_t len)
{
    (void)ctx;
    (void)fwrite(line, 1, len, stderr);
}

dure_err dure_log_create(const dure_log_config *config, dure_log **out_log)
{
    dure_log *log = dure_mem_alloc(sizeof *log);
    if (log == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    log->config = *config;
    log->config.node = NULL;
    if (log->config.sink == NULL) {
        log->config.sink = log_stderr;
    }
    atomic_init(&log->level, (int)config->level);
    log->mutex = dure_mutex_create();
    log->node = config->node != NULL ? dure_mem_strdup(config->node) : NULL;
    if (log->mutex == NULL || (config->node != NULL && log->node == NULL)) {
        dure_log_destroy(log);
        return DURE_ERR_NO_MEMORY;
    }
    *out_log = log;
    return DURE_OK;
}

void dure_log_destroy(dure_log *log)
{
    if (log == NULL) {
        return;
    }
    dure_mutex_destroy(log->mutex);
    dure_mem_free(log->node);
    dure_mem_free(log);
}

void dure_log_set_level(dure_log *log, dure_log_level level)
{
    /* relaxed: a line more or less at the moment of the switch does not matter */
    atomic_store_explicit(&log->level, (int)level, memory_order_relaxed);
}

dure_log_level dure_log_level_of(const dure_log *log)
{
    return (dure_log_level)atomic_load_explicit(&log->level, memory_order_relaxed);
}

bool dure_log_is_on(const dure_log *log, dure_log_level level)
{
    return log != NULL && level != DURE_LOG_OFF && level >= dure_log_level_of(log);
}

/* ---- building a line ---- */

static void line_bytes(log_line *line, const char *text, size_t len)
{
    /* Room for what closes a line stays. */
    size_t room = sizeof line->text - 8 - line->len;
    if (len <= room) {
        memcpy(line->text + line->len, text, len);
        line->len += len;
    }
}

static void line_text(log_line *line, const char *text)
{
    line_bytes(line, text, strlen(text));
}

static void line_json_char(log_line *line, unsigned char c)
{
    char escaped[8];
    if (c == '"' || c == '\\') {
        (void)snprintf(escaped, sizeof escaped, "\\%c", c);
    } else if (c < 0x20) {
        (void)snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)c);
    } else {
        escaped[0] = (char)c;
        escaped[1] = '\0';
    }
    line_text(line, escaped);
}

static void line_json_member(log_line *line, const char *key, size_t key_len, const char *value,
                             size_t value_len)
{
    line_text(line, line->len > 1 ? ",\"" : "\"");
    line_bytes(line, key, key_len);
    line_text(line, "\":\"");
    for (size_t i = 0; i < value_len; i++) {
        line_json_char(line, (unsigned char)value[i]);
    }
    line_text(line, "\"");
}

/* Reads one logfmt value, undoing its quotes; returns what follows it. */
static const char *fields_value(const char *at, char *out, size_t out_size, size_t *out_len)
{
    size_t len = 0;
    bool is_quoted = *at == '"';
    at += is_quoted ? 1 : 0;
    while (*at != '\0' && (is_quoted ? *at != '"' : *at != ' ')) {
        char c = *at++;
        if (is_quoted && c == '\\' && *at != '\0') {
            c = *at++;
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
        }
        if (len < out_size) {
            out[len++] = c;
        }
    }
    *out_len = len;
    return is_quoted && *at == '"' ? at + 1 : at;
}

static void line_json_fields(log_line *line, const char *fields)
{
    char value[LOG_FIELDS_BYTES_MAX];
    const char *at = fields;
    while (*at != '\0') {
        const char *key = at;
        while (*at != '\0' && *at != '=' && *at != ' ') {
            at++;
        }
        size_t key_len = (size_t)(at - key);
        size_t value_len = 0;
        if (*at == '=') {
            at = fields_value(at + 1, value, sizeof value, &value_len);
        }
        if (key_len > 0) {
            line_json_member(line, key, key_len, value, value_len);
        }
        while (*at == ' ') {
            at++;
        }
    }
}

static void line_json(log_line *line, const dure_log *log, const char *time, dure_log_level level,
                      const char *topic, const char *event, const char *fields)
{
    const char *name = level_names[level];
    line_text(line, "{");
    if (time[0] != '\0') {
        line_json_member(line, "time", 4, time, strlen(time));
    }
    line_json_member(line, "level", 5, name, strlen(name));
    if (log->node != NULL) {
        line_json_member(line, "node", 4, log->node, strlen(log->node));
    }
    line_json_member(line, "topic", 5, topic, strlen(topic));
    line_json_member(line, "event", 5, event, strlen(event));
    line_json_fields(line, fields);
    line->text[line->len++] = '}';
}

static void line_logfmt(log_line *line, const dure_log *log, const char *time, dure_log_level level,
                        const char *topic, const char *event, const char *fields)
{
    line_text(line, time);
    line_text(line, time[0] != '\0' ? " " : "");
    line_text(line, level_names[level]);
    line_text(line, " ");
    line_text(line, topic);
    line_text(line, " ");
    line_text(line, event);
    if (log->node != NULL) {
        line_text(line, " node=");
        line_text(line, log->node);
    }
    if (fields[0] != '\0') {
        line_text(line, " ");
        line_text(line, fields);
    }
}

/* Days since 1970 to a civil date (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
static void log_time(uint64_t wall_ms, char *out, size_t out_size)
{
    uint64_t seconds = wall_ms / 1000;
    uint64_t z = seconds / 86400 + 719468;
    uint64_t era = z / 146097;
    uint64_t doe = z - era * 146097;
    uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    uint64_t mp = (5 * doy + 2) / 153;
    unsigned day = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
    unsigned month = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
    unsigned year = (unsigned)(yoe + era * 400 + (month <= 2 ? 1 : 0));
    unsigned of_day = (unsigned)(seconds % 86400);
    (void)snprintf(out, out_size, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year, month, day,
                   of_day / 3600, of_day / 60 % 60, of_day % 60, (unsigned)(wall_ms % 1000));
}

void dure_log_write(dure_log *log, dure_log_level level, const char *topic, const char *event,
                    const char *fields, ...)
{
    if (!dure_log_is_on(log, level)) {
        return;
    }
    char formatted[LOG_FIELDS_BYTES_MAX] = "";
    if (fields != NULL) {
        va_list args;
        va_start(args, fields);
        (void)vsnprintf(formatted, sizeof formatted, fields, args);
        va_end(args);
    }
    char time[80] = "";
    if (log->config.clock != NULL) {
        log_time(log->config.clock(log->config.ctx), time, sizeof time);
    }
    log_line line;
    line.len = 0;
    if (log->config.format == DURE_LOG_JSON) {
        line_json(&line, log, time, level, topic, event, formatted);
    } else {
        line_logfmt(&line, log, time, level, topic, event, formatted);
    }
    line.text[line.len++] = '\n';
    dure_mutex_lock(log->mutex);
    log->config.sink(log->config.ctx, line.text, line.len);
    dure_mutex_unlock(log->mutex);
}

/* ---- values and names ---- */

static bool log_is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '=') {
            return false;
        }
    }
    return len > 0;
}

static size_t log_escape(unsigned char c, char out[8])
{
    if (c == '"' || c == '\\') {
        return (size_t)snprintf(out, 8, "\\%c", c);
    }
    if (c == '\n') {
        return (size_t)snprintf(out, 8, "\\n");
    }
    if (c == '\t') {
        return (size_t)snprintf(out, 8, "\\t");
    }
    if (c < 0x20 || c == 0x7f) {
        return (size_t)snprintf(out, 8, "\\x%02x", (unsigned)c);
    }
    out[0] = (char)c;
    return 1;
}

const char *dure_log_quote(const char *text, size_t len, char *out, size_t out_size)
{
    static const char cut[] = "...\"";
    DURE_ASSERT(out_size > sizeof cut + 1);
    if (log_is_plain(text, len) && len < out_size) {
        memcpy(out, text, len);
        out[len] = '\0';
        return out;
    }
    size_t at = 0;
    out[at++] = '"';
    for (size_t i = 0; i < len; i++) {
        char escaped[8];
        size_t escaped_len = log_escape((unsigned char)text[i], escaped);
        if (at + escaped_len + sizeof cut > out_size) {
            memcpy(out + at, cut, sizeof cut);
            return out;
        }
        memcpy(out + at, escaped, escaped_len);
        at += escaped_len;
    }
    out[at++] = '"';
    out[at] = '\0';
    return out;
}

dure_err dure_log_level_parse(const char *name, dure_log_level *out_level)
{
    for (size_t i = 0; i < DURE_COUNT_OF(level_names); i++) {
        if (strcmp(level_names[i], name) == 0) {
            *out_level = (dure_log_level)i;
            return DURE_OK;
        }
    }
    return DURE_ERR_INVALID;
}

const char *dure_log_level_name(dure_log_level level)
{
    return level_names[level];
}
