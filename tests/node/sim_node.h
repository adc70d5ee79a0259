/* SPDX-License-Identifier: MIT
 *
 * A node of the greeter role in a simulated world, and the connections of clients to it.
 */
#ifndef DURE_TESTS_NODE_SIM_NODE_H
#define DURE_TESTS_NODE_SIM_NODE_H

#include "base/buf.h"
#include "greeter.h"
#include "iocp/core_sim.h"
#include "net/client_service.h"
#include "support/check.h"

typedef struct sim_node {
    dure_sim_world *world;
    dure_iocp_core *core; /* of the node and of its clients */
    dure_registry *registry;
    dure_log *log;
    dure_buf log_text; /* what the node logged */
    dure_node *node;
    greeter *role; /* NULL where it did not start */
    unsigned readied;
    bool is_ended;
    int exit_code;
} sim_node;

/* Changes to the settings before the registry is finished; may be NULL. */
typedef void (*sim_settings_fn)(dure_registry_settings *settings);

/* A world with a node, made and not started; its client port is client_port, 0 for any. */
void sim_node_make(sim_node *sim, const dure_role *role, uint16_t client_port,
                   sim_settings_fn change);
/* The same, started. */
void sim_node_open(sim_node *sim, sim_settings_fn change);
/* Stops the node if it still runs; nothing is left behind. */
void sim_node_close(sim_node *sim);

/* Lets virtual time pass. */
void sim_node_run(sim_node *sim, uint32_t ms);
bool sim_node_logged(const sim_node *sim, const char *text);

/* A client's connection, and every byte that came to it. */
typedef struct sim_client {
    sim_node *sim;
    dure_service *service;
    dure_session *session; /* NULL once it has ended */
    dure_buf received;
    uint32_t next_id;
    bool is_closed;
} sim_client;

/* The same as open, where the node may have cut the connection already. */
void sim_client_dial(sim_client *client, sim_node *sim);
void sim_client_open(sim_client *client, sim_node *sim);
void sim_client_close(sim_client *client);

void sim_client_send(sim_client *client, const void *bytes, size_t len);
/* Calls a method with no parameters, or with one str of len bytes; the answer is left to come. */
void sim_client_ask(sim_client *client, const char *method, const char *text, size_t len);
/* The same, and some time for the answer. Whether what came since the last look holds `expected`.
 */
bool sim_client_hears(sim_client *client, const char *method, const char *text,
                      const char *expected);
/* Whether what came holds these characters; what came before is forgotten by sim_client_forget. */
bool sim_client_saw(const sim_client *client, const char *expected);
void sim_client_forget(sim_client *client);

#endif
