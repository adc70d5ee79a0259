/* SPDX-License-Identifier: MIT
 *
 * Strangers: connections that have proved nothing yet, at any port. They are kept in the order in
 * which they came, in all and by address, so that a port that is full closes the one that has been
 * connected longest, and nobody is kept out by those who only hold a place. An honest one needs its
 * place for the short time until it has proved itself; who holds places for longer loses them
 * first.
 *
 * Whoever has proved itself is taken out and counts no more. Knows no sockets and no clock.
 */
#ifndef DURE_NET_STRANGERS_H
#define DURE_NET_STRANGERS_H

#include "base/list.h"
#include "net/network.h"

typedef struct dure_strangers dure_strangers;

/* Part of a connection; all zero is one that is not counted. */
typedef struct dure_stranger {
    dure_list _in_all;
    dure_list _in_home;
    struct dure_strangers_home *_home;
    dure_strangers *_strangers; /* NULL: it is not counted */
} dure_stranger;

typedef struct dure_strangers_config {
    uint32_t most;                   /* at once; 0: no limit but the owner's */
    uint32_t most_per_address;       /* at once, of one address or IPv6 subnet; 0: no limit */
    const dure_net_networks *exempt; /* most_per_address is not theirs; borrowed for life */
    uint64_t seed;                   /* that nobody can guess: where addresses meet in the table */
} dure_strangers_config;

/* Fails: NO_MEMORY. Owned by the caller. */
DURE_CHECKED dure_err dure_strangers_create(const dure_strangers_config *config,
                                            dure_strangers **out_strangers);
/* Those that are left are counted no more. NULL is fine. */
void dure_strangers_destroy(dure_strangers *strangers);

/*
 * Counts one more, which must not be counted. Where it is one too many, another one is counted no
 * more, and out_surplus is it: of its own address the one that came first, else of all; the caller
 * closes it. NULL: there is room. Never the one that came just now.
 * Fails: NO_MEMORY; nothing has changed.
 * Thread: owner.
 */
DURE_CHECKED dure_err dure_strangers_add(dure_strangers *strangers, dure_stranger *stranger,
                                         const dure_net_address *address,
                                         dure_stranger **out_surplus);

/* It has proved itself, or is gone. One that is not counted is fine. Thread: owner. */
void dure_strangers_remove(dure_stranger *stranger);

/* The one that came first, which is counted no more; NULL when there is none. For an owner whose
 * place is short for other reasons; the caller closes it. Thread: owner. */
dure_stranger *dure_strangers_pop_oldest(dure_strangers *strangers);

/* Whether it is counted. Thread: owner. */
bool dure_stranger_is_counted(const dure_stranger *stranger);
/* How many are counted. Thread: owner. */
uint32_t dure_strangers_count(const dure_strangers *strangers);
/* How many of the address's group. Thread: owner. */
uint32_t dure_strangers_count_of(const dure_strangers *strangers, const dure_net_address *address);

#endif
