/* SPDX-License-Identifier: MIT
 *
 * A resolver that hangs keeps nobody waiting: a connect is over within its time, jobs go on, and
 * services and cores end while the system's call has not come back. The look-ups of these tests
 * hang until they are let go.
 */
#include "base/mem.h"
#include "base/thread.h"
#include "net_fixture.h"

/* ---- a look-up that hangs until it is let go ---- */

#define LATCH_TURNS 30000

static struct {
    dure_mutex *mutex;
    dure_cond *cond;
    bool is_open;
    unsigned begun;
    unsigned ended;
    uint16_t port; /* of the loopback: the outcome */
} latch;

static void latch_close(void)
{
    memset(&latch, 0, sizeof latch);
    latch.mutex = dure_mutex_create();
    latch.cond = dure_cond_create();
    DURE_REQUIRE(latch.mutex != NULL && latch.cond != NULL);
}

static unsigned latch_begun(void)
{
    dure_mutex_lock(latch.mutex);
    unsigned begun = latch.begun;
    dure_mutex_unlock(latch.mutex);
    return begun;
}

static void latch_open(void)
{
    dure_mutex_lock(latch.mutex);
    latch.is_open = true;
    dure_cond_broadcast(latch.cond);
    dure_mutex_unlock(latch.mutex);
}

/* Waits for the look-ups that were let go; bounded by turns. */
static void latch_end(void)
{
    dure_mutex_lock(latch.mutex);
    for (int i = 0; latch.ended < latch.begun && i < LATCH_TURNS; i++) {
        (void)dure_cond_wait_ms(latch.cond, latch.mutex, 1);
    }
    DURE_CHECK_EQ(latch.ended, latch.begun);
    dure_mutex_unlock(latch.mutex);
    dure_cond_destroy(latch.cond);
    dure_mutex_destroy(latch.mutex);
}

static dure_err hang(const char *host, uint16_t port, dure_net_address *out, size_t max,
                     size_t *out_count)
{
    (void)host;
    DURE_ASSERT(max > 0);
    dure_mutex_lock(latch.mutex);
    latch.begun++;
    while (!latch.is_open) {
        dure_cond_wait(latch.cond, latch.mutex);
    }
    /* Its own memory: whoever asked may be gone long ago. */
    out[0] = (dure_net_address){.family = DURE_FAMILY_IPV4, .port = port, .ip = {127, 0, 0, 1}};
    *out_count = 1;
    latch.ended++;
    dure_cond_broadcast(latch.cond);
    dure_mutex_unlock(latch.mutex);
    return DURE_OK;
}

static void dial_name(net_fixture *fixture, net_side *side, uint16_t port, uint32_t session_count,
                      bool redial)
{
    dure_service_config config;
    dure_client_service_config client;
    net_side_config(fixture, side, &config);
    config.connect_ms = 200;
    dure_client_service_config_init(&client);
    client.host = "hangs.test";
    client.port = port;
    client.session_count = session_count;
    client.redial = redial;
    client.backoff.first_ms = 20;
    client.lookup = hang;
    DURE_REQUIRE_OK(dure_client_service_create(&config, &client, &side->service));
    DURE_REQUIRE_OK(dure_service_start(side->service));
}

/* ---- an ordinary job ---- */

typedef struct test_job {
    dure_iocp_object object;
    dure_iocp_event event;
    bool is_done;
} test_job;

static void job_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    (void)event;
    DURE_CONTAINER_OF(object, test_job, object)->is_done = true;
}

static void job_keep(dure_iocp_object *object)
{
    (void)object;
}

static const dure_iocp_object_ops job_ops = {job_dispatch, job_keep};

static void job_work(void *ctx)
{
    (void)ctx;
}

static void job_start(net_fixture *fixture, test_job *job)
{
    dure_iocp_object_init(&job->object, fixture->core, &job_ops);
    dure_iocp_event_init(&job->event, &job->object, DURE_IOCP_JOB);
    DURE_REQUIRE_OK(dure_iocp_job(fixture->core, &job->event, job_work, NULL));
}

/* More names hang than there are threads for look-ups. */
static void a_resolver_that_hangs_keeps_nobody_waiting(void)
{
    net_fixture fixture;
    net_side side = {0};
    test_job job = {0};
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_AUTO));
    latch_close();
    dial_name(&fixture, &side, 9, 40, false);
    uint64_t begin_ms = dure_iocp_core_now_ms(fixture.core);
    NET_RUN_UNTIL(&fixture, latch_begun() > 0);
    job_start(&fixture, &job);
    NET_RUN_UNTIL(&fixture, job.is_done);
    DURE_CHECK_EQ(side.connect_failed, 0); /* all this before the connect was over */
    NET_RUN_UNTIL(&fixture, side.connect_failed == 40);
    uint64_t took_ms = dure_iocp_core_now_ms(fixture.core) - begin_ms;
    DURE_CHECK(took_ms >= 200);
    DURE_CHECK(took_ms < 5000);
    DURE_CHECK_ERR(side.cause, DURE_ERR_TIMED_OUT);
    net_sides_end(&fixture, &side, NULL);
    net_fixture_close(&fixture);
    DURE_CHECK(latch.ended == 0); /* not one has come back, and all the rest is gone */
    latch_open();
    latch_end();
}

static void closing_does_not_wait_for_it(void)
{
    net_fixture fixture;
    net_side side = {0};
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_AUTO));
    latch_close();
    dial_name(&fixture, &side, 9, 3, true);
    NET_RUN_UNTIL(&fixture, latch_begun() == 3);
    net_sides_end(&fixture, &side, NULL);
    DURE_CHECK_EQ(side.connect_failed, 3);
    DURE_CHECK_ERR(side.cause, DURE_ERR_CLOSED);
    net_fixture_close(&fixture);
    latch_open();
    latch_end();
}

/* A name that hangs costs one thread, however often it is dialled, and its outcome is used. */
static void a_redial_waits_for_the_look_up_under_way(void)
{
    net_fixture fixture;
    net_side server = {0};
    net_side side = {0};
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_AUTO));
    latch_close();
    dure_net_address address = net_side_serve(&fixture, &server, NULL);
    dial_name(&fixture, &side, address.port, 1, true);
    NET_RUN_UNTIL(&fixture, side.connect_failed == 3);
    DURE_CHECK_EQ(latch_begun(), 1);
    latch_open();
    NET_RUN_UNTIL(&fixture, side.connected == 1 && server.connected == 1);
    net_sides_end(&fixture, &side, &server);
    net_fixture_close(&fixture);
    latch_end();
}

/* ---- on the virtual clock ---- */

static uint16_t known_port;

static dure_err know(const char *host, uint16_t port, dure_net_address *out, size_t max,
                     size_t *out_count)
{
    DURE_ASSERT(max >= 2);
    if (strcmp(host, "known.test") != 0) {
        return DURE_ERR_NAME_NOT_FOUND;
    }
    /* The first address refuses; the second one is the server's. */
    out[0] = (dure_net_address){.family = DURE_FAMILY_IPV4, .port = 9, .ip = {127, 0, 0, 1}};
    out[1] = (dure_net_address){.family = DURE_FAMILY_IPV4, .port = port, .ip = {127, 0, 0, 1}};
    *out_count = 2;
    return DURE_OK;
}

static void dial_known(net_fixture *fixture, net_side *side, const char *host)
{
    dure_service_config config;
    dure_client_service_config client;
    net_side_config(fixture, side, &config);
    dure_client_service_config_init(&client);
    client.host = host;
    client.port = known_port;
    client.redial = false;
    client.lookup = know;
    DURE_REQUIRE_OK(dure_client_service_create(&config, &client, &side->service));
}

static void all_addresses_of_a_name_are_tried(void)
{
    net_fixture fixture;
    net_side server = {0};
    net_side side = {0};
    net_side lost = {0};
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    known_port = net_side_serve(&fixture, &server, NULL).port;
    dial_known(&fixture, &side, "known.test");
    dial_known(&fixture, &lost, "unknown.test");
    DURE_REQUIRE_OK(dure_service_start(side.service));
    DURE_REQUIRE_OK(dure_service_start(lost.service));
    NET_RUN_UNTIL(&fixture, side.connected == 1 && lost.connect_failed == 1);
    DURE_CHECK_ERR(lost.cause, DURE_ERR_NAME_NOT_FOUND);
    net_sides_end(&fixture, &side, &server);
    net_sides_end(&fixture, &lost, NULL);
    net_fixture_close(&fixture);
}

/* A look-up without memory is a connect that failed; one given up leaves nothing. */
static void any_allocation_of_a_look_up_may_fail(void)
{
    for (size_t n = 1; n < 12; n++) {
        net_fixture fixture;
        net_side server = {0};
        net_side side = {0};
        DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
        known_port = net_side_serve(&fixture, &server, NULL).port;
        dial_known(&fixture, &side, "known.test");
        dure_mem_fail_nth(n);
        DURE_REQUIRE_OK(dure_service_start(side.service));
        if (n % 2 == 0) {
            NET_RUN_UNTIL(&fixture, side.connected + side.connect_failed == 1);
        }
        dure_mem_fail_nth(0);
        net_sides_end(&fixture, &side, &server);
        net_fixture_close(&fixture);
    }
}

DURE_SUITE(net_resolve, DURE_TEST(a_resolver_that_hangs_keeps_nobody_waiting),
           DURE_TEST(closing_does_not_wait_for_it),
           DURE_TEST(a_redial_waits_for_the_look_up_under_way),
           DURE_TEST(all_addresses_of_a_name_are_tried),
           DURE_TEST(any_allocation_of_a_look_up_may_fail));
