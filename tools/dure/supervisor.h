/* SPDX-License-Identifier: MIT
 *
 * Keeping the nodes of a configuration up, each as a process: when they start, start again and
 * stop. How a system starts processes is child.h's.
 */
#ifndef DURE_TOOLS_DURE_SUPERVISOR_H
#define DURE_TOOLS_DURE_SUPERVISOR_H

#include "cluster/registry.h"
#include "tools/dure/child.h"
#include "tools/dure/cluster_file.h"

typedef struct supervisor supervisor;

/*
 * Runs one node in the foreground and returns its exit code: this process becomes its program where
 * the system can do that.
 * Thread: start-up.
 */
int supervisor_become(const cluster_options *options, const dure_registry *registry,
                      const dure_registry_node *node);

/*
 * Borrows: both, until its end.
 * Fails: NO_MEMORY, SYSTEM. One at a time in a process. Thread: start-up.
 */
DURE_CHECKED dure_err supervisor_create(const cluster_options *options,
                                        const dure_registry *registry, supervisor **out_supervisor);

/*
 * Adds a node to keep up; its lines are written to stderr behind `id |`. Where nobody reads them a
 * mebibyte waits, and what comes past it is dropped and told later as LOG_DROPPED lines=N.
 * Fails: NO_MEMORY, FULL. Thread: the creator's.
 */
DURE_CHECKED dure_err supervisor_add(supervisor *s, const dure_registry_node *node);

/*
 * Starts all, restarts what crashes (after 0.25 s, doubling to 15 s while it keeps crashing; a node
 * whose first start fails, or that ends with 0, 2 or 78, is not started again) and what ends with
 * DURE_EXIT_RESTART (at once: it was asked to), until SIGINT or SIGTERM; then stops all gracefully
 * (SIGTERM, or `stop` over the admin port where there are no signals; in the order of adding;
 * killed CLUSTER_END_MS behind cluster_stop_ms, or at a second signal). Returns the exit code: 0,
 * or 1 when a node gave up or had to be killed. Thread: the creator's.
 */
int supervisor_run(supervisor *s);

/* NULL is fine. Thread: the creator's. */
void supervisor_destroy(supervisor *s);

#endif
