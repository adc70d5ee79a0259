/* SPDX-License-Identifier: MIT
 *
 * dure check: every mistake of a configuration in one run, and with --show what each value is and
 * where it came from.
 */
#include <stdio.h>

#include "tools/dure/cluster_file.h"
#include "tools/dure/commands.h"

static const char check_help[] =
    "usage: dure check FILE [--show] [--json] [--set PATH=VALUE]...\n"
    "\n"
    "Says whether FILE is right. Mistakes and warnings come out one a line, as\n"
    "file:line:column: path: message.\n"
    "\n"
    "  --show            print each value and where it came from; secrets are hidden\n"
    "  --json            the same as one object on stdout\n"
    "  --set PATH=VALUE  overrides a value, such as 'nodes[0].client_port=7000';\n"
    "                    DURE_SET does the same, several separated by ';'\n"
    "\n"
    "Exit codes: 0 right (warnings or none), 2 usage, 78 mistakes.\n";

static void print_json_text(const char *text)
{
    (void)putchar('"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            (void)printf("\\%c", c);
        } else if (c < 0x20) {
            (void)printf("\\u%04x", (unsigned)c);
        } else {
            (void)putchar(c);
        }
    }
    (void)putchar('"');
}

static void print_member(const char *key, const char *text)
{
    (void)printf("\"%s\":", key);
    print_json_text(text);
}

static void print_json_diagnostic(const dure_registry_diagnostic *row)
{
    (void)printf("{\"severity\":\"%s\",",
                 row->severity == DURE_REGISTRY_WARNING ? "warning" : "mistake");
    print_member("place", row->place);
    (void)printf(",\"line\":%u,\"column\":%u,", row->line, row->column);
    print_member("path", row->path);
    (void)putchar(',');
    print_member("message", row->message);
    (void)putchar('}');
}

static void print_json(const dure_registry_report *report, bool with_values)
{
    (void)printf("{\"right\":%s,\"diagnostics\":[", report->mistake_count == 0 ? "true" : "false");
    for (size_t i = 0; i < report->diagnostic_count; i++) {
        (void)printf("%s", i > 0 ? "," : "");
        print_json_diagnostic(&report->diagnostics[i]);
    }
    (void)printf("]");
    if (with_values) {
        (void)printf(",\"values\":[");
        for (size_t i = 0; i < report->value_count; i++) {
            (void)printf("%s{", i > 0 ? "," : "");
            print_member("path", report->values[i].path);
            (void)printf(",\"value\":%s,", report->values[i].value);
            print_member("from", report->values[i].place);
            (void)printf("}");
        }
        (void)printf("]");
    }
    (void)printf("}\n");
}

static void print_values(const dure_registry_report *report)
{
    for (size_t i = 0; i < report->value_count; i++) {
        const dure_registry_value *row = &report->values[i];
        (void)printf("%-32s %-28s %s\n", row->path, row->value, row->place);
    }
}

int dure_cmd_check(int argc, char **argv)
{
    cluster_options options = {.command = "check", .help = check_help, .allowed = "jw"};
    dure_registry *registry = NULL;
    dure_registry_report report;
    int code = 0;
    if (!cluster_parse(&options, argc, argv, 0, 0, &code)) {
        return code;
    }
    code = cluster_read(&options, &registry, &report);
    if (options.as_json) {
        print_json(&report, options.with_values);
    } else {
        cluster_print_report(&report);
        if (options.with_values) {
            print_values(&report);
        } else if (code == DURE_EXIT_OK) {
            (void)printf("%s: right, %zu nodes in %zu roles\n", options.file,
                         dure_registry_node_count(registry), dure_registry_role_count(registry));
        }
    }
    dure_registry_report_fini(&report);
    dure_registry_destroy(registry);
    return code;
}
