/* SPDX-License-Identifier: MIT
 *
 * The subcommands of `dure`: each takes its own argc and argv (argv[0] is its name) and returns the
 * exit code.
 */
#ifndef DURE_TOOLS_DURE_COMMANDS_H
#define DURE_TOOLS_DURE_COMMANDS_H

#include "node/exit_codes.h"

int dure_cmd_check(int argc, char **argv);
int dure_cmd_graph(int argc, char **argv);
int dure_cmd_call(int argc, char **argv);
int dure_cmd_db(int argc, char **argv);
int dure_cmd_dev(int argc, char **argv);
int dure_cmd_down(int argc, char **argv);
int dure_cmd_node(int argc, char **argv);
int dure_cmd_restart(int argc, char **argv);
int dure_cmd_status(int argc, char **argv);
int dure_cmd_up(int argc, char **argv);

#endif
