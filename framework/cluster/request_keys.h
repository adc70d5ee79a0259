/* SPDX-License-Identifier: MIT
 *
 * What a node remembers of request keys: for each key that a peer used the request that is under
 * way, or the answer that was given. Bounded in time, in number for each peer, and in bytes for
 * all. What was forgotten leaves a mark: keys of a process rise, so an unknown one that is not
 * newer than the newest that was forgotten may have been it, and is TOO_OLD.
 *
 * No clock, no calls. Owner thread only.
 */
#ifndef DURE_CLUSTER_REQUEST_KEYS_H
#define DURE_CLUSTER_REQUEST_KEYS_H

#include "base/list.h"
#include "base/str.h"
#include "cluster/rpc.h"

typedef struct dure_key_entry dure_key_entry;
typedef struct dure_key_table dure_key_table;

/* What a request is, to be told from another under the same key. */
typedef struct dure_key_payload {
    uint32_t method;
    uint64_t subject;
    dure_slice body;
} dure_key_payload;

struct dure_key_entry {
    dure_list _in_peer; /* of those that are answered, the oldest first */
    dure_list _in_all;
    dure_key_entry *_next; /* in its bucket */
    uint32_t _peer;
    uint32_t _method;
    uint64_t _origin;
    uint64_t _number;
    uint64_t _subject;
    uint64_t _body_hash[2];
    uint64_t _answered_ms;
    dure_request *request; /* under way; NULL: it is answered */
    dure_list waiters;     /* of the same key, for the same answer; the owner's to fill */
    uint8_t *answer;
    size_t answer_len;
    bool is_error;
};

typedef struct dure_key_limits {
    uint32_t keep_ms;
    uint32_t per_peer;
    uint32_t bytes;
} dure_key_limits;

/* Fails: NO_MEMORY. Owned by the caller; ends with dure_key_table_destroy. */
DURE_CHECKED dure_err dure_key_table_create(uint32_t peer_count, const dure_key_limits *limits,
                                            dure_key_table **out_table);
/* Frees it with all entries; NULL is fine. */
void dure_key_table_destroy(dure_key_table *table);

/*
 * Looks a key of a peer up. incarnation: of the peer's process now; keys of another one are known
 * or TOO_OLD. *out_entry is the one that is there already, under way or answered, or a new one
 * (*out_is_new), whose request the caller sets.
 * Fails: MISMATCH, TOO_OLD, OVERLOADED (as many are under way as may be remembered), NO_MEMORY.
 */
DURE_CHECKED dure_err dure_key_table_begin(dure_key_table *table, uint32_t peer,
                                           uint64_t incarnation, const dure_request_key *key,
                                           const dure_key_payload *payload,
                                           dure_key_entry **out_entry, bool *out_is_new);

/* Remembers the answer; where there is no memory for it, only that there was one. */
void dure_key_table_answer(dure_key_table *table, dure_key_entry *entry, dure_slice answer,
                           bool is_error, uint64_t now_ms);

/* Forgets an entry; did_happen: a repeat is TOO_OLD from now on, else it is new again. */
void dure_key_table_forget(dure_key_table *table, dure_key_entry *entry, bool did_happen);

/* Forgets what is too old; milliseconds until the next one is, 0: none is answered. */
uint32_t dure_key_table_expire(dure_key_table *table, uint64_t now_ms);

/* Entries of a peer, and the memory of all. */
uint32_t dure_key_table_count(const dure_key_table *table, uint32_t peer);
size_t dure_key_table_bytes(const dure_key_table *table);

#endif
