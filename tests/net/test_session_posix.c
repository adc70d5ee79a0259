/* SPDX-License-Identifier: MIT
 *
 * A user's mistake that would send what lies behind a buffer ends the process, in release builds
 * too: seen in a child.
 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net_fixture.h"

#define ROOM 16u

/* Commits so many bytes of a room of ROOM, in a child; how that ends. */
static int commit_in_child(dure_session *session, size_t len)
{
    int status = 0;
    pid_t pid = fork();
    DURE_REQUIRE(pid >= 0);
    if (pid == 0) {
        const struct rlimit no_core = {0, 0};
        uint8_t *room = NULL;
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGABRT, SIG_DFL);
        (void)close(STDERR_FILENO);
        dure_err err = dure_session_reserve(session, ROOM, &room);
        if (err == DURE_OK) {
            dure_session_commit(session, len);
        }
        _exit(err == DURE_OK ? 0 : 1);
    }
    DURE_REQUIRE(waitpid(pid, &status, 0) == pid);
    return status;
}

static void a_commit_past_its_room_ends_the_process(void)
{
    net_fixture fixture;
    net_side server = {0};
    net_side client = {0};
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    dure_net_address address = net_side_serve(&fixture, &server, NULL);
    net_side_dial(&fixture, &client, NULL, &address, 1);
    NET_RUN_UNTIL(&fixture, client.connected == 1);
    int status = commit_in_child(client.session, ROOM);
    DURE_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    status = commit_in_child(client.session, ROOM + 1);
    DURE_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    net_sides_end(&fixture, &client, &server);
    net_fixture_close(&fixture);
}

DURE_SUITE(net_session_posix, DURE_TEST(a_commit_past_its_room_ends_the_process));
