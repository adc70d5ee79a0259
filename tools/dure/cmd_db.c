/* SPDX-License-Identifier: MIT
 *
 * dure db check: what the files of db nodes hold that this version would not put there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "node/process.h"
#include "nodes/db/examine.h"
#include "tools/dure/cluster_file.h"
#include "tools/dure/commands.h"

#define DB_PROGRAM "dure-db"

static const char db_help[] =
    "usage: dure db check FILE [--node ID] [--json] [--set PATH=VALUE]...\n"
    "\n"
    "Reads the files of the db nodes of FILE on this machine, which must not run, and lists what\n"
    "this version would not put there: names of players, rooms and items that are not plain, with\n"
    "their code points (such players still log in), and counts that are no whole numbers (they\n"
    "are not used). Nothing is changed.\n"
    "\n"
    "  --node ID  that node only\n"
    "  --json     {\"nodes\":[{\"id\",\"file\",\"findings\":[...]}]}, or \"error\" instead of "
    "findings\n"
    "\n"
    "Exit codes: 0 nothing was found, 1 something was, or a file could not be read, 2 usage,\n"
    "78 configuration.\n";

static const char *const kind_names[] = {
    [DB_FOUND_PLAYER] = "player",
    [DB_FOUND_ROOM] = "room",
    [DB_FOUND_ITEM] = "item",
    [DB_FOUND_COUNT] = "count",
};

typedef struct listing {
    bool as_json;
    uint64_t count;
} listing;

/* The code point at the front, and how long it is; a byte that is no UTF-8 is itself. */
static uint32_t next_code_point(const uint8_t *at, size_t left, size_t *out_len, bool *out_broken)
{
    static const uint8_t first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    const size_t len = dure_utf8_sequence(at, left);
    *out_broken = len == 0;
    *out_len = len == 0 ? 1 : len;
    uint32_t c = len == 0 ? at[0] : at[0] & first_bits[len];
    for (size_t i = 1; i < len; i++) {
        c = c << 6 | (at[i] & 0x3fu);
    }
    return c;
}

/* A string of JSON in ASCII, so that nothing of a name acts on a terminal. */
static void print_string(dure_str text)
{
    const uint8_t *at = (const uint8_t *)text.data;
    (void)printf("\"");
    for (size_t left = text.len, len = 0; left > 0; left -= len, at += len) {
        bool is_broken = false;
        uint32_t c = next_code_point(at, left, &len, &is_broken);
        if (is_broken) {
            c = 0xfffd;
        }
        if (c >= 0x10000) {
            (void)printf("\\u%04" PRIx32 "\\u%04" PRIx32, 0xd7c0 + (c >> 10), 0xdc00 + (c & 0x3ff));
        } else if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') {
            (void)printf("\\u%04" PRIx32, c);
        } else {
            (void)printf("%c", (int)c);
        }
    }
    (void)printf("\"");
}

static void print_code_points(dure_str text, const char *quote, const char *between)
{
    const uint8_t *at = (const uint8_t *)text.data;
    const char *gap = "";
    for (size_t left = text.len, len = 0; left > 0; left -= len, at += len) {
        bool is_broken = false;
        const uint32_t c = next_code_point(at, left, &len, &is_broken);
        if (is_broken) {
            (void)printf("%s%s0x%02" PRIX32 "%s", gap, quote, c, quote);
        } else {
            (void)printf("%s%sU+%04" PRIX32 "%s", gap, quote, c, quote);
        }
        gap = between;
    }
}

static void print_finding_as_json(const listing *list, const db_finding *finding, const char *said)
{
    (void)printf("%s{\"kind\":\"%s\",\"text\":", list->count > 0 ? "," : "",
                 kind_names[finding->kind]);
    print_string(finding->text);
    (void)printf(",\"code_points\":[");
    print_code_points(finding->text, "\"", ",");
    (void)printf("],\"player\":");
    print_string(finding->player);
    (void)printf(",\"rule\":\"%s\",\"said\":\"%s\"}",
                 finding->kind == DB_FOUND_COUNT ? "COUNT"
                                                 : dure_plain_rule_name(finding->fault.rule),
                 said);
}

static void on_finding(void *ctx, const db_finding *finding)
{
    listing *list = ctx;
    char said[96] = "its count is no whole number";
    if (finding->kind != DB_FOUND_COUNT) {
        (void)dure_plain_print(&finding->fault, said, sizeof said);
    }
    if (list->as_json) {
        print_finding_as_json(list, finding, said);
    } else {
        (void)printf("  %s ", finding->kind == DB_FOUND_COUNT ? "item" : kind_names[finding->kind]);
        print_string(finding->text);
        (void)printf(" (");
        print_code_points(finding->text, "", " ");
        (void)printf(")");
        if (finding->kind != DB_FOUND_PLAYER) {
            (void)printf(" of player ");
            print_string(finding->player);
        }
        (void)printf(": %s\n", said);
    }
    list->count++;
}

/* Reads under the folder's lock, which a running node holds. Fails with a sentence. */
static dure_err examine(const char *folder, const char *path, listing *list, char *why, size_t size)
{
    void *lock = NULL;
    if (!dure_file_exists(path)) {
        (void)snprintf(why, size, "there is no %s", path);
        return DURE_ERR_NOT_FOUND;
    }
    dure_err err = dure_folder_lock(folder, &lock);
    if (err == DURE_ERR_EXISTS) {
        (void)snprintf(why, size, "%s: the node runs; stop it first", folder);
        return err;
    }
    if (err != DURE_OK) {
        (void)snprintf(why, size, "%s: %s", folder, dure_err_text(err));
        return err;
    }
    err = db_examine(path, on_finding, list, why, size);
    dure_folder_unlock(lock);
    return err;
}

/* True: the file was read and is all right. */
static bool check_node(const dure_registry *registry, const char *id, bool as_json, bool is_first)
{
    char folder[3900];
    char path[4000];
    char why[4600] = "";
    listing list = {.as_json = as_json};
    (void)snprintf(folder, sizeof folder, "%.3700s/%s", dure_registry_data(registry), id);
    (void)snprintf(path, sizeof path, "%s/dure.sqlite", folder);
    if (as_json) {
        (void)printf("%s{\"id\":\"%s\",\"file\":", is_first ? "" : ",", id);
        print_string(dure_str_of(path));
        (void)printf(",\"findings\":[");
    } else {
        (void)printf("%s: %s\n", id, path);
    }
    const dure_err err = examine(folder, path, &list, why, sizeof why);
    if (as_json) {
        (void)printf("]");
        if (err != DURE_OK) {
            (void)printf(",\"error\":");
            print_string(dure_str_of(why));
        }
        (void)printf("}");
    } else if (err != DURE_OK) {
        (void)fprintf(stderr, "dure db check: %s\n", why);
    } else if (list.count == 0) {
        (void)printf("  nothing found\n");
    }
    return err == DURE_OK && list.count == 0;
}

static bool is_chosen(const cluster_options *options, const dure_registry *registry,
                      const dure_registry_node *node)
{
    if (options->node_id != NULL) {
        return strcmp(node->id, options->node_id) == 0;
    }
    const dure_registry_role *role = dure_registry_find_role(registry, node->role);
    return role != NULL && strcmp(role->program, DB_PROGRAM) == 0;
}

static int db_check(const cluster_options *options, const dure_registry *registry)
{
    bool is_good = true;
    size_t count = 0;
    (void)printf("%s", options->as_json ? "{\"nodes\":[" : "");
    for (size_t i = 0; i < dure_registry_node_count(registry); i++) {
        const dure_registry_node *node = dure_registry_node_at(registry, i);
        if (is_chosen(options, registry, node)) {
            is_good = check_node(registry, node->id, options->as_json, count == 0) && is_good;
            count++;
        }
    }
    (void)printf("%s", options->as_json ? "]}\n" : "");
    if (count == 0) {
        (void)fprintf(stderr, "dure db check: the file names no such node of " DB_PROGRAM
                              " (--node names one of another program)\n");
        return DURE_EXIT_FAILED;
    }
    return is_good ? DURE_EXIT_OK : DURE_EXIT_FAILED;
}

int dure_cmd_db(int argc, char **argv)
{
    cluster_options options = {.command = "db check", .help = db_help, .allowed = "jn"};
    dure_registry *registry = NULL;
    int code = DURE_EXIT_USAGE;
    if (argc < 2 || (strcmp(argv[1], "check") != 0 && strcmp(argv[1], "--help") != 0)) {
        (void)fprintf(stderr, "%s", db_help);
        return DURE_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0) {
        (void)printf("%s", db_help);
        return DURE_EXIT_OK;
    }
    if (!cluster_open(&options, argc - 1, argv + 1, 0, 0, &registry, &code)) {
        return code;
    }
    code = db_check(&options, registry);
    dure_registry_destroy(registry);
    return code;
}
