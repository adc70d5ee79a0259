/* SPDX-License-Identifier: MIT
 *
 * What one connection sends, in three lanes (docs/wire.md): control frames go to the session at
 * once; small frames go there while little waits in it, else they queue; a body over 32 KiB waits
 * in the bulk lane and leaves as parts, one at a time. The session holds a bounded amount, so that
 * a large body delays neither a heartbeat nor a small call by more than that.
 *
 * What belongs to one conversation (all notifications, and all frames of one subject) keeps its
 * order: a small frame that comes behind a large body of its conversation waits with it in the bulk
 * lane, and a large body waits for the small frames that queued before it.
 *
 * Each frame of the normal and bulk lanes has a mark that tells, when the connection has ended,
 * whether its last byte was given to the system.
 *
 * Owner thread only.
 */
#ifndef DURE_CLUSTER_LINK_LANES_H
#define DURE_CLUSTER_LINK_LANES_H

#include "base/list.h"
#include "net/session.h"
#include "wire/frame.h"

#define DURE_LANES_PART_BYTES    32768u  /* of a body in one part; a larger body is cut */
#define DURE_LANES_BULK_BYTES    131072u /* no further part goes to a session with so much queued */
#define DURE_LANES_SESSION_BYTES 262144u /* no small frame either */
#define DURE_LANES_RUNS          32u
#define DURE_LANES_SUBJECT_BITS  6u /* of the hash by which a subject is looked for */

/* So much of a lane lies in the session, ending at an offset of the connection's bytes. */
typedef struct dure_lanes_run {
    uint64_t lane_start;
    uint64_t lane_end;
    uint64_t session_end;
} dure_lanes_run;

typedef struct dure_lanes_marks {
    dure_lanes_run runs[DURE_LANES_RUNS];
    uint32_t count;
    uint64_t handed; /* the end of the last run */
} dure_lanes_marks;

/* Counts of one connection; added up by its link. */
typedef struct dure_lanes_counters {
    uint64_t bodies_cut; /* bodies that began to leave as parts */
    uint64_t parts_sent;
    uint64_t bodies_dropped; /* cancelled, expired or not wanted before their last part */
} dure_lanes_counters;

typedef struct dure_link_lanes {
    dure_session *_session;
    uint64_t session_bytes; /* all that was given to the session */
    dure_buf _normal;
    size_t _normal_at;
    uint64_t _normal_queued; /* of the lane's bytes, in all */
    dure_list _bulk;
    size_t _bulk_bytes;      /* of its large bodies */
    size_t _behind_bytes;    /* of the small frames that wait behind these, with what holds them */
    uint64_t _bulk_queued;   /* of its messages, in all */
    uint32_t _bulk_notifies; /* that wait in it */
    uint32_t _bulk_subjects[1u << DURE_LANES_SUBJECT_BITS];
    uint32_t _stream;
    dure_lanes_marks _normal_marks;
    dure_lanes_marks _bulk_marks;
    dure_buf _part; /* a frame that is written, for the length of a call */
    dure_lanes_counters counters;
} dure_link_lanes;

/* Allocates nothing. queue_max: bytes of small frames that may wait. Borrows: session, for life. */
void dure_link_lanes_init(dure_link_lanes *lanes, dure_session *session, size_t queue_max);
/* Drops what waits. */
void dure_link_lanes_fini(dure_link_lanes *lanes);

/* Bytes that wait in the lanes and in the session; the same without the large bodies. */
size_t dure_link_lanes_queued(const dure_link_lanes *lanes);
size_t dure_link_lanes_small_queued(const dure_link_lanes *lanes);

/* Whether everything was given to the session. */
bool dure_link_lanes_is_empty(const dure_link_lanes *lanes);

/* Control: to the session at once. Fails: as dure_session_send. */
DURE_CHECKED dure_err dure_link_lanes_control(dure_link_lanes *lanes, dure_slice frames);

/*
 * One whole frame of calls, into the lane that its size and its conversation want. out_mark: for
 * dure_link_lanes_has_left. Fails: NO_MEMORY, OVERLOADED, STATE; nothing was queued.
 */
DURE_CHECKED dure_err dure_link_lanes_add(dure_link_lanes *lanes, dure_slice frame, uint64_t now_ms,
                                          uint64_t *out_mark);

/*
 * Gives the session what it may hold now; is_all: everything, before a graceful end.
 * Fails: as dure_session_send; a part or frame is then late, not lost.
 */
DURE_CHECKED dure_err dure_link_lanes_pump(dure_link_lanes *lanes, uint64_t now_ms, bool is_all);

/*
 * Drops the request of an id from the bulk lane, where it waits or is half sent. True when the
 * peer has heard nothing of it, so that it need not be told.
 */
bool dure_link_lanes_cancel(dure_link_lanes *lanes, uint32_t id);

/* Drops the answer to a call of the peer that it gave up, where nothing of it has left. */
void dure_link_lanes_drop_answer(dure_link_lanes *lanes, uint32_t id);

/* Whether the last byte of what has this mark is among the first `handed` of the connection. */
bool dure_link_lanes_has_left(const dure_link_lanes *lanes, uint64_t mark, uint64_t handed);

#endif
