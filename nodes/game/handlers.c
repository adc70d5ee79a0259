/* SPDX-License-Identifier: MIT
 *
 * The role game: what clients ask (whoami, move, chat, inventory, give), what gateways ask (login,
 * enter, leave), and the tick.
 */
#include "base/assert.h"
#include "base/mem.h"
#include "db.schema.h"
#include "game.role.h"
#include "gateway.schema.h"
#include "nodes/game/game.h"
#include "nodes/game/push.h"
#include "nodes/game/role.h"
#include "nodes/game/save.h"

#define GAME_TICK_MS       50
#define GAME_SAVE_MS       500
#define GAME_KICK_MS       1500u
#define GAME_LEASE_ASK_MS  1000u /* taken for the length of a lease until db has told it */
#define GAME_HAND_BACK_MS  2000u /* for gateways to take their players out of a node that stops */
#define GAME_NAMES_BYTES   (WORLD_NAMES_MAX * (WORLD_NAME_BYTES_MAX + 3u) + 5u)
#define GAME_MESSAGE_BYTES (64u * 1024u)

/* A step of a longer answer: kept from one call to the next. */
typedef struct step_ctx {
    game *g;
    dure_request *request;
    dure_buf body;      /* the answer so far, where one is */
    uint64_t player_id; /* of a write: who is FENCED where db says so */
    uint64_t epoch;
} step_ctx;

static step_ctx *step_new(game *g, dure_request *request)
{
    step_ctx *step = dure_mem_alloc(sizeof *step);
    if (step == NULL) {
        dure_request_fail(request, DURE_ERR_OVERLOADED, "out of memory");
        return NULL;
    }
    step->g = g;
    step->request = request;
    dure_buf_init(&step->body, GAME_MESSAGE_BYTES);
    dure_request_hold(request);
    return step;
}

static void step_free(step_ctx *step)
{
    dure_buf_fini(&step->body);
    dure_mem_free(step);
}

/* A call that could not be made answers the request. */
static void step_not_called(step_ctx *step, dure_err err)
{
    dure_request_fail(step->request, DURE_ERR_UNAVAILABLE, "%s", dure_err_text(err));
    step_free(step);
}

/* The player that a client's request comes from; answers NO_PLAYER where it is not here. */
static world_player *player_of(game *g, dure_request *request)
{
    world_client client;
    memset(&client, 0, sizeof client);
    client.gateway = dure_request_peer(request);
    client.session = dure_request_subject(request);
    world_player *player = game_holds_lease(g) ? world_find_client(g->world, client) : NULL;
    if (player == NULL || player->is_leaving) {
        player = NULL;
        dure_request_fail(request, DURE_ERR_NO_PLAYER, "%s", dure_err_text(DURE_ERR_NO_PLAYER));
    }
    return player;
}

/* ---- what clients ask ---- */

static void on_whoami(dure_request *request, const game_whoami_params *in, void *state)
{
    game *g = state;
    (void)in;
    const world_player *player = player_of(g, request);
    if (player != NULL) {
        game_whoami_result out = {
            .player = dure_str_of(player->name),
            .room = dure_str_of(player->room->name),
            .node = dure_str_of(dure_node_id(g->node)),
        };
        game_reply_whoami(request, &out);
    }
}

static void on_move(dure_request *request, const game_move_params *in, void *state)
{
    game *g = state;
    world_player *player = player_of(g, request);
    if (player == NULL) {
        return;
    }
    player->x = in->x;
    player->y = in->y;
    game_save_mark(g, player);
    /* Kept for the tick. A room whose moves fill the buffer loses the surplus: the next move tells
     * more. */
    if (dure_list_is_empty(&player->room->in_moved)) {
        dure_list_push_back(&g->moved, &player->room->in_moved);
    }
    dure_packer packer = dure_packer_of(&player->room->moves);
    dure_packer_u64(&packer, player->id);
    dure_packer_number(&packer, in->x);
    dure_packer_number(&packer, in->y);
    game_move_result out = {.x = in->x, .y = in->y};
    game_reply_move(request, &out);
}

static void on_chat(dure_request *request, const game_chat_params *in, void *state)
{
    game *g = state;
    const world_player *player = player_of(g, request);
    if (player == NULL) {
        return;
    }
    dure_buf event;
    dure_buf_init(&event, GAME_MESSAGE_BYTES);
    dure_packer packer = dure_packer_of(&event);
    game_chat_event chat = {.from = dure_str_of(player->name), .text = in->text};
    game_encode_chat_event(&packer, &chat);
    uint32_t sent = 0;
    if (packer.status == DURE_OK) {
        sent =
            game_push_to_room(g, player->room, player, "chat", (dure_slice){event.data, event.len});
    }
    dure_buf_fini(&event);
    game_reply_chat(request, sent);
}

/* Passes db's answer on undecoded. What only reads has changed nothing, however it ended. */
static void on_db_read(void *ctx, const dure_outcome *outcome)
{
    step_ctx *step = ctx;
    if (outcome->status == DURE_ERR_OUTCOME_UNKNOWN) {
        dure_request_fail(step->request, DURE_ERR_UNAVAILABLE, "the db node went away");
    } else {
        dure_request_forward(step->request, outcome);
    }
    step_free(step);
}

static void on_inventory(dure_request *request, const game_inventory_params *in, void *state)
{
    game *g = state;
    (void)in;
    const world_player *player = player_of(g, request);
    step_ctx *step = player != NULL ? step_new(g, request) : NULL;
    if (step == NULL) {
        return;
    }
    dure_packer *packer = dure_rpc_call_begin(g->rpc);
    db_inventory_params ask = {.player = dure_str_of(player->name)};
    db_encode_inventory_params(packer, &ask);
    dure_target db = game_db();
    dure_call_options options = game_call_options(request);
    options.method_flags = DURE_METHOD_IDEMPOTENT;
    options.ends_with_request = true;
    dure_call_id call;
    dure_err err = dure_rpc_call_send(g->rpc, &db, DB_METHOD_INVENTORY, &options, on_db_read, NULL,
                                      step, &call);
    if (err != DURE_OK) {
        step_not_called(step, err);
    }
}

/* FENCED: nothing was given, and the player is another node's or another login's by now. */
static void give_failed(const step_ctx *step, const dure_outcome *outcome)
{
    world_player *player = world_find_id(step->g->world, step->player_id);
    if (outcome->status != DURE_ERR_FENCED) {
        dure_request_forward(step->request, outcome);
        return;
    }
    if (player != NULL && player->epoch == step->epoch) {
        game_fenced(step->g, player);
    }
    dure_request_fail(step->request, DURE_ERR_NO_PLAYER, "the player has another owner");
}

static void on_given(void *ctx, const dure_outcome *outcome, const db_give_result *result)
{
    step_ctx *step = ctx;
    if (result == NULL) {
        give_failed(step, outcome);
    } else {
        game_give_result out = {.balance = result->balance};
        game_reply_give(step->request, &out);
    }
    step_free(step);
}

static void on_give(dure_request *request, const game_give_params *in, void *state)
{
    game *g = state;
    const world_player *player = player_of(g, request);
    if (player == NULL) {
        return;
    }
    if (dure_str_equal(in->to, dure_str_of(player->name))) {
        dure_request_fail(request, DURE_ERR_BAD_REQUEST, "to: a player cannot give to itself");
        return;
    }
    step_ctx *step = step_new(g, request);
    if (step == NULL) {
        return;
    }
    step->player_id = player->id;
    step->epoch = player->epoch;
    db_give_params gift = {
        .from = dure_str_of(player->name),
        .to = in->to,
        .item = in->item,
        .count = in->count,
        .key = in->has_key ? in->key : (dure_str){NULL, 0},
        .epoch = player->epoch,
    };
    dure_target db = game_db();
    dure_call_options options = game_call_options(request);
    options.ends_with_request = true;
    options.retry = gift.key.len > 0 ? DURE_RETRY_SAFE : DURE_RETRY_BY_METHOD;
    dure_call_id call;
    dure_err err = db_call_give(g->rpc, &db, &gift, &options, on_given, step, &call);
    if (err != DURE_OK) {
        step_not_called(step, err);
    }
}

/* ---- what gateways ask: login ---- */

static void login_finish(step_ctx *step)
{
    dure_request_reply(step->request, (dure_slice){step->body.data, step->body.len});
    step_free(step);
}

static void on_kicked(void *ctx, const dure_outcome *outcome, const gateway_kick_result *result)
{
    /* Whatever came of it: a gateway that does not answer has no living session to speak of. */
    (void)outcome;
    (void)result;
    login_finish(ctx);
}

/* Tells the gateway of the older session, where there may be one. True: on_kicked will finish. */
static bool login_kick(step_ctx *step, const db_login_result *login)
{
    game *g = step->g;
    char gateway[DURE_NODE_ID_MAX + 1];
    if (login->old_gateway.len == 0 || login->old_gateway.len > DURE_NODE_ID_MAX) {
        return false;
    }
    memcpy(gateway, login->old_gateway.data, login->old_gateway.len);
    gateway[login->old_gateway.len] = '\0';
    /* A gateway whose numbers are not new ones would end the very login that asks. */
    if (strcmp(gateway, dure_request_peer(step->request)->id) == 0 &&
        login->old_client == dure_request_subject(step->request)) {
        return false;
    }
    if (dure_rpc_peer_state(g->rpc, gateway) != DURE_PEER_UP) {
        return false;
    }
    gateway_kick_params kick = {
        .client = login->old_client, .player = login->player, .epoch = login->epoch};
    dure_target target = dure_to_node(gateway);
    dure_call_options options = {.deadline_ms = GAME_KICK_MS};
    dure_call_id call;
    return gateway_call_kick(g->rpc, &target, &kick, &options, on_kicked, step, &call) == DURE_OK;
}

static void on_logged_in(void *ctx, const dure_outcome *outcome, const db_login_result *login)
{
    step_ctx *step = ctx;
    if (login == NULL) {
        dure_request_forward(step->request, outcome);
        step_free(step);
        return;
    }
    dure_packer packer = dure_packer_of(&step->body);
    game_login_result out = {.player = login->player, .room = login->room, .epoch = login->epoch};
    game_encode_login_result(&packer, &out);
    if (packer.status != DURE_OK) {
        dure_request_fail(step->request, DURE_ERR_OVERLOADED, "out of memory");
        step_free(step);
    } else if (!login_kick(step, login)) {
        login_finish(step);
    }
}

/* Answers, where the node takes in no player now. */
static bool is_closed_for_players(game *g, dure_request *request)
{
    if (dure_node_is_stopping(g->node)) {
        dure_request_fail(request, DURE_ERR_UNAVAILABLE, "the node is stopping");
        return true;
    }
    if (!game_holds_lease(g)) { /* it may have waited here while the process was stopped */
        dure_request_fail(request, DURE_ERR_UNAVAILABLE, "the node has no lease from db");
        return true;
    }
    return false;
}

static void on_ready(dure_request *request, const game_ready_params *in, void *state)
{
    (void)in;
    if (!is_closed_for_players(state, request)) {
        game_reply_ready(request);
    }
}

static void on_login(dure_request *request, const game_login_params *in, void *state)
{
    game *g = state;
    const dure_registry_node *gateway = dure_request_peer(request);
    if (gateway == NULL) {
        dure_request_fail(request, DURE_ERR_REFUSED, "only a gateway may log a player in");
        return;
    }
    if (is_closed_for_players(g, request)) {
        return;
    }
    step_ctx *step = step_new(g, request);
    if (step == NULL) {
        return;
    }
    db_login_params ask = {
        .player = in->name,
        .gateway = dure_str_of(gateway->id),
        .client = dure_request_subject(request),
    };
    dure_target db = game_db();
    dure_call_options options = game_call_options(request);
    dure_call_id call;
    dure_err err = db_call_login(g->rpc, &db, &ask, &options, on_logged_in, step, &call);
    if (err != DURE_OK) {
        step_not_called(step, err);
    }
}

/* ---- what gateways ask: enter and leave ---- */

/* db has the room in the player's row by now, so this is no refusal. */
static void enter_failed(dure_request *request, dure_err err)
{
    dure_request_fail(request, DURE_ERR_OUTCOME_UNKNOWN, "the player could not come in here: %s",
                      dure_err_text(err));
}

static void enter_reply(dure_request *request, const world_room *room, uint32_t names_max)
{
    dure_buf names;
    uint32_t count = 0;
    dure_buf_init(&names, GAME_NAMES_BYTES);
    dure_err err = world_pack_names(room, names_max, &names, &count);
    if (err == DURE_OK) {
        game_enter_result out = {
            .room = dure_str_of(room->name),
            .players = {.raw = {names.data, names.len}, .count = count},
            .total = room->player_count,
        };
        game_reply_enter(request, &out);
    } else {
        enter_failed(request, err);
    }
    dure_buf_fini(&names);
}

typedef struct enter_ctx {
    game *g;
    dure_request *request;
    dure_str player; /* lent by the held request */
    world_client client;
    uint64_t epoch;
    uint32_t names_max;
    uint32_t lease_number; /* at the time of asking */
} enter_ctx;

/* Whether this node's lease has lasted since db was asked: else db may have taken it for dead. */
static bool has_kept_lease(const enter_ctx *enter)
{
    return game_holds_lease(enter->g) && enter->g->lease.number == enter->lease_number;
}

/* Whether a newer session of the player is here already. */
static bool is_taken_over(const enter_ctx *enter)
{
    const world_player *player = world_find(enter->g->world, enter->player);
    return player != NULL && player->epoch > enter->epoch;
}

static void on_entered(void *ctx, const dure_outcome *outcome, const db_enter_result *place)
{
    enter_ctx *enter = ctx;
    dure_request *request = enter->request;
    if (place == NULL) {
        dure_request_forward(request, outcome);
    } else if (dure_request_is_cancelled(request)) {
        dure_request_fail(request, DURE_ERR_CANCELLED, "the gateway gave it up");
    } else if (is_taken_over(enter)) {
        dure_request_fail(request, DURE_ERR_TAKEN_OVER, "the player logged in from another place");
    } else if (!has_kept_lease(enter)) {
        /* db has the room in the player's row by now. */
        dure_request_fail(request, DURE_ERR_OUTCOME_UNKNOWN,
                          "the lease of the node ended meanwhile");
    } else {
        world_player *player = NULL;
        dure_err err =
            world_enter(enter->g->world, enter->player, place->room, enter->client, &player);
        if (err != DURE_OK) {
            enter_failed(request, err);
        } else {
            if (!player->is_dirty && !player->is_saving) {
                player->x = place->x;
                player->y = place->y;
            }
            player->epoch = enter->epoch;
            player->is_leaving = false;
            enter_reply(request, player->room, enter->names_max);
        }
    }
    dure_mem_free(enter);
}

static void on_enter(dure_request *request, const game_enter_params *in, void *state)
{
    game *g = state;
    if (is_closed_for_players(g, request)) {
        return;
    }
    enter_ctx *enter = dure_mem_alloc(sizeof *enter);
    if (enter == NULL) {
        dure_request_fail(request, DURE_ERR_OVERLOADED, "out of memory");
        return;
    }
    dure_request_hold(request);
    enter->g = g;
    enter->request = request;
    enter->player = in->player;
    enter->epoch = in->epoch;
    enter->names_max = in->names_max;
    enter->lease_number = g->lease.number;
    enter->client.gateway = dure_request_peer(request);
    enter->client.session = dure_request_subject(request);
    db_enter_params ask = {
        .player = in->player,
        .room = in->room,
        .epoch = in->epoch,
        .life = g->lease.life,
    };
    dure_target db = game_db();
    dure_call_options options = game_call_options(request);
    dure_call_id call;
    dure_err err = db_call_enter(g->rpc, &db, &ask, &options, on_entered, enter, &call);
    if (err != DURE_OK) {
        dure_request_fail(request, DURE_ERR_UNAVAILABLE, "%s", dure_err_text(err));
        dure_mem_free(enter);
    }
}

static void on_left(game *g, dure_request *request, dure_err status)
{
    (void)g;
    if (status == DURE_OK || status == DURE_ERR_FENCED) { /* another's player has left this node */
        game_reply_leave(request);
    } else {
        dure_request_fail(request, DURE_ERR_UNAVAILABLE, "the place could not be saved: %s",
                          dure_err_text(status));
    }
}

static void on_leave(dure_request *request, const game_leave_params *in, void *state)
{
    game *g = state;
    world_player *player = world_find(g->world, in->player);
    /* A newer session of the same player is not the one that leaves. */
    if (player == NULL || player->epoch > in->epoch) {
        game_reply_leave(request);
        return;
    }
    game_save_and_leave(g, player, request, on_left);
}

/* ---- what db asks ---- */

/* Also where the place was not saved: the player is out, which is what db has to know. */
static void on_given_up(game *g, dure_request *request, dure_err status)
{
    (void)status;
    game_revoke_result out = {.life = g->lease.life};
    game_reply_revoke(request, &out);
}

static void on_revoke(dure_request *request, const game_revoke_params *in, void *state)
{
    game *g = state;
    world_player *player = world_find(g->world, in->player);
    if (player == NULL || player->epoch > in->epoch) {
        on_given_up(g, request, DURE_OK);
        return;
    }
    game_tell_dropped(g, player);
    game_save_and_leave(g, player, request, on_given_up);
}

/* ---- the tick ---- */

static void push_move(game *g, const world_room *room, uint64_t player_id, double x, double y)
{
    const world_player *player = world_find_id(g->world, player_id);
    if (player == NULL || player->room != room) {
        return;
    }
    dure_buf event;
    dure_buf_init(&event, GAME_MESSAGE_BYTES);
    dure_packer packer = dure_packer_of(&event);
    game_moved_event moved = {.who = dure_str_of(player->name), .x = x, .y = y};
    game_encode_moved_event(&packer, &moved);
    if (packer.status == DURE_OK) {
        (void)game_push_to_room(g, room, player, "moved", (dure_slice){event.data, event.len});
    }
    dure_buf_fini(&event);
}

static void push_moves(game *g, world_room *room)
{
    dure_cursor cursor = dure_cursor_of(room->moves.data, room->moves.len);
    uint64_t id;
    double x;
    double y;
    while (dure_cursor_left(&cursor) > 0 && dure_cursor_u64(&cursor, &id) == DURE_OK &&
           dure_cursor_number(&cursor, &x) == DURE_OK &&
           dure_cursor_number(&cursor, &y) == DURE_OK) {
        push_move(g, room, id, x, y);
    }
    dure_buf_release(&room->moves);
}

/* The end of a stop: whoever is still here is saved and given up. */
static void game_let_all_go(game *g)
{
    world_player *player = world_next_player(g->world, NULL);
    while (player != NULL) {
        world_player *next = world_next_player(g->world, player);
        game_save_and_leave(g, player, NULL, NULL);
        player = next;
    }
    game_lease_end(g); /* behind those saves, on the same link */
    g->stop_due_ms = 0;
    dure_node_release_stop(g->node);
}

/* Gateways have heard that this node drains, and take their players out. */
static void game_stop_step(game *g)
{
    bool is_due = dure_iocp_core_now_ms(dure_node_core(g->node)) >= g->stop_due_ms;
    if (is_due || world_next_player(g->world, NULL) == NULL) {
        game_let_all_go(g);
    }
}

static void game_on_tick(dure_node *node, void *state)
{
    game *g = state;
    (void)node;
    if (g->stop_due_ms != 0) {
        game_stop_step(g);
    }
    game_lease_tick(g);
    if (!game_holds_lease(g)) {
        return; /* nobody is here */
    }
    dure_list *moved;
    while ((moved = dure_list_pop_front(&g->moved)) != NULL) {
        push_moves(g, DURE_CONTAINER_OF(moved, world_room, in_moved));
    }
    game_save_due(g);
}

/* ---- life ---- */

static void game_on_peer_up(dure_node *node, const dure_registry_node *peer, void *state)
{
    game *g = state;
    (void)node;
    if (strcmp(peer->role, game_db().name) == 0) {
        game_save_kept(g); /* before anybody enters under a later epoch */
        game_lease_renew(g);
    }
}

/* Players behind a gateway that is gone have no session any more. */
static void game_on_peer_down(dure_node *node, const dure_registry_node *peer, dure_err cause,
                              void *state)
{
    game *g = state;
    (void)node;
    (void)cause;
    world_player *player = world_next_player(g->world, NULL);
    while (player != NULL) {
        world_player *next = world_next_player(g->world, player);
        if (player->client.gateway == peer) {
            game_save_and_leave(g, player, NULL, NULL);
        }
        player = next;
    }
}

static void game_on_stop(dure_node *node, void *state)
{
    game *g = state;
    g->stop_due_ms = dure_iocp_core_now_ms(dure_node_core(node)) + GAME_HAND_BACK_MS;
    dure_node_hold_stop(node);
    game_stop_step(g);
}

static void game_on_end(dure_node *node, void *state)
{
    game *g = state;
    (void)node;
    if (g != NULL) {
        world_destroy(g->world);
        game_save_forget(g);
        dure_mem_free(g);
    }
}

static dure_err game_on_start(dure_node *node, void **out_state)
{
    game *g = dure_mem_alloc(sizeof *g);
    if (g == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    g->node = node;
    g->rpc = dure_node_rpc(node);
    g->save_ms = (uint32_t)dure_node_setting_int(node, "save_ms", GAME_SAVE_MS);
    g->lease.lease_ms = GAME_LEASE_ASK_MS;
    dure_list_init(&g->kept);
    dure_list_init(&g->dirty);
    dure_list_init(&g->moved);
    dure_err err =
        dure_iocp_core_entropy(dure_node_core(node), &g->lease.life, sizeof g->lease.life);
    g->lease.life = g->lease.life >> 1 | 1;
    if (err == DURE_OK) {
        err = world_create(&g->world);
    }
    if (err != DURE_OK) {
        game_on_end(node, g);
        return err;
    }
    *out_state = g;
    return DURE_OK;
}

const dure_role dure_role_game = {
    .name = "game",
    .methods = game_methods,
    .schema_hash = game_schema_hash,
    .tick_ms = GAME_TICK_MS,
    .on_start = game_on_start,
    .on_stop = game_on_stop,
    .on_end = game_on_end,
    .on_tick = game_on_tick,
    .on_peer_up = game_on_peer_up,
    .on_peer_down = game_on_peer_down,
};
