/* SPDX-License-Identifier: MIT
 *
 * Programs as child processes: starting them, hearing what they write and how they end. The
 * system's half of `dure up` and `dure node`; when to start and to stop them is the supervisor's.
 *
 * No child outlives this process, however that ends.
 */
#ifndef DURE_TOOLS_DURE_CHILD_H
#define DURE_TOOLS_DURE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CHILD_ARGS_MAX 600
#define CHILD_PATH_MAX 4096

typedef struct child_command {
    char program[CHILD_PATH_MAX]; /* as child_find_program writes it */
    const char
        *args[CHILD_ARGS_MAX]; /* the first stands for the program; NULL is behind the last */
} child_command;

/* How a process ended. */
typedef struct child_end {
    bool is_exit;     /* by itself, with an exit code; else by a signal or an exception */
    uint32_t number;  /* the exit code, or which signal or exception */
    const char *word; /* what the number is, such as "signal" */
} child_end;

typedef struct child_group child_group;
typedef struct child child;

/*
 * What waits for all children at once. From here on Ctrl-C and SIGTERM stop nothing, but are
 * counted. One at a time in a process, made before any thread.
 * Fails: NO_MEMORY, SYSTEM. Thread: start-up.
 */
DURE_CHECKED dure_err child_group_create(child_group **out_group);

/* Its children have been destroyed by now. NULL is fine. Thread: the creator's. */
void child_group_destroy(child_group *group);

/* Returns when a child wrote or ended, or somebody asked to stop; at the latest after timeout_ms.
 * Thread: the creator's. */
void child_group_wait(child_group *group, uint32_t timeout_ms);

/* How often somebody asked this process to stop. Thread: the creator's. */
uint32_t child_group_stops(child_group *group);

/*
 * Writes to out, of CHILD_PATH_MAX bytes, where a program lies: beside this one, else its name as
 * it is, for PATH. Thread: any.
 */
void child_find_program(const char *program, char *out);

/*
 * Starts a program. What it writes to stdout and stderr is for child_read, or comes out on ours.
 * Ctrl-C at our terminal does not reach it. An environment without DURE_LOG_FORMAT gets the form
 * that suits our stderr, where its lines end; one with a pipe gets DURE_SUPERVISED.
 * Borrows: command, for the call.
 * Owned by the caller; ends with child_destroy.
 * Fails: NOT_FOUND, PERMISSION, NO_MEMORY, TOO_MANY_FILES, SYSTEM; on some systems the child itself
 *        says so and ends with 127. Thread: the creator's, of the group.
 */
DURE_CHECKED dure_err child_start(child_group *group, const child_command *command, bool with_pipe,
                                  child **out_child);

/* Kills one that runs still. NULL is fine. Thread: the creator's, of the group. */
void child_destroy(child *c);

/* Its process id. Thread: the creator's, of the group. */
uint64_t child_id(const child *c);

/* Bytes that it wrote, at most size; 0 when nothing is there now. Thread: the creator's. */
size_t child_read(child *c, char *out, size_t size);

/* Whether it ended; what it had written by then can be read at once. Thread: the creator's. */
bool child_has_ended(child *c, child_end *out_end);

/*
 * Asks it to stop gracefully.
 * Fails: UNSUPPORTED: this system has no such way from process to process. Thread: the creator's.
 */
DURE_CHECKED dure_err child_ask_to_stop(child *c);

/* Ends it at once. Thread: the creator's. */
void child_kill(child *c);

/*
 * Lets this process become the program; returns only when that failed.
 * Fails: UNSUPPORTED: processes cannot do this here; SYSTEM: it was told on stderr. Thread:
 * start-up.
 */
DURE_CHECKED dure_err child_become(const child_command *command);

#endif
