/* SPDX-License-Identifier: MIT
 *
 * Asking the peers what they offer (node.describe): each when its link stands, and again where it
 * has not answered or there was no memory for the answer.
 */
#ifndef DURE_NODES_GATEWAY_DESCRIBE_H
#define DURE_NODES_GATEWAY_DESCRIBE_H

#include "nodes/gateway/gateway.h"

/* Room for every node. Fails: NO_MEMORY. */
DURE_CHECKED dure_err gateway_describe_init(gateway *g);
/* Also of a zeroed gateway; no answer may be outstanding. */
void gateway_describe_fini(gateway *g);

/* The peer is up: asks it. */
void gateway_describe(gateway *g, const dure_registry_node *peer);
/* Asks again whom that is due for. Called every tick. */
void gateway_describe_tick(gateway *g);

#endif
