/* SPDX-License-Identifier: MIT
 *
 * dure down: asks every node of a configuration to stop gracefully, and waits until it has. In the
 * order of the file, so that gateways, which stand first by habit, let their players go before the
 * nodes behind them end.
 */
#include <stdio.h>

#include "node/process.h"
#include "tools/dure/cluster_file.h"
#include "tools/dure/commands.h"

static const char down_help[] =
    "usage: dure down FILE [--json] [--set PATH=VALUE]...\n"
    "\n"
    "Stops every node of FILE on this machine and waits for its end. A node that does not run is\n"
    "no failure. Exit codes: 0 all have stopped, 1 some have not, 2 usage, 78 configuration.\n";

static bool wait_for_end(uint64_t pid, uint32_t wait_ms)
{
    for (uint32_t waited = 0; waited < wait_ms; waited += 20) {
        if (!dure_process_is_running(pid)) {
            return true;
        }
        dure_process_pause_ms(20);
    }
    return false;
}

/* What became of it, for people and programs. */
static const char *stop_node(const dure_registry *registry, const char *id, bool *out_good)
{
    dure_rpc_client *client = NULL;
    dure_admin_place admin;
    dure_rpc_answer answer;
    *out_good = true;
    dure_err err = cluster_open_admin(registry, id, &admin, &client);
    if (err == DURE_ERR_NOT_FOUND) {
        return "not running";
    }
    if (err == DURE_OK) {
        err = dure_admin_call(client, "stop", CLUSTER_TIMEOUT_MS, &answer);
        dure_rpc_client_destroy(client);
    }
    *out_good =
        err == DURE_OK && wait_for_end(admin.pid, cluster_stop_ms(registry) + CLUSTER_END_MS);
    return *out_good ? "stopped" : err == DURE_OK ? "still running" : dure_err_text(err);
}

int dure_cmd_down(int argc, char **argv)
{
    cluster_options options = {.command = "down", .help = down_help, .allowed = "j"};
    dure_registry *registry = NULL;
    int code = 0;
    if (!cluster_open(&options, argc, argv, 0, 0, &registry, &code)) {
        return code;
    }
    (void)printf("%s", options.as_json ? "{\"nodes\":[" : "");
    for (size_t i = 0; i < dure_registry_node_count(registry); i++) {
        const char *id = dure_registry_node_at(registry, i)->id;
        bool is_good;
        const char *what = stop_node(registry, id, &is_good);
        if (options.as_json) {
            (void)printf("%s{\"id\":\"%s\",\"outcome\":\"%s\"}", i > 0 ? "," : "", id, what);
        } else {
            (void)printf("%-16s %s\n", id, what);
        }
        code = is_good ? code : DURE_EXIT_FAILED;
    }
    (void)printf("%s", options.as_json ? "]}\n" : "");
    dure_registry_destroy(registry);
    return code;
}
