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
#include "nodes/db/claim.h"
#include "nodes/db/keys.h"
#include "nodes/db/role.h"
#include "wire/plain.h"

#define DB_BATCH_MAX       1024
#define DB_LEASE_MS        3000
#define DB_INVENTORY_BYTES (512u * 1024u)

typedef struct db_state {
    dure_node *node;
    db_store *store;
    db_batch *batch;
    db_leases leases;
    db_keys keys;
} db_state;

/* Every operation begins with its db_op, so one cast serves both ways. */
typedef struct login_op {
    db_op op;
    db_state *db;
    db_login_params in;
    db_session session;
    db_session old;
    db_place place;
    db_owner owner;    /* who has to let go first */
    db_owner released; /* who has */
    bool created;
    bool is_again;
} login_op;

typedef struct enter_op {
    db_op op;
    db_state *db;
    dure_str player;
    dure_str room;
    db_owner self;
    db_owner owner;    /* who has to let go first */
    db_owner released; /* who has */
    db_place place;
} enter_op;

typedef struct save_op {
    db_op op;
    db_save_params in;
} save_op;

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

/* The time at this very moment, by the clock of leases: that of a round may be from before a pause
 * of the process, and others stand still while the machine is suspended. */
static uint64_t db_lease_clock_ms(const db_state *db)
{
    return dure_iocp_core_elapsed_ns(dure_node_core(db->node)) / 1000000u;
}

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

/* A text that the store would not take; what is wrong with which character. */
static bool op_is_not_plain(db_op *op, const char *field, dure_str text)
{
    dure_plain_fault fault;
    char said[96];
    if (op->status != DURE_ERR_BAD_REQUEST) {
        return false;
    }
    (void)dure_plain_check(text, &fault);
    dure_request_fail(op->request, op->status, "%s: %s", field,
                      dure_plain_print(&fault, said, sizeof said));
    return true;
}

/*
 * Puts what op is to do in line once more, when the owner that it met has let go. The batch frees
 * op, so a copy goes on. NULL after it has answered that there is no memory.
 */
static void *op_again(const db_op *op, size_t size)
{
    db_op *copy = dure_mem_alloc(size);
    if (copy == NULL) {
        dure_request_fail(op->request, DURE_ERR_OVERLOADED, "out of memory");
        return NULL;
    }
    memcpy(copy, op, size);
    copy->status = DURE_OK;
    return copy;
}

/* ---- login ---- */

static dure_err login_apply(db_op *op, db_store *store)
{
    login_op *login = (login_op *)op;
    if (login->is_again) {
        return db_store_login_again(store, login->in.player, login->place.epoch, &login->released,
                                    &login->place, &login->owner);
    }
    return db_store_login(store, login->in.player, &login->session, &login->place, &login->old,
                          &login->owner, &login->created);
}

static void login_claim(login_op *login)
{
    login_op *again = op_again(&login->op, sizeof *login);
    if (again != NULL) {
        again->is_again = true;
        again->released = login->owner;
        db_claim(login->db->node, login->db->batch, &login->db->leases, &again->op,
                 again->in.player, &again->released);
    }
}

static void login_reply(db_op *op)
{
    login_op *login = (login_op *)op;
    if (op_is_not_plain(op, "name", login->in.player) ||
        op_failed(op, "player", login->in.player)) {
        return;
    }
    if (login->owner.node[0] != '\0') {
        login_claim(login);
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
    login->db = state;
    login->in = *in;
    login->session.client = in->client;
    (void)snprintf(login->session.gateway, sizeof login->session.gateway, "%.*s",
                   DURE_STR_ARG(in->gateway));
    db_batch_push(login->db->batch, &login->op);
}

/* ---- enter and save ---- */

static dure_err enter_apply(db_op *op, db_store *store)
{
    enter_op *enter = (enter_op *)op;
    return db_store_enter(store, enter->player, enter->room, &enter->self, &enter->released,
                          &enter->place, &enter->owner);
}

static void enter_claim(enter_op *enter)
{
    enter_op *again = op_again(&enter->op, sizeof *enter);
    if (again != NULL) {
        again->released = enter->owner;
        db_claim(enter->db->node, enter->db->batch, &enter->db->leases, &again->op, again->player,
                 &again->released);
    }
}

static void enter_reply(db_op *op)
{
    enter_op *enter = (enter_op *)op;
    if (op_is_not_plain(op, "room", enter->room) || op_failed(op, "player", enter->player)) {
        return;
    }
    if (enter->owner.node[0] != '\0') {
        enter_claim(enter);
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
    const dure_registry_node *peer = dure_request_peer(request);
    if (peer == NULL) {
        dure_request_fail(request, DURE_ERR_REFUSED, "only a node can own a player");
        return;
    }
    enter_op *enter = op_new(request, sizeof *enter, enter_apply, enter_reply);
    if (enter == NULL) {
        return;
    }
    enter->db = state;
    enter->player = in->player;
    enter->room = in->room;
    (void)snprintf(enter->self.node, sizeof enter->self.node, "%s", peer->id);
    enter->self.life = in->life;
    enter->self.epoch = in->epoch;
    db_batch_push(enter->db->batch, &enter->op);
}

static dure_err save_apply(db_op *op, db_store *store)
{
    const db_save_params *in = &((save_op *)op)->in;
    db_position position = {in->room, in->x, in->y};
    return db_store_save(store, in->player, &position, in->epoch, in->leaves);
}

static void save_reply(db_op *op)
{
    if (!op_failed(op, "player", ((save_op *)op)->in.player)) {
        db_reply_save(op->request);
    }
}

static void on_save(dure_request *request, const db_save_params *in, void *state)
{
    save_op *save = op_new(request, sizeof *save, save_apply, save_reply);
    if (save != NULL) {
        save->in = *in;
        db_batch_push(((db_state *)state)->batch, &save->op);
    }
}

/* ---- leases ---- */

static void on_lease(dure_request *request, const db_lease_params *in, void *state)
{
    db_state *db = state;
    const dure_registry_node *peer = dure_request_peer(request);
    if (peer == NULL) {
        dure_request_fail(request, DURE_ERR_REFUSED, "only a node can have a lease");
        return;
    }
    if (in->ends) {
        db_lease_end(&db->leases, peer->id, in->life);
    } else if (db_lease_grant(&db->leases, peer->id, in->life, db_lease_clock_ms(db)) != DURE_OK) {
        dure_request_fail(request, DURE_ERR_OVERLOADED, "too many nodes have a lease");
        return;
    }
    db_lease_result out = {.lease_ms = db->leases.lease_ms};
    db_reply_lease(request, &out);
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
    } else if (op->status == DURE_ERR_NO_ROOM) {
        dure_request_fail(op->request, op->status, "count: \"%.*s\" cannot have so many \"%.*s\"",
                          DURE_STR_ARG(gift->to), DURE_STR_ARG(gift->item));
    } else if (op->status == DURE_ERR_INVALID) {
        dure_request_fail(
            op->request, DURE_ERR_BAD_REQUEST,
            "key: begins with its day in UTC, of today or before, such as 20261128-1");
    } else if (!op_is_not_plain(op, "item", gift->item) && !op_failed(op, "key", gift->key)) {
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
            .epoch = in->epoch,
            .keys_days = db->keys.days,
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
        inventory->op.is_reading = true;
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
        db_leases_fini(&db->leases);
        db_store_close(db->store);
        dure_mem_free(db);
    }
}

/* Job thread. */
static void forget_work(void *ctx)
{
    db_state *db = ctx;
    dure_err ignored = db_store_forget_lease(db->store, db->leases.lease_ms);
    (void)ignored; /* where it failed the next start waits longer than it would have to */
}

static void forget_done(dure_node *node, void *ctx)
{
    (void)node;
    (void)ctx;
}

static void forget_former_leases(dure_node *node, void *ctx, dure_err status)
{
    if (status == DURE_OK && !dure_node_is_stopping(node) &&
        !db_store_is_broken(((db_state *)ctx)->store)) {
        dure_err ignored = dure_node_job(node, forget_work, forget_done, ctx);
        (void)ignored; /* as above */
    }
}

/* Longer leases than those of now may last from before: the file knows the longest. */
static dure_err db_open_leases(db_state *db)
{
    const dure_registry *registry = dure_rpc_registry(dure_node_rpc(db->node));
    const uint32_t nodes = (uint32_t)dure_registry_node_count(registry);
    const uint32_t lease_ms = (uint32_t)dure_node_setting_int(db->node, "lease_ms", DB_LEASE_MS);
    uint32_t longest_ms = lease_ms;
    const uint64_t now_ms = db_lease_clock_ms(db);
    dure_err err = db_store_lease(db->store, lease_ms, &longest_ms);
    if (err == DURE_OK) {
        err = db_leases_init(&db->leases, nodes, lease_ms, longest_ms, now_ms);
    }
    if (err == DURE_OK && longest_ms > lease_ms) {
        const uint64_t over_ms = db_lease_former_end(&db->leases) - now_ms;
        err = dure_node_after(db->node, (uint32_t)over_ms + 1, forget_former_leases, db);
    }
    return err;
}

static dure_err db_on_start(dure_node *node, void **out_state)
{
    db_state *db = dure_mem_alloc(sizeof *db);
    if (db == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    db->node = node;
    int64_t batch_max = dure_node_setting_int(node, "batch_max", DB_BATCH_MAX);
    int64_t keys_days = dure_node_setting_int(node, "gift_keys_days", 0);
    dure_err err = db_open(db);
    if (err == DURE_OK) {
        err = db_open_leases(db);
    }
    if (err == DURE_OK) {
        err = db_batch_create(node, db->store, (uint32_t)batch_max, &db->batch);
    }
    if (err == DURE_OK) {
        err = db_keys_start(&db->keys, node, db->store, (uint32_t)keys_days);
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
