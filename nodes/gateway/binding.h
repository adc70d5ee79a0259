/* SPDX-License-Identifier: MIT
 *
 * Binding a client's player to the game node of its room: at login, when it joins another room, and
 * again after its node was away.
 */
#ifndef DURE_NODES_GATEWAY_BINDING_H
#define DURE_NODES_GATEWAY_BINDING_H

#include "nodes/gateway/gateway.h"

struct game_enter_result; /* of game.schema.h */

/* How a binding went; outcome and entered (NULL where it failed) are lent for the call. */
typedef void (*gateway_bound_fn)(gateway *g, gateway_client *client, dure_request *request,
                                 const dure_outcome *outcome,
                                 const struct game_enter_result *entered);

/*
 * Brings the client's player to the node of `room`, leaving its present node first where that is
 * another one. The client is BINDING until on_bound, and then BOUND, or UNBOUND where it failed.
 * The answer has names of those who are in the room.
 * request (held; may be NULL) is on_bound's to answer; it is answered here where the client has
 * gone meanwhile. on_bound may be NULL with request.
 */
void gateway_bind(gateway *g, gateway_client *client, dure_str room, dure_request *request,
                  gateway_bound_fn on_bound);

/* The same without names, giving up early enough that a login is answered although the game node
 * hangs. */
void gateway_bind_soon(gateway *g, gateway_client *client, dure_str room, dure_request *request,
                       gateway_bound_fn on_bound);

/* Tells the client's game node that the player leaves; nobody waits for the answer. */
void gateway_unbind(gateway *g, const gateway_client *client);

/*
 * The game node of the client's player drains: the player leaves it, and what the client calls
 * waits until the node is back and the player on it, 4 s at most.
 */
void gateway_move_out(gateway *g, gateway_client *client);

/* Starts binding those whose game node is back, and lets go of the calls that waited too long. */
void gateway_bind_again(gateway *g);

#endif
