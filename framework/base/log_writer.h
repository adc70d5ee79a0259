/* SPDX-License-Identifier: MIT
 *
 * Whole lines on their way to standard error, by way of a bounded ring and a thread of its own, so
 * that whoever writes a line never waits for whoever reads it: a pipe that nobody empties, a
 * terminal that is held (Ctrl-S), a collector that is stuck. While the ring is full lines are
 * dropped and counted; once the ones before them are out, one line tells how many were lost.
 */
#ifndef DURE_BASE_LOG_WRITER_H
#define DURE_BASE_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DURE_LOG_WRITER_LINE_MAX      16384u  /* bytes of a line, its line feed among them */
#define DURE_LOG_WRITER_RING_BYTES    262144u /* by default */
#define DURE_LOG_WRITER_LAST_WORDS_MS 1000u   /* at its end, for what has not left */

typedef struct dure_log_writer dure_log_writer;

typedef struct dure_log_writer_config {
    size_t ring_bytes; /* 0: DURE_LOG_WRITER_RING_BYTES; else at least DURE_LOG_WRITER_LINE_MAX */
    /*
     * Writes the line that tells of so many lost ones to out, DURE_LOG_WRITER_LINE_MAX bytes, and
     * returns its length. On the writer's thread, with the ring locked: it must not wait.
     */
    size_t (*tell)(void *ctx, uint64_t lines, char *out, size_t out_size);
    /*
     * Writes all bytes, on the writer's thread, and may wait; returns how many were written, fewer
     * where that failed. NULL: standard error. One that never returns must outlive the process.
     */
    size_t (*write)(void *ctx, const char *bytes, size_t len);
    void *ctx;
} dure_log_writer_config;

/*
 * A writer and its thread. Signals are not for that thread.
 * Fails: NO_MEMORY, SYSTEM.
 * Owned by the caller; ends with dure_log_writer_destroy.
 * Thread: any.
 */
DURE_CHECKED dure_err dure_log_writer_create(const dure_log_writer_config *config,
                                             dure_log_writer **out_writer);

/*
 * Takes a line, with its line feed. False: it was dropped, and counts as such. Never waits, and
 * allocates nothing. Not in a process made by fork(), which has no thread of the writer's.
 * Borrows: line, for the call.
 * Thread: any.
 */
bool dure_log_writer_put(dure_log_writer *writer, const char *line, size_t len);

/*
 * Waits until all that was taken is written, at most timeout_ms. False: it is not.
 * Thread: any that may wait, so not a worker.
 */
bool dure_log_writer_flush(dure_log_writer *writer, uint32_t timeout_ms);

/*
 * Ends it within DURE_LOG_WRITER_LAST_WORDS_MS: what cannot be written by then is lost, and a
 * thread that waits for a reader is left behind with what it needs. NULL is fine.
 * Thread: any, after the last writer.
 */
void dure_log_writer_destroy(dure_log_writer *writer);

/*
 * For a process that is about to abort: gives all writers together DURE_LOG_WRITER_LAST_WORDS_MS
 * for what they hold, and as long again for this line behind it, past the ring. Nothing may be
 * written to any of them afterwards.
 * Thread: any.
 */
void dure_log_last_words(const char *line, size_t len);

#endif
