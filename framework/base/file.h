/* SPDX-License-Identifier: MIT
 *
 * Files and folders of the system as start-up, tools and jobs need them: small ones, whole. Every
 * function may block on a disk, so none is for a worker that serves sessions: there it runs as a
 * job (dure_iocp_core_job).
 */
#ifndef DURE_BASE_FILE_H
#define DURE_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Who may read what is made. Nobody but the owner may ever write it. */
typedef enum dure_file_access {
    DURE_FILE_OWNER_ONLY, /* secrets, tokens, players' data */
    DURE_FILE_EVERYONE
} dure_file_access;

/*
 * Appends all bytes of a file to a buffer, whose cap is the most that is read.
 * Fails: NOT_FOUND, PERMISSION, TOO_LARGE past the cap, INVALID for what is not a plain file or
 *        pipe, NO_MEMORY, TOO_MANY_FILES, STORAGE, SYSTEM. The buffer is as it was.
 * Thread: any.
 */
DURE_CHECKED dure_err dure_file_read(const char *path, dure_buf *bytes);

/*
 * Writes a file as a whole: whoever opens the path, also after a power cut, finds the old content
 * or the new one. The new one is on disk when this returns OK.
 * Borrows: data, for the call.
 * Fails: NOT_FOUND (the folder), PERMISSION, STORAGE, TOO_MANY_FILES, NO_MEMORY, SYSTEM. What stood
 *        there before still stands.
 * Thread: any.
 */
DURE_CHECKED dure_err dure_file_write(const char *path, const void *data, size_t len,
                                      dure_file_access access);

/*
 * Removes a file.
 * Fails: NOT_FOUND, PERMISSION, STORAGE, SYSTEM.
 * Thread: any.
 */
DURE_CHECKED dure_err dure_file_remove(const char *path);

/*
 * Whether something of this name is there, a folder included.
 * Thread: any.
 */
bool dure_file_exists(const char *path);

/*
 * Takes from a file what others than its owner may do with it, where it is the present user's. What
 * is no plain file, a symbolic link too, is left as it is, and so is everything on Windows, where a
 * private folder keeps its files private.
 * Thread: any, before a library that locks the file has it open: the end of this one's look would
 * end those locks (fcntl_locking(2)).
 */
void dure_file_make_private(const char *path);

/*
 * Makes a folder and those above it that are missing; one that is there already is left as it is.
 * Fails: PERMISSION, EXISTS (a file stands in the way), STORAGE, NO_MEMORY, SYSTEM.
 * Thread: any.
 */
DURE_CHECKED dure_err dure_file_make_folder(const char *path, dure_file_access access);

/*
 * Makes a new folder for the owner alone among the system's temporary ones (TMPDIR, else /tmp) and
 * writes its path to out_path. prefix is the first part of its name.
 * Fails: FULL (out_size is too small; PATH_MAX always serves), PERMISSION, STORAGE, SYSTEM.
 * Thread: any.
 */
DURE_CHECKED dure_err dure_file_make_temp_folder(const char *prefix, char *out_path,
                                                 size_t out_size);

/*
 * Removes a folder with all that is in it; symbolic links are removed, not followed.
 * Fails: NOT_FOUND, PERMISSION, STORAGE, SYSTEM; part of it may be gone then.
 * Thread: any.
 */
DURE_CHECKED dure_err dure_file_remove_folder(const char *path);

#endif
