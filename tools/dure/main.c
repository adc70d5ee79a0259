/* SPDX-License-Identifier: MIT
 *
 * The command dure: one row a subcommand.
 */
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "node/process.h"
#include "node/version.h"
#include "tools/dure/commands.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *line;
} commands[] = {
    {"check", dure_cmd_check, "FILE: is the configuration right?"},
    {"graph", dure_cmd_graph, "FILE: who dials whom, as text or for graphviz"},
    {"up", dure_cmd_up, "FILE: start every node of this host and keep it up"},
    {"node", dure_cmd_node, "FILE ID: run one node in the foreground"},
    {"status", dure_cmd_status, "FILE: how each node is"},
    {"restart", dure_cmd_restart,
     "FILE: restart node after node, each when the one before is back"},
    {"down", dure_cmd_down, "FILE: stop every node gracefully"},
    {"call", dure_cmd_call, "FILE METHOD [JSON]: one call, as a client or to a node's admin port"},
    {"db", dure_cmd_db,
     "check FILE: what files of db nodes hold that this version would not put there"},
    {"dev", dure_cmd_dev, "a whole cluster in this process, with no file"},
};

static void main_help(FILE *out)
{
    (void)fprintf(out, "usage: dure COMMAND [...]\n\n");
    for (size_t i = 0; i < DURE_COUNT_OF(commands); i++) {
        (void)fprintf(out, "  %-7s %s\n", commands[i].name, commands[i].line);
    }
    (void)fprintf(out,
                  "\n'dure COMMAND --help' tells more. Version %s.\n"
                  "Exit codes: 0 good, 1 the operation failed, 2 usage, 78 configuration.\n",
                  DURE_VERSION);
}

int main(int argc, char **argv)
{
    dure_process_arguments(&argc, &argv);
    if (argc < 2) {
        main_help(stderr);
        return DURE_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        main_help(stdout);
        return DURE_EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)printf("dure %s\n", DURE_VERSION);
        return DURE_EXIT_OK;
    }
    for (size_t i = 0; i < DURE_COUNT_OF(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    (void)fprintf(stderr, "dure: there is no command \"%s\"\n", argv[1]);
    main_help(stderr);
    return DURE_EXIT_USAGE;
}
