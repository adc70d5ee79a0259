/* SPDX-License-Identifier: MIT
 *
 * Secrets are their owner's alone: no entry of their access list names another user.
 */
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include <stdio.h>

#include "base/file.h"
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

static void a_secret_is_its_owners_alone(void)
{
    char folder[1024];
    char file[1100];
    DURE_REQUIRE_OK(dure_file_make_temp_folder("dure-test", folder, sizeof folder));
    (void)snprintf(file, sizeof file, "%s/secret", folder);
    DURE_CHECK_EQ(strangers_of(folder), 0);
    DURE_CHECK_OK(dure_file_write(file, "x", 1, DURE_FILE_OWNER_ONLY));
    DURE_CHECK_EQ(strangers_of(file), 0);
    DURE_CHECK_OK(dure_file_remove_folder(folder));
    DURE_CHECK(!dure_file_exists(folder));
}

/* UTF-8, with either slash, as everywhere in this framework. */
static void names_are_utf8(void)
{
    char folder[1024];
    char file[1100];
    DURE_REQUIRE_OK(dure_file_make_temp_folder("dure-test", folder, sizeof folder));
    (void)snprintf(file, sizeof file, "%s\\\xed\x95\x9c\xea\xb8\x80/a", folder);
    DURE_CHECK_OK(dure_file_make_folder(file, DURE_FILE_EVERYONE));
    (void)snprintf(file, sizeof file, "%s/\xed\x95\x9c\xea\xb8\x80\\a\\b", folder);
    DURE_CHECK_OK(dure_file_write(file, "x", 1, DURE_FILE_EVERYONE));
    DURE_CHECK(dure_file_exists(file));
    DURE_CHECK_ERR(dure_file_write("\xff", "x", 1, DURE_FILE_EVERYONE), DURE_ERR_INVALID);
    DURE_CHECK_OK(dure_file_remove_folder(folder));
}

DURE_SUITE(base_file_win32, DURE_TEST(a_secret_is_its_owners_alone), DURE_TEST(names_are_utf8));
