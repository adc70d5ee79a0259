/* SPDX-License-Identifier: MIT
 *
 * Configuration and admin channels, as the subcommands see them.
 */
#include "tools/dure/cluster_file.h"

#include <cjson/cJSON.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cluster/registry_json.h"
#include "net/address.h"
#include "node/exit_codes.h"
#include "node/process.h"
#include "wire/packer.h"

#define ADMIN_FILE_BYTES_MAX 4096u

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
    default:
        return parse_ms(optarg, &options->timeout_ms) ||
               parse_fails(options, "--timeout: not from 1 to 86400000 milliseconds", optarg,
                           out_exit);
    }
}

bool cluster_parse(cluster_options *options, int argc, char **argv, int argument_min,
                   int argument_max, int *out_exit)
{
    static const struct option longs[] = {
        {"set", required_argument, NULL, 's'},     {"json", no_argument, NULL, 'j'},
        {"login", required_argument, NULL, 'l'},   {"node", required_argument, NULL, 'n'},
        {"timeout", required_argument, NULL, 't'}, {"help", no_argument, NULL, 'h'},
        {"show", no_argument, NULL, 'w'},          {"dot", no_argument, NULL, 'd'},
        {"ports", no_argument, NULL, 'p'},         {NULL, 0, NULL, 0}};
    int option;
    options->timeout_ms = CLUSTER_TIMEOUT_MS;
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

static dure_err admin_parse(const dure_buf *text, cluster_admin *out_admin)
{
    cJSON *json = cJSON_ParseWithLength((const char *)text->data, text->len);
    const cJSON *port = cJSON_GetObjectItemCaseSensitive(json, "port");
    const cJSON *token = cJSON_GetObjectItemCaseSensitive(json, "token");
    const cJSON *pid = cJSON_GetObjectItemCaseSensitive(json, "pid");
    dure_err err = DURE_ERR_SYNTAX;
    if (cJSON_IsNumber(port) && cJSON_IsString(token) && cJSON_IsNumber(pid) &&
        port->valuedouble > 0 && port->valuedouble <= 65535 &&
        strlen(token->valuestring) < sizeof out_admin->token) {
        out_admin->port = (uint16_t)port->valuedouble;
        out_admin->pid = (uint64_t)pid->valuedouble;
        memcpy(out_admin->token, token->valuestring, strlen(token->valuestring) + 1);
        err = DURE_OK;
    }
    cJSON_Delete(json);
    return err;
}

dure_err cluster_find_admin(const dure_registry *registry, const char *node_id,
                            cluster_admin *out_admin)
{
    char path[4200];
    dure_buf text;
    int len =
        snprintf(path, sizeof path, "%s/%s/admin.json", dure_registry_data(registry), node_id);
    if (len < 0 || (size_t)len >= sizeof path) {
        return DURE_ERR_TOO_LARGE;
    }
    dure_buf_init(&text, ADMIN_FILE_BYTES_MAX);
    dure_err err = dure_file_read(path, &text);
    if (err == DURE_OK) {
        err = admin_parse(&text, out_admin);
    }
    dure_buf_fini(&text);
    /* A killed node leaves its file behind. */
    if (err == DURE_OK && !dure_process_is_running(out_admin->pid)) {
        return DURE_ERR_NOT_FOUND;
    }
    return err;
}

static dure_err admin_authenticate(dure_rpc_client *client, const cluster_admin *admin)
{
    dure_buf params;
    dure_buf_init(&params, 1024);
    dure_packer packer = dure_packer_of(&params);
    dure_packer_array(&packer, 1);
    dure_packer_cstr(&packer, admin->token);
    dure_rpc_answer answer;
    dure_err err = packer.status;
    if (err == DURE_OK) {
        err =
            dure_rpc_client_call(client, dure_str_of("auth"), (dure_slice){params.data, params.len},
                                 CLUSTER_TIMEOUT_MS, &answer);
    }
    dure_buf_fini(&params);
    return err == DURE_OK && answer.is_error ? DURE_ERR_REFUSED : err;
}

dure_err cluster_open_admin(const dure_registry *registry, const char *node_id,
                            cluster_admin *out_admin, dure_rpc_client **out_client)
{
    dure_net_address address;
    dure_rpc_client *client = NULL;
    dure_err err = cluster_find_admin(registry, node_id, out_admin);
    if (err == DURE_OK) {
        err = dure_net_address_from_ip("127.0.0.1", out_admin->port, &address);
    }
    if (err == DURE_OK) {
        err = dure_rpc_client_create(&address, CLUSTER_TIMEOUT_MS, &client);
    }
    if (err == DURE_OK) {
        err = admin_authenticate(client, out_admin);
    }
    if (err != DURE_OK) {
        dure_rpc_client_destroy(client);
        return err;
    }
    *out_client = client;
    return DURE_OK;
}

dure_err cluster_call_admin(dure_rpc_client *client, const char *method,
                            dure_rpc_answer *out_answer)
{
    static const uint8_t nothing[] = {0x90};
    return dure_rpc_client_call(client, dure_str_of(method), (dure_slice){nothing, sizeof nothing},
                                CLUSTER_TIMEOUT_MS, out_answer);
}
