/* SPDX-License-Identifier: MIT
 *
 * The story of this framework, from end to end, as documentation that runs.
 *
 * An echo server waits on a port. A ClientService opens its sessions to it. Each session is told
 * once that it is connected, says "Hello World!", hears it back, and disconnects with a cause. Its
 * end is told once, with that cause; and then it may connect again. The story is the same on every
 * back end: the virtual network of the simulation, epoll, io_uring, and the completion port of
 * Windows. There each connect is a ConnectEx, and each socket goes through DisconnectEx at its end
 * and into the next connect, where the platform lets it.
 */
#include "net/client_service.h"
#include "net/server_service.h"
#include "net_fixture.h"

#define SESSIONS 5u
#define LIVES    2u
#define HELLO    "Hello World!"

/* ---- the server: whatever comes goes back ---- */

static dure_err server_on_recv(dure_session *session, const uint8_t *data, size_t len,
                               size_t *out_consumed)
{
    *out_consumed = len; /* nothing is left for later */
    return dure_session_send(session, data, len);
}

static const dure_session_handlers server_handlers = {
    .on_connected = dure_session_ignore_connected,
    .on_connect_failed = dure_session_ignore_connect_failed,
    .on_recv = server_on_recv,
    .on_sent = dure_session_ignore_sent,
    .on_disconnected = dure_session_ignore_disconnected,
};

/* ---- the clients ---- */

/* What happened, counted. The service carries it, so every session finds it. */
typedef struct hello_story {
    net_fixture fixture;
    dure_service *server;
    dure_service *clients;
    unsigned connected;
    unsigned heard;
    unsigned disconnected;
} hello_story;

static hello_story *story_of(const dure_session *session)
{
    return dure_service_context(dure_session_service(session));
}

/* The connection stands: say hello. What is sent in one round of dispatch leaves together. */
static void client_on_connected(dure_session *session)
{
    story_of(session)->connected++;
    DURE_CHECK_OK(dure_session_send(session, "Hello ", 6));
    DURE_CHECK_OK(dure_session_send(session, "World!", 6));
}

/* TCP is a stream: as long as the answer is not complete, nothing is consumed, and the same bytes
 * are offered again with those that follow. */
static dure_err client_on_recv(dure_session *session, const uint8_t *data, size_t len,
                               size_t *out_consumed)
{
    if (len < strlen(HELLO)) {
        return DURE_OK;
    }
    DURE_CHECK_BYTES(data, len, HELLO, strlen(HELLO));
    *out_consumed = len;
    story_of(session)->heard++;
    dure_session_disconnect(session, DURE_ERR_CLOSED);
    return DURE_OK;
}

/* The end, once for each connection. The session may be used again from here on. */
static void client_on_disconnected(dure_session *session, dure_err cause)
{
    hello_story *story = story_of(session);
    DURE_CHECK_ERR(cause, DURE_ERR_CLOSED);
    story->disconnected++;
    if (story->disconnected <= SESSIONS * (LIVES - 1)) {
        DURE_CHECK_OK(dure_session_connect(session));
    }
}

static const dure_session_handlers client_handlers = {
    .on_connected = client_on_connected,
    .on_connect_failed = dure_session_ignore_connect_failed,
    .on_recv = client_on_recv,
    .on_sent = dure_session_ignore_sent,
    .on_disconnected = client_on_disconnected,
};

/* ---- the story ---- */

static dure_net_address start_server(hello_story *story)
{
    dure_service_config config;
    dure_net_address address;
    dure_service_config_init(&config);
    config.name = "echo";
    config.cores = &story->fixture.core;
    config.core_count = 1;
    config.handlers = &server_handlers;
    DURE_REQUIRE_OK(dure_net_address_parse("127.0.0.1:0", &address)); /* any free port */
    DURE_REQUIRE_OK(dure_server_service_create(&config, &address, &story->server));
    DURE_REQUIRE_OK(dure_service_start(story->server));
    DURE_REQUIRE_OK(dure_server_service_address(story->server, &address)); /* the one it got */
    return address;
}

static void start_clients(hello_story *story, const dure_net_address *address)
{
    dure_service_config config;
    dure_client_service_config client;
    dure_service_config_init(&config);
    config.name = "clients";
    config.cores = &story->fixture.core;
    config.core_count = 1;
    config.handlers = &client_handlers;
    config.context = story;
    dure_client_service_config_init(&client);
    client.host = "127.0.0.1";
    client.port = address->port;
    client.session_count = SESSIONS;
    client.redial = false; /* in this story the sessions connect again by themselves */
    DURE_REQUIRE_OK(dure_client_service_create(&config, &client, &story->clients));
    DURE_REQUIRE_OK(dure_service_start(story->clients));
    DURE_CHECK_EQ(story->connected, 0); /* never inside the call: it will be told */
}

static void end_service(net_fixture *fixture, dure_service *service)
{
    dure_service_close(service);
    NET_RUN_UNTIL(fixture, dure_service_is_closed(service));
    dure_service_destroy(service);
}

static void tell(dure_backend_choice backend)
{
    hello_story story = {0};
    dure_service_counters counters;
    if (!net_fixture_open(&story.fixture, backend)) {
        printf("(not to be had here) ");
        return;
    }
    dure_net_address address = start_server(&story);
    start_clients(&story, &address);

    NET_RUN_UNTIL(&story.fixture, story.disconnected == SESSIONS * LIVES);
    DURE_CHECK_EQ(story.connected, SESSIONS * LIVES);
    DURE_CHECK_EQ(story.heard, SESSIONS * LIVES);
    dure_service_counters_of(story.clients, &counters);
    DURE_CHECK_EQ(counters.opened, SESSIONS * LIVES);
    DURE_CHECK_EQ(counters.closed, SESSIONS * LIVES);
    DURE_CHECK_EQ(counters.sent_bytes, SESSIONS * LIVES * strlen(HELLO));

    end_service(&story.fixture, story.clients);
    end_service(&story.fixture, story.server);
    net_fixture_close(&story.fixture); /* every operation has completed, every socket is closed */
}

static void told_in_the_simulation(void)
{
    tell(DURE_BACKEND_SIM);
}

static void told_on_epoll(void)
{
    tell(DURE_BACKEND_EPOLL);
}

static void told_on_uring(void)
{
    tell(DURE_BACKEND_URING);
}

static void told_on_win32(void)
{
    tell(DURE_BACKEND_WIN32);
}

DURE_SUITE(net_story, DURE_TEST(told_in_the_simulation), DURE_TEST(told_on_epoll),
           DURE_TEST(told_on_uring), DURE_TEST(told_on_win32));
