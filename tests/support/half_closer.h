/* SPDX-License-Identifier: MIT
 *
 * A client like `printf ... | nc -N`: it connects, says all that it wants, ends its sending and
 * goes on reading. Made of the core's sockets, since a session that disconnects reads for nobody.
 */
#ifndef DURE_TESTS_SUPPORT_HALF_CLOSER_H
#define DURE_TESTS_SUPPORT_HALF_CLOSER_H

#include "base/buf.h"
#include "iocp/core.h"

typedef struct half_closer {
    dure_iocp_object object;
    dure_iocp_event connect;
    dure_iocp_event recv;
    dure_iocp_event send;
    dure_iocp_event end;
    dure_iocp_socket *socket; /* NULL: closed */
    const void *words;        /* borrowed until has_ended */
    size_t words_len;
    dure_buf received;
    bool has_ended;  /* its own sending */
    bool is_over;    /* the other side has ended */
    dure_err status; /* how: PEER_CLOSED, or what went wrong */
} half_closer;

/* Begins; the rest comes with the core's rounds. */
void half_closer_start(half_closer *self, dure_iocp_core *core, const dure_net_address *address,
                       const void *words, size_t len);

/* The connection breaks. */
void half_closer_reset(half_closer *self);

/* Closes where that has not been done. Once the core has had a round, nothing is left. */
void half_closer_close(half_closer *self);
void half_closer_fini(half_closer *self);

#endif
