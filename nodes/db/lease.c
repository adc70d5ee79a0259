/* SPDX-License-Identifier: MIT
 *
 * A row a node: its present life, and until when the lives before may have acted.
 */
#include "nodes/db/lease.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

dure_err db_leases_init(db_leases *leases, uint32_t max, uint32_t lease_ms, uint32_t former_ms,
                        uint64_t now_ms)
{
    DURE_ASSERT(former_ms >= lease_ms);
    memset(leases, 0, sizeof *leases);
    leases->rows = dure_mem_alloc_array(max, sizeof *leases->rows);
    if (leases->rows == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    leases->max = max;
    leases->lease_ms = lease_ms;
    leases->former_ms = former_ms;
    leases->started_ms = now_ms;
    return DURE_OK;
}

void db_leases_fini(db_leases *leases)
{
    dure_mem_free(leases->rows);
    leases->rows = NULL;
}

/* A lease granted then, and a tenth for clocks that do not run alike. */
static uint64_t lease_end(uint64_t granted_ms, uint32_t lease_ms)
{
    return granted_ms + lease_ms + lease_ms / 10;
}

uint64_t db_lease_former_end(const db_leases *leases)
{
    return lease_end(leases->started_ms, leases->former_ms);
}

static db_lease *lease_find(const db_leases *leases, const char *node)
{
    for (uint32_t i = 0; i < leases->count; i++) {
        if (strcmp(leases->rows[i].node, node) == 0) {
            return &leases->rows[i];
        }
    }
    return NULL;
}

dure_err db_lease_grant(db_leases *leases, const char *node, uint64_t life, uint64_t now_ms)
{
    db_lease *row = lease_find(leases, node);
    if (row == NULL) {
        if (leases->count == leases->max) {
            return DURE_ERR_FULL;
        }
        row = &leases->rows[leases->count++];
        *row = (db_lease){.node = node, .life = life};
    }
    if (row->life != life) {
        if (row->until_ms > row->former_until_ms) {
            row->former_until_ms = row->until_ms;
        }
        row->life = life;
    }
    row->until_ms = lease_end(now_ms, leases->lease_ms);
    return DURE_OK;
}

void db_lease_end(db_leases *leases, const char *node, uint64_t life)
{
    db_lease *row = lease_find(leases, node);
    if (row != NULL && row->life == life) {
        row->until_ms = 0;
    }
}

bool db_lease_is_over(const db_leases *leases, const char *node, uint64_t life, uint64_t now_ms)
{
    const db_lease *row = lease_find(leases, node);
    if (row != NULL && row->life == life) {
        return now_ms >= row->until_ms;
    }
    if (row != NULL && now_ms < row->former_until_ms) {
        return false;
    }
    return now_ms >= db_lease_former_end(leases);
}
