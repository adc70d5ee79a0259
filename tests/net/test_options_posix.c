/* SPDX-License-Identifier: MIT
 *
 * What the system says of the sockets of a service: accepted ones have the options of their
 * service, whether these came by way of the listener or not.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "net_fixture.h"

#define DESCRIPTORS_SEEN 1024
#define KEEPALIVE_S      7
#define USER_TIMEOUT_MS  12000
#define UNSENT_BYTES     (100 * 1024)

/* The descriptor whose other end is that port; -1 when there is none. */
static int descriptor_to(uint16_t port)
{
    for (int fd = 0; fd < DESCRIPTORS_SEEN; fd++) {
        struct sockaddr_in name = {0};
        socklen_t len = sizeof name;
        if (getpeername(fd, (struct sockaddr *)&name, &len) == 0 && name.sin_family == AF_INET &&
            ntohs(name.sin_port) == port) {
            return fd;
        }
    }
    return -1;
}

static int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;
    DURE_CHECK_EQ(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void check_options(int fd)
{
    DURE_REQUIRE(fd >= 0);
    DURE_CHECK_EQ(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    DURE_CHECK_EQ(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    DURE_CHECK_EQ(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), KEEPALIVE_S);
    DURE_CHECK_EQ(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), USER_TIMEOUT_MS);
    DURE_CHECK_EQ(option_of(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), UNSENT_BYTES);
}

static void set_options(dure_service_config *config)
{
    config->keepalive_s = KEEPALIVE_S;
    config->user_timeout_ms = USER_TIMEOUT_MS;
    config->unsent_bytes_max = UNSENT_BYTES;
}

static void look_at_both_ends(dure_backend_choice backend)
{
    net_fixture fixture;
    net_side server = {0};
    net_side client = {0};
    dure_service_config serving;
    dure_service_config dialling;
    if (!net_fixture_open(&fixture, backend)) {
        return;
    }
    net_side_config(&fixture, &server, &serving);
    set_options(&serving);
    dure_net_address address = net_side_serve(&fixture, &server, &serving);
    net_side_config(&fixture, &client, &dialling);
    set_options(&dialling);
    net_side_dial(&fixture, &client, &dialling, &address, 1);
    NET_RUN_UNTIL(&fixture, client.connected == 1 && server.connected == 1);
    check_options(descriptor_to(address.port)); /* the client's */
    check_options(descriptor_to(dure_session_local(client.session)->port));
    net_sides_end(&fixture, &server, &client);
    net_fixture_close(&fixture);
}

static void both_ends_have_the_options_of_their_service(void)
{
    look_at_both_ends(DURE_BACKEND_EPOLL);
    look_at_both_ends(DURE_BACKEND_URING);
}

DURE_SUITE(net_options_posix, DURE_TEST(both_ends_have_the_options_of_their_service));
