/* SPDX-License-Identifier: MIT
 *
 * The state of a gateway, shared by the files of this role.
 */
#ifndef DURE_NODES_GATEWAY_GATEWAY_H
#define DURE_NODES_GATEWAY_GATEWAY_H

#include "node/node.h"
#include "nodes/gateway/client.h"
#include "nodes/gateway/methods.h"

#define GATEWAY_TAKEN_OVER_TEXT "the player logged in from another place"
#define GATEWAY_PLAYER_ROLE     "game" /* the role whose nodes hold players */

/* A node that holds players. */
typedef struct gateway_home {
    const dure_registry_node *node;
    uint32_t entering; /* calls of enter that the tick began and that are not answered */
} gateway_home;

typedef struct gateway_peer gateway_peer; /* describe.c */

typedef struct gateway {
    dure_node *node;
    dure_rpc *rpc;
    gateway_clients clients;
    gateway_method_table methods;
    gateway_peer *peers; /* every node; of describe.c */
    size_t peer_count;
    gateway_home *homes;
    size_t home_count;
    uint64_t last_client; /* the number of the last login, from a random one on: a gateway that is
                           * started again gives none twice */
    dure_list dropped;    /* gateway_client.in_dropped, the longest gone first */
    uint32_t dropped_count;
    size_t login_turn;   /* the node to begin with */
    uint32_t resume_ms;  /* how long a session outlives its connection */
    uint32_t resume_max; /* how many of them at a time */
} gateway;

#endif
