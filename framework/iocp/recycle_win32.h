/* SPDX-License-Identifier: MIT
 *
 * The pools of one core's recycled sockets. A connection that both sides have ended goes through
 * DisconnectEx with TF_REUSE_SOCKET, and then its socket waits here for another connection of the
 * same sort: one that was accepted for AcceptEx, one that was connected, and is still bound, for
 * ConnectEx. A socket joins one completion port for life, so the pools belong to a core.
 *
 * The pools are a cache. Whatever the system refuses is closed, and the caller takes a fresh
 * socket.
 */
#ifndef DURE_IOCP_RECYCLE_WIN32_H
#define DURE_IOCP_RECYCLE_WIN32_H

#include "base/list.h"
#include "iocp/core.h"
#include "iocp/op_win32.h"

typedef enum dure_socket_sort { DURE_SOCKET_ACCEPTED, DURE_SOCKET_CONNECTED } dure_socket_sort;

#define DURE_SOCKET_SORTS    2
#define DURE_SOCKET_FAMILIES 2
#define DURE_POOL_MAX        64u

/* After this time a DisconnectEx is given up and its socket closed. */
#define DURE_RECYCLE_DEADLINE_MS 2000u

typedef struct dure_socket_pool {
    SOCKET handles[DURE_POOL_MAX];
    uint32_t count;
} dure_socket_pool;

typedef struct dure_recycler {
    const dure_winsock *winsock;
    dure_iocp_counters *counters;
    bool is_on[DURE_SOCKET_SORTS];
    dure_socket_pool pools[DURE_SOCKET_SORTS][DURE_SOCKET_FAMILIES];
    dure_list leaving; /* DisconnectEx under way, the oldest first */
    uint32_t leaving_count;
} dure_recycler;

/*
 * Empty pools. winsock and counters are borrowed for its life. The choice PROBE makes a trial on
 * the loopback, over the port, which must be unused: both sorts of sockets are recycled and carry
 * another connection, or that sort is off.
 */
void dure_recycler_init(dure_recycler *recycler, dure_recycling choice, HANDLE port,
                        const dure_winsock *winsock, dure_iocp_counters *counters);

/* Closes what is in the pools and asks what is under way to end; leaving_count tells how many
 * packets are still to come. */
void dure_recycler_close(dure_recycler *recycler);

/* A socket that is ready to serve again; INVALID_SOCKET when there is none. The caller owns it. */
SOCKET dure_recycler_take(dure_recycler *recycler, dure_socket_sort sort, dure_family family);

/* A socket that was taken and not used. Takes: handle. */
void dure_recycler_put_back(dure_recycler *recycler, dure_socket_sort sort, dure_family family,
                            SOCKET handle);

/*
 * Begins to recycle a socket that has joined this core's port and whose peer's end was read.
 * Takes: handle, when true. False where this sort is off, the pool is full, or the system refuses:
 * then the caller closes it.
 */
DURE_CHECKED bool dure_recycler_give(dure_recycler *recycler, dure_socket_sort sort,
                                     dure_family family, SOCKET handle, uint64_t now_ns);

/* The packet of a DURE_OP_RECYCLE has come. */
void dure_recycler_completed(dure_recycler *recycler, dure_op *op);

/* When the oldest DisconnectEx is to be given up; UINT64_MAX: none is under way. */
uint64_t dure_recycler_due_ns(const dure_recycler *recycler);

/* Gives up what is due. */
void dure_recycler_expire(dure_recycler *recycler, uint64_t now_ns);

#endif
