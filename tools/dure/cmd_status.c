/* SPDX-License-Identifier: MIT
 *
 * dure status: what each node of a configuration says of itself over its admin port.
 */
#include <inttypes.h>
#include <stdio.h>

#include "node.schema.h"
#include "tools/dure/cluster_file.h"
#include "tools/dure/commands.h"
#include "tools/dure/json_msgpack.h"

#define STATUS_BYTES_MAX (1024u * 1024u)

static const char status_help[] =
    "usage: dure status FILE [--json] [--set PATH=VALUE]...\n"
    "\n"
    "Asks every node of FILE on this machine how it is. Exit codes: 0 all are up, 1 some are not,\n"
    "2 usage, 78 configuration.\n";

static void print_row(const dure_registry_node *node, const node_status_result *status)
{
    (void)printf("%-16s %-10s up    pid %-7" PRIu64 " %6" PRIu64 " s  %5" PRIu64
                 " clients  %s  links:",
                 node->id, node->role, status->pid, status->uptime_ms / 1000, status->clients, "");
    size_t at = 0;
    node_peer_info peer;
    while (node_peer_info_list_next(&status->peers, &at, &peer)) {
        (void)printf(" %.*s=%.*s", DURE_STR_ARG(peer.id), DURE_STR_ARG(peer.state));
    }
    (void)printf("\n");
}

static bool show_node(const cluster_options *options, const dure_registry_node *node,
                      const dure_rpc_answer *answer)
{
    if (options->as_json) {
        dure_buf text;
        dure_buf_init(&text, STATUS_BYTES_MAX);
        bool is_shown = json_from_msgpack(answer->value, &text) == DURE_OK;
        if (is_shown) {
            (void)printf("{\"id\":\"%s\",\"up\":true,\"status\":%.*s}", node->id, (int)text.len,
                         (const char *)text.data);
        }
        dure_buf_fini(&text);
        return is_shown;
    }
    node_status_result status;
    dure_mistake mistake;
    dure_mistake_init(&mistake);
    dure_cursor cursor = dure_cursor_of(answer->value.data, answer->value.len);
    if (node_decode_status_result(&cursor, &status, &mistake) != DURE_OK) {
        return false;
    }
    print_row(node, &status);
    return true;
}

static bool status_of(const cluster_options *options, const dure_registry *registry,
                      const dure_registry_node *node)
{
    dure_rpc_client *client = NULL;
    dure_admin_place admin;
    dure_rpc_answer answer;
    dure_err err = cluster_open_admin(registry, node->id, &admin, &client);
    bool is_up = false;
    if (err == DURE_OK) {
        err = dure_admin_call(client, "status", CLUSTER_TIMEOUT_MS, &answer);
        is_up = err == DURE_OK && !answer.is_error && show_node(options, node, &answer);
        dure_rpc_client_destroy(client);
    }
    if (!is_up && options->as_json) {
        (void)printf("{\"id\":\"%s\",\"up\":false,\"cause\":\"%s\"}", node->id, dure_err_name(err));
    } else if (!is_up) {
        (void)printf("%-16s %-10s down  (%s)\n", node->id, node->role,
                     err == DURE_ERR_NOT_FOUND ? "it does not run" : dure_err_text(err));
    }
    return is_up;
}

int dure_cmd_status(int argc, char **argv)
{
    cluster_options options = {.command = "status", .help = status_help, .allowed = "j"};
    dure_registry *registry = NULL;
    int code = 0;
    if (!cluster_open(&options, argc, argv, 0, 0, &registry, &code)) {
        return code;
    }
    (void)printf("%s", options.as_json ? "{\"nodes\":[" : "");
    for (size_t i = 0; i < dure_registry_node_count(registry); i++) {
        (void)printf("%s", options.as_json && i > 0 ? "," : "");
        if (!status_of(&options, registry, dure_registry_node_at(registry, i))) {
            code = DURE_EXIT_FAILED;
        }
    }
    (void)printf("%s", options.as_json ? "]}\n" : "");
    dure_registry_destroy(registry);
    return code;
}
