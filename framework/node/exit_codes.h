/* SPDX-License-Identifier: MIT
 *
 * The exit codes of every program of dure.
 */
#ifndef DURE_NODE_EXIT_CODES_H
#define DURE_NODE_EXIT_CODES_H

#define DURE_EXIT_OK     0
#define DURE_EXIT_FAILED 1  /* the operation failed */
#define DURE_EXIT_USAGE  2  /* the command line is wrong */
#define DURE_EXIT_CONFIG 78 /* the configuration is wrong (EX_CONFIG of sysexits.h) */
/* A node stopped gracefully so as to be started again at once (EX_TEMPFAIL of sysexits.h). */
#define DURE_EXIT_RESTART 75

#endif
