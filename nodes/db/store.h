/* SPDX-License-Identifier: MIT
 *
 * The SQLite file of a db node: schema, the one writer connection, and each operation as the SQL
 * that it is. Nothing here knows of calls or nodes. All functions block and run on one thread at a
 * time (the job thread); text that goes in is borrowed for the call, text that comes out is copied.
 *
 * Durability: WAL with synchronous=FULL, so a successful db_store_commit is on disk
 * (https://www.sqlite.org/pragma.html#pragma_synchronous).
 */
#ifndef DURE_NODES_DB_STORE_H
#define DURE_NODES_DB_STORE_H

#include "base/buf.h"
#include "base/str.h"

#define DB_NAME_BYTES_MAX  256 /* of a room or node name: 64 characters of at most 4 bytes */
#define DB_NEW_PLAYER_GOLD 100
#define DB_FIRST_ROOM      "lobby"

typedef struct db_store db_store;

typedef struct db_place {
    char room[DB_NAME_BYTES_MAX + 1];
    double x;
    double y;
    uint64_t epoch;
} db_place;

typedef struct db_session {
    char gateway[DB_NAME_BYTES_MAX + 1];
    uint64_t client;
} db_session;

/*
 * Opens or makes the file (":memory:" for one without a file) and brings its schema up to date.
 * Fails: STORAGE; why is a sentence with the path and what SQLite said. A file that is newer,
 * corrupt or no database of ours is left as it was.
 */
DURE_CHECKED dure_err db_store_open(const char *path, db_store **out_store, char *why,
                                    size_t why_size);

/* NULL is fine. */
void db_store_close(db_store *store);

/* One transaction at a time; each operation in it stands in a savepoint of its own. */
DURE_CHECKED dure_err db_store_begin(db_store *store);
/* Fails: STORAGE: nothing of the transaction is promised; it was rolled back where that was
 * possible. */
DURE_CHECKED dure_err db_store_commit(db_store *store);
/* Undoes the transaction, if there is one. */
void db_store_rollback(db_store *store);
DURE_CHECKED dure_err db_store_savepoint(db_store *store);
/* Keeps what was done since the savepoint (keep), or undoes it. */
DURE_CHECKED dure_err db_store_end_savepoint(db_store *store, bool keep);

/* False once a failure has made SQLite roll the whole transaction back by itself. */
bool db_store_is_in_transaction(const db_store *store);

/* What SQLite said last, for the sentence of a STORAGE error. "the disk is full" where that is it.
 */
const char *db_store_error(const db_store *store);

/* Whether the last failure leaves the truth on disk unknown (an I/O error): the node must stop. */
bool db_store_is_broken(const db_store *store);

/*
 * A player logs in at a gateway: makes an unknown one with 100 gold in "lobby", raises its epoch,
 * and tells where its former session was. Fails: STORAGE.
 */
DURE_CHECKED dure_err db_store_login(db_store *store, dure_str player, const db_session *session,
                                     db_place *out_place, db_session *out_old, bool *out_created);

/* Sets the room and tells the place. Fails: NOT_FOUND, STORAGE. */
DURE_CHECKED dure_err db_store_enter(db_store *store, dure_str player, dure_str room,
                                     db_place *out_place);

/* Saves where a player is. Fails: NOT_FOUND, STORAGE. */
DURE_CHECKED dure_err db_store_save(db_store *store, dure_str player, dure_str room, double x,
                                    double y);

typedef struct db_gift {
    dure_str from;
    dure_str to;
    dure_str item;
    uint64_t count;
    dure_str key; /* empty: none */
    uint64_t now_ms;
} db_gift;

/*
 * Moves items between players. With a key the effect and its answer are stored together, and the
 * same gift again gets that answer. Fails: NOT_FOUND (giver or receiver), NOT_ENOUGH, MISMATCH,
 * STORAGE.
 */
DURE_CHECKED dure_err db_store_give(db_store *store, const db_gift *gift, uint64_t *out_balance);

/* Appends {item: count} as MessagePack, in the order of the names. Fails: NOT_FOUND, STORAGE,
 * NO_MEMORY. */
DURE_CHECKED dure_err db_store_inventory(db_store *store, dure_str player, dure_buf *out);

#endif
