/* SPDX-License-Identifier: MIT
 *
 * Lines in both forms say the same, fit their readers, and appear only at their level.
 */
#include "base/log.h"

#include "base/mem.h"
#include "base/thread.h"
#include "support/check.h"

typedef struct capture {
    char text[32768];
    size_t len;
    unsigned calls;
} capture;

static void capture_line(void *ctx, const char *line, size_t len)
{
    capture *to = ctx;
    if (to->len + len < sizeof to->text) {
        memcpy(to->text + to->len, line, len);
        to->len += len;
        to->text[to->len] = '\0';
    }
    to->calls++;
}

static uint64_t leap_day(void *ctx)
{
    (void)ctx;
    return UINT64_C(1709210096789); /* 2024-02-29T12:34:56.789Z */
}

static uint64_t first_of_march_1970(void *ctx)
{
    (void)ctx;
    return UINT64_C(59) * 86400 * 1000;
}

static dure_log *open_log(capture *to, dure_log_format format, dure_log_clock_fn clock,
                          const char *node)
{
    dure_log_config config = {DURE_LOG_INFO, format, node, capture_line, clock, to};
    dure_log *log = NULL;
    to->len = 0;
    to->calls = 0;
    to->text[0] = '\0';
    DURE_REQUIRE_OK(dure_log_create(&config, &log));
    return log;
}

static void a_logfmt_line_is_pairs_from_end_to_end(void)
{
    static capture to;
    dure_log *log = open_log(&to, DURE_LOG_LOGFMT, leap_day, "game-1");
    dure_log_write(log, DURE_LOG_WARN, "cluster", "LINK_REFUSED", "peer=%s tries=%d", "db-1", 3);
    DURE_CHECK_STR(to.text, "time=2024-02-29T12:34:56.789Z level=warn node=game-1 topic=cluster "
                            "event=LINK_REFUSED peer=db-1 tries=3\n");
    dure_log_destroy(log);
}

static void a_json_line_is_one_object(void)
{
    static capture to;
    dure_log *log = open_log(&to, DURE_LOG_JSON, first_of_march_1970, "game-1");
    dure_log_write(log, DURE_LOG_ERROR, "cluster", "LINK_REFUSED",
                   "peer=db-1 tries=3 load=-0.5 ok=true id=007 path=\"a \\\"b\\\"\\n\"");
    DURE_CHECK_STR(to.text,
                   "{\"time\":\"1970-03-01T00:00:00.000Z\",\"level\":\"error\",\"node\":\"game-1\","
                   "\"topic\":\"cluster\",\"event\":\"LINK_REFUSED\",\"peer\":\"db-1\",\"tries\":3,"
                   "\"load\":-0.5,\"ok\":true,\"id\":\"007\",\"path\":\"a \\\"b\\\"\\n\"}\n");
    dure_log_destroy(log);
}

static void a_line_without_clock_node_and_fields_is_short(void)
{
    static capture to;
    dure_log *log = open_log(&to, DURE_LOG_LOGFMT, NULL, NULL);
    dure_log_write(log, DURE_LOG_INFO, "node", "STARTED", NULL);
    dure_log_write(log, DURE_LOG_INFO, "node", "STOPPED", "%s", "");
    DURE_CHECK_STR(to.text, "level=info topic=node event=STARTED\n"
                            "level=info topic=node event=STOPPED\n");
    dure_log_destroy(log);
    log = open_log(&to, DURE_LOG_JSON, NULL, NULL);
    dure_log_write(log, DURE_LOG_INFO, "node", "STARTED", NULL);
    DURE_CHECK_STR(to.text, "{\"level\":\"info\",\"topic\":\"node\",\"event\":\"STARTED\"}\n");
    dure_log_destroy(log);
}

static void json_of(const char *fields, const char *members)
{
    static capture to;
    char wanted[512];
    dure_log *log = open_log(&to, DURE_LOG_JSON, NULL, NULL);
    dure_log_write(log, DURE_LOG_INFO, "t", "E", "%s", fields);
    (void)snprintf(wanted, sizeof wanted,
                   "{\"level\":\"info\",\"topic\":\"t\",\"event\":\"E\"%s}\n", members);
    DURE_CHECK_STR(to.text, wanted);
    dure_log_destroy(log);
}

static void whatever_stands_in_the_fields_json_stays_json(void)
{
    json_of("a=1 b", ",\"a\":1,\"b\":true");
    json_of("  a=  b=x ", ",\"a\":\"\",\"b\":\"x\"");
    json_of("a=\"", ",\"a\":\"\"");
    json_of("a=\"x\\", ",\"a\":\"x\\\\\"");
    json_of("a=\"\\x07\\xff\\q\"", ",\"a\":\"\\u0007\\\\xffq\"");
    json_of("a=\"x\ty\\tz\"", ",\"a\":\"x y\\tz\"");
    json_of("a=\xff\xc3\xa9", ",\"a\":\"\\ufffd\xc3\xa9\"");
    json_of("a=b\"c\\d", ",\"a\":\"b\\\"c\\\\d\"");
    json_of("a=1.5 b=- c=1. d=.5 e=1e5 f=0 g=0.1 h=-0 i=1.2.3 j=00",
            ",\"a\":1.5,\"b\":\"-\",\"c\":\"1.\",\"d\":\".5\",\"e\":\"1e5\",\"f\":0,\"g\":0.1,"
            "\"h\":-0,\"i\":\"1.2.3\",\"j\":\"00\"");
    json_of("a=123456789012345 b=1234567890123456",
            ",\"a\":123456789012345,\"b\":\"1234567890123456\"");
}

static void a_line_feed_in_a_value_begins_no_line(void)
{
    static capture to;
    dure_log *log = open_log(&to, DURE_LOG_LOGFMT, NULL, NULL);
    dure_log_write(log, DURE_LOG_INFO, "t", "E", "a=%s", "x\nlevel=error event=FAKE");
    DURE_CHECK_EQ(strchr(to.text, '\n') - to.text, (long long)to.len - 1);
    dure_log_destroy(log);
}

static void what_is_too_long_is_cut(void)
{
    static capture to;
    static char big[9000];
    memset(big, 0xff, sizeof big - 1);
    for (int format = DURE_LOG_LOGFMT; format <= DURE_LOG_JSON; format++) {
        dure_log *log = open_log(&to, (dure_log_format)format, leap_day, big);
        dure_log_write(log, DURE_LOG_INFO, "t", "E", "a=%s", big);
        DURE_CHECK(to.len > 1000 && to.len < 20000);
        DURE_CHECK_EQ(to.text[to.len - 1], '\n');
        DURE_CHECK(strstr(to.text, "...") != NULL);
        dure_log_destroy(log);
    }
}

static void only_lines_at_or_above_the_level_are_written(void)
{
    static capture to;
    dure_log *log = open_log(&to, DURE_LOG_LOGFMT, NULL, NULL);
    dure_log_write(log, DURE_LOG_DEBUG, "t", "E", NULL);
    DURE_CHECK_EQ(to.calls, 0);
    DURE_CHECK(!dure_log_is_on(log, DURE_LOG_DEBUG));
    dure_log_set_level(log, DURE_LOG_DEBUG);
    DURE_CHECK_EQ(dure_log_level_of(log), DURE_LOG_DEBUG);
    dure_log_write(log, DURE_LOG_DEBUG, "t", "E", NULL);
    DURE_CHECK_EQ(to.calls, 1);
    dure_log_set_level(log, DURE_LOG_OFF);
    dure_log_write(log, DURE_LOG_ERROR, "t", "E", NULL);
    dure_log_write(log, DURE_LOG_OFF, "t", "E", NULL);
    DURE_CHECK_EQ(to.calls, 1);
    dure_log_destroy(log);
}

static void no_log_swallows_everything(void)
{
    dure_log_write(NULL, DURE_LOG_ERROR, "t", "E", "a=%d", 1);
    DURE_CHECK(!dure_log_is_on(NULL, DURE_LOG_ERROR));
    DURE_CHECK_EQ(dure_log_level_of(NULL), DURE_LOG_OFF);
    dure_log_set_level(NULL, DURE_LOG_INFO);
    dure_log_destroy(NULL);
}

static void write_many(void *ctx)
{
    for (int i = 0; i < 200; i++) {
        dure_log_write(ctx, DURE_LOG_INFO, "t", "E", NULL);
    }
}

static void lines_of_many_threads_do_not_mix(void)
{
    static capture to;
    static const char line[] = "level=info topic=t event=E\n";
    dure_thread *threads[4];
    dure_log *log = open_log(&to, DURE_LOG_LOGFMT, NULL, NULL);
    for (int i = 0; i < 4; i++) {
        DURE_REQUIRE_OK(dure_thread_create("log", write_many, log, &threads[i]));
    }
    for (int i = 0; i < 4; i++) {
        dure_thread_join(threads[i]);
    }
    DURE_CHECK_EQ(to.calls, 800);
    DURE_REQUIRE(to.len == 800 * (sizeof line - 1));
    for (size_t at = 0; at < to.len; at += sizeof line - 1) {
        DURE_REQUIRE(memcmp(to.text + at, line, sizeof line - 1) == 0);
    }
    dure_log_destroy(log);
}

static void quoted(const char *text, const char *wanted)
{
    char out[64];
    DURE_CHECK_STR(dure_log_quote(text, strlen(text), out, sizeof out), wanted);
}

static void values_are_quoted_where_they_must_be(void)
{
    quoted("plain-word_1.2:3", "plain-word_1.2:3");
    quoted("", "\"\"");
    quoted("two words", "\"two words\"");
    quoted("a=b", "\"a=b\"");
    quoted("say \"hi\"\\", "\"say \\\"hi\\\"\\\\\"");
    quoted("a\nb\tc\x01\x7f", "\"a\\nb\\tc\\x01\\x7f\"");
    quoted("\xc3\xa9", "\"\xc3\xa9\"");
    quoted("\xff", "\"\\xff\"");
}

static void a_value_without_room_is_cut_between_characters(void)
{
    char out[12];
    DURE_CHECK_STR(dure_log_quote("abcdefghijk", 11, out, sizeof out), "abcdefghijk");
    DURE_CHECK_STR(dure_log_quote("abcdefghijkl", 12, out, sizeof out), "\"abcdef...\"");
    DURE_CHECK_STR(dure_log_quote("a cdefghi", 9, out, sizeof out), "\"a cdefghi\"");
    DURE_CHECK_STR(dure_log_quote("abcd \xc3\xa9\xc3\xa9\xc3\xa9", 11, out, sizeof out),
                   "\"abcd ...\"");
    for (size_t size = 0; size < sizeof out; size++) {
        const char *got = dure_log_quote("\x01\x02 \x03 long", 10, out, size);
        DURE_CHECK(strlen(got) < (size > 0 ? size : 1));
    }
}

static void each_level_has_a_name(void)
{
    for (int level = DURE_LOG_DEBUG; level <= DURE_LOG_OFF; level++) {
        dure_log_level parsed = DURE_LOG_INFO;
        DURE_CHECK_OK(dure_log_level_parse(dure_log_level_name((dure_log_level)level), &parsed));
        DURE_CHECK_EQ(parsed, level);
    }
    dure_log_level untouched = DURE_LOG_WARN;
    DURE_CHECK_ERR(dure_log_level_parse("loud", &untouched), DURE_ERR_INVALID);
    DURE_CHECK_EQ(untouched, DURE_LOG_WARN);
}

static void without_memory_there_is_no_log(void)
{
    dure_log_config config = {DURE_LOG_INFO, DURE_LOG_JSON, "n", capture_line, NULL, NULL};
    dure_log *log = NULL;
    for (size_t n = 1; n <= 2; n++) {
        dure_mem_fail_nth(n);
        DURE_CHECK_ERR(dure_log_create(&config, &log), DURE_ERR_NO_MEMORY);
        dure_mem_fail_nth(0);
        DURE_CHECK(log == NULL);
    }
}

DURE_SUITE(base_log, DURE_TEST(a_logfmt_line_is_pairs_from_end_to_end),
           DURE_TEST(a_json_line_is_one_object),
           DURE_TEST(a_line_without_clock_node_and_fields_is_short),
           DURE_TEST(whatever_stands_in_the_fields_json_stays_json),
           DURE_TEST(a_line_feed_in_a_value_begins_no_line), DURE_TEST(what_is_too_long_is_cut),
           DURE_TEST(only_lines_at_or_above_the_level_are_written),
           DURE_TEST(no_log_swallows_everything), DURE_TEST(lines_of_many_threads_do_not_mix),
           DURE_TEST(values_are_quoted_where_they_must_be),
           DURE_TEST(a_value_without_room_is_cut_between_characters),
           DURE_TEST(each_level_has_a_name), DURE_TEST(without_memory_there_is_no_log));
