/* SPDX-License-Identifier: MIT
 *
 * Turns: a pause holds the other side back, and whoever is loud leaves the others their share.
 */
#include "contract/rig.h"
#include "iocp/backend.h"

/* Small, so that what a socket has waiting is many buffers, whatever the system keeps for it. */
#define LENT_BYTES 4096u

static void open_with_small_buffers(rig *r)
{
    dure_iocp_core_config config;
    rig_config(&config);
    config.recv_buffer_bytes = LENT_BYTES;
    rig_open(r, &config);
}

/* ---- pause ---- */

#define FAST_BYTES ((size_t)48 * 1024 * 1024) /* more than any system keeps for a connection */
#define PAUSES     100u

static void pause_at_the_first_bytes(actor *self, dure_iocp_event *event)
{
    (void)self;
    if (event->kind == DURE_IOCP_RECV && event->more) {
        dure_iocp_cancel(event);
    }
}

/* What is on its way stays in the system and stops the sender there, however often it is read. */
static void a_pause_holds_a_fast_peer_back(void)
{
    rig r;
    actor fast;
    actor slow;
    uint64_t sum = 0;
    open_with_small_buffers(&r);
    rig_pair(&r, &fast, &slow);
    uint8_t *bytes = rig_bytes(FAST_BYTES, &sum);
    slow.on_event = pause_at_the_first_bytes;
    actor_send(&fast, bytes, FAST_BYTES);
    rig_run_for(&r, 20);
    for (uint32_t i = 1; i <= PAUSES; i++) {
        size_t before = slow.received_bytes;
        actor_recv(&slow);
        RIG_UNTIL(&r, slow.completed[DURE_IOCP_RECV] == i);
        DURE_CHECK_ERR(slow.status[DURE_IOCP_RECV], DURE_ERR_CANCELLED);
        DURE_CHECK(slow.received_bytes > before);
        DURE_CHECK(slow.received_bytes <= before + 2 * (size_t)LENT_BYTES);
    }
    size_t at_the_pause = slow.received_bytes;
    rig_run_for(&r, 20);
    DURE_CHECK_EQ(slow.received_bytes, at_the_pause);
    DURE_CHECK_EQ(fast.completed[DURE_IOCP_SEND], 0);
    slow.on_event = NULL;
    actor_fini(&slow);
    actor_fini(&fast);
    dure_mem_free(bytes);
    rig_close(&r);
}

/* ---- receiving in turn ---- */

#define LOUD       3
#define LOUD_BYTES ((size_t)1024 * 1024)
#define LOUD_SPACE (256 * 1024)
#define LOOK_UNTIL 16u /* buffers of one loud socket; all have more than that waiting */
/* Of two rounds, where the last of one is the first of the next. */
#define RUN_MAX (2 * DURE_IOCP_RECVS_PER_ROUND)

typedef struct turns {
    const actor *last;
    uint32_t run; /* buffers in a row that the last one got */
    uint32_t longest_run;
    uint32_t most; /* buffers of one loud socket */
    uint32_t most_before_the_quiet;
    actor *quiet;
} turns;

static void note_turn(actor *self, dure_iocp_event *event)
{
    turns *t = self->ctx;
    if (event->kind != DURE_IOCP_RECV || !event->more || t->most == LOOK_UNTIL) {
        return;
    }
    if (self == t->quiet) {
        t->most_before_the_quiet = t->most;
    } else if (self->delivered[DURE_IOCP_RECV] > t->most) {
        t->most = self->delivered[DURE_IOCP_RECV];
    }
    t->run = self == t->last ? t->run + 1 : 1;
    t->longest_run = t->run > t->longest_run ? t->run : t->longest_run;
    t->last = self;
}

static void a_loud_socket_leaves_others_their_turn(void)
{
    rig r;
    actor from[LOUD];
    actor loud[LOUD];
    actor to_quiet;
    actor quiet;
    uint64_t sum = 0;
    turns t = {.quiet = &quiet, .most_before_the_quiet = UINT32_MAX};
    open_with_small_buffers(&r);
    uint8_t *bytes = rig_bytes(LOUD_BYTES, &sum);
    rig_pair(&r, &to_quiet, &quiet);
    quiet.on_event = note_turn;
    quiet.ctx = &t;
    actor_send(&to_quiet, "ping", 4);
    for (size_t i = 0; i < LOUD; i++) {
        rig_pair(&r, &from[i], &loud[i]);
        loud[i].on_event = note_turn;
        loud[i].ctx = &t;
        DURE_CHECK_OK(
            dure_iocp_socket_set(loud[i].socket, DURE_IOCP_OPTION_RECV_BUFFER, LOUD_SPACE));
        actor_send(&from[i], bytes, LOUD_BYTES);
    }
    rig_run_for(&r, 20);
    for (size_t i = 0; i < LOUD; i++) {
        actor_recv(&loud[i]);
    }
    actor_recv(&quiet);
    RIG_UNTIL(&r, t.most == LOOK_UNTIL);
    DURE_CHECK_EQ(quiet.received_bytes, 4);
    DURE_CHECK(t.most_before_the_quiet <= DURE_IOCP_RECVS_PER_ROUND);
    DURE_CHECK(t.longest_run <= RUN_MAX);
    for (size_t i = 0; i < LOUD; i++) {
        RIG_UNTIL(&r, loud[i].received_bytes == LOUD_BYTES);
        DURE_CHECK_EQ(loud[i].received_sum, sum);
        actor_fini(&from[i]);
        actor_fini(&loud[i]);
    }
    actor_fini(&to_quiet);
    actor_fini(&quiet);
    dure_mem_free(bytes);
    rig_close(&r);
}

/* ---- accepting in turn ---- */

#define CROWD 160

typedef struct door {
    uint32_t accepted;
    uint32_t accepted_before_the_quiet;
} door;

static void let_in(actor *self, dure_iocp_event *event)
{
    door *d = self->ctx;
    if (event->accepted != NULL) {
        d->accepted++;
        dure_iocp_socket_close(event->accepted);
    }
}

static void note_the_door(actor *self, dure_iocp_event *event)
{
    door *d = self->ctx;
    if (event->kind == DURE_IOCP_RECV && event->more) {
        d->accepted_before_the_quiet = d->accepted;
    }
}

static void a_crowd_at_the_door_leaves_others_their_turn(void)
{
    rig r;
    actor listener;
    actor to_quiet;
    actor quiet;
    door d = {.accepted_before_the_quiet = UINT32_MAX};
    dure_net_address at = rig_loopback();
    rig_open(&r, NULL);
    actor *crowd = dure_mem_alloc_array(CROWD, sizeof *crowd);
    DURE_REQUIRE(crowd != NULL);
    rig_pair(&r, &to_quiet, &quiet);
    quiet.on_event = note_the_door;
    quiet.ctx = &d;
    actor_init(&listener, &r);
    listener.on_event = let_in;
    listener.ctx = &d;
    dure_net_address address = actor_listen(&listener, &at, CROWD);
    for (size_t i = 0; i < CROWD; i++) {
        actor_init(&crowd[i], &r);
        actor_connect(&crowd[i], &address);
    }
    for (size_t i = 0; i < CROWD; i++) {
        RIG_UNTIL(&r, crowd[i].completed[DURE_IOCP_CONNECT] == 1);
        DURE_CHECK_OK(crowd[i].status[DURE_IOCP_CONNECT]);
    }
    actor_send(&to_quiet, "ping", 4);
    rig_run_for(&r, 5);
    actor_accept(&listener);
    actor_recv(&quiet);
    RIG_UNTIL(&r, d.accepted == CROWD && quiet.received_bytes == 4);
    DURE_CHECK(d.accepted_before_the_quiet <= DURE_IOCP_ACCEPTS_PER_ROUND);
    for (size_t i = 0; i < CROWD; i++) {
        actor_fini(&crowd[i]);
    }
    actor_fini(&listener);
    actor_fini(&to_quiet);
    actor_fini(&quiet);
    dure_mem_free(crowd);
    rig_close(&r);
}

/* ---- what had come before anybody looked ---- */

static void bytes_and_end_before_the_first_look(void)
{
    rig r;
    actor a;
    actor b;
    rig_open(&r, NULL);
    rig_pair(&r, &a, &b);
    actor_send(&a, "hello", 5);
    RIG_UNTIL(&r, a.completed[DURE_IOCP_SEND] == 1);
    actor_disconnect(&a);
    rig_run_for(&r, 5);
    actor_recv(&b);
    RIG_UNTIL(&r, b.completed[DURE_IOCP_RECV] == 1);
    DURE_CHECK_EQ(b.received_bytes, 5);
    DURE_CHECK_ERR(b.status[DURE_IOCP_RECV], DURE_ERR_PEER_CLOSED);
    actor_fini(&a);
    actor_fini(&b);
    rig_close(&r);
}

DURE_SUITE(contract_share, DURE_TEST(a_pause_holds_a_fast_peer_back),
           DURE_TEST(a_loud_socket_leaves_others_their_turn),
           DURE_TEST(a_crowd_at_the_door_leaves_others_their_turn),
           DURE_TEST(bytes_and_end_before_the_first_look));
