/* SPDX-License-Identifier: MIT
 *
 * What only a POSIX system can be brought to: a process without descriptors, two that share them;
 * and what it can be asked: which descriptors are open, how much memory is in use.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sys/epoll.h>
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
    actor_connect(&client, &address);
    RIG_UNTIL(&r, client.completed[DURE_IOCP_CONNECT] == 1);
    actor_recv(&client);
    actor_accept(&listener);
    RIG_UNTIL(&r, listener.completed[DURE_IOCP_ACCEPT] == 1);
    DURE_CHECK_ERR(listener.status[DURE_IOCP_ACCEPT], DURE_ERR_TOO_MANY_FILES);
    /* Whoever came is not left to wait for it. */
    RIG_UNTIL(&r, client.completed[DURE_IOCP_RECV] == 1);
    DURE_CHECK_ERR(client.status[DURE_IOCP_RECV], DURE_ERR_RESET);
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

/* ---- a core that changes threads without a descriptor to be had ---- */

#define LIMIT_OF_NONE 3 /* below every descriptor but those of the terminal */

typedef struct mover {
    actor actor;
    actor listener;
    dure_net_address address;
    struct rlimit limit;
} mover;

static void set_out_again(actor *self, dure_iocp_event *event)
{
    mover *m = self->ctx;
    if (event->kind == DURE_IOCP_POST) {
        DURE_CHECK_OK(dure_iocp_timer(self->rig->core, actor_event(self, DURE_IOCP_TIMER), 5));
    } else if (event->kind == DURE_IOCP_TIMER) {
        actor_connect(self, &m->address);
        DURE_CHECK(setrlimit(RLIMIT_NOFILE, &m->limit) == 0);
    } else if (event->kind == DURE_IOCP_CONNECT) {
        dure_iocp_core_stop(self->rig->core);
    }
}

static void run_core(void *ctx)
{
    dure_iocp_core_run(ctx);
}

static void a_core_changes_threads_though_no_descriptor_is_left(void)
{
    rig r;
    mover m;
    dure_thread *thread = NULL;
    struct rlimit none;
    dure_net_address at = rig_loopback();
    rig_open(&r, NULL);
    actor_init(&m.actor, &r);
    actor_init(&m.listener, &r);
    m.actor.on_event = set_out_again;
    m.actor.ctx = &m;
    m.address = actor_listen(&m.listener, &at, 4);
    actor_open(&m.actor, DURE_FAMILY_IPV4);
    rig_run_for(&r, 1); /* the core is this thread's */
    DURE_REQUIRE(getrlimit(RLIMIT_NOFILE, &m.limit) == 0);
    none = m.limit;
    none.rlim_cur = LIMIT_OF_NONE;
    DURE_REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    dure_iocp_post(r.core, actor_event(&m.actor, DURE_IOCP_POST));
    DURE_REQUIRE_OK(dure_thread_create("core", run_core, r.core, &thread));
    dure_thread_join(thread);
    DURE_CHECK_EQ(m.actor.completed[DURE_IOCP_CONNECT], 1);
    DURE_CHECK_OK(m.actor.status[DURE_IOCP_CONNECT]);
    m.actor.on_event = NULL;
    actor_fini(&m.actor);
    actor_fini(&m.listener);
    rig_close(&r);
}

/* ---- what is held ---- */

#define LIVES_TO_WARM_UP 100
#define LIVES            1000
#define LIFE_SOCKETS     3 /* the listener and both ends */
#define DESCRIPTORS_SEEN 1024

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < DESCRIPTORS_SEEN; fd++) {
        count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    }
    return count;
}

/* Bytes of the heap that are in use; 0 where the C library does not tell. */
static size_t heap_bytes(void)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
    return mallinfo2().uordblks;
#else
    return 0;
#endif
}

/* A connection of a stranger that the core has no room for. */
static void live_refused(rig *r, actor *listener, const dure_net_address *address)
{
    char byte;
    actor others[LIFE_SOCKETS - 1];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(address->port)};
    uint32_t before = listener->completed[DURE_IOCP_ACCEPT];
    for (size_t i = 0; i < DURE_COUNT_OF(others); i++) {
        actor_init(&others[i], r);
        actor_open(&others[i], DURE_FAMILY_IPV4);
    }
    memcpy(&at.sin_addr, address->ip, sizeof at.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    DURE_REQUIRE(fd >= 0);
    DURE_CHECK(connect(fd, (const struct sockaddr *)&at, sizeof at) == 0);
    RIG_UNTIL(r, listener->completed[DURE_IOCP_ACCEPT] == before + 1);
    DURE_CHECK_ERR(listener->status[DURE_IOCP_ACCEPT], DURE_ERR_TOO_MANY_FILES);
    DURE_CHECK(recv(fd, &byte, 1, 0) < 0 && errno == ECONNRESET);
    (void)close(fd);
    for (size_t i = 0; i < DURE_COUNT_OF(others); i++) {
        actor_fini(&others[i]);
    }
    actor_accept(listener);
}

static void live_connected(rig *r, actor *listener, const dure_net_address *address, bool aborts)
{
    actor client;
    actor server;
    actor_init(&client, r);
    actor_init(&server, r);
    listener->accept_into = &server;
    actor_connect(&client, address);
    RIG_UNTIL(r, server.socket != NULL && client.completed[DURE_IOCP_CONNECT] == 1);
    DURE_REQUIRE(server.socket != NULL);
    actor_recv(&server);
    actor_send(&client, "x", 1);
    RIG_UNTIL(r, server.received_bytes == 1 && client.completed[DURE_IOCP_SEND] == 1);
    if (aborts) {
        dure_iocp_socket_abort(client.socket);
        client.socket = NULL;
    } else {
        actor_close(&client);
    }
    RIG_UNTIL(r, server.completed[DURE_IOCP_RECV] == 1);
    actor_fini(&client);
    actor_fini(&server);
}

static void live(rig *r, actor *listener, const dure_net_address *address, int lives)
{
    for (int i = 0; i < lives; i++) {
        if (i % 4 == 3) {
            live_refused(r, listener, address);
        } else {
            live_connected(r, listener, address, i % 4 == 2);
        }
    }
}

static void nothing_is_held_after_a_thousand_lives(void)
{
    rig r;
    actor listener;
    dure_net_address at = rig_loopback();
    dure_iocp_core_config config;
    if (rig_is_sim()) {
        return; /* has no descriptors, and strangers cannot call it */
    }
    rig_config(&config);
    config.sockets_max = LIFE_SOCKETS;
    rig_open(&r, &config);
    actor_init(&listener, &r);
    dure_net_address address = actor_listen(&listener, &at, 16);
    actor_accept(&listener);
    live(&r, &listener, &address, LIVES_TO_WARM_UP);
    int descriptors = open_descriptors();
    size_t bytes = heap_bytes();
    live(&r, &listener, &address, LIVES);
    DURE_CHECK_EQ(open_descriptors(), descriptors);
    DURE_CHECK(heap_bytes() <= bytes);
    actor_fini(&listener);
    rig_close(&r);
}

/* ---- a core that cannot take a socket over ---- */

static int descriptor_of(const dure_net_address *local)
{
    for (int fd = 0; fd < DESCRIPTORS_SEEN; fd++) {
        struct sockaddr_in name = {0};
        socklen_t len = sizeof name;
        if (getsockname(fd, (struct sockaddr *)&name, &len) == 0 && name.sin_family == AF_INET &&
            ntohs(name.sin_port) == local->port) {
            return fd;
        }
    }
    return -1;
}

static int epoll_descriptor(void)
{
    char path[64];
    char target[64];
    for (int fd = 0; fd < DESCRIPTORS_SEEN; fd++) {
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(path, target, sizeof target - 1);
        target[len > 0 ? len : 0] = '\0';
        if (strstr(target, "[eventpoll]") != NULL) {
            return fd;
        }
    }
    return -1;
}

/* Its owner sees an end, and is not left waiting for bytes that nobody would report. */
static void a_socket_that_cannot_be_taken_over_ends(void)
{
    rig r;
    actor client;
    actor server;
    dure_net_address local;
    struct epoll_event nothing = {.data.ptr = NULL};
    rig_open(&r, NULL);
    if (strcmp(dure_iocp_core_backend_name(r.core), "epoll") != 0) {
        rig_close(&r);
        return; /* nothing is registered with the others */
    }
    rig_pair(&r, &client, &server);
    DURE_CHECK_OK(dure_iocp_socket_local(client.socket, &local));
    dure_iocp_socket_release(client.socket);
    /* Another registration of the descriptor is in the way of the core's own. */
    DURE_REQUIRE(epoll_ctl(epoll_descriptor(), EPOLL_CTL_ADD, descriptor_of(&local), &nothing) ==
                 0);
    dure_iocp_socket_adopt(r.core, client.socket);
    actor_recv(&client);
    RIG_UNTIL(&r, client.completed[DURE_IOCP_RECV] == 1);
    DURE_CHECK_ERR(client.status[DURE_IOCP_RECV], DURE_ERR_PEER_CLOSED);
    actor_fini(&client);
    actor_fini(&server);
    rig_close(&r);
}

/* ---- cores that share a process ---- */

#define PROCESS_LIMIT 400
#define PROCESS_ROOM  (PROCESS_LIMIT - 32) /* sockets of all cores, core.h */

/* Opens sockets until there is no room; how many. */
static size_t open_all(dure_iocp_core *core, dure_iocp_socket **sockets, size_t max)
{
    size_t count = 0;
    dure_err err = DURE_OK;
    while (count < max && err == DURE_OK) {
        err = dure_iocp_socket_open(core, DURE_FAMILY_IPV4, &sockets[count]);
        count += err == DURE_OK ? 1 : 0;
    }
    DURE_CHECK_ERR(err, count < max ? DURE_ERR_TOO_MANY_FILES : DURE_OK);
    return count;
}

static void close_all(dure_iocp_socket **sockets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        dure_iocp_socket_close(sockets[i]);
    }
}

static void cores_of_one_process_share_its_descriptors(void)
{
    rig r[2];
    dure_iocp_socket *sockets[PROCESS_LIMIT];
    struct rlimit limit;
    struct rlimit low;
    if (rig_is_sim()) {
        return; /* has no descriptors */
    }
    DURE_REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    low = limit;
    low.rlim_cur = PROCESS_LIMIT;
    DURE_REQUIRE(setrlimit(RLIMIT_NOFILE, &low) == 0);
    rig_open(&r[0], NULL);
    rig_open(&r[1], NULL);
    size_t first = open_all(r[0].core, sockets, PROCESS_ROOM / 2);
    DURE_CHECK_EQ(first, PROCESS_ROOM / 2);
    size_t second = open_all(r[1].core, sockets + first, PROCESS_LIMIT - first);
    DURE_CHECK_EQ(second, PROCESS_ROOM - PROCESS_ROOM / 2);
    DURE_CHECK_EQ(open_all(r[0].core, sockets + first + second, 1), 0);
    dure_iocp_socket_close(sockets[first]); /* of the other core */
    DURE_CHECK_EQ(open_all(r[0].core, sockets + first + second, 1), 1);
    DURE_CHECK_EQ(open_all(r[1].core, sockets + first, 1), 0);
    close_all(sockets, first);
    close_all(sockets + first + 1, second);
    DURE_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    rig_close(&r[0]);
    rig_close(&r[1]);
}

/* ---- a process that shares its descriptors ---- */

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
           DURE_TEST(a_core_changes_threads_though_no_descriptor_is_left),
           DURE_TEST(nothing_is_held_after_a_thousand_lives),
           DURE_TEST(a_socket_that_cannot_be_taken_over_ends),
           DURE_TEST(cores_of_one_process_share_its_descriptors),
           DURE_TEST(what_a_forked_process_shares_is_closed_all_the_same));
