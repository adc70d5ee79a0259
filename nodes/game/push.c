/* SPDX-License-Identifier: MIT
 *
 * Clients are gathered gateway by gateway. Rooms are small beside the number of gateways, so the
 * room is walked once for each gateway that it needs.
 */
#include "nodes/game/push.h"

#include "base/mem.h"
#include "gateway.schema.h"

#define PUSH_GATEWAYS_MAX 1024u
#define PUSH_CLIENTS_MAX  4096u /* of one message; more go in further messages */

static dure_err push_send(game *g, const dure_registry_node *gateway, const uint64_t *clients,
                          uint32_t count, const char *method, dure_slice params)
{
    dure_target target = dure_to_node(gateway->id);
    gateway_push_params in = {
        .clients = {.items = clients, .count = count},
        .method = dure_str_of(method),
        .params = params,
    };
    return gateway_notify_push(g->rpc, &target, 0, &in);
}

/* The gateways that had their message. */
typedef struct gateway_set {
    const dure_registry_node *gateways[PUSH_GATEWAYS_MAX];
    uint32_t count;
} gateway_set;

/* False when it is in the set already, or the set is full. */
static bool gateway_set_add(gateway_set *set, const dure_registry_node *gateway)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->gateways[i] == gateway) {
            return false;
        }
    }
    if (set->count == PUSH_GATEWAYS_MAX) {
        return false;
    }
    set->gateways[set->count++] = gateway;
    return true;
}

static uint32_t push_to_gateway(game *g, const world_room *room, const world_player *first,
                                const world_player *except, uint64_t *clients, const char *method,
                                dure_slice params)
{
    uint32_t sent = 0;
    uint32_t count = 0;
    for (const dure_list *at = &first->in_room; at != &room->players; at = at->next) {
        const world_player *player = world_player_in_room(at);
        if (player == except || player->client.gateway != first->client.gateway) {
            continue;
        }
        clients[count++] = player->client.session;
        if (count == PUSH_CLIENTS_MAX) {
            sent += push_send(g, first->client.gateway, clients, count, method, params) == DURE_OK
                        ? count
                        : 0;
            count = 0;
        }
    }
    if (count > 0 &&
        push_send(g, first->client.gateway, clients, count, method, params) == DURE_OK) {
        sent += count;
    }
    return sent;
}

uint32_t game_push_to_room(game *g, const world_room *room, const world_player *except,
                           const char *method, dure_slice params)
{
    uint64_t *clients = dure_mem_alloc_array(PUSH_CLIENTS_MAX, sizeof *clients);
    gateway_set had = {.count = 0};
    uint32_t sent = 0;
    if (clients == NULL) {
        return 0;
    }
    for (const dure_list *at = room->players.next; at != &room->players; at = at->next) {
        const world_player *player = world_player_in_room(at);
        if (player != except && gateway_set_add(&had, player->client.gateway)) {
            sent += push_to_gateway(g, room, player, except, clients, method, params);
        }
    }
    dure_mem_free(clients);
    return sent;
}
