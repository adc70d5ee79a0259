/* SPDX-License-Identifier: MIT
 *
 * The role gateway: what it serves itself, what it passes on, and what game nodes ask of it.
 */
#include <stdio.h>

#include "base/mem.h"
#include "game.schema.h"
#include "gateway.role.h"
#include "node.schema.h"
#include "nodes/gateway/binding.h"
#include "nodes/gateway/gateway.h"
#include "nodes/gateway/login.h"
#include "nodes/gateway/role.h"
#include "nodes/gateway/session.h"
#include "wire/cursor.h"

#define GATEWAY_TICK_MS     100
#define GATEWAY_RESUME_MS   30000
#define GATEWAY_RESUME_MAX  10000
#define GATEWAY_DESCRIBE_MS 2000u
#define GATEWAY_RETRY_MS    500u

/* ---- for everybody ---- */

static void on_ping(dure_request *request, const gateway_ping_params *in, void *state)
{
    (void)in;
    (void)state;
    gateway_reply_ping(request, dure_str_of("pong"));
}

static void on_echo(dure_request *request, const gateway_echo_params *in, void *state)
{
    (void)state;
    gateway_reply_echo(request, in->value);
}

static void on_time(dure_request *request, const gateway_time_params *in, void *state)
{
    const gateway *g = state;
    (void)in;
    gateway_reply_time(request, dure_iocp_core_wall_ms(dure_node_core(g->node)));
}

/* ---- login ---- */

static void on_login(dure_request *request, const gateway_login_params *in, void *state)
{
    gateway *g = state;
    gateway_client *client = gateway_client_of(&g->clients, dure_request_subject(request));
    if (client == NULL) {
        dure_request_fail(request, DURE_ERR_UNAVAILABLE, "only a client may log in");
    } else if (client->state != GATEWAY_CLIENT_STRANGER) {
        dure_request_fail(request, DURE_ERR_ALREADY_LOGGED_IN,
                          "this connection is logged in already");
    } else {
        dure_request_hold(request);
        gateway_login(g, client, in->name, request);
    }
}

/* ---- join ---- */

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

static void join_start(gateway *g, gateway_client *client, dure_str room, dure_request *request)
{
    const dure_registry_node *node = dure_rpc_node_of_key(g->rpc, GATEWAY_PLAYER_ROLE, room);
    if (node == NULL || dure_rpc_peer_state(g->rpc, node->id) != DURE_PEER_UP ||
        dure_rpc_peer_is_draining(g->rpc, node->id)) {
        /* Said before the player leaves the room that it is in. */
        dure_request_fail(request, DURE_ERR_UNAVAILABLE, "the node of that room is not reachable");
        return;
    }
    gateway_bind(g, client, room, request, on_join_bound);
}

static void join_run(void *ctx, gateway_client *client, gateway_waiting *waiting)
{
    const gateway_join_params *in = waiting->row; /* lives as long as its request */
    if (!gateway_client_is_logged_in(client)) {
        dure_request_fail(waiting->request, DURE_ERR_NOT_LOGGED_IN, "log in first");
        return;
    }
    join_start(ctx, client, in->room, waiting->request);
}

static bool is_busy(const gateway_client *client)
{
    return client->state == GATEWAY_CLIENT_BINDING || client->state == GATEWAY_CLIENT_LOGGING_IN ||
           gateway_client_is_awaiting(client) || client->waiting_count > 0;
}

static void on_join(dure_request *request, const gateway_join_params *in, void *state)
{
    gateway *g = state;
    gateway_client *client = gateway_client_of(&g->clients, dure_request_subject(request));
    if (client == NULL || client->state == GATEWAY_CLIENT_STRANGER) {
        dure_request_fail(request, DURE_ERR_NOT_LOGGED_IN, "log in first");
    } else if (is_busy(client)) {
        gateway_waiting waiting = {.request = request, .run = join_run, .row = in};
        gateway_client_wait(client, &waiting);
    } else {
        dure_request_hold(request);
        join_start(g, client, in->room, request);
    }
}

/* ---- logout ---- */

static void logout_start(gateway *g, gateway_client *client, dure_request *request)
{
    uint64_t conn = client->conn;
    gateway_unbind(g, client);
    gateway_client_detach(&g->clients, client); /* what it asked before is answered all the same */
    gateway_client_remove(&g->clients, client);
    dure_node_client_set_logged_in(g->node, conn, false);
    bool is_known = gateway_client_add(&g->clients, conn) != NULL;
    gateway_reply_logout(request);
    if (!is_known) {
        dure_node_client_close(g->node, conn, DURE_ERR_OVERLOADED, "out of memory");
    }
}

static void logout_run(void *ctx, gateway_client *client, gateway_waiting *waiting)
{
    if (!gateway_client_is_logged_in(client)) {
        dure_request_fail(waiting->request, DURE_ERR_NOT_LOGGED_IN, "log in first");
        return;
    }
    logout_start(ctx, client, waiting->request);
}

static void on_logout(dure_request *request, const gateway_logout_params *in, void *state)
{
    gateway *g = state;
    (void)in;
    gateway_client *client = gateway_client_of(&g->clients, dure_request_subject(request));
    if (client == NULL || client->state == GATEWAY_CLIENT_STRANGER) {
        dure_request_fail(request, DURE_ERR_NOT_LOGGED_IN, "log in first");
    } else if (is_busy(client)) {
        gateway_waiting waiting = {.request = request, .run = logout_run};
        gateway_client_wait(client, &waiting);
    } else {
        logout_start(g, client, request);
    }
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
    uint64_t conn = dure_request_subject(request);
    gateway_client *stranger = gateway_client_of(&g->clients, conn);
    if (stranger == NULL) {
        dure_request_fail(request, DURE_ERR_UNAVAILABLE, "only a client may resume");
        return;
    }
    if (stranger->state != GATEWAY_CLIENT_STRANGER) {
        dure_request_fail(request, DURE_ERR_ALREADY_LOGGED_IN,
                          "this connection is logged in already");
        return;
    }
    gateway_client *client = resume_session(g, request, in);
    if (client == NULL) {
        return;
    }
    char token[GATEWAY_TOKEN_SIZE];
    if (gateway_session_token(g, client, token) != DURE_OK) {
        dure_request_fail(request, DURE_ERR_INTERNAL, "the system gives no random bytes");
        return;
    }
    uint64_t received = in->received; /* in goes with the answer */
    gateway_client_remove(&g->clients, stranger);
    gateway_session_resume(g, client, conn);
    gateway_resume_result out = {
        .player = dure_str_of(client->player),
        .resume = dure_str_of(token),
        .missed = client->missed.total - received,
    };
    gateway_reply_resume(request, &out);
    gateway_session_send_missed(g, client, received);
}

/* ---- passing calls on ---- */

typedef struct forward_step {
    gateway_forwarded forwarded;
    gateway *g;
    uint64_t client;
    dure_call_id call;
} forward_step;

static void on_forwarded(void *ctx, const dure_outcome *outcome)
{
    forward_step *step = ctx;
    gateway *g = step->g;
    gateway_client *client = gateway_client_find(&g->clients, step->client);
    dure_request *request = step->forwarded.request;
    bool has_no_player = outcome->code == DURE_ERR_UNAVAILABLE || outcome->code == DURE_ERR_FENCED;
    if (has_no_player && outcome->from != NULL && client != NULL &&
        client->state == GATEWAY_CLIENT_BOUND && client->node == outcome->from) {
        /* Perhaps the node has forgotten the player: the tick brings it there again. Perhaps it has
         * not, so the player has still to leave it. */
        client->state = GATEWAY_CLIENT_UNBOUND;
    }
    dure_list_remove(&step->forwarded.in_client);
    if (request == NULL) {
        dure_mem_free(step);
        return;
    }
    dure_request_on_cancel(request, NULL, NULL);
    if (step->forwarded.is_idempotent && outcome->status == DURE_ERR_OUTCOME_UNKNOWN &&
        outcome->error.len == 0) {
        /* Our link broke under it; it may be asked again without harm. */
        dure_request_fail(request, DURE_ERR_UNAVAILABLE, "the game node went away");
    } else {
        dure_request_forward(request, outcome);
    }
    dure_mem_free(step);
}

static void on_forward_cancelled(dure_request *request, void *ctx)
{
    const forward_step *step = ctx;
    (void)request;
    dure_rpc_cancel(step->g->rpc, step->call);
}

static void forward_to(gateway *g, gateway_client *client, dure_request *request,
                       const gateway_method *method, const dure_target *target, dure_slice params)
{
    forward_step *step = dure_mem_alloc(sizeof *step);
    if (step == NULL) {
        dure_request_fail(request, DURE_ERR_OVERLOADED, "out of memory");
        return;
    }
    *step = (forward_step){.g = g, .client = client->id};
    step->forwarded.request = request;
    step->forwarded.is_idempotent = (method->flags & DURE_METHOD_IDEMPOTENT) != 0;
    dure_list_init(&step->forwarded.in_client);
    dure_call_options options = {
        .subject = step->client, .for_request = request, .method_flags = method->flags};
    dure_err err = dure_rpc_call(g->rpc, target, method->number, &options, params, on_forwarded,
                                 step, &step->call);
    if (err != DURE_OK) {
        dure_request_fail(request, err, "%s", dure_err_text(err));
        dure_mem_free(step);
        return;
    }
    dure_list_push_back(&client->forwarded, &step->forwarded.in_client);
    dure_request_on_cancel(request, on_forward_cancelled, step);
}

/* To the game node that holds the player. */
static void forward_to_player(gateway *g, gateway_client *client, dure_request *request,
                              const gateway_method *method, dure_slice params)
{
    if (client->state != GATEWAY_CLIENT_BOUND) {
        dure_request_fail(request, DURE_ERR_UNAVAILABLE,
                          "the game node of the player is not reachable");
        return;
    }
    dure_target target = dure_to_node(client->node->id);
    forward_to(g, client, request, method, &target, params);
}

static void forward_run(void *ctx, gateway_client *client, gateway_waiting *waiting)
{
    if (!gateway_client_is_logged_in(client)) {
        dure_request_fail(waiting->request, DURE_ERR_NOT_LOGGED_IN, "log in first");
        return;
    }
    forward_to_player(ctx, client, waiting->request, waiting->row, waiting->params);
}

/* To a role of its own: any node of it, or the one of the first parameter. */
static void forward_to_role(gateway *g, gateway_client *client, dure_request *request,
                            const gateway_method *method, dure_slice params)
{
    dure_target target = dure_to_role(method->role->name);
    if ((method->flags & DURE_METHOD_KEY_PARAM) != 0) {
        dure_cursor cursor = dure_cursor_of(params.data, params.len);
        uint32_t count = 0;
        dure_slice key;
        if (dure_cursor_array(&cursor, &count) != DURE_OK || count == 0 ||
            dure_cursor_any(&cursor, &key) != DURE_OK) {
            dure_request_fail(request, DURE_ERR_BAD_REQUEST, "the first parameter is missing");
            return;
        }
        target = dure_to_key(method->role->name, (dure_str){(const char *)key.data, key.len});
    }
    forward_to(g, client, request, method, &target, params);
}

/* Whether some role behind this gateway has not said yet what it offers. */
static const char *undescribed_role(const gateway *g)
{
    const dure_registry *registry = dure_rpc_registry(g->rpc);
    const dure_registry_role *self = dure_registry_find_role(registry, dure_rpc_self(g->rpc)->role);
    for (size_t i = 0; i < self->dial_count; i++) {
        const dure_registry_role *role = dure_registry_find_role(registry, self->dials[i]);
        if (role != NULL && !gateway_methods_is_described(&g->methods, role)) {
            return role->name;
        }
    }
    return NULL;
}

static void fail_unknown(const gateway *g, dure_request *request, dure_str name)
{
    const char *role = undescribed_role(g);
    int len = name.len > 64 ? 64 : (int)name.len;
    if (role != NULL) {
        dure_request_fail(request, DURE_ERR_UNAVAILABLE,
                          "method: \"%.*s\" may be one of the role %s, which has not been up yet",
                          len, name.data, role);
    } else {
        dure_request_fail(request, DURE_ERR_UNKNOWN_METHOD, "method: there is no \"%.*s\"", len,
                          name.data);
    }
}

static void gateway_on_client_call(dure_node *node, dure_request *request, dure_str name,
                                   dure_slice params, void *state)
{
    gateway *g = state;
    (void)node;
    const gateway_method *method = gateway_methods_find(&g->methods, name);
    gateway_client *client = gateway_client_of(&g->clients, dure_request_subject(request));
    if (client == NULL) {
        dure_request_fail(request, DURE_ERR_CANCELLED, "the client is gone");
    } else if (method == NULL) {
        fail_unknown(g, request, name);
    } else if (client->state == GATEWAY_CLIENT_STRANGER &&
               (method->flags & DURE_METHOD_NO_LOGIN) == 0) {
        dure_request_fail(request, DURE_ERR_NOT_LOGGED_IN, "log in first");
    } else if (strcmp(method->role->name, GATEWAY_PLAYER_ROLE) != 0) {
        forward_to_role(g, client, request, method, params);
    } else if (is_busy(client)) {
        gateway_waiting waiting = {
            .request = request, .run = forward_run, .params = params, .row = method};
        gateway_client_wait(client, &waiting);
    } else {
        forward_to_player(g, client, request, method, params);
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
        if (client == NULL) {
            continue;
        }
        /* One that is cut for being slow has missed it; one that is too large was never there. */
        dure_err err = client->conn != 0
                           ? dure_node_client_notify(g->node, client->conn, in->method, in->params)
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
        client->state = GATEWAY_CLIENT_UNBOUND; /* the tick brings it in again */
    }
}

/* ---- peers ---- */

typedef struct describe_step {
    gateway *g;
    const dure_registry_node *peer;
} describe_step;

static void ask_describe(gateway *g, const dure_registry_node *peer);

static void describe_again(dure_node *node, void *ctx)
{
    describe_step *step = ctx;
    (void)node;
    if (dure_rpc_peer_state(step->g->rpc, step->peer->id) == DURE_PEER_UP) {
        ask_describe(step->g, step->peer);
    }
    dure_mem_free(step);
}

static void on_described(void *ctx, const dure_outcome *outcome, const node_describe_result *result)
{
    describe_step *step = ctx;
    gateway *g = step->g;
    if (result == NULL) {
        (void)outcome;
        if (dure_node_after(g->node, GATEWAY_RETRY_MS, describe_again, step) != DURE_OK) {
            dure_mem_free(step);
        }
        return;
    }
    const dure_registry_role *role =
        dure_registry_find_role(dure_rpc_registry(g->rpc), step->peer->role);
    size_t at = 0;
    node_method_info info;
    while (node_method_info_list_next(&result->methods, &at, &info)) {
        if (gateway_methods_add(&g->methods, info.name, info.number, info.flags, role) != DURE_OK) {
            dure_log_write(dure_node_log(g->node), DURE_LOG_WARN, "gateway", "METHOD_REFUSED",
                           "role=%s number=%u", role->name, info.number);
        }
    }
    gateway_methods_set_described(&g->methods, role);
    dure_mem_free(step);
}

static void ask_describe(gateway *g, const dure_registry_node *peer)
{
    describe_step *step = dure_mem_alloc(sizeof *step);
    if (step == NULL) {
        return;
    }
    *step = (describe_step){g, peer};
    node_describe_params in = {0};
    dure_target target = dure_to_node(peer->id);
    dure_call_options options = {.deadline_ms = GATEWAY_DESCRIBE_MS};
    dure_call_id call;
    if (node_call_describe(g->rpc, &target, &in, &options, on_described, step, &call) != DURE_OK) {
        dure_mem_free(step);
    }
}

static void gateway_on_peer_up(dure_node *node, const dure_registry_node *peer, void *state)
{
    gateway *g = state;
    (void)node;
    ask_describe(g, peer);
}

static void gateway_on_peer_down(dure_node *node, const dure_registry_node *peer, dure_err cause,
                                 void *state)
{
    gateway *g = state;
    gateway_client *client;
    gateway_client *next;
    (void)node;
    (void)cause;
    HASH_ITER(hh, g->clients.by_id, client, next)
    {
        if (client->node != peer) {
            continue;
        }
        if (client->state == GATEWAY_CLIENT_BOUND) {
            client->state = GATEWAY_CLIENT_UNBOUND;
        }
        if (client->state == GATEWAY_CLIENT_UNBOUND) {
            client->node = NULL;
        }
    }
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
    gateway_session_tick(state);
    gateway_bind_again(state);
}

/* ---- clients ---- */

static void gateway_on_client_open(dure_node *node, uint64_t id, void *state)
{
    gateway *g = state;
    if (gateway_client_add(&g->clients, id) == NULL) {
        dure_node_client_close(node, id, DURE_ERR_OVERLOADED, "out of memory");
    }
}

static void gateway_on_client_close(dure_node *node, uint64_t id, dure_err cause, void *state)
{
    gateway *g = state;
    gateway_client *client = gateway_client_of(&g->clients, id);
    (void)node;
    (void)cause;
    if (client != NULL) {
        gateway_session_dropped(g, client);
    }
}

/* ---- life ---- */

static dure_err gateway_on_start(dure_node *node, void **out_state)
{
    gateway *g = dure_mem_alloc(sizeof *g);
    if (g == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    g->node = node;
    g->rpc = dure_node_rpc(node);
    dure_list_init(&g->dropped);
    g->resume_ms = (uint32_t)dure_node_setting_int(node, "resume_ms", GATEWAY_RESUME_MS);
    g->resume_max = (uint32_t)dure_node_setting_int(node, "resume_max", GATEWAY_RESUME_MAX);
    *out_state = g;
    return DURE_OK;
}

static void gateway_on_end(dure_node *node, void *state)
{
    gateway *g = state;
    gateway_client *client;
    gateway_client *next;
    (void)node;
    HASH_ITER(hh, g->clients.by_id, client, next)
    {
        gateway_client_remove(&g->clients, client);
    }
    gateway_methods_fini(&g->methods);
    dure_mem_free(g);
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
