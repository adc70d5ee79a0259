/* SPDX-License-Identifier: MIT
 *
 * dure node: becomes the program of one node, or runs it where a process cannot become another.
 */
#include <stdio.h>

#include "tools/dure/commands.h"
#include "tools/dure/supervisor.h"

static const char node_help[] =
    "usage: dure node FILE ID [--set PATH=VALUE]...\n"
    "\n"
    "Runs the node ID of FILE in the foreground: finds the program of its role beside `dure` or "
    "on\n"
    "PATH and becomes it. Exit codes: those of the program; 78 configuration.\n";

int dure_cmd_node(int argc, char **argv)
{
    cluster_options options = {.command = "node", .help = node_help, .allowed = ""};
    dure_registry *registry = NULL;
    int code = 0;
    if (!cluster_open(&options, argc, argv, 1, 1, &registry, &code)) {
        return code;
    }
    const dure_registry_node *node = dure_registry_find_node(registry, options.arguments[0]);
    if (node == NULL) {
        (void)fprintf(stderr, "dure node: \"%s\" is not a node of %s\n", options.arguments[0],
                      options.file);
        code = DURE_EXIT_CONFIG;
    } else {
        code = supervisor_become(&options, registry, node);
    }
    dure_registry_destroy(registry);
    return code;
}
