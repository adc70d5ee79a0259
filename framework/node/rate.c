/* SPDX-License-Identifier: MIT
 *
 * Buckets. A full one is all zero, so one that has filled up again may be forgotten without anybody
 * gaining or losing a token; only when all places of an address are in use is one that is not full
 * forgotten, the one that is nearest to it.
 */
#include "node/rate.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define RATE_PLACES 4096u /* of the table; a power of two */
#define RATE_PROBES 16u   /* places that an address may stand in */
#define RATE_MILLI  1000u

typedef struct rate_place {
    uint8_t key[8]; /* an IPv4 address with zeros, or the subnet of an IPv6 address */
    node_rate rate;
} rate_place;

struct node_rate_table {
    node_rate_limit limit;
    rate_place places[RATE_PLACES];
};

static void rate_fill(node_rate *rate, const node_rate_limit *limit, uint64_t now_ms)
{
    if (now_ms <= rate->at_ms) {
        return;
    }
    DURE_ASSERT(limit->per_second > 0);
    uint64_t passed_ms = now_ms - rate->at_ms;
    uint64_t full_ms = rate->used_milli / limit->per_second;
    rate->used_milli -= passed_ms > full_ms ? rate->used_milli : passed_ms * limit->per_second;
    rate->at_ms = now_ms;
}

bool node_rate_take(node_rate *rate, const node_rate_limit *limit, uint64_t now_ms)
{
    if (limit->per_second == 0) {
        return true;
    }
    rate_fill(rate, limit, now_ms);
    if (rate->used_milli + RATE_MILLI > (uint64_t)limit->burst * RATE_MILLI) {
        return false;
    }
    rate->used_milli += RATE_MILLI;
    DURE_ASSERT(rate->used_milli <= (uint64_t)limit->burst * RATE_MILLI);
    return true;
}

dure_err node_rate_table_create(const node_rate_limit *limit, node_rate_table **out_table)
{
    node_rate_table *table = dure_mem_alloc(sizeof *table);
    if (table == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    table->limit = *limit;
    *out_table = table;
    return DURE_OK;
}

void node_rate_table_destroy(node_rate_table *table)
{
    dure_mem_free(table);
}

static void rate_key(const dure_net_address *address, uint8_t out_key[8])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    bool is_mapped =
        address->family == DURE_FAMILY_IPV6 && memcmp(address->ip, mapped, sizeof mapped) == 0;
    memset(out_key, 0, 8);
    if (address->family == DURE_FAMILY_IPV4) {
        memcpy(out_key, address->ip, 4);
    } else if (is_mapped) {
        memcpy(out_key, address->ip + 12, 4);
    } else {
        memcpy(out_key, address->ip, 8);
    }
}

/* FNV-1a. Whoever finds addresses that meet in one place makes only those share their buckets. */
static uint32_t rate_hash(const uint8_t key[8])
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < 8; i++) {
        hash = (hash ^ key[i]) * 16777619u;
    }
    return hash ^ (hash >> 15);
}

static rate_place *rate_find(node_rate_table *table, const uint8_t key[8], uint64_t now_ms)
{
    uint32_t first = rate_hash(key);
    rate_place *best = NULL;
    for (uint32_t i = 0; i < RATE_PROBES; i++) {
        rate_place *place = &table->places[(first + i) % RATE_PLACES];
        if (memcmp(place->key, key, sizeof place->key) == 0) {
            return place;
        }
        rate_fill(&place->rate, &table->limit, now_ms);
        if (best == NULL || place->rate.used_milli < best->rate.used_milli) {
            best = place;
        }
    }
    DURE_ASSERT(best != NULL);
    memset(best, 0, sizeof *best);
    memcpy(best->key, key, sizeof best->key);
    best->rate.at_ms = now_ms;
    return best;
}

bool node_rate_table_take(node_rate_table *table, const dure_net_address *address, uint64_t now_ms)
{
    if (table->limit.per_second == 0) {
        return true;
    }
    uint8_t key[8];
    rate_key(address, key);
    return node_rate_take(&rate_find(table, key, now_ms)->rate, &table->limit, now_ms);
}
