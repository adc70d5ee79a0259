/* SPDX-License-Identifier: MIT
 *
 * The keys of gifts. Where they are kept for some days only, a key begins with its day, so that one
 * whose row may be gone is told from one that is new: a gift is never made twice. Who has deleted
 * keys once asks for the day for ever.
 */
#include <stdio.h>
#include <string.h>

#include "nodes/db/store_impl.h"

#define DAY_MS     UINT64_C(86400000)
#define DAY_DIGITS 8 /* 20261128 */

/* A day as civil date, as days since 1970-01-01 (H. Hinnant, days_from_civil; years from 1970). */
static uint64_t days_of(unsigned year, unsigned month, unsigned day)
{
    const unsigned y = month <= 2 ? year - 1 : year;
    const unsigned of_era = y % 400;
    const unsigned of_year = (153 * (month + (month > 2 ? -3u : 9u)) + 2) / 5 + day - 1;
    const uint64_t of_days = of_era * UINT64_C(365) + of_era / 4 - of_era / 100 + of_year;
    return y / 400 * UINT64_C(146097) + of_days - 719468;
}

static bool is_date(unsigned year, unsigned month, unsigned day)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return year >= 1970 && month >= 1 && month <= 12 && day >= 1 &&
           day <= lengths[month - 1] + (month == 2 && is_leap ? 1u : 0u);
}

bool db_key_day(dure_str key, uint64_t *out_day)
{
    unsigned date = 0;
    if (key.len < DAY_DIGITS) {
        return false;
    }
    for (size_t i = 0; i < DAY_DIGITS; i++) {
        if (key.data[i] < '0' || key.data[i] > '9') {
            return false;
        }
        date = date * 10 + (unsigned)(key.data[i] - '0');
    }
    if (!is_date(date / 10000, date / 100 % 100, date % 100)) {
        return false;
    }
    *out_day = days_of(date / 10000, date / 100 % 100, date % 100);
    return true;
}

/* NOT_FOUND: a key without a row may be used; INVALID, TOO_OLD: it may not. */
static dure_err check_new_key(const db_store *store, const db_gift *gift)
{
    uint64_t day = 0;
    const uint64_t today = gift->now_ms / DAY_MS;
    uint64_t first = 0; /* the first day of which every key is known */
    if (gift->keys_days == 0 && store->keys_deleted_ms == 0) {
        return DURE_ERR_NOT_FOUND;
    }
    if (store->keys_deleted_ms != 0) {
        first =
            store->keys_deleted_ms / DAY_MS + 2; /* keys of the day after may be in use before */
    }
    if (gift->keys_days != 0 && today > gift->keys_days && today - gift->keys_days > first) {
        first = today - gift->keys_days;
    }
    if (!db_key_day(gift->key, &day) || day > today + 1) {
        return DURE_ERR_INVALID;
    }
    return day < first ? DURE_ERR_TOO_OLD : DURE_ERR_NOT_FOUND;
}

static bool column_is(sqlite3_stmt *statement, int column, dure_str value)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    dure_str stored = {(const char *)text, (size_t)sqlite3_column_bytes(statement, column)};
    return dure_str_equal(stored, value);
}

dure_err store_find_key(db_store *store, const db_gift *gift, uint64_t *out_balance)
{
    if (gift->key.len == 0) {
        return DURE_ERR_NOT_FOUND;
    }
    sqlite3_stmt *find = store_statement_of(store, STORE_KEY_FIND);
    bind_str(find, 1, gift->from);
    bind_str(find, 2, gift->key);
    dure_err err = store_row(store, find);
    if (err != DURE_OK) {
        return err == DURE_ERR_NOT_FOUND ? check_new_key(store, gift) : err;
    }
    bool is_same = column_is(find, 0, gift->to) && column_is(find, 1, gift->item) &&
                   (uint64_t)sqlite3_column_int64(find, 2) == gift->count;
    *out_balance = (uint64_t)sqlite3_column_int64(find, 3);
    (void)sqlite3_reset(find);
    return is_same ? DURE_OK : DURE_ERR_MISMATCH;
}

dure_err store_add_key(db_store *store, const db_gift *gift, uint64_t balance)
{
    if (gift->key.len == 0) {
        return DURE_OK;
    }
    sqlite3_stmt *add = store_statement_of(store, STORE_KEY_ADD);
    bind_str(add, 1, gift->from);
    bind_str(add, 2, gift->key);
    bind_str(add, 3, gift->to);
    bind_str(add, 4, gift->item);
    bind_u64(add, 5, gift->count);
    bind_u64(add, 6, balance);
    bind_u64(add, 7, gift->now_ms);
    return store_run(store, add);
}

/* ---- deleting ---- */

/* All of its bytes: cut at a zero one, the place would stand still before many that begin alike. */
static void column_key(sqlite3_stmt *statement, int column, db_key_place *out_place)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    const size_t len = text != NULL ? (size_t)sqlite3_column_bytes(statement, column) : 0;
    out_place->key_len = len < sizeof out_place->key ? len : sizeof out_place->key;
    if (out_place->key_len > 0) {
        memcpy(out_place->key, text, out_place->key_len);
    }
}

/* The last key of the next bite, into the same struct; NOT_FOUND where it is the end of the table.
 */
static dure_err find_bite(db_store *store, const db_key_place *from, uint32_t rows,
                          db_key_place *out_to)
{
    sqlite3_stmt *find = store_statement_of(store, STORE_KEY_BITE);
    bind_str(find, 1, dure_str_of(from->player));
    bind_str(find, 2, (dure_str){from->key, from->key_len});
    bind_u64(find, 3, rows - 1);
    dure_err err = store_row(store, find);
    if (err == DURE_OK) {
        column_text(find, 0, out_to->player, sizeof out_to->player);
        column_key(find, 1, out_to);
        (void)sqlite3_reset(find);
    }
    return err;
}

dure_err db_store_delete_keys(db_store *store, uint64_t before_ms, uint32_t rows,
                              db_key_place *inout_place, uint32_t *out_deleted)
{
    db_key_place to;
    memset(&to, 0, sizeof to);
    dure_err err = find_bite(store, inout_place, rows, &to);
    const bool is_end = err == DURE_ERR_NOT_FOUND;
    *out_deleted = 0;
    if (err != DURE_OK && !is_end) {
        return err;
    }
    sqlite3_stmt *drop = store_statement_of(store, is_end ? STORE_KEY_DROP_REST : STORE_KEY_DROP);
    bind_str(drop, 1, dure_str_of(inout_place->player));
    bind_str(drop, 2, (dure_str){inout_place->key, inout_place->key_len});
    if (!is_end) {
        bind_str(drop, 3, dure_str_of(to.player));
        bind_str(drop, 4, (dure_str){to.key, to.key_len});
    }
    bind_u64(drop, 5, before_ms);
    err = store_run(store, drop);
    if (err == DURE_OK) {
        *out_deleted = (uint32_t)sqlite3_changes(store->db);
        *inout_place = to; /* the front again, behind the end */
    }
    if (err == DURE_OK && *out_deleted > 0 && before_ms > store->keys_deleted_ms) {
        err = store_set_fact(store, STORE_FACT_KEYS_DELETED, before_ms);
        store->keys_deleted_ms = before_ms;
    }
    return err;
}
