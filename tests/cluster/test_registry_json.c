/* SPDX-License-Identifier: MIT
 *
 * Configurations with mistakes and the very lines that they earn; and what comes out of good ones.
 */
#include "cluster/registry_json.h"

#include "base/file.h"
#include "support/check.h"

#define ROLES                                                                                      \
    "\"cluster\":\"t\",\"roles\":{\"gateway\":{\"program\":\"dure-gateway\",\"dials\":[\"game\"]}" \
    ","                                                                                            \
    "\"game\":{\"program\":\"dure-game\"}},"
#define GATE "{\"id\":\"g\",\"role\":\"gateway\",\"client_port\":7777}"
#define GAME "{\"id\":\"a\",\"role\":\"game\",\"link_port\":7801}"
#define GOOD "{" ROLES "\n\"nodes\":[" GATE ",\n" GAME "]}"

typedef struct lines {
    char text[4096];
    size_t len;
} lines;

static void add_line(void *ctx, const char *line)
{
    lines *all = ctx;
    int len = snprintf(all->text + all->len, sizeof all->text - all->len, "%s\n", line);
    all->len += len > 0 ? (size_t)len : 0;
}

static dure_registry_source source_of(const char *text)
{
    dure_registry_source source;
    dure_registry_source_init(&source, "c.json");
    source.text = text;
    source.text_len = strlen(text);
    source.ephemeral_first = 32768;
    source.ephemeral_last = 60999;
    return source;
}

static void check_lines(const dure_registry_source *source, dure_err expected, const char *text)
{
    lines all = {"", 0};
    dure_registry *registry = NULL;
    dure_registry_report report;
    dure_registry_report_init(&report);
    DURE_CHECK_ERR(dure_registry_load(source, &registry, &report), expected);
    dure_registry_report_print(&report, add_line, &all);
    DURE_CHECK_STR(all.text, text);
    DURE_CHECK_EQ(registry != NULL, expected == DURE_OK);
    dure_registry_destroy(registry);
    dure_registry_report_fini(&report);
}

static void each_mistake_has_its_line(void)
{
    static const struct {
        const char *text;
        const char *line;
    } rows[] = {
        {"{\n  \"cluster\": }", "c.json:2:14: no value behind the comma or colon\n"},
        {"[]", "c.json:1:1: expected an object, got an array\n"},
        {"{" ROLES "\n\"nodes\":[{\"id\":\"g\",\"role\":\"gateway\",\"client_port\":70000},\n" GAME
         "]}",
         "c.json:2:51: nodes[0].client_port: 70000 is above 65535\n"},
        {"{" ROLES "\n\"nodes\":[{\"id\":\"g\",\"role\":\"gateway\",\"client_port\":80.5},\n" GAME
         "]}",
         "c.json:2:51: nodes[0].client_port: 80.5 is not a whole number\n"},
        {"{" ROLES "\n\"nodes\":[{\"id\":\"g\",\"role\":\"gateway\",\"client_port\":-1},\n" GAME
         "]}",
         "c.json:2:51: nodes[0].client_port: -1 is below 1\n"},
        {"{" ROLES "\n\"nodes\":[" GATE ",\n{\"id\":\"a\",\"role\":\"game\",\"link_port\":7777}]}",
         "c.json:3:37: nodes[1].link_port: 7777 is the port of nodes[0].client_port already\n"},
        {"{" ROLES "\n\"nodes\":[" GATE ",\n" GAME ",\n"
         "{\"id\":\"a\",\"role\":\"game\",\"link_port\":7802}]}",
         "c.json:4:7: nodes[2].id: \"a\" is the id of nodes[1] already\n"},
        {"{" ROLES "\n\"nodes\":[" GATE ",\n" GAME "],\n\"heartbeat_ns\":5}",
         "c.json:4:1: heartbeat_ns: unknown key; did you mean \"heartbeat_ms\"?\n"},
        {"{" ROLES "\n\"nodes\":[" GATE ",\n" GAME "],\n\"secret\":\"x\"}",
         "c.json:4:1: secret: a secret comes from secret_file or DURE_SECRET, never from here\n"},
        {"{" ROLES "\n\"nodes\":[" GATE ",\n" GAME "],\n\"cluster\":\"u\"}",
         "c.json:4:1: cluster: this key stands here a second time\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        dure_registry_source source = source_of(rows[i].text);
        check_lines(&source, DURE_ERR_CONFIG, rows[i].line);
    }
}

static void all_mistakes_are_told_in_one_run_by_place(void)
{
    dure_registry_source source =
        source_of("{" ROLES "\n\"nodes\":[{\"id\":\"G\",\"role\":\"gateway\",\"client_port\":0},\n"
                  "{\"id\":\"a\",\"role\":\"gmae\",\"link_port\":\"x\"},\n" GAME "]}");
    lines all = {"", 0};
    dure_registry *registry = NULL;
    dure_registry_report report;
    dure_registry_report_init(&report);
    DURE_CHECK_ERR(dure_registry_load(&source, &registry, &report), DURE_ERR_CONFIG);
    dure_registry_report_print(&report, add_line, &all);
    DURE_CHECK_EQ(report.mistake_count, 5);
    for (size_t i = 1; i < report.diagnostic_count; i++) {
        DURE_CHECK(report.diagnostics[i - 1].line <= report.diagnostics[i].line);
    }
    dure_registry_report_fini(&report);
}

static void who_cannot_be_reached_is_named(void)
{
    dure_registry_source source = source_of(GOOD);
    const char *sets[] = {"roles.gateway.dials=[]"};
    source.sets = sets;
    source.set_count = 1;
    check_lines(&source, DURE_ERR_CONFIG,
                "c.json:1:79: roles.game: nobody can reach this role: its nodes have no "
                "client_port, and no role that is reached dials it\n");
}

static void overrides_are_named_as_the_place(void)
{
    dure_registry_source source = source_of(GOOD);
    const char *sets[] = {"nodes[0].client_port=70000"};
    source.sets = sets;
    source.set_count = 1;
    check_lines(&source, DURE_ERR_CONFIG, "--set: nodes[0].client_port: 70000 is above 65535\n");
    source.set_count = 0;
    source.env_set = ";heartbeat_ms=0";
    check_lines(&source, DURE_ERR_CONFIG, "DURE_SET: heartbeat_ms: 0 is below 50\n");
    source.env_set = "shed_memory_percent=91";
    check_lines(&source, DURE_ERR_CONFIG,
                "DURE_SET: shed_memory_percent: must not be below login_memory_percent (92)\n");
    source.env_set = "client_calls_burst=0";
    check_lines(&source, DURE_ERR_CONFIG, "DURE_SET: client_calls_burst: 0 is below 1\n");
    source.env_set = "address_exempt=3";
    check_lines(&source, DURE_ERR_CONFIG,
                "DURE_SET: address_exempt: expected an array, got a number\n");
    source.env_set = "address_exempt=[\"10.0.0.0/8\",7,\"10.0.0.1/8\"]";
    check_lines(
        &source, DURE_ERR_CONFIG,
        "DURE_SET: address_exempt[1]: expected a string, got a number\n"
        "DURE_SET: address_exempt[2]: \"10.0.0.1/8\" is no network: an address, or one with "
        "the length of its prefix and nothing set behind that, as 10.0.0.0/8 or fd00::/8\n");
    source.env_set = "roles.game.save_ms=1001";
    check_lines(&source, DURE_ERR_CONFIG, "DURE_SET: roles.game.save_ms: 1001 is above 1000\n");
    source.env_set = "roles.game.program=dure-db;roles.game.save_ms=1";
    check_lines(&source, DURE_ERR_CONFIG,
                "DURE_SET: roles.game.save_ms: dure-db has no such setting\n");
}

static void a_setting_may_be_overridden_where_none_was(void)
{
    dure_registry_source source = source_of(GOOD);
    const char *sets[] = {"nodes[1].settings.tick_ms=20", "roles.game.settings.motto=a;b"};
    source.sets = sets;
    source.set_count = 2;
    dure_registry *registry = NULL;
    dure_registry_report report;
    dure_registry_report_init(&report);
    DURE_REQUIRE_OK(dure_registry_load(&source, &registry, &report));
    DURE_CHECK_EQ(dure_registry_setting_int(registry, "a", "tick_ms", 1), 20);
    DURE_CHECK_STR(dure_registry_setting_str(registry, "a", "motto", ""), "a;b");
    dure_registry_destroy(registry);
    dure_registry_report_fini(&report);
}

static void check_former_exempt(const char *set, size_t count, const char *line)
{
    dure_registry_source source = source_of(GOOD);
    lines all = {"", 0};
    dure_registry *registry = NULL;
    dure_registry_report report;
    source.env_set = set;
    dure_registry_report_init(&report);
    DURE_REQUIRE_OK(dure_registry_load(&source, &registry, &report));
    dure_registry_report_print(&report, add_line, &all);
    DURE_CHECK_EQ(dure_registry_settings_of(registry)->address_exempt.count, count);
    DURE_CHECK_STR(all.text, line);
    dure_registry_destroy(registry);
    dure_registry_report_fini(&report);
}

static void a_file_of_the_first_release_means_what_it_meant(void)
{
    check_former_exempt("connects_limit_loopback=true", 0,
                        "DURE_SET: warning: connects_limit_loopback: address_exempt with an empty "
                        "list says this now\n");
    check_former_exempt("connects_limit_loopback=false", 2,
                        "DURE_SET: warning: connects_limit_loopback: address_exempt, left out, "
                        "says this now\n");
    dure_registry_source source = source_of(GOOD);
    source.env_set = "connects_limit_loopback=true;address_exempt=[]";
    check_lines(&source, DURE_ERR_CONFIG,
                "DURE_SET: connects_limit_loopback: address_exempt says the same and is there "
                "too: leave this one out\n");
    source.env_set = "connects_limit_loopback=3";
    check_lines(&source, DURE_ERR_CONFIG,
                "DURE_SET: connects_limit_loopback: expected true or false, got a number\n");
}

/* One setting of a file, read back as text and as an integer. */
static void check_number(const char *number, const char *text, int64_t value)
{
    char file[512];
    (void)snprintf(file, sizeof file,
                   "{" ROLES "\n\"nodes\":[" GATE ",\n{\"id\":\"a\",\"role\":\"game\","
                   "\"link_port\":7802,\"settings\":{\"steam\":%s}}]}",
                   number);
    char set[160];
    (void)snprintf(set, sizeof set, "roles.game.settings.steam=%s", number);
    const char *sets[] = {set};
    dure_registry_source sources[] = {source_of(file), source_of(GOOD)};
    sources[1].sets = sets;
    sources[1].set_count = 1;
    for (size_t i = 0; i < DURE_COUNT_OF(sources); i++) {
        dure_registry *registry = NULL;
        dure_registry_report report;
        dure_registry_report_init(&report);
        DURE_REQUIRE_OK(dure_registry_load(&sources[i], &registry, &report));
        DURE_CHECK_STR(dure_registry_setting_str(registry, "a", "steam", ""), text);
        DURE_CHECK_EQ(dure_registry_setting_int(registry, "a", "steam", -7), value);
        dure_registry_destroy(registry);
        dure_registry_report_fini(&report);
    }
}

static void a_number_keeps_its_digits(void)
{
    check_number("1000000000000000", "1000000000000000", 1000000000000000);
    check_number("9007199254740993", "9007199254740993", 9007199254740993);
    check_number("76561198000000001", "76561198000000001", 76561198000000001);
    check_number("9223372036854775807", "9223372036854775807", INT64_MAX);
    check_number("-9223372036854775808", "-9223372036854775808", INT64_MIN);
    check_number("-9007199254740993", "-9007199254740993", -9007199254740993);
    check_number("1e3", "1000", 1000);
    check_number("1e300", "1e300", -7);
    check_number("0.1", "0.1", -7);
}

static void a_number_that_nothing_holds_is_refused(void)
{
    static const char *const numbers[] = {"9223372036854775808", "-9223372036854775809",
                                          "18446744073709551616", "1e400", "-1e400"};
    for (size_t i = 0; i < DURE_COUNT_OF(numbers); i++) {
        char set[80];
        (void)snprintf(set, sizeof set, "nodes[1].settings.steam=%s", numbers[i]);
        const char *sets[] = {set};
        dure_registry_source source = source_of(GOOD);
        source.sets = sets;
        source.set_count = 1;
        check_lines(&source, DURE_ERR_CONFIG,
                    "--set: nodes[1].settings.steam: neither 64 bits nor a double hold this "
                    "number: write it as a string\n");
    }
}

static void a_port_of_outgoing_connections_is_a_warning(void)
{
    dure_registry_source source = source_of(GOOD);
    const char *sets[] = {"nodes[0].client_port=40000"};
    source.sets = sets;
    source.set_count = 1;
    check_lines(&source, DURE_OK,
                "--set: warning: nodes[0].client_port: 40000 lies among the ports that the system "
                "gives to dialled connections (32768 to 60999), so it may be taken at start\n");
}

static void a_link_off_the_loopback_needs_a_secret(void)
{
    dure_registry_source source = source_of(GOOD);
    const char *sets[] = {"nodes[1].bind=0.0.0.0"};
    source.sets = sets;
    source.set_count = 1;
    check_lines(&source, DURE_ERR_CONFIG,
                "c.json:3:37: nodes[1].link_port: links outside the loopback (0.0.0.0) need a "
                "cluster secret: secret_file or DURE_SECRET\n");
    source.env_secret = "0123456789abcdef";
    check_lines(&source, DURE_OK, "");
}

static void a_secret_is_never_shown(void)
{
    dure_registry_source source = source_of(GOOD);
    source.env_secret = "0123456789abcdef";
    dure_registry *registry = NULL;
    dure_registry_report report;
    dure_slice secrets[2];
    dure_registry_report_init(&report);
    DURE_REQUIRE_OK(dure_registry_load(&source, &registry, &report));
    DURE_CHECK_EQ(dure_registry_secrets(registry, secrets), 1);
    for (size_t i = 0; i < report.value_count; i++) {
        DURE_CHECK(strstr(report.values[i].value, "0123456789abcdef") == NULL);
    }
    dure_registry_destroy(registry);
    dure_registry_report_fini(&report);
}

#define PATH_BYTES 1024

/* A file with these bytes as secret_file; the place in front of a message is left out. */
static void check_secret_file(dure_slice bytes, const char *mistake, size_t secret_len)
{
    char folder[PATH_BYTES];
    char path[PATH_BYTES + 8];
    char set[PATH_BYTES + 32];
    char expected[256];
    DURE_REQUIRE_OK(dure_file_make_temp_folder("dure-secret-", folder, sizeof folder));
    (void)snprintf(path, sizeof path, "%s/secret", folder);
    DURE_REQUIRE_OK(dure_file_write(path, bytes.data, bytes.len, DURE_FILE_OWNER_ONLY));
    (void)snprintf(set, sizeof set, "secret_file=%s", path);
    for (char *at = set; *at != '\0'; at++) {
        *at = *at == '\\' ? '/' : *at;
    }
    dure_registry_source source = source_of(GOOD);
    const char *sets[] = {set};
    source.sets = sets;
    source.set_count = 1;
    if (mistake != NULL) {
        (void)snprintf(expected, sizeof expected, "--set: secret_file: %s\n", mistake);
        check_lines(&source, DURE_ERR_CONFIG, expected);
    } else {
        dure_registry *registry = NULL;
        dure_registry_report report;
        dure_slice secrets[2];
        dure_registry_report_init(&report);
        DURE_REQUIRE_OK(dure_registry_load(&source, &registry, &report));
        DURE_CHECK_EQ(dure_registry_secrets(registry, secrets), 1);
        DURE_CHECK_EQ(secrets[0].len, secret_len);
        DURE_CHECK(memcmp(secrets[0].data, bytes.data, secret_len) == 0);
        dure_registry_destroy(registry);
        dure_registry_report_fini(&report);
    }
    DURE_CHECK_OK(dure_file_remove(path));
    DURE_CHECK_OK(dure_file_remove_folder(folder));
}

#define BYTES(text)                                                                                \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static void a_secret_is_text_of_128_bits_at_least(void)
{
    static const struct {
        dure_slice bytes;
        const char *mistake;
        size_t len;
    } rows[] = {
        {BYTES("0123456789abcdef"), NULL, 16},
        {BYTES("0123456789abcdef\n"), NULL, 16},
        {BYTES("0123456789abcdef\r\n\n"), NULL, 16},
        {BYTES(" 0123456789abcdef "), NULL, 18}, /* all but line ends at the end counts */
        {BYTES("\n0123456789abcdef"), NULL, 17},
        {BYTES("0123456789abcde"), "a secret has from 16 to 4096 bytes, this one 15", 0},
        {BYTES("0123456789abcde\n\n\n"), "a secret has from 16 to 4096 bytes, this one 15", 0},
        {BYTES(""), "a secret has from 16 to 4096 bytes, this one 0", 0},
        {BYTES("\n"), "a secret has from 16 to 4096 bytes, this one 0", 0},
        {BYTES("\0AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
         "a secret is text; this file has a zero byte at 0", 0},
        {BYTES("0123456789abcdef\0"), "a secret is text; this file has a zero byte at 16", 0},
        {BYTES("0123456789abcdef\0\n"), "a secret is text; this file has a zero byte at 16", 0},
        {BYTES("0123456789abcdef0123456789abcdef\0different"),
         "a secret is text; this file has a zero byte at 32", 0},
        {BYTES("\xff\xfe"
               "a\0l\0p\0h\0a\0-\0"
               "7\0Y\0"),
         "a secret is text; this file has a zero byte at 3, it looks like UTF-16", 0},
        {BYTES("a\0l\0p\0h\0a\0-\0"
               "7\0Y\0"
               "q\0"),
         "a secret is text; this file has a zero byte at 1, it looks like UTF-16", 0},
        {BYTES("\xfe\xff\0a\0l\0p\0h\0a\0-\0007\0Y"),
         "a secret is text; this file has a zero byte at 2, it looks like UTF-16", 0},
        {BYTES("\xef\xbb\xbf"
               "0123456789abcdef"),
         "it begins with the byte order mark of an editor (ef bb bf), which would be a part of the "
         "secret; save it without",
         0},
    };
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        check_secret_file(rows[i].bytes, rows[i].mistake, rows[i].len);
    }
}

static void secrets_of_the_environment_are_held_to_the_same(void)
{
    dure_registry_source source = source_of(GOOD);
    source.env_secret = "0123456789abcde";
    check_lines(&source, DURE_ERR_CONFIG,
                "c.json:1:1: DURE_SECRET: a secret has from 16 to 4096 bytes, this one 15\n");
    source.env_secret = "0123456789abcdef";
    source.env_secret_previous = "0123456789abcde\n";
    check_lines(&source, DURE_ERR_CONFIG,
                "c.json:1:1: DURE_SECRET_PREVIOUS: a secret has from 16 to 4096 bytes, this one "
                "15\n");
    source.env_secret_previous = "fedcba9876543210";
    check_lines(&source, DURE_OK, "");
    source.env_secret = NULL;
    check_lines(&source, DURE_ERR_CONFIG,
                "c.json:1:1: secret_previous_file: the secret before is given and the present one "
                "is not: secret_file or DURE_SECRET\n");
}

/* A value on its own is judged against the default of the other. */
static void orders_hold_whichever_of_the_two_is_written(void)
{
    static const struct {
        const char *set;
        const char *line;
    } rows[] = {
        {"heartbeat_ms=30000", "heartbeat_ms: must be below peer_timeout_ms (8000)"},
        {"heartbeat_ms=8000", "heartbeat_ms: must be below peer_timeout_ms (8000)"},
        {"heartbeat_ms=7999", NULL},
        {"peer_timeout_ms=2000", "peer_timeout_ms: must be above heartbeat_ms (2000)"},
        {"peer_timeout_ms=2001", NULL},
        {"heartbeat_ms=600;peer_timeout_ms=500",
         "peer_timeout_ms: must be above heartbeat_ms (600)"},
        {"redial_max_ms=249", "redial_max_ms: must not be below redial_first_ms (250)"},
        {"redial_first_ms=250;redial_max_ms=250", NULL},
        {"link_queue_max_bytes=16777216;link_queue_high_bytes=16777217",
         "link_queue_max_bytes: must not be below link_queue_high_bytes (16777217)"},
        {"link_queue_max_bytes=16777215",
         "link_queue_max_bytes: must not be below body_max_bytes (16777216)"},
        {"link_queue_max_bytes=16777216", NULL},
    };
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        char expected[160] = "";
        dure_registry_source source = source_of(GOOD);
        source.env_set = rows[i].set;
        if (rows[i].line != NULL) {
            (void)snprintf(expected, sizeof expected, "DURE_SET: %s\n", rows[i].line);
        }
        check_lines(&source, rows[i].line != NULL ? DURE_ERR_CONFIG : DURE_OK, expected);
    }
}

static void a_registry_by_hand_cannot_switch_the_heartbeat_off(void)
{
    dure_registry_builder *builder = NULL;
    dure_registry *registry = NULL;
    DURE_REQUIRE_OK(dure_registry_builder_create("test", "var", &builder));
    dure_registry_builder_settings(builder)->heartbeat_ms = 8000;
    DURE_CHECK_ERR(dure_registry_builder_finish(builder, &registry), DURE_ERR_CONFIG);
}

static void an_empty_secret_is_none(void)
{
    dure_registry_builder *builder = NULL;
    DURE_REQUIRE_OK(dure_registry_builder_create("test", "var", &builder));
    DURE_CHECK_ERR(dure_registry_builder_secret(builder, (dure_slice){NULL, 0}), DURE_ERR_INVALID);
    dure_registry_builder_destroy(builder);
}

DURE_SUITE(cluster_registry_json, DURE_TEST(each_mistake_has_its_line),
           DURE_TEST(all_mistakes_are_told_in_one_run_by_place),
           DURE_TEST(who_cannot_be_reached_is_named), DURE_TEST(overrides_are_named_as_the_place),
           DURE_TEST(a_setting_may_be_overridden_where_none_was),
           DURE_TEST(a_file_of_the_first_release_means_what_it_meant),
           DURE_TEST(a_number_keeps_its_digits), DURE_TEST(a_number_that_nothing_holds_is_refused),
           DURE_TEST(a_port_of_outgoing_connections_is_a_warning),
           DURE_TEST(a_link_off_the_loopback_needs_a_secret), DURE_TEST(a_secret_is_never_shown),
           DURE_TEST(a_secret_is_text_of_128_bits_at_least),
           DURE_TEST(secrets_of_the_environment_are_held_to_the_same),
           DURE_TEST(orders_hold_whichever_of_the_two_is_written),
           DURE_TEST(a_registry_by_hand_cannot_switch_the_heartbeat_off),
           DURE_TEST(an_empty_secret_is_none));
