/* SPDX-License-Identifier: MIT
 *
 * Configurations with mistakes and the very lines that they earn; and what comes out of good ones.
 */
#include "cluster/registry_json.h"

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
    const char *secrets[2];
    dure_registry_report_init(&report);
    DURE_REQUIRE_OK(dure_registry_load(&source, &registry, &report));
    DURE_CHECK_EQ(dure_registry_secrets(registry, secrets), 1);
    for (size_t i = 0; i < report.value_count; i++) {
        DURE_CHECK(strstr(report.values[i].value, "0123456789abcdef") == NULL);
    }
    dure_registry_destroy(registry);
    dure_registry_report_fini(&report);
}

DURE_SUITE(cluster_registry_json, DURE_TEST(each_mistake_has_its_line),
           DURE_TEST(all_mistakes_are_told_in_one_run_by_place),
           DURE_TEST(who_cannot_be_reached_is_named), DURE_TEST(overrides_are_named_as_the_place),
           DURE_TEST(a_setting_may_be_overridden_where_none_was),
           DURE_TEST(a_number_keeps_its_digits), DURE_TEST(a_number_that_nothing_holds_is_refused),
           DURE_TEST(a_port_of_outgoing_connections_is_a_warning),
           DURE_TEST(a_link_off_the_loopback_needs_a_secret), DURE_TEST(a_secret_is_never_shown));
