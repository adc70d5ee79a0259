/* SPDX-License-Identifier: MIT
 *
 * Configuration and admin channels, as the subcommands see them.
 */
#include "tools/dure/cluster_file.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/registry_json.h"
#include "node/exit_codes.h"

static bool parse_fails(const cluster_options *options, const char *what, const char *value,
                        int *out_exit)
{
    (void)fprintf(stderr, "dure %s: %s%s%s\n%s", options->command, what, value != NULL ? ": " : "",
                  value != NULL ? value : "", options->help);
    *out_exit = DURE_EXIT_USAGE;
    return false;
}

/* Digits alone: strtoul would take a sign too. */
static bool parse_ms(const char *text, uint32_t *out_ms)
{
    char *end = NULL;
    unsigned long ms = strtoul(text, &end, 10);
    *out_ms = (uint32_t)ms;
    return strspn(text, "0123456789") == strlen(text) && *end == '\0' && ms > 0 &&
           ms <= CLUSTER_TIMEOUT_MAX_MS;
}

/* One option; false ends the parsing. */
static bool parse_option(cluster_options *options, int option, int *out_exit)
{
    if (option == 'h') {
        (void)fputs(options->help, stdout);
        *out_exit = DURE_EXIT_OK;
        return false;
    }
    if (option == 's') {
        if (options->set_count == CLUSTER_SETS_MAX) {
            return parse_fails(options, "too many --set", NULL, out_exit);
        }
        options->sets[options->set_count++] = optarg;
        return true;
    }
    if (option == '?' || strchr(options->allowed, option) == NULL) {
        return parse_fails(options, "an option that it does not have", NULL, out_exit);
    }
    switch (option) {
    case 'j':
        options->as_json = true;
        return true;
    case 'w':
        options->with_values = true;
        return true;
    case 'd':
        options->as_dot = true;
        return true;
    case 'p':
        options->as_ports = true;
        return true;
    case 'l':
        options->login = optarg;
        return true;
    case 'n':
        options->node_id = optarg;
        return true;
    case 'r':
        options->role = optarg;
        return true;
    default:
        return parse_ms(optarg, &options->timeout_ms) ||
               parse_fails(options, "--timeout: not from 1 to 86400000 milliseconds", optarg,
                           out_exit);
    }
}

bool cluster_parse(cluster_options *options, int argc, char **argv, int argument_min,
                   int argument_max, int *out_exit)
{
    static const struct option longs[] = {{"set", required_argument, NULL, 's'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"login", required_argument, NULL, 'l'},
                                          {"node", required_argument, NULL, 'n'},
                                          {"timeout", required_argument, NULL, 't'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"show", no_argument, NULL, 'w'},
                                          {"dot", no_argument, NULL, 'd'},
                                          {"ports", no_argument, NULL, 'p'},
                                          {"role", required_argument, NULL, 'r'},
                                          {NULL, 0, NULL, 0}};
    int option;
    options->timeout_ms = options->timeout_ms == 0 ? CLUSTER_TIMEOUT_MS : options->timeout_ms;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        if (!parse_option(options, option, out_exit)) {
            return false;
        }
    }
    if (optind >= argc) {
        return parse_fails(options, "FILE is missing", NULL, out_exit);
    }
    options->file = argv[optind];
    options->argument_count = argc - optind - 1;
    if (options->argument_count < argument_min) {
        return parse_fails(options, "an argument is missing", NULL, out_exit);
    }
    if (options->argument_count > argument_max) {
        return parse_fails(options, "too many arguments", argv[optind + 1 + argument_max],
                           out_exit);
    }
    for (int i = 0; i < options->argument_count; i++) {
        options->arguments[i] = argv[optind + 1 + i];
    }
    return true;
}

static void print_line(void *ctx, const char *line)
{
    (void)ctx;
    (void)fprintf(stderr, "%s\n", line);
}

int cluster_read(const cluster_options *options, dure_registry **out_registry,
                 dure_registry_report *report)
{
    dure_registry_source source;
    dure_registry_source_init(&source, options->file);
    dure_registry_source_from_environment(&source);
    source.sets = options->sets;
    source.set_count = options->set_count;
    dure_registry_report_init(report);
    dure_err err = dure_registry_load(&source, out_registry, report);
    if (err == DURE_OK) {
        return DURE_EXIT_OK;
    }
    return err == DURE_ERR_CONFIG ? DURE_EXIT_CONFIG : DURE_EXIT_FAILED;
}

void cluster_print_report(const dure_registry_report *report)
{
    dure_registry_report_print(report, print_line, NULL);
}

int cluster_load(const cluster_options *options, dure_registry **out_registry)
{
    dure_registry_report report;
    int code = cluster_read(options, out_registry, &report);
    cluster_print_report(&report);
    dure_registry_report_fini(&report);
    return code;
}

bool cluster_open(cluster_options *options, int argc, char **argv, int argument_min,
                  int argument_max, dure_registry **out_registry, int *out_exit)
{
    if (!cluster_parse(options, argc, argv, argument_min, argument_max, out_exit)) {
        return false;
    }
    *out_exit = cluster_load(options, out_registry);
    return *out_exit == DURE_EXIT_OK;
}

dure_err cluster_open_admin(const dure_registry *registry, const char *node_id,
                            dure_admin_place *out_place, dure_rpc_client **out_client)
{
    return dure_admin_open(dure_registry_data(registry), node_id, CLUSTER_TIMEOUT_MS, out_place,
                           out_client);
}

uint32_t cluster_stop_ms(const dure_registry *registry)
{
    const dure_registry_settings *settings = dure_registry_settings_of(registry);
    return settings->drain_ms + settings->drain_clients_ms;
}
