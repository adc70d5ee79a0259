/* SPDX-License-Identifier: MIT
 *
 * ServerService: hosts the sessions of those who connect to its address. It owns a Listener on its
 * first core and hands accepted connections to its cores in turn (one core: no hand-over).
 */
#ifndef DURE_NET_SERVER_SERVICE_H
#define DURE_NET_SERVER_SERVICE_H

#include "net/service.h"

/*
 * Fails: INVALID (the config names the rule in its comments), NO_MEMORY.
 * Owned by the caller; ends with dure_service_destroy.
 */
DURE_CHECKED dure_err dure_server_service_create(const dure_service_config *config,
                                                 const dure_net_address *address,
                                                 dure_service **out_service);

/*
 * The address it listens on, with the real port where port 0 was asked for.
 * Fails: STATE before start.
 * Thread: owner of the first core.
 */
DURE_CHECKED dure_err dure_server_service_address(const dure_service *service,
                                                  dure_net_address *out_address);

/* Stops accepting and keeps the sessions; for draining. Thread: owner of the first core. */
void dure_server_service_stop_accepting(dure_service *service);

#endif
