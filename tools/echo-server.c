/* SPDX-License-Identifier: MIT
 *
 * echo-server: the smallest program of this framework. Whatever a client sends comes back.
 */
#include <stdio.h>
#include <string.h>

#include "net/address.h"
#include "net/server_service.h"
#include "tools/program.h"

typedef struct echo_server {
    dure_program *program;
    dure_service *service;
} echo_server;

/* Bytes came: send them back. What is queued in one round of dispatch leaves together. */
static dure_err on_recv(dure_session *session, const uint8_t *data, size_t len,
                        size_t *out_consumed)
{
    *out_consumed = len;
    return dure_session_send(session, data, len);
}

static const dure_session_handlers handlers = {
    .on_connected = dure_session_ignore_connected,
    .on_connect_failed = dure_session_ignore_connect_failed,
    .on_recv = on_recv,
    .on_sent = dure_session_ignore_sent,
    .on_disconnected = dure_session_ignore_disconnected,
};

/* Ctrl-C: the sessions end; when the last one is gone, so does the program. */
static void on_stop(void *ctx)
{
    dure_service_close(((echo_server *)ctx)->service);
}

static void on_closed(dure_service *service, void *ctx)
{
    (void)service;
    dure_program_end(((echo_server *)ctx)->program);
}

static int serve(echo_server *echo, uint16_t port)
{
    dure_iocp_core *core = dure_program_core(echo->program);
    dure_net_address address;
    char text[DURE_NET_ADDRESS_TEXT_MAX];
    dure_service_config config;
    dure_service_config_init(&config);
    config.name = "echo";
    config.cores = &core;
    config.core_count = 1;
    config.handlers = &handlers;
    config.context = echo;
    config.on_closed = on_closed;
    dure_err err = dure_net_address_from_ip("127.0.0.1", port, &address);
    if (err == DURE_OK) {
        err = dure_server_service_create(&config, &address, &echo->service);
    }
    if (err == DURE_OK) {
        err = dure_service_start(echo->service);
    }
    if (err == DURE_OK) {
        err = dure_server_service_address(echo->service, &address);
    }
    if (err != DURE_OK) {
        fprintf(stderr, "echo-server: port %u: %s\n", (unsigned)port, dure_err_text(err));
        return DURE_EXIT_FAILED;
    }
    printf("echo-server: listening on %s\n", dure_net_address_print(&address, text));
    (void)fflush(stdout);
    dure_program_run(echo->program);
    return DURE_EXIT_OK;
}

int main(int argc, char **argv)
{
    echo_server echo = {NULL, NULL};
    uint64_t port = 7777;
    bool is_right = argc == 1 || (argc == 3 && strcmp(argv[1], "--port") == 0 &&
                                  dure_program_number(argv[2], 0, 65535, &port) == DURE_OK);
    if (!is_right) {
        bool is_help = argc == 2 && strcmp(argv[1], "--help") == 0;
        fprintf(is_help ? stdout : stderr,
                "usage: echo-server [--port 7777]\n"
                "Sends back whatever comes; port 0: any free one. Ctrl-C ends it.\n");
        return is_help ? DURE_EXIT_OK : DURE_EXIT_USAGE;
    }
    if (dure_program_create("echo-server", on_stop, &echo, &echo.program) != DURE_OK) {
        return DURE_EXIT_FAILED;
    }
    int code = serve(&echo, (uint16_t)port);
    dure_service_destroy(echo.service);
    dure_program_destroy(echo.program);
    return code;
}
