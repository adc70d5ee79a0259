/* SPDX-License-Identifier: MIT
 *
 * The world that sim cores live in: one virtual clock, one lossless network, one seed, one thread.
 * Nothing waits: when no completion is ready, the clock jumps to the next timer or arrival. The
 * same seed and the same calls give the same run.
 *
 * Any address may be bound; port 0 gives an ephemeral number. Of the documentation's networks (RFC
 * 5737), 192.0.2.0/24 swallows what is sent to it (a connect ends with TIMED_OUT after 127 s, as
 * Linux has it) and 198.51.100.0/24 has no route (UNREACHABLE). A full backlog drops the connect,
 * which is tried again after 1 s.
 */
#ifndef DURE_IOCP_CORE_SIM_H
#define DURE_IOCP_CORE_SIM_H

#include "iocp/core.h"

typedef struct dure_sim_config {
    uint64_t seed;
    uint64_t latency_ns; /* of every segment, one way; default 50,000 */
    uint64_t start_wall_ms;
    uint32_t segment_bytes;     /* largest piece that arrives at once; 0: as it was sent */
    uint32_t send_window_bytes; /* bytes in flight to a peer that does not read; default 256 KiB */
} dure_sim_config;

/* The defaults that stand beside the members. Thread: any. */
void dure_sim_config_init(dure_sim_config *config);

/* Fails: NO_MEMORY. Ends with dure_sim_world_destroy, after its cores. */
DURE_CHECKED dure_err dure_sim_world_create(const dure_sim_config *config,
                                            dure_sim_world **out_world);
void dure_sim_world_destroy(dure_sim_world *world);

/*
 * One step: a core that has something to do has a round, the cores in turn; or else the clock goes
 * to the earliest arrival or timer, which happens (at one time: arrivals first, in the order in
 * which they were sent). False when nothing is left to happen.
 */
bool dure_sim_step(dure_sim_world *world);

/*
 * Steps until is_done(ctx) or until limit_ms of virtual time have passed. True when done.
 */
bool dure_sim_run_until(dure_sim_world *world, bool (*is_done)(void *ctx), void *ctx,
                        uint32_t limit_ms);

/* Steps through ms of virtual time. */
void dure_sim_run_for(dure_sim_world *world, uint32_t ms);

/*
 * The machine of a core was suspended for so long and has just been resumed: its elapsed clock
 * (dure_iocp_core_elapsed_ns) is ahead of the world's by as much. Nothing else changes.
 * Thread: the one of the world.
 */
void dure_sim_suspend(dure_iocp_core *core, uint32_t ms);

/* The virtual clock, in nanoseconds since the world was made. Thread: the one of the world. */
uint64_t dure_sim_now_ns(const dure_sim_world *world);

#endif
