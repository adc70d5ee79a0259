/* SPDX-License-Identifier: MIT
 *
 * Calls that the gateway does not serve itself: passed on undecoded, to the game node that holds
 * the player or to the role that offers the method, and the answers back. A call that a game node
 * has not begun because the player is not there gets in line once more: where the player comes in
 * again it is made again, and where it was taken over it ends as TAKEN_OVER.
 */
#ifndef DURE_NODES_GATEWAY_FORWARD_H
#define DURE_NODES_GATEWAY_FORWARD_H

#include "nodes/gateway/gateway.h"

/*
 * Passes a client's call on (client NULL: a stranger's), or answers it. params: as long as request
 * lives.
 */
void gateway_forward(gateway *g, gateway_client *client, dure_request *request, dure_str name,
                     dure_slice params);

/*
 * Ends the calls of a client that are unanswered: those that no node can have begun, or that only
 * read, as cause, the others as OUTCOME_UNKNOWN.
 */
void gateway_forward_end(gateway_client *client, dure_err cause, const char *text);

#endif
