/* SPDX-License-Identifier: MIT
 *
 * Leave, then enter. Steps carry the client's id, because the client may be gone when they end.
 */
#include "nodes/gateway/binding.h"

#include "base/mem.h"
#include "game.schema.h"
#include "nodes/gateway/session.h"

#define BIND_AGAIN_MAX 256u /* enters of the tick that are outstanding */
#define BIND_SOON_MS   1000u
#define BIND_AWAIT_MS  4000u /* less than a call's own deadline, so that it is told why */
#define BIND_NAMES_MAX 100u
#define BIND_LEAVE_MS  1000u /* then db takes the player from the former node */

typedef struct bind_step {
    gateway *g;
    uint64_t client;
    char room[GATEWAY_NAME_BYTES_MAX + 1];
    dure_request *request;
    gateway_bound_fn on_bound;
    bool is_again;                      /* begun by the tick */
    uint32_t enter_ms;                  /* 0: as long as the request has */
    uint32_t names_max;                 /* of the room's players: 0 for whom nobody will read */
    const dure_registry_node *entering; /* NULL: enter has not been called */
    /* to leave again where the client has gone while its player came in */
    char player[GATEWAY_NAME_BYTES_MAX + 1];
    uint64_t epoch;
} bind_step;

static dure_call_options bind_options(const bind_step *step)
{
    return (dure_call_options){.subject = step->client, .for_request = step->request};
}

static void on_unbound(void *ctx, const dure_outcome *outcome, const game_leave_result *result)
{
    (void)ctx;
    (void)result;
    (void)outcome; /* a node that cannot be reached has lost its players anyway */
}

static void send_leave(gateway *g, const dure_registry_node *node, uint64_t client,
                       const char *player, uint64_t epoch)
{
    game_leave_params in = {.player = dure_str_of(player), .epoch = epoch};
    dure_target target = dure_to_node(node->id);
    dure_call_options options = {.subject = client};
    dure_call_id call;
    dure_err ignored = game_call_leave(g->rpc, &target, &in, &options, on_unbound, NULL, &call);
    (void)ignored;
}

static bool is_inviting(const gateway *g, const dure_registry_node *node)
{
    return dure_rpc_peer_state(g->rpc, node->id) == DURE_PEER_UP &&
           !dure_rpc_peer_is_draining(g->rpc, node->id);
}

static void bind_end(bind_step *step, const dure_outcome *outcome, const game_enter_result *entered)
{
    gateway *g = step->g;
    gateway_client *client = gateway_client_find(&g->clients, step->client);
    g->entering -= step->is_again ? 1 : 0;
    if (client == NULL) {
        if (step->entering != NULL) { /* however it went: a lost answer may have been a yes */
            send_leave(g, step->entering, step->client, step->player, step->epoch);
        }
        if (step->request != NULL) {
            dure_request_fail(step->request, DURE_ERR_CANCELLED, "the client is gone");
        }
        dure_mem_free(step);
        return;
    }
    if (outcome->status == DURE_ERR_TAKEN_OVER) {
        if (step->request != NULL) {
            dure_request_forward(step->request, outcome);
        }
        gateway_session_end(g, client, DURE_ERR_TAKEN_OVER, GATEWAY_TAKEN_OVER_TEXT);
        dure_mem_free(step);
        return;
    }
    if (entered != NULL) {
        client->state = GATEWAY_CLIENT_BOUND;
        client->await_until_ms = 0;
        gateway_name_copy(client->room, entered->room);
    } else {
        client->state = GATEWAY_CLIENT_UNBOUND; /* and perhaps on client->node all the same */
    }
    if (step->on_bound != NULL) {
        step->on_bound(g, client, step->request, outcome, entered);
    }
    client = gateway_client_find(&g->clients, step->client);
    if (client != NULL && client->state == GATEWAY_CLIENT_BOUND &&
        dure_rpc_peer_is_draining(g->rpc, client->node->id)) {
        gateway_move_out(g, client); /* it began to drain while the player came in */
    } else if (client != NULL) {
        gateway_client_run_waiting(&g->clients, client, g);
    }
    dure_mem_free(step);
}

/* For what never left: an outcome of our own. */
static void bind_fail(bind_step *step, dure_err err)
{
    dure_outcome outcome = {.status = err, .code = (uint32_t)err};
    bind_end(step, &outcome, NULL);
}

static void on_entered(void *ctx, const dure_outcome *outcome, const game_enter_result *result)
{
    bind_step *step = ctx;
    bind_end(step, outcome, result);
}

static void bind_enter(bind_step *step)
{
    gateway *g = step->g;
    gateway_client *client = gateway_client_find(&g->clients, step->client);
    if (client == NULL) {
        bind_fail(step, DURE_ERR_CANCELLED);
        return;
    }
    client->node = dure_rpc_node_of_key(g->rpc, GATEWAY_PLAYER_ROLE, dure_str_of(step->room));
    if (client->node == NULL) {
        bind_fail(step, DURE_ERR_NOT_CONFIGURED);
        return;
    }
    step->epoch = ++client->epoch; /* what was asked before is older, wherever it still waits */
    game_enter_params in = {
        .player = dure_str_of(client->player),
        .room = dure_str_of(step->room),
        .epoch = client->epoch,
        .names_max = step->names_max,
    };
    step->entering = client->node;
    dure_target target = dure_to_node(client->node->id);
    dure_call_options options = bind_options(step);
    options.deadline_ms = step->enter_ms;
    dure_call_id call;
    dure_err err = game_call_enter(g->rpc, &target, &in, &options, on_entered, step, &call);
    if (err != DURE_OK) {
        bind_fail(step, err);
    }
}

static void on_left(void *ctx, const dure_outcome *outcome, const game_leave_result *result)
{
    (void)outcome; /* db sees to it that a node which did not answer is the owner no more */
    (void)result;
    bind_enter(ctx);
}

static void bind_leave(bind_step *step, const gateway_client *client)
{
    game_leave_params in = {.player = dure_str_of(client->player), .epoch = client->epoch};
    dure_target target = dure_to_node(client->node->id);
    dure_call_options options = bind_options(step);
    options.deadline_ms = BIND_LEAVE_MS;
    dure_call_id call;
    dure_err err = game_call_leave(step->g->rpc, &target, &in, &options, on_left, step, &call);
    if (err != DURE_OK) {
        bind_fail(step, err);
    }
}

static void bind_start(gateway *g, gateway_client *client, dure_str room, dure_request *request,
                       gateway_bound_fn on_bound, bool is_again, uint32_t enter_ms,
                       uint32_t names_max)
{
    bind_step *step = dure_mem_alloc(sizeof *step);
    if (step == NULL) {
        if (request != NULL) {
            dure_request_fail(request, DURE_ERR_OVERLOADED, "out of memory");
        }
        return;
    }
    step->g = g;
    step->client = client->id;
    step->request = request;
    step->on_bound = on_bound;
    step->is_again = is_again;
    step->enter_ms = enter_ms;
    step->names_max = names_max;
    g->entering += is_again ? 1 : 0;
    gateway_name_copy(step->room, room);
    gateway_name_copy(step->player, dure_str_of(client->player));
    const dure_registry_node *to = dure_rpc_node_of_key(g->rpc, GATEWAY_PLAYER_ROLE, room);
    bool has_to_leave = client->node != NULL && client->node != to;
    client->state = GATEWAY_CLIENT_BINDING;
    if (has_to_leave) {
        bind_leave(step, client);
    } else {
        bind_enter(step);
    }
}

void gateway_bind(gateway *g, gateway_client *client, dure_str room, dure_request *request,
                  gateway_bound_fn on_bound)
{
    bind_start(g, client, room, request, on_bound, false, 0, BIND_NAMES_MAX);
}

void gateway_bind_soon(gateway *g, gateway_client *client, dure_str room, dure_request *request,
                       gateway_bound_fn on_bound)
{
    bind_start(g, client, room, request, on_bound, false, BIND_SOON_MS, 0);
}

void gateway_unbind(gateway *g, const gateway_client *client)
{
    if (client->node == NULL || client->epoch == 0) {
        return;
    }
    send_leave(g, client->node, client->id, client->player, client->epoch);
}

static void on_moved_out(void *ctx, const dure_outcome *outcome, const game_leave_result *result)
{
    bind_step *step = ctx;
    gateway_client *client = gateway_client_find(&step->g->clients, step->client);
    (void)outcome; /* a node that stops gives its players up anyway */
    (void)result;
    if (client != NULL) {
        client->node = NULL;
        client->state = GATEWAY_CLIENT_UNBOUND;
    }
    dure_mem_free(step);
}

void gateway_move_out(gateway *g, gateway_client *client)
{
    bind_step *step = dure_mem_alloc(sizeof *step);
    if (step == NULL) {
        return; /* the node gives the player up by itself */
    }
    step->g = g;
    step->client = client->id;
    client->state = GATEWAY_CLIENT_BINDING;
    client->await_until_ms = dure_iocp_core_now_ms(dure_node_core(g->node)) + BIND_AWAIT_MS;
    game_leave_params in = {.player = dure_str_of(client->player), .epoch = client->epoch};
    dure_target target = dure_to_node(client->node->id);
    dure_call_options options = {.subject = client->id, .deadline_ms = BIND_LEAVE_MS};
    dure_call_id call;
    if (game_call_leave(g->rpc, &target, &in, &options, on_moved_out, step, &call) != DURE_OK) {
        client->node = NULL;
        client->state = GATEWAY_CLIENT_UNBOUND;
        dure_mem_free(step);
    }
}

/* True: it is UNBOUND still, and nobody waits for longer than is promised. */
static bool wants_binding(gateway *g, gateway_client *client, uint64_t now_ms)
{
    if (client->state != GATEWAY_CLIENT_UNBOUND) {
        return false;
    }
    if (client->await_until_ms == 0 || now_ms < client->await_until_ms) {
        return true;
    }
    uint64_t id = client->id;
    client->await_until_ms = 0;
    gateway_client_run_waiting(&g->clients, client, g);
    client = gateway_client_find(&g->clients, id);
    return client != NULL && client->state == GATEWAY_CLIENT_UNBOUND;
}

void gateway_bind_again(gateway *g)
{
    gateway_client *client;
    gateway_client *next;
    uint64_t now_ms = dure_iocp_core_now_ms(dure_node_core(g->node));
    HASH_ITER(hh, g->clients.by_id, client, next)
    {
        if (!wants_binding(g, client, now_ms)) {
            continue;
        }
        if (g->entering >= BIND_AGAIN_MAX) {
            return;
        }
        const dure_registry_node *node =
            dure_rpc_node_of_key(g->rpc, GATEWAY_PLAYER_ROLE, dure_str_of(client->room));
        if (node != NULL && is_inviting(g, node)) {
            bind_start(g, client, dure_str_of(client->room), NULL, NULL, true, 0, 0);
        }
    }
}
