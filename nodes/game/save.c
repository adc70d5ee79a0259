/* SPDX-License-Identifier: MIT
 *
 * Saves carry the player's id and a copy of its place, because the player may have left when they
 * are answered.
 */
#include "nodes/game/save.h"

#include "base/mem.h"
#include "db.schema.h"

#define SAVES_KEPT_MAX 65536u

typedef struct save_ctx {
    game *g;
    uint64_t player_id;
    char player[WORLD_NAME_BYTES_MAX + 1];
    char room[WORLD_NAME_BYTES_MAX + 1];
    double x;
    double y;
    uint64_t epoch;
    bool leaves;           /* gives the player up */
    dure_request *request; /* of who wants it to go; may be NULL */
    game_left_fn on_left;
    dure_list in_kept;
} save_ctx;

void game_save_mark(game *g, world_player *player)
{
    if (!player->is_dirty) {
        player->is_dirty = true;
        player->dirty_since_ms = dure_iocp_core_now_ms(dure_node_core(g->node));
        dure_list_push_back(&g->dirty, &player->in_dirty);
    }
}

void game_save_unmark(world_player *player)
{
    player->is_dirty = false;
    dure_list_remove(&player->in_dirty);
}

static void left(save_ctx *save, dure_err status)
{
    if (save->request != NULL) {
        save->on_left(save->g, save->request, status);
        save->request = NULL;
    }
}

/* Whether db has decided, so that asking again would change nothing. */
static bool is_decided(const dure_outcome *outcome)
{
    return outcome->status == DURE_OK || outcome->status == DURE_ERR_FENCED ||
           outcome->status == DURE_ERR_NOT_FOUND;
}

static void save_keep_or_free(save_ctx *save, bool keep)
{
    game *g = save->g;
    if (keep && g->kept_count < SAVES_KEPT_MAX) {
        dure_list_push_back(&g->kept, &save->in_kept);
        g->kept_count++;
    } else {
        dure_mem_free(save);
    }
}

static void on_saved(void *ctx, const dure_outcome *outcome, const db_save_result *result)
{
    save_ctx *save = ctx;
    game *g = save->g;
    (void)result;
    world_player *player = world_find_id(g->world, save->player_id);
    bool is_kept = !is_decided(outcome) && (save->leaves || player == NULL);
    if (player != NULL && player->epoch == save->epoch && save->leaves) {
        world_leave(g->world, player);
    } else if (player != NULL) { /* it stays, perhaps as one of a newer epoch */
        player->is_saving = false;
        if (outcome->status == DURE_ERR_FENCED && player->epoch == save->epoch) {
            game_fenced(g, player);
        } else if (outcome->status != DURE_OK) {
            game_save_mark(g, player); /* the next tick tries again */
        }
    }
    left(save, outcome->status);
    save_keep_or_free(save, is_kept);
}

static dure_err save_send(save_ctx *save)
{
    db_save_params in = {
        .player = dure_str_of(save->player),
        .room = dure_str_of(save->room),
        .x = save->x,
        .y = save->y,
        .epoch = save->epoch,
        .leaves = save->leaves,
    };
    dure_target db = game_db();
    /* What is lost is saved again, or kept. */
    dure_call_options options = {.retry = DURE_RETRY_NEVER};
    dure_call_id call;
    return db_call_save(save->g->rpc, &db, &in, &options, on_saved, save, &call);
}

static dure_err save_start(game *g, world_player *player, bool leaves, dure_request *request,
                           game_left_fn on_left)
{
    save_ctx *save = dure_mem_alloc(sizeof *save);
    if (save == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    *save = (save_ctx){
        .g = g,
        .player_id = player->id,
        .x = player->x,
        .y = player->y,
        .epoch = player->epoch,
        .leaves = leaves,
        .request = request,
        .on_left = on_left,
    };
    memcpy(save->player, player->name, sizeof save->player);
    memcpy(save->room, player->room->name, sizeof save->room);
    dure_list_init(&save->in_kept);
    dure_err err = save_send(save);
    if (err != DURE_OK) {
        dure_mem_free(save);
        return err;
    }
    player->is_saving = true;
    game_save_unmark(player);
    return DURE_OK;
}

void game_save_due(game *g)
{
    uint64_t now_ms = dure_iocp_core_now_ms(dure_node_core(g->node));
    dure_list *next;
    for (dure_list *at = g->dirty.next; at != &g->dirty; at = next) {
        world_player *player = DURE_CONTAINER_OF(at, world_player, in_dirty);
        next = at->next; /* a save takes its player out of the list */
        if (now_ms - player->dirty_since_ms < g->save_ms) {
            return; /* those behind it are younger */
        }
        if (!player->is_saving && save_start(g, player, false, NULL, NULL) != DURE_OK) {
            return; /* no memory: the next tick tries again */
        }
    }
}

void game_save_and_leave(game *g, world_player *player, dure_request *request, game_left_fn on_left)
{
    if (request != NULL) {
        dure_request_hold(request);
    }
    /* One that is on its way may be older than the place: calls of one link arrive in order, so the
     * last save wins. */
    dure_err err = save_start(g, player, true, request, on_left);
    if (err == DURE_OK) {
        player->is_leaving = true;
        return;
    }
    world_leave(g->world, player);
    if (request != NULL) {
        on_left(g, request, err);
    }
}

void game_save_and_drop(game *g, world_player *player)
{
    if (player->is_dirty) {
        dure_err ignored = save_start(g, player, true, NULL, NULL);
        (void)ignored; /* no memory: the player is out all the same */
    }
    world_leave(g->world, player);
}

void game_save_kept(game *g)
{
    dure_list taken;
    dure_list *node;
    dure_list_init(&taken);
    dure_list_move_all(&taken, &g->kept);
    g->kept_count = 0;
    while ((node = dure_list_pop_front(&taken)) != NULL) {
        save_ctx *save = DURE_CONTAINER_OF(node, save_ctx, in_kept);
        if (save_send(save) != DURE_OK) {
            save_keep_or_free(save, true);
        }
    }
}

void game_save_forget(game *g)
{
    dure_list *node;
    while ((node = dure_list_pop_front(&g->kept)) != NULL) {
        dure_mem_free(DURE_CONTAINER_OF(node, save_ctx, in_kept));
    }
}
