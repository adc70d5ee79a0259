/* SPDX-License-Identifier: MIT
 *
 * Starting node programs as processes, and keeping them up: the system's half of `dure up` and
 * `dure node`.
 */
#ifndef DURE_TOOLS_DURE_SUPERVISOR_H
#define DURE_TOOLS_DURE_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SUPERVISOR_ARGS_MAX 600
#define SUPERVISOR_PATH_MAX 4096

/* The command line of one node. */
typedef struct supervisor_command {
    char program[SUPERVISOR_PATH_MAX]; /* beside this program, else as it is, for PATH */
    const char *args[SUPERVISOR_ARGS_MAX];
} supervisor_command;

/* What args points at is borrowed for the command's life. */
void supervisor_command_init(supervisor_command *command, const char *program, const char *file,
                             const char *node_id, const char *const *sets, size_t set_count);

/* Replaces this process; returns an exit code when that failed. */
int supervisor_become(const supervisor_command *command);

typedef struct supervisor supervisor;

/* Fails: NO_MEMORY, SYSTEM. One at a time in a process. */
DURE_CHECKED dure_err supervisor_create(supervisor **out_supervisor);

/* Adds a node to keep up; its lines are written to stderr behind `id |`. Fails: NO_MEMORY. */
DURE_CHECKED dure_err supervisor_add(supervisor *s, const char *id,
                                     const supervisor_command *command);

/*
 * Starts all, restarts what crashes (after 0.25 s, doubling to 15 s while it keeps crashing; a node
 * whose first start fails, or that ends with 0, 2 or 78, is not started again), until SIGINT or
 * SIGTERM; then stops all gracefully (SIGTERM, in the order of adding; SIGKILL after 20 s, or at a
 * second signal). Returns the exit code: 0, or 1 when a node gave up or had to be killed.
 */
int supervisor_run(supervisor *s);

void supervisor_destroy(supervisor *s);

#endif
