/* SPDX-License-Identifier: MIT
 *
 * dure up: every node of a configuration that lives on this machine, as processes, until Ctrl-C.
 */
#include <stdio.h>

#include "net/address.h"
#include "tools/dure/commands.h"
#include "tools/dure/supervisor.h"

static const char up_help[] =
    "usage: dure up FILE [--set PATH=VALUE]...\n"
    "\n"
    "Starts every node of FILE whose host is this machine, each as a process; their logs come out\n"
    "on stderr behind the node's id. One that crashes is started again. Ctrl-C stops all, in the\n"
    "order of the file; a second Ctrl-C at once. Exit codes: 0 good, 1 a node failed, 2 usage,\n"
    "78 configuration.\n";

/* Whether the address is one of this machine: then a socket can be bound to it. */
static bool is_ours(dure_iocp_core *core, const dure_registry_node *node)
{
    dure_net_address address;
    dure_iocp_socket *socket = NULL;
    if (dure_net_address_from_ip(node->bind, 0, &address) != DURE_OK ||
        dure_iocp_socket_open(core, address.family, &socket) != DURE_OK) {
        return false;
    }
    bool is_bound = dure_iocp_socket_bind(socket, &address) == DURE_OK;
    dure_iocp_socket_close(socket);
    return is_bound;
}

static dure_err add_nodes(const dure_registry *registry, supervisor *s, size_t *out_count)
{
    dure_iocp_core_config config;
    dure_iocp_core *core = NULL;
    dure_iocp_core_config_init(&config);
    config.backend = DURE_BACKEND_LIGHT;
    config.recycling = DURE_RECYCLING_OFF;
    dure_err err = dure_iocp_core_create(&config, &core);
    for (size_t i = 0; i < dure_registry_node_count(registry) && err == DURE_OK; i++) {
        const dure_registry_node *node = dure_registry_node_at(registry, i);
        if (is_ours(core, node)) {
            err = supervisor_add(s, node);
            (*out_count)++;
        }
    }
    dure_iocp_core_destroy(core);
    return err;
}

int dure_cmd_up(int argc, char **argv)
{
    cluster_options options = {.command = "up", .help = up_help, .allowed = ""};
    dure_registry *registry = NULL;
    supervisor *s = NULL;
    size_t count = 0;
    int code = 0;
    if (!cluster_parse(&options, argc, argv, 0, 0, &code)) {
        return code;
    }
    code = cluster_load(&options, &registry);
    if (code != DURE_EXIT_OK) {
        return code;
    }
    dure_err err = supervisor_create(&options, registry, &s);
    if (err == DURE_OK) {
        err = add_nodes(registry, s, &count);
    }
    if (err != DURE_OK || count == 0) {
        (void)fprintf(stderr, "dure up: %s\n",
                      err != DURE_OK ? dure_err_text(err) : "no node of the file is on this host");
        code = DURE_EXIT_FAILED;
    } else {
        code = supervisor_run(s);
    }
    supervisor_destroy(s);
    dure_registry_destroy(registry);
    return code;
}
