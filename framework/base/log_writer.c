/* SPDX-License-Identifier: MIT
 *
 * The ring holds whole lines, end to end. All of it is under one mutex, which nobody holds while he
 * writes or waits for a reader.
 *
 * Two reasons to lose lines, told alike. The ring is full: from then on every line is dropped until
 * all earlier ones are out, so that the line which tells of them is in its place. The write fails
 * (a full disk, a closed pipe): what failed is counted, the next lines are tried again, and it is
 * told before the first one that can be written.
 */
#include "base/log_writer.h"

#include <stdatomic.h>
#include <string.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "base/log_out.h"
#include "base/mem.h"
#include "base/thread.h"

#define CHUNK_BYTES 4096u /* PIPE_BUF: what is written at once is not mixed with others' lines */
#define WRITERS_MAX 16u   /* that dure_log_last_words knows of */
#define WAIT_SLICES 20u

struct dure_log_writer {
    /* set before start */
    dure_log_writer_config config;
    uint64_t process;
    bool is_registered;
    dure_mutex *mutex;
    dure_cond *wake;  /* of the thread */
    dure_cond *quiet; /* nothing is left to write, or the thread has ended */
    dure_thread *thread;
    char *ring;
    /* the thread's */
    char chunk[DURE_LOG_WRITER_LINE_MAX];
    bool is_torn; /* what was written last ends within a line */
    /* under mutex */
    size_t at; /* the oldest byte */
    size_t used;
    uint64_t dropped; /* lines that were not told of */
    bool is_waiting;
    bool is_writing;
    bool is_failing;
    bool is_stopping;
    bool is_ended;
    bool is_abandoned; /* the thread frees it */
};

/* What dure_log_last_words looks through; acquire and release: whoever takes one out of its place
 * has it for himself. */
static _Atomic(dure_log_writer *) live_writers[WRITERS_MAX];

static _Thread_local bool is_a_writers_thread;

/* ---- the ring ---- */

static void ring_append(dure_log_writer *w, const char *bytes, size_t len)
{
    size_t end = (w->at + w->used) % w->config.ring_bytes;
    size_t first = w->config.ring_bytes - end;
    first = first < len ? first : len;
    memcpy(w->ring + end, bytes, first);
    memcpy(w->ring, bytes + first, len - first);
    w->used += len;
}

/* Copies len bytes that begin offset behind the oldest one. */
static void ring_copy(const dure_log_writer *w, size_t offset, char *out, size_t len)
{
    size_t from = (w->at + offset) % w->config.ring_bytes;
    size_t first = w->config.ring_bytes - from;
    first = first < len ? first : len;
    memcpy(out, w->ring + from, first);
    memcpy(out + first, w->ring, len - first);
}

static size_t last_line_end(const char *bytes, size_t len)
{
    while (len > 0 && bytes[len - 1] != '\n') {
        len--;
    }
    return len;
}

/* Moves whole lines to the chunk: those that fit, else one alone. Returns their bytes. */
static size_t ring_take(dure_log_writer *w)
{
    size_t have = w->used < CHUNK_BYTES ? w->used : CHUNK_BYTES;
    ring_copy(w, 0, w->chunk, have);
    size_t len = last_line_end(w->chunk, have);
    if (len == 0) {
        size_t more = w->used < sizeof w->chunk ? w->used : sizeof w->chunk;
        ring_copy(w, have, w->chunk + have, more - have);
        const char *end = memchr(w->chunk, '\n', more);
        DURE_DEBUG_ASSERT(end != NULL);
        len = end != NULL ? (size_t)(end - w->chunk) + 1 : more;
    }
    w->at = (w->at + len) % w->config.ring_bytes;
    w->used -= len;
    return len;
}

static uint64_t line_count(const char *bytes, size_t len)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < len; i++) {
        lines += bytes[i] == '\n';
    }
    return lines;
}

/* Counts all that waits as lost. */
static void ring_discard(dure_log_writer *w)
{
    while (w->used > 0) {
        size_t len = ring_take(w);
        w->dropped += line_count(w->chunk, len);
    }
}

/* ---- the thread ---- */

/* Ends a line of which the rest was lost, then writes the bytes. */
static size_t write_bytes(dure_log_writer *w, const char *bytes, size_t len)
{
    if (w->is_torn && w->config.write(w->config.ctx, "\n", 1) != 1) {
        return 0;
    }
    w->is_torn = false;
    size_t done = w->config.write(w->config.ctx, bytes, len);
    w->is_torn = done > 0 && bytes[done - 1] != '\n';
    return done;
}

/* Writes what the chunk holds, without the mutex meanwhile. Returns the bytes that were written. */
static size_t writer_emit(dure_log_writer *w, size_t len)
{
    w->is_writing = true;
    dure_mutex_unlock(w->mutex);
    size_t done = write_bytes(w, w->chunk, len);
    dure_mutex_lock(w->mutex);
    w->is_writing = false;
    w->is_failing = done < len;
    return done;
}

static void writer_tell(dure_log_writer *w)
{
    uint64_t lines = w->dropped;
    bool was_failing = w->is_failing;
    size_t len = w->config.tell(w->config.ctx, lines, w->chunk, sizeof w->chunk);
    DURE_DEBUG_ASSERT(len <= sizeof w->chunk);
    if (writer_emit(w, len) == len) {
        w->dropped -= lines;
    } else if (was_failing) {
        ring_discard(w); /* what follows could not be written either */
    }
}

/* One write or one wait. False: it is over. */
static bool writer_step(dure_log_writer *w)
{
    bool is_tell_due = w->dropped > 0 && (w->is_failing ? w->used > 0 : w->used == 0);
    if (is_tell_due) {
        writer_tell(w);
    } else if (w->used > 0) {
        size_t len = ring_take(w);
        size_t done = writer_emit(w, len);
        w->dropped += line_count(w->chunk + done, len - done);
    } else if (w->is_stopping) {
        return false;
    } else {
        dure_cond_broadcast(w->quiet);
        w->is_waiting = true;
        dure_cond_wait(w->wake, w->mutex);
        w->is_waiting = false;
    }
    return true;
}

static void writer_free(dure_log_writer *w)
{
    dure_cond_destroy(w->quiet);
    dure_cond_destroy(w->wake);
    dure_mutex_destroy(w->mutex);
    dure_mem_free(w->ring);
    dure_mem_free(w);
}

static void writer_main(void *ctx)
{
    dure_log_writer *w = ctx;
    is_a_writers_thread = true;
    dure_mutex_lock(w->mutex);
    while (!w->is_abandoned && writer_step(w)) {
    }
    bool is_mine = w->is_abandoned;
    w->is_ended = true;
    dure_cond_broadcast(w->quiet);
    dure_mutex_unlock(w->mutex);
    if (is_mine) {
        writer_free(w);
    }
}

/* ---- life ---- */

static size_t write_to_stderr(void *ctx, const char *bytes, size_t len)
{
    (void)ctx;
    return dure_log_out_write(bytes, len);
}

static void writer_register(dure_log_writer *w)
{
    for (size_t i = 0; i < WRITERS_MAX; i++) {
        dure_log_writer *none = NULL;
        if (atomic_compare_exchange_strong_explicit(&live_writers[i], &none, w,
                                                    memory_order_acq_rel, memory_order_relaxed)) {
            w->is_registered = true;
            return;
        }
    }
    /* Past so many, the last lines before a failed assertion may be lost. */
}

/* False: dure_log_last_words has it, and the process ends. */
static bool writer_unregister(dure_log_writer *w)
{
    for (size_t i = 0; i < WRITERS_MAX; i++) {
        dure_log_writer *expected = w;
        if (atomic_compare_exchange_strong_explicit(&live_writers[i], &expected, NULL,
                                                    memory_order_acq_rel, memory_order_relaxed)) {
            return true;
        }
    }
    return !w->is_registered;
}

dure_err dure_log_writer_create(const dure_log_writer_config *config, dure_log_writer **out_writer)
{
    dure_log_writer *w = dure_mem_alloc(sizeof *w);
    if (w == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    w->config = *config;
    w->config.ring_bytes =
        config->ring_bytes != 0 ? config->ring_bytes : DURE_LOG_WRITER_RING_BYTES;
    DURE_ASSERT(w->config.ring_bytes >= DURE_LOG_WRITER_LINE_MAX);
    if (config->write == NULL) {
        w->config.write = write_to_stderr;
        dure_log_out_open();
    }
    w->process = dure_log_out_process();
    w->mutex = dure_mutex_create();
    w->wake = dure_cond_create();
    w->quiet = dure_cond_create();
    w->ring = dure_mem_alloc(w->config.ring_bytes);
    dure_err err = w->mutex != NULL && w->wake != NULL && w->quiet != NULL && w->ring != NULL
                       ? dure_thread_create("dure-log", writer_main, w, &w->thread)
                       : DURE_ERR_NO_MEMORY;
    if (err != DURE_OK) {
        writer_free(w);
        return err;
    }
    writer_register(w);
    *out_writer = w;
    return DURE_OK;
}

bool dure_log_writer_put(dure_log_writer *w, const char *line, size_t len)
{
    DURE_ASSERT(len <= DURE_LOG_WRITER_LINE_MAX);
    dure_mutex_lock(w->mutex);
    bool fits = (w->dropped == 0 || w->is_failing) && len <= w->config.ring_bytes - w->used;
    if (fits) {
        ring_append(w, line, len);
    } else {
        w->dropped++;
    }
    if (w->is_waiting) {
        dure_cond_signal(w->wake);
    }
    dure_mutex_unlock(w->mutex);
    return fits;
}

static bool is_quiet(const dure_log_writer *w)
{
    return w->is_ended || (w->used == 0 && !w->is_writing && (w->dropped == 0 || w->is_failing) &&
                           !w->is_stopping);
}

/* Under the mutex. */
static bool wait_until_quiet(dure_log_writer *w, uint32_t timeout_ms)
{
    dure_cond_signal(w->wake);
    for (unsigned i = 0; i < WAIT_SLICES && !is_quiet(w); i++) {
        (void)dure_cond_wait_ms(w->quiet, w->mutex, timeout_ms / WAIT_SLICES);
    }
    return is_quiet(w);
}

bool dure_log_writer_flush(dure_log_writer *w, uint32_t timeout_ms)
{
    dure_mutex_lock(w->mutex);
    bool is_done = wait_until_quiet(w, timeout_ms);
    dure_mutex_unlock(w->mutex);
    return is_done;
}

void dure_log_writer_destroy(dure_log_writer *w)
{
    if (w == NULL || !writer_unregister(w)) {
        return;
    }
    dure_thread *thread = w->thread;
    dure_mutex_lock(w->mutex);
    w->is_stopping = true;
    bool is_over = wait_until_quiet(w, DURE_LOG_WRITER_LAST_WORDS_MS);
    w->is_abandoned = !is_over;
    dure_mutex_unlock(w->mutex);
    if (is_over) {
        dure_thread_join(thread);
        writer_free(w);
    } else {
        dure_thread_detach(thread);
    }
}

void dure_log_last_words(const char *line, size_t len)
{
    dure_log_writer *writers[WRITERS_MAX];
    uint32_t count = 0;
    for (size_t i = 0; i < WRITERS_MAX; i++) {
        dure_log_writer *w = atomic_exchange_explicit(&live_writers[i], NULL, memory_order_acq_rel);
        /* One of another process has no thread here, and a writer's own cannot wait for itself. */
        if (w != NULL && w->process == dure_log_out_process() && !is_a_writers_thread) {
            writers[count++] = w;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        (void)dure_log_writer_flush(writers[i], DURE_LOG_WRITER_LAST_WORDS_MS / count);
    }
    dure_log_out_write_within(line, len, DURE_LOG_WRITER_LAST_WORDS_MS);
}
