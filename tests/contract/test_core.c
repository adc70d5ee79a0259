/* SPDX-License-Identifier: MIT
 *
 * What needs no socket: timers, posts, jobs, deferred functions, stop.
 */
#include <stdatomic.h>

#include "contract/rig.h"

/* ---- timers ---- */

#define TIMERS 8

typedef struct timer_log {
    size_t count;
    size_t order[TIMERS];
} timer_log;

typedef struct timer_actor {
    actor actor;
    size_t index;
    uint64_t due_ns;
} timer_actor;

static void note_timer(actor *self, dure_iocp_event *event)
{
    timer_actor *timer = DURE_CONTAINER_OF(self, timer_actor, actor);
    timer_log *log = self->ctx;
    if (event->status == DURE_OK) {
        DURE_CHECK(dure_iocp_core_exact_ns(self->rig->core) >= timer->due_ns);
        log->order[log->count++] = timer->index;
    }
}

static void timers_come_in_order_and_never_early(void)
{
    static const uint32_t delays_ms[TIMERS] = {30, 5, 0, 30, 12, 5, 20, 1};
    static const size_t expected[] = {2, 7, 1, 5, 4, 0, 3}; /* 6 is cancelled */
    rig r;
    timer_actor timers[TIMERS];
    timer_log log = {0};
    rig_open(&r, NULL);
    for (size_t i = 0; i < TIMERS; i++) {
        actor_init(&timers[i].actor, &r);
        timers[i].actor.on_event = note_timer;
        timers[i].actor.ctx = &log;
        timers[i].index = i;
        timers[i].due_ns = dure_iocp_core_exact_ns(r.core) + (uint64_t)delays_ms[i] * 1000000u;
        DURE_REQUIRE_OK(
            dure_iocp_timer(r.core, actor_event(&timers[i].actor, DURE_IOCP_TIMER), delays_ms[i]));
    }
    dure_iocp_cancel(actor_event(&timers[6].actor, DURE_IOCP_TIMER));
    for (size_t i = 0; i < TIMERS; i++) {
        RIG_UNTIL(&r, timers[i].actor.completed[DURE_IOCP_TIMER] == 1);
    }
    DURE_CHECK_ERR(timers[6].actor.status[DURE_IOCP_TIMER], DURE_ERR_CANCELLED);
    DURE_CHECK_EQ(log.count, DURE_COUNT_OF(expected));
    for (size_t i = 0; i < DURE_COUNT_OF(expected); i++) {
        DURE_CHECK_EQ(log.order[i], expected[i]);
    }
    for (size_t i = 0; i < TIMERS; i++) {
        actor_fini(&timers[i].actor);
    }
    rig_close(&r);
}

static void the_clock_stands_still_within_a_round(void)
{
    rig r;
    rig_open(&r, NULL);
    uint64_t before = dure_iocp_core_now_ns(r.core);
    (void)dure_iocp_core_run_once(r.core, 2);
    DURE_CHECK(dure_iocp_core_now_ns(r.core) >= before + 2000000u);
    uint64_t elapsed = dure_iocp_core_elapsed_ns(r.core);
    (void)dure_iocp_core_run_once(r.core, 2);
    DURE_CHECK(dure_iocp_core_elapsed_ns(r.core) >= elapsed + 2000000u);
    DURE_CHECK(dure_iocp_core_wall_ms(r.core) > 1500000000000u);
    uint8_t bytes[64] = {0};
    uint8_t zeros[64] = {0};
    DURE_CHECK_OK(dure_iocp_core_entropy(r.core, bytes, sizeof bytes));
    DURE_CHECK(memcmp(bytes, zeros, sizeof bytes) != 0);
    DURE_CHECK(dure_iocp_core_random(r.core) != dure_iocp_core_random(r.core));
    rig_close(&r);
}

/* ---- posts ---- */

#define POSTERS          4
#define POSTS_PER_THREAD 200

typedef struct poster {
    actor actors[POSTS_PER_THREAD];
    rig *rig;
    dure_thread *thread;
} poster;

static void post_all(void *ctx)
{
    poster *self = ctx;
    for (size_t i = 0; i < POSTS_PER_THREAD; i++) {
        dure_iocp_post(self->rig->core, actor_event(&self->actors[i], DURE_IOCP_POST));
    }
}

/* The sim's world is one thread's: what others post is there before it moves on. */
static void join_if_sim(dure_thread **thread)
{
    if (rig_is_sim()) {
        dure_thread_join(*thread);
        *thread = NULL;
    }
}

static void posts_of_many_threads_all_arrive_once(void)
{
    rig r;
    rig_open(&r, NULL);
    poster *posters = dure_mem_alloc_array(POSTERS, sizeof *posters);
    DURE_REQUIRE(posters != NULL);
    for (size_t t = 0; t < POSTERS; t++) {
        posters[t].rig = &r;
        for (size_t i = 0; i < POSTS_PER_THREAD; i++) {
            actor_init(&posters[t].actors[i], &r);
        }
        DURE_REQUIRE_OK(dure_thread_create("poster", post_all, &posters[t], &posters[t].thread));
        join_if_sim(&posters[t].thread);
    }
    for (size_t t = 0; t < POSTERS; t++) {
        for (size_t i = 0; i < POSTS_PER_THREAD; i++) {
            RIG_UNTIL(&r, posters[t].actors[i].completed[DURE_IOCP_POST] == 1);
            DURE_CHECK_OK(posters[t].actors[i].status[DURE_IOCP_POST]);
        }
        dure_thread_join(posters[t].thread);
    }
    for (size_t t = 0; t < POSTERS; t++) {
        for (size_t i = 0; i < POSTS_PER_THREAD; i++) {
            actor_fini(&posters[t].actors[i]);
            DURE_CHECK_EQ(posters[t].actors[i].delivered[DURE_IOCP_POST], 1);
        }
    }
    dure_mem_free(posters);
    rig_close(&r);
}

static void close_the_session(actor *self, dure_iocp_event *event)
{
    (void)event;
    actor *session = self->ctx;
    if (session->socket != NULL) {
        actor_close(session);
    }
}

/* Whoever asks and however many: the session ends once. */
static void disconnects_posted_by_many_threads_end_it_once(void)
{
    rig r;
    actor a;
    actor b;
    rig_open(&r, NULL);
    rig_pair(&r, &a, &b);
    actor_recv(&a);
    poster *posters = dure_mem_alloc_array(POSTERS, sizeof *posters);
    DURE_REQUIRE(posters != NULL);
    for (size_t t = 0; t < POSTERS; t++) {
        posters[t].rig = &r;
        for (size_t i = 0; i < POSTS_PER_THREAD; i++) {
            actor_init(&posters[t].actors[i], &r);
            posters[t].actors[i].on_event = close_the_session;
            posters[t].actors[i].ctx = &a;
        }
        DURE_REQUIRE_OK(dure_thread_create("poster", post_all, &posters[t], &posters[t].thread));
        join_if_sim(&posters[t].thread);
    }
    RIG_UNTIL(&r, a.completed[DURE_IOCP_RECV] == 1);
    DURE_CHECK_ERR(a.status[DURE_IOCP_RECV], DURE_ERR_CANCELLED);
    for (size_t t = 0; t < POSTERS; t++) {
        dure_thread_join(posters[t].thread);
        for (size_t i = 0; i < POSTS_PER_THREAD; i++) {
            RIG_UNTIL(&r, posters[t].actors[i].completed[DURE_IOCP_POST] == 1);
            actor_fini(&posters[t].actors[i]);
        }
    }
    actor_fini(&a);
    actor_fini(&b);
    DURE_CHECK_EQ(a.delivered[DURE_IOCP_RECV], 1);
    dure_mem_free(posters);
    rig_close(&r);
}

/* ---- jobs ---- */

#define JOBS 4

typedef struct gate {
    dure_mutex *mutex;
    dure_cond *cond;
    bool is_open;
    size_t begun;
    size_t order[JOBS];
} gate;

typedef struct gate_job {
    actor actor;
    gate *gate;
    size_t index;
    uint64_t thread;
} gate_job;

static void run_gate_job(void *ctx)
{
    gate_job *self = ctx;
    gate *g = self->gate;
    dure_mutex_lock(g->mutex);
    g->order[g->begun++] = self->index;
    while (!g->is_open) {
        dure_cond_wait(g->cond, g->mutex);
    }
    dure_mutex_unlock(g->mutex);
    self->thread = dure_thread_self();
}

static void gate_open(gate *g)
{
    dure_mutex_lock(g->mutex);
    g->is_open = true;
    dure_cond_broadcast(g->cond);
    dure_mutex_unlock(g->mutex);
}

static void jobs_begin_in_order_and_complete_here(void)
{
    rig r;
    dure_iocp_core_config config;
    gate_job jobs[JOBS];
    gate g = {dure_mutex_create(), dure_cond_create(), rig_is_sim(), 0, {0}};
    rig_config(&config);
    config.job_threads = 1;
    rig_open(&r, &config);
    for (size_t i = 0; i < JOBS; i++) {
        actor_init(&jobs[i].actor, &r);
        jobs[i].gate = &g;
        jobs[i].index = i;
        dure_iocp_event *event = actor_event(&jobs[i].actor, DURE_IOCP_JOB);
        DURE_REQUIRE_OK(dure_iocp_job(r.core, event, run_gate_job, &jobs[i]));
        DURE_CHECK_ERR(dure_iocp_job(r.core, event, run_gate_job, &jobs[i]), DURE_ERR_STATE);
    }
    dure_iocp_cancel(actor_event(&jobs[2].actor, DURE_IOCP_JOB)); /* cannot have begun */
    RIG_UNTIL(&r, jobs[2].actor.completed[DURE_IOCP_JOB] == 1);
    DURE_CHECK_ERR(jobs[2].actor.status[DURE_IOCP_JOB], DURE_ERR_CANCELLED);
    gate_open(&g);
    for (size_t i = 0; i < JOBS; i++) {
        RIG_UNTIL(&r, jobs[i].actor.completed[DURE_IOCP_JOB] == 1);
        actor_fini(&jobs[i].actor);
        DURE_CHECK_EQ(jobs[i].actor.delivered[DURE_IOCP_JOB], 1);
    }
    DURE_CHECK_EQ(g.begun, 3);
    DURE_CHECK_EQ(g.order[0], 0);
    DURE_CHECK_EQ(g.order[1], 1);
    DURE_CHECK_EQ(g.order[2], 3);
    DURE_CHECK((jobs[0].thread == dure_thread_self()) == rig_is_sim());
    rig_close(&r);
    dure_cond_destroy(g.cond);
    dure_mutex_destroy(g.mutex);
}

/* ---- deferred ---- */

typedef struct defer_probe {
    actor actors[3];
    dure_iocp_deferred deferred;
    dure_iocp_deferred taken_back;
    rig *rig;
    uint32_t runs;
    uint32_t posts_before;
} defer_probe;

static void deferred_ran(dure_iocp_deferred *deferred)
{
    defer_probe *self = DURE_CONTAINER_OF(deferred, defer_probe, deferred);
    self->runs++;
    self->posts_before = 0;
    for (size_t i = 0; i < 3; i++) {
        self->posts_before += self->actors[i].completed[DURE_IOCP_POST];
    }
}

static void never_ran(dure_iocp_deferred *deferred)
{
    (void)deferred;
    DURE_CHECK(false);
}

static void defer_in_handler(actor *self, dure_iocp_event *event)
{
    (void)event;
    defer_probe *probe = self->ctx;
    dure_iocp_core_defer(self->rig->core, &probe->deferred);
    dure_iocp_core_defer(self->rig->core, &probe->taken_back);
    dure_iocp_core_undefer(&probe->taken_back);
}

static void what_is_deferred_runs_once_after_the_dispatch(void)
{
    rig r;
    defer_probe probe = {.deferred = {.fn = deferred_ran}, .taken_back = {.fn = never_ran}};
    rig_open(&r, NULL);
    for (size_t i = 0; i < 3; i++) {
        actor_init(&probe.actors[i], &r);
        probe.actors[i].on_event = defer_in_handler;
        probe.actors[i].ctx = &probe;
        dure_iocp_post(r.core, actor_event(&probe.actors[i], DURE_IOCP_POST));
    }
    RIG_UNTIL(&r, probe.runs > 0);
    DURE_CHECK_EQ(probe.runs, 1);
    DURE_CHECK_EQ(probe.posts_before, 3);
    dure_iocp_core_defer(r.core, &probe.deferred); /* outside a round: at once in the next */
    (void)dure_iocp_core_run_once(r.core, 0);
    DURE_CHECK_EQ(probe.runs, 2);
    for (size_t i = 0; i < 3; i++) {
        actor_fini(&probe.actors[i]);
    }
    rig_close(&r);
}

/* ---- stop ---- */

#define PAIRS        8
#define CALLERS      8
#define UNREAD_BYTES ((size_t)48 * 1024 * 1024)

typedef struct load {
    rig rig;
    actor ends[2 * PAIRS];
    actor stopper;
    uint8_t ball[64];
    bool is_ending;
} load;

static void play(actor *self, dure_iocp_event *event)
{
    load *l = self->ctx;
    bool can_send = !dure_iocp_event_is_active(actor_event(self, DURE_IOCP_SEND));
    if (event->kind == DURE_IOCP_RECV && event->more && !l->is_ending && can_send) {
        actor_send(self, l->ball, sizeof l->ball);
    }
}

static void end_the_load(actor *self, dure_iocp_event *event)
{
    load *l = self->ctx;
    if (event->kind == DURE_IOCP_TIMER && !l->is_ending) {
        l->is_ending = true;
        for (size_t i = 0; i < DURE_COUNT_OF(l->ends); i++) {
            actor_close(&l->ends[i]);
        }
        dure_iocp_core_stop(l->rig.core);
    }
}

static void stop_under_load_returns_with_an_empty_ledger(void)
{
    load *l = dure_mem_alloc(sizeof *l);
    DURE_REQUIRE(l != NULL);
    rig_open(&l->rig, NULL);
    for (size_t i = 0; i < PAIRS; i++) {
        rig_pair(&l->rig, &l->ends[2 * i], &l->ends[2 * i + 1]);
    }
    for (size_t i = 0; i < DURE_COUNT_OF(l->ends); i++) {
        l->ends[i].on_event = play;
        l->ends[i].ctx = l;
        actor_recv(&l->ends[i]);
        actor_send(&l->ends[i], l->ball, sizeof l->ball);
    }
    actor_init(&l->stopper, &l->rig);
    l->stopper.on_event = end_the_load;
    l->stopper.ctx = l;
    DURE_REQUIRE_OK(dure_iocp_timer(l->rig.core, actor_event(&l->stopper, DURE_IOCP_TIMER), 20));
    dure_iocp_core_run(l->rig.core);
    dure_iocp_counters counters;
    dure_iocp_core_counters(l->rig.core, &counters);
    DURE_CHECK_EQ(counters.started, counters.completed);
    DURE_CHECK(counters.delivered > 4 * PAIRS);
    for (size_t i = 0; i < DURE_COUNT_OF(l->ends); i++) {
        l->ends[i].on_event = NULL;
        actor_fini(&l->ends[i]);
    }
    actor_fini(&l->stopper);
    rig_close(&l->rig);
    dure_mem_free(l);
}

/* ---- stop with everything pending ---- */

typedef struct stopped_core {
    rig rig;
    actor listener; /* nobody calls */
    actor deaf;     /* listens and does not accept */
    actor callers[CALLERS];
    actor talker; /* a send that nobody reads, a receive that nobody fills */
    actor silent;
    actor waiter; /* a receive of no bytes */
    actor other;
    actor ending; /* a timer far away, and the one that ends it all */
    uint8_t *bytes;
} stopped_core;

static void end_everything(actor *self, dure_iocp_event *event)
{
    stopped_core *s = self->ctx;
    if (event->kind != DURE_IOCP_POST) {
        return;
    }
    actor_close(&s->listener);
    actor_close(&s->deaf);
    for (size_t i = 0; i < CALLERS; i++) {
        actor_close(&s->callers[i]);
    }
    actor_close(&s->talker);
    actor_close(&s->waiter);
    dure_iocp_cancel(actor_event(self, DURE_IOCP_TIMER));
    dure_iocp_core_stop(s->rig.core);
}

static void begin_everything(stopped_core *s)
{
    dure_net_address at = rig_loopback();
    uint64_t sum = 0;
    rig_open(&s->rig, NULL);
    rig_pair(&s->rig, &s->talker, &s->silent);
    rig_pair(&s->rig, &s->waiter, &s->other);
    actor_init(&s->listener, &s->rig);
    actor_init(&s->deaf, &s->rig);
    actor_init(&s->ending, &s->rig);
    (void)actor_listen(&s->listener, &at, 4);
    actor_accept(&s->listener);
    dure_net_address address = actor_listen(&s->deaf, &at, 1);
    for (size_t i = 0; i < CALLERS; i++) {
        actor_init(&s->callers[i], &s->rig);
        actor_connect(&s->callers[i], &address);
    }
    s->bytes = rig_bytes(UNREAD_BYTES, &sum);
    actor_send(&s->talker, s->bytes, UNREAD_BYTES);
    actor_recv(&s->talker);
    actor_pre_recv(&s->waiter);
    DURE_REQUIRE_OK(dure_iocp_timer(s->rig.core, actor_event(&s->ending, DURE_IOCP_TIMER), 600000));
    rig_run_for(&s->rig, 50);
}

static void stop_with_everything_pending_completes_each_once(void)
{
    stopped_core *s = dure_mem_alloc(sizeof *s);
    DURE_REQUIRE(s != NULL);
    begin_everything(s);
    s->ending.on_event = end_everything;
    s->ending.ctx = s;
    dure_iocp_post(s->rig.core, actor_event(&s->ending, DURE_IOCP_POST));
    dure_iocp_core_run(s->rig.core);
    DURE_CHECK_ERR(s->listener.status[DURE_IOCP_ACCEPT], DURE_ERR_CANCELLED);
    DURE_CHECK_ERR(s->talker.status[DURE_IOCP_SEND], DURE_ERR_CANCELLED);
    DURE_CHECK_ERR(s->talker.status[DURE_IOCP_RECV], DURE_ERR_CANCELLED);
    DURE_CHECK_ERR(s->waiter.status[DURE_IOCP_PRE_RECV], DURE_ERR_CANCELLED);
    DURE_CHECK_ERR(s->ending.status[DURE_IOCP_TIMER], DURE_ERR_CANCELLED);
    for (size_t i = 0; i < CALLERS; i++) {
        DURE_CHECK_EQ(s->callers[i].completed[DURE_IOCP_CONNECT], 1);
        actor_fini(&s->callers[i]);
    }
    actor *all[] = {&s->listener, &s->deaf,  &s->talker, &s->silent,
                    &s->waiter,   &s->other, &s->ending};
    for (size_t i = 0; i < DURE_COUNT_OF(all); i++) {
        actor_fini(all[i]);
    }
    rig_close(&s->rig);
    dure_mem_free(s->bytes);
    dure_mem_free(s);
}

static void run_core(void *ctx)
{
    dure_iocp_core_run(ctx);
}

static void stop_wakes_an_idle_core(void)
{
    rig r;
    dure_thread *thread = NULL;
    rig_open(&r, NULL);
    if (rig_is_sim()) {
        dure_iocp_core_stop(r.core);
    }
    DURE_REQUIRE_OK(dure_thread_create("core", run_core, r.core, &thread));
    dure_iocp_core_stop(r.core);
    dure_thread_join(thread);
    rig_close(&r);
}

/* ---- posts to a core that waits ---- */

#define KNOCKS    50u
#define KNOCKS_MS 5000u /* a core that sleeps through one is ended by its timer then */

typedef struct knocking {
    rig rig;
    actor actors[KNOCKS];
    actor guard;
    dure_mutex *mutex;
    dure_cond *cond;
    uint32_t heard; /* under the mutex */
    bool is_over;   /* likewise */
} knocking;

static void hear_the_knock(actor *self, dure_iocp_event *event)
{
    knocking *k = self->ctx;
    dure_mutex_lock(k->mutex);
    k->heard += event->kind == DURE_IOCP_POST ? 1 : 0;
    k->is_over = k->heard == KNOCKS || event->kind == DURE_IOCP_TIMER;
    dure_cond_broadcast(k->cond);
    dure_mutex_unlock(k->mutex);
    if (k->is_over) {
        dure_iocp_cancel(actor_event(&k->guard, DURE_IOCP_TIMER));
        dure_iocp_core_stop(self->rig->core);
    }
}

static void knock(knocking *k)
{
    dure_mutex_lock(k->mutex);
    for (uint32_t i = 0; i < KNOCKS && !k->is_over; i++) {
        dure_iocp_post(k->rig.core, actor_event(&k->actors[i], DURE_IOCP_POST));
        while (k->heard == i && !k->is_over) {
            dure_cond_wait(k->cond, k->mutex);
        }
    }
    dure_mutex_unlock(k->mutex);
}

/* Each is posted when the one before was heard: most of them meet a core that waits again. */
static void every_post_wakes_a_core_that_waits(void)
{
    knocking k = {0};
    dure_thread *thread = NULL;
    if (rig_is_sim()) {
        return; /* nothing waits there */
    }
    k.mutex = dure_mutex_create();
    k.cond = dure_cond_create();
    rig_open(&k.rig, NULL);
    actor_init(&k.guard, &k.rig);
    k.guard.on_event = hear_the_knock;
    k.guard.ctx = &k;
    DURE_REQUIRE_OK(dure_iocp_timer(k.rig.core, actor_event(&k.guard, DURE_IOCP_TIMER), KNOCKS_MS));
    for (size_t i = 0; i < KNOCKS; i++) {
        actor_init(&k.actors[i], &k.rig);
        k.actors[i].on_event = hear_the_knock;
        k.actors[i].ctx = &k;
    }
    DURE_REQUIRE_OK(dure_thread_create("core", run_core, k.rig.core, &thread));
    knock(&k);
    dure_thread_join(thread);
    DURE_CHECK_EQ(k.heard, KNOCKS);
    for (size_t i = 0; i < KNOCKS; i++) {
        actor_fini(&k.actors[i]);
    }
    actor_fini(&k.guard);
    rig_close(&k.rig);
    dure_cond_destroy(k.cond);
    dure_mutex_destroy(k.mutex);
}

/* ---- what one round does ---- */

#define FED_AT_LEAST 2u
#define FED_AT_MOST  16u

/* On a socket without a connection the result of a disconnect is known at once. */
static void begin_again(actor *self, dure_iocp_event *event)
{
    const uint32_t *times = self->ctx;
    if (event->kind == DURE_IOCP_DISCONNECT && self->completed[DURE_IOCP_DISCONNECT] < *times) {
        actor_disconnect(self);
    }
}

static void what_is_known_at_once_completes_in_the_same_round(void)
{
    rig r;
    actor a;
    uint32_t times = FED_AT_LEAST;
    rig_open(&r, NULL);
    actor_init(&a, &r);
    actor_open(&a, DURE_FAMILY_IPV4);
    a.on_event = begin_again;
    a.ctx = &times;
    actor_disconnect(&a);
    (void)dure_iocp_core_run_once(r.core, 0);
    DURE_CHECK_EQ(a.completed[DURE_IOCP_DISCONNECT], FED_AT_LEAST);
    DURE_CHECK_ERR(a.status[DURE_IOCP_DISCONNECT], DURE_ERR_STATE);
    actor_fini(&a);
    rig_close(&r);
}

static void a_core_that_feeds_itself_comes_to_look_around(void)
{
    rig r;
    actor a;
    uint32_t times = UINT32_MAX;
    rig_open(&r, NULL);
    actor_init(&a, &r);
    actor_open(&a, DURE_FAMILY_IPV4);
    a.on_event = begin_again;
    a.ctx = &times;
    actor_disconnect(&a);
    (void)dure_iocp_core_run_once(r.core, 0);
    DURE_CHECK(a.completed[DURE_IOCP_DISCONNECT] >= FED_AT_LEAST);
    DURE_CHECK(a.completed[DURE_IOCP_DISCONNECT] <= FED_AT_MOST);
    times = 0;
    actor_fini(&a);
    rig_close(&r);
}

/* ---- before the first round, and after the last ---- */

#define EARLY     700u /* with what is taken back: more than the queue of a ring holds */
#define EARLY_CUT 400u

typedef struct early {
    rig rig;
    actor listener;
    actor callers[EARLY];
    uint32_t completed;
} early;

static void count_the_early(actor *self, dure_iocp_event *event)
{
    early *e = self->ctx;
    DURE_CHECK(event->status == DURE_OK || event->status == DURE_ERR_CANCELLED);
    if (++e->completed == EARLY) {
        dure_iocp_core_stop(self->rig->core);
    }
}

/* A service is started on one thread and its core then runs on another. */
static void any_number_may_be_started_before_the_first_round(void)
{
    dure_thread *thread = NULL;
    dure_net_address at = rig_loopback();
    early *e = dure_mem_alloc(sizeof *e);
    DURE_REQUIRE(e != NULL);
    rig_open(&e->rig, NULL);
    actor_init(&e->listener, &e->rig);
    dure_net_address address = actor_listen(&e->listener, &at, EARLY);
    for (size_t i = 0; i < EARLY; i++) {
        actor_init(&e->callers[i], &e->rig);
        e->callers[i].on_event = count_the_early;
        e->callers[i].ctx = e;
        actor_connect(&e->callers[i], &address);
    }
    for (size_t i = 0; i < EARLY_CUT; i++) {
        dure_iocp_cancel(actor_event(&e->callers[i], DURE_IOCP_CONNECT));
    }
    DURE_REQUIRE_OK(dure_thread_create("core", run_core, e->rig.core, &thread));
    dure_thread_join(thread);
    DURE_CHECK_EQ(e->completed, EARLY);
    for (size_t i = 0; i < EARLY; i++) {
        if (i >= EARLY_CUT) { /* what is cancelled may be a success all the same */
            DURE_CHECK_OK(e->callers[i].status[DURE_IOCP_CONNECT]);
        }
        e->callers[i].on_event = NULL;
        actor_fini(&e->callers[i]);
    }
    actor_fini(&e->listener);
    rig_close(&e->rig);
    dure_mem_free(e);
}

static void what_is_closed_before_the_first_round_completes(void)
{
    rig r;
    actor listener;
    actor caller;
    dure_net_address at = rig_loopback();
    rig_open(&r, NULL);
    actor_init(&listener, &r);
    actor_init(&caller, &r);
    dure_net_address address = actor_listen(&listener, &at, 1);
    actor_accept(&listener);
    actor_connect(&caller, &address);
    actor_close(&listener);
    actor_close(&caller);
    RIG_UNTIL(&r, listener.completed[DURE_IOCP_ACCEPT] == 1);
    RIG_UNTIL(&r, caller.completed[DURE_IOCP_CONNECT] == 1);
    DURE_CHECK_ERR(listener.status[DURE_IOCP_ACCEPT], DURE_ERR_CANCELLED);
    DURE_CHECK_ERR(caller.status[DURE_IOCP_CONNECT], DURE_ERR_CANCELLED);
    actor_fini(&listener);
    actor_fini(&caller);
    rig_close(&r);
}

static void what_is_posted_after_the_last_round_arrives_with_the_end(void)
{
    rig r;
    actor late;
    rig_open(&r, NULL);
    dure_iocp_core_stop(r.core);
    dure_iocp_core_run(r.core);
    actor_init(&late, &r);
    dure_iocp_post(r.core, actor_event(&late, DURE_IOCP_POST));
    dure_iocp_core_destroy(r.core);
    dure_sim_world_destroy(r.world);
    DURE_CHECK_EQ(late.completed[DURE_IOCP_POST], 1);
    dure_iocp_object_release(&late.object);
    DURE_CHECK(late.was_destroyed);
}

/* ---- holds ---- */

static void a_pending_operation_holds_its_owner(void)
{
    rig r;
    actor a;
    rig_open(&r, NULL);
    actor_init(&a, &r);
    DURE_REQUIRE_OK(dure_iocp_timer(r.core, actor_event(&a, DURE_IOCP_TIMER), 5));
    dure_iocp_object_release(&a.object);
    DURE_CHECK(!a.was_destroyed);
    RIG_UNTIL(&r, a.was_destroyed);
    DURE_CHECK_EQ(a.completed[DURE_IOCP_TIMER], 1);
    rig_close(&r);
}

DURE_SUITE(contract_core, DURE_TEST(timers_come_in_order_and_never_early),
           DURE_TEST(the_clock_stands_still_within_a_round),
           DURE_TEST(posts_of_many_threads_all_arrive_once),
           DURE_TEST(disconnects_posted_by_many_threads_end_it_once),
           DURE_TEST(jobs_begin_in_order_and_complete_here),
           DURE_TEST(what_is_deferred_runs_once_after_the_dispatch),
           DURE_TEST(stop_under_load_returns_with_an_empty_ledger),
           DURE_TEST(stop_with_everything_pending_completes_each_once),
           DURE_TEST(stop_wakes_an_idle_core), DURE_TEST(every_post_wakes_a_core_that_waits),
           DURE_TEST(what_is_known_at_once_completes_in_the_same_round),
           DURE_TEST(a_core_that_feeds_itself_comes_to_look_around),
           DURE_TEST(any_number_may_be_started_before_the_first_round),
           DURE_TEST(what_is_closed_before_the_first_round_completes),
           DURE_TEST(what_is_posted_after_the_last_round_arrives_with_the_end),
           DURE_TEST(a_pending_operation_holds_its_owner));
