/* SPDX-License-Identifier: MIT
 *
 * Reaches into the room, because nothing else breaks one connection of a simulated world.
 */
#include "support/cut_link.h"

#include "cluster/link_impl.h"
#include "cluster/rpc_impl.h"

void cut_link(dure_rpc *rpc, const char *peer)
{
    for (uint32_t i = 0; i < rpc->peer_count; i++) {
        const dure_link *link = rpc->peers[i].link;
        if (link != NULL && link->conn != NULL && strcmp(link->node->id, peer) == 0) {
            dure_link_conn_end(link->conn, DURE_ERR_RESET, "", true);
        }
    }
}
