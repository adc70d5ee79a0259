/* SPDX-License-Identifier: MIT
 *
 * What small programs share: one core on the main thread, on the back end that DURE_BACKEND names
 * (auto without it), a log on stderr, and Ctrl-C, which asks them to end.
 */
#ifndef DURE_TOOLS_PROGRAM_H
#define DURE_TOOLS_PROGRAM_H

#include "iocp/core.h"

#define DURE_EXIT_OK     0
#define DURE_EXIT_FAILED 1
#define DURE_EXIT_USAGE  2

typedef struct dure_program dure_program;

/*
 * on_stop(ctx) runs on the core's thread at the first SIGINT or SIGTERM; it ends what the program
 * has started and calls dure_program_end. Mistakes are told on stderr, under name.
 * Fails: UNSUPPORTED (no such back end here), INVALID (DURE_BACKEND), NO_MEMORY, SYSTEM.
 * Thread: start-up.
 */
DURE_CHECKED dure_err dure_program_create(const char *name, void (*on_stop)(void *ctx), void *ctx,
                                          dure_program **out_program);

/* The program's core. */
dure_iocp_core *dure_program_core(dure_program *program);

/* Dispatches until dure_program_end, and then until nothing is pending. */
void dure_program_run(dure_program *program);

/* Lets dure_program_run return. Thread: the core's. */
void dure_program_end(dure_program *program);

/* Every service and socket is gone by now. NULL is fine. */
void dure_program_destroy(dure_program *program);

/*
 * A whole number of an option's value.
 * Fails: INVALID: no number, or not from min to max.
 */
DURE_CHECKED dure_err dure_program_number(const char *text, uint64_t min, uint64_t max,
                                          uint64_t *out_number);

#endif
