/* SPDX-License-Identifier: MIT
 *
 * Windows' half of node/data_folder.h: the owner and the access list. What the system, its
 * administrators or the owner may do is taken for granted, as the superuser's rights are elsewhere.
 */
#include "node/data_folder.h"

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "base/path_win32.h"

#define PATH_BYTES       4096u
#define DESCRIPTOR_BYTES 65536u /* the most that the system keeps of an access list */

typedef union user_token {
    TOKEN_USER user;
    uint8_t room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
} user_token;

void dure_data_folder_make_private_files(void)
{
    /* A file has the access list of its folder, which is the owner's alone. */
}

static bool find_user(user_token *token)
{
    HANDLE handle = NULL;
    DWORD len = 0;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &handle)) {
        return false;
    }
    bool is_found = GetTokenInformation(handle, TokenUser, token, sizeof *token, &len) != FALSE;
    (void)CloseHandle(handle);
    return is_found;
}

static bool is_one_of(PSID sid, const WELL_KNOWN_SID_TYPE *types, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (IsWellKnownSid(sid, types[i])) {
            return true;
        }
    }
    return false;
}

/* The user, or who may do everything anyway. */
static bool is_trusted(PSID sid, const user_token *token)
{
    static const WELL_KNOWN_SID_TYPE types[] = {WinLocalSystemSid, WinBuiltinAdministratorsSid,
                                                WinCreatorOwnerSid};
    return EqualSid(sid, token->user.User.Sid) || is_one_of(sid, types, DURE_COUNT_OF(types));
}

static bool is_everybody(PSID sid)
{
    static const WELL_KNOWN_SID_TYPE types[] = {
        WinWorldSid,       WinBuiltinUsersSid, WinAuthenticatedUserSid, WinBuiltinGuestsSid,
        WinInteractiveSid, WinNetworkSid,      WinAnonymousSid};
    return is_one_of(sid, types, DURE_COUNT_OF(types));
}

static dure_data_folder_access worse_of(dure_data_folder_access a, dure_data_folder_access b)
{
    return a > b ? a : b;
}

static dure_data_folder_access look_at_list(PACL list, const user_token *token)
{
    dure_data_folder_access access = DURE_DATA_FOLDER_PRIVATE;
    for (DWORD i = 0; i < list->AceCount; i++) {
        void *entry = NULL;
        if (!GetAce(list, i, &entry)) {
            return DURE_DATA_FOLDER_OPEN;
        }
        const ACE_HEADER *header = entry;
        ACCESS_ALLOWED_ACE *allowed = entry;
        if (header->AceType != ACCESS_ALLOWED_ACE_TYPE || is_trusted(&allowed->SidStart, token)) {
            continue;
        }
        access = worse_of(access, is_everybody(&allowed->SidStart) ? DURE_DATA_FOLDER_OPEN
                                                                   : DURE_DATA_FOLDER_SHARED);
    }
    return access;
}

static const char *look_at_descriptor(PSECURITY_DESCRIPTOR descriptor, const user_token *token,
                                      dure_data_folder_access *out_access)
{
    PSID owner = NULL;
    PACL list = NULL;
    BOOL is_there = FALSE;
    BOOL is_default = FALSE;
    *out_access = DURE_DATA_FOLDER_OPEN;
    if (!GetSecurityDescriptorOwner(descriptor, &owner, &is_default) || owner == NULL ||
        !is_trusted(owner, token)) {
        return "it is another user's";
    }
    if (!GetSecurityDescriptorDacl(descriptor, &is_there, &list, &is_default) || !is_there ||
        list == NULL) {
        return "it has no access list, which lets everybody in";
    }
    *out_access = look_at_list(list, token);
    return *out_access == DURE_DATA_FOLDER_OPEN ? "its access list lets everybody in"
                                                : "its access list lets other users in";
}

dure_err dure_data_folder_look(const char *path, dure_data_folder_access *out_access,
                               char *out_text)
{
    user_token token;
    wchar_t *wide = NULL;
    DWORD needed = 0;
    DWORD system_error = ERROR_SUCCESS;
    out_text[0] = '\0';
    if (strlen(path) > PATH_BYTES) {
        return DURE_ERR_TOO_LARGE;
    }
    void *room = dure_mem_alloc(DESCRIPTOR_BYTES);
    dure_err err = room != NULL ? dure_path_widen(path, 0, &wide) : DURE_ERR_NO_MEMORY;
    if (err == DURE_OK &&
        (!find_user(&token) ||
         !GetFileSecurityW(wide, OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION, room,
                           DESCRIPTOR_BYTES, &needed))) {
        system_error = GetLastError();
        err = dure_err_from_system((int)system_error);
    }
    if (err == DURE_OK) {
        const char *what = look_at_descriptor(room, &token, out_access);
        if (*out_access != DURE_DATA_FOLDER_PRIVATE) {
            (void)snprintf(out_text, DURE_DATA_FOLDER_TEXT_MAX,
                           "%s: icacls \"%s\" /inheritance:r /grant:r \"%%USERNAME%%:(OI)(CI)F\"",
                           what, path);
        }
    }
    dure_mem_free(wide);
    dure_mem_free(room);
    return err;
}
