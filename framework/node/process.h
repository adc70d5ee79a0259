/* SPDX-License-Identifier: MIT
 *
 * What a program asks of its operating system: its own process, signals that stop it, the lock of a
 * data folder, the service manager.
 */
#ifndef DURE_NODE_PROCESS_H
#define DURE_NODE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Puts the process's arguments in UTF-8 in the place of those that main was given, which on Windows
 * are in the code page of the machine, as is what a console makes of bytes: UTF-8 from here on,
 * too. They stay as they are where there is no memory. Thread: start-up.
 */
void dure_process_arguments(int *argc, char ***argv);

/* The number of this process. Thread: any. */
uint64_t dure_process_id(void);

/* Whether a process of this number runs. Thread: any. */
bool dure_process_is_running(uint64_t pid);

/*
 * Whether somebody starts this process again when it ends: `dure up` (DURE_SUPERVISED in the
 * environment) or systemd 248 and later (SYSTEMD_EXEC_PID is ours, systemd.exec(5)). Thread:
 * start-up, or any where nothing changes the environment.
 */
bool dure_process_is_supervised(void);

/* Whether stderr is a terminal. Thread: any. */
bool dure_process_has_terminal(void);

/* Milliseconds since 1970, for the lines of a log. Thread: any. */
uint64_t dure_process_wall_ms(void *unused);

/* Holds the calling thread for so long; for start-up and command-line tools, never on a running
 * worker. */
void dure_process_pause_ms(uint32_t ms);

typedef struct dure_stop_signals dure_stop_signals;

/*
 * SIGTERM and SIGINT (Ctrl-C; on Windows also Ctrl-Break, the end of the console and of the
 * session) call on_stop(ctx) on a thread of its own; a second one ends the process at once with
 * 130. SIGPIPE is ignored. To be called before any other thread is started.
 * One at a time in a process. Fails: NO_MEMORY, SYSTEM. Thread: start-up.
 */
DURE_CHECKED dure_err dure_stop_signals_create(void (*on_stop)(void *ctx), void *ctx,
                                               dure_stop_signals **out_signals);
void dure_stop_signals_destroy(dure_stop_signals *signals);

/*
 * An exclusive lock on <folder>/lock, which ends with the process.
 * Fails: EXISTS (another process holds it), NOT_FOUND (no such folder), PERMISSION, STORAGE,
 * NO_MEMORY, TOO_LARGE (a path of over 4,000 bytes), SYSTEM.
 */
DURE_CHECKED dure_err dure_folder_lock(const char *folder, void **out_lock);
void dure_folder_unlock(void *lock);

/*
 * Tells the service manager ("READY=1", "STOPPING=1"; sd_notify(3)); nothing where there is none.
 */
void dure_service_manager_notify(const char *state);

#endif
