/* SPDX-License-Identifier: MIT
 *
 * The role gateway: what it serves itself, what it passes on, and what game nodes ask of it.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "game.schema.h"
#include "gateway.role.h"
#include "nodes/gateway/binding.h"
#include "nodes/gateway/describe.h"
#include "nodes/gateway/forward.h"
#include "nodes/gateway/gateway.h"
#include "nodes/gateway/login.h"
#include "nodes/gateway/role.h"
#include "nodes/gateway/session.h"

#define GATEWAY_TICK_MS    100
#define GATEWAY_LATE_MS    300 /* three ticks: one may be late */
#define GATEWAY_RESUME_MS  30000
#define GATEWAY_RESUME_MAX 10000

/*
 * The connection that a request comes from, which is heard; NULL where it is that of another node,
 * or of a connection that is closing.
 */
static gateway_conn *caller_of(gateway *g, const dure_request *request)
{
    gateway_conn *conn = dure_request_peer(request) == NULL
                             ? gateway_conn_find(&g->clients, dure_request_subject(request))
                             : NULL;
    if (conn != NULL && conn->client != NULL) {
        gateway_session_heard(conn->client);
    }
    return conn;
}

/* ---- for everybody ---- */

static void on_ping(dure_request *request, const gateway_ping_params *in, void *state)
{
    (void)in;
    (void)caller_of(state, request);
    gateway_reply_ping(request, dure_str_of("pong"));
}

static void on_echo(dure_request *request, const gateway_echo_params *in, void *state)
{
    (void)caller_of(state, request);
    gateway_reply_echo(request, in->value);
}

static void on_time(dure_request *request, const gateway_time_params *in, void *state)
{
    gateway *g = state;
    (void)in;
    (void)caller_of(g, request);
    gateway_reply_time(request, dure_iocp_core_wall_ms(dure_node_core(g->node)));
}

/* ---- login ---- */

/* A stranger's connection; NULL after it has answered why it is none. */
static gateway_conn *stranger_of(gateway *g, dure_request *request)
{
    gateway_conn *conn = caller_of(g, request);
    if (conn == NULL) {
        dure_request_fail(request, DURE_ERR_UNAVAILABLE, "only a client may log in");
    } else if (conn->client != NULL) {
        dure_request_fail(request, DURE_ERR_ALREADY_LOGGED_IN,
                          "this connection is logged in already");
        conn = NULL;
    }
    return conn;
}

static void on_login(dure_request *request, const gateway_login_params *in, void *state)
{
    gateway *g = state;
    gateway_conn *conn = stranger_of(g, request);
    if (conn != NULL && memchr(in->name.data, 0, in->name.len) != NULL) {
        /* Names are kept as C strings: what follows would be cut off, and somebody else meant. */
        dure_request_fail(request, DURE_ERR_BAD_REQUEST, "name: U+0000 is a control character");
    } else if (conn != NULL) {
        dure_request_hold(request);
        gateway_login(g, conn, in->name, request);
    }
}

/* ---- join and logout ---- */

/*
 * What the client asks of the gateway itself, in its turn among what it asks of the game node.
 * run gets a call of somebody who is logged in; join NULL: a logout.
 */
static void run_in_turn(gateway *g, dure_request *request, gateway_call_fn run,
                        const gateway_join_params *join)
{
    const gateway_conn *conn = caller_of(g, request);
    if (conn == NULL || conn->client == NULL) {
        dure_request_fail(request, DURE_ERR_NOT_LOGGED_IN, "log in first");
        return;
    }
    gateway_client *client = conn->client;
    gateway_call *call = gateway_call_create(client, request, run);
    if (call == NULL) {
        return;
    }
    call->join = join;
    if (gateway_client_is_busy(client) || client->waiting_count > 0) {
        gateway_client_wait(&g->clients, client, call);
    } else {
        run(g, client, call);
    }
}

static void on_join_bound(gateway *g, gateway_client *client, dure_request *request,
                          const dure_outcome *outcome, const game_enter_result *entered)
{
    (void)g;
    if (entered == NULL) {
        dure_request_forward(request, outcome);
        return;
    }
    gateway_join_result out = {
        .room = dure_str_of(client->room),
        .players = {.raw = entered->players.raw, .count = entered->players.count},
        /* A game node of an earlier version tells all names and no number. */
        .total = entered->total > entered->players.count ? entered->total : entered->players.count,
    };
    gateway_reply_join(request, &out);
}

static void join_run(void *ctx, gateway_client *client, gateway_call *call)
{
    gateway *g = ctx;
    dure_request *request = call->request;
    const dure_str room = call->join->room;
    gateway_call_free(call);
    const dure_registry_node *node = dure_rpc_node_of_key(g->rpc, GATEWAY_PLAYER_ROLE, room);
    if (node == NULL || dure_rpc_peer_state(g->rpc, node->id) != DURE_PEER_UP ||
        dure_rpc_peer_is_draining(g->rpc, node->id)) {
        /* Said before the player leaves the room that it is in. */
        dure_request_fail(request, DURE_ERR_UNAVAILABLE, "the node of that room is not reachable");
        return;
    }
    gateway_bind(g, client, room, request, on_join_bound);
}

static void on_join(dure_request *request, const gateway_join_params *in, void *state)
{
    run_in_turn(state, request, join_run, in);
}

/* What the client asked before is answered all the same. */
static void logout_run(void *ctx, gateway_client *client, gateway_call *call)
{
    gateway *g = ctx;
    dure_request *request = call->request;
    gateway_call_free(call);
    gateway_unbind(g, client);
    dure_node_client_set_logged_in(g->node, client->conn->id, false);
    gateway_client_fail_waiting(client, DURE_ERR_NOT_LOGGED_IN, "log in first");
    gateway_client_remove(&g->clients, client);
    gateway_reply_logout(request);
}

static void on_logout(dure_request *request, const gateway_logout_params *in, void *state)
{
    (void)in;
    run_in_turn(state, request, logout_run, NULL);
}

/* ---- resume ---- */

/* The session of the token; NULL after it has answered why not. */
static gateway_client *resume_session(gateway *g, dure_request *request,
                                      const gateway_resume_params *in)
{
    gateway_client *client = gateway_session_of(g, in->token);
    if (client == NULL) {
        dure_request_fail(request, DURE_ERR_REFUSED,
                          "token: used already, of another gateway, or too late; log in again");
    } else if (in->received > client->missed.total) {
        dure_request_fail(request, DURE_ERR_BAD_REQUEST, "received: there were only %llu",
                          (unsigned long long)client->missed.total);
        client = NULL;
    } else if (in->received < gateway_missed_gone(&client->missed)) {
        dure_request_fail(request, DURE_ERR_TOO_OLD,
                          "received: more was missed than is kept; the session has ended");
        gateway_session_end(g, client, DURE_ERR_TOO_OLD, "more was missed than is kept");
        client = NULL;
    }
    return client;
}

static void on_resume(dure_request *request, const gateway_resume_params *in, void *state)
{
    gateway *g = state;
    gateway_conn *conn = stranger_of(g, request);
    gateway_client *client = conn != NULL ? resume_session(g, request, in) : NULL;
    if (client == NULL) {
        return;
    }
    char token[GATEWAY_TOKEN_SIZE];
    if (gateway_session_renew(g, client, in->token) != DURE_OK) {
        dure_request_fail(request, DURE_ERR_INTERNAL, "the system gives no random bytes");
        return;
    }
    uint64_t received = in->received; /* in goes with the answer */
    gateway_session_resume(g, client, conn);
    gateway_session_token(client, token);
    gateway_resume_result out = {
        .player = dure_str_of(client->player),
        .resume = dure_str_of(token),
        .missed = client->missed.total - received,
    };
    gateway_reply_resume(request, &out);
    gateway_session_send_missed(g, client, received);
}

/* ---- passing calls on ---- */

static void gateway_on_client_call(dure_node *node, dure_request *request, dure_str name,
                                   dure_slice params, void *state)
{
    gateway *g = state;
    const gateway_conn *conn = caller_of(g, request);
    (void)node;
    if (conn == NULL) {
        dure_request_fail(request, DURE_ERR_CANCELLED, "the client is gone");
    } else {
        gateway_forward(g, conn->client, request, name, params);
    }
}

/* ---- what game nodes ask ---- */

static void on_kick(dure_request *request, const gateway_kick_params *in, void *state)
{
    gateway *g = state;
    gateway_client *client = gateway_client_find(&g->clients, in->client);
    if (client != NULL && client->epoch < in->epoch &&
        dure_str_equal(dure_str_of(client->player), in->player)) {
        gateway_session_end(g, client, DURE_ERR_TAKEN_OVER, GATEWAY_TAKEN_OVER_TEXT);
    }
    gateway_reply_kick(request);
}

static void on_push(dure_request *request, const gateway_push_params *in, void *state)
{
    gateway *g = state;
    size_t at = 0;
    uint64_t id;
    gateway_notice *notice =
        g->resume_ms > 0 ? gateway_notice_create(in->method, in->params) : NULL;
    while (gateway_u64_list_next(&in->clients, &at, &id)) {
        gateway_client *client = gateway_client_find(&g->clients, id);
        if (client == NULL || !gateway_client_is_logged_in(client)) {
            continue; /* nobody's any more: a later login has another number */
        }
        /* One that is cut for being slow has missed it; one that is too large was never there. */
        dure_err err = client->conn != NULL ? dure_node_client_notify(g->node, client->conn->id,
                                                                      in->method, in->params)
                                            : DURE_OK;
        if (err != DURE_ERR_TOO_LARGE) {
            gateway_missed_push(&client->missed, notice);
        }
    }
    gateway_notice_release(notice);
    (void)request;
}

static void on_dropped(dure_request *request, const gateway_dropped_params *in, void *state)
{
    gateway *g = state;
    gateway_client *client = gateway_client_find(&g->clients, in->client);
    if (client != NULL && client->state == GATEWAY_CLIENT_BOUND && client->epoch == in->epoch &&
        client->node == dure_request_peer(request)) {
        gateway_await(g, client, "dropped"); /* the tick brings it in again, or it is kicked */
    }
}

/* ---- peers ---- */

static void gateway_on_peer_up(dure_node *node, const dure_registry_node *peer, void *state)
{
    (void)node;
    gateway_describe(state, peer);
}

static void gateway_on_peer_down(dure_node *node, const dure_registry_node *peer, dure_err cause,
                                 void *state)
{
    (void)node;
    (void)cause;
    gateway_lose_node(state, peer);
}

/* It wants its players to leave. They come back when it has been started again. */
static void gateway_on_peer_draining(dure_node *node, const dure_registry_node *peer, void *state)
{
    gateway *g = state;
    gateway_client *client;
    gateway_client *next;
    (void)node;
    HASH_ITER(hh, g->clients.by_id, client, next)
    {
        if (client->node == peer && client->state == GATEWAY_CLIENT_BOUND) {
            gateway_move_out(g, client);
        }
    }
}

static void gateway_on_tick(dure_node *node, void *state)
{
    (void)node;
    gateway_describe_tick(state);
    gateway_session_tick(state);
    gateway_bind_again(state);
    gateway_clients_end_late(&((gateway *)state)->clients, GATEWAY_LATE_MS);
}

/* ---- clients ---- */

static void gateway_on_client_open(dure_node *node, uint64_t id, void *state)
{
    gateway *g = state;
    if (gateway_conn_add(&g->clients, id) == NULL) {
        dure_node_client_close(node, id, DURE_ERR_OVERLOADED, "out of memory");
    }
}

static void gateway_on_client_close(dure_node *node, uint64_t id, dure_err cause, void *state)
{
    gateway *g = state;
    gateway_conn *conn = gateway_conn_find(&g->clients, id);
    (void)node;
    (void)cause;
    if (conn == NULL) {
        return; /* this side closed it */
    }
    gateway_client *client = conn->client;
    gateway_conn_remove(&g->clients, conn);
    if (client != NULL) {
        gateway_session_dropped(g, client);
    }
}

/* ---- life ---- */

static void gateway_on_end(dure_node *node, void *state)
{
    gateway *g = state;
    (void)node;
    while (dure_list_pop_front(&g->dropped) != NULL) { /* nobody comes back to them */
    }
    gateway_clients_fini(&g->clients);
    gateway_methods_fini(&g->methods);
    gateway_describe_fini(g);
    dure_mem_free(g->homes);
    dure_mem_free(g);
}

/* The nodes that hold players. */
static dure_err gateway_find_homes(gateway *g)
{
    const dure_registry *registry = dure_rpc_registry(g->rpc);
    const size_t count = dure_registry_node_count(registry);
    g->homes = dure_mem_alloc_array(count, sizeof *g->homes);
    if (g->homes == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        const dure_registry_node *node = dure_registry_node_at(registry, i);
        if (strcmp(node->role, GATEWAY_PLAYER_ROLE) == 0) {
            g->homes[g->home_count++].node = node;
        }
    }
    return DURE_OK;
}

static dure_err gateway_on_start(dure_node *node, void **out_state)
{
    gateway *g = dure_mem_alloc(sizeof *g);
    if (g == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    g->node = node;
    g->rpc = dure_node_rpc(node);
    gateway_clients_init(&g->clients, dure_node_log(node));
    dure_list_init(&g->dropped);
    g->resume_ms = (uint32_t)dure_node_setting_int(node, "resume_ms", GATEWAY_RESUME_MS);
    g->resume_max = (uint32_t)dure_node_setting_int(node, "resume_max", GATEWAY_RESUME_MAX);
    dure_err err =
        dure_iocp_core_entropy(dure_node_core(node), &g->last_client, sizeof g->last_client);
    g->last_client >>= 1; /* no end in sight, and a positive number in any database */
    if (err == DURE_OK) {
        err = gateway_find_homes(g);
    }
    if (err == DURE_OK) {
        err = gateway_describe_init(g);
    }
    if (err != DURE_OK) {
        gateway_on_end(node, g);
        return err;
    }
    *out_state = g;
    return DURE_OK;
}

const dure_role dure_role_gateway = {
    .name = "gateway",
    .methods = gateway_methods,
    .schema_hash = gateway_schema_hash,
    .tick_ms = GATEWAY_TICK_MS,
    .on_start = gateway_on_start,
    .on_end = gateway_on_end,
    .on_tick = gateway_on_tick,
    .on_client_open = gateway_on_client_open,
    .on_client_close = gateway_on_client_close,
    .on_client_call = gateway_on_client_call,
    .on_peer_up = gateway_on_peer_up,
    .on_peer_down = gateway_on_peer_down,
    .on_peer_draining = gateway_on_peer_draining,
};
