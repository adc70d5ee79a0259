/* SPDX-License-Identifier: MIT
 *
 * Which nodes of a configuration live on this machine.
 */
#ifndef DURE_TOOLS_DURE_THIS_HOST_H
#define DURE_TOOLS_DURE_THIS_HOST_H

#include "cluster/registry.h"

/*
 * Sets is_here of each node, in the order of the configuration: whether its address is one of this
 * machine, because a socket can be bound to it.
 * out_is_here: room for dure_registry_node_count.
 * Fails: NO_MEMORY, TOO_MANY_FILES, SYSTEM. Thread: any; it waits for nothing.
 */
DURE_CHECKED dure_err this_host_find(const dure_registry *registry, bool *out_is_here);

#endif
