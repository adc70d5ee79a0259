/* SPDX-License-Identifier: MIT
 *
 * ClientService: opens its number of sessions to one target with ConnectEx and keeps them open,
 * redialling with jitter (RELIABILITY: 250 ms x 1.6, +-20 %, at most 15 s).
 */
#ifndef DURE_NET_CLIENT_SERVICE_H
#define DURE_NET_CLIENT_SERVICE_H

#include "net/backoff.h"
#include "net/lookup.h"
#include "net/service.h"

typedef struct dure_client_service_config {
    const char *host; /* name or numeric; borrowed for the create call */
    uint16_t port;
    uint32_t session_count; /* at least 1 */
    bool connect_at_start;  /* false: sessions wait for dure_session_connect */
    bool redial;            /* connect again after a failure or an end */
    bool confirm_by_user; /* backoff starts anew at dure_client_service_confirm, not when connected
                           */
    dure_backoff_config backoff;
    dure_net_lookup_fn lookup; /* of host; NULL: the system's */
} dure_client_service_config;

/* One session, connect at start, redial, not confirmed by the user, default backoff. */
void dure_client_service_config_init(dure_client_service_config *config);

/*
 * Fails: INVALID, NO_MEMORY.
 * Owned by the caller; ends with dure_service_destroy.
 */
DURE_CHECKED dure_err dure_client_service_create(const dure_service_config *config,
                                                 const dure_client_service_config *client,
                                                 dure_service **out_service);

/* The peer is really there (it said welcome): the session's next redial begins with the first
 * pause. */
void dure_client_service_confirm(dure_session *session);

/* The session's next redial waits at least this long (a refused identity: 60 s). */
void dure_client_service_hold_off(dure_session *session, uint32_t delay_ms);

/* The i-th session, from 0, or NULL. It exists from start to the end of the service. */
dure_session *dure_client_service_session(dure_service *service, uint32_t index);

#endif
