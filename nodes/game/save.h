/* SPDX-License-Identifier: MIT
 *
 * Where players are, on its way to db: a place is saved at most save_ms after it changed, one save
 * of a player at a time. Also the leaving: a player goes when what it did is on disk. A place whose
 * player is gone and that db could not be told is kept until it can.
 */
#ifndef DURE_NODES_GAME_SAVE_H
#define DURE_NODES_GAME_SAVE_H

#include "nodes/game/game.h"

/* Answers the request of who wants a player to go, with OK or with why its place was not saved. */
typedef void (*game_left_fn)(game *g, dure_request *request, dure_err status);

/* The place changed now. */
void game_save_mark(game *g, world_player *player);

/* The place is not to be saved: it is another node's by now. */
void game_save_unmark(world_player *player);

/* Starts the saves that are due; looks at those alone. Called every tick. */
void game_save_due(game *g);

/*
 * Saves the place, which also gives the player up, then takes it out and calls on_left (it is out
 * also where it could not be saved: a living node that cannot reach db must not keep a player that
 * another node serves). Nobody acts for the player meanwhile. request (NULL: none) is held.
 */
void game_save_and_leave(game *g, world_player *player, dure_request *request,
                         game_left_fn on_left);

/* Takes the player out now, and saves what it did afterwards. */
void game_save_and_drop(game *g, world_player *player);

/* Tries again what was kept. Called when db is up again, before anybody enters. */
void game_save_kept(game *g);

/* Forgets what was kept. Called at the end. */
void game_save_forget(game *g);

#endif
