/* SPDX-License-Identifier: MIT
 *
 * IocpEvent: one operation, the OVERLAPPED of this framework. It lives inside its owner, is set up
 * once with dure_iocp_event_init and may be started again after it has ended. From a successful
 * start until its last completion it belongs to the core and must not be moved, freed or written.
 *
 * A one-shot operation completes once (`more` is false). A persistent one (ACCEPT, RECV) delivers
 * many completions with `more` true and ends with exactly one with `more` false.
 */
#ifndef DURE_IOCP_EVENT_H
#define DURE_IOCP_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "iocp/address.h"
#include "iocp/object.h"

typedef struct dure_iocp_socket dure_iocp_socket;

typedef enum dure_iocp_kind {
    DURE_IOCP_CONNECT,
    DURE_IOCP_DISCONNECT,
    DURE_IOCP_ACCEPT,   /* persistent */
    DURE_IOCP_PRE_RECV, /* the zero-byte receive: completes when bytes (or the end) are there */
    DURE_IOCP_RECV,     /* persistent */
    DURE_IOCP_SEND,
    DURE_IOCP_TIMER,
    DURE_IOCP_POST,
    DURE_IOCP_JOB
} dure_iocp_kind;

typedef struct dure_iocp_slice {
    const uint8_t *data;
    size_t len;
} dure_iocp_slice;

#define DURE_IOCP_SLICES_MAX 64 /* slices of one gathered send */

/* What runs on a job thread: may block; must touch nothing that a worker owns. */
typedef void (*dure_iocp_job_fn)(void *ctx);

struct dure_iocp_event {
    dure_iocp_object *owner;
    dure_iocp_kind kind;

    /* the result, valid in dispatch */
    dure_err status;
    int system_error;           /* what the system said, for logs; 0 where it said nothing */
    bool more;                  /* another completion of this event will follow */
    size_t bytes;               /* RECV: bytes lent at data; SEND: bytes that left */
    const uint8_t *data;        /* RECV: lent until dispatch returns */
    dure_iocp_socket *accepted; /* ACCEPT with OK: the receiver owns it */

    void *ctx; /* the owner's, never read by the core */

    /* the core's and the back end's; nobody else reads or writes these */
    bool _active;
    bool _is_apart; /* a job that may hang: _job_ctx is its task */
    dure_list _node;
    dure_iocp_socket *_socket;
    dure_iocp_job_fn _job_fn;
    void *_job_ctx;
    uint64_t _due_ns;
    uint64_t _sequence; /* of two timers due at once the first one started comes first */
    uint32_t _heap_index;
    uint32_t _backend_index;
    dure_net_address _address;
    dure_iocp_slice _slices[4];    /* a send of up to four slices needs no memory of its own */
    dure_iocp_slice *_more_slices; /* a longer one: the socket's array */
    uint32_t _slice_count;
    uint32_t _slice_at;
};

/*
 * Prepares an event of one owner and one kind. It is not started.
 * Thread: owner.
 */
void dure_iocp_event_init(dure_iocp_event *event, dure_iocp_object *owner, dure_iocp_kind kind);

/*
 * Whether it was started and its last completion has not been dispatched yet.
 * Thread: owner.
 */
static inline bool dure_iocp_event_is_active(const dure_iocp_event *event)
{
    return event->_active;
}

#endif
