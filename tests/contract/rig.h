/* SPDX-License-Identifier: MIT
 *
 * What the contract cases are written with: a core of the back end under test, and actors, objects
 * with one event of each kind that note what completed. rig_close asserts the ledger: whatever a
 * case did, all that was started has completed and all that was opened is closed.
 */
#ifndef DURE_TESTS_CONTRACT_RIG_H
#define DURE_TESTS_CONTRACT_RIG_H

#include "base/mem.h"
#include "base/thread.h"
#include "iocp/core.h"
#include "iocp/core_sim.h"
#include "support/check.h"

#define RIG_KINDS ((size_t)DURE_IOCP_JOB + 1)

typedef struct rig {
    dure_sim_world *world;
    dure_iocp_core *core;
} rig;

typedef struct actor {
    dure_iocp_object object;
    rig *rig;
    dure_iocp_socket *socket;
    dure_iocp_event events[RIG_KINDS]; /* by kind */

    /* what completed, by kind */
    uint32_t completed[RIG_KINDS];
    uint32_t delivered[RIG_KINDS];
    dure_err status[RIG_KINDS];
    size_t sent_bytes;
    size_t received_bytes;
    uint64_t received_sum; /* of the bytes, each times its place */
    bool was_destroyed;

    /* what it does in its handler */
    void (*on_event)(struct actor *self, dure_iocp_event *event); /* NULL: only notes */
    struct actor *accept_into;                                    /* takes the next connection */
    void *ctx;
} actor;

/* The back end under test; set by main. */
void rig_choose(dure_backend_choice choice);
bool rig_is_sim(void);

/* A core with the defaults; config may be NULL. */
void rig_open(rig *out_rig, const dure_iocp_core_config *config);
void rig_config(dure_iocp_core_config *out_config);
void rig_close(rig *self);

/* Runs rounds until the condition holds; ten seconds at most (five minutes on the sim clock). */
#define RIG_UNTIL(self, condition)                                                                 \
    do {                                                                                           \
        uint64_t until_ns_ = rig_limit_ns(self);                                                   \
        while (!(condition) && dure_iocp_core_exact_ns((self)->core) < until_ns_) {                \
            (void)dure_iocp_core_run_once((self)->core, 20);                                       \
        }                                                                                          \
        DURE_CHECK(condition);                                                                     \
    } while (0)
uint64_t rig_limit_ns(rig *self);

/* Runs rounds for so many milliseconds of the core's clock. */
void rig_run_for(rig *self, uint32_t ms);

void actor_init(actor *self, rig *owner);
/* Closes its socket if it has one, waits for the last completions and lets go of it. */
void actor_fini(actor *self);
dure_iocp_event *actor_event(actor *self, dure_iocp_kind kind);

/* 127.0.0.1, port 0. */
dure_net_address rig_loopback(void);

/* A listening socket on a port of the system's choice; its address. */
dure_net_address actor_listen(actor *self, const dure_net_address *at, uint32_t backlog);
void actor_open(actor *self, dure_family family);
void actor_close(actor *self);

/* Start, and require OK; these notice a completion inside the call. */
void actor_connect(actor *self, const dure_net_address *address);
void actor_accept(actor *self);
void actor_recv(actor *self);
void actor_pre_recv(actor *self);
void actor_send(actor *self, const void *data, size_t len);
void actor_disconnect(actor *self);

/* A connected pair; the listener is closed again. */
void rig_pair(rig *self, actor *client, actor *server);

/* A block of bytes with a pattern, freed with dure_mem_free, and what its received_sum will be. */
uint8_t *rig_bytes(size_t len, uint64_t *out_sum);

#endif
