/* SPDX-License-Identifier: MIT
 *
 * The clusters that these tests break.
 */
#ifndef DURE_TESTS_FAULTS_CLUSTERS_H
#define DURE_TESTS_FAULTS_CLUSTERS_H

#define CLUSTER_ROLES                                                                              \
    " \"roles\": {\"gateway\": {\"program\": \"dure-gateway\", \"dials\": [\"game\"]},"            \
    "             \"game\": {\"program\": \"dure-game\", \"dials\": [\"db\"]},"                    \
    "             \"db\": {\"program\": \"dure-db\"}},"

#define CLUSTER_GATEWAY(id)                                                                        \
    "{\"id\": \"" id "\", \"role\": \"gateway\", \"link_port\": 1, \"client_port\": 2}"
#define CLUSTER_NODE(id, role) "{\"id\": \"" id "\", \"role\": \"" role "\", \"link_port\": 3}"

/* A gateway, a game node and a db node; settings of the top level may stand in front. */
#define CLUSTER_OF_THREE(settings)                                                                 \
    "{\"cluster\": \"three\"," settings CLUSTER_ROLES " \"nodes\": [" CLUSTER_GATEWAY(             \
        "gateway-1") "," CLUSTER_NODE("game-1", "game") "," CLUSTER_NODE("db-1", "db") "]}"

/* The same with a second gateway. */
#define CLUSTER_OF_TWO_GATEWAYS                                                                    \
    "{\"cluster\": \"gateways\"," CLUSTER_ROLES                                                    \
    " \"nodes\": [" CLUSTER_GATEWAY("gateway-1") "," CLUSTER_GATEWAY(                              \
        "gateway-2") "," CLUSTER_NODE("game-1", "game") "," CLUSTER_NODE("db-1", "db") "]}"

/* One with several game nodes, so that several links can be bad at once. */
#define CLUSTER_OF_FIVE_GAMES                                                                                       \
    "{\"cluster\": \"games\"," CLUSTER_ROLES                                                                        \
    " \"nodes\": [" CLUSTER_GATEWAY("gateway-1") "," CLUSTER_NODE("game-1", "game") "," CLUSTER_NODE(               \
        "game-2",                                                                                                   \
        "game") "," CLUSTER_NODE("game-3",                                                                          \
                                 "game") "," CLUSTER_NODE("game-4",                                                 \
                                                          "game") "," CLUSTER_NODE("game-5",                        \
                                                                                   "game") "," CLUSTER_NODE("db-1", \
                                                                                                            "db") "]}"

#endif
