/* SPDX-License-Identifier: MIT
 *
 * Who is in which room of this node. Pure tables: no calls, no clock. A player is found by its name
 * and by its client (the gateway's node and the session there); a room exists as long as somebody
 * is in it.
 */
#ifndef DURE_NODES_GAME_WORLD_H
#define DURE_NODES_GAME_WORLD_H

/* uthash's own choice falls through its cases, which clang objects to. */
#define HASH_FUNCTION(key, len, hash) HASH_OAT(key, len, hash)
#include <uthash.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/str.h"
#include "cluster/registry.h"

#define WORLD_NAME_BYTES_MAX 256  /* a player's or room's name: 64 characters of at most 4 bytes */
#define WORLD_NAMES_MAX      100u /* of one answer */

typedef struct world_client {
    const dure_registry_node *gateway;
    uint64_t session;
} world_client;

typedef struct world_room {
    char name[WORLD_NAME_BYTES_MAX + 1];
    dure_list players; /* world_player.in_room; who came last stands last */
    uint32_t player_count;
    dure_buf moves;     /* packed moved events of this tick, see push.c */
    dure_list in_moved; /* while it has some */
    UT_hash_handle hh;
} world_room;

typedef struct world_player {
    char name[WORLD_NAME_BYTES_MAX + 1];
    world_client client;
    world_room *room;
    dure_list in_room;
    double x;
    double y;
    uint64_t epoch;

    /* what save.c keeps: the place changed, since when, and whether a save is on its way */
    bool is_dirty;
    bool is_saving;
    bool is_leaving; /* nobody acts for it any more; it goes when its place is saved */
    uint64_t dirty_since_ms;
    dure_list in_dirty; /* of save.c, while is_dirty */

    uint64_t id; /* generation-checked, for callbacks that may outlive the player */
    UT_hash_handle by_name;
    UT_hash_handle by_client;
} world_player;

typedef struct world world;

/* Fails: NO_MEMORY. */
DURE_CHECKED dure_err world_create(world **out_world);
/* With all that is in it. NULL is fine. */
void world_destroy(world *w);

/*
 * Puts a player into a room, both made where they are missing; a player of that name that is here
 * already changes its client and room. Fails: NO_MEMORY, TOO_LARGE (a name).
 */
DURE_CHECKED dure_err world_enter(world *w, dure_str player, dure_str room, world_client client,
                                  world_player **out_player);

/* Takes a player out and frees it. */
void world_leave(world *w, world_player *player);

world_player *world_find(const world *w, dure_str name);
world_player *world_find_client(const world *w, world_client client);
/* NULL when the player has left. */
world_player *world_find_id(const world *w, uint64_t id);

/* Steps through all players: start with NULL. The player given may leave before the next step is
 * taken only after that step's result has been fetched. */
world_player *world_next_player(const world *w, const world_player *after);
world_room *world_next_room(const world *w, const world_room *after);

static inline const world_player *world_player_in_room(const dure_list *node)
{
    return (const world_player *)(const void *)((const char *)node -
                                                offsetof(world_player, in_room));
}

/*
 * Appends the names of the players who came into a room last, sorted, as a MessagePack array: at
 * most max and WORLD_NAMES_MAX. What this costs does not grow with the room. Fails: NO_MEMORY,
 * FULL.
 */
DURE_CHECKED dure_err world_pack_names(const world_room *room, uint32_t max, dure_buf *out,
                                       uint32_t *out_count);

#endif
