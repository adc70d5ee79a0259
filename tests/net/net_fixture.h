/* SPDX-License-Identifier: MIT
 *
 * What the suites of net/ share: a core of any back end, and two sides that write down what their
 * sessions tell them.
 */
#ifndef DURE_TESTS_NET_NET_FIXTURE_H
#define DURE_TESTS_NET_NET_FIXTURE_H

#include "iocp/core_sim.h"
#include "net/address.h"
#include "net/client_service.h"
#include "net/server_service.h"
#include "support/check.h"

/* A bound for whatever a test waits for: virtual time on sim, real time elsewhere. */
#define NET_LIMIT_MS 60000u

/* Addresses of the simulated network (iocp/core_sim.h): one never answers, one has no route. */
#define NET_SILENT_HOST      "192.0.2.1"
#define NET_UNREACHABLE_HOST "198.51.100.1"

typedef struct net_fixture {
    dure_sim_world *world; /* sim only */
    dure_iocp_core *core;
} net_fixture;

/* False where the back end is not to be had here. */
bool net_fixture_open(net_fixture *fixture, dure_backend_choice backend);

/* The same with at most so many sockets on its core. */
bool net_fixture_open_limited(net_fixture *fixture, dure_backend_choice backend,
                              uint32_t sockets_max);

/* On sim, with so many bytes on their way to a peer that does not read, at most. */
bool net_fixture_open_windowed(net_fixture *fixture, uint32_t window_bytes);

/* A further core of the same world takes the place of the one in a copy of a sim fixture. */
bool net_fixture_add_core(net_fixture *copy);
void net_fixture_drop_core(net_fixture *copy);

/* Everything that was started has completed and every socket is closed; then the core ends. */
void net_fixture_close(net_fixture *fixture);

/* One round; false once the bound (core time in ms) is passed. */
bool net_fixture_step(net_fixture *fixture, uint64_t limit_ms);

/* Lets time pass. */
void net_fixture_run_for(net_fixture *fixture, uint32_t ms);

#define NET_RUN_UNTIL(fixture, condition)                                                          \
    do {                                                                                           \
        uint64_t limit_ms_ = dure_iocp_core_now_ms((fixture)->core) + NET_LIMIT_MS;                \
        while (!(condition) && net_fixture_step(fixture, limit_ms_)) {                             \
        }                                                                                          \
        DURE_REQUIRE(condition);                                                                   \
    } while (0)

/* One service and what its sessions told. */
typedef struct net_side {
    dure_service *service;
    unsigned connected;
    unsigned connect_failed;
    unsigned disconnected;
    dure_err cause; /* the last one */
    size_t sent_bytes;
    unsigned sent_calls;
    uint8_t received[4096]; /* the first ones */
    size_t received_bytes;
    unsigned recv_calls;
    dure_session *session; /* the last one that connected */
    uint64_t id;           /* and its id */
    unsigned peer_ends;    /* where on_peer_ended is set */
    bool is_closed;

    /* what the side does */
    bool echoes;
    bool is_filtered; /* a greeting of the filter may be queued already */
    bool consumes_nothing;
    bool connects_again;          /* in on_disconnected */
    bool pauses_at_once;          /* in on_connected */
    dure_err disconnects_at_once; /* in on_connected, unless OK */
    const char *greeting;         /* sent in on_connected, unless NULL */
    dure_err answer;              /* what on_recv returns */
} net_side;

extern const dure_session_handlers net_side_handlers;

/* Counts the peer's end and leaves the session connected; for dure_service_config. */
void net_side_on_peer_ended(dure_session *session);

/* Defaults with the side's handlers on the fixture's core. */
void net_side_config(net_fixture *fixture, net_side *side, dure_service_config *out_config);

/* A server on the loopback, any port, started. */
dure_net_address net_side_serve(net_fixture *fixture, net_side *side,
                                const dure_service_config *config);

/* A client without redial, started. */
void net_side_dial(net_fixture *fixture, net_side *side, const dure_service_config *config,
                   const dure_net_address *address, uint32_t session_count);

/* Closes and destroys the services of both sides; either may be NULL. */
void net_sides_end(net_fixture *fixture, net_side *a, net_side *b);

#endif
