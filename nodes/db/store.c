/* SPDX-License-Identifier: MIT
 *
 * The SQL of the db node. Statements are prepared once; each operation binds, steps and resets.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "nodes/db/store_impl.h"
#include "wire/packer.h"
#include "wire/plain.h"

#define STORE_ITEMS_MAX 65536u

dure_err store_failed(db_store *store)
{
    int primary = sqlite3_extended_errcode(store->db) & 0xff;
    if (primary == SQLITE_FULL) {
        (void)snprintf(store->error, sizeof store->error, "the disk is full");
    } else {
        (void)snprintf(store->error, sizeof store->error, "%s", sqlite3_errmsg(store->db));
    }
    if (primary == SQLITE_IOERR || primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) {
        store->is_broken = true;
    }
    return DURE_ERR_STORAGE;
}

sqlite3_stmt *store_statement_of(db_store *store, store_statement which)
{
    sqlite3_stmt *statement = store->statements[which];
    (void)sqlite3_reset(statement); /* repeats the former step's error, which was handled then */
    return statement;
}

void bind_str(sqlite3_stmt *statement, int at, dure_str value)
{
    /* An empty view may have no pointer, which SQLite would store as NULL. */
    (void)sqlite3_bind_text(statement, at, value.data != NULL ? value.data : "", (int)value.len,
                            SQLITE_STATIC);
}

void bind_u64(sqlite3_stmt *statement, int at, uint64_t value)
{
    (void)sqlite3_bind_int64(statement, at, (sqlite3_int64)value);
}

dure_err store_run(db_store *store, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    dure_err err = code == SQLITE_DONE ? DURE_OK : store_failed(store);
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    return err;
}

dure_err store_row(db_store *store, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        return DURE_OK;
    }
    dure_err err = code == SQLITE_DONE ? DURE_ERR_NOT_FOUND : store_failed(store);
    (void)sqlite3_reset(statement);
    return err;
}

void column_text(sqlite3_stmt *statement, int column, char *out, size_t out_size)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    (void)snprintf(out, out_size, "%s", text != NULL ? (const char *)text : "");
}

dure_err store_exec(db_store *store, const char *sql)
{
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ? DURE_OK
                                                                       : store_failed(store);
}

dure_err store_refuse(db_store *store, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(store->error, sizeof store->error, format, arguments);
    va_end(arguments);
    return DURE_ERR_STORAGE;
}

dure_err store_fact(db_store *store, const char *name, uint64_t *out_value)
{
    sqlite3_stmt *find = store_statement_of(store, STORE_FACT_FIND);
    bind_str(find, 1, dure_str_of(name));
    dure_err err = store_row(store, find);
    *out_value = 0;
    if (err == DURE_OK) {
        *out_value = (uint64_t)sqlite3_column_int64(find, 0);
        (void)sqlite3_reset(find);
    }
    return err == DURE_ERR_NOT_FOUND ? DURE_OK : err;
}

dure_err store_set_fact(db_store *store, const char *name, uint64_t value)
{
    sqlite3_stmt *set = store_statement_of(store, STORE_FACT_SET);
    bind_str(set, 1, dure_str_of(name));
    bind_u64(set, 2, value);
    return store_run(store, set);
}

dure_err db_store_lease(db_store *store, uint32_t lease_ms, uint32_t *out_longest_ms)
{
    uint64_t longest = 0;
    dure_err err = store_fact(store, STORE_FACT_LEASE, &longest);
    if (err == DURE_OK && longest < lease_ms) {
        longest = lease_ms;
        err = store_set_fact(store, STORE_FACT_LEASE, lease_ms);
    }
    *out_longest_ms = longest < UINT32_MAX ? (uint32_t)longest : UINT32_MAX;
    return err;
}

dure_err db_store_forget_lease(db_store *store, uint32_t lease_ms)
{
    return store_set_fact(store, STORE_FACT_LEASE, lease_ms);
}

const char *db_store_error(const db_store *store)
{
    return store->error;
}

bool db_store_is_broken(const db_store *store)
{
    return store->is_broken;
}

/* ---- transactions ---- */

static dure_err store_simple(db_store *store, store_statement which)
{
    return store_run(store, store_statement_of(store, which));
}

dure_err db_store_begin(db_store *store)
{
    return store_simple(store, STORE_BEGIN);
}

dure_err db_store_begin_reading(db_store *store)
{
    return store_simple(store, STORE_BEGIN_READING);
}

void db_store_rollback(db_store *store)
{
    if (!db_store_is_in_transaction(store)) {
        return;
    }
    char kept[sizeof store->error];
    memcpy(kept, store->error, sizeof kept); /* the reason, not what the rollback says */
    if (store_simple(store, STORE_ROLLBACK) != DURE_OK) {
        store->is_broken = true;
    }
    memcpy(store->error, kept, sizeof kept);
}

dure_err db_store_commit(db_store *store)
{
    dure_err err = store_simple(store, STORE_COMMIT);
    if (err != DURE_OK) {
        db_store_rollback(store);
    }
    return err;
}

dure_err db_store_savepoint(db_store *store)
{
    return store_simple(store, STORE_SAVEPOINT);
}

dure_err db_store_end_savepoint(db_store *store, bool keep)
{
    dure_err err = keep ? DURE_OK : store_simple(store, STORE_UNDO);
    return err == DURE_OK ? store_simple(store, STORE_RELEASE) : err;
}

bool db_store_is_in_transaction(const db_store *store)
{
    return sqlite3_get_autocommit(store->db) == 0;
}

/* ---- players ---- */

static dure_err store_find_player(db_store *store, dure_str player, db_place *out_place,
                                  db_session *out_session, db_owner *out_owner)
{
    sqlite3_stmt *find = store_statement_of(store, STORE_PLAYER_FIND);
    bind_str(find, 1, player);
    dure_err err = store_row(store, find);
    if (err != DURE_OK) {
        return err;
    }
    if (out_place != NULL) {
        column_text(find, 0, out_place->room, sizeof out_place->room);
        out_place->x = sqlite3_column_double(find, 1);
        out_place->y = sqlite3_column_double(find, 2);
        out_place->epoch = (uint64_t)sqlite3_column_int64(find, 3);
    }
    if (out_session != NULL) {
        column_text(find, 4, out_session->gateway, sizeof out_session->gateway);
        out_session->client = (uint64_t)sqlite3_column_int64(find, 5);
    }
    if (out_owner != NULL) {
        column_text(find, 6, out_owner->node, sizeof out_owner->node);
        out_owner->life = (uint64_t)sqlite3_column_int64(find, 7);
        out_owner->epoch = (uint64_t)sqlite3_column_int64(find, 8);
    }
    (void)sqlite3_reset(find);
    return DURE_OK;
}

static dure_err store_add_items(db_store *store, dure_str player, dure_str item, uint64_t count)
{
    sqlite3_stmt *add = store_statement_of(store, STORE_ITEM_ADD);
    bind_str(add, 1, player);
    bind_str(add, 2, item);
    bind_u64(add, 3, count);
    return store_run(store, add);
}

static dure_err store_add_player(db_store *store, dure_str player)
{
    sqlite3_stmt *add = store_statement_of(store, STORE_PLAYER_ADD);
    bind_str(add, 1, player);
    bind_str(add, 2, dure_str_of(DB_FIRST_ROOM));
    dure_err err = store_run(store, add);
    return err == DURE_OK ? store_add_items(store, player, dure_str_of("gold"), DB_NEW_PLAYER_GOLD)
                          : err;
}

static bool is_same_owner(const db_owner *a, const db_owner *b)
{
    return a->life == b->life && strcmp(a->node, b->node) == 0;
}

/* Whether the row is free: of nobody, or of one that has let go of just this. */
static bool is_free(const db_owner *owner, const db_owner *released)
{
    return owner->node[0] == '\0' ||
           (released != NULL && is_same_owner(owner, released) && owner->epoch == released->epoch);
}

static dure_err store_free_player(db_store *store, dure_str player)
{
    sqlite3_stmt *update = store_statement_of(store, STORE_PLAYER_FREE);
    bind_str(update, 1, player);
    return store_run(store, update);
}

dure_err db_store_login(db_store *store, dure_str player, const db_session *session,
                        db_place *out_place, db_session *out_old, db_owner *out_owner,
                        bool *out_created)
{
    *out_created = false;
    memset(out_owner, 0, sizeof *out_owner);
    dure_err err = store_find_player(store, player, NULL, out_old, out_owner);
    if (err == DURE_ERR_NOT_FOUND) {
        memset(out_old, 0, sizeof *out_old);
        *out_created = true;
        /* Whoever is in the file keeps a name that this version would not give any more. */
        err =
            dure_plain_check(player, NULL) ? store_add_player(store, player) : DURE_ERR_BAD_REQUEST;
    }
    if (err != DURE_OK) {
        return err;
    }
    sqlite3_stmt *login = store_statement_of(store, STORE_PLAYER_LOGIN);
    bind_str(login, 1, player);
    bind_str(login, 2, dure_str_of(session->gateway));
    bind_u64(login, 3, session->client);
    err = store_run(store, login);
    return err == DURE_OK ? store_find_player(store, player, out_place, NULL, NULL) : err;
}

dure_err db_store_login_again(db_store *store, dure_str player, uint64_t epoch,
                              const db_owner *released, db_place *out_place, db_owner *out_owner)
{
    dure_err err = store_find_player(store, player, out_place, NULL, out_owner);
    if (err != DURE_OK) {
        return err;
    }
    if (db_epoch_session(out_place->epoch) != db_epoch_session(epoch)) {
        return DURE_ERR_TAKEN_OVER;
    }
    if (!is_free(out_owner, released)) {
        return DURE_OK;
    }
    out_owner->node[0] = '\0';
    return store_free_player(store, player);
}

static dure_err store_set_epoch(db_store *store, dure_str player, uint64_t epoch)
{
    sqlite3_stmt *update = store_statement_of(store, STORE_PLAYER_EPOCH);
    bind_str(update, 1, player);
    bind_u64(update, 2, epoch);
    return store_run(store, update);
}

static dure_err store_own_player(db_store *store, dure_str player, dure_str room,
                                 const db_owner *owner)
{
    sqlite3_stmt *update = store_statement_of(store, STORE_PLAYER_OWN);
    bind_str(update, 1, player);
    bind_str(update, 2, room);
    bind_str(update, 3, dure_str_of(owner->node));
    bind_u64(update, 4, owner->life);
    bind_u64(update, 5, owner->epoch);
    return store_run(store, update);
}

dure_err db_store_enter(db_store *store, dure_str player, dure_str room, const db_owner *owner,
                        const db_owner *released, db_place *out_place, db_owner *out_owner)
{
    dure_err err = store_find_player(store, player, out_place, NULL, out_owner);
    if (err != DURE_OK) {
        return err;
    }
    if (db_epoch_session(out_place->epoch) != db_epoch_session(owner->epoch)) {
        return DURE_ERR_TAKEN_OVER;
    }
    if (owner->epoch < out_place->epoch) {
        return DURE_ERR_FENCED;
    }
    if (!dure_str_equal(room, dure_str_of(out_place->room)) && !dure_plain_check(room, NULL)) {
        return DURE_ERR_BAD_REQUEST;
    }
    err = store_set_epoch(store, player, owner->epoch);
    if (err != DURE_OK || !(is_free(out_owner, released) || is_same_owner(out_owner, owner))) {
        return err;
    }
    out_owner->node[0] = '\0';
    err = store_own_player(store, player, room, owner);
    return err == DURE_OK ? store_find_player(store, player, out_place, NULL, NULL) : err;
}

/* OK where `epoch` owns the player. */
static dure_err store_check_owner(db_store *store, dure_str player, uint64_t epoch)
{
    db_owner owner;
    dure_err err = store_find_player(store, player, NULL, NULL, &owner);
    return err == DURE_OK && owner.epoch != epoch ? DURE_ERR_FENCED : err;
}

dure_err db_store_save(db_store *store, dure_str player, const db_position *position,
                       uint64_t epoch, bool leaves)
{
    if (epoch == 0) {
        return DURE_ERR_FENCED; /* what nobody owns has this epoch too */
    }
    sqlite3_stmt *update = store_statement_of(store, STORE_PLAYER_SAVE);
    bind_str(update, 1, player);
    bind_str(update, 2, position->room);
    (void)sqlite3_bind_double(update, 3, position->x);
    (void)sqlite3_bind_double(update, 4, position->y);
    bind_u64(update, 5, epoch);
    dure_err err = store_run(store, update);
    if (err == DURE_OK && sqlite3_changes(store->db) == 0) {
        return store_check_owner(store, player, epoch);
    }
    return err == DURE_OK && leaves ? store_free_player(store, player) : err;
}

/* ---- items ---- */

/* SQLite makes a REAL of a sum past 2^63, and adds to it without a word. Such a row is not used. */
static dure_err check_count(db_store *store, sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_INTEGER
               ? DURE_OK
               : store_refuse(store, "the count of an item is no whole number of 63 bits "
                                     "(\"dure db check\" tells which)");
}

static dure_err store_item_count(db_store *store, dure_str player, dure_str item,
                                 uint64_t *out_count)
{
    sqlite3_stmt *count = store_statement_of(store, STORE_ITEM_COUNT);
    bind_str(count, 1, player);
    bind_str(count, 2, item);
    dure_err err = store_row(store, count);
    *out_count = 0;
    if (err == DURE_OK) {
        err = check_count(store, count, 0);
        *out_count = (uint64_t)sqlite3_column_int64(count, 0);
        (void)sqlite3_reset(count);
    }
    return err == DURE_ERR_NOT_FOUND ? DURE_OK : err;
}

static dure_err store_take_items(db_store *store, const db_gift *gift)
{
    sqlite3_stmt *take = store_statement_of(store, STORE_ITEM_TAKE);
    bind_str(take, 1, gift->from);
    bind_str(take, 2, gift->item);
    bind_u64(take, 3, gift->count);
    dure_err err = store_run(store, take);
    if (err != DURE_OK) {
        return err;
    }
    sqlite3_stmt *drop = store_statement_of(store, STORE_ITEM_DROP);
    bind_str(drop, 1, gift->from);
    bind_str(drop, 2, gift->item);
    return store_run(store, drop);
}

/* Whether the gift can be made, and what the giver has. */
static dure_err store_check_gift(db_store *store, const db_gift *gift, uint64_t *out_has)
{
    uint64_t receiver_has = 0;
    dure_err err = gift->epoch != 0 ? store_check_owner(store, gift->from, gift->epoch)
                                    : store_find_player(store, gift->from, NULL, NULL, NULL);
    if (err == DURE_OK) {
        err = store_find_player(store, gift->to, NULL, NULL, NULL);
    }
    if (err == DURE_OK) {
        err = store_item_count(store, gift->from, gift->item, out_has);
    }
    if (err == DURE_OK) {
        err = store_item_count(store, gift->to, gift->item, &receiver_has);
    }
    if (err != DURE_OK) {
        return err;
    }
    if (*out_has == 0 && !dure_plain_check(gift->item, NULL)) {
        return DURE_ERR_BAD_REQUEST; /* what somebody has can be given away, whatever its name */
    }
    if (*out_has < gift->count) {
        return DURE_ERR_NOT_ENOUGH;
    }
    return receiver_has > (uint64_t)INT64_MAX - gift->count ? DURE_ERR_NO_ROOM : DURE_OK;
}

dure_err db_store_give(db_store *store, const db_gift *gift, uint64_t *out_balance)
{
    uint64_t has = 0;
    dure_err err = store_find_key(store, gift, out_balance);
    if (err != DURE_ERR_NOT_FOUND) {
        return err;
    }
    err = store_check_gift(store, gift, &has);
    if (err == DURE_OK) {
        err = store_take_items(store, gift);
    }
    if (err == DURE_OK) {
        err = store_add_items(store, gift->to, gift->item, gift->count);
    }
    if (err == DURE_OK) {
        err = store_add_key(store, gift, has - gift->count);
    }
    if (err == DURE_OK) {
        *out_balance = has - gift->count;
    }
    return err;
}

static dure_err store_pack_items(db_store *store, sqlite3_stmt *list, dure_buf *out,
                                 uint32_t *out_count)
{
    dure_packer packer = dure_packer_of(out);
    uint32_t count = 0;
    int code;
    while ((code = sqlite3_step(list)) == SQLITE_ROW && count < STORE_ITEMS_MAX) {
        dure_err err = check_count(store, list, 1);
        if (err != DURE_OK) {
            return err;
        }
        dure_str item = {(const char *)sqlite3_column_text(list, 0),
                         (size_t)sqlite3_column_bytes(list, 0)};
        dure_packer_str(&packer, item);
        dure_packer_u64(&packer, (uint64_t)sqlite3_column_int64(list, 1));
        count++;
    }
    if (code != SQLITE_DONE && code != SQLITE_ROW) {
        return store_failed(store);
    }
    *out_count = count;
    return code == SQLITE_ROW || packer.status == DURE_ERR_FULL ? DURE_ERR_NO_ROOM : packer.status;
}

dure_err db_store_inventory(db_store *store, dure_str player, dure_buf *out)
{
    dure_err err = store_find_player(store, player, NULL, NULL, NULL);
    if (err != DURE_OK) {
        return err;
    }
    dure_buf pairs;
    dure_buf_init(&pairs, dure_buf_cap(out));
    sqlite3_stmt *list = store_statement_of(store, STORE_ITEM_LIST);
    bind_str(list, 1, player);
    uint32_t count = 0;
    err = store_pack_items(store, list, &pairs, &count);
    (void)sqlite3_reset(list);
    if (err == DURE_OK) {
        dure_packer packer = dure_packer_of(out);
        dure_packer_map(&packer, count);
        dure_packer_raw(&packer, (dure_slice){pairs.data, pairs.len});
        err = packer.status == DURE_ERR_FULL ? DURE_ERR_NO_ROOM : packer.status;
    }
    dure_buf_fini(&pairs);
    return err;
}
