/* SPDX-License-Identifier: MIT
 *
 * The role gateway: holds the players' connections, logs them in, binds each to the game node of
 * its room, and passes calls and notifications on without decoding them. Its methods are declared
 * in proto/gateway.dure.
 */
#ifndef DURE_NODES_GATEWAY_ROLE_H
#define DURE_NODES_GATEWAY_ROLE_H

#include "node/node.h"

/*
 * Settings: resume_ms (how long a session outlives its connection, 30,000; 0: not at all),
 * resume_max (how many such sessions are kept, 10,000).
 */
extern const dure_role dure_role_gateway;

#endif
