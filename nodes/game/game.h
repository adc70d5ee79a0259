/* SPDX-License-Identifier: MIT
 *
 * The state of a game node, shared by the files of this role.
 */
#ifndef DURE_NODES_GAME_GAME_H
#define DURE_NODES_GAME_GAME_H

#include "node/node.h"
#include "nodes/game/lease.h"
#include "nodes/game/world.h"

typedef struct game {
    dure_node *node;
    dure_rpc *rpc;
    world *world;
    uint32_t save_ms;
    game_lease lease;
    bool has_ended_lease; /* it stops */
    dure_list dirty;      /* players whose place is not saved, the longest so first: save.c */
    dure_list moved;      /* rooms in which somebody has moved since the last tick */
    uint64_t stop_due_ms; /* it stops: until then gateways may take their players out; 0: no more */
    dure_list kept;       /* places of players that are gone, see save.c */
    uint32_t kept_count;
} game;

static inline dure_target game_db(void)
{
    return dure_to_role("db");
}

/* Options of a call on behalf of a request: it has the time that is left for it. */
static inline dure_call_options game_call_options(dure_request *request)
{
    return (dure_call_options){.for_request = request};
}

#endif
