/* SPDX-License-Identifier: MIT
 *
 * The state of a gateway, shared by the files of this role.
 */
#ifndef DURE_NODES_GATEWAY_GATEWAY_H
#define DURE_NODES_GATEWAY_GATEWAY_H

#include "node/node.h"
#include "nodes/gateway/client.h"
#include "nodes/gateway/methods.h"

#define GATEWAY_PLAYER_ROLE "game" /* the role whose nodes hold players */

typedef struct gateway {
    dure_node *node;
    dure_rpc *rpc;
    gateway_clients clients;
    gateway_method_table methods;
    uint32_t entering; /* calls of enter that were begun by the tick */
} gateway;

#endif
