/* SPDX-License-Identifier: MIT
 *
 * A timer and a job by turns. What fails is tried again by the next pass; it is the same disk that
 * gifts are refused for, so nothing is told of it.
 */
#include "nodes/db/keys.h"

#include <inttypes.h>

#define KEYS_BITE_ROWS UINT32_C(2000)
#define KEYS_BITE_MS   250u    /* between two bites: 8,000 rows a second */
#define KEYS_PASS_MS   600000u /* between two passes */
#define KEYS_DAY_MS    UINT64_C(86400000)

static void keys_step(dure_node *node, void *ctx, dure_err status);

static void keys_after(db_keys *keys, uint32_t ms)
{
    dure_err ignored = dure_node_after(keys->node, ms, keys_step, keys);
    (void)ignored; /* no memory: until the next start of the node no more are deleted */
}

/* Job thread. */
static void keys_work(void *ctx)
{
    db_keys *keys = ctx;
    uint32_t deleted = 0;
    keys->status = db_store_begin(keys->store);
    if (keys->status == DURE_OK) {
        keys->status = db_store_delete_keys(keys->store, keys->before_ms, KEYS_BITE_ROWS,
                                            &keys->place, &deleted);
    }
    if (keys->status == DURE_OK) {
        keys->status = db_store_commit(keys->store);
    } else {
        db_store_rollback(keys->store);
    }
    keys->deleted += keys->status == DURE_OK ? deleted : 0;
}

static void keys_done(dure_node *node, void *ctx)
{
    db_keys *keys = ctx;
    if (keys->status == DURE_OK && keys->place.player[0] != '\0') {
        keys_after(keys, KEYS_BITE_MS);
        return;
    }
    if (keys->deleted > 0) {
        dure_log_write(dure_node_log(node), DURE_LOG_INFO, "db", "KEYS_DELETED",
                       "count=%" PRIu64 " older_than_days=%" PRIu32, keys->deleted, keys->days);
        keys->deleted = 0;
    }
    keys_after(keys, KEYS_PASS_MS);
}

static void keys_step(dure_node *node, void *ctx, dure_err status)
{
    db_keys *keys = ctx;
    if (status != DURE_OK) {
        return; /* the node ends, perhaps because it could not start: keys may be gone */
    }
    const uint64_t now_ms = dure_iocp_core_wall_ms(dure_node_core(node));
    /* Two days more than are promised: a key may be used on the day before its own. */
    const uint64_t kept_ms = (keys->days + UINT64_C(2)) * KEYS_DAY_MS;
    if (dure_node_is_stopping(node) || db_store_is_broken(keys->store)) {
        return;
    }
    keys->before_ms = now_ms > kept_ms ? now_ms - kept_ms : 0;
    if (dure_node_job(node, keys_work, keys_done, keys) != DURE_OK) {
        keys_after(keys, KEYS_PASS_MS);
    }
}

dure_err db_keys_start(db_keys *keys, dure_node *node, db_store *store, uint32_t days)
{
    keys->node = node;
    keys->store = store;
    keys->days = days;
    return days == 0 ? DURE_OK : dure_node_after(node, KEYS_BITE_MS, keys_step, keys);
}
