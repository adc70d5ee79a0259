/* SPDX-License-Identifier: MIT
 *
 * The role db: each method becomes an operation of the next batch, and is answered after its
 * COMMIT.
 */
#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "db.role.h"
#include "nodes/db/batch.h"
#include "nodes/db/role.h"

#define DB_BATCH_MAX       1024
#define DB_INVENTORY_BYTES (512u * 1024u)

typedef struct db_state {
    dure_node *node;
    db_store *store;
    db_batch *batch;
} db_state;

/* Every operation begins with its db_op, so one cast serves both ways. */
typedef struct login_op {
    db_op op;
    db_login_params in;
    db_session session;
    db_session old;
    db_place place;
    bool created;
} login_op;

typedef struct place_op {
    db_op op;
    dure_str player;
    dure_str room;
    double x;
    double y;
    db_place place;
} place_op;

typedef struct give_op {
    db_op op;
    db_gift gift;
    uint64_t balance;
} give_op;

typedef struct inventory_op {
    db_op op;
    dure_str player;
    dure_buf items;
} inventory_op;

/* NULL after it has answered that there is no memory. */
static void *op_new(dure_request *request, size_t size, dure_err (*apply)(db_op *, db_store *),
                    void (*reply)(db_op *))
{
    db_op *op = dure_mem_alloc(size);
    if (op == NULL) {
        dure_request_fail(request, DURE_ERR_OVERLOADED, "out of memory");
        return NULL;
    }
    op->request = request;
    op->apply = apply;
    op->reply = reply;
    return op;
}

static bool op_failed(db_op *op, const char *what, dure_str name)
{
    if (op->status == DURE_OK) {
        return false;
    }
    dure_request_fail(op->request, op->status, "%s: %s (\"%.*s\")", what, dure_err_text(op->status),
                      DURE_STR_ARG(name));
    return true;
}

/* ---- login ---- */

static dure_err login_apply(db_op *op, db_store *store)
{
    login_op *login = (login_op *)op;
    return db_store_login(store, login->in.player, &login->session, &login->place, &login->old,
                          &login->created);
}

static void login_reply(db_op *op)
{
    login_op *login = (login_op *)op;
    if (op_failed(op, "player", login->in.player)) {
        return;
    }
    db_login_result out = {
        .player = login->in.player,
        .room = dure_str_of(login->place.room),
        .x = login->place.x,
        .y = login->place.y,
        .epoch = login->place.epoch,
        .old_gateway = dure_str_of(login->old.gateway),
        .old_client = login->old.client,
        .created = login->created,
    };
    db_reply_login(op->request, &out);
}

static void on_login(dure_request *request, const db_login_params *in, void *state)
{
    login_op *login = op_new(request, sizeof *login, login_apply, login_reply);
    if (login == NULL) {
        return;
    }
    login->in = *in;
    login->session.client = in->client;
    (void)snprintf(login->session.gateway, sizeof login->session.gateway, "%.*s",
                   DURE_STR_ARG(in->gateway));
    db_batch_push(((db_state *)state)->batch, &login->op);
}

/* ---- enter and save ---- */

static dure_err enter_apply(db_op *op, db_store *store)
{
    place_op *enter = (place_op *)op;
    return db_store_enter(store, enter->player, enter->room, &enter->place);
}

static void enter_reply(db_op *op)
{
    place_op *enter = (place_op *)op;
    if (op_failed(op, "player", enter->player)) {
        return;
    }
    db_enter_result out = {
        .room = dure_str_of(enter->place.room),
        .x = enter->place.x,
        .y = enter->place.y,
        .epoch = enter->place.epoch,
    };
    db_reply_enter(op->request, &out);
}

static void on_enter(dure_request *request, const db_enter_params *in, void *state)
{
    place_op *enter = op_new(request, sizeof *enter, enter_apply, enter_reply);
    if (enter != NULL) {
        enter->player = in->player;
        enter->room = in->room;
        db_batch_push(((db_state *)state)->batch, &enter->op);
    }
}

static dure_err save_apply(db_op *op, db_store *store)
{
    place_op *save = (place_op *)op;
    return db_store_save(store, save->player, save->room, save->x, save->y);
}

static void save_reply(db_op *op)
{
    if (!op_failed(op, "player", ((place_op *)op)->player)) {
        db_reply_save(op->request);
    }
}

static void on_save(dure_request *request, const db_save_params *in, void *state)
{
    place_op *save = op_new(request, sizeof *save, save_apply, save_reply);
    if (save != NULL) {
        save->player = in->player;
        save->room = in->room;
        save->x = in->x;
        save->y = in->y;
        db_batch_push(((db_state *)state)->batch, &save->op);
    }
}

/* ---- items ---- */

static dure_err give_apply(db_op *op, db_store *store)
{
    give_op *give = (give_op *)op;
    return db_store_give(store, &give->gift, &give->balance);
}

static void give_reply(db_op *op)
{
    give_op *give = (give_op *)op;
    const db_gift *gift = &give->gift;
    if (op->status == DURE_ERR_NOT_FOUND) {
        dure_request_fail(op->request, op->status, "to: nobody is called \"%.*s\"",
                          DURE_STR_ARG(gift->to));
    } else if (op->status == DURE_ERR_NOT_ENOUGH) {
        dure_request_fail(op->request, op->status, "count: there are fewer than %llu \"%.*s\"",
                          (unsigned long long)gift->count, DURE_STR_ARG(gift->item));
    } else if (!op_failed(op, "key", gift->key)) {
        db_give_result out = {.balance = give->balance};
        db_reply_give(op->request, &out);
    }
}

static void on_give(dure_request *request, const db_give_params *in, void *state)
{
    db_state *db = state;
    give_op *give = op_new(request, sizeof *give, give_apply, give_reply);
    if (give != NULL) {
        give->gift = (db_gift){
            .from = in->from,
            .to = in->to,
            .item = in->item,
            .count = in->count,
            .key = in->key,
            .now_ms = dure_iocp_core_wall_ms(dure_node_core(db->node)),
        };
        db_batch_push(db->batch, &give->op);
    }
}

static dure_err inventory_apply(db_op *op, db_store *store)
{
    inventory_op *inventory = (inventory_op *)op;
    return db_store_inventory(store, inventory->player, &inventory->items);
}

static void inventory_reply(db_op *op)
{
    inventory_op *inventory = (inventory_op *)op;
    if (!op_failed(op, "player", inventory->player)) {
        dure_request_reply(op->request, (dure_slice){inventory->items.data, inventory->items.len});
    }
}

static void inventory_fini(db_op *op)
{
    dure_buf_fini(&((inventory_op *)op)->items);
}

static void on_inventory(dure_request *request, const db_inventory_params *in, void *state)
{
    inventory_op *inventory = op_new(request, sizeof *inventory, inventory_apply, inventory_reply);
    if (inventory != NULL) {
        inventory->player = in->player;
        inventory->op.fini = inventory_fini;
        dure_buf_init(&inventory->items, DB_INVENTORY_BYTES);
        db_batch_push(((db_state *)state)->batch, &inventory->op);
    }
}

/* ---- life ---- */

static dure_err db_open(db_state *db)
{
    const char *engine = dure_node_setting_str(db->node, "engine", "sqlite");
    if (strcmp(engine, "sqlite") != 0) {
        dure_log_write(dure_node_log(db->node), DURE_LOG_ERROR, "db", "ENGINE_UNKNOWN",
                       "engine=\"%s\" known=sqlite", engine);
        return DURE_ERR_UNSUPPORTED;
    }
    char path[4096];
    const char *folder = dure_node_data_dir(db->node);
    int len = folder[0] != '\0' ? snprintf(path, sizeof path, "%s/dure.sqlite", folder)
                                : snprintf(path, sizeof path, ":memory:");
    if (len < 0 || (size_t)len >= sizeof path) {
        return DURE_ERR_TOO_LARGE;
    }
    char why[512];
    dure_err err = db_store_open(path, &db->store, why, sizeof why);
    if (err != DURE_OK) {
        char quoted[600];
        dure_log_write(dure_node_log(db->node), DURE_LOG_ERROR, "db", "STORE_REFUSED", "why=%s",
                       dure_log_quote(why, strlen(why), quoted, sizeof quoted));
    }
    return err;
}

static void db_on_end(dure_node *node, void *state)
{
    db_state *db = state;
    (void)node;
    if (db != NULL) {
        db_batch_destroy(db->batch);
        db_store_close(db->store);
        dure_mem_free(db);
    }
}

static dure_err db_on_start(dure_node *node, void **out_state)
{
    db_state *db = dure_mem_alloc(sizeof *db);
    if (db == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    db->node = node;
    int64_t batch_max = dure_node_setting_int(node, "batch_max", DB_BATCH_MAX);
    dure_err err = db_open(db);
    if (err == DURE_OK) {
        err = db_batch_create(node, db->store, (uint32_t)batch_max, &db->batch);
    }
    if (err != DURE_OK) {
        db_on_end(node, db);
        return err;
    }
    *out_state = db;
    return DURE_OK;
}

const dure_role dure_role_db = {
    .name = "db",
    .methods = db_methods,
    .schema_hash = db_schema_hash,
    .on_start = db_on_start,
    .on_end = db_on_end,
};
