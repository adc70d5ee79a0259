/* SPDX-License-Identifier: MIT
 *
 * The extension functions of Winsock.
 */
#include "iocp/winsock_win32.h"

#include <stdbool.h>

dure_err dure_winsock_start(void)
{
    WSADATA data;
    int system_error = WSAStartup(MAKEWORD(2, 2), &data);
    if (system_error != 0) {
        return DURE_ERR_SYSTEM;
    }
    if (data.wVersion != MAKEWORD(2, 2)) {
        (void)WSACleanup();
        return DURE_ERR_UNSUPPORTED;
    }
    return DURE_OK;
}

void dure_winsock_stop(void)
{
    (void)WSACleanup();
}

static bool get_function(SOCKET handle, GUID id, void *out_function, DWORD size)
{
    DWORD bytes = 0;
    return WSAIoctl(handle, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, out_function, size,
                    &bytes, NULL, NULL) == 0;
}

dure_err dure_winsock_load(dure_winsock *out_winsock)
{
    static const GUID accept_ex = WSAID_ACCEPTEX;
    static const GUID connect_ex = WSAID_CONNECTEX;
    static const GUID disconnect_ex = WSAID_DISCONNECTEX;
    dure_winsock found = {.create_io_completion_port = CreateIoCompletionPort,
                          .get_overlapped_result = WSAGetOverlappedResult,
                          .cancel_io_ex = CancelIoEx,
                          .close_socket = closesocket};
    SOCKET handle = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED);
    if (handle == INVALID_SOCKET) {
        return dure_err_from_system(WSAGetLastError());
    }
    bool has_all =
        get_function(handle, accept_ex, &found.accept_ex, sizeof found.accept_ex) &&
        get_function(handle, connect_ex, &found.connect_ex, sizeof found.connect_ex) &&
        get_function(handle, disconnect_ex, &found.disconnect_ex, sizeof found.disconnect_ex);
    (void)closesocket(handle);
    if (!has_all) {
        return DURE_ERR_UNSUPPORTED;
    }
    *out_winsock = found;
    return DURE_OK;
}

int dure_winsock_result(const dure_winsock *winsock, SOCKET handle, OVERLAPPED *overlapped)
{
    DWORD bytes = 0;
    DWORD flags = 0;
    if (winsock->get_overlapped_result(handle, overlapped, &bytes, FALSE, &flags)) {
        return 0;
    }
    return WSAGetLastError();
}
