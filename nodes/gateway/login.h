/* SPDX-License-Identifier: MIT
 *
 * Logging a player in through a game node that answers.
 */
#ifndef DURE_NODES_GATEWAY_LOGIN_H
#define DURE_NODES_GATEWAY_LOGIN_H

#include "nodes/gateway/gateway.h"

/* Answers request (it is held) when a stranger's connection is logged in as the player, or not. */
void gateway_login(gateway *g, gateway_conn *conn, dure_str player, dure_request *request);

#endif
