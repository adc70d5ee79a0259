/* SPDX-License-Identifier: MIT
 *
 * When something runs out: the core's own limit, memory.
 */
#include "contract/rig.h"

#define LINE_SIZE 256

static void the_limit_of_a_core_ends_accepting_until_there_is_room(void)
{
    rig r;
    actor listener;
    actor clients[3];
    actor server;
    actor late;
    dure_net_address at = rig_loopback();
    dure_iocp_core_config config;
    rig_config(&config);
    config.sockets_max = 4;
    rig_open(&r, &config);
    actor_init(&listener, &r);
    actor_init(&server, &r);
    dure_net_address address = actor_listen(&listener, &at, 16);
    for (size_t i = 0; i < 3; i++) {
        actor_init(&clients[i], &r);
        actor_connect(&clients[i], &address);
    }
    actor_init(&late, &r);
    DURE_CHECK_ERR(dure_iocp_socket_open(r.core, DURE_FAMILY_IPV4, &late.socket),
                   DURE_ERR_TOO_MANY_FILES);
    late.socket = NULL;
    actor_accept(&listener);
    RIG_UNTIL(&r, listener.completed[DURE_IOCP_ACCEPT] == 1);
    DURE_CHECK_ERR(listener.status[DURE_IOCP_ACCEPT], DURE_ERR_TOO_MANY_FILES);
    for (size_t i = 0; i < 3; i++) {
        actor_fini(&clients[i]);
    }
    listener.accept_into = &server;
    actor_accept(&listener);
    actor_connect(&late, &address);
    RIG_UNTIL(&r, late.completed[DURE_IOCP_CONNECT] == 1 && server.socket != NULL);
    DURE_CHECK_OK(late.status[DURE_IOCP_CONNECT]);
    actor_fini(&late);
    actor_fini(&server);
    actor_fini(&listener);
    rig_close(&r);
}

/* At the limit all is as always; past it there is nothing; and so again, however often. */
static void full_then_room_again(void)
{
    rig r;
    actor listener;
    actor client;
    actor server;
    dure_iocp_socket *beyond = NULL;
    dure_net_address at = rig_loopback();
    dure_iocp_core_config config;
    rig_config(&config);
    config.sockets_max = 3;
    rig_open(&r, &config);
    actor_init(&listener, &r);
    dure_net_address address = actor_listen(&listener, &at, 16);
    actor_accept(&listener);
    for (uint32_t i = 0; i < 3; i++) {
        actor_init(&client, &r);
        actor_init(&server, &r);
        listener.accept_into = &server;
        actor_connect(&client, &address);
        RIG_UNTIL(&r, server.socket != NULL && client.completed[DURE_IOCP_CONNECT] == 1);
        DURE_CHECK_OK(client.status[DURE_IOCP_CONNECT]);
        DURE_CHECK_ERR(dure_iocp_socket_open(r.core, DURE_FAMILY_IPV4, &beyond),
                       DURE_ERR_TOO_MANY_FILES);
        actor_fini(&server);
        actor_fini(&client);
    }
    DURE_CHECK_EQ(listener.completed[DURE_IOCP_ACCEPT], 0);
    actor_fini(&listener);
    rig_close(&r);
}

/* One try of a small life with the n-th allocation failing; false when none failed any more. */
static bool try_with_failure(size_t nth)
{
    dure_iocp_core_config config;
    dure_sim_world *world = NULL;
    dure_iocp_core *core = NULL;
    dure_iocp_socket *listener = NULL;
    dure_net_address at = rig_loopback();
    rig r = {0};
    actor a;
    rig_config(&config);
    if (rig_is_sim()) {
        dure_sim_config sim;
        dure_sim_config_init(&sim);
        DURE_REQUIRE_OK(dure_sim_world_create(&sim, &world));
        config.sim = world;
    }
    dure_mem_fail_nth(nth);
    dure_err err = dure_iocp_core_create(&config, &core);
    if (err == DURE_OK) {
        r.core = core;
        actor_init(&a, &r);
        err = dure_iocp_socket_open(core, at.family, &listener);
    }
    if (err == DURE_OK) {
        err = dure_iocp_socket_bind(listener, &at);
    }
    if (err == DURE_OK) {
        err = dure_iocp_socket_listen(listener, 4);
    }
    if (err == DURE_OK) {
        err = dure_iocp_socket_local(listener, &at);
    }
    if (err == DURE_OK) {
        err = dure_iocp_accept(listener, actor_event(&a, DURE_IOCP_ACCEPT));
    }
    if (err == DURE_OK) {
        err = dure_iocp_socket_open(core, at.family, &a.socket);
    }
    if (err == DURE_OK) {
        err = dure_iocp_connect(a.socket, actor_event(&a, DURE_IOCP_CONNECT), &at);
    }
    if (err == DURE_OK) {
        err = dure_iocp_timer(core, actor_event(&a, DURE_IOCP_TIMER), 1);
    }
    dure_mem_fail_nth(0);
    DURE_CHECK(err == DURE_OK || err == DURE_ERR_NO_MEMORY);
    if (core != NULL) {
        dure_iocp_socket_close(listener);
        actor_fini(&a);
        rig_close(&r);
    }
    dure_sim_world_destroy(world);
    return err != DURE_OK;
}

static void whatever_allocation_fails_nothing_is_left_behind(void)
{
    size_t nth = 1;
    while (nth < 200 && try_with_failure(nth)) {
        nth++;
    }
    DURE_CHECK(nth > 3);
    DURE_CHECK(nth < 200);
}

static void count_the_job(void *ctx)
{
    (*(uint32_t *)ctx)++;
}

/* Only the first job of a core may be refused: for want of what runs it. */
static void a_refused_job_has_not_begun_and_the_next_is_taken(void)
{
    rig r;
    actor a;
    uint32_t ran = 0;
    size_t nth = 0;
    dure_err err = DURE_ERR_NO_MEMORY;
    rig_open(&r, NULL);
    actor_init(&a, &r);
    dure_iocp_event *event = actor_event(&a, DURE_IOCP_JOB);
    while (err == DURE_ERR_NO_MEMORY) {
        dure_mem_fail_nth(++nth);
        err = dure_iocp_job(r.core, event, count_the_job, &ran);
        dure_mem_fail_nth(0);
    }
    DURE_CHECK_OK(err);
    DURE_CHECK(nth > 1);
    for (uint32_t i = 1; i <= 3; i++) {
        RIG_UNTIL(&r, a.completed[DURE_IOCP_JOB] == i);
        DURE_CHECK_EQ(ran, i);
        dure_mem_fail_nth(1);
        DURE_CHECK_OK(dure_iocp_job(r.core, event, count_the_job, &ran));
        dure_mem_fail_nth(0);
    }
    RIG_UNTIL(&r, a.completed[DURE_IOCP_JOB] == 4);
    DURE_CHECK_EQ(ran, 4);
    actor_fini(&a);
    rig_close(&r);
}

/* ---- configurations ---- */

typedef struct bad_config {
    const char *name;
    uint32_t too_large;
    size_t offset; /* of the member */
} bad_config;

static void note_line(void *ctx, const char *line, size_t len)
{
    char *text = ctx;
    (void)snprintf(text, LINE_SIZE, "%.*s", (int)len, line);
}

static void check_refused(const bad_config *bad, uint32_t value)
{
    char line[LINE_SIZE] = "";
    char reason[64];
    dure_log *log = NULL;
    dure_iocp_core *core = NULL;
    dure_iocp_core_config config;
    const dure_log_config log_config = {.level = DURE_LOG_INFO, .sink = note_line, .ctx = line};
    DURE_REQUIRE_OK(dure_log_create(&log_config, &log));
    rig_config(&config);
    config.log = log;
    memcpy((char *)&config + bad->offset, &value, sizeof value);
    DURE_CHECK_ERR(dure_iocp_core_create(&config, &core), DURE_ERR_INVALID);
    DURE_CHECK(core == NULL);
    (void)snprintf(reason, sizeof reason, "BACKEND_FAILED cause=INVALID reason=%s", bad->name);
    DURE_CHECK(strstr(line, reason) != NULL);
    dure_log_destroy(log);
}

static void a_configuration_out_of_bounds_makes_no_core(void)
{
    static const bad_config bad[] = {
        {"recv_buffer_bytes", (uint32_t)INT32_MAX + 1,
         offsetof(dure_iocp_core_config, recv_buffer_bytes)},
        {"recv_buffer_count", DURE_IOCP_BUFFERS_MAX + 1,
         offsetof(dure_iocp_core_config, recv_buffer_count)},
        {"job_threads", DURE_IOCP_JOB_THREADS_MAX + 1,
         offsetof(dure_iocp_core_config, job_threads)},
        {"apart_threads", DURE_IOCP_JOB_THREADS_MAX + 1,
         offsetof(dure_iocp_core_config, apart_threads)},
        {"accepts_max", DURE_IOCP_ACCEPTS_MAX + 1, offsetof(dure_iocp_core_config, accepts_max)},
    };
    rig r;
    dure_iocp_core_config smallest;
    for (size_t i = 0; i < DURE_COUNT_OF(bad); i++) {
        check_refused(&bad[i], 0);
        check_refused(&bad[i], bad[i].too_large);
    }
    rig_config(&smallest);
    smallest.recv_buffer_bytes = 1;
    smallest.recv_buffer_count = 1;
    smallest.job_threads = 1;
    smallest.apart_threads = 1;
    smallest.accepts_max = 1;
    rig_open(&r, &smallest);
    rig_close(&r);
}

DURE_SUITE(contract_limits, DURE_TEST(the_limit_of_a_core_ends_accepting_until_there_is_room),
           DURE_TEST(full_then_room_again), DURE_TEST(a_configuration_out_of_bounds_makes_no_core),
           DURE_TEST(a_refused_job_has_not_begun_and_the_next_is_taken),
           DURE_TEST(whatever_allocation_fails_nothing_is_left_behind));
