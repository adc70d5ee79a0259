/* SPDX-License-Identifier: MIT
 *
 * Calls carry the client's number, because the client may be gone when they are answered.
 */
#include "nodes/gateway/forward.h"

#include "nodes/gateway/binding.h"
#include "wire/cursor.h"

static bool is_idempotent(const gateway_call *call)
{
    return (call->method->flags & DURE_METHOD_IDEMPOTENT) != 0;
}

/* Whether the node of the player has to serve it, and not any node of a role. */
static bool is_of_player(const gateway_call *call)
{
    return call->client != 0 && strcmp(call->method->role->name, GATEWAY_PLAYER_ROLE) == 0;
}

/* ---- the answer ---- */

/* The node lets go of players, or has forgotten this one: the tick brings it there again. It may
 * be there all the same, so it has still to leave the node. */
static void on_no_player(gateway *g, gateway_client *client, gateway_call *call,
                         const dure_outcome *outcome)
{
    if (client->state == GATEWAY_CLIENT_BOUND && client->node == outcome->from &&
        client->epoch == call->epoch) {
        gateway_await(g, client, "its node has no such player");
    }
    call->id = 0;
    gateway_client_wait_again(&g->clients, client, call);
    gateway_client_run_waiting(&g->clients, client, g);
}

static void answer(const gateway_call *call, const dure_outcome *outcome)
{
    if (is_idempotent(call) && outcome->status == DURE_ERR_OUTCOME_UNKNOWN &&
        outcome->error.len == 0) {
        /* Our link broke under it; it may be asked again without harm. */
        dure_request_fail(call->request, DURE_ERR_UNAVAILABLE, "the game node went away");
    } else {
        dure_request_forward(call->request, outcome);
    }
}

static void on_forwarded(void *ctx, const dure_outcome *outcome)
{
    gateway_call *call = ctx;
    gateway *g = call->gateway;
    gateway_client *client = gateway_client_find(&g->clients, call->client);
    if (call->request != NULL) {
        dure_request_on_cancel(call->request, NULL, NULL);
        if (outcome->code == DURE_ERR_NO_PLAYER && is_of_player(call) && client != NULL) {
            on_no_player(g, client, call, outcome);
            return;
        }
        answer(call, outcome);
    }
    gateway_call_free(call);
}

static void on_forward_cancelled(dure_request *request, void *ctx)
{
    const gateway_call *call = ctx;
    const gateway *g = call->gateway;
    (void)request;
    dure_rpc_cancel(g->rpc, call->id);
}

/* ---- passing on ---- */

/* Takes the call. */
static void forward_to(gateway *g, gateway_client *client, gateway_call *call,
                       const dure_target *target)
{
    dure_call_options options = {
        .subject = call->client, .for_request = call->request, .method_flags = call->method->flags};
    dure_err err = dure_rpc_call(g->rpc, target, call->method->number, &options, call->params,
                                 on_forwarded, call, &call->id);
    if (err != DURE_OK) {
        dure_request_fail(call->request, err, "%s", dure_err_text(err));
        gateway_call_free(call);
        return;
    }
    if (client != NULL) {
        dure_list_push_back(&client->forwarded, &call->in_client);
    }
    dure_request_on_cancel(call->request, on_forward_cancelled, call);
}

/* To the game node that holds the player; gateway_call_fn. */
static void forward_to_player(void *ctx, gateway_client *client, gateway_call *call)
{
    if (client->state != GATEWAY_CLIENT_BOUND) {
        dure_request_fail(call->request, DURE_ERR_UNAVAILABLE,
                          "the game node of the player is not reachable");
        gateway_call_free(call);
        return;
    }
    dure_target target = dure_to_node(client->node->id);
    call->epoch = client->epoch;
    forward_to(ctx, client, call, &target);
}

/* To a role of its own: any node of it, or the one of the first parameter. */
static void forward_to_role(gateway *g, gateway_client *client, gateway_call *call)
{
    dure_target target = dure_to_role(call->method->role->name);
    if ((call->method->flags & DURE_METHOD_KEY_PARAM) != 0) {
        dure_cursor cursor = dure_cursor_of(call->params.data, call->params.len);
        uint32_t count = 0;
        dure_slice key;
        if (dure_cursor_array(&cursor, &count) != DURE_OK || count == 0 ||
            dure_cursor_any(&cursor, &key) != DURE_OK) {
            dure_request_fail(call->request, DURE_ERR_BAD_REQUEST,
                              "the first parameter is missing");
            gateway_call_free(call);
            return;
        }
        target = dure_to_key(call->method->role->name, (dure_str){(const char *)key.data, key.len});
    }
    forward_to(g, client, call, &target);
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

static void forward_known(gateway *g, gateway_client *client, dure_request *request,
                          const gateway_method *method, dure_slice params)
{
    gateway_call *call = gateway_call_create(client, request, forward_to_player);
    if (call == NULL) {
        return;
    }
    call->gateway = g;
    call->method = method;
    call->params = params;
    if (client == NULL || !is_of_player(call)) {
        forward_to_role(g, client, call);
    } else if (gateway_client_is_busy(client) || client->waiting_count > 0) {
        gateway_client_wait(&g->clients, client, call);
    } else {
        forward_to_player(g, client, call);
    }
}

void gateway_forward(gateway *g, gateway_client *client, dure_request *request, dure_str name,
                     dure_slice params)
{
    const gateway_method *method = gateway_methods_find(&g->methods, name);
    if (method == NULL) {
        fail_unknown(g, request, name);
    } else if (client == NULL && (method->flags & DURE_METHOD_NO_LOGIN) == 0) {
        dure_request_fail(request, DURE_ERR_NOT_LOGGED_IN, "log in first");
    } else {
        forward_known(g, client, request, method, params);
    }
}

/* ---- the end ---- */

void gateway_forward_end(gateway_client *client, dure_err cause, const char *text)
{
    gateway_client_fail_waiting(client, cause, text);
    dure_list *node;
    while ((node = dure_list_pop_front(&client->forwarded)) != NULL) {
        gateway_call *call = DURE_CONTAINER_OF(node, gateway_call, in_client);
        dure_request *request = call->request;
        call->request = NULL;
        dure_request_on_cancel(request, NULL, NULL);
        if (is_idempotent(call)) {
            dure_request_fail(request, cause, "%s", text);
        } else {
            dure_request_fail(request, DURE_ERR_OUTCOME_UNKNOWN, "%s; the call may have run", text);
        }
    }
}
