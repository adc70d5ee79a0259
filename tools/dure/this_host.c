/* SPDX-License-Identifier: MIT
 *
 * A bind to port 0 of the node's address tells, with no list of the machine's addresses.
 */
#include "tools/dure/this_host.h"

#include "net/address.h"

static bool is_here(dure_iocp_core *core, const dure_registry_node *node)
{
    dure_net_address address;
    dure_iocp_socket *socket = NULL;
    if (dure_net_address_from_ip(node->bind, 0, &address) != DURE_OK ||
        dure_iocp_socket_open(core, address.family, &socket) != DURE_OK) {
        return false;
    }
    bool is_bound = dure_iocp_socket_bind(socket, &address) == DURE_OK;
    dure_iocp_socket_close(socket);
    return is_bound;
}

dure_err this_host_find(const dure_registry *registry, bool *out_is_here)
{
    dure_iocp_core_config config;
    dure_iocp_core *core = NULL;
    dure_iocp_core_config_init(&config);
    config.backend = DURE_BACKEND_LIGHT;
    config.recycling = DURE_RECYCLING_OFF;
    dure_err err = dure_iocp_core_create(&config, &core);
    if (err != DURE_OK) {
        return err;
    }
    for (size_t i = 0; i < dure_registry_node_count(registry); i++) {
        out_is_here[i] = is_here(core, dure_registry_node_at(registry, i));
    }
    dure_iocp_core_destroy(core);
    return DURE_OK;
}
