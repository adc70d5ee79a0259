/* SPDX-License-Identifier: MIT
 *
 * The role db: keeps players and what they own, one SQLite file a node. Its methods are declared in
 * proto/db.dure.
 */
#ifndef DURE_NODES_DB_ROLE_H
#define DURE_NODES_DB_ROLE_H

#include "node/node.h"

/* Settings: engine ("sqlite"), batch_max (requests of one commit, 1,024). */
extern const dure_role dure_role_db;

#endif
