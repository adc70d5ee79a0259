/* SPDX-License-Identifier: MIT
 *
 * Bytes: all of them, in order, and every way in which a connection ends.
 */
#include "contract/rig.h"

#define BIG_BYTES   ((size_t)3 * 1024 * 1024)
#define SMALL_SPACE 4096

static void a_send_larger_than_all_buffers_arrives_whole(void)
{
    rig r;
    actor a;
    actor b;
    uint64_t sum = 0;
    rig_open(&r, NULL);
    rig_pair(&r, &a, &b);
    DURE_CHECK_OK(dure_iocp_socket_set(a.socket, DURE_IOCP_OPTION_SEND_BUFFER, SMALL_SPACE));
    uint8_t *bytes = rig_bytes(BIG_BYTES, &sum);
    actor_send(&a, bytes, BIG_BYTES);
    dure_iocp_slice slice = {bytes, 1};
    DURE_CHECK_ERR(dure_iocp_send(a.socket, actor_event(&a, DURE_IOCP_SEND), &slice, 1),
                   DURE_ERR_STATE);
    DURE_CHECK_ERR(dure_iocp_disconnect(a.socket, actor_event(&a, DURE_IOCP_DISCONNECT)),
                   DURE_ERR_STATE);
    actor_recv(&b);
    RIG_UNTIL(&r, a.completed[DURE_IOCP_SEND] == 1 && b.received_bytes == BIG_BYTES);
    DURE_CHECK_OK(a.status[DURE_IOCP_SEND]);
    DURE_CHECK_EQ(a.sent_bytes, BIG_BYTES);
    DURE_CHECK_EQ(b.received_sum, sum);
    DURE_CHECK_EQ(b.completed[DURE_IOCP_RECV], 0);
    actor_fini(&a);
    actor_fini(&b);
    dure_mem_free(bytes);
    rig_close(&r);
}

static void slices_leave_in_order(void)
{
    rig r;
    actor a;
    actor b;
    uint64_t sum = 0;
    dure_iocp_slice slices[DURE_IOCP_SLICES_MAX + 1];
    rig_open(&r, NULL);
    rig_pair(&r, &a, &b);
    uint8_t *bytes = rig_bytes(BIG_BYTES, &sum);
    size_t at = 0;
    for (size_t i = 0; i < DURE_IOCP_SLICES_MAX; i++) {
        size_t len = i == 7 ? 0 : i + 1 == DURE_IOCP_SLICES_MAX ? BIG_BYTES - at : 17 + i * 997;
        slices[i].data = bytes + at;
        slices[i].len = len;
        at += len;
    }
    dure_iocp_event *event = actor_event(&a, DURE_IOCP_SEND);
    DURE_CHECK_ERR(dure_iocp_send(a.socket, event, slices, 0), DURE_ERR_INVALID);
    DURE_CHECK_ERR(dure_iocp_send(a.socket, event, slices, DURE_IOCP_SLICES_MAX + 1),
                   DURE_ERR_INVALID);
    actor_recv(&b);
    DURE_REQUIRE_OK(dure_iocp_send(a.socket, event, slices, DURE_IOCP_SLICES_MAX));
    memset(slices, 0, sizeof slices); /* the array was copied */
    RIG_UNTIL(&r, a.completed[DURE_IOCP_SEND] == 1 && b.received_bytes == BIG_BYTES);
    DURE_CHECK_EQ(a.sent_bytes, BIG_BYTES);
    DURE_CHECK_EQ(b.received_sum, sum);
    actor_fini(&a);
    actor_fini(&b);
    dure_mem_free(bytes);
    rig_close(&r);
}

static void after_disconnect_the_other_direction_lives(void)
{
    rig r;
    actor a;
    actor b;
    rig_open(&r, NULL);
    rig_pair(&r, &a, &b);
    actor_recv(&a);
    actor_recv(&b);
    actor_send(&a, "last words", 10);
    RIG_UNTIL(&r, a.completed[DURE_IOCP_SEND] == 1);
    actor_disconnect(&a);
    RIG_UNTIL(&r, b.completed[DURE_IOCP_RECV] == 1 && a.completed[DURE_IOCP_DISCONNECT] == 1);
    DURE_CHECK_OK(a.status[DURE_IOCP_DISCONNECT]);
    DURE_CHECK_ERR(b.status[DURE_IOCP_RECV], DURE_ERR_PEER_CLOSED);
    DURE_CHECK_EQ(b.received_bytes, 10);
    actor_send(&b, "an answer", 9);
    RIG_UNTIL(&r, a.received_bytes == 9);
    DURE_CHECK_EQ(a.completed[DURE_IOCP_RECV], 0);
    actor_recv(&b); /* the end is told again */
    RIG_UNTIL(&r, b.completed[DURE_IOCP_RECV] == 2);
    DURE_CHECK_ERR(b.status[DURE_IOCP_RECV], DURE_ERR_PEER_CLOSED);
    actor_fini(&b);
    RIG_UNTIL(&r, a.completed[DURE_IOCP_RECV] == 1);
    DURE_CHECK_ERR(a.status[DURE_IOCP_RECV], DURE_ERR_PEER_CLOSED);
    actor_fini(&a);
    rig_close(&r);
}

static void an_abort_is_a_reset_on_the_other_side(void)
{
    rig r;
    actor a;
    actor b;
    rig_open(&r, NULL);
    rig_pair(&r, &a, &b);
    actor_recv(&b);
    actor_recv(&a);
    dure_iocp_socket_abort(a.socket);
    a.socket = NULL;
    RIG_UNTIL(&r, b.completed[DURE_IOCP_RECV] == 1 && a.completed[DURE_IOCP_RECV] == 1);
    DURE_CHECK_ERR(b.status[DURE_IOCP_RECV], DURE_ERR_RESET);
    DURE_CHECK_ERR(a.status[DURE_IOCP_RECV], DURE_ERR_CANCELLED);
    actor_send(&b, "x", 1);
    RIG_UNTIL(&r, b.completed[DURE_IOCP_SEND] == 1);
    DURE_CHECK_ERR(b.status[DURE_IOCP_SEND], DURE_ERR_RESET);
    DURE_CHECK_EQ(b.sent_bytes, 0);
    actor_disconnect(&b);
    RIG_UNTIL(&r, b.completed[DURE_IOCP_DISCONNECT] == 1);
    DURE_CHECK_ERR(b.status[DURE_IOCP_DISCONNECT], DURE_ERR_RESET);
    actor_fini(&a);
    actor_fini(&b);
    rig_close(&r);
}

static void a_blocked_send_ends_with_the_connection(void)
{
    rig r;
    actor a;
    actor b;
    uint64_t sum = 0;
    size_t len = 16 * BIG_BYTES; /* more than the system would ever buffer */
    rig_open(&r, NULL);
    rig_pair(&r, &a, &b);
    uint8_t *bytes = rig_bytes(len, &sum);
    actor_send(&a, bytes, len);
    rig_run_for(&r, 20);
    DURE_CHECK_EQ(a.completed[DURE_IOCP_SEND], 0);
    actor_close(&b);
    RIG_UNTIL(&r, a.completed[DURE_IOCP_SEND] == 1);
    DURE_CHECK_ERR(a.status[DURE_IOCP_SEND], DURE_ERR_RESET);
    DURE_CHECK(a.sent_bytes < len);
    actor_fini(&a);
    actor_fini(&b);
    dure_mem_free(bytes);
    rig_close(&r);
}

static void a_close_ends_what_is_pending_later(void)
{
    rig r;
    actor a;
    actor b;
    uint64_t sum = 0;
    size_t len = 16 * BIG_BYTES;
    rig_open(&r, NULL);
    rig_pair(&r, &a, &b);
    uint8_t *bytes = rig_bytes(len, &sum);
    actor_send(&a, bytes, len);
    actor_recv(&a);
    rig_run_for(&r, 10);
    actor_send(&b, "never seen", 10);
    actor_close(&a);
    DURE_CHECK_EQ(a.completed[DURE_IOCP_SEND] + a.completed[DURE_IOCP_RECV], 0);
    RIG_UNTIL(&r, a.completed[DURE_IOCP_SEND] == 1 && a.completed[DURE_IOCP_RECV] == 1);
    DURE_CHECK_ERR(a.status[DURE_IOCP_SEND], DURE_ERR_CANCELLED);
    DURE_CHECK_ERR(a.status[DURE_IOCP_RECV], DURE_ERR_CANCELLED);
    DURE_CHECK(a.sent_bytes < len);
    DURE_CHECK_EQ(a.received_bytes, 0);
    actor_fini(&a);
    actor_fini(&b);
    dure_mem_free(bytes);
    rig_close(&r);
}

static void a_cancelled_receive_loses_no_byte(void)
{
    rig r;
    actor a;
    actor b;
    uint64_t sum = 0;
    uint32_t stops = 0;
    rig_open(&r, NULL);
    rig_pair(&r, &a, &b);
    uint8_t *bytes = rig_bytes(BIG_BYTES, &sum);
    actor_send(&a, bytes, BIG_BYTES);
    uint64_t until_ns = rig_limit_ns(&r);
    while (b.received_bytes < BIG_BYTES && dure_iocp_core_exact_ns(r.core) < until_ns) {
        actor_recv(&b);
        (void)dure_iocp_core_run_once(r.core, 1);
        dure_iocp_cancel(actor_event(&b, DURE_IOCP_RECV));
        stops++;
        RIG_UNTIL(&r, b.completed[DURE_IOCP_RECV] == stops);
        DURE_CHECK_ERR(b.status[DURE_IOCP_RECV], DURE_ERR_CANCELLED);
    }
    DURE_CHECK_EQ(b.received_bytes, BIG_BYTES);
    DURE_CHECK_EQ(b.received_sum, sum);
    actor_fini(&a);
    actor_fini(&b);
    dure_mem_free(bytes);
    rig_close(&r);
}

static void pre_recv_tells_and_takes_nothing(void)
{
    rig r;
    actor a;
    actor b;
    rig_open(&r, NULL);
    rig_pair(&r, &a, &b);
    actor_pre_recv(&b);
    DURE_CHECK_ERR(dure_iocp_recv(b.socket, actor_event(&b, DURE_IOCP_RECV)), DURE_ERR_STATE);
    rig_run_for(&r, 5);
    DURE_CHECK_EQ(b.completed[DURE_IOCP_PRE_RECV], 0);
    actor_send(&a, "hello", 5);
    RIG_UNTIL(&r, b.completed[DURE_IOCP_PRE_RECV] == 1);
    DURE_CHECK_OK(b.status[DURE_IOCP_PRE_RECV]);
    actor_pre_recv(&b); /* the bytes are still there */
    RIG_UNTIL(&r, b.completed[DURE_IOCP_PRE_RECV] == 2);
    actor_recv(&b);
    RIG_UNTIL(&r, b.received_bytes == 5);
    dure_iocp_cancel(actor_event(&b, DURE_IOCP_RECV));
    RIG_UNTIL(&r, b.completed[DURE_IOCP_RECV] == 1);
    actor_pre_recv(&b);
    rig_run_for(&r, 5);
    DURE_CHECK_EQ(b.completed[DURE_IOCP_PRE_RECV], 2);
    dure_iocp_cancel(actor_event(&b, DURE_IOCP_PRE_RECV));
    RIG_UNTIL(&r, b.completed[DURE_IOCP_PRE_RECV] == 3);
    DURE_CHECK_ERR(b.status[DURE_IOCP_PRE_RECV], DURE_ERR_CANCELLED);
    actor_pre_recv(&b);
    actor_fini(&a); /* the end would not wait either */
    RIG_UNTIL(&r, b.completed[DURE_IOCP_PRE_RECV] == 4);
    DURE_CHECK_OK(b.status[DURE_IOCP_PRE_RECV]);
    actor_fini(&b);
    rig_close(&r);
}

/* ---- few buffers, many talkers ---- */

#define TALKERS    16
#define TALK_BYTES ((size_t)64 * 1024)

static void start_again_without_buffers(actor *self, dure_iocp_event *event)
{
    if (event->kind == DURE_IOCP_RECV && event->status == DURE_ERR_NO_BUFFERS) {
        DURE_CHECK_OK(dure_iocp_recv(self->socket, event));
    }
}

static void few_buffers_delay_but_lose_nothing(void)
{
    rig r;
    actor from[TALKERS];
    actor to[TALKERS];
    uint64_t sum = 0;
    dure_iocp_core_config config;
    rig_config(&config);
    config.recv_buffer_bytes = 512;
    config.recv_buffer_count = 2;
    rig_open(&r, &config);
    uint8_t *bytes = rig_bytes(TALK_BYTES, &sum);
    for (size_t i = 0; i < TALKERS; i++) {
        rig_pair(&r, &from[i], &to[i]);
        to[i].on_event = start_again_without_buffers;
    }
    for (size_t i = 0; i < TALKERS; i++) {
        actor_recv(&to[i]);
        actor_send(&from[i], bytes, TALK_BYTES);
    }
    for (size_t i = 0; i < TALKERS; i++) {
        RIG_UNTIL(&r, to[i].received_bytes == TALK_BYTES);
        DURE_CHECK_EQ(to[i].received_sum, sum);
    }
    for (size_t i = 0; i < TALKERS; i++) {
        to[i].on_event = NULL;
        actor_fini(&from[i]);
        actor_fini(&to[i]);
    }
    dure_mem_free(bytes);
    rig_close(&r);
}

/* ---- a handler that ends its own socket ---- */

static void close_in_handler(actor *self, dure_iocp_event *event)
{
    if (event->kind == DURE_IOCP_RECV && event->more && self->socket != NULL) {
        dure_iocp_socket_close(self->socket);
        self->socket = NULL;
    }
}

static void a_handler_may_close_its_socket(void)
{
    rig r;
    actor a;
    actor b;
    uint64_t sum = 0;
    rig_open(&r, NULL);
    rig_pair(&r, &a, &b);
    uint8_t *bytes = rig_bytes(BIG_BYTES, &sum);
    b.on_event = close_in_handler;
    actor_recv(&b);
    actor_send(&a, bytes, BIG_BYTES);
    RIG_UNTIL(&r, b.completed[DURE_IOCP_RECV] == 1);
    DURE_CHECK_ERR(b.status[DURE_IOCP_RECV], DURE_ERR_CANCELLED);
    DURE_CHECK_EQ(b.delivered[DURE_IOCP_RECV], 2);
    actor_fini(&a);
    actor_fini(&b);
    dure_mem_free(bytes);
    rig_close(&r);
}

DURE_SUITE(contract_transfer, DURE_TEST(a_send_larger_than_all_buffers_arrives_whole),
           DURE_TEST(slices_leave_in_order), DURE_TEST(after_disconnect_the_other_direction_lives),
           DURE_TEST(an_abort_is_a_reset_on_the_other_side),
           DURE_TEST(a_blocked_send_ends_with_the_connection),
           DURE_TEST(a_close_ends_what_is_pending_later),
           DURE_TEST(a_cancelled_receive_loses_no_byte),
           DURE_TEST(pre_recv_tells_and_takes_nothing),
           DURE_TEST(few_buffers_delay_but_lose_nothing),
           DURE_TEST(a_handler_may_close_its_socket));
