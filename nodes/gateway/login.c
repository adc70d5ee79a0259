/* SPDX-License-Identifier: MIT
 *
 * Several game nodes are asked whether they are ready, and the first that answers gets the login: a
 * node that hangs is not known to be down for some seconds, and a login that it does when it goes
 * on would take over a session that began meanwhile.
 */
#include "nodes/gateway/login.h"

#include "base/assert.h"
#include "base/mem.h"
#include "game.schema.h"
#include "gateway.schema.h"
#include "nodes/gateway/binding.h"
#include "nodes/gateway/session.h"

#define LOGIN_ASKED_MAX 4u
#define LOGIN_READY_MS  2000u

typedef struct login_step {
    gateway *g;
    uint64_t client;
    dure_request *request; /* NULL: it has been answered, or goes on without this step */
    uint32_t refs;         /* nodes asked, the login, and who begins */
    bool has_node;
} login_step;

static void step_release(login_step *step)
{
    if (--step->refs == 0) {
        dure_mem_free(step);
    }
}

/* Its connection is a stranger's again. */
static void login_failed(login_step *step, const dure_outcome *outcome, const char *text)
{
    gateway *g = step->g;
    dure_request *request = step->request;
    gateway_client *client = gateway_client_find(&g->clients, step->client);
    step->request = NULL;
    if (client == NULL) {
        if (request != NULL) {
            dure_request_fail(request, DURE_ERR_CANCELLED, "the client is gone");
        }
        return;
    }
    DURE_ASSERT(request != NULL);
    client->asked = NULL;
    gateway_client_fail_waiting(client, DURE_ERR_NOT_LOGGED_IN, "log in first");
    gateway_client_remove(&g->clients, client);
    if (text != NULL) {
        dure_request_fail(request, DURE_ERR_UNAVAILABLE, "%s", text);
    } else {
        dure_request_forward(request, outcome);
    }
}

/* Also where the room's node is away: the player is logged in, and bound as soon as it is back. */
static void on_bound(gateway *g, gateway_client *client, dure_request *request,
                     const dure_outcome *outcome, const game_enter_result *entered)
{
    char token[GATEWAY_TOKEN_SIZE];
    (void)g;
    (void)outcome;
    (void)entered;
    gateway_session_token(client, token);
    gateway_login_result out = {
        .player = dure_str_of(client->player),
        .resume = dure_str_of(token),
    };
    gateway_reply_login(request, &out);
}

static void on_logged_in(void *ctx, const dure_outcome *outcome, const game_login_result *login)
{
    login_step *step = ctx;
    gateway *g = step->g;
    gateway_client *client = gateway_client_find(&g->clients, step->client);
    if (login == NULL || client == NULL) {
        login_failed(step, outcome, NULL);
    } else {
        gateway_name_copy(client->player, login->player);
        gateway_name_copy(client->room, login->room);
        client->epoch = login->epoch;
        dure_node_client_set_logged_in(g->node, client->conn->id, true);
        gateway_bind_first(g, client, dure_str_of(client->room), step->request, on_bound);
    }
    step_release(step);
}

static void login_at(login_step *step, const dure_registry_node *node)
{
    gateway *g = step->g;
    const gateway_client *client = gateway_client_find(&g->clients, step->client);
    if (client == NULL) {
        login_failed(step, NULL, NULL);
        return;
    }
    game_login_params in = {.name = dure_str_of(client->player)};
    dure_target target = dure_to_node(node->id);
    dure_call_options options = {.subject = client->id, .for_request = step->request};
    dure_call_id call;
    dure_err err = game_call_login(g->rpc, &target, &in, &options, on_logged_in, step, &call);
    if (err != DURE_OK) {
        login_failed(step, NULL, dure_err_text(err));
    } else {
        step->refs++;
    }
}

static void on_ready(void *ctx, const dure_outcome *outcome, const game_ready_result *result)
{
    login_step *step = ctx;
    if (result != NULL && !step->has_node) {
        step->has_node = true;
        login_at(step, outcome->from);
    } else if (step->refs == 1 && !step->has_node) {
        login_failed(step, NULL, "no game node is ready");
    }
    step_release(step);
}

static void ask_ready(login_step *step, const dure_registry_node *node)
{
    gateway *g = step->g;
    game_ready_params in = {0};
    dure_target target = dure_to_node(node->id);
    dure_call_options options = {.deadline_ms = LOGIN_READY_MS, .retry = DURE_RETRY_NEVER};
    dure_call_id call;
    if (game_call_ready(g->rpc, &target, &in, &options, on_ready, step, &call) == DURE_OK) {
        step->refs++;
    }
}

/* Asks a few of the nodes that are up, beginning with another one each time. */
static void ask_some(login_step *step)
{
    gateway *g = step->g;
    const dure_registry *registry = dure_rpc_registry(g->rpc);
    size_t count = dure_registry_node_count(registry);
    size_t first = g->login_turn++;
    for (size_t i = 0; i < count && step->refs <= LOGIN_ASKED_MAX; i++) {
        const dure_registry_node *node = dure_registry_node_at(registry, (first + i) % count);
        if (strcmp(node->role, GATEWAY_PLAYER_ROLE) == 0 &&
            dure_rpc_peer_state(g->rpc, node->id) == DURE_PEER_UP &&
            !dure_rpc_peer_is_draining(g->rpc, node->id)) {
            ask_ready(step, node);
        }
    }
}

/* The client of a login that begins; NULL after it has been answered why there is none. */
static gateway_client *login_client(gateway *g, gateway_conn *conn, dure_str player,
                                    dure_request *request)
{
    gateway_client *client = gateway_client_add(&g->clients, ++g->last_client, conn, player);
    if (client == NULL) {
        dure_request_fail(request, DURE_ERR_OVERLOADED, "out of memory");
        return NULL;
    }
    if (gateway_session_begin(g, client) != DURE_OK) {
        gateway_client_remove(&g->clients, client);
        dure_request_fail(request, DURE_ERR_INTERNAL, "the system gives no random bytes");
        return NULL;
    }
    return client;
}

void gateway_login(gateway *g, gateway_conn *conn, dure_str player, dure_request *request)
{
    login_step *step = dure_mem_alloc(sizeof *step);
    if (step == NULL) {
        dure_request_fail(request, DURE_ERR_OVERLOADED, "out of memory");
        return;
    }
    gateway_client *client = login_client(g, conn, player, request);
    if (client == NULL) {
        dure_mem_free(step);
        return;
    }
    *step = (login_step){.g = g, .client = client->id, .request = request, .refs = 1};
    client->asked = &step->request;
    ask_some(step);
    if (step->refs == 1) {
        login_failed(step, NULL, "no game node is reachable");
    }
    step_release(step);
}
