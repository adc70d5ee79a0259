/* SPDX-License-Identifier: MIT
 *
 * Whether this node may act for its players. It may for lease_ms from the moment at which it asked
 * db, by the clock of this very moment; a process that was stopped for longer finds that out before
 * it does anything else for a player, lets go of all of them, and tells their gateways, which
 * bring them in again. game_lease is pure; the rest acts.
 */
#ifndef DURE_NODES_GAME_LEASE_H
#define DURE_NODES_GAME_LEASE_H

#include <stdint.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

struct game;
struct world_player;

typedef struct game_lease {
    uint64_t life;     /* of this process: random, never 0 */
    uint64_t until_ms; /* 0: none */
    uint64_t asked_ms;
    uint32_t lease_ms;
    bool is_asking;
    uint32_t number;        /* rises when a lease is lost */
    uint64_t fenced_count;  /* players that db said were another's */
    uint64_t dropped_count; /* players let go of because the lease was over */
} game_lease;

/* Whether it lasts at this moment. */
static inline bool game_lease_lasts(const game_lease *lease, uint64_t now_ms)
{
    return now_ms < lease->until_ms;
}

/* Whether it is time to ask. */
static inline bool game_lease_is_due(const game_lease *lease, uint64_t now_ms)
{
    return !lease->is_asking && now_ms - lease->asked_ms >= lease->lease_ms / 4;
}

/* Granted to who asked at asked_ms. An answer that comes too late grants nothing. */
static inline void game_lease_grant(game_lease *lease, uint64_t asked_ms, uint32_t lease_ms)
{
    lease->lease_ms = lease_ms;
    if (asked_ms + lease_ms > lease->until_ms) {
        lease->until_ms = asked_ms + lease_ms;
    }
}

/* The time of this moment, in milliseconds; goes on while the machine is suspended. */
uint64_t game_lease_clock_ms(const struct game *g);

/*
 * To be asked before anything is done for a player. False: the lease is over, and every player of
 * this node has been let go of.
 */
bool game_holds_lease(struct game *g);

/* Asks for more time where it is due. Called every tick. */
void game_lease_tick(struct game *g);

/* Asks for more time now, where nothing is asked yet. Called when db is up. */
void game_lease_renew(struct game *g);

/* Gives the lease back: this node acts for nobody any more. */
void game_lease_end(struct game *g);

/* Tells the player's gateway that this node lets go of it. */
void game_tell_dropped(struct game *g, const struct world_player *player);

/* db said that the player belongs to another owner: it is gone from this node. */
void game_fenced(struct game *g, struct world_player *player);

#endif
