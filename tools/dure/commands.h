/* SPDX-License-Identifier: MIT
 *
 * The subcommands of `dure`: each takes its own argc and argv (argv[0] is its name) and returns the
 * exit code.
 */
#ifndef DURE_TOOLS_COMMANDS_H
#define DURE_TOOLS_COMMANDS_H

#define DURE_EXIT_OK     0
#define DURE_EXIT_FAILED 1  /* the operation failed */
#define DURE_EXIT_USAGE  2  /* the command line is wrong */
#define DURE_EXIT_CONFIG 78 /* the configuration is wrong (EX_CONFIG of sysexits.h) */

int dure_cmd_dev(int argc, char **argv);

#endif
