/* SPDX-License-Identifier: MIT
 *
 * The rules that stand between the objects of a configuration: nodes that want the same id or port,
 * roles that nobody has or can reach. Each breach is reported at its place.
 */
#ifndef DURE_CLUSTER_REGISTRY_RULES_H
#define DURE_CLUSTER_REGISTRY_RULES_H

#include "cluster/config_tree.h"

/* A node's id and ports against those of the nodes before it. */
void registry_check_clashes(const config_tree *tree, const cJSON *nodes, const cJSON *node,
                            size_t index);

/* Every role has a node, is reached by clients, and has link ports where it is dialled. */
void registry_check_reach(const config_tree *tree, const cJSON *roles, const cJSON *nodes);

/* "nodes[3].key". */
void registry_node_path(char out[CONFIG_PATH_MAX], size_t index, const char *key);

/* The address that a node listens on. */
const char *registry_node_bind(const cJSON *node);

#endif
