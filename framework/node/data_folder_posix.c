/* SPDX-License-Identifier: MIT
 *
 * POSIX's half of node/data_folder.h: mode and owner, of the folder and of a symbolic link to it.
 */
#include "node/data_folder.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

#define PATH_BYTES 4097u

void dure_data_folder_make_private_files(void)
{
    (void)umask(077);
}

/* What stands at the end of a path, without slashes behind it: those would follow a link. */
static dure_err without_slashes(const char *path, char out[PATH_BYTES])
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    if (len >= PATH_BYTES) {
        return DURE_ERR_TOO_LARGE;
    }
    memcpy(out, path, len);
    out[len] = '\0';
    DURE_ASSERT(len <= 1 || out[len - 1] != '/');
    return DURE_OK;
}

static dure_data_folder_access say_owner(const char *what, const char *path,
                                         const struct stat *status, char *out_text)
{
    (void)snprintf(out_text, DURE_DATA_FOLDER_TEXT_MAX,
                   "%s of the user %lu, and this process runs as %lu: chown -h %lu '%s'", what,
                   (unsigned long)status->st_uid, (unsigned long)geteuid(),
                   (unsigned long)geteuid(), path);
    return DURE_DATA_FOLDER_OPEN;
}

static dure_data_folder_access look_at_mode(const char *path, const struct stat *status,
                                            char *out_text)
{
    unsigned mode = (unsigned)status->st_mode & 0777u;
    if (status->st_uid != geteuid()) {
        return say_owner("the folder is one", path, status, out_text);
    }
    if ((mode & 077u) == 0) {
        return DURE_DATA_FOLDER_PRIVATE;
    }
    bool is_open = (mode & 07u) != 0;
    (void)snprintf(out_text, DURE_DATA_FOLDER_TEXT_MAX, "its mode %04o lets %s in: chmod 700 '%s'",
                   mode, is_open ? "everybody" : "its group", path);
    return is_open ? DURE_DATA_FOLDER_OPEN : DURE_DATA_FOLDER_SHARED;
}

dure_err dure_data_folder_look(const char *path, dure_data_folder_access *out_access,
                               char *out_text)
{
    char name[PATH_BYTES];
    struct stat status;
    out_text[0] = '\0';
    dure_err err = without_slashes(path, name);
    if (err != DURE_OK) {
        return err;
    }
    if (lstat(name, &status) != 0) {
        return dure_err_from_system(errno);
    }
    /* Whoever has the link may lead it elsewhere at any time. The superuser may do so anyway. */
    if (S_ISLNK(status.st_mode) && status.st_uid != geteuid() && status.st_uid != 0) {
        *out_access = say_owner("the folder's name is a symbolic link", name, &status, out_text);
        return DURE_OK;
    }
    if (stat(name, &status) != 0) {
        return dure_err_from_system(errno);
    }
    *out_access = look_at_mode(name, &status, out_text);
    return DURE_OK;
}
