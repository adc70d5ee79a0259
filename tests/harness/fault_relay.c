/* SPDX-License-Identifier: MIT
 *
 * The invariant of a pipe: bytes leave in the order in which they came, and its end leaves behind
 * the last of them. pipe_pump is the only place that decides whether something may leave now; every
 * change (bytes, an end, a send that is over, a timer, another fault) calls it.
 */
#include "fault_relay.h"

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"

#define SEND_BYTES_MAX 262144u  /* that leave at once */
#define QUEUE_BYTES    1048576u /* past it the sender is held back */
#define QUEUE_SLOW     65536u   /* the same while a pipe is slow: bytes wait at home */
#define QUEUE_PATIENT  ((size_t)64 * 1024 * 1024) /* while bytes are kept or delayed */
#define SPLIT_PAUSE_NS UINT64_C(1000000)   /* less, and the receiver reads two pieces as one */
#define SLOW_STEPS     100u                /* a second of a slow pipe leaves in so many steps */
#define CATCH_UP_NS    UINT64_C(100000000) /* that a late timer is made up for */
#define NS_PER_MS      UINT64_C(1000000)
#define NS_PER_S       UINT64_C(1000000000)
#define SOCKET_BYTES   65536 /* of a slow pipe's sockets, so that the system keeps no megabytes */

typedef struct chunk {
    dure_list node;
    uint64_t came_ns;
    size_t len;
    size_t at;
    uint8_t data[];
} chunk;

typedef struct pipe_of {
    fault_relay *relay;
    const fault_way *fault;
    unsigned way;
    dure_iocp_event recv_event; /* of the side that it comes from */
    dure_iocp_event send_event; /* of the side that it goes to, as is end_event */
    dure_iocp_event end_event;
    dure_iocp_event timer_event;
    dure_list chunks;
    size_t queued;
    dure_buf out;
    uint64_t sent_bytes;
    uint64_t due_ns;        /* of the piece that leaves: a late timer sends it after that */
    uint64_t not_before_ns; /* of the next one */
    uint64_t slow_ns;       /* until when the bytes that left have used the rate up */
    uint64_t timer_due_ns;
    uint64_t ended_ns;
    bool is_ended;      /* the side that it comes from has ended */
    bool is_reset;      /* with a reset */
    bool is_end_asked;  /* the end was passed on */
    bool is_end_passed; /* and has left */
} pipe_of;

struct fault_relay {
    dure_iocp_object object;
    dure_list node;
    fault_relays *relays;
    dure_iocp_socket *sockets[2]; /* the client's, the server's */
    dure_iocp_event connect_event;
    pipe_of pipes[FAULT_WAYS];
    bool is_connected;
    bool is_over;
};

static void pipe_pump(pipe_of *pipe);

/* ---- its end ---- */

static void relay_free(dure_iocp_object *object)
{
    fault_relay *relay = DURE_CONTAINER_OF(object, fault_relay, object);
    fault_relays *relays = relay->relays;
    for (unsigned i = 0; i < FAULT_WAYS; i++) {
        pipe_of *pipe = &relay->pipes[i];
        dure_list *node;
        while ((node = dure_list_pop_front(&pipe->chunks)) != NULL) {
            dure_mem_free(DURE_CONTAINER_OF(node, chunk, node));
        }
        relays->held_bytes -= pipe->queued;
        dure_buf_fini(&pipe->out);
    }
    dure_mem_free(relay);
    relays->count--;
    relays->on_gone(relays->ctx);
}

static void relay_end(fault_relay *relay, bool with_reset)
{
    if (relay->is_over) {
        return;
    }
    relay->is_over = true;
    dure_list_remove(&relay->node);
    for (unsigned i = 0; i < 2; i++) {
        dure_iocp_cancel(&relay->pipes[i].timer_event);
        if (with_reset) {
            dure_iocp_socket_abort(relay->sockets[i]);
        } else {
            dure_iocp_socket_close(relay->sockets[i]);
        }
        relay->sockets[i] = NULL;
    }
    dure_iocp_object_release(&relay->object); /* the creator's */
}

/* ---- receiving ---- */

static size_t pipe_queue_max(const pipe_of *pipe)
{
    if (pipe->fault->is_silent || pipe->fault->delay_ms > 0) {
        return QUEUE_PATIENT;
    }
    return pipe->fault->bytes_per_s > 0 ? QUEUE_SLOW : QUEUE_BYTES;
}

/* Reads on, or lets TCP hold the sender back. False when the relay has ended. */
static bool pipe_read(pipe_of *pipe)
{
    fault_relay *relay = pipe->relay;
    bool has_source = pipe->way == FAULT_TO_SERVER || relay->is_connected;
    if (relay->is_over || pipe->is_ended || !has_source) {
        return !relay->is_over;
    }
    bool is_full = pipe->queued >= pipe_queue_max(pipe);
    if (is_full) {
        dure_iocp_cancel(&pipe->recv_event);
    } else if (!dure_iocp_event_is_active(&pipe->recv_event) &&
               dure_iocp_recv(relay->sockets[pipe->way], &pipe->recv_event) != DURE_OK) {
        relay_end(relay, true);
        return false;
    }
    return true;
}

static void pipe_keep(pipe_of *pipe, const uint8_t *data, size_t len)
{
    chunk *fresh = dure_mem_alloc(sizeof *fresh + len);
    if (fresh == NULL) {
        relay_end(pipe->relay, true);
        return;
    }
    dure_list_init(&fresh->node);
    fresh->came_ns = dure_iocp_core_now_ns(pipe->relay->relays->core);
    fresh->len = len;
    memcpy(fresh->data, data, len);
    dure_list_push_back(&pipe->chunks, &fresh->node);
    pipe->queued += len;
    pipe->relay->relays->held_bytes += len;
}

static void pipe_received(pipe_of *pipe, const dure_iocp_event *event)
{
    bool more = event->more;
    dure_err status = event->status;
    if (status == DURE_OK && event->bytes > 0) {
        pipe_keep(pipe, event->data, event->bytes);
    } else if (!more && status != DURE_ERR_CANCELLED && status != DURE_ERR_NO_BUFFERS) {
        pipe->is_ended = true;
        pipe->is_reset = status != DURE_ERR_PEER_CLOSED;
        pipe->ended_ns = dure_iocp_core_now_ns(pipe->relay->relays->core);
    }
    if (pipe->is_ended && !pipe->relay->is_connected) {
        relay_end(pipe->relay, true); /* the server has not heard of it */
        return;
    }
    if (pipe_read(pipe)) {
        pipe_pump(pipe);
    }
}

/* ---- sending ---- */

static uint64_t round_up(uint64_t ns, uint64_t step_ns)
{
    return step_ns == 0 ? ns : (ns + step_ns - 1) / step_ns * step_ns;
}

static uint64_t pipe_due(const pipe_of *pipe, uint64_t came_ns)
{
    return round_up(came_ns + pipe->fault->delay_ms * NS_PER_MS, pipe->fault->merge_ms * NS_PER_MS);
}

/* Pumps again at that time. A timer that is later is taken back; its completion pumps as well. */
static void pipe_wait(pipe_of *pipe, uint64_t due_ns, uint64_t now_ns)
{
    if (dure_iocp_event_is_active(&pipe->timer_event)) {
        if (pipe->timer_due_ns > due_ns) {
            dure_iocp_cancel(&pipe->timer_event);
        }
        return;
    }
    pipe->timer_due_ns = due_ns;
    uint64_t ms = (due_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
    if (dure_iocp_timer(pipe->relay->relays->core, &pipe->timer_event, (uint32_t)ms) != DURE_OK) {
        relay_end(pipe->relay, true);
    }
}

static void pipe_pass_end(pipe_of *pipe, uint64_t now_ns)
{
    fault_relay *relay = pipe->relay;
    if (!pipe->is_ended || pipe->is_end_asked) {
        return;
    }
    uint64_t due_ns = pipe_due(pipe, pipe->ended_ns);
    if (due_ns > now_ns) {
        pipe_wait(pipe, due_ns, now_ns);
        return;
    }
    pipe->is_end_asked = true;
    if (pipe->is_reset ||
        dure_iocp_disconnect(relay->sockets[1 - pipe->way], &pipe->end_event) != DURE_OK) {
        relay_end(relay, true);
    }
}

/* How much may leave at once. */
static size_t pipe_piece_max(const pipe_of *pipe)
{
    const fault_way *fault = pipe->fault;
    uint64_t most = SEND_BYTES_MAX;
    if (fault->split_bytes != 0 && fault->split_bytes < most) {
        most = fault->split_bytes;
    }
    if (fault->bytes_per_s != 0 && fault->bytes_per_s / SLOW_STEPS + 1 < most) {
        most = fault->bytes_per_s / SLOW_STEPS + 1;
    }
    if (fault->reset_at != 0 && fault->reset_at - pipe->sent_bytes < most) {
        most = fault->reset_at - pipe->sent_bytes;
    }
    return (size_t)most;
}

/* Moves what is due from the queue to out. */
static dure_err pipe_gather(pipe_of *pipe, uint64_t now_ns)
{
    size_t most = pipe_piece_max(pipe);
    while (pipe->out.len < most && !dure_list_is_empty(&pipe->chunks)) {
        chunk *first = DURE_CONTAINER_OF(pipe->chunks.next, chunk, node);
        if (pipe_due(pipe, first->came_ns) > now_ns) {
            break;
        }
        size_t len = first->len - first->at;
        if (len > most - pipe->out.len) {
            len = most - pipe->out.len;
        }
        dure_err err = dure_buf_append(&pipe->out, first->data + first->at, len);
        if (err != DURE_OK) {
            return err;
        }
        first->at += len;
        pipe->queued -= len;
        pipe->relay->relays->held_bytes -= len;
        if (first->at == first->len) {
            dure_list_remove(&first->node);
            dure_mem_free(first);
        }
    }
    return DURE_OK;
}

static bool pipe_is_at_reset(const pipe_of *pipe)
{
    return pipe->fault->reset_at != 0 && pipe->sent_bytes >= pipe->fault->reset_at;
}

static void pipe_pump(pipe_of *pipe)
{
    fault_relay *relay = pipe->relay;
    if (relay->is_over || !relay->is_connected || dure_iocp_event_is_active(&pipe->send_event) ||
        pipe->fault->is_silent) {
        return;
    }
    if (pipe_is_at_reset(pipe)) {
        relay->relays->resets++;
        relay_end(relay, true);
        return;
    }
    uint64_t now_ns = dure_iocp_core_now_ns(relay->relays->core);
    if (dure_list_is_empty(&pipe->chunks)) {
        pipe_pass_end(pipe, now_ns);
        return;
    }
    const chunk *first = DURE_CONTAINER_OF(pipe->chunks.next, chunk, node);
    uint64_t due_ns = pipe_due(pipe, first->came_ns);
    due_ns = due_ns > pipe->not_before_ns ? due_ns : pipe->not_before_ns;
    if (due_ns > now_ns) {
        pipe_wait(pipe, due_ns, now_ns);
        return;
    }
    pipe->due_ns = due_ns;
    dure_err err = pipe_gather(pipe, now_ns);
    if (err == DURE_OK) {
        dure_iocp_slice slice = {pipe->out.data, pipe->out.len};
        err = dure_iocp_send(relay->sockets[1 - pipe->way], &pipe->send_event, &slice, 1);
    }
    if (err != DURE_OK) {
        relay_end(relay, true);
    }
}

/* When the next piece may leave. */
static void pipe_pace(pipe_of *pipe, size_t bytes)
{
    uint64_t now_ns = dure_iocp_core_now_ns(pipe->relay->relays->core);
    uint64_t earliest_ns = now_ns > CATCH_UP_NS ? now_ns - CATCH_UP_NS : 0;
    uint64_t rate = pipe->fault->bytes_per_s;
    uint64_t due_ns = pipe->due_ns > earliest_ns ? pipe->due_ns : earliest_ns;
    pipe->not_before_ns = pipe->fault->split_bytes != 0 ? due_ns + SPLIT_PAUSE_NS : 0;
    if (rate == 0) {
        return;
    }
    pipe->slow_ns = pipe->slow_ns > earliest_ns ? pipe->slow_ns : earliest_ns;
    pipe->slow_ns += bytes * NS_PER_S / rate;
    if (pipe->slow_ns > pipe->not_before_ns) {
        pipe->not_before_ns = pipe->slow_ns;
    }
}

static void pipe_sent(pipe_of *pipe, const dure_iocp_event *event)
{
    pipe->sent_bytes += event->bytes;
    pipe->relay->relays->bytes[pipe->way] += event->bytes;
    dure_buf_clear(&pipe->out);
    if (event->status != DURE_OK) {
        relay_end(pipe->relay, true);
        return;
    }
    pipe_pace(pipe, event->bytes);
    if (pipe_read(pipe)) {
        pipe_pump(pipe);
    }
}

static void pipe_end_left(pipe_of *pipe, const dure_iocp_event *event)
{
    fault_relay *relay = pipe->relay;
    pipe->is_end_passed = true;
    if (event->status != DURE_OK) {
        relay_end(relay, true);
    } else if (relay->pipes[1 - pipe->way].is_end_passed) {
        relay_end(relay, false);
    }
}

/* ---- the two sides ---- */

static bool relay_is_silent(const fault_relay *relay)
{
    return relay->pipes[FAULT_TO_SERVER].fault->is_silent ||
           relay->pipes[FAULT_TO_CLIENT].fault->is_silent;
}

/* Dials on, unless nothing may pass: that comes when it may again. */
static void relay_dial(fault_relay *relay)
{
    if (relay->sockets[1] != NULL || relay_is_silent(relay)) {
        return;
    }
    dure_iocp_core *core = relay->relays->core;
    dure_err err = dure_iocp_socket_open(core, relay->relays->to.family, &relay->sockets[1]);
    if (err == DURE_OK) {
        err = dure_iocp_connect(relay->sockets[1], &relay->connect_event, &relay->relays->to);
    }
    if (err != DURE_OK) {
        relay_end(relay, true);
    }
}

/* Small buffers of the system while a pipe is slow; what a platform does not have stays. */
static void relay_size_sockets(fault_relay *relay)
{
    static const dure_iocp_option options[] = {DURE_IOCP_OPTION_RECV_BUFFER,
                                               DURE_IOCP_OPTION_SEND_BUFFER};
    for (unsigned i = 0; i < FAULT_WAYS; i++) {
        if (relay->pipes[i].fault->bytes_per_s == 0 || !relay->is_connected) {
            continue;
        }
        for (unsigned j = 0; j < 2; j++) {
            dure_err ignored =
                dure_iocp_socket_set(relay->sockets[j == 0 ? i : 1 - i], options[j], SOCKET_BYTES);
            (void)ignored;
        }
    }
}

static void relay_connected(fault_relay *relay, dure_err status)
{
    if (status != DURE_OK) {
        relay_end(relay, true);
        return;
    }
    relay->is_connected = true;
    relay_size_sockets(relay);
    for (unsigned i = 0; i < FAULT_WAYS && !relay->is_over; i++) {
        if (pipe_read(&relay->pipes[i])) {
            pipe_pump(&relay->pipes[i]);
        }
    }
}

static void relay_look_again(fault_relay *relay)
{
    dure_iocp_object_hold(&relay->object); /* it may end on the way */
    relay_dial(relay);
    if (!relay->is_over) {
        relay_size_sockets(relay);
    }
    for (unsigned i = 0; i < FAULT_WAYS && !relay->is_over; i++) {
        pipe_of *pipe = &relay->pipes[i];
        pipe->not_before_ns = 0;
        pipe->slow_ns = 0;
        dure_iocp_cancel(&pipe->timer_event);
        if (pipe_read(pipe)) {
            pipe_pump(pipe);
        }
    }
    dure_iocp_object_release(&relay->object);
}

static void relay_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    fault_relay *relay = DURE_CONTAINER_OF(object, fault_relay, object);
    if (relay->is_over) {
        return;
    }
    if (event == &relay->connect_event) {
        relay_connected(relay, event->status);
        return;
    }
    for (unsigned i = 0; i < FAULT_WAYS; i++) {
        pipe_of *pipe = &relay->pipes[i];
        if (event == &pipe->recv_event) {
            pipe_received(pipe, event);
        } else if (event == &pipe->send_event) {
            pipe_sent(pipe, event);
        } else if (event == &pipe->end_event) {
            pipe_end_left(pipe, event);
        } else if (event == &pipe->timer_event) {
            pipe_pump(pipe);
        } else {
            continue;
        }
        return;
    }
}

static const dure_iocp_object_ops relay_ops = {relay_dispatch, relay_free};

static void pipe_init(fault_relay *relay, unsigned way)
{
    pipe_of *pipe = &relay->pipes[way];
    pipe->relay = relay;
    pipe->way = way;
    pipe->fault = &relay->relays->faults->ways[way];
    dure_iocp_event_init(&pipe->recv_event, &relay->object, DURE_IOCP_RECV);
    dure_iocp_event_init(&pipe->send_event, &relay->object, DURE_IOCP_SEND);
    dure_iocp_event_init(&pipe->end_event, &relay->object, DURE_IOCP_DISCONNECT);
    dure_iocp_event_init(&pipe->timer_event, &relay->object, DURE_IOCP_TIMER);
    dure_list_init(&pipe->chunks);
    dure_buf_init(&pipe->out, SEND_BYTES_MAX);
}

dure_err fault_relay_create(fault_relays *relays, dure_iocp_socket *socket)
{
    fault_relay *relay = dure_mem_alloc(sizeof *relay);
    if (relay == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    relay->relays = relays;
    relay->sockets[0] = socket;
    dure_iocp_object_init(&relay->object, relays->core, &relay_ops);
    dure_iocp_event_init(&relay->connect_event, &relay->object, DURE_IOCP_CONNECT);
    dure_list_init(&relay->node);
    dure_list_push_back(&relays->live, &relay->node);
    relays->count++;
    for (unsigned i = 0; i < FAULT_WAYS; i++) {
        pipe_init(relay, i);
    }
    dure_iocp_object_hold(&relay->object); /* it may end on the way */
    relay_dial(relay);
    (void)pipe_read(&relay->pipes[FAULT_TO_SERVER]);
    dure_iocp_object_release(&relay->object);
    return DURE_OK;
}

void fault_relays_look_again(fault_relays *relays)
{
    dure_list *node = relays->live.next;
    while (node != &relays->live) {
        dure_list *next = node->next; /* one that ends takes itself out alone */
        relay_look_again(DURE_CONTAINER_OF(node, fault_relay, node));
        node = next;
    }
}

void fault_relays_end(fault_relays *relays, bool with_reset)
{
    while (!dure_list_is_empty(&relays->live)) {
        relay_end(DURE_CONTAINER_OF(relays->live.next, fault_relay, node), with_reset);
    }
}
