/* SPDX-License-Identifier: MIT
 *
 * Notifications to the clients of a room, through their gateways: one message a gateway, naming all
 * of its clients that shall get it.
 */
#ifndef DURE_NODES_GAME_PUSH_H
#define DURE_NODES_GAME_PUSH_H

#include "nodes/game/game.h"

/*
 * Sends [2, method, params] to everyone in the room but `except` (NULL: everyone). Returns to how
 * many it was sent; those behind a gateway that is not reachable do not count.
 */
uint32_t game_push_to_room(game *g, const world_room *room, const world_player *except,
                           const char *method, dure_slice params);

#endif
