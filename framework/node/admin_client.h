/* SPDX-License-Identifier: MIT
 *
 * From a node's data folder to its admin port: what `dure status`, tests and other tools on the
 * node's machine do. The token lies in a file that only the owner of the node can read.
 */
#ifndef DURE_NODE_ADMIN_CLIENT_H
#define DURE_NODE_ADMIN_CLIENT_H

#include "node/rpc_client.h"

typedef struct dure_admin_place {
    uint16_t port;
    uint64_t pid;
    char token[128];
} dure_admin_place;

/*
 * Reads <data>/<node_id>/admin.json.
 * Fails: NOT_FOUND (the node does not run), SYNTAX, PERMISSION, and as dure_file_read.
 * Thread: any; it reads a file.
 */
DURE_CHECKED dure_err dure_admin_find(const char *data, const char *node_id,
                                      dure_admin_place *out_place);

/*
 * Finds the port, connects and authenticates; each step within timeout_ms. out_place may be NULL.
 * Owned by the caller; ends with dure_rpc_client_destroy.
 * Fails: as dure_admin_find, REFUSED (another process has the port by now), what the connect said.
 * Thread: the caller's, as all of rpc_client.h.
 */
DURE_CHECKED dure_err dure_admin_open(const char *data, const char *node_id, uint32_t timeout_ms,
                                      dure_admin_place *out_place, dure_rpc_client **out_client);

/* Calls an admin method without parameters. Fails: as dure_rpc_client_call. */
DURE_CHECKED dure_err dure_admin_call(dure_rpc_client *client, const char *method,
                                      uint32_t timeout_ms, dure_rpc_answer *out_answer);

#endif
