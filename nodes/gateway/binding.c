/* SPDX-License-Identifier: MIT
 *
 * Leave, then enter. Steps carry the client's id, because the client may be gone when they end.
 */
#include "nodes/gateway/binding.h"

#include "base/assert.h"
#include "base/mem.h"
#include "game.schema.h"
#include "nodes/gateway/session.h"

#define BIND_AGAIN_MAX 256u  /* enters of the tick that are outstanding at one node */
#define BIND_LOOK_MAX  4096u /* clients that one tick looks at; some 0.2 us each */
#define BIND_SOON_MS   1000u
#define BIND_AWAIT_MS  4000u /* less than a call's own deadline, so that it is told why */
#define BIND_NAMES_MAX 100u
#define BIND_LEAVE_MS  1000u /* then db takes the player from the former node */

typedef struct bind_step {
    gateway *g;
    uint64_t client;
    char room[GATEWAY_NAME_BYTES_MAX + 1];
    dure_request *request; /* NULL: of the tick, or it has been answered meanwhile */
    gateway_bound_fn on_bound;
    gateway_home *home;                 /* of one that the tick began: counts it; else NULL */
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

static uint64_t now_ms_of(const gateway *g)
{
    return dure_iocp_core_now_ms(dure_node_core(g->node));
}

/* On no node, or on one that has not said so: calls wait where they may still. */
static void settle_on_none(gateway *g, gateway_client *client, const char *why)
{
    const bool may_wait =
        client->state != GATEWAY_CLIENT_ENTERING && now_ms_of(g) < client->await_until_ms;
    gateway_client_set_state(&g->clients, client,
                             may_wait ? GATEWAY_CLIENT_AWAITING : GATEWAY_CLIENT_UNBOUND, why);
}

/* ---- the end of a binding ---- */

/* The client went while its player came in. However that went: a lost answer may have been a yes.
 */
static void end_without_client(const bind_step *step)
{
    if (step->entering != NULL) {
        send_leave(step->g, step->entering, step->client, step->player, step->epoch);
    }
    if (step->request != NULL) {
        dure_request_fail(step->request, DURE_ERR_CANCELLED, "the client is gone");
    }
}

static void end_taken_over(const bind_step *step, gateway_client *client,
                           const dure_outcome *outcome)
{
    if (step->request != NULL) {
        dure_request_forward(step->request, outcome);
    }
    gateway_session_end(step->g, client, DURE_ERR_TAKEN_OVER, GATEWAY_TAKEN_OVER_TEXT);
}

/* What has waited goes on; a node that began to drain while the player came in is left again. */
static void go_on(gateway *g, gateway_client *client)
{
    if (client->state == GATEWAY_CLIENT_BOUND &&
        dure_rpc_peer_is_draining(g->rpc, client->node->id)) {
        gateway_move_out(g, client);
    } else {
        gateway_client_run_waiting(&g->clients, client, g);
    }
}

static void end_settled(const bind_step *step, gateway_client *client, const dure_outcome *outcome,
                        const game_enter_result *entered)
{
    gateway *g = step->g;
    if (entered != NULL) {
        gateway_name_copy(client->room, entered->room);
        client->await_until_ms = 0;
        gateway_client_set_state(&g->clients, client, GATEWAY_CLIENT_BOUND, "entered");
    } else {
        settle_on_none(g, client, dure_err_name(outcome->status)); /* and perhaps on its node */
    }
    if (step->request != NULL) {
        step->on_bound(g, client, step->request, outcome, entered);
    }
    client = gateway_client_find(&g->clients, step->client); /* on_bound may have ended it */
    if (client != NULL) {
        go_on(g, client);
    }
}

static void bind_end(bind_step *step, const dure_outcome *outcome, const game_enter_result *entered)
{
    gateway_client *client = gateway_client_find(&step->g->clients, step->client);
    if (step->home != NULL) {
        DURE_ASSERT(step->home->entering > 0);
        step->home->entering--;
    }
    if (client != NULL) {
        client->asked = NULL;
    }
    if (client == NULL) {
        end_without_client(step);
    } else if (outcome->status == DURE_ERR_TAKEN_OVER) {
        end_taken_over(step, client, outcome);
    } else {
        end_settled(step, client, outcome, entered);
    }
    dure_mem_free(step);
}

/* For what never left: an outcome of our own. */
static void bind_fail(bind_step *step, dure_err err)
{
    dure_outcome outcome = {.status = err, .code = (uint32_t)err};
    bind_end(step, &outcome, NULL);
}

/* ---- leave, then enter ---- */

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

static bind_step *step_new(gateway *g, const gateway_client *client, dure_str room)
{
    bind_step *step = dure_mem_alloc(sizeof *step);
    if (step != NULL) {
        step->g = g;
        step->client = client->id;
        gateway_name_copy(step->room, room);
        gateway_name_copy(step->player, dure_str_of(client->player));
    }
    return step;
}

/* Takes a step that is filled in. */
static void bind_start(bind_step *step, gateway_client *client)
{
    gateway *g = step->g;
    const dure_registry_node *to =
        dure_rpc_node_of_key(g->rpc, GATEWAY_PLAYER_ROLE, dure_str_of(step->room));
    const bool is_first = client->state == GATEWAY_CLIENT_LOGGING_IN;
    gateway_client_set_state(&g->clients, client,
                             is_first ? GATEWAY_CLIENT_ENTERING : GATEWAY_CLIENT_BINDING,
                             step->home != NULL ? "again" : "asked");
    if (client->node != NULL && client->node != to) {
        bind_leave(step, client);
    } else {
        bind_enter(step);
    }
}

/* Nothing is begun, and nobody is left where it was in between. */
static void bind_without_memory(gateway *g, gateway_client *client, dure_request *request,
                                gateway_bound_fn on_bound)
{
    const dure_outcome outcome = {.status = DURE_ERR_OVERLOADED, .code = DURE_ERR_OVERLOADED};
    const uint64_t id = client->id;
    client->asked = NULL;
    if (client->state == GATEWAY_CLIENT_LOGGING_IN) {
        gateway_client_set_state(&g->clients, client, GATEWAY_CLIENT_UNBOUND, "no memory");
    }
    on_bound(g, client, request, &outcome, NULL);
    client = gateway_client_find(&g->clients, id);
    if (client != NULL) {
        gateway_client_run_waiting(&g->clients, client, g);
    }
}

void gateway_bind(gateway *g, gateway_client *client, dure_str room, dure_request *request,
                  gateway_bound_fn on_bound)
{
    bind_step *step = step_new(g, client, room);
    if (step == NULL) {
        bind_without_memory(g, client, request, on_bound);
        return;
    }
    step->request = request;
    step->on_bound = on_bound;
    client->asked = &step->request;
    step->names_max = BIND_NAMES_MAX;
    bind_start(step, client);
}

void gateway_bind_first(gateway *g, gateway_client *client, dure_str room, dure_request *request,
                        gateway_bound_fn on_bound)
{
    bind_step *step = step_new(g, client, room);
    if (step == NULL) {
        bind_without_memory(g, client, request, on_bound);
        return;
    }
    step->request = request;
    step->on_bound = on_bound;
    client->asked = &step->request;
    step->enter_ms = BIND_SOON_MS;
    bind_start(step, client);
}

void gateway_unbind(gateway *g, const gateway_client *client)
{
    if (client->node == NULL || client->epoch == 0) {
        return;
    }
    send_leave(g, client->node, client->id, client->player, client->epoch);
}

/* ---- a node that goes ---- */

static void moved_out(gateway *g, gateway_client *client)
{
    client->node = NULL;
    settle_on_none(g, client, "has left");
}

static void on_moved_out(void *ctx, const dure_outcome *outcome, const game_leave_result *result)
{
    bind_step *step = ctx;
    gateway_client *client = gateway_client_find(&step->g->clients, step->client);
    (void)outcome; /* a node that stops gives its players up anyway */
    (void)result;
    if (client != NULL) {
        moved_out(step->g, client);
    }
    dure_mem_free(step);
}

void gateway_move_out(gateway *g, gateway_client *client)
{
    bind_step *step = step_new(g, client, dure_str_of(client->room));
    if (step == NULL) {
        return; /* the node gives the player up by itself */
    }
    client->await_until_ms = now_ms_of(g) + BIND_AWAIT_MS;
    gateway_client_set_state(&g->clients, client, GATEWAY_CLIENT_BINDING, "its node drains");
    game_leave_params in = {.player = dure_str_of(client->player), .epoch = client->epoch};
    dure_target target = dure_to_node(client->node->id);
    dure_call_options options = {.subject = client->id, .deadline_ms = BIND_LEAVE_MS};
    dure_call_id call;
    if (game_call_leave(g->rpc, &target, &in, &options, on_moved_out, step, &call) != DURE_OK) {
        moved_out(g, client);
        dure_mem_free(step);
    }
}

void gateway_await(gateway *g, gateway_client *client, const char *why)
{
    client->await_until_ms = now_ms_of(g) + BIND_AWAIT_MS;
    gateway_client_set_state(&g->clients, client, GATEWAY_CLIENT_AWAITING, why);
}

void gateway_lose_node(gateway *g, const dure_registry_node *node)
{
    gateway_client *client;
    gateway_client *next;
    HASH_ITER(hh, g->clients.by_id, client, next)
    {
        if (client->node != node) {
            continue;
        }
        if (client->state == GATEWAY_CLIENT_BOUND) {
            gateway_client_set_state(&g->clients, client, GATEWAY_CLIENT_UNBOUND,
                                     "its node is down");
        }
        if (client->state == GATEWAY_CLIENT_UNBOUND || client->state == GATEWAY_CLIENT_AWAITING) {
            client->node = NULL;
        }
    }
}

/* ---- again ---- */

static gateway_home *home_of(gateway *g, dure_str room)
{
    const dure_registry_node *node = dure_rpc_node_of_key(g->rpc, GATEWAY_PLAYER_ROLE, room);
    for (size_t i = 0; i < g->home_count; i++) {
        if (g->homes[i].node == node) {
            return &g->homes[i];
        }
    }
    return NULL; /* no node of that role is configured */
}

/* A node that answers slowly keeps nobody from the others: each has a count of its own. */
static void bind_if_invited(gateway *g, gateway_client *client)
{
    const dure_str room = dure_str_of(client->room);
    gateway_home *home = home_of(g, room);
    if (home == NULL || home->entering >= BIND_AGAIN_MAX || !is_inviting(g, home->node)) {
        return;
    }
    bind_step *step = step_new(g, client, room);
    if (step == NULL) {
        return; /* the next tick tries again */
    }
    step->home = home;
    home->entering++;
    bind_start(step, client);
}

static void look_after(gateway *g, gateway_client *client)
{
    const uint64_t id = client->id;
    if (client->state == GATEWAY_CLIENT_AWAITING && now_ms_of(g) >= client->await_until_ms) {
        gateway_client_set_state(&g->clients, client, GATEWAY_CLIENT_UNBOUND, "waited too long");
        gateway_client_run_waiting(&g->clients, client, g);
        client = gateway_client_find(&g->clients, id);
    }
    if (client != NULL &&
        (client->state == GATEWAY_CLIENT_UNBOUND || client->state == GATEWAY_CLIENT_AWAITING)) {
        bind_if_invited(g, client);
    }
}

void gateway_bind_again(gateway *g)
{
    gateway_clients *clients = &g->clients;
    uint32_t count =
        clients->unbound_count < BIND_LOOK_MAX ? clients->unbound_count : BIND_LOOK_MAX;
    while (count > 0 && !dure_list_is_empty(&clients->unbound)) {
        count--;
        dure_list *first = clients->unbound.next;
        dure_list_remove(first);
        dure_list_push_back(&clients->unbound, first); /* the others have their turn before it */
        look_after(g, DURE_CONTAINER_OF(first, gateway_client, in_unbound));
    }
}
