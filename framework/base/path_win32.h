/* SPDX-License-Identifier: MIT
 *
 * Paths and other texts between UTF-8, which this framework speaks, and UTF-16, which Windows does.
 */
#ifndef DURE_BASE_PATH_WIN32_H
#define DURE_BASE_PATH_WIN32_H

#include <stddef.h>
#include <wchar.h>

#include "base/err.h"

/*
 * The wide form of a text, with room for so many characters more behind it.
 * Owned by the caller; ends with dure_mem_free.
 * Fails: INVALID (not UTF-8), NO_MEMORY.
 * Thread: any.
 */
DURE_CHECKED dure_err dure_path_widen(const char *path, size_t room, wchar_t **out_wide);

#endif
