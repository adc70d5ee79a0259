/* SPDX-License-Identifier: MIT
 *
 * Threads run and are joined, know themselves, and hand over under a mutex and a condition.
 */
#include "base/thread.h"

#include "base/mem.h"
#include "support/check.h"

typedef struct meeting {
    dure_mutex *mutex;
    dure_cond *cond;
    int turn;
    unsigned count;
    uint64_t self;
} meeting;

static void meet(meeting *here)
{
    *here = (meeting){0};
    here->mutex = dure_mutex_create();
    here->cond = dure_cond_create();
    DURE_REQUIRE(here->mutex != NULL && here->cond != NULL);
}

static void part(meeting *here)
{
    dure_cond_destroy(here->cond);
    dure_mutex_destroy(here->mutex);
}

static void count_up(void *ctx)
{
    meeting *here = ctx;
    for (int i = 0; i < 10000; i++) {
        dure_mutex_lock(here->mutex);
        here->count++;
        dure_mutex_unlock(here->mutex);
    }
}

static void a_mutex_keeps_others_out(void)
{
    meeting here;
    dure_thread *threads[4];
    meet(&here);
    for (int i = 0; i < 4; i++) {
        DURE_REQUIRE_OK(
            dure_thread_create("a name that is far too long", count_up, &here, &threads[i]));
    }
    for (int i = 0; i < 4; i++) {
        dure_thread_join(threads[i]);
    }
    DURE_CHECK_EQ(here.count, 40000);
    part(&here);
}

static void come_back(void *ctx)
{
    meeting *here = ctx;
    dure_mutex_lock(here->mutex);
    here->count++;
    dure_cond_signal(here->cond);
    dure_mutex_unlock(here->mutex);
}

static void who_is_detached_runs_on_unjoined(void)
{
    meeting here;
    dure_thread *thread = NULL;
    meet(&here);
    dure_mutex_lock(here.mutex); /* it cannot end before it is let go of */
    DURE_REQUIRE_OK(dure_thread_create("detached", come_back, &here, &thread));
    dure_thread_detach(thread);
    dure_thread_detach(NULL);
    while (here.count == 0) {
        dure_cond_wait(here.cond, here.mutex);
    }
    dure_mutex_unlock(here.mutex);
    part(&here);
}

static void play_pong(void *ctx)
{
    meeting *here = ctx;
    dure_mutex_lock(here->mutex);
    here->self = dure_thread_self();
    for (int i = 0; i < 100; i++) {
        while (here->turn != 1) {
            dure_cond_wait(here->cond, here->mutex);
        }
        here->turn = 0;
        dure_cond_broadcast(here->cond);
    }
    dure_mutex_unlock(here->mutex);
}

static void a_condition_hands_the_turn_over(void)
{
    meeting here;
    dure_thread *thread = NULL;
    meet(&here);
    DURE_REQUIRE_OK(dure_thread_create("pong", play_pong, &here, &thread));
    dure_mutex_lock(here.mutex);
    for (int i = 0; i < 100; i++) {
        here.turn = 1;
        dure_cond_signal(here.cond);
        while (here.turn != 0) {
            DURE_REQUIRE(dure_cond_wait_ms(here.cond, here.mutex, 30000));
        }
    }
    dure_mutex_unlock(here.mutex);
    dure_thread_join(thread);
    DURE_CHECK(here.self != 0);
    DURE_CHECK(here.self != dure_thread_self());
    DURE_CHECK_EQ(dure_thread_self(), dure_thread_self());
    part(&here);
}

static void a_wait_without_a_signal_ends_in_time(void)
{
    meeting here;
    meet(&here);
    dure_mutex_lock(here.mutex);
    bool is_timed_out = false;
    /* POSIX lets a wait return early for no reason, so one is not enough. */
    for (int i = 0; i < 100 && !is_timed_out; i++) {
        is_timed_out = !dure_cond_wait_ms(here.cond, here.mutex, 1);
    }
    dure_mutex_unlock(here.mutex);
    DURE_CHECK(is_timed_out);
    part(&here);
}

static void ends_accept_null_and_beginnings_may_fail(void)
{
    dure_thread *thread = NULL;
    dure_thread_join(NULL);
    dure_mutex_destroy(NULL);
    dure_cond_destroy(NULL);
    dure_mem_fail_nth(1);
    DURE_CHECK(dure_mutex_create() == NULL);
    dure_mem_fail_nth(1);
    DURE_CHECK(dure_cond_create() == NULL);
    dure_mem_fail_nth(1);
    DURE_CHECK_ERR(dure_thread_create("t", count_up, NULL, &thread), DURE_ERR_NO_MEMORY);
    dure_mem_fail_nth(0);
    DURE_CHECK(thread == NULL);
}

DURE_SUITE(base_thread, DURE_TEST(a_mutex_keeps_others_out),
           DURE_TEST(who_is_detached_runs_on_unjoined), DURE_TEST(a_condition_hands_the_turn_over),
           DURE_TEST(a_wait_without_a_signal_ends_in_time),
           DURE_TEST(ends_accept_null_and_beginnings_may_fail));
