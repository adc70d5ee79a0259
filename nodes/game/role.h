/* SPDX-License-Identifier: MIT
 *
 * The role game: rooms on a fixed tick, each room on one node. Players move, chat and give; where
 * they are is saved through db. Its methods are declared in proto/game.dure.
 */
#ifndef DURE_NODES_GAME_ROLE_H
#define DURE_NODES_GAME_ROLE_H

#include "node/node.h"

/* Settings: tick_ms (50), save_ms (500: a place is saved at most so long after it changed). */
extern const dure_role dure_role_game;

#endif
