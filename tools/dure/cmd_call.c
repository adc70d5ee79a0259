/* SPDX-License-Identifier: MIT
 *
 * dure call: one call as a client of the cluster's gateway, or of a node's admin port.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "net/address.h"
#include "tools/dure/cluster_file.h"
#include "tools/dure/commands.h"
#include "tools/dure/json_msgpack.h"
#include "wire/cursor.h"
#include "wire/packer.h"

#define CALL_BYTES_MAX (4u * 1024u * 1024u)

static const char call_help[] =
    "usage: dure call FILE METHOD [JSON] [--login NAME] [--node ID] [--timeout MS]\n"
    "                 [--json] [--set PATH=VALUE]...\n"
    "\n"
    "Calls METHOD with the parameters JSON (an array; default []) and prints the result as JSON.\n"
    "\n"
    "  --login NAME  log in as NAME first, on the same connection\n"
    "  --node ID     call an admin method of that node (status, stop, log_level) instead\n"
    "  --timeout MS  how long to wait for each answer (default 5000)\n"
    "  --json        print {\"result\":...} or {\"error\":[code,name,text]}\n"
    "\n"
    "Exit codes: 0 answered, 1 an error was answered or nobody did, 2 usage, 78 configuration.\n"
    "Example: dure call config/demo.json chat '[\"hello\"]' --login alice\n";

static const dure_registry_node *gateway_of(const dure_registry *registry)
{
    for (size_t i = 0; i < dure_registry_node_count(registry); i++) {
        const dure_registry_node *node = dure_registry_node_at(registry, i);
        if (node->has_clients) {
            return node;
        }
    }
    return NULL;
}

static dure_err open_gateway(const dure_registry *registry, dure_rpc_client **out_client)
{
    const dure_registry_node *gateway = gateway_of(registry);
    dure_net_address address;
    if (gateway == NULL) {
        return DURE_ERR_NOT_CONFIGURED;
    }
    dure_err err = dure_net_address_from_ip(gateway->bind, gateway->client_port, &address);
    return err == DURE_OK ? dure_rpc_client_create(&address, CLUSTER_TIMEOUT_MS, out_client) : err;
}

/* Prints a result on stdout, or an error on stderr (with --json both on stdout). */
static int print_answer(const cluster_options *options, const dure_rpc_answer *answer)
{
    dure_buf text;
    dure_buf_init(&text, CALL_BYTES_MAX);
    dure_err err = json_from_msgpack(answer->value, &text);
    if (err != DURE_OK) {
        (void)fprintf(stderr, "dure call: the answer cannot be shown: %s\n", dure_err_text(err));
        dure_buf_fini(&text);
        return DURE_EXIT_FAILED;
    }
    if (options->as_json) {
        (void)printf("{\"%s\":%.*s}\n", answer->is_error ? "error" : "result", (int)text.len,
                     (const char *)text.data);
    } else {
        (void)fprintf(answer->is_error ? stderr : stdout, "%.*s\n", (int)text.len,
                      (const char *)text.data);
    }
    dure_buf_fini(&text);
    return answer->is_error ? DURE_EXIT_FAILED : DURE_EXIT_OK;
}

static dure_err login(const cluster_options *options, dure_rpc_client *client,
                      dure_rpc_answer *answer)
{
    dure_buf params;
    dure_buf_init(&params, 4096);
    dure_packer packer = dure_packer_of(&params);
    dure_packer_array(&packer, 1);
    dure_packer_cstr(&packer, options->login);
    dure_err err = packer.status;
    if (err == DURE_OK) {
        err = dure_rpc_client_call(client, dure_str_of("login"),
                                   (dure_slice){params.data, params.len}, options->timeout_ms,
                                   answer);
    }
    dure_buf_fini(&params);
    return err;
}

/* So that the player does not wait for a client that will not come back. */
static void logout(const cluster_options *options, dure_rpc_client *client)
{
    static const uint8_t no_params[] = {0x90};
    dure_rpc_answer answer = {.is_error = false};
    dure_err ignored = dure_rpc_client_call(client, dure_str_of("logout"),
                                            (dure_slice){no_params, sizeof no_params},
                                            options->timeout_ms, &answer);
    (void)ignored;
}

static int call_failed(dure_err err, const char *what)
{
    (void)fprintf(stderr, "dure call: %s: %s\n", what, dure_err_text(err));
    return DURE_EXIT_FAILED;
}

static int call_run(const cluster_options *options, dure_rpc_client *client, dure_slice params)
{
    dure_rpc_answer answer = {.is_error = false};
    if (options->login != NULL) {
        dure_err err = login(options, client, &answer);
        if (err != DURE_OK) {
            return call_failed(err, "login");
        }
        if (answer.is_error) {
            return print_answer(options, &answer);
        }
    }
    dure_err err = dure_rpc_client_call(client, dure_str_of(options->arguments[0]), params,
                                        options->timeout_ms, &answer);
    int code =
        err == DURE_OK ? print_answer(options, &answer) : call_failed(err, options->arguments[0]);
    if (err == DURE_OK && options->login != NULL) {
        logout(options, client);
    }
    return code;
}

static int call_connect(const cluster_options *options, const dure_registry *registry,
                        dure_slice params)
{
    dure_rpc_client *client = NULL;
    dure_admin_place admin;
    dure_err err = options->node_id != NULL
                       ? cluster_open_admin(registry, options->node_id, &admin, &client)
                       : open_gateway(registry, &client);
    if (err != DURE_OK) {
        const char *whom = options->node_id != NULL ? options->node_id : "the gateway";
        (void)fprintf(stderr, "dure call: cannot reach %s: %s\n", whom,
                      err == DURE_ERR_NOT_FOUND ? "it does not run" : dure_err_text(err));
        return DURE_EXIT_FAILED;
    }
    int code = call_run(options, client, params);
    dure_rpc_client_destroy(client);
    return code;
}

/* False after it has said what is wrong. */
static bool call_params(const cluster_options *options, dure_buf *out)
{
    const char *json = options->argument_count > 1 ? options->arguments[1] : "[]";
    dure_err err = json_to_msgpack(json, out);
    dure_cursor cursor = dure_cursor_of(out->data, out->len);
    if (err != DURE_OK || dure_cursor_peek(&cursor) != DURE_WIRE_ARRAY) {
        (void)fprintf(stderr, "dure call: JSON: %s: %s\n", json,
                      err == DURE_ERR_INVALID
                          ? "\\u0000 and numbers beyond a double cannot be passed on"
                      : err != DURE_OK ? "this is not JSON"
                                       : "the parameters must be an array");
        return false;
    }
    return true;
}

int dure_cmd_call(int argc, char **argv)
{
    cluster_options options = {.command = "call", .help = call_help, .allowed = "jlnt"};
    dure_registry *registry = NULL;
    int code = 0;
    if (!cluster_parse(&options, argc, argv, 1, 2, &code)) {
        return code;
    }
    dure_buf params;
    dure_buf_init(&params, CALL_BYTES_MAX);
    code = call_params(&options, &params) ? DURE_EXIT_OK : DURE_EXIT_USAGE;
    code = code == DURE_EXIT_OK ? cluster_load(&options, &registry) : code;
    if (code == DURE_EXIT_OK && options.node_id != NULL &&
        dure_registry_find_node(registry, options.node_id) == NULL) {
        (void)fprintf(stderr, "dure call: --node: \"%s\" is not a node of %s\n", options.node_id,
                      options.file);
        code = DURE_EXIT_CONFIG;
    }
    if (code == DURE_EXIT_OK) {
        code = call_connect(&options, registry, (dure_slice){params.data, params.len});
    }
    dure_registry_destroy(registry);
    dure_buf_fini(&params);
    return code;
}
