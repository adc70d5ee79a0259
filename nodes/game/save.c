/* SPDX-License-Identifier: MIT
 *
 * Saves carry the player's id, because the player may have left when they are answered.
 */
#include "nodes/game/save.h"

#include "base/mem.h"
#include "db.schema.h"
#include "game.schema.h"

typedef struct save_ctx {
    game *g;
    uint64_t player_id;
    uint64_t epoch;
    bool is_leaving;
    dure_request *request; /* of a leave; may be NULL */
} save_ctx;

void game_save_mark(game *g, world_player *player)
{
    if (!player->is_dirty) {
        player->is_dirty = true;
        player->dirty_since_ms = dure_iocp_core_now_ms(dure_node_core(g->node));
    }
}

static void leave_answer(dure_request *request, dure_err status)
{
    if (request == NULL) {
        return;
    }
    if (status == DURE_OK) {
        game_reply_leave(request);
    } else {
        dure_request_fail(request, DURE_ERR_UNAVAILABLE, "the place could not be saved: %s",
                          dure_err_text(status));
    }
}

static void on_saved(void *ctx, const dure_outcome *outcome, const db_save_result *result)
{
    save_ctx *save = ctx;
    game *g = save->g;
    (void)result;
    world_player *player = world_find_id(g->world, save->player_id);
    if (player != NULL) {
        player->is_saving = false;
        if (outcome->status != DURE_OK) {
            game_save_mark(g, player); /* the next tick tries again */
        }
        if (save->is_leaving && player->epoch == save->epoch) { /* a newer session stays */
            world_leave(g->world, player);
        }
    }
    if (save->is_leaving) {
        leave_answer(save->request, outcome->status);
    }
    dure_mem_free(save);
}

static dure_err save_start(game *g, world_player *player, bool is_leaving, dure_request *request)
{
    save_ctx *save = dure_mem_alloc(sizeof *save);
    if (save == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    *save = (save_ctx){g, player->id, player->epoch, is_leaving, request};
    db_save_params in = {
        .player = dure_str_of(player->name),
        .room = dure_str_of(player->room->name),
        .x = player->x,
        .y = player->y,
        .epoch = player->epoch,
    };
    dure_target db = game_db();
    dure_call_id call;
    dure_err err = db_call_save(g->rpc, &db, &in, NULL, on_saved, save, &call);
    if (err != DURE_OK) {
        dure_mem_free(save);
        return err;
    }
    player->is_saving = true;
    player->is_dirty = false;
    return DURE_OK;
}

void game_save_due(game *g)
{
    uint64_t now_ms = dure_iocp_core_now_ms(dure_node_core(g->node));
    for (world_player *p = world_next_player(g->world, NULL); p != NULL;
         p = world_next_player(g->world, p)) {
        if (p->is_dirty && !p->is_saving && now_ms - p->dirty_since_ms >= g->save_ms) {
            if (save_start(g, p, false, NULL) != DURE_OK) {
                return; /* no memory: the next tick tries again */
            }
        }
    }
}

void game_save_and_leave(game *g, world_player *player, dure_request *request)
{
    if (request != NULL) {
        dure_request_hold(request);
    }
    /* One that is on its way may be older than the place: calls of one link arrive in order, so the
     * last save wins. */
    if (player->is_dirty || player->is_saving) {
        dure_err err = save_start(g, player, true, request);
        if (err == DURE_OK) {
            return;
        }
        leave_answer(request, err);
        world_leave(g->world, player);
        return;
    }
    world_leave(g->world, player);
    leave_answer(request, DURE_OK);
}
