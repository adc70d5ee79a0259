/* SPDX-License-Identifier: MIT
 *
 * Whoever writes a line never waits for its reader: lines leave in their order, what has no room or
 * cannot be written is counted and told in its place, and the end comes in time.
 */
#include "base/log_writer.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/thread.h"
#include "iocp/system.h"
#include "support/check.h"

#define RING_BYTES ((size_t)DURE_LOG_WRITER_LINE_MAX)
#define FLUSH_MS   20000u

/* A reader that stands still while the gate is shut, and a disk that can be full. */
typedef struct reader {
    dure_mutex *mutex;
    dure_cond *cond;
    bool is_shut;
    unsigned waiting; /* writes that stand before the gate */
    size_t room;      /* bytes that are still written */
    size_t len;
    size_t writes_of_more; /* of more than 4 KiB and more than one line */
    char text[2 * 1024 * 1024];
} reader;

static reader to;
static reader left_behind; /* of a writer that is over before its thread */

static size_t reader_take(void *ctx, const char *bytes, size_t len)
{
    reader *r = ctx;
    dure_mutex_lock(r->mutex);
    r->waiting++;
    dure_cond_broadcast(r->cond);
    while (r->is_shut) {
        dure_cond_wait(r->cond, r->mutex);
    }
    r->waiting--;
    size_t take = len < r->room ? len : r->room;
    take = take < sizeof r->text - 1 - r->len ? take : sizeof r->text - 1 - r->len;
    r->writes_of_more += len > 4096 && memchr(bytes, '\n', len - 1) != NULL;
    memcpy(r->text + r->len, bytes, take);
    r->len += take;
    r->room -= take;
    r->text[r->len] = '\0';
    dure_cond_broadcast(r->cond);
    dure_mutex_unlock(r->mutex);
    return take;
}

static void reader_set_of(reader *r, bool is_shut, size_t room)
{
    dure_mutex_lock(r->mutex);
    r->is_shut = is_shut;
    r->room = room;
    dure_cond_broadcast(r->cond);
    dure_mutex_unlock(r->mutex);
}

static void reader_set(bool is_shut, size_t room)
{
    reader_set_of(&to, is_shut, room);
}

/* Until somebody stands before the gate, or until nobody does. */
static void reader_wait(reader *r, bool for_a_write)
{
    dure_mutex_lock(r->mutex);
    while ((r->waiting > 0) != for_a_write) {
        dure_cond_wait(r->cond, r->mutex);
    }
    dure_mutex_unlock(r->mutex);
}

static void reader_wait_for_a_write(void)
{
    reader_wait(&to, true);
}

static size_t tell(void *ctx, uint64_t lines, char *out, size_t out_size)
{
    (void)ctx;
    return (size_t)snprintf(out, out_size, "LOST %" PRIu64 "\n", lines);
}

static dure_log_writer *open_writer_to(reader *r)
{
    const dure_log_writer_config config = {RING_BYTES, tell, reader_take, r};
    dure_log_writer *writer = NULL;
    if (r->mutex == NULL) {
        r->mutex = dure_mutex_create();
        r->cond = dure_cond_create();
        DURE_REQUIRE(r->mutex != NULL && r->cond != NULL);
    }
    r->is_shut = false;
    r->waiting = 0;
    r->room = SIZE_MAX;
    r->len = 0;
    r->writes_of_more = 0;
    r->text[0] = '\0';
    DURE_REQUIRE_OK(dure_log_writer_create(&config, &writer));
    return writer;
}

static dure_log_writer *open_writer(void)
{
    return open_writer_to(&to);
}

static bool put(dure_log_writer *writer, const char *text)
{
    return dure_log_writer_put(writer, text, strlen(text));
}

static bool put_number(dure_log_writer *writer, unsigned number)
{
    char line[64];
    (void)snprintf(line, sizeof line, "line %u\n", number);
    return put(writer, line);
}

/* Puts numbered lines until one is dropped; returns how many were taken. */
static unsigned fill(dure_log_writer *writer)
{
    unsigned taken = 0;
    while (put_number(writer, taken)) {
        taken++;
    }
    return taken;
}

static void lines_leave_in_their_order_and_whole(void)
{
    static char wanted[sizeof to.text];
    static char line[DURE_LOG_WRITER_LINE_MAX];
    size_t len = 0;
    dure_log_writer *writer = open_writer();
    for (size_t i = 0; i < 3000; i++) {
        /* All sizes, so that lines end at every place of the ring. */
        size_t size = i % 100 == 99 ? sizeof line - i % 7 : 2 + i * 37 % 400;
        memset(line, (int)('a' + i % 26), size - 1);
        line[size - 1] = '\n';
        DURE_REQUIRE(dure_log_writer_flush(writer, FLUSH_MS));
        DURE_REQUIRE(dure_log_writer_put(writer, line, size));
        memcpy(wanted + len, line, size);
        len += size;
    }
    DURE_CHECK(dure_log_writer_flush(writer, FLUSH_MS));
    DURE_CHECK_EQ(to.len, len);
    DURE_CHECK(memcmp(to.text, wanted, len) == 0);
    dure_log_writer_destroy(writer);
}

static void many_lines_leave_at_once_but_no_more_than_a_pipe_keeps_together(void)
{
    dure_log_writer *writer = open_writer();
    reader_set(true, SIZE_MAX);
    DURE_CHECK(put(writer, "first\n"));
    reader_wait_for_a_write();
    for (unsigned i = 0; i < 1000; i++) {
        DURE_REQUIRE(put_number(writer, i));
    }
    reader_set(false, SIZE_MAX);
    DURE_CHECK(dure_log_writer_flush(writer, FLUSH_MS));
    DURE_CHECK_EQ(to.writes_of_more, 0);
    DURE_CHECK(strstr(to.text, "line 999\n") != NULL);
    dure_log_writer_destroy(writer);
}

static void a_reader_that_stands_still_holds_up_nobody(void)
{
    char wanted[64];
    dure_log_writer *writer = open_writer();
    reader_set(true, SIZE_MAX);
    DURE_CHECK(put(writer, "first\n"));
    reader_wait_for_a_write();
    unsigned taken = fill(writer); /* would never return */
    DURE_CHECK(taken > 1000);
    DURE_CHECK(!put(writer, "x\n")); /* shorter, and behind a line that is lost */
    DURE_CHECK(!dure_log_writer_flush(writer, 20));
    reader_set(false, SIZE_MAX);
    DURE_CHECK(dure_log_writer_flush(writer, FLUSH_MS));
    DURE_CHECK(put(writer, "last\n"));
    DURE_CHECK(dure_log_writer_flush(writer, FLUSH_MS));
    (void)snprintf(wanted, sizeof wanted, "\nline %u\nLOST 2\nlast\n", taken - 1);
    DURE_CHECK(strncmp(to.text, "first\nline 0\nline 1\n", 20) == 0);
    const char *end = strstr(to.text, wanted);
    DURE_CHECK(end != NULL && end[strlen(wanted)] == '\0');
    dure_log_writer_destroy(writer);
}

static void what_is_lost_while_it_is_told_is_told_too(void)
{
    dure_log_writer *writer = open_writer();
    reader_set(true, SIZE_MAX);
    DURE_CHECK(put(writer, "first\n"));
    reader_wait_for_a_write();
    (void)fill(writer);
    for (unsigned i = 0; i < 40; i++) {
        (void)put(writer, "lost\n");
    }
    reader_set(false, SIZE_MAX);
    DURE_CHECK(dure_log_writer_flush(writer, FLUSH_MS));
    unsigned long told = 0;
    for (const char *at = to.text; (at = strstr(at, "LOST ")) != NULL; at++) {
        told += strtoul(at + 5, NULL, 10);
    }
    DURE_CHECK_EQ(told, 41);
    dure_log_writer_destroy(writer);
}

static void what_cannot_be_written_is_told_before_the_next(void)
{
    dure_log_writer *writer = open_writer();
    reader_set(false, 0); /* the disk is full */
    DURE_CHECK(put(writer, "gone 1\n"));
    DURE_CHECK(dure_log_writer_flush(writer, FLUSH_MS));
    DURE_CHECK(put(writer, "gone 2\n")); /* with the next one to find out whether it is still */
    DURE_CHECK(dure_log_writer_flush(writer, FLUSH_MS));
    DURE_CHECK_STR(to.text, "");
    reader_set(false, SIZE_MAX);
    DURE_CHECK(put(writer, "there\n"));
    DURE_CHECK(dure_log_writer_flush(writer, FLUSH_MS));
    DURE_CHECK_STR(to.text, "LOST 2\nthere\n");
    dure_log_writer_destroy(writer);
}

static void a_line_that_is_cut_short_ends_before_the_next(void)
{
    dure_log_writer *writer = open_writer();
    reader_set(false, 4);
    DURE_CHECK(put(writer, "one\ntwo\nthree\n") && dure_log_writer_flush(writer, FLUSH_MS));
    reader_set(false, 0);
    DURE_CHECK(put(writer, "four\n") && dure_log_writer_flush(writer, FLUSH_MS));
    reader_set(false, 9); /* LOST 3 and two bytes */
    DURE_CHECK(put(writer, "five\n") && dure_log_writer_flush(writer, FLUSH_MS));
    reader_set(false, SIZE_MAX);
    DURE_CHECK(put(writer, "six\n") && dure_log_writer_flush(writer, FLUSH_MS));
    DURE_CHECK_STR(to.text, "one\nLOST 3\nfi\nLOST 1\nsix\n");
    dure_log_writer_destroy(writer);
}

static void the_end_gives_what_is_left_its_time(void)
{
    dure_log_writer *writer = open_writer();
    for (unsigned i = 0; i < 500; i++) {
        DURE_CHECK(put_number(writer, i));
    }
    dure_log_writer_destroy(writer);
    DURE_CHECK(to.len > 10 && strcmp(to.text + to.len - 9, "line 499\n") == 0);
}

static void the_end_does_not_wait_for_a_reader_for_ever(void)
{
    dure_log_writer *writer = open_writer_to(&left_behind);
    reader_set_of(&left_behind, true, SIZE_MAX);
    DURE_CHECK(put(writer, "first\n"));
    reader_wait(&left_behind, true);
    (void)fill(writer);
    uint64_t since_ns = dure_system_now_ns();
    dure_log_writer_destroy(writer); /* would never return */
    uint64_t passed_ms = (dure_system_now_ns() - since_ns) / 1000000u;
    DURE_CHECK(passed_ms >= DURE_LOG_WRITER_LAST_WORDS_MS / 2);
    DURE_CHECK(passed_ms < 20 * DURE_LOG_WRITER_LAST_WORDS_MS);
    /* When it can, the thread that was left behind ends its write, and writes no more. */
    reader_set_of(&left_behind, false, SIZE_MAX);
    reader_wait(&left_behind, false);
    DURE_CHECK_STR(left_behind.text, "first\n");
}

static void put_many(void *ctx)
{
    for (unsigned i = 0; i < 300; i++) {
        (void)put(ctx, "a line of one of many threads\n");
    }
}

static void lines_of_many_threads_do_not_mix(void)
{
    static const char line[] = "a line of one of many threads\n";
    dure_thread *threads[4];
    dure_log_writer *writer = open_writer();
    for (unsigned i = 0; i < 4; i++) {
        DURE_REQUIRE_OK(dure_thread_create("log", put_many, writer, &threads[i]));
    }
    for (unsigned i = 0; i < 4; i++) {
        dure_thread_join(threads[i]);
    }
    DURE_CHECK(dure_log_writer_flush(writer, FLUSH_MS));
    unsigned long count = 0;
    for (const char *at = to.text; *at != '\0';) {
        bool is_told = strncmp(at, "LOST ", 5) == 0;
        DURE_REQUIRE(is_told || strncmp(at, line, sizeof line - 1) == 0);
        count += is_told ? strtoul(at + 5, NULL, 10) : 1;
        at = strchr(at, '\n') + 1;
    }
    DURE_CHECK_EQ(count, 1200);
    dure_log_writer_destroy(writer);
}

static void without_memory_there_is_no_writer(void)
{
    const dure_log_writer_config config = {RING_BYTES, tell, reader_take, &to};
    unsigned failed = 0;
    for (dure_err err = DURE_ERR_NO_MEMORY; err == DURE_ERR_NO_MEMORY; failed++) {
        dure_log_writer *writer = NULL;
        dure_mem_fail_nth(failed + 1);
        err = dure_log_writer_create(&config, &writer);
        dure_mem_fail_nth(0);
        DURE_REQUIRE(failed < 20 && (err == DURE_OK) == (writer != NULL));
        dure_log_writer_destroy(writer);
    }
    DURE_CHECK(failed > 5);
}

DURE_SUITE(base_log_writer, DURE_TEST(lines_leave_in_their_order_and_whole),
           DURE_TEST(many_lines_leave_at_once_but_no_more_than_a_pipe_keeps_together),
           DURE_TEST(a_reader_that_stands_still_holds_up_nobody),
           DURE_TEST(what_is_lost_while_it_is_told_is_told_too),
           DURE_TEST(what_cannot_be_written_is_told_before_the_next),
           DURE_TEST(a_line_that_is_cut_short_ends_before_the_next),
           DURE_TEST(the_end_gives_what_is_left_its_time),
           DURE_TEST(the_end_does_not_wait_for_a_reader_for_ever),
           DURE_TEST(lines_of_many_threads_do_not_mix),
           DURE_TEST(without_memory_there_is_no_writer));
