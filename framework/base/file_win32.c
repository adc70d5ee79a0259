/* SPDX-License-Identifier: MIT
 *
 * Files over Win32. A write goes to a new file beside the old one, is flushed, and takes its place
 * by MoveFileEx, which is one step of NTFS's journal and returns when that is on disk.
 *
 * What is made has a list of who may do what (an ACL) of its own, which inherits nothing: the user
 * alone, or the user and all readers. In a private folder every file is private, whoever makes it.
 *
 * Others may hold a file open for a moment, such as a virus scanner: to replace or remove it then
 * fails, and is tried again for a second.
 */
#include "base/file.h"

#include <stdio.h>
#include <string.h>

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include <bcrypt.h>

#include "base/mem.h"
#include "base/path_win32.h"

#define FILE_READ_STEP      4096u
#define FILE_NAME_TRIES     100
#define FILE_BUSY_TRIES     8
#define FILE_BUSY_FIRST_MS  4u /* then twice as long each time */
#define FILE_SUFFIX_LEN     7u
#define FILE_REMOVE_MAX     32768u /* characters of the longest path that the system knows */
#define FILE_TOKEN_USER_MAX (sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE)
#define FILE_ACL_MAX        (sizeof(ACL) + 2 * (sizeof(ACCESS_ALLOWED_ACE) + SECURITY_MAX_SID_SIZE))

/* Who may read; what CreateFile and CreateDirectory want to be told, in one piece. */
typedef struct file_security {
    SECURITY_ATTRIBUTES attributes;
    SECURITY_DESCRIPTOR descriptor;
    union {
        TOKEN_USER user;
        uint8_t room[FILE_TOKEN_USER_MAX];
    } token;
    union {
        ACL acl;
        uint8_t room[FILE_ACL_MAX];
    } list;
} file_security;

static dure_err file_last_error(void)
{
    return dure_err_from_system((int)GetLastError());
}

/* ---- who may do what ---- */

static bool file_find_user(file_security *security)
{
    HANDLE token = NULL;
    DWORD len = 0;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token)) {
        return false;
    }
    BOOL is_found =
        GetTokenInformation(token, TokenUser, &security->token, sizeof security->token, &len);
    (void)CloseHandle(token);
    return is_found;
}

static bool file_fill_list(file_security *security, dure_file_access access)
{
    ACL *acl = &security->list.acl;
    const DWORD flags = OBJECT_INHERIT_ACE | CONTAINER_INHERIT_ACE;
    if (!InitializeAcl(acl, sizeof security->list, ACL_REVISION) ||
        !AddAccessAllowedAceEx(acl, ACL_REVISION, flags, FILE_ALL_ACCESS,
                               security->token.user.User.Sid)) {
        return false;
    }
    if (access == DURE_FILE_OWNER_ONLY) {
        return true;
    }
    union {
        SID sid;
        uint8_t room[SECURITY_MAX_SID_SIZE];
    } everyone;
    DWORD len = sizeof everyone;
    return CreateWellKnownSid(WinWorldSid, NULL, &everyone, &len) &&
           AddAccessAllowedAceEx(acl, ACL_REVISION, flags, FILE_GENERIC_READ | FILE_GENERIC_EXECUTE,
                                 &everyone);
}

static dure_err file_security_init(file_security *security, dure_file_access access)
{
    SECURITY_DESCRIPTOR *descriptor = &security->descriptor;
    if (!file_find_user(security) || !file_fill_list(security, access) ||
        !InitializeSecurityDescriptor(descriptor, SECURITY_DESCRIPTOR_REVISION) ||
        !SetSecurityDescriptorDacl(descriptor, TRUE, &security->list.acl, FALSE) ||
        !SetSecurityDescriptorControl(descriptor, SE_DACL_PROTECTED, SE_DACL_PROTECTED)) {
        return file_last_error();
    }
    security->attributes = (SECURITY_ATTRIBUTES){.nLength = sizeof security->attributes,
                                                 .lpSecurityDescriptor = descriptor};
    return DURE_OK;
}

/* ---- waiting for others to let go ---- */

static bool file_is_busy(DWORD error)
{
    return error == ERROR_ACCESS_DENIED || error == ERROR_SHARING_VIOLATION ||
           error == ERROR_LOCK_VIOLATION || error == ERROR_DIR_NOT_EMPTY;
}

/* False when it was the last try, or what failed will not pass. */
static bool file_wait_busy(unsigned try)
{
    if (!file_is_busy(GetLastError()) || try + 1 >= FILE_BUSY_TRIES) {
        return false;
    }
    Sleep(FILE_BUSY_FIRST_MS << try);
    return true;
}

static bool file_is_folder(const wchar_t *path)
{
    DWORD attributes = GetFileAttributesW(path);
    return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

static dure_err file_replace(const wchar_t *from, const wchar_t *to)
{
    if (file_is_folder(to)) {
        return DURE_ERR_INVALID;
    }
    for (unsigned try = 0;; try++) {
        if (MoveFileExW(from, to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)) {
            return DURE_OK;
        }
        if (!file_wait_busy(try)) {
            return file_last_error();
        }
    }
}

static dure_err file_remove_one(const wchar_t *path)
{
    for (unsigned try = 0;; try++) {
        if (DeleteFileW(path)) {
            return DURE_OK;
        }
        if (file_is_folder(path) || !file_wait_busy(try)) {
            return file_last_error();
        }
    }
}

static dure_err file_remove_empty_folder(const wchar_t *path)
{
    for (unsigned try = 0;; try++) {
        if (RemoveDirectoryW(path)) {
            return DURE_OK;
        }
        if (!file_wait_busy(try)) {
            return file_last_error();
        }
    }
}

/* ---- reading ---- */

static dure_err file_read_all(HANDLE file, dure_buf *bytes)
{
    for (;;) {
        uint8_t *room = NULL;
        size_t left = dure_buf_cap(bytes) - bytes->len;
        size_t step = left < FILE_READ_STEP ? left : FILE_READ_STEP;
        char beyond;
        DWORD got = 0;
        dure_err err = dure_buf_reserve(bytes, step, &room);
        if (err != DURE_OK) {
            return err;
        }
        /* At the cap, one more byte tells whether the file ends here. */
        BOOL is_read = step > 0 ? ReadFile(file, room, (DWORD)step, &got, NULL)
                                : ReadFile(file, &beyond, 1, &got, NULL);
        if (!is_read && GetLastError() != ERROR_BROKEN_PIPE) {
            return file_last_error();
        }
        if (got == 0) {
            return DURE_OK;
        }
        if (step == 0) {
            return DURE_ERR_TOO_LARGE;
        }
        bytes->len += got;
    }
}

dure_err dure_file_read(const char *path, dure_buf *bytes)
{
    size_t old_len = bytes->len;
    wchar_t *wide = NULL;
    dure_err err = dure_path_widen(path, 0, &wide);
    if (err != DURE_OK) {
        return err;
    }
    HANDLE file =
        CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                    NULL, OPEN_EXISTING, FILE_FLAG_SEQUENTIAL_SCAN, NULL);
    if (file == INVALID_HANDLE_VALUE) {
        err = file_last_error();
        err = file_is_folder(wide) ? DURE_ERR_INVALID : err;
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

static dure_err file_write_all(HANDLE file, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        DWORD put = 0;
        DWORD step = len < (1u << 30) ? (DWORD)len : 1u << 30;
        if (!WriteFile(file, at, step, &put, NULL)) {
            return file_last_error();
        }
        at += put;
        len -= put;
    }
    return FlushFileBuffers(file) ? DURE_OK : file_last_error();
}

/* Seven characters that nobody can guess, after a dot: names that differ in case alone are one. */
static dure_err file_make_suffix(wchar_t suffix[FILE_SUFFIX_LEN + 2])
{
    static const wchar_t letters[] = L"abcdefghijklmnopqrstuvwxyz234567";
    uint8_t random[FILE_SUFFIX_LEN];
    if (!BCRYPT_SUCCESS(
            BCryptGenRandom(NULL, random, sizeof random, BCRYPT_USE_SYSTEM_PREFERRED_RNG))) {
        return DURE_ERR_SYSTEM;
    }
    suffix[0] = L'.';
    for (size_t i = 0; i < FILE_SUFFIX_LEN; i++) {
        suffix[i + 1] = letters[random[i] & 31];
    }
    suffix[FILE_SUFFIX_LEN + 1] = L'\0';
    return DURE_OK;
}

/* Makes a file of a name that is new: temp ends in the place where the suffix goes. */
static dure_err file_create_temp(wchar_t *temp, dure_file_access access, HANDLE *out_file)
{
    wchar_t *suffix = temp + wcslen(temp);
    file_security security;
    dure_err err = file_security_init(&security, access);
    for (int try = 0; try < FILE_NAME_TRIES && err == DURE_OK; try++) {
        err = file_make_suffix(suffix);
        if (err != DURE_OK) {
            break;
        }
        HANDLE file = CreateFileW(temp, GENERIC_WRITE, 0, &security.attributes, CREATE_NEW,
                                  FILE_ATTRIBUTE_NORMAL, NULL);
        if (file != INVALID_HANDLE_VALUE) {
            *out_file = file;
            return DURE_OK;
        }
        if (GetLastError() != ERROR_FILE_EXISTS) {
            err = file_last_error();
        }
    }
    return err == DURE_OK ? DURE_ERR_SYSTEM : err;
}

dure_err dure_file_write(const char *path, const void *data, size_t len, dure_file_access access)
{
    HANDLE file = INVALID_HANDLE_VALUE;
    wchar_t *wide = NULL;
    wchar_t *temp = NULL;
    bool is_made = false;
    dure_err err = dure_path_widen(path, 0, &wide);
    if (err != DURE_OK) {
        return err;
    }
    err = dure_path_widen(path, FILE_SUFFIX_LEN + 2, &temp);
    if (err != DURE_OK) {
        goto out;
    }
    err = file_create_temp(temp, access, &file);
    if (err != DURE_OK) {
        goto out;
    }
    is_made = true;
    err = file_write_all(file, data, len);
    (void)CloseHandle(file);
    if (err == DURE_OK) {
        err = file_replace(temp, wide);
        is_made = err != DURE_OK;
    }
out:
    if (is_made) {
        (void)DeleteFileW(temp);
    }
    dure_mem_free(temp);
    dure_mem_free(wide);
    return err;
}

dure_err dure_file_remove(const char *path)
{
    wchar_t *wide = NULL;
    dure_err err = dure_path_widen(path, 0, &wide);
    if (err == DURE_OK) {
        err = file_remove_one(wide);
    }
    dure_mem_free(wide);
    return err;
}

bool dure_file_exists(const char *path)
{
    wchar_t *wide = NULL;
    dure_err err = dure_path_widen(path, 0, &wide);
    bool is_there = err == DURE_OK && GetFileAttributesW(wide) != INVALID_FILE_ATTRIBUTES;
    dure_mem_free(wide);
    return is_there;
}

void dure_file_make_private(const char *path)
{
    (void)path;
}

/* ---- folders ---- */

static bool file_is_separator(char letter)
{
    return letter == '/' || letter == '\\';
}

/* Where the names of folders begin: behind "C:", behind "\\server\share", behind "/". */
static size_t file_root_len(const char *path)
{
    size_t len = 0;
    if (file_is_separator(path[0]) && file_is_separator(path[1])) {
        len = 2;
        for (int names = 0; names < 2; names++) {
            len += strcspn(path + len, "/\\");
            len += path[len] != '\0' ? 1u : 0u;
        }
        return len;
    }
    if (path[0] != '\0' && path[1] == ':') {
        len = 2;
    }
    return len + strspn(path + len, "/\\");
}

static dure_err file_make_one_folder(const char *path, SECURITY_ATTRIBUTES *attributes)
{
    wchar_t *wide = NULL;
    dure_err err = dure_path_widen(path, 0, &wide);
    if (err == DURE_OK && !CreateDirectoryW(wide, attributes)) {
        err = file_last_error();
        if (GetFileAttributesW(wide) != INVALID_FILE_ATTRIBUTES) {
            err = file_is_folder(wide) ? DURE_OK : DURE_ERR_EXISTS;
        }
    }
    dure_mem_free(wide);
    return err;
}

dure_err dure_file_make_folder(const char *path, dure_file_access access)
{
    file_security security;
    char *part = dure_mem_strdup(path);
    if (part == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_err err = file_security_init(&security, access);
    for (char *at = part + file_root_len(part); *at != '\0' && err == DURE_OK;) {
        at += strcspn(at, "/\\");
        char separator = *at;
        *at = '\0';
        err = file_make_one_folder(part, &security.attributes);
        *at = separator;
        at += strspn(at, "/\\");
    }
    dure_mem_free(part);
    return err;
}

/* The system's folder for temporary files, with slashes that may stand in JSON as they are. */
static dure_err file_temp_base(char *out, size_t out_size)
{
    wchar_t wide[MAX_PATH + 1];
    DWORD len = GetTempPathW(MAX_PATH + 1, wide);
    if (len == 0 || len > MAX_PATH) {
        return DURE_ERR_SYSTEM;
    }
    if (WideCharToMultiByte(CP_UTF8, 0, wide, -1, out, (int)out_size, NULL, NULL) == 0) {
        return file_last_error();
    }
    for (char *at = out; *at != '\0'; at++) {
        *at = *at == '\\' ? '/' : *at;
    }
    return DURE_OK;
}

dure_err dure_file_make_temp_folder(const char *prefix, char *out_path, size_t out_size)
{
    wchar_t suffix[FILE_SUFFIX_LEN + 2];
    char base[4 * MAX_PATH];
    file_security security;
    dure_err err = file_temp_base(base, sizeof base);
    if (err == DURE_OK) {
        err = file_security_init(&security, DURE_FILE_OWNER_ONLY);
    }
    for (int try = 0; try < FILE_NAME_TRIES && err == DURE_OK; try++) {
        wchar_t *wide = NULL;
        err = file_make_suffix(suffix);
        if (err != DURE_OK) {
            break;
        }
        int len = snprintf(out_path, out_size, "%s%s-%ls", base, prefix, suffix + 1);
        if (len < 0 || (size_t)len >= out_size) {
            return DURE_ERR_FULL;
        }
        err = dure_path_widen(out_path, 0, &wide);
        if (err != DURE_OK) {
            break;
        }
        BOOL is_made = CreateDirectoryW(wide, &security.attributes);
        err = is_made || GetLastError() == ERROR_ALREADY_EXISTS ? DURE_OK : file_last_error();
        dure_mem_free(wide);
        if (is_made) {
            return DURE_OK;
        }
    }
    return err == DURE_OK ? DURE_ERR_SYSTEM : err;
}

static bool file_is_dots(const wchar_t *name)
{
    return wcscmp(name, L".") == 0 || wcscmp(name, L"..") == 0;
}

/* Removes an entry that is not a folder of its own: a file, or a link to either. */
static dure_err file_remove_entry(const wchar_t *path, DWORD attributes)
{
    if ((attributes & FILE_ATTRIBUTE_READONLY) != 0) {
        (void)SetFileAttributesW(path, FILE_ATTRIBUTE_NORMAL);
    }
    return (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0 ? file_remove_empty_folder(path)
                                                        : file_remove_one(path);
}

/*
 * Removes what lies in the folder path[0, len), until a folder is met: then path goes on with its
 * name and *out_len is past it; else *out_len is len and the folder is empty.
 */
static dure_err file_clear_folder(wchar_t *path, size_t len, size_t *out_len)
{
    WIN32_FIND_DATAW entry;
    dure_err err = DURE_OK;
    *out_len = len;
    memcpy(path + len, L"\\*", sizeof L"\\*");
    HANDLE search = FindFirstFileW(path, &entry);
    path[len] = L'\0';
    if (search == INVALID_HANDLE_VALUE) {
        return file_last_error();
    }
    do {
        size_t name_len = wcslen(entry.cFileName);
        if (file_is_dots(entry.cFileName)) {
            continue;
        }
        if (len + 1 + name_len + sizeof "\\*" > FILE_REMOVE_MAX) {
            err = DURE_ERR_TOO_LARGE;
            break;
        }
        path[len] = L'\\';
        memcpy(path + len + 1, entry.cFileName, (name_len + 1) * sizeof *path);
        const DWORD kind = FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT;
        if ((entry.dwFileAttributes & kind) == FILE_ATTRIBUTE_DIRECTORY) {
            *out_len = len + 1 + name_len;
            break;
        }
        err = file_remove_entry(path, entry.dwFileAttributes);
        path[len] = L'\0';
    } while (err == DURE_OK && FindNextFileW(search, &entry));
    (void)FindClose(search);
    return err;
}

/* Deepest first, without recursion: path is where we stand, and root_len where we began. */
static dure_err file_remove_tree(wchar_t *path, size_t root_len)
{
    size_t len = root_len;
    for (;;) {
        size_t next_len = len;
        dure_err err = file_clear_folder(path, len, &next_len);
        if (err != DURE_OK) {
            return err;
        }
        if (next_len > len) {
            len = next_len;
            continue;
        }
        err = file_remove_empty_folder(path);
        if (err != DURE_OK || len == root_len) {
            return err;
        }
        while (path[--len] != L'\\') {
        }
        path[len] = L'\0';
    }
}

dure_err dure_file_remove_folder(const char *path)
{
    wchar_t *wide = NULL;
    wchar_t *at = NULL;
    dure_err err = dure_path_widen(path, 0, &wide);
    if (err != DURE_OK) {
        return err;
    }
    size_t len = wcslen(wide);
    DWORD attributes = GetFileAttributesW(wide);
    if (attributes == INVALID_FILE_ATTRIBUTES) {
        err = file_last_error();
        goto out;
    }
    if ((attributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0) {
        err = file_remove_entry(wide, attributes);
        goto out;
    }
    at = dure_mem_alloc_array(FILE_REMOVE_MAX, sizeof *at);
    err = at == NULL                   ? DURE_ERR_NO_MEMORY
          : len + 2 >= FILE_REMOVE_MAX ? DURE_ERR_TOO_LARGE
                                       : DURE_OK;
    if (err == DURE_OK) {
        memcpy(at, wide, len * sizeof *at);
        err = file_remove_tree(at, len);
    }
out:
    dure_mem_free(at);
    dure_mem_free(wide);
    return err;
}
