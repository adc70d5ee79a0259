/* SPDX-License-Identifier: MIT
 *
 * What the files of the win32 back end share: core_win32.c (core, port, sockets), connect_win32.c,
 * accept_win32.c and transfer_win32.c. Everything here is called on the owner thread.
 */
#ifndef DURE_IOCP_CORE_IMPL_WIN32_H
#define DURE_IOCP_CORE_IMPL_WIN32_H

#include "iocp/backend.h"
#include "iocp/recycle_win32.h"
#include "iocp/socket_win32.h"

#define PACKETS_PER_POLL 256u
/* AcceptEx asks for sixteen bytes more than the largest address, twice. */
#define ADDRESS_ROOM (sizeof(struct sockaddr_storage) + 16)

typedef struct win32_core {
    dure_iocp_core base;
    HANDLE port;
    dure_winsock system; /* unless config.winsock stands in its place */
    const dure_winsock *winsock;
    dure_recycler recycler;
    uint32_t listeners; /* without one, no accepted socket is worth keeping */
    dure_list hot;      /* sockets with something to read in this round */
    dure_list deferred; /* sockets that had their share; hot again in the next round */
    uint8_t *buffer;    /* what RECV lends: one for all, filled and lent at once */
    OVERLAPPED_ENTRY packets[PACKETS_PER_POLL];
    ULONG packet_count;
} win32_core;

/* One of a listener's outstanding AcceptEx. */
typedef struct win32_accept {
    dure_op op;
    SOCKET handle;
    bool is_recycled;
    uint8_t addresses[2 * ADDRESS_ROOM];
} win32_accept;

typedef struct win32_socket {
    dure_iocp_socket base;
    SOCKET handle;
    dure_op in_op;  /* of a receive */
    dure_op out_op; /* of a connect, then of a send */
    bool is_associated;
    bool is_bound;    /* by its owner */
    bool is_recycled; /* came from a pool and has not proved itself */
    bool is_altered;  /* has options that the next connection must not inherit */
    bool is_stranger; /* joined another core's port: looks as if its peer had ended */
    bool is_reset;
    bool has_connection;
    bool has_peer_ended;
    dure_socket_sort sort;
    uint32_t share; /* what it did in the round `round` */
    uint64_t round;
    dure_list node; /* in hot or deferred */

    /* of a listener */
    win32_accept *accepts;
    uint32_t accept_count;
    uint32_t accepts_pending;
    bool is_accept_ending;
    dure_err accept_status;
    int accept_error;
} win32_socket;

/* The core around its common half. */
static inline win32_core *dure_win32_core_of(dure_iocp_core *core)
{
    return DURE_CONTAINER_OF(core, win32_core, base);
}

/* The socket around its common half. */
static inline win32_socket *dure_win32_socket_of(dure_iocp_socket *socket)
{
    return DURE_CONTAINER_OF(socket, win32_socket, base);
}

/* The core that a socket belongs to. */
static inline win32_core *dure_win32_socket_core(win32_socket *socket)
{
    return dure_win32_core_of(socket->base.core);
}

/* There is something to read: it gets its turn in this round. */
static inline void dure_win32_make_hot(win32_socket *socket)
{
    if (dure_list_is_empty(&socket->node)) {
        dure_list_push_back(&dure_win32_socket_core(socket)->hot, &socket->node);
    }
}

/* Whether the result of a posting call means that a packet will come; else the reason. */
static inline bool dure_win32_is_posted(BOOL result, int *out_error)
{
    *out_error = result ? 0 : WSAGetLastError();
    return *out_error == 0 || *out_error == ERROR_IO_PENDING;
}

/* ---- core_win32.c ---- */

/* A socket of ours around one of the system; NULL: no memory. */
win32_socket *dure_win32_socket_new(SOCKET handle);

/* A socket that the system makes, counted. Fails: as dure_socket_handle_open. */
DURE_CHECKED dure_err dure_win32_open_fresh(win32_core *core, dure_family family,
                                            SOCKET *out_handle);

/* A recycled socket has proved itself. */
void dure_win32_note_reuse(win32_socket *socket);

/* Puts a fresh socket in the place of a recycled one. Fails: as dure_socket_handle_open. */
DURE_CHECKED dure_err dure_win32_exchange_for_fresh(win32_socket *socket);

/* Lets the socket join its core's port, before its first operation. Fails: SYSTEM, NO_MEMORY. */
DURE_CHECKED dure_err dure_win32_associate(win32_socket *socket);

/* ---- the operations: begin one, and its packet has come ---- */

/* Fails: as dure_iocp_connect. */
DURE_CHECKED dure_err dure_win32_connect(win32_socket *socket, dure_iocp_event *event);
/* The packet of a connect. */
void dure_win32_connect_done(win32_socket *socket, dure_iocp_event *event, int system_error);

/* Fails: NO_MEMORY, SYSTEM. */
DURE_CHECKED dure_err dure_win32_accept(win32_core *core, win32_socket *listener,
                                        dure_iocp_event *event);
/* Ends accepting with this status, when the last AcceptEx has come back. */
void dure_win32_accept_end(win32_core *core, win32_socket *listener, dure_err status,
                           int system_error);
/* The packet of one AcceptEx. */
void dure_win32_accept_done(win32_core *core, win32_socket *listener, win32_accept *slot,
                            int system_error);

/* RECV and PRE_RECV. Fails: SYSTEM, NO_MEMORY. */
DURE_CHECKED dure_err dure_win32_recv(win32_socket *socket, dure_iocp_event *event);
/* The packet that tells of bytes, or of the end. */
void dure_win32_recv_done(win32_socket *socket, dure_iocp_event *event, int system_error);
/* Reads what is there, up to the socket's share of a round; handlers may close it. */
void dure_win32_read(win32_core *core, win32_socket *socket);

/* Fails: SYSTEM, NO_MEMORY. */
DURE_CHECKED dure_err dure_win32_send(win32_socket *socket, dure_iocp_event *event);
/* The packet of a WSASend. */
void dure_win32_send_done(win32_socket *socket, dure_iocp_event *event, size_t bytes,
                          int system_error);

/* The FIN; DisconnectEx comes when the peer's end was read and the socket is closed. */
void dure_win32_disconnect(win32_socket *socket, dure_iocp_event *event);

#endif
