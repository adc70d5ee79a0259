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

/* The game node that owns a player; node "" is nobody. */
typedef struct db_owner {
    char node[DB_NAME_BYTES_MAX + 1];
    uint64_t life;  /* of the node's process */
    uint64_t epoch; /* under which it owns */
} db_owner;

/*
 * An epoch is the number of the login (the session) in its upper half, and in its lower half a
 * number of the gateway's that rises with each node that the player enters.
 */
static inline uint64_t db_epoch_session(uint64_t epoch)
{
    return epoch >> 32;
}

typedef struct db_session {
    char gateway[DB_NAME_BYTES_MAX + 1];
    uint64_t client;
} db_session;

/*
 * Opens or makes the file (":memory:" for one without a file) and brings its schema up to date.
 * Fails: STORAGE; why is a sentence with the path, what was found and what to do. A file that is
 * newer, damaged, locked or no database of ours is left as it was, its -wal too. Every page is
 * looked at (PRAGMA quick_check), about a second a gigabyte.
 */
DURE_CHECKED dure_err db_store_open(const char *path, db_store **out_store, char *why,
                                    size_t why_size);

/* NULL is fine. */
void db_store_close(db_store *store);

/*
 * A lease of lease_ms is about to be granted: the longest that may still last of those that were
 * granted before, this one counted. Fails: STORAGE.
 */
DURE_CHECKED dure_err db_store_lease(db_store *store, uint32_t lease_ms, uint32_t *out_longest_ms);
/* All longer ones are over. Fails: STORAGE. */
DURE_CHECKED dure_err db_store_forget_lease(db_store *store, uint32_t lease_ms);

/* One transaction at a time; each operation in it stands in a savepoint of its own. */
DURE_CHECKED dure_err db_store_begin(db_store *store);
/* One that writes nothing; it begins while another program holds the lock for writing. */
DURE_CHECKED dure_err db_store_begin_reading(db_store *store);
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
 * A player logs in at a gateway: makes an unknown one with 100 gold in "lobby", begins its next
 * session, and tells where its former one was. *out_owner is who still owns the player: with a node
 * in it, that one has to let go first, and db_store_login_again is due then. Fails: BAD_REQUEST (an
 * unknown player whose name is not plain), STORAGE.
 */
DURE_CHECKED dure_err db_store_login(db_store *store, dure_str player, const db_session *session,
                                     db_place *out_place, db_session *out_old, db_owner *out_owner,
                                     bool *out_created);

/*
 * After `released` has let go: the session of `epoch` goes on. *out_owner as above. Fails:
 * TAKEN_OVER (by a later login), STORAGE.
 */
DURE_CHECKED dure_err db_store_login_again(db_store *store, dure_str player, uint64_t epoch,
                                           const db_owner *released, db_place *out_place,
                                           db_owner *out_owner);

/*
 * Makes `owner` the owner, sets the room and tells the place. Where another one owns the player and
 * is not `released` (NULL: nobody) nothing but the epoch changes, and *out_owner is who has to let
 * go first. Fails: NOT_FOUND, TAKEN_OVER (the epoch is of another session), FENCED (a later epoch
 * of this session is known), BAD_REQUEST (a room that is not plain and not the player's), STORAGE.
 */
DURE_CHECKED dure_err db_store_enter(db_store *store, dure_str player, dure_str room,
                                     const db_owner *owner, const db_owner *released,
                                     db_place *out_place, db_owner *out_owner);

typedef struct db_position {
    dure_str room;
    double x;
    double y;
} db_position;

/*
 * Saves where a player is; `leaves`: nobody owns it afterwards. Fails: NOT_FOUND, FENCED (this
 * epoch does not own the player), STORAGE.
 */
DURE_CHECKED dure_err db_store_save(db_store *store, dure_str player, const db_position *position,
                                    uint64_t epoch, bool leaves);

typedef struct db_gift {
    dure_str from;
    dure_str to;
    dure_str item;
    uint64_t count;
    dure_str key; /* empty: none */
    uint64_t now_ms;
    uint64_t epoch;     /* of the giver's owner; 0: nobody claims to be it */
    uint32_t keys_days; /* so long keys are kept, and begin with their day; 0: for ever */
} db_gift;

/*
 * Moves items between players. With a key the effect and its answer are stored together, and the
 * same gift again gets that answer. Fails: NOT_FOUND (giver or receiver), NOT_ENOUGH, NO_ROOM (the
 * receiver's would pass 2^63 - 1), BAD_REQUEST (an item that is not plain, of which the giver has
 * none), MISMATCH, INVALID (a key without its day where it needs one, or of a day to come), TOO_OLD
 * (a key), FENCED, STORAGE.
 */
DURE_CHECKED dure_err db_store_give(db_store *store, const db_gift *gift, uint64_t *out_balance);

/* The day that a key begins with, as days since 1970; false where it begins with none. */
bool db_key_day(dure_str key, uint64_t *out_day);

/* Where deleting stands; zeroed: at the front. */
typedef struct db_key_place {
    char player[DB_NAME_BYTES_MAX + 1];
    char key[DB_NAME_BYTES_MAX];
    size_t key_len; /* a key may hold zero bytes */
} db_key_place;

/*
 * Looks at the next `rows` keys of gifts and deletes those from before before_ms; behind the end it
 * begins at the front again. Fails: STORAGE.
 */
DURE_CHECKED dure_err db_store_delete_keys(db_store *store, uint64_t before_ms, uint32_t rows,
                                           db_key_place *inout_place, uint32_t *out_deleted);

/* Appends {item: count} as MessagePack, in the order of the names. Fails: NOT_FOUND, NO_ROOM
 * (more than out takes, or 65,536 items), STORAGE, NO_MEMORY. */
DURE_CHECKED dure_err db_store_inventory(db_store *store, dure_str player, dure_buf *out);

#endif
