/* SPDX-License-Identifier: MIT
 *
 * Winsock as the win32 back end calls it: the extension functions, which are not exported but asked
 * for with WSAIoctl, and what else decides how an operation ends. They stand in a table so that a
 * test can put its own in their place and produce what a system produces once a year.
 */
#ifndef DURE_IOCP_WINSOCK_WIN32_H
#define DURE_IOCP_WINSOCK_WIN32_H

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <winsock2.h>

#include <mswsock.h>
#include <ws2tcpip.h>

#include <windows.h>

#include "base/err.h"

/* All with the promises of the functions they are named after (learn.microsoft.com). */
struct dure_winsock {
    LPFN_ACCEPTEX accept_ex;
    LPFN_CONNECTEX connect_ex;
    LPFN_DISCONNECTEX disconnect_ex;
    HANDLE(WINAPI *create_io_completion_port)
    (HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads);
    BOOL(WSAAPI *get_overlapped_result)
    (SOCKET handle, LPWSAOVERLAPPED overlapped, LPDWORD bytes, BOOL wait, LPDWORD flags);
    BOOL(WINAPI *cancel_io_ex)(HANDLE file, LPOVERLAPPED overlapped);
    int(WSAAPI *close_socket)(SOCKET handle);
};

typedef struct dure_winsock dure_winsock;

/*
 * Begins the use of Winsock 2.2 (WSAStartup); each OK wants one dure_winsock_stop.
 * Fails: UNSUPPORTED, SYSTEM.
 * Thread: any.
 */
DURE_CHECKED dure_err dure_winsock_start(void);
/* Ends one use (WSACleanup). Thread: any. */
void dure_winsock_stop(void);

/*
 * Fills in the system's functions.
 * Fails: UNSUPPORTED where one is missing, SYSTEM.
 * Thread: any, after dure_winsock_start.
 */
DURE_CHECKED dure_err dure_winsock_load(dure_winsock *out_winsock);

/*
 * What ended an overlapped operation on a socket that is still open: 0, or a code of Winsock.
 * Thread: owner of the socket, after the packet came.
 */
int dure_winsock_result(const dure_winsock *winsock, SOCKET handle, OVERLAPPED *overlapped);

#endif
