/* SPDX-License-Identifier: MIT
 *
 * The role db: keeps players and what they own, one SQLite file a node. Its methods are declared in
 * proto/db.dure.
 */
#ifndef DURE_NODES_DB_ROLE_H
#define DURE_NODES_DB_ROLE_H

#include "node/node.h"

/*
 * Settings: engine ("sqlite"), batch_max (requests of one commit, 1,024), lease_ms (how long a game
 * node may act for its players without hearing of this node, 3,000), gift_keys_days (how long the
 * keys of gifts are kept, 0: for ever, the default).
 */
extern const dure_role dure_role_db;

#endif
