/* SPDX-License-Identifier: MIT
 *
 * UTF-8 to UTF-16.
 */
#include "base/path_win32.h"

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include "base/mem.h"

dure_err dure_path_widen(const char *path, size_t room, wchar_t **out_wide)
{
    int count = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, NULL, 0);
    if (count <= 0) {
        return DURE_ERR_INVALID;
    }
    wchar_t *wide = dure_mem_alloc_array((size_t)count + room, sizeof *wide);
    if (wide == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    (void)MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, count);
    *out_wide = wide;
    return DURE_OK;
}
