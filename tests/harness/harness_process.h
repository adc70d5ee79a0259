/* SPDX-License-Identifier: MIT
 *
 * Processes as the harness needs them: one that dies with its parent, and a watchdog that removes a
 * folder when its parent is gone.
 */
#ifndef DURE_TESTS_HARNESS_HARNESS_PROCESS_H
#define DURE_TESTS_HARNESS_HARNESS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

typedef struct harness_process harness_process;
typedef struct harness_watchdog harness_watchdog;

/*
 * Starts a program with these arguments (NULL at the end, the first is the program's path), its
 * output behind what log_path holds, nothing to read, and the environment of this process but for
 * DURE_SET, with DURE_LOG_FORMAT=logfmt.
 * Fails: NOT_FOUND, PERMISSION, NO_MEMORY, SYSTEM; the system's own number is in out_system_error,
 * or 0.
 */
DURE_CHECKED dure_err harness_process_start(char *const *args, const char *log_path,
                                            int *out_system_error, harness_process **out_process);

/* Fails: UNSUPPORTED, SYSTEM. */
DURE_CHECKED dure_err harness_process_suspend(harness_process *process);
DURE_CHECKED dure_err harness_process_continue(harness_process *process);
/* Asks it to stop. Fails: UNSUPPORTED, SYSTEM. */
DURE_CHECKED dure_err harness_process_ask(harness_process *process);
/* Ends it at once. */
void harness_process_kill(harness_process *process);
/* False when it has not ended after ms. *out_exit_code: -1 for one that a signal ended. */
bool harness_process_wait(harness_process *process, uint32_t ms, int *out_exit_code);
/* Kills it where it runs, waits and frees. NULL is fine. */
void harness_process_destroy(harness_process *process);

/* Fails: NO_MEMORY, SYSTEM. */
DURE_CHECKED dure_err harness_watchdog_start(const char *folder, harness_watchdog **out_watchdog);
/* The folder is gone: it has nothing to do any more. NULL is fine. */
void harness_watchdog_stop(harness_watchdog *watchdog);

/* The file of a program: in folder (may be NULL), else along PATH; as it is where it has a '/'.
 * Fails: NOT_FOUND. */
DURE_CHECKED dure_err harness_find_program(const char *program, const char *folder, char *out_path,
                                           uint32_t out_size);

/* Whether nobody has this port of 127.0.0.1 at this moment. */
bool harness_port_is_free(uint16_t port);

#endif
