/* SPDX-License-Identifier: MIT
 *
 * The clusters that these tests break.
 */
#ifndef DURE_TESTS_FAULTS_CLUSTERS_H
#define DURE_TESTS_FAULTS_CLUSTERS_H

/* A gateway, a game node and a db node; more settings of the top level may stand in front. */
#define CLUSTER_OF_THREE(settings)                                                                 \
    "{\"cluster\": \"three\"," settings                                                            \
    " \"roles\": {\"gateway\": {\"program\": \"dure-gateway\", \"dials\": [\"game\"]},"            \
    "             \"game\": {\"program\": \"dure-game\", \"dials\": [\"db\"]},"                    \
    "             \"db\": {\"program\": \"dure-db\"}},"                                            \
    " \"nodes\": ["                                                                                \
    "  {\"id\": \"gateway-1\", \"role\": \"gateway\", \"link_port\": 1, \"client_port\": 2},"      \
    "  {\"id\": \"game-1\", \"role\": \"game\", \"link_port\": 3},"                                \
    "  {\"id\": \"db-1\", \"role\": \"db\", \"link_port\": 4}]}"

#endif
