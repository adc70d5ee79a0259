/* SPDX-License-Identifier: MIT
 *
 * Log lines of one form: time, level, node, topic, EVENT, then fields. EVENT is a stable name that
 * operators search for. Written as logfmt (level=info topic=net event=LINK_UP peer=game-1) or as
 * one JSON object, a line at a time, to standard error or to a sink that the program gives.
 *
 * To standard error they go by way of a ring of 256 KiB and a thread (log_writer.h), so that nobody
 * who logs waits for whoever reads: while the ring is full, and where the system refuses to write,
 * lines are dropped, and later told of as LOG_DROPPED lines=N. The end of the log gives what is
 * left a second. A process that a signal ends may lose the lines of its last moments.
 *
 * There is no global log: each node has one and lends it to its cores.
 */
#ifndef DURE_BASE_LOG_H
#define DURE_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef enum dure_log_level {
    DURE_LOG_DEBUG,
    DURE_LOG_INFO,
    DURE_LOG_WARN,
    DURE_LOG_ERROR,
    DURE_LOG_OFF
} dure_log_level;

typedef enum dure_log_format { DURE_LOG_LOGFMT, DURE_LOG_JSON } dure_log_format;

typedef struct dure_log dure_log;

/* Receives whole lines with their line feed, within the call that writes them, so it must not wait.
 * May be called from any thread, one call at a time. */
typedef void (*dure_log_sink_fn)(void *ctx, const char *line, size_t len);

/* Milliseconds since 1970, for the time of a line. May be called from any thread. */
typedef uint64_t (*dure_log_clock_fn)(void *ctx);

typedef struct dure_log_config {
    dure_log_level level;
    dure_log_format format;
    const char *node; /* written as node=...; NULL leaves it out. Borrowed for the create call */
    dure_log_sink_fn sink;   /* NULL: standard error, by way of the ring and a thread */
    dure_log_clock_fn clock; /* NULL: lines carry no time */
    void *ctx;               /* for sink and clock */
} dure_log_config;

/*
 * A log that writes from now on.
 * Fails: NO_MEMORY; SYSTEM: there is no thread for it.
 * Owned by the caller; ends with dure_log_destroy, after everyone it was lent to.
 */
DURE_CHECKED dure_err dure_log_create(const dure_log_config *config, dure_log **out_log);

/*
 * Frees the log; NULL is fine. What was written and is not out on standard error within a second,
 * for nobody reads it, is lost.
 * Thread: any that may wait, after the last writer.
 */
void dure_log_destroy(dure_log *log);

/*
 * Switches the level at run time.
 * Thread: any.
 */
void dure_log_set_level(dure_log *log, dure_log_level level);

/*
 * The level at this moment; OFF for a NULL log.
 * Thread: any.
 */
dure_log_level dure_log_level_of(const dure_log *log);

/*
 * Whether a line of this level would be written. NULL log: never.
 * Thread: any.
 */
bool dure_log_is_on(const dure_log *log, dure_log_level level);

/*
 * Writes one line; never waits for its reader, and allocates nothing. fields is a printf format of
 * "key=%s other=%u" pairs: every pair starts with a bare key, and a value that could hold blanks or
 * quotes is written with dure_log_quote. NULL for none. Past 2 KiB they are cut and end with "...".
 * A NULL log swallows the line.
 * Thread: any.
 */
void dure_log_write(dure_log *log, dure_log_level level, const char *topic, const char *event,
                    const char *fields, ...) DURE_PRINTF(5, 6);

/*
 * The text as a logfmt value: as it is when it is one plain word, else in double quotes with
 * \" \\ \n \t \xNN escapes; cut to the size of out with "..." where it is too long. Returns out.
 */
const char *dure_log_quote(const char *text, size_t len, char *out, size_t out_size);

/*
 * The level of a name ("debug", "info", "warn", "error", "off").
 * Fails: INVALID; out_level is untouched.
 */
DURE_CHECKED dure_err dure_log_level_parse(const char *name, dure_log_level *out_level);

/*
 * The name of a level, as dure_log_level_parse reads it.
 * Thread: any.
 */
const char *dure_log_level_name(dure_log_level level);

#endif
