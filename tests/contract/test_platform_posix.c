/* SPDX-License-Identifier: MIT
 *
 * What only a POSIX system can be brought to: a process without descriptors, two that share them.
 */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract/rig.h"

#define HOLES_MAX 4096

/* Fills every descriptor below the soft limit but `left`. */
static size_t fill_descriptors(int *fds, size_t left)
{
    size_t count = 0;
    while (count < HOLES_MAX) {
        int fd = dup(STDERR_FILENO);
        if (fd < 0) {
            break;
        }
        fds[count++] = fd;
    }
    while (left > 0 && count > 0) {
        (void)close(fds[--count]);
        left--;
    }
    return count;
}

static void without_descriptors_accepting_ends_and_recovers(void)
{
    rig r;
    actor listener;
    actor client;
    actor server;
    actor late;
    int fds[HOLES_MAX];
    struct rlimit limit;
    struct rlimit low;
    dure_net_address at = rig_loopback();
    if (rig_is_sim()) {
        return; /* has no descriptors */
    }
    rig_open(&r, NULL);
    actor_init(&listener, &r);
    actor_init(&client, &r);
    actor_init(&server, &r);
    actor_init(&late, &r);
    dure_net_address address = actor_listen(&listener, &at, 16);
    DURE_REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    low = limit;
    low.rlim_cur = 256;
    DURE_REQUIRE(setrlimit(RLIMIT_NOFILE, &low) == 0);
    actor_open(&client, DURE_FAMILY_IPV4);
    size_t filled = fill_descriptors(fds, 0);
    DURE_CHECK_ERR(dure_iocp_socket_open(r.core, DURE_FAMILY_IPV4, &late.socket),
                   DURE_ERR_TOO_MANY_FILES);
    actor_accept(&listener);
    actor_connect(&client, &address);
    RIG_UNTIL(&r, listener.completed[DURE_IOCP_ACCEPT] == 1);
    DURE_CHECK_ERR(listener.status[DURE_IOCP_ACCEPT], DURE_ERR_TOO_MANY_FILES);
    for (size_t i = 0; i < filled; i++) {
        (void)close(fds[i]);
    }
    DURE_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    listener.accept_into = &server;
    actor_accept(&listener);
    late.socket = NULL;
    actor_connect(&late, &address);
    RIG_UNTIL(&r, late.completed[DURE_IOCP_CONNECT] == 1 && server.socket != NULL);
    DURE_CHECK_OK(late.status[DURE_IOCP_CONNECT]);
    actor_fini(&late);
    actor_fini(&client);
    actor_fini(&server);
    actor_fini(&listener);
    rig_close(&r);
}

/* A process that shares all descriptors of this one until it is let go. */
static pid_t fork_sharer(int *out_leash)
{
    int ends[2];
    char byte;
    DURE_REQUIRE(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    DURE_REQUIRE(pid > 0);
    (void)close(ends[0]);
    *out_leash = ends[1];
    return pid;
}

static void what_a_forked_process_shares_is_closed_all_the_same(void)
{
    rig r;
    actor client;
    actor server;
    int leash = -1;
    int status = -1;
    rig_open(&r, NULL);
    rig_pair(&r, &client, &server);
    actor_recv(&client);
    pid_t pid = fork_sharer(&leash);
    actor_close(&client);
    RIG_UNTIL(&r, client.completed[DURE_IOCP_RECV] == 1);
    rig_run_for(&r, 5);
    /* The connection lives on in the other process: what comes there is none of ours. */
    actor_send(&server, "anybody?", 8);
    RIG_UNTIL(&r, server.completed[DURE_IOCP_SEND] == 1);
    rig_run_for(&r, 20);
    DURE_CHECK_EQ(client.received_bytes, 0);
    (void)close(leash);
    DURE_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    actor_fini(&client);
    actor_fini(&server);
    rig_close(&r);
}

DURE_SUITE(contract_platform, DURE_TEST(without_descriptors_accepting_ends_and_recovers),
           DURE_TEST(what_a_forked_process_shares_is_closed_all_the_same));
