/* SPDX-License-Identifier: MIT
 *
 * A hash table with chains that doubles; see request_keys.h.
 */
#include "cluster/request_keys.h"

#include <string.h>
#include <xxhash.h>

#include "base/assert.h"
#include "base/mem.h"

#define BUCKETS_FIRST 64u

typedef struct key_peer {
    uint64_t origin; /* whose keys `forgotten` is about */
    uint64_t forgotten;
    uint32_t count;
    dure_list answered;
} key_peer;

struct dure_key_table {
    dure_key_limits limits;
    key_peer *peers;
    uint32_t peer_count;
    dure_key_entry **buckets; /* a power of two of them */
    uint32_t bucket_count;
    uint32_t count;
    size_t bytes;
    dure_list answered; /* of all peers, the oldest first */
};

static size_t entry_bytes(const dure_key_entry *entry)
{
    return sizeof *entry + entry->answer_len;
}

/* ---- buckets ---- */

static dure_key_entry **bucket_of(const dure_key_table *table, uint32_t peer, uint64_t origin,
                                  uint64_t number)
{
    const uint64_t words[3] = {peer, origin, number};
    return &table->buckets[XXH3_64bits(words, sizeof words) & (table->bucket_count - 1)];
}

static void bucket_add(dure_key_table *table, dure_key_entry *entry)
{
    dure_key_entry **bucket = bucket_of(table, entry->_peer, entry->_origin, entry->_number);
    entry->_next = *bucket;
    *bucket = entry;
}

static dure_err table_grow(dure_key_table *table)
{
    dure_key_entry **old = table->buckets;
    const uint32_t old_count = table->bucket_count;
    const uint32_t count = old_count == 0 ? BUCKETS_FIRST : old_count * 2;
    dure_key_entry **buckets = dure_mem_alloc_array(count, sizeof(dure_key_entry *));
    if (buckets == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    table->buckets = buckets;
    table->bucket_count = count;
    for (uint32_t i = 0; i < old_count; i++) {
        dure_key_entry *entry = old[i];
        while (entry != NULL) {
            dure_key_entry *next = entry->_next;
            bucket_add(table, entry);
            entry = next;
        }
    }
    dure_mem_free(old);
    return DURE_OK;
}

static dure_key_entry *table_find(const dure_key_table *table, uint32_t peer,
                                  const dure_request_key *key)
{
    dure_key_entry *entry =
        table->count > 0 ? *bucket_of(table, peer, key->origin, key->number) : NULL;
    while (entry != NULL && (entry->_peer != peer || entry->_origin != key->origin ||
                             entry->_number != key->number)) {
        entry = entry->_next;
    }
    return entry;
}

static void table_remove(dure_key_table *table, dure_key_entry *entry)
{
    dure_key_entry **at = bucket_of(table, entry->_peer, entry->_origin, entry->_number);
    while (*at != entry) {
        at = &(*at)->_next;
    }
    *at = entry->_next;
    dure_list_remove(&entry->_in_peer);
    dure_list_remove(&entry->_in_all);
    DURE_ASSERT(table->peers[entry->_peer].count > 0);
    DURE_ASSERT(table->bytes >= entry_bytes(entry));
    table->peers[entry->_peer].count--;
    table->count--;
    table->bytes -= entry_bytes(entry);
}

static void entry_free(dure_key_entry *entry)
{
    dure_mem_free(entry->answer);
    dure_mem_free(entry);
}

/* ---- life ---- */

dure_err dure_key_table_create(uint32_t peer_count, const dure_key_limits *limits,
                               dure_key_table **out_table)
{
    dure_key_table *table = dure_mem_alloc(sizeof *table);
    key_peer *peers = dure_mem_alloc_array(peer_count, sizeof *peers);
    if (table == NULL || peers == NULL) {
        dure_mem_free(table);
        dure_mem_free(peers);
        return DURE_ERR_NO_MEMORY;
    }
    table->limits = *limits;
    table->peers = peers;
    table->peer_count = peer_count;
    dure_list_init(&table->answered);
    for (uint32_t i = 0; i < peer_count; i++) {
        dure_list_init(&peers[i].answered);
    }
    *out_table = table;
    return DURE_OK;
}

void dure_key_table_destroy(dure_key_table *table)
{
    if (table == NULL) {
        return;
    }
    for (uint32_t i = 0; i < table->bucket_count; i++) {
        while (table->buckets[i] != NULL) {
            dure_key_entry *entry = table->buckets[i];
            table->buckets[i] = entry->_next;
            entry_free(entry);
        }
    }
    dure_mem_free(table->buckets);
    dure_mem_free(table->peers);
    dure_mem_free(table);
}

/* ---- use ---- */

void dure_key_table_forget(dure_key_table *table, dure_key_entry *entry, bool did_happen)
{
    key_peer *peer = &table->peers[entry->_peer];
    DURE_ASSERT(dure_list_is_empty(&entry->waiters));
    if (did_happen && entry->_origin == peer->origin && entry->_number > peer->forgotten) {
        peer->forgotten = entry->_number;
    }
    table_remove(table, entry);
    entry_free(entry);
}

static void forget_first(dure_key_table *table, const dure_list *answered, bool is_of_all)
{
    dure_key_entry *entry = is_of_all ? DURE_CONTAINER_OF(answered->next, dure_key_entry, _in_all)
                                      : DURE_CONTAINER_OF(answered->next, dure_key_entry, _in_peer);
    dure_key_table_forget(table, entry, true);
}

static bool is_same(const dure_key_entry *entry, const dure_key_payload *payload,
                    XXH128_hash_t hash)
{
    return entry->_method == payload->method && entry->_subject == payload->subject &&
           entry->_body_hash[0] == hash.low64 && entry->_body_hash[1] == hash.high64;
}

static dure_err make_room(dure_key_table *table, key_peer *peer)
{
    if (peer->count >= table->limits.per_peer) {
        if (dure_list_is_empty(&peer->answered)) {
            return DURE_ERR_OVERLOADED;
        }
        forget_first(table, &peer->answered, false);
    }
    return table->count >= table->bucket_count ? table_grow(table) : DURE_OK;
}

static void keep_within_bytes(dure_key_table *table)
{
    while (table->bytes > table->limits.bytes && !dure_list_is_empty(&table->answered)) {
        forget_first(table, &table->answered, true);
    }
}

dure_err dure_key_table_begin(dure_key_table *table, uint32_t peer_index, uint64_t incarnation,
                              const dure_request_key *key, const dure_key_payload *payload,
                              dure_key_entry **out_entry, bool *out_is_new)
{
    key_peer *peer = &table->peers[peer_index];
    const XXH128_hash_t hash = XXH3_128bits(payload->body.data, payload->body.len);
    if (peer->origin != incarnation) {
        peer->origin = incarnation;
        peer->forgotten = 0;
    }
    dure_key_entry *entry = table_find(table, peer_index, key);
    *out_is_new = entry == NULL;
    if (entry != NULL) {
        *out_entry = entry;
        return is_same(entry, payload, hash) ? DURE_OK : DURE_ERR_MISMATCH;
    }
    if (key->origin != peer->origin || key->number <= peer->forgotten) {
        return DURE_ERR_TOO_OLD;
    }
    const dure_err err = make_room(table, peer);
    if (err != DURE_OK) {
        return err;
    }
    entry = dure_mem_alloc(sizeof *entry);
    if (entry == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    *entry = (dure_key_entry){._peer = peer_index,
                              ._origin = key->origin,
                              ._number = key->number,
                              ._method = payload->method,
                              ._subject = payload->subject,
                              ._body_hash = {hash.low64, hash.high64}};
    dure_list_init(&entry->_in_peer);
    dure_list_init(&entry->_in_all);
    dure_list_init(&entry->waiters);
    bucket_add(table, entry);
    peer->count++;
    table->count++;
    table->bytes += entry_bytes(entry);
    keep_within_bytes(table);
    *out_entry = entry;
    return DURE_OK;
}

void dure_key_table_answer(dure_key_table *table, dure_key_entry *entry, dure_slice answer,
                           bool is_error, uint64_t now_ms)
{
    DURE_ASSERT(entry->answer == NULL);
    entry->answer = dure_mem_alloc(answer.len);
    if (entry->answer == NULL) {
        dure_key_table_forget(table, entry, true);
        return;
    }
    memcpy(entry->answer, answer.data, answer.len);
    entry->answer_len = answer.len;
    entry->is_error = is_error;
    entry->request = NULL;
    entry->_answered_ms = now_ms;
    table->bytes += answer.len;
    dure_list_push_back(&table->peers[entry->_peer].answered, &entry->_in_peer);
    dure_list_push_back(&table->answered, &entry->_in_all);
    keep_within_bytes(table);
}

uint32_t dure_key_table_expire(dure_key_table *table, uint64_t now_ms)
{
    while (!dure_list_is_empty(&table->answered)) {
        const dure_key_entry *entry =
            DURE_CONTAINER_OF(table->answered.next, dure_key_entry, _in_all);
        const uint64_t end_ms = entry->_answered_ms + table->limits.keep_ms;
        if (now_ms < end_ms) {
            return (uint32_t)(end_ms - now_ms);
        }
        forget_first(table, &table->answered, true);
    }
    return 0;
}

uint32_t dure_key_table_count(const dure_key_table *table, uint32_t peer)
{
    return table->peers[peer].count;
}

size_t dure_key_table_bytes(const dure_key_table *table)
{
    return table->bytes;
}
