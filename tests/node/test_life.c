/* SPDX-License-Identifier: MIT
 *
 * The life of a node: it starts whole or not at all, and stops in order, at once where nothing is
 * in flight, and never later than drain_ms.
 */
#include "sim_node.h"

#include "base/mem.h"
#include "net/address.h"
#include "node/node_impl.h"

static void a_node_starts_ticks_and_stops(void)
{
    sim_node sim;
    sim_node_open(&sim, NULL);
    DURE_CHECK_EQ(sim.readied, 1);
    DURE_CHECK(sim_node_logged(&sim, "NODE_READY"));
    sim_node_run(&sim, 1010);
    DURE_CHECK_EQ(sim.role->ticks, 20);
    DURE_CHECK(!dure_node_is_stopping(sim.node));
    dure_node_stop(sim.node);
    dure_node_stop(sim.node); /* twice is once */
    sim_node_run(&sim, 1000);
    DURE_CHECK(sim.is_ended);
    DURE_CHECK_EQ(sim.exit_code, 0);
    DURE_CHECK_EQ(sim.role->stops, 1);
    DURE_CHECK_EQ(sim.role->ends, 1);
    sim_node_close(&sim);
}

static void seven_clients(dure_registry_settings *settings)
{
    settings->clients_max = 7;
    settings->memory_limit_mib = 4096;
}

static void it_says_what_it_may_have_and_why(void)
{
    sim_node sim;
    sim_node_open(&sim, seven_clients);
    DURE_CHECK(sim_node_logged(&sim, "CLIENTS_MAX clients_max=7 because=clients_max descriptors="));
    DURE_CHECK(sim_node_logged(&sim, "MEMORY_LIMIT mib=4096 from=memory_limit_mib"));
    sim_node_close(&sim);
}

/* All that the system gives, less a reserve, which is at most the half of it. */
static void few_descriptors_are_few_clients(void)
{
    static const struct {
        uint32_t wanted;
        uint32_t reserve;
        uint32_t descriptors;
        uint32_t clients;
    } rows[] = {
        {100000, 128, 1024, 896}, {100000, 128, 256, 128}, {100000, 128, 255, 128},
        {100000, 128, 130, 65},   {100000, 128, 64, 32},   {10, 128, 64, 10},
        {100000, 128, 1, 1},      {100000, 128, 0, 1},     {100000, 128, UINT32_MAX, 100000},
        {100000, 16, 1024, 1008},
    };
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        dure_registry_settings settings = {.clients_max = rows[i].wanted,
                                           .descriptor_reserve = rows[i].reserve};
        DURE_CHECK_EQ(node_client_port_max(&settings, rows[i].descriptors), rows[i].clients);
    }
}

static void clients_are_told_that_it_stops(void)
{
    sim_node sim;
    sim_client client;
    sim_node_open(&sim, NULL);
    sim_client_open(&client, &sim);
    dure_node_stop(sim.node);
    sim_node_run(&sim, 1500);
    DURE_CHECK(sim.is_ended);
    DURE_CHECK(client.session == NULL);
    DURE_CHECK(sim_client_saw(&client, "closing"));
    DURE_CHECK(sim_client_saw(&client, "STOPPING"));
    sim_client_close(&client);
    sim_node_close(&sim);
}

#define CROWD 20

static size_t count_gone(const sim_client *clients)
{
    size_t count = 0;
    for (size_t i = 0; i < CROWD; i++) {
        count += clients[i].session == NULL;
    }
    return count;
}

static void open_crowd(sim_node *sim, sim_client *clients, sim_settings_fn tune)
{
    sim_node_open(sim, tune);
    for (size_t i = 0; i < CROWD; i++) {
        sim_client_open(&clients[i], sim);
    }
}

static void close_crowd(sim_node *sim, sim_client *clients)
{
    for (size_t i = 0; i < CROWD; i++) {
        sim_client_close(&clients[i]);
    }
    sim_node_close(sim);
}

/* They look for another gateway all at once otherwise. */
static void clients_are_told_one_after_the_other(void)
{
    sim_node sim;
    sim_client clients[CROWD];
    open_crowd(&sim, clients, NULL);
    dure_node_stop(sim.node);
    sim_node_run(&sim, 50);
    size_t half = count_gone(clients);
    DURE_CHECK(half > CROWD / 4);
    DURE_CHECK(half < CROWD * 3 / 4);
    sim_node_run(&sim, 100);
    DURE_CHECK_EQ(count_gone(clients), CROWD);
    sim_node_run(&sim, 1000);
    DURE_CHECK(sim.is_ended);
    for (size_t i = 0; i < CROWD; i++) {
        DURE_CHECK(sim_client_saw(&clients[i], "STOPPING"));
    }
    close_crowd(&sim, clients);
}

static void tell_all_at_once(dure_registry_settings *settings)
{
    settings->drain_clients_ms = 0;
}

static void clients_are_told_at_once_where_that_is_wanted(void)
{
    sim_node sim;
    sim_client clients[CROWD];
    open_crowd(&sim, clients, tell_all_at_once);
    dure_node_stop(sim.node);
    sim_node_run(&sim, 10);
    DURE_CHECK_EQ(count_gone(clients), CROWD);
    close_crowd(&sim, clients);
}

static void drain_for_five_seconds(dure_registry_settings *settings)
{
    settings->drain_ms = 5000;
    settings->call_deadline_ms = 60000;
}

static void the_stop_waits_for_what_is_served(void)
{
    sim_node sim;
    sim_client client;
    sim_node_open(&sim, drain_for_five_seconds);
    sim_client_open(&client, &sim);
    sim_client_ask(&client, "later", NULL, 0);
    sim_node_run(&sim, 20);
    dure_node_stop(sim.node);
    sim_node_run(&sim, 3000);
    DURE_CHECK(dure_node_is_stopping(sim.node));
    DURE_CHECK(!sim.is_ended);
    DURE_CHECK_EQ(client.received.len, 0);
    greeter_release(sim.role);
    sim_node_run(&sim, 1500);
    DURE_CHECK(sim.is_ended);
    DURE_CHECK(sim_client_saw(&client, "\x94\x01\x01\xc0\xc3"));
    DURE_CHECK(sim_client_saw(&client, "STOPPING"));
    sim_client_close(&client);
    sim_node_close(&sim);
}

static void the_stop_does_not_wait_for_ever(void)
{
    sim_node sim;
    sim_client client;
    sim_node_open(&sim, drain_for_five_seconds);
    sim_client_open(&client, &sim);
    sim_client_ask(&client, "later", NULL, 0);
    sim_node_run(&sim, 20);
    dure_node_stop(sim.node);
    sim_node_run(&sim, 4900);
    DURE_CHECK(!sim.is_ended);
    sim_node_run(&sim, 2000);
    DURE_CHECK(sim.is_ended);
    DURE_CHECK(sim_node_logged(&sim, "DRAIN_ENDED"));
    DURE_CHECK_EQ(sim.role->cancelled, 1);
    sim_client_close(&client);
    sim_node_close(&sim);
}

static void a_hold_keeps_the_stop_waiting(void)
{
    sim_node sim;
    sim_node_open(&sim, drain_for_five_seconds);
    dure_node_hold_stop(sim.node);
    dure_node_stop(sim.node);
    sim_node_run(&sim, 1000);
    DURE_CHECK(!sim.is_ended);
    dure_node_release_stop(sim.node);
    sim_node_run(&sim, 100);
    DURE_CHECK(sim.is_ended);
    sim_node_close(&sim);
}

static void nobody_new_is_let_in_while_stopping(void)
{
    sim_node sim;
    sim_client client;
    dure_net_address address;
    sim_node_open(&sim, drain_for_five_seconds);
    sim_client_open(&client, &sim);
    DURE_CHECK_OK(dure_node_client_address(sim.node, &address));
    dure_node_hold_stop(sim.node);
    dure_node_stop(sim.node);
    sim_node_run(&sim, 50);
    DURE_CHECK(client.session == NULL); /* it was told to go; dialling again finds nobody */
    DURE_CHECK_OK(dure_session_connect(dure_client_service_session(client.service, 0)));
    sim_node_run(&sim, 50);
    DURE_CHECK(client.session == NULL);
    DURE_CHECK_EQ(sim.role->opened, 1);
    dure_node_release_stop(sim.node);
    sim_client_close(&client);
    sim_node_close(&sim);
}

static void a_failure_ends_with_one(void)
{
    sim_node sim;
    sim_node_open(&sim, NULL);
    dure_node_fail(sim.node, DURE_ERR_STORAGE, "the disk is full");
    sim_node_run(&sim, 1000);
    DURE_CHECK(sim.is_ended);
    DURE_CHECK_EQ(sim.exit_code, 1);
    DURE_CHECK(sim_node_logged(&sim, "NODE_FAILED"));
    DURE_CHECK(sim_node_logged(&sim, "the disk is full"));
    sim_node_close(&sim);
}

static void a_role_may_refuse_to_start(void)
{
    sim_node sim;
    sim_node_make(&sim, &refusing_role, 0, NULL);
    DURE_CHECK_ERR(dure_node_start(sim.node), DURE_ERR_STORAGE);
    sim_node_run(&sim, 1000);
    DURE_CHECK(sim.is_ended);
    DURE_CHECK_EQ(sim.exit_code, 1);
    DURE_CHECK_EQ(sim.readied, 0);
    DURE_CHECK(sim_node_logged(&sim, "ROLE_REFUSED"));
    sim_node_close(&sim);
}

static void a_taken_port_is_named(void)
{
    sim_node sim;
    dure_iocp_socket *other = NULL;
    dure_net_address address;
    sim_node_make(&sim, &greeter_role, 7777, NULL);
    DURE_REQUIRE_OK(dure_net_address_from_ip("127.0.0.1", 7777, &address));
    DURE_REQUIRE_OK(dure_iocp_socket_open(sim.core, DURE_FAMILY_IPV4, &other));
    DURE_REQUIRE_OK(dure_iocp_socket_bind(other, &address));
    DURE_REQUIRE_OK(dure_iocp_socket_listen(other, 1));
    DURE_CHECK_ERR(dure_node_start(sim.node), DURE_ERR_ADDRESS_IN_USE);
    sim.role = dure_node_state(sim.node);
    sim_node_run(&sim, 1000);
    DURE_CHECK(sim.is_ended);
    DURE_CHECK_EQ(sim.exit_code, 1);
    DURE_CHECK_EQ(sim.role->ends, 1); /* it had started, so it ends */
    DURE_CHECK(sim_node_logged(&sim, "cannot listen on 127.0.0.1:7777 (clients of greeter-1)"));
    dure_iocp_socket_close(other);
    sim_node_close(&sim);
}

static void only_a_configured_node_is_made(void)
{
    sim_node sim;
    dure_node *other = NULL;
    static const dure_role stranger = {.name = "stranger"};
    sim_node_open(&sim, NULL);
    dure_node_config config = {
        .registry = sim.registry, .node_id = "greeter-2", .role = &greeter_role, .core = sim.core};
    DURE_CHECK_ERR(dure_node_create(&config, &other), DURE_ERR_NOT_CONFIGURED);
    config.node_id = "greeter-1";
    config.role = &stranger;
    DURE_CHECK_ERR(dure_node_create(&config, &other), DURE_ERR_INVALID);
    DURE_CHECK(other == NULL);
    sim_node_close(&sim);
}

/* ---- delays and jobs ---- */

/* What a delay hangs on: memory of its own, which the address sanitizer misses where fn is not
 * called. */
typedef struct delay_ctx {
    greeter *self;
} delay_ctx;

static void count_delay(dure_node *node, void *ctx, dure_err status)
{
    delay_ctx *mine = ctx;
    greeter *self = mine->self;
    if (status == DURE_OK) {
        self->delays++;
    } else {
        DURE_CHECK_ERR(status, DURE_ERR_CANCELLED);
        DURE_CHECK_EQ(self->ends, 0); /* the role is still there */
        self->delays_cancelled++;
        self->delay_refused = dure_node_after(node, 1, count_delay, ctx);
    }
    dure_mem_free(mine);
}

static void begin_delay(const sim_node *sim, uint32_t ms)
{
    delay_ctx *mine = dure_mem_alloc(sizeof *mine);
    DURE_REQUIRE(mine != NULL);
    mine->self = sim->role;
    DURE_CHECK_OK(dure_node_after(sim->node, ms, count_delay, mine));
}

static void a_delay_comes_once_and_is_told_when_the_node_ends_before(void)
{
    sim_node sim;
    sim_node_open(&sim, NULL);
    begin_delay(&sim, 100);
    begin_delay(&sim, 100000);
    begin_delay(&sim, 200000);
    sim_node_run(&sim, 90);
    DURE_CHECK_EQ(sim.role->delays, 0);
    sim_node_run(&sim, 20);
    DURE_CHECK_EQ(sim.role->delays, 1);
    dure_node_stop(sim.node);
    sim_node_run(&sim, 1000);
    DURE_CHECK(sim.is_ended);
    DURE_CHECK_EQ(sim.role->delays, 1);
    DURE_CHECK_EQ(sim.role->delays_cancelled, 2);
    DURE_CHECK_ERR(sim.role->delay_refused, DURE_ERR_STATE);
    DURE_CHECK_EQ(sim.role->ends, 1);
    sim_node_close(&sim);
}

static void work_job(void *ctx)
{
    greeter *self = ctx;
    self->jobs_worked++;
}

static void finish_job(dure_node *node, void *ctx)
{
    greeter *self = ctx;
    (void)node;
    self->jobs_done++;
    DURE_CHECK_EQ(self->jobs_worked, self->jobs_done); /* one at a time */
}

static void jobs_are_done_in_line_also_while_stopping(void)
{
    sim_node sim;
    sim_node_open(&sim, NULL);
    for (int i = 0; i < 3; i++) {
        DURE_CHECK_OK(dure_node_job(sim.node, work_job, finish_job, sim.role));
    }
    DURE_CHECK_EQ(sim.role->jobs_done, 0);
    dure_node_stop(sim.node);
    sim_node_run(&sim, 1000);
    DURE_CHECK(sim.is_ended);
    DURE_CHECK_EQ(sim.role->jobs_done, 3);
    sim_node_close(&sim);
}

/* The failure of the first allocations of a node's first job; how many there are. */
static size_t refuse_first_jobs(sim_node *sim)
{
    size_t nth = 0;
    dure_err err = DURE_ERR_NO_MEMORY;
    while (err == DURE_ERR_NO_MEMORY) {
        dure_mem_fail_nth(++nth);
        err = dure_node_job(sim->node, work_job, finish_job, sim->role);
        dure_mem_fail_nth(0);
        sim_node_run(sim, 10);
    }
    DURE_CHECK_OK(err);
    return nth - 1;
}

static void a_job_that_cannot_begin_is_given_back(void)
{
    sim_node sim;
    sim_node_open(&sim, NULL);
    DURE_CHECK_EQ(refuse_first_jobs(&sim), 2); /* its own memory, the core's job thread */
    DURE_CHECK_EQ(sim.role->jobs_done, 1);
    /* From now on nothing but its own memory is needed: all in line are done, whatever fails. */
    for (int i = 0; i < 3; i++) {
        DURE_CHECK_OK(dure_node_job(sim.node, work_job, finish_job, sim.role));
    }
    for (size_t i = 0; i < 3; i++) {
        dure_mem_fail_nth(1);
        sim_node_run(&sim, 10);
    }
    dure_mem_fail_nth(0);
    DURE_CHECK_EQ(sim.role->jobs_done, 4);
    dure_node_stop(sim.node);
    sim_node_run(&sim, 1000);
    DURE_CHECK(sim.is_ended);
    sim_node_close(&sim);
}

DURE_SUITE(node_life, DURE_TEST(a_node_starts_ticks_and_stops),
           DURE_TEST(it_says_what_it_may_have_and_why), DURE_TEST(few_descriptors_are_few_clients),
           DURE_TEST(clients_are_told_that_it_stops),
           DURE_TEST(clients_are_told_one_after_the_other),
           DURE_TEST(clients_are_told_at_once_where_that_is_wanted),
           DURE_TEST(the_stop_waits_for_what_is_served), DURE_TEST(the_stop_does_not_wait_for_ever),
           DURE_TEST(a_hold_keeps_the_stop_waiting), DURE_TEST(nobody_new_is_let_in_while_stopping),
           DURE_TEST(a_failure_ends_with_one), DURE_TEST(a_role_may_refuse_to_start),
           DURE_TEST(a_taken_port_is_named), DURE_TEST(only_a_configured_node_is_made),
           DURE_TEST(a_delay_comes_once_and_is_told_when_the_node_ends_before),
           DURE_TEST(jobs_are_done_in_line_also_while_stopping),
           DURE_TEST(a_job_that_cannot_begin_is_given_back));
