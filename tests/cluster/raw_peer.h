/* SPDX-License-Identifier: MIT
 *
 * A peer that dials db-1, sends whatever bytes it likes and understands nothing.
 */
#ifndef DURE_TESTS_CLUSTER_RAW_PEER_H
#define DURE_TESTS_CLUSTER_RAW_PEER_H

#include "cluster/cluster_support.h"

typedef struct raw_peer {
    dure_iocp_core *core;
    dure_service *service;
    const uint8_t *say;
    size_t say_len;
    bool is_connected;
    bool is_over;
    bool is_closed;
    bool is_deaf; /* stops reading once it was welcomed */
    size_t heard;
    dure_session *session; /* while it is connected */
} raw_peer;

/* Dials db-1 and says raw->say. */
void raw_start(raw_peer *raw, test_cluster *cluster);
void raw_stop(raw_peer *raw, test_cluster *cluster);

/* The hello of game-1 with incarnation 5, into a buffer that is the caller's to free. */
void raw_write_hello(const test_cluster *cluster, dure_buf *out);

#endif
