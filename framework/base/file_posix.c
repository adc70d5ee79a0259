/* SPDX-License-Identifier: MIT
 *
 * Files over POSIX. A write goes to a new file beside the old one, is synced, and takes its place
 * by rename, which POSIX makes atomic; then the folder is synced too, since on ext4 and XFS the
 * rename itself could otherwise be lost in a power cut.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define FILE_READ_STEP      4096u
#define FILE_OPEN_DURING_RM 16

static dure_err file_read_all(int fd, dure_buf *bytes)
{
    for (;;) {
        uint8_t *room = NULL;
        size_t left = dure_buf_cap(bytes) - bytes->len;
        size_t step = left < FILE_READ_STEP ? left : FILE_READ_STEP;
        char beyond;
        dure_err err = dure_buf_reserve(bytes, step, &room);
        if (err != DURE_OK) {
            return err;
        }
        /* At the cap, one more byte tells whether the file ends here. */
        ssize_t got = step > 0 ? read(fd, room, step) : read(fd, &beyond, 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errno == EISDIR ? DURE_ERR_INVALID : dure_err_from_system(errno);
        }
        if (got == 0) {
            return DURE_OK;
        }
        if (step == 0) {
            return DURE_ERR_TOO_LARGE;
        }
        bytes->len += (size_t)got;
    }
}

dure_err dure_file_read(const char *path, dure_buf *bytes)
{
    size_t old_len = bytes->len;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return dure_err_from_system(errno);
    }
    dure_err err = file_read_all(fd, bytes);
    if (err != DURE_OK) {
        bytes->len = old_len;
    }
    (void)close(fd);
    return err;
}

static dure_err file_write_all(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t put = write(fd, at, len);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return dure_err_from_system(errno);
        }
        at += put;
        len -= (size_t)put;
    }
    return DURE_OK;
}

static dure_err file_fill(int fd, const void *data, size_t len, dure_file_access access)
{
    dure_err err = file_write_all(fd, data, len);
    if (err != DURE_OK) {
        return err;
    }
    /* mkstemp made it for the owner alone; it widens only when the content is complete. */
    if (access == DURE_FILE_EVERYONE && fchmod(fd, 0644) != 0) {
        return dure_err_from_system(errno);
    }
    return fsync(fd) == 0 ? DURE_OK : dure_err_from_system(errno);
}

/* The folder of path, in place: cuts path at its last slash. */
static const char *file_cut_to_folder(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return ".";
    }
    if (slash == path) {
        return "/";
    }
    *slash = '\0';
    return path;
}

static dure_err file_sync_folder_of(char *path)
{
    int fd = open(file_cut_to_folder(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return dure_err_from_system(errno);
    }
    dure_err err = DURE_OK;
    /* Some file systems refuse to sync a folder; there is nothing more to do on those. */
    if (fsync(fd) != 0 && errno != EINVAL) {
        err = dure_err_from_system(errno);
    }
    (void)close(fd);
    return err;
}

dure_err dure_file_write(const char *path, const void *data, size_t len, dure_file_access access)
{
    static const char suffix[] = ".XXXXXX";
    size_t path_len = strlen(path);
    bool is_made = false;
    dure_err err = DURE_ERR_NO_MEMORY;
    int fd = -1;
    char *temp = dure_mem_alloc(path_len + sizeof suffix);
    if (temp == NULL) {
        goto out;
    }
    memcpy(temp, path, path_len);
    memcpy(temp + path_len, suffix, sizeof suffix);
    fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0) {
        err = dure_err_from_system(errno);
        goto out;
    }
    is_made = true;
    err = file_fill(fd, data, len, access);
    if (err != DURE_OK) {
        goto out;
    }
    if (rename(temp, path) != 0) {
        err = dure_err_from_system(errno);
        goto out;
    }
    is_made = false;
    err = file_sync_folder_of(temp);
out:
    if (fd >= 0) {
        (void)close(fd);
    }
    if (is_made) {
        (void)unlink(temp);
    }
    dure_mem_free(temp);
    return err;
}

dure_err dure_file_remove(const char *path)
{
    return unlink(path) == 0 ? DURE_OK : dure_err_from_system(errno);
}

bool dure_file_exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

void dure_file_make_private(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
        (status.st_mode & 077) != 0) {
        int ignored = fchmod(fd, status.st_mode & 0700); /* the folder keeps others out as it is */
        (void)ignored;
    }
    (void)close(fd);
}

static dure_err file_make_one_folder(const char *path, mode_t mode)
{
    struct stat status;
    if (mkdir(path, mode) == 0) {
        return DURE_OK;
    }
    int error = errno;
    if (stat(path, &status) == 0) {
        return S_ISDIR(status.st_mode) ? DURE_OK : DURE_ERR_EXISTS;
    }
    return dure_err_from_system(error);
}

dure_err dure_file_make_folder(const char *path, dure_file_access access)
{
    mode_t mode = access == DURE_FILE_OWNER_ONLY ? 0700 : 0755;
    char *part = dure_mem_strdup(path);
    if (part == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_err err = DURE_OK;
    for (char *slash = strchr(part, '/'); slash != NULL && err == DURE_OK;
         slash = strchr(slash + 1, '/')) {
        if (slash == part) {
            continue;
        }
        *slash = '\0';
        err = file_make_one_folder(part, mode);
        *slash = '/';
    }
    if (err == DURE_OK) {
        err = file_make_one_folder(part, mode);
    }
    dure_mem_free(part);
    return err;
}

dure_err dure_file_make_temp_folder(const char *prefix, char *out_path, size_t out_size)
{
    /* Safe, since nothing here changes the environment. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    const char *base = getenv("TMPDIR");
    if (base == NULL || base[0] == '\0') {
        base = "/tmp";
    }
    int len = snprintf(out_path, out_size, "%s/%s-XXXXXX", base, prefix);
    if (len < 0 || (size_t)len >= out_size) {
        return DURE_ERR_FULL;
    }
    return mkdtemp(out_path) != NULL ? DURE_OK : dure_err_from_system(errno);
}

static int file_remove_entry(const char *path, const struct stat *status, int kind,
                             struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

dure_err dure_file_remove_folder(const char *path)
{
    /* Safe without FTW_CHDIR. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    int failed = nftw(path, file_remove_entry, FILE_OPEN_DURING_RM, FTW_DEPTH | FTW_PHYS);
    return failed == 0 ? DURE_OK : dure_err_from_system(errno);
}
