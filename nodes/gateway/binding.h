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
 * another one. The client is BINDING until on_bound, and then BOUND, or AWAITING or UNBOUND where
 * it failed; without memory nothing is begun, and on_bound is called inside. The answer has names
 * of those who are in the room. request (held; may be NULL) is on_bound's to answer; where the
 * client has gone meanwhile it is answered here, and where its connection is closed, before that
 * (gateway_client_fail_asked); on_bound is not called then. on_bound may be NULL with request.
 */
void gateway_bind(gateway *g, gateway_client *client, dure_str room, dure_request *request,
                  gateway_bound_fn on_bound);

/*
 * The first binding of a client that is LOGGING_IN: without names, and given up early enough that
 * the login is answered although the game node hangs. Without memory the client is UNBOUND: its
 * player is logged in, and the tick brings it in.
 */
void gateway_bind_first(gateway *g, gateway_client *client, dure_str room, dure_request *request,
                        gateway_bound_fn on_bound);

/* Tells the client's game node that the player leaves; nobody waits for the answer. */
void gateway_unbind(gateway *g, const gateway_client *client);

/*
 * The game node of the client's player drains: the player leaves it, and what the client calls
 * waits until the node is back and the player on it, 4 s at most.
 */
void gateway_move_out(gateway *g, gateway_client *client);

/*
 * The game node of a client that is BOUND has let go of its player, which may be there all the
 * same. What the client calls waits until the player is in again or is known to be taken over, 4 s
 * at most.
 */
void gateway_await(gateway *g, gateway_client *client, const char *why);

/* The link to a game node is gone, and with it the players of this gateway there. */
void gateway_lose_node(gateway *g, const dure_registry_node *node);

/*
 * Starts binding those whose game node is back, and refuses the calls that waited too long. Called
 * every tick; it looks at so many clients that are on no node at a time, in turn, and at no others.
 */
void gateway_bind_again(gateway *g);

#endif
