/* SPDX-License-Identifier: MIT
 *
 * The entries of a file's access list.
 */
#include "support/access.h"

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include "support/check.h"

/* Whether an entry of an access list names the present user, or the system itself, which reads
 * everything anyway and which Wine adds. */
static bool is_own(PSID sid)
{
    union {
        TOKEN_USER user;
        uint8_t room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
    } token;
    HANDLE handle = NULL;
    DWORD len = 0;
    DURE_REQUIRE(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &handle) != FALSE);
    DURE_REQUIRE(GetTokenInformation(handle, TokenUser, &token, sizeof token, &len) != FALSE);
    (void)CloseHandle(handle);
    return EqualSid(sid, token.user.User.Sid) || IsWellKnownSid(sid, WinLocalSystemSid);
}

/* Entries that let somebody else in; a path without a list lets everybody in. */
static uint32_t strangers_of(const char *path)
{
    union {
        SECURITY_DESCRIPTOR descriptor;
        uint8_t room[4096];
    } found;
    DWORD needed = 0;
    BOOL is_there = FALSE;
    BOOL is_default = FALSE;
    PACL list = NULL;
    uint32_t count = 0;
    DURE_REQUIRE(GetFileSecurityA(path, DACL_SECURITY_INFORMATION, &found.descriptor, sizeof found,
                                  &needed) != FALSE);
    DURE_REQUIRE(GetSecurityDescriptorDacl(&found.descriptor, &is_there, &list, &is_default) !=
                 FALSE);
    if (!is_there || list == NULL) {
        return UINT32_MAX;
    }
    for (DWORD i = 0; i < list->AceCount; i++) {
        void *entry = NULL;
        DURE_REQUIRE(GetAce(list, i, &entry) != FALSE);
        const ACE_HEADER *header = entry;
        ACCESS_ALLOWED_ACE *allowed = entry;
        count += header->AceType == ACCESS_ALLOWED_ACE_TYPE && !is_own(&allowed->SidStart);
    }
    return count;
}

bool access_is_owners_alone(const char *path)
{
    return strangers_of(path) == 0;
}
