/* SPDX-License-Identifier: MIT
 *
 * What Windows does once a year and Wine never: the functions of Winsock that the back end calls
 * are replaced by ones that misbehave. Each case ends with the books: all that was started has
 * completed, and the system's sockets that were made were closed, each once.
 */
#include "contract/rig.h"
#include "iocp/recycle_win32.h"
#include "iocp/winsock_win32.h"

#define STATUS_OF_CANCELLED 0xC0000120u /* as the kernel leaves it in an OVERLAPPED */

typedef struct faults {
    dure_winsock real;
    dure_winsock table;
    HANDLE port;
    uint64_t closed; /* sockets */

    SOCKET recycled[16]; /* went through DisconnectEx */
    size_t recycled_count;
    OVERLAPPED *hanging; /* a DisconnectEx that never completes by itself */
    uint32_t accepts_to_spoil;
    uint32_t accepts_spoilt;
    uint32_t connects_refused;
    uint32_t overtaken;
} faults;

static faults f;

static HANDLE WINAPI note_port(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads)
{
    HANDLE result = f.real.create_io_completion_port(file, port, key, threads);
    if (port == NULL) {
        f.port = result;
    }
    return result;
}

static int WSAAPI count_close(SOCKET handle)
{
    f.closed++;
    return f.real.close_socket(handle);
}

static void note_recycled(SOCKET handle)
{
    DURE_REQUIRE(f.recycled_count < DURE_COUNT_OF(f.recycled));
    f.recycled[f.recycled_count++] = handle;
}

static bool is_recycled(SOCKET handle)
{
    for (size_t i = 0; i < f.recycled_count; i++) {
        if (f.recycled[i] == handle) {
            return true;
        }
    }
    return false;
}

/* One core whose functions of Winsock are f.table, and a listener on it. */
typedef struct stage {
    rig rig;
    actor listener;
    dure_net_address address;
} stage;

/* A case replaces what it wants in f.table before stage_listen. False where there is no port. */
static bool stage_open_with(stage *s, dure_recycling recycling)
{
    dure_iocp_core_config config;
    if (rig_is_sim()) {
        return false;
    }
    memset(&f, 0, sizeof f);
    DURE_REQUIRE_OK(dure_winsock_start());
    DURE_REQUIRE_OK(dure_winsock_load(&f.real));
    f.table = f.real;
    f.table.create_io_completion_port = note_port;
    f.table.close_socket = count_close;
    rig_config(&config);
    config.winsock = &f.table;
    config.recycling = recycling;
    rig_open(&s->rig, &config);
    f.closed = 0; /* of the probe */
    return true;
}

static bool stage_open(stage *s)
{
    return stage_open_with(s, DURE_RECYCLING_ON);
}

static void stage_listen(stage *s)
{
    dure_net_address at = rig_loopback();
    actor_init(&s->listener, &s->rig);
    s->address = actor_listen(&s->listener, &at, 16);
    actor_accept(&s->listener);
}

static dure_iocp_counters counters_of(const stage *s)
{
    dure_iocp_counters counters;
    dure_iocp_core_counters(s->rig.core, &counters);
    return counters;
}

/* Every socket that the system made is closed again, those in pools included. */
static void stage_close(stage *s)
{
    actor_fini(&s->listener);
    uint64_t fresh = counters_of(s).sockets_fresh;
    rig_close(&s->rig);
    DURE_CHECK_EQ(f.closed, fresh);
    dure_winsock_stop();
}

/* One life of a listener's connection: it is made, "Hello" crosses it both ways, and `first` ends
 * it before the other does. */
static void live_and_end(stage *s, bool is_client_first)
{
    rig *r = &s->rig;
    actor client;
    actor server;
    actor_init(&client, r);
    actor_init(&server, r);
    s->listener.accept_into = &server;
    actor_connect(&client, &s->address);
    RIG_UNTIL(r, client.completed[DURE_IOCP_CONNECT] == 1 && server.socket != NULL);
    DURE_CHECK_OK(client.status[DURE_IOCP_CONNECT]);
    DURE_REQUIRE(server.socket != NULL);
    actor_recv(&client);
    actor_recv(&server);
    actor_send(&client, "Hello", 5);
    actor_send(&server, "Hello", 5);
    RIG_UNTIL(r, client.received_bytes == 5 && server.received_bytes == 5);
    actor *first = is_client_first ? &client : &server;
    actor *second = is_client_first ? &server : &client;
    actor_disconnect(first);
    RIG_UNTIL(r, second->completed[DURE_IOCP_RECV] == 1);
    DURE_CHECK_ERR(second->status[DURE_IOCP_RECV], DURE_ERR_PEER_CLOSED);
    actor_fini(second);
    actor_fini(first);
}

/* ---- AcceptEx ---- */

/* The first connections read as reset before they were accepted. */
static BOOL WSAAPI spoil_accepts(SOCKET handle, LPWSAOVERLAPPED overlapped, LPDWORD bytes,
                                 BOOL wait, LPDWORD flags)
{
    BOOL result = f.real.get_overlapped_result(handle, overlapped, bytes, wait, flags);
    if (result && DURE_CONTAINER_OF(overlapped, dure_op, overlapped)->kind == DURE_OP_ACCEPT &&
        f.accepts_spoilt < f.accepts_to_spoil) {
        f.accepts_spoilt++;
        WSASetLastError(WSAECONNRESET);
        return FALSE;
    }
    return result;
}

static void an_accept_that_was_reset_stops_nothing(void)
{
    stage s;
    actor victim;
    if (!stage_open(&s)) {
        return;
    }
    f.table.get_overlapped_result = spoil_accepts;
    f.accepts_to_spoil = 1;
    stage_listen(&s);
    actor_init(&victim, &s.rig);
    actor_connect(&victim, &s.address);
    RIG_UNTIL(&s.rig, f.accepts_spoilt == 1 && victim.completed[DURE_IOCP_CONNECT] == 1);
    DURE_CHECK_EQ(s.listener.delivered[DURE_IOCP_ACCEPT], 0);
    for (size_t i = 0; i < 3; i++) {
        live_and_end(&s, true);
    }
    DURE_CHECK_EQ(s.listener.completed[DURE_IOCP_ACCEPT], 0);
    actor_fini(&victim);
    stage_close(&s);
}

/* ---- DisconnectEx ---- */

static BOOL PASCAL fail_disconnect(SOCKET handle, LPOVERLAPPED overlapped, DWORD flags,
                                   DWORD reserved)
{
    (void)overlapped;
    (void)flags;
    (void)reserved;
    note_recycled(handle);
    WSASetLastError(WSAENOTCONN);
    return FALSE;
}

static void a_disconnect_that_fails_at_the_call_closes_the_socket(void)
{
    stage s;
    if (!stage_open(&s)) {
        return;
    }
    f.table.disconnect_ex = fail_disconnect;
    stage_listen(&s);
    live_and_end(&s, true);
    live_and_end(&s, false);
    DURE_CHECK(f.recycled_count >= 2);
    DURE_CHECK_EQ(counters_of(&s).sockets_refused, f.recycled_count);
    DURE_CHECK_EQ(counters_of(&s).sockets_reused, 0);
    stage_close(&s);
}

static BOOL PASCAL hang_disconnect(SOCKET handle, LPOVERLAPPED overlapped, DWORD flags,
                                   DWORD reserved)
{
    (void)flags;
    (void)reserved;
    note_recycled(handle);
    f.hanging = overlapped;
    WSASetLastError(ERROR_IO_PENDING);
    return FALSE;
}

/* Only CancelIoEx brings the packet. */
static BOOL WINAPI cancel_hanging(HANDLE file, LPOVERLAPPED overlapped)
{
    if (f.hanging == NULL || overlapped != f.hanging) {
        return f.real.cancel_io_ex(file, overlapped);
    }
    f.hanging = NULL;
    overlapped->Internal = STATUS_OF_CANCELLED;
    return PostQueuedCompletionStatus(f.port, 0, 0, overlapped);
}

static void a_disconnect_that_never_completes_is_given_up(void)
{
    stage s;
    if (!stage_open(&s)) {
        return;
    }
    f.table.disconnect_ex = hang_disconnect;
    f.table.cancel_io_ex = cancel_hanging;
    stage_listen(&s);
    live_and_end(&s, false);
    DURE_CHECK_EQ(f.recycled_count, 1);
    DURE_CHECK(f.hanging != NULL);
    uint64_t closed = f.closed;
    uint64_t begin_ns = dure_iocp_core_exact_ns(s.rig.core);
    RIG_UNTIL(&s.rig, f.hanging == NULL);
    DURE_CHECK(dure_iocp_core_exact_ns(s.rig.core) - begin_ns <
               2 * DURE_RECYCLE_DEADLINE_MS * UINT64_C(1000000));
    DURE_CHECK_EQ(counters_of(&s).sockets_refused, 1);
    DURE_CHECK_EQ(f.closed, closed + 1);
    live_and_end(&s, false); /* this one ends with the core */
    DURE_CHECK(f.hanging != NULL);
    stage_close(&s);
}

/* ---- recycled sockets ---- */

/* Completes well and does nothing: on Wine such a socket can be accepted with again, which real
 * DisconnectEx there prevents. */
static BOOL PASCAL pretend_disconnect(SOCKET handle, LPOVERLAPPED overlapped, DWORD flags,
                                      DWORD reserved)
{
    (void)flags;
    (void)reserved;
    note_recycled(handle);
    overlapped->Internal = 0;
    return PostQueuedCompletionStatus(f.port, 0, 0, overlapped);
}

static void an_accepted_socket_serves_again(void)
{
    stage s;
    if (!stage_open(&s)) {
        return;
    }
    f.table.disconnect_ex = pretend_disconnect;
    stage_listen(&s);
    /* The AcceptEx that are outstanding already have sockets of their own. */
    for (size_t i = 0; i < 70 && counters_of(&s).sockets_reused == 0; i++) {
        live_and_end(&s, true);
        f.recycled_count = 0;
    }
    DURE_CHECK(counters_of(&s).sockets_reused > 0);
    DURE_CHECK_EQ(counters_of(&s).sockets_refused, 0);
    stage_close(&s);
}

/* As Wine does, and as Windows can. */
static BOOL PASCAL refuse_recycled(SOCKET handle, const struct sockaddr *address, int len,
                                   PVOID data, DWORD data_len, LPDWORD sent,
                                   LPOVERLAPPED overlapped)
{
    if (is_recycled(handle)) {
        f.connects_refused++;
        f.recycled_count = 0;
        WSASetLastError(WSAEISCONN);
        return FALSE;
    }
    return f.real.connect_ex(handle, address, len, data, data_len, sent, overlapped);
}

static void a_recycled_socket_that_connect_refuses_is_replaced(void)
{
    stage s;
    if (!stage_open(&s)) {
        return;
    }
    f.table.disconnect_ex = pretend_disconnect;
    f.table.connect_ex = refuse_recycled;
    stage_listen(&s);
    live_and_end(&s, false);
    DURE_CHECK_EQ(f.recycled_count, 1);
    (void)dure_iocp_core_run_once(s.rig.core, 20);
    live_and_end(&s, false); /* the pool's socket comes first */
    DURE_CHECK_EQ(f.connects_refused, 1);
    DURE_CHECK_EQ(counters_of(&s).sockets_refused, 1);
    stage_close(&s);
}

/* The refusal comes with the packet: a port in TIME_WAIT reads so. */
static BOOL WSAAPI refuse_in_the_packet(SOCKET handle, LPWSAOVERLAPPED overlapped, LPDWORD bytes,
                                        BOOL wait, LPDWORD flags)
{
    if (DURE_CONTAINER_OF(overlapped, dure_op, overlapped)->kind == DURE_OP_CONNECT &&
        is_recycled(handle)) {
        f.connects_refused++;
        f.recycled_count = 0;
        WSASetLastError(WSAEADDRINUSE);
        return FALSE;
    }
    return f.real.get_overlapped_result(handle, overlapped, bytes, wait, flags);
}

static BOOL PASCAL pretend_connect(SOCKET handle, const struct sockaddr *address, int len,
                                   PVOID data, DWORD data_len, LPDWORD sent,
                                   LPOVERLAPPED overlapped)
{
    if (is_recycled(handle)) {
        WSASetLastError(ERROR_IO_PENDING);
        (void)PostQueuedCompletionStatus(f.port, 0, 0, overlapped);
        return FALSE;
    }
    return f.real.connect_ex(handle, address, len, data, data_len, sent, overlapped);
}

static void a_recycled_socket_that_fails_later_is_replaced_too(void)
{
    stage s;
    if (!stage_open(&s)) {
        return;
    }
    f.table.disconnect_ex = pretend_disconnect;
    f.table.connect_ex = pretend_connect;
    f.table.get_overlapped_result = refuse_in_the_packet;
    stage_listen(&s);
    live_and_end(&s, false);
    (void)dure_iocp_core_run_once(s.rig.core, 20);
    live_and_end(&s, false);
    DURE_CHECK_EQ(f.connects_refused, 1);
    DURE_CHECK_EQ(counters_of(&s).sockets_refused, 1);
    stage_close(&s);
}

/* ---- a packet that overtakes its call ---- */

static BOOL PASCAL slow_connect(SOCKET handle, const struct sockaddr *address, int len, PVOID data,
                                DWORD data_len, LPDWORD sent, LPOVERLAPPED overlapped)
{
    BOOL result = f.real.connect_ex(handle, address, len, data, data_len, sent, overlapped);
    int system_error = WSAGetLastError();
    ULONGLONG until_ms = GetTickCount64() + 5000;
    while (!HasOverlappedIoCompleted(overlapped) && GetTickCount64() < until_ms) {
        (void)SwitchToThread();
    }
    f.overtaken += HasOverlappedIoCompleted(overlapped) ? 1 : 0;
    WSASetLastError(system_error);
    return result;
}

static void a_packet_may_come_before_its_call_returns(void)
{
    stage s;
    if (!stage_open(&s)) {
        return;
    }
    f.table.connect_ex = slow_connect;
    stage_listen(&s);
    live_and_end(&s, true);
    DURE_CHECK_EQ(f.overtaken, 1);
    stage_close(&s);
}

/* ---- what the system shows ---- */

typedef LONG(WINAPI *query_system_fn)(ULONG what, PVOID out, ULONG room, PULONG needed);

#define SYSTEM_EXTENDED_HANDLES 64 /* SystemExtendedHandleInformation */

typedef struct system_handle {
    PVOID object;
    ULONG_PTR process;
    ULONG_PTR handle;
    ULONG access;
    USHORT backtrace;
    USHORT type;
    ULONG attributes;
    ULONG reserved;
} system_handle;

typedef struct system_handles {
    ULONG_PTR count;
    ULONG_PTR reserved;
    system_handle handles[];
} system_handles;

/* The handles of this process in the system's own table; 0 when it cannot be read. Wine has no
 * GetProcessHandleCount that tells the truth. */
static size_t handle_count(void)
{
    const ULONG room = 8u * 1024u * 1024u;
    FARPROC found = GetProcAddress(GetModuleHandleA("ntdll.dll"), "NtQuerySystemInformation");
    query_system_fn query = NULL;
    system_handles *all = dure_mem_alloc(room);
    size_t count = 0;
    DURE_REQUIRE(all != NULL);
    memcpy(&query, &found, sizeof query);
    if (query != NULL && query(SYSTEM_EXTENDED_HANDLES, all, room, NULL) == 0) {
        for (ULONG_PTR i = 0; i < all->count; i++) {
            count += all->handles[i].process == GetCurrentProcessId();
        }
    }
    dure_mem_free(all);
    return count;
}

/* Whether a socket that is open can be seen in the count at all. */
static bool does_system_count(void)
{
    SOCKET handles[8];
    DURE_REQUIRE_OK(dure_winsock_start());
    size_t before = handle_count();
    for (size_t i = 0; i < DURE_COUNT_OF(handles); i++) {
        handles[i] = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED);
    }
    size_t meanwhile = handle_count();
    for (size_t i = 0; i < DURE_COUNT_OF(handles); i++) {
        (void)closesocket(handles[i]);
    }
    bool is_true = meanwhile >= before + DURE_COUNT_OF(handles) && handle_count() == before;
    dure_winsock_stop();
    return is_true;
}

static void the_system_has_as_many_handles_as_before(void)
{
    stage s;
    if (rig_is_sim()) {
        return;
    }
    bool is_shown = does_system_count();
    size_t before = 0;
    for (size_t round = 0; round < 2; round++) {
        (void)stage_open_with(&s, DURE_RECYCLING_PROBE);
        stage_listen(&s);
        for (size_t i = 0; i < 10; i++) {
            live_and_end(&s, i % 2 == 0);
        }
        stage_close(&s);
        if (round == 0) {
            before = handle_count(); /* what Winsock opens once is open */
        }
    }
    if (is_shown) {
        DURE_CHECK_EQ(handle_count(), before);
    } else {
        printf("(the system does not show its handles) ");
    }
}

DURE_SUITE(contract_platform, DURE_TEST(an_accept_that_was_reset_stops_nothing),
           DURE_TEST(a_disconnect_that_fails_at_the_call_closes_the_socket),
           DURE_TEST(a_disconnect_that_never_completes_is_given_up),
           DURE_TEST(an_accepted_socket_serves_again),
           DURE_TEST(a_recycled_socket_that_connect_refuses_is_replaced),
           DURE_TEST(a_recycled_socket_that_fails_later_is_replaced_too),
           DURE_TEST(a_packet_may_come_before_its_call_returns),
           DURE_TEST(the_system_has_as_many_handles_as_before));
