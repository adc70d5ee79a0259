/* SPDX-License-Identifier: MIT
 *
 * What a service promises across workers: sessions live on several cores, other threads name them
 * by id, a stale id is an error, and everything ends. The ones with real threads run on the
 * platform's own back end.
 */
#include <stdatomic.h>

#include "base/mem.h"
#include "base/thread.h"
#include "net/service_impl.h"
#include "net_fixture.h"

/* ---- several cores in one simulated world ---- */

static void count_session(dure_session *session, void *ctx)
{
    unsigned *count = ctx;
    DURE_CHECK(dure_session_is_connected(session));
    (*count)++;
}

static unsigned sessions_on(dure_service *service, dure_iocp_core *core)
{
    unsigned count = 0;
    dure_service_each(service, core, count_session, &count);
    return count;
}

static void sessions_are_spread_over_the_cores(void)
{
    net_fixture fixture;
    net_fixture second;
    net_side server = {.echoes = true};
    net_side client = {.greeting = "hi"};
    dure_service_config server_config;
    dure_service_config client_config;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    second = fixture;
    DURE_REQUIRE(net_fixture_add_core(&second));
    dure_iocp_core *cores[] = {fixture.core, second.core};
    net_side_config(&fixture, &server, &server_config);
    net_side_config(&fixture, &client, &client_config);
    server_config.cores = cores;
    server_config.core_count = 2;
    client_config.cores = cores;
    client_config.core_count = 2;
    dure_net_address address = net_side_serve(&fixture, &server, &server_config);
    net_side_dial(&fixture, &client, &client_config, &address, 6);
    NET_RUN_UNTIL(&fixture, client.received_bytes == 12);
    for (size_t i = 0; i < 2; i++) {
        DURE_CHECK_EQ(sessions_on(server.service, cores[i]), 3);
        DURE_CHECK_EQ(sessions_on(client.service, cores[i]), 3);
    }
    dure_iocp_core *home = dure_session_core(server.session);
    dure_iocp_core *other = home == cores[0] ? cores[1] : cores[0];
    DURE_CHECK(dure_service_find(server.service, home, server.id) == server.session);
    DURE_CHECK(dure_service_find(server.service, other, server.id) == NULL);
    net_sides_end(&fixture, &client, &server);
    net_fixture_drop_core(&second);
    net_fixture_close(&fixture);
}

static void ids_reach_any_session_and_stale_ones_nothing(void)
{
    net_fixture fixture;
    net_side server = {0};
    net_side client = {0};
    dure_service_counters counters;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    dure_net_address address = net_side_serve(&fixture, &server, NULL);
    net_side_dial(&fixture, &client, NULL, &address, 1);
    NET_RUN_UNTIL(&fixture, server.connected == 1);
    uint64_t id = server.id;
    DURE_CHECK_OK(dure_service_send(server.service, id, "news", 4));
    NET_RUN_UNTIL(&fixture, client.received_bytes == 4);
    DURE_CHECK_OK(dure_service_disconnect(server.service, id, DURE_ERR_TAKEN_OVER));
    NET_RUN_UNTIL(&fixture, server.disconnected == 1);
    DURE_CHECK_ERR(server.cause, DURE_ERR_TAKEN_OVER);
    DURE_CHECK_OK(dure_service_send(server.service, id, "late", 4));
    DURE_CHECK_OK(dure_service_disconnect(server.service, id, DURE_ERR_IDLE));
    DURE_CHECK_ERR(dure_service_send(server.service, 0, "none", 4), DURE_ERR_STALE);
    DURE_CHECK_ERR(dure_service_send(server.service, id | 0x80000000u, "none", 4), DURE_ERR_STALE);
    net_fixture_run_for(&fixture, 10);
    dure_service_counters_of(server.service, &counters);
    DURE_CHECK_EQ(counters.dropped_sends, 1);
    DURE_CHECK_EQ(client.received_bytes, 4);
    dure_service_close(server.service);
    DURE_CHECK_ERR(dure_service_send(server.service, id, "late", 4), DURE_ERR_STALE);
    net_sides_end(&fixture, &client, &server);
    net_fixture_close(&fixture);
}

static void sessions_past_the_most_are_closed_at_accept(void)
{
    net_fixture fixture;
    net_side server = {0};
    net_side client = {0};
    dure_service_config config;
    dure_service_counters counters;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    net_side_config(&fixture, &server, &config);
    config.sessions_max = 2;
    dure_net_address address = net_side_serve(&fixture, &server, &config);
    net_side_dial(&fixture, &client, NULL, &address, 5);
    NET_RUN_UNTIL(&fixture, client.disconnected == 3);
    dure_service_counters_of(server.service, &counters);
    DURE_CHECK_EQ(counters.refused_full, 3);
    DURE_CHECK_EQ(server.connected, 2);
    net_sides_end(&fixture, &client, &server);
    net_fixture_close(&fixture);
}

/* A place that was given up is free again, however often the service was full. */
static void full_then_room_again(void)
{
    net_fixture fixture;
    net_side server = {0};
    dure_service_config config;
    dure_service_counters counters;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    net_side_config(&fixture, &server, &config);
    config.sessions_max = 2;
    dure_net_address address = net_side_serve(&fixture, &server, &config);
    for (unsigned turn = 1; turn <= 5; turn++) {
        net_side clients = {0};
        net_side_dial(&fixture, &clients, NULL, &address, 6);
        NET_RUN_UNTIL(&fixture, clients.disconnected == 4);
        DURE_CHECK_EQ(server.connected, 2 * turn);
        net_sides_end(&fixture, &clients, NULL);
        NET_RUN_UNTIL(&fixture, server.disconnected == 2 * turn);
    }
    dure_service_counters_of(server.service, &counters);
    DURE_CHECK_EQ(counters.refused_full, 20);
    DURE_CHECK_EQ(counters.opened, 10);
    net_sides_end(&fixture, &server, NULL);
    net_fixture_close(&fixture);
}

/* What is on its way to a worker is bounded at every moment, and by nothing over a life. */
static void what_has_arrived_is_on_its_way_no_more(void)
{
    net_fixture fixture;
    net_side server = {0};
    net_side client = {0};
    static uint8_t data[1000000];
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    dure_net_address address = net_side_serve(&fixture, &server, NULL);
    net_side_dial(&fixture, &client, NULL, &address, 1);
    NET_RUN_UNTIL(&fixture, server.connected == 1);
    size_t sent = 0;
    while (dure_service_send(server.service, server.id, data, sizeof data) == DURE_OK) {
        sent += sizeof data;
    }
    DURE_CHECK_EQ(sent, (size_t)67 * sizeof data); /* 64 MiB are on their way */
    net_fixture_run_for(&fixture, 1000);
    for (int i = 0; i < 80; i++) {
        size_t before = client.received_bytes;
        DURE_CHECK_OK(dure_service_send(server.service, server.id, data, sizeof data));
        NET_RUN_UNTIL(&fixture, client.received_bytes == before + sizeof data);
    }
    dure_service_close(server.service);
    for (int i = 0; i < 80; i++) { /* nor is what was refused */
        DURE_CHECK_ERR(dure_service_send(server.service, server.id, data, sizeof data),
                       DURE_ERR_STALE);
    }
    net_sides_end(&fixture, &client, &server);
    net_fixture_close(&fixture);
}

/* A caller of another thread has counted his post and has not sent it yet when the service closes.
 */
static void a_shard_waits_for_posts_on_their_way(void)
{
    net_fixture fixture;
    net_side server = {0};
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    (void)net_side_serve(&fixture, &server, NULL);
    net_fixture_run_for(&fixture, 10);
    dure_service_shard *shard = &server.service->shards[0];
    dure_shard_post *post = dure_mem_alloc(sizeof *post);
    DURE_REQUIRE(post != NULL);
    post->cause = DURE_ERR_CLOSED; /* of no session: nothing but an arrival */
    atomic_fetch_add_explicit(&shard->posts, 1, memory_order_acq_rel);
    dure_service_close(server.service);
    net_fixture_run_for(&fixture, 1000);
    DURE_CHECK(!server.is_closed);
    dure_iocp_event_init(&post->event, &shard->object, DURE_IOCP_POST);
    post->event.ctx = post;
    dure_iocp_post(fixture.core, &post->event);
    NET_RUN_UNTIL(&fixture, server.is_closed);
    dure_service_destroy(server.service);
    net_fixture_close(&fixture);
}

#define MANY 700u

/* A crowd ends a part a round, and a neighbour on the same core is served meanwhile. */
static void closing_a_crowd_leaves_others_their_turn(void)
{
    net_fixture fixture;
    net_side server = {0};
    net_side crowd = {0};
    net_side neighbour = {.echoes = true};
    net_side client = {0};
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    dure_net_address address = net_side_serve(&fixture, &server, NULL);
    net_side_dial(&fixture, &crowd, NULL, &address, MANY);
    address = net_side_serve(&fixture, &neighbour, NULL);
    net_side_dial(&fixture, &client, NULL, &address, 1);
    NET_RUN_UNTIL(&fixture, server.connected == MANY && client.connected == 1);
    dure_service_close(server.service);
    unsigned rounds = 0;
    unsigned left = MANY;
    while (left > 0 && rounds < 100) {
        (void)dure_iocp_core_run_once(fixture.core, 1);
        unsigned now = sessions_on(server.service, fixture.core);
        DURE_CHECK(left - now <= 256);
        left = now;
        rounds++;
    }
    DURE_CHECK_EQ(left, 0);
    DURE_CHECK(rounds >= 3);
    DURE_CHECK_OK(dure_session_send(client.session, "x", 1));
    NET_RUN_UNTIL(&fixture, client.received_bytes == 1);
    NET_RUN_UNTIL(&fixture, server.disconnected == MANY && server.is_closed);
    net_sides_end(&fixture, &crowd, &server);
    net_sides_end(&fixture, &client, &neighbour);
    net_fixture_close(&fixture);
}

static void without_its_listener_it_keeps_its_sessions(void)
{
    net_fixture fixture;
    net_side server = {.echoes = true};
    net_side client = {0};
    net_side late = {0};
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    dure_net_address address = net_side_serve(&fixture, &server, NULL);
    net_side_dial(&fixture, &client, NULL, &address, 1);
    NET_RUN_UNTIL(&fixture, server.connected == 1);
    dure_server_service_stop_accepting(server.service);
    dure_server_service_stop_accepting(server.service);
    net_side_dial(&fixture, &late, NULL, &address, 1);
    NET_RUN_UNTIL(&fixture, late.connect_failed == 1);
    DURE_CHECK_ERR(late.cause, DURE_ERR_CONNECT_REFUSED);
    DURE_CHECK_OK(dure_session_send(client.session, "still", 5));
    NET_RUN_UNTIL(&fixture, client.received_bytes == 5);
    net_sides_end(&fixture, &late, NULL);
    net_sides_end(&fixture, &client, &server);
    net_fixture_close(&fixture);
}

static void destroy_in_on_closed(dure_service *service, void *context)
{
    net_side *side = context;
    side->is_closed = true;
    dure_service_destroy(service);
}

static void it_may_be_destroyed_in_on_closed(void)
{
    net_fixture fixture;
    net_side server = {0};
    net_side client = {0};
    dure_service_config config;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    net_side_config(&fixture, &server, &config);
    config.on_closed = destroy_in_on_closed;
    dure_net_address address = net_side_serve(&fixture, &server, &config);
    net_side_config(&fixture, &client, &config);
    config.on_closed = destroy_in_on_closed;
    net_side_dial(&fixture, &client, &config, &address, 3);
    NET_RUN_UNTIL(&fixture, server.connected == 3);
    dure_service_close(server.service);
    NET_RUN_UNTIL(&fixture, server.is_closed && client.disconnected == 3);
    dure_service_close(client.service);
    NET_RUN_UNTIL(&fixture, client.is_closed);
    net_fixture_close(&fixture);
}

/* ---- real threads ---- */

#define WORKERS  2u
#define SESSIONS 8u
#define CALLERS  4u

/* Counted by handlers of all workers. */
typedef struct test_crowd {
    dure_iocp_core *cores[WORKERS];
    dure_thread *threads[WORKERS];
    dure_service *server;
    dure_service *clients;
    dure_net_address address;
    atomic_ullong ids[SESSIONS];
    atomic_uint connected;
    atomic_uint disconnected;
    atomic_uint client_ends;
    atomic_ullong received_bytes;
    atomic_uint closed;
    atomic_bool is_enough; /* callers stop */

    /* posted to the first core */
    dure_iocp_object object;
    dure_iocp_event start;
    dure_iocp_event close;
    dure_iocp_event destroy;
    atomic_bool is_destroyed;
} test_crowd;

static test_crowd *crowd_of(const dure_session *session)
{
    return dure_service_context(dure_session_service(session));
}

static void server_connected(dure_session *session)
{
    test_crowd *crowd = crowd_of(session);
    unsigned index = atomic_fetch_add(&crowd->connected, 1);
    if (index < SESSIONS) {
        atomic_store(&crowd->ids[index], dure_session_id(session));
    }
}

static void server_disconnected(dure_session *session, dure_err cause)
{
    (void)cause;
    atomic_fetch_add(&crowd_of(session)->disconnected, 1);
}

static dure_err client_recv(dure_session *session, const uint8_t *data, size_t len,
                            size_t *out_consumed)
{
    (void)data;
    *out_consumed = len;
    atomic_fetch_add(&crowd_of(session)->received_bytes, len);
    return DURE_OK;
}

static void client_disconnected(dure_session *session, dure_err cause)
{
    (void)cause;
    atomic_fetch_add(&crowd_of(session)->client_ends, 1);
}

static const dure_session_handlers server_handlers = {
    .on_connected = server_connected,
    .on_connect_failed = dure_session_ignore_connect_failed,
    .on_recv = dure_session_ignore_recv,
    .on_sent = dure_session_ignore_sent,
    .on_disconnected = server_disconnected,
};

static const dure_session_handlers client_handlers = {
    .on_connected = dure_session_ignore_connected,
    .on_connect_failed = dure_session_ignore_connect_failed,
    .on_recv = client_recv,
    .on_sent = dure_session_ignore_sent,
    .on_disconnected = client_disconnected,
};

static void service_closed(dure_service *service, void *context)
{
    test_crowd *crowd = context;
    (void)service;
    atomic_fetch_add(&crowd->closed, 1);
}

static void crowd_start(test_crowd *crowd)
{
    DURE_CHECK_OK(dure_service_start(crowd->server));
    DURE_CHECK_OK(dure_server_service_address(crowd->server, &crowd->address));
    dure_service_config config;
    dure_client_service_config client;
    dure_service_config_init(&config);
    config.cores = crowd->cores;
    config.core_count = WORKERS;
    config.handlers = &client_handlers;
    config.context = crowd;
    config.on_closed = service_closed;
    dure_client_service_config_init(&client);
    client.host = "127.0.0.1";
    client.port = crowd->address.port;
    client.session_count = SESSIONS;
    client.redial = false;
    DURE_CHECK_OK(dure_client_service_create(&config, &client, &crowd->clients));
    DURE_CHECK_OK(dure_service_start(crowd->clients));
}

static void crowd_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    test_crowd *crowd = DURE_CONTAINER_OF(object, test_crowd, object);
    if (event == &crowd->start) {
        crowd_start(crowd);
    } else if (event == &crowd->close) {
        dure_service_close(crowd->clients);
        dure_service_close(crowd->server);
    } else {
        dure_service_destroy(crowd->clients);
        dure_service_destroy(crowd->server);
        atomic_store(&crowd->is_destroyed, true);
    }
}

static void crowd_keep(dure_iocp_object *object)
{
    (void)object;
}

static const dure_iocp_object_ops crowd_ops = {crowd_dispatch, crowd_keep};

static void run_core(void *ctx)
{
    dure_iocp_core_run(ctx);
}

/* Waits for another thread, by letting it run; bounded by turns, not by a clock. */
#define CROWD_WAIT(condition)                                                                      \
    do {                                                                                           \
        dure_mutex *mutex_ = dure_mutex_create();                                                  \
        dure_cond *cond_ = dure_cond_create();                                                     \
        dure_mutex_lock(mutex_);                                                                   \
        for (int turn_ = 0; !(condition) && turn_ < 30000; turn_++) {                              \
            (void)dure_cond_wait_ms(cond_, mutex_, 1);                                             \
        }                                                                                          \
        dure_mutex_unlock(mutex_);                                                                 \
        dure_cond_destroy(cond_);                                                                  \
        dure_mutex_destroy(mutex_);                                                                \
        DURE_REQUIRE(condition);                                                                   \
    } while (0)

/* False where the back end is not to be had. */
static bool crowd_open(test_crowd *crowd, dure_backend_choice backend)
{
    memset(crowd, 0, sizeof *crowd);
    dure_iocp_core_config core_config;
    dure_service_config config;
    dure_iocp_core_config_init(&core_config);
    core_config.backend = backend;
    for (size_t i = 0; i < WORKERS; i++) {
        dure_err err = dure_iocp_core_create(&core_config, &crowd->cores[i]);
        if (err == DURE_ERR_UNSUPPORTED && i == 0) {
            printf("(not to be had here) ");
            return false;
        }
        DURE_REQUIRE_OK(err);
    }
    dure_iocp_object_init(&crowd->object, crowd->cores[0], &crowd_ops);
    dure_iocp_event_init(&crowd->start, &crowd->object, DURE_IOCP_POST);
    dure_iocp_event_init(&crowd->close, &crowd->object, DURE_IOCP_POST);
    dure_iocp_event_init(&crowd->destroy, &crowd->object, DURE_IOCP_POST);
    dure_service_config_init(&config);
    config.cores = crowd->cores;
    config.core_count = WORKERS;
    config.handlers = &server_handlers;
    config.context = crowd;
    config.on_closed = service_closed;
    DURE_REQUIRE_OK(dure_net_address_parse("127.0.0.1:0", &crowd->address));
    DURE_REQUIRE_OK(dure_server_service_create(&config, &crowd->address, &crowd->server));
    for (size_t i = 0; i < WORKERS; i++) {
        DURE_REQUIRE_OK(
            dure_thread_create("worker", run_core, crowd->cores[i], &crowd->threads[i]));
    }
    dure_iocp_post(crowd->cores[0], &crowd->start);
    CROWD_WAIT(atomic_load(&crowd->connected) == SESSIONS);
    for (size_t i = 0; i < SESSIONS; i++) {
        CROWD_WAIT(atomic_load(&crowd->ids[i]) != 0);
    }
    return true;
}

static void crowd_close(test_crowd *crowd)
{
    dure_iocp_post(crowd->cores[0], &crowd->close);
    CROWD_WAIT(atomic_load(&crowd->closed) == 2);
    dure_iocp_post(crowd->cores[0], &crowd->destroy);
    CROWD_WAIT(atomic_load(&crowd->is_destroyed));
    DURE_CHECK_EQ(atomic_load(&crowd->disconnected), SESSIONS);
    DURE_CHECK_EQ(atomic_load(&crowd->client_ends), SESSIONS);
    for (size_t i = 0; i < WORKERS; i++) {
        dure_iocp_core_stop(crowd->cores[i]);
        dure_thread_join(crowd->threads[i]);
    }
    /* Only now: one worker may have been posting to another's core until it ended. */
    for (size_t i = 0; i < WORKERS; i++) {
        dure_iocp_counters counters;
        dure_iocp_core_counters(crowd->cores[i], &counters);
        DURE_CHECK_EQ(counters.started, counters.completed);
        DURE_CHECK_EQ(counters.sockets_opened, counters.sockets_closed);
        dure_iocp_core_destroy(crowd->cores[i]);
    }
}

static void send_to_all(void *ctx)
{
    test_crowd *crowd = ctx;
    for (size_t round = 0; round < 50; round++) {
        for (size_t i = 0; i < SESSIONS; i++) {
            dure_err err =
                dure_service_send(crowd->server, atomic_load(&crowd->ids[i]), "0123456789", 10);
            DURE_ASSERT(err == DURE_OK);
        }
    }
}

static void disconnect_all(void *ctx)
{
    test_crowd *crowd = ctx;
    for (size_t i = 0; i < SESSIONS; i++) {
        dure_err err = dure_service_disconnect(crowd->server, atomic_load(&crowd->ids[i]),
                                               DURE_ERR_TAKEN_OVER);
        DURE_ASSERT(err == DURE_OK);
    }
}

/* Until told to stop, and past the end of the service's sessions. */
static void send_without_end(void *ctx)
{
    test_crowd *crowd = ctx;
    uint8_t data[512] = {0};
    while (!atomic_load(&crowd->is_enough)) {
        for (size_t i = 0; i < SESSIONS; i++) {
            dure_err err =
                dure_service_send(crowd->server, atomic_load(&crowd->ids[i]), data, sizeof data);
            DURE_ASSERT(err == DURE_OK || err == DURE_ERR_STALE || err == DURE_ERR_OVERLOADED);
        }
    }
}

static void run_callers(test_crowd *crowd, dure_thread_fn fn, dure_thread *callers[CALLERS])
{
    for (size_t i = 0; i < CALLERS; i++) {
        DURE_REQUIRE_OK(dure_thread_create("caller", fn, crowd, &callers[i]));
    }
}

static void join_callers(dure_thread *callers[CALLERS])
{
    for (size_t i = 0; i < CALLERS; i++) {
        dure_thread_join(callers[i]);
    }
}

static void send_from_threads(dure_backend_choice backend)
{
    test_crowd crowd;
    dure_thread *callers[CALLERS];
    if (!crowd_open(&crowd, backend)) {
        return;
    }
    run_callers(&crowd, send_to_all, callers);
    join_callers(callers);
    CROWD_WAIT(atomic_load(&crowd.received_bytes) == (uint64_t)CALLERS * 50 * SESSIONS * 10);
    crowd_close(&crowd);
}

static void disconnect_from_threads(dure_backend_choice backend)
{
    test_crowd crowd;
    dure_thread *callers[CALLERS];
    if (!crowd_open(&crowd, backend)) {
        return;
    }
    run_callers(&crowd, disconnect_all, callers);
    join_callers(callers);
    CROWD_WAIT(atomic_load(&crowd.disconnected) == SESSIONS);
    crowd_close(&crowd);
}

static void stop_under_load(dure_backend_choice backend)
{
    test_crowd crowd;
    dure_thread *callers[CALLERS];
    if (!crowd_open(&crowd, backend)) {
        return;
    }
    run_callers(&crowd, send_without_end, callers);
    CROWD_WAIT(atomic_load(&crowd.received_bytes) > 100000);
    dure_iocp_post(crowd.cores[0], &crowd.close);
    CROWD_WAIT(atomic_load(&crowd.closed) == 2);
    atomic_store(&crowd.is_enough, true);
    join_callers(callers);
    crowd_close(&crowd);
}

static void other_threads_send_to_any_session_on_epoll(void)
{
    send_from_threads(DURE_BACKEND_EPOLL);
}

static void other_threads_send_to_any_session_on_uring(void)
{
    send_from_threads(DURE_BACKEND_URING);
}

static void many_threads_disconnecting_end_each_session_once_on_epoll(void)
{
    disconnect_from_threads(DURE_BACKEND_EPOLL);
}

static void many_threads_disconnecting_end_each_session_once_on_uring(void)
{
    disconnect_from_threads(DURE_BACKEND_URING);
}

static void it_stops_under_load_on_epoll(void)
{
    stop_under_load(DURE_BACKEND_EPOLL);
}

static void it_stops_under_load_on_uring(void)
{
    stop_under_load(DURE_BACKEND_URING);
}

static void other_threads_send_to_any_session_on_win32(void)
{
    send_from_threads(DURE_BACKEND_WIN32);
}

static void many_threads_disconnecting_end_each_session_once_on_win32(void)
{
    disconnect_from_threads(DURE_BACKEND_WIN32);
}

static void it_stops_under_load_on_win32(void)
{
    stop_under_load(DURE_BACKEND_WIN32);
}

DURE_SUITE(net_service, DURE_TEST(sessions_are_spread_over_the_cores),
           DURE_TEST(ids_reach_any_session_and_stale_ones_nothing),
           DURE_TEST(sessions_past_the_most_are_closed_at_accept), DURE_TEST(full_then_room_again),
           DURE_TEST(what_has_arrived_is_on_its_way_no_more),
           DURE_TEST(a_shard_waits_for_posts_on_their_way),
           DURE_TEST(closing_a_crowd_leaves_others_their_turn),
           DURE_TEST(without_its_listener_it_keeps_its_sessions),
           DURE_TEST(it_may_be_destroyed_in_on_closed),
           DURE_TEST(other_threads_send_to_any_session_on_epoll),
           DURE_TEST(other_threads_send_to_any_session_on_uring),
           DURE_TEST(other_threads_send_to_any_session_on_win32),
           DURE_TEST(many_threads_disconnecting_end_each_session_once_on_epoll),
           DURE_TEST(many_threads_disconnecting_end_each_session_once_on_uring),
           DURE_TEST(many_threads_disconnecting_end_each_session_once_on_win32),
           DURE_TEST(it_stops_under_load_on_epoll), DURE_TEST(it_stops_under_load_on_uring),
           DURE_TEST(it_stops_under_load_on_win32));
