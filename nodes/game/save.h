/* SPDX-License-Identifier: MIT
 *
 * Where players are, on its way to db: a place is saved at most save_ms after it changed, one save
 * of a player at a time. Also the leaving: a player goes when what it did is on disk.
 */
#ifndef DURE_NODES_GAME_SAVE_H
#define DURE_NODES_GAME_SAVE_H

#include "nodes/game/game.h"

/* The place changed now. */
void game_save_mark(game *g, world_player *player);

/* Starts the saves that are due. Called every tick. */
void game_save_due(game *g);

/*
 * Saves what is not saved yet, then takes the player out and calls on_left(request) with OK, or
 * with why it could not be saved (it is out all the same: a living node that cannot reach db must
 * not keep a player that another node serves). request may be NULL.
 */
void game_save_and_leave(game *g, world_player *player, dure_request *request);

#endif
