/* SPDX-License-Identifier: MIT
 *
 * errno -> dure_err, one flat table.
 */
#include <errno.h>

#include "base/err.h"

typedef struct system_row {
    int system_error;
    dure_err err;
} system_row;

static const system_row system_rows[] = {
    {0, DURE_OK},
    {ECANCELED, DURE_ERR_CANCELLED},
    {ECONNREFUSED, DURE_ERR_CONNECT_REFUSED},
    {ECONNRESET, DURE_ERR_RESET},
    {ECONNABORTED, DURE_ERR_RESET},
    {EPIPE, DURE_ERR_RESET},
    {ETIMEDOUT, DURE_ERR_TIMED_OUT},
    {EHOSTUNREACH, DURE_ERR_UNREACHABLE},
    {ENETUNREACH, DURE_ERR_UNREACHABLE},
    {EHOSTDOWN, DURE_ERR_UNREACHABLE},
    {ENETDOWN, DURE_ERR_UNREACHABLE},
    {EADDRINUSE, DURE_ERR_ADDRESS_IN_USE},
    {EADDRNOTAVAIL, DURE_ERR_ADDRESS_NOT_AVAILABLE},
    {EACCES, DURE_ERR_PERMISSION},
    {EPERM, DURE_ERR_PERMISSION},
    {EMFILE, DURE_ERR_TOO_MANY_FILES},
    {ENFILE, DURE_ERR_TOO_MANY_FILES},
    {ENOMEM, DURE_ERR_NO_MEMORY},
    {ENOBUFS, DURE_ERR_NO_BUFFERS},
    {EINVAL, DURE_ERR_INVALID},
    {ENOTCONN, DURE_ERR_STATE},
    {EISCONN, DURE_ERR_STATE},
    {EALREADY, DURE_ERR_STATE},
    {ENOENT, DURE_ERR_NOT_FOUND},
    {EEXIST, DURE_ERR_EXISTS},
    {EFBIG, DURE_ERR_TOO_LARGE},
    {ENOSPC, DURE_ERR_STORAGE},
    {EDQUOT, DURE_ERR_STORAGE},
    {EIO, DURE_ERR_STORAGE},
    {EROFS, DURE_ERR_PERMISSION},
    {ENOSYS, DURE_ERR_UNSUPPORTED},
    {EOPNOTSUPP, DURE_ERR_UNSUPPORTED},
    {EAFNOSUPPORT, DURE_ERR_UNSUPPORTED},
    {ENOPROTOOPT, DURE_ERR_UNSUPPORTED},
};

dure_err dure_err_from_system(int system_error)
{
    for (size_t i = 0; i < DURE_COUNT_OF(system_rows); i++) {
        if (system_rows[i].system_error == system_error) {
            return system_rows[i].err;
        }
    }
    return DURE_ERR_SYSTEM;
}
