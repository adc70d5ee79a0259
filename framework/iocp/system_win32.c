/* SPDX-License-Identifier: MIT
 *
 * Clocks, entropy and the limit of sockets on Windows.
 */
#include "iocp/system.h"

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include <bcrypt.h>

#define NS_PER_S UINT64_C(1000000000)

/* From 1601, in which FILETIME begins, to 1970, in units of 100 ns. */
#define EPOCH_1601_TO_1970 UINT64_C(116444736000000000)

/* Windows has no limit of its own; memory ends it. */
#define SOCKETS_MANY ((1u << 20) - 128u)

uint64_t dure_system_now_ns(void)
{
    LARGE_INTEGER frequency;
    LARGE_INTEGER count;
    /* Neither can fail since Windows XP. Not GetTickCount64: that steps by 16 ms. */
    (void)QueryPerformanceFrequency(&frequency);
    (void)QueryPerformanceCounter(&count);
    uint64_t per_s = (uint64_t)frequency.QuadPart;
    uint64_t ticks = (uint64_t)count.QuadPart;
    return ticks / per_s * NS_PER_S + ticks % per_s * NS_PER_S / per_s;
}

uint64_t dure_system_elapsed_ns(void)
{
    return dure_system_now_ns(); /* the performance counter goes on in every state of sleep */
}

uint64_t dure_system_wall_ms(void)
{
    FILETIME now;
    GetSystemTimePreciseAsFileTime(&now);
    uint64_t units = (uint64_t)now.dwHighDateTime << 32 | now.dwLowDateTime;
    return (units - EPOCH_1601_TO_1970) / 10000u;
}

dure_err dure_system_entropy(void *out, size_t len)
{
    if (len > UINT32_MAX) {
        return DURE_ERR_SYSTEM;
    }
    NTSTATUS status = BCryptGenRandom(NULL, out, (ULONG)len, BCRYPT_USE_SYSTEM_PREFERRED_RNG);
    return BCRYPT_SUCCESS(status) ? DURE_OK : DURE_ERR_SYSTEM;
}

uint32_t dure_system_sockets_max(void)
{
    return SOCKETS_MANY;
}
