/* SPDX-License-Identifier: MIT
 *
 * An operation that takes a player from the game node that owns it: it waits until that one has let
 * go (it saves first, and says so), or until its lease is over, and is put into the batch again.
 */
#ifndef DURE_NODES_DB_CLAIM_H
#define DURE_NODES_DB_CLAIM_H

#include "nodes/db/batch.h"
#include "nodes/db/lease.h"

/*
 * Takes op, made with dure_mem_alloc, its request held: it is pushed into the batch when `owner`
 * has let go of the player, or its request is answered and it is freed. Borrows: leases and batch,
 * for as long as requests are served; player, as long as the request lives.
 */
void db_claim(dure_node *node, db_batch *batch, const db_leases *leases, db_op *op, dure_str player,
              const db_owner *owner);

#endif
