/* SPDX-License-Identifier: MIT
 *
 * Asking for leases, and letting go of players.
 */
#include "nodes/game/lease.h"

#include "db.schema.h"
#include "gateway.schema.h"
#include "nodes/game/save.h"

uint64_t game_lease_clock_ms(const struct game *g)
{
    return dure_iocp_core_elapsed_ns(dure_node_core(g->node)) / 1000000u;
}

void game_tell_dropped(game *g, const world_player *player)
{
    gateway_dropped_params in = {.client = player->client.session, .epoch = player->epoch};
    dure_target target = dure_to_node(player->client.gateway->id);
    dure_err ignored = gateway_notify_dropped(g->rpc, &target, 0, &in);
    (void)ignored; /* a gateway that is away has no player to bring in again */
}

/* Out of its room at once; what it did and is not saved yet goes its own way to db. */
static void let_go(game *g, world_player *player)
{
    game_tell_dropped(g, player);
    game_save_and_drop(g, player);
}

static void lease_lost(game *g)
{
    uint64_t count = 0;
    g->lease.until_ms = 0;
    g->lease.number++;
    world_player *player;
    while ((player = world_next_player(g->world, NULL)) != NULL) {
        let_go(g, player);
        count++;
    }
    g->lease.dropped_count += count;
    dure_log_write(dure_node_log(g->node), DURE_LOG_WARN, "game", "LEASE_LOST",
                   "players=%llu total=%llu", (unsigned long long)count,
                   (unsigned long long)g->lease.dropped_count);
}

bool game_holds_lease(game *g)
{
    if (g->lease.until_ms == 0) {
        return false;
    }
    if (!game_lease_lasts(&g->lease, game_lease_clock_ms(g))) {
        lease_lost(g);
        return false;
    }
    return true;
}

static void on_leased(void *ctx, const dure_outcome *outcome, const db_lease_result *result)
{
    game *g = ctx;
    (void)outcome;
    g->lease.is_asking = false;
    (void)game_holds_lease(g); /* a gap is seen before it is closed */
    if (result != NULL && !g->has_ended_lease) {
        game_lease_grant(&g->lease, g->lease.asked_ms, result->lease_ms);
        if (!game_lease_lasts(&g->lease, game_lease_clock_ms(g))) {
            g->lease.until_ms = 0;
            return;
        }
        game_save_kept(g);
    }
}

static dure_err lease_ask(game *g, bool ends)
{
    db_lease_params in = {.life = g->lease.life, .ends = ends};
    dure_target db = game_db();
    dure_call_id call;
    dure_call_options options = {.deadline_ms = g->lease.lease_ms / 2, .retry = DURE_RETRY_NEVER};
    return db_call_lease(g->rpc, &db, &in, &options, on_leased, g, &call);
}

void game_lease_tick(game *g)
{
    if (game_lease_is_due(&g->lease, game_lease_clock_ms(g))) {
        game_lease_renew(g);
    }
}

void game_lease_renew(game *g)
{
    uint64_t now_ms = game_lease_clock_ms(g);
    if (g->has_ended_lease || g->lease.is_asking) {
        return;
    }
    g->lease.asked_ms = now_ms;
    g->lease.is_asking = lease_ask(g, false) == DURE_OK;
}

void game_lease_end(game *g)
{
    g->has_ended_lease = true;
    g->lease.until_ms = 0;
    dure_err ignored = lease_ask(g, true);
    (void)ignored; /* it ends by itself */
}

void game_fenced(game *g, world_player *player)
{
    g->lease.fenced_count++;
    dure_log_write(dure_node_log(g->node), DURE_LOG_WARN, "game", "PLAYER_FENCED",
                   "epoch=%llu total=%llu", (unsigned long long)player->epoch,
                   (unsigned long long)g->lease.fenced_count);
    game_save_unmark(player);
    let_go(g, player);
}
