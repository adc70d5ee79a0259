/* SPDX-License-Identifier: MIT
 *
 * Files over Win32. A write goes to a new file beside the old one, is flushed, and takes its place
 * by MoveFileEx. What is for the owner alone gets an access list with one entry and no inheritance.
 * Paths are UTF-8, with either slash.
 */
#include "base/file.h"

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include <limits.h>
#include <sddl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "base/mem.h"
#include "base/path_win32.h"

#define FILE_READ_STEP  4096u
#define FILE_WRITE_STEP (1u << 20)
#define TEMP_TRIES      100u

/* ".", six digits, and the end */
#define TEMP_SUFFIX_SIZE 16u

static dure_err last_error(void)
{
    return dure_err_from_system((int)GetLastError());
}

/* ---- access ---- */

/* "The present user may do everything, nobody else anything." Ends with LocalFree. */
static dure_err owner_only(PSECURITY_DESCRIPTOR *out_descriptor)
{
    union {
        TOKEN_USER user;
        uint8_t room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
    } token;
    WCHAR text[256];
    HANDLE handle = NULL;
    LPWSTR sid = NULL;
    DWORD len = 0;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &handle)) {
        return last_error();
    }
    dure_err err = DURE_OK;
    if (!GetTokenInformation(handle, TokenUser, &token, sizeof token, &len) ||
        !ConvertSidToStringSidW(token.user.User.Sid, &sid)) {
        err = last_error();
    }
    (void)CloseHandle(handle);
    if (err != DURE_OK) {
        return err;
    }
    (void)_snwprintf(text, DURE_COUNT_OF(text) - 1, L"D:P(A;OICI;FA;;;%ls)", sid);
    text[DURE_COUNT_OF(text) - 1] = L'\0';
    (void)LocalFree(sid);
    return ConvertStringSecurityDescriptorToSecurityDescriptorW(text, SDDL_REVISION_1,
                                                                out_descriptor, NULL)
               ? DURE_OK
               : last_error();
}

/* What a creating call is given; `descriptor` ends with LocalFree, also where it is NULL. */
static dure_err access_of(dure_file_access access, SECURITY_ATTRIBUTES *out_attributes)
{
    memset(out_attributes, 0, sizeof *out_attributes);
    out_attributes->nLength = (DWORD)sizeof *out_attributes;
    return access == DURE_FILE_OWNER_ONLY ? owner_only(&out_attributes->lpSecurityDescriptor)
                                          : DURE_OK;
}

/* ---- reading ---- */

static dure_err file_read_all(HANDLE file, dure_buf *bytes)
{
    for (;;) {
        uint8_t *room = NULL;
        uint8_t beyond = 0;
        DWORD got = 0;
        size_t left = dure_buf_cap(bytes) - bytes->len;
        size_t step = left < FILE_READ_STEP ? left : FILE_READ_STEP;
        dure_err err = dure_buf_reserve(bytes, step, &room);
        if (err != DURE_OK) {
            return err;
        }
        /* At the cap, one more byte tells whether the file ends here. */
        BOOL is_read = step > 0 ? ReadFile(file, room, (DWORD)step, &got, NULL)
                                : ReadFile(file, &beyond, 1, &got, NULL);
        if (!is_read && GetLastError() != ERROR_BROKEN_PIPE) {
            return last_error();
        }
        if (!is_read || got == 0) {
            return DURE_OK;
        }
        if (step == 0) {
            return DURE_ERR_TOO_LARGE;
        }
        bytes->len += got;
    }
}

static bool is_folder(const WCHAR *wide)
{
    DWORD attributes = GetFileAttributesW(wide);
    return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

dure_err dure_file_read(const char *path, dure_buf *bytes)
{
    WCHAR *wide = NULL;
    size_t old_len = bytes->len;
    dure_err err = dure_path_widen(path, 0, &wide);
    if (err != DURE_OK) {
        return err;
    }
    HANDLE file =
        CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                    NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE) {
        err = last_error();
        err = is_folder(wide) ? DURE_ERR_INVALID : err;
    } else {
        err = file_read_all(file, bytes);
        (void)CloseHandle(file);
    }
    if (err != DURE_OK) {
        bytes->len = old_len;
    }
    dure_mem_free(wide);
    return err;
}

/* ---- writing ---- */

static uint32_t next_number(void)
{
    static atomic_uint counter;
    LARGE_INTEGER now;
    (void)QueryPerformanceCounter(&now);
    return (uint32_t)now.QuadPart * 2654435761u + GetCurrentProcessId() +
           atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed);
}

/* A new file beside the path; its name is written behind path's len characters of temp. */
static HANDLE file_make_temp(WCHAR *temp, size_t len, SECURITY_ATTRIBUTES *attributes)
{
    HANDLE file = INVALID_HANDLE_VALUE;
    for (uint32_t i = 0; i < TEMP_TRIES; i++) {
        (void)_snwprintf(temp + len, TEMP_SUFFIX_SIZE, L".%06x",
                         (unsigned)next_number() & 0xffffffu);
        file = CreateFileW(temp, GENERIC_WRITE, 0, attributes, CREATE_NEW, FILE_ATTRIBUTE_NORMAL,
                           NULL);
        if (file != INVALID_HANDLE_VALUE || GetLastError() != ERROR_FILE_EXISTS) {
            break;
        }
    }
    return file;
}

static dure_err file_fill(HANDLE file, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len > 0) {
        DWORD put = 0;
        DWORD step = len < FILE_WRITE_STEP ? (DWORD)len : FILE_WRITE_STEP;
        if (!WriteFile(file, at, step, &put, NULL)) {
            return last_error();
        }
        at += put;
        len -= put;
    }
    return FlushFileBuffers(file) ? DURE_OK : last_error();
}

static dure_err file_replace(const WCHAR *wide, WCHAR *temp, size_t len, const void *data,
                             size_t data_len, SECURITY_ATTRIBUTES *attributes)
{
    HANDLE file = file_make_temp(temp, len, attributes);
    if (file == INVALID_HANDLE_VALUE) {
        return last_error();
    }
    dure_err err = file_fill(file, data, data_len);
    (void)CloseHandle(file);
    /* Write-through: the move is on disk when it returns. */
    if (err == DURE_OK &&
        !MoveFileExW(temp, wide, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)) {
        err = last_error();
    }
    if (err != DURE_OK) {
        (void)DeleteFileW(temp);
    }
    return err;
}

dure_err dure_file_write(const char *path, const void *data, size_t len, dure_file_access access)
{
    SECURITY_ATTRIBUTES attributes = {0};
    WCHAR *wide = NULL;
    WCHAR *temp = NULL;
    dure_err err = dure_path_widen(path, 0, &wide);
    if (err == DURE_OK) {
        err = dure_path_widen(path, TEMP_SUFFIX_SIZE, &temp);
    }
    if (err == DURE_OK) {
        err = access_of(access, &attributes);
    }
    if (err == DURE_OK) {
        err = file_replace(wide, temp, wcslen(wide), data, len, &attributes);
    }
    (void)LocalFree(attributes.lpSecurityDescriptor);
    dure_mem_free(temp);
    dure_mem_free(wide);
    return err;
}

dure_err dure_file_remove(const char *path)
{
    WCHAR *wide = NULL;
    dure_err err = dure_path_widen(path, 0, &wide);
    if (err == DURE_OK) {
        err = DeleteFileW(wide) ? DURE_OK : last_error();
    }
    dure_mem_free(wide);
    return err;
}

bool dure_file_exists(const char *path)
{
    WCHAR *wide = NULL;
    if (dure_path_widen(path, 0, &wide) != DURE_OK) {
        return false;
    }
    bool is_there = GetFileAttributesW(wide) != INVALID_FILE_ATTRIBUTES;
    dure_mem_free(wide);
    return is_there;
}

/* ---- folders ---- */

static dure_err file_make_one_folder(const WCHAR *wide, SECURITY_ATTRIBUTES *attributes)
{
    if (CreateDirectoryW(wide, attributes)) {
        return DURE_OK;
    }
    dure_err err = last_error();
    DWORD found = GetFileAttributesW(wide);
    if (found == INVALID_FILE_ATTRIBUTES) {
        return err;
    }
    return (found & FILE_ATTRIBUTE_DIRECTORY) != 0 ? DURE_OK : DURE_ERR_EXISTS;
}

dure_err dure_file_make_folder(const char *path, dure_file_access access)
{
    SECURITY_ATTRIBUTES attributes = {0};
    WCHAR *wide = NULL;
    dure_err err = dure_path_widen(path, 0, &wide);
    if (err == DURE_OK) {
        err = access_of(access, &attributes);
    }
    for (WCHAR *at = wide; err == DURE_OK && *at != L'\0'; at++) {
        bool is_slash = *at == L'/' || *at == L'\\';
        /* Not the root, nor a drive's. */
        if (is_slash && at != wide && at[-1] != L':' && at[-1] != L'/' && at[-1] != L'\\') {
            WCHAR slash = *at;
            *at = L'\0';
            err = file_make_one_folder(wide, &attributes);
            *at = slash;
        }
    }
    if (err == DURE_OK) {
        err = file_make_one_folder(wide, &attributes);
    }
    (void)LocalFree(attributes.lpSecurityDescriptor);
    dure_mem_free(wide);
    return err;
}

static dure_err make_temp_folder(WCHAR *path, size_t room, size_t len, const char *prefix,
                                 SECURITY_ATTRIBUTES *attributes)
{
    for (uint32_t i = 0; i < TEMP_TRIES; i++) {
        int more = _snwprintf(path + len, room - len, L"%hs-%06x", prefix,
                              (unsigned)next_number() & 0xffffffu);
        if (more < 0 || (size_t)more >= room - len) {
            return DURE_ERR_FULL;
        }
        if (CreateDirectoryW(path, attributes)) {
            return DURE_OK;
        }
        if (GetLastError() != ERROR_ALREADY_EXISTS) {
            break;
        }
    }
    return last_error();
}

dure_err dure_file_make_temp_folder(const char *prefix, char *out_path, size_t out_size)
{
    SECURITY_ATTRIBUTES attributes;
    WCHAR path[MAX_PATH * 2];
    DWORD len = GetTempPathW(MAX_PATH, path);
    if (len == 0 || len > MAX_PATH) {
        return last_error();
    }
    dure_err err = access_of(DURE_FILE_OWNER_ONLY, &attributes);
    if (err == DURE_OK) {
        err = make_temp_folder(path, DURE_COUNT_OF(path), len, prefix, &attributes);
    }
    (void)LocalFree(attributes.lpSecurityDescriptor);
    if (err != DURE_OK) {
        return err;
    }
    int size = out_size > INT_MAX ? INT_MAX : (int)out_size;
    if (WideCharToMultiByte(CP_UTF8, 0, path, -1, out_path, size, NULL, NULL) <= 0) {
        (void)RemoveDirectoryW(path);
        return DURE_ERR_FULL;
    }
    return DURE_OK;
}

static dure_err remove_tree(const WCHAR *folder);

/* A junction or symbolic link is a folder to look at, and is removed as itself. */
static dure_err remove_entry(const WCHAR *folder, const WIN32_FIND_DATAW *found)
{
    if (wcscmp(found->cFileName, L".") == 0 || wcscmp(found->cFileName, L"..") == 0) {
        return DURE_OK;
    }
    size_t room = wcslen(folder) + wcslen(found->cFileName) + 2;
    WCHAR *path = dure_mem_alloc_array(room, sizeof *path);
    if (path == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    (void)_snwprintf(path, room, L"%ls\\%ls", folder, found->cFileName);
    dure_err err = DURE_OK;
    if ((found->dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) == 0) {
        err = DeleteFileW(path) ? DURE_OK : last_error();
    } else if ((found->dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0) {
        err = RemoveDirectoryW(path) ? DURE_OK : last_error();
    } else {
        err = remove_tree(path);
    }
    dure_mem_free(path);
    return err;
}

static dure_err remove_content(const WCHAR *folder)
{
    WIN32_FIND_DATAW found;
    size_t room = wcslen(folder) + 3;
    WCHAR *pattern = dure_mem_alloc_array(room, sizeof *pattern);
    if (pattern == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    (void)_snwprintf(pattern, room, L"%ls\\*", folder);
    HANDLE search = FindFirstFileW(pattern, &found);
    dure_mem_free(pattern);
    if (search == INVALID_HANDLE_VALUE) {
        return last_error();
    }
    dure_err err = DURE_OK;
    do {
        err = remove_entry(folder, &found);
    } while (err == DURE_OK && FindNextFileW(search, &found));
    (void)FindClose(search);
    return err;
}

static dure_err remove_tree(const WCHAR *folder)
{
    dure_err err = remove_content(folder);
    if (err != DURE_OK) {
        return err;
    }
    return RemoveDirectoryW(folder) ? DURE_OK : last_error();
}

dure_err dure_file_remove_folder(const char *path)
{
    WCHAR *wide = NULL;
    dure_err err = dure_path_widen(path, 0, &wide);
    if (err == DURE_OK) {
        err = remove_tree(wide);
    }
    dure_mem_free(wide);
    return err;
}
