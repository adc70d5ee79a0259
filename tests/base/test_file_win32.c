/* SPDX-License-Identifier: MIT
 *
 * Secrets are their owner's alone, names are UTF-8, and others may hold files open for a moment.
 */
#include "base/file.h"

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include <stdio.h>

#include "support/access.h"
#include "support/check.h"

static void a_secret_is_its_owners_alone(void)
{
    char folder[1024];
    char file[1100];
    DURE_REQUIRE_OK(dure_file_make_temp_folder("dure-test", folder, sizeof folder));
    (void)snprintf(file, sizeof file, "%s/secret", folder);
    DURE_CHECK(access_is_owners_alone(folder));
    DURE_CHECK_OK(dure_file_write(file, "x", 1, DURE_FILE_OWNER_ONLY));
    DURE_CHECK(access_is_owners_alone(file));
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

static void folders_below_a_secret_one_are_removed_with_it(void)
{
    char folder[1024];
    char deep[1200];
    DURE_REQUIRE_OK(dure_file_make_temp_folder("dure-test", folder, sizeof folder));
    for (int i = 0; i < 3; i++) {
        (void)snprintf(deep, sizeof deep, "%s/%d/a/b/c/d", folder, i);
        DURE_REQUIRE_OK(dure_file_make_folder(deep, DURE_FILE_OWNER_ONLY));
        DURE_CHECK(access_is_owners_alone(deep));
        (void)snprintf(deep, sizeof deep, "%s/%d/a/file", folder, i);
        DURE_REQUIRE_OK(dure_file_write(deep, "x", 1, DURE_FILE_EVERYONE));
        DURE_REQUIRE(SetFileAttributesA(deep, FILE_ATTRIBUTE_READONLY) != FALSE);
    }
    DURE_CHECK_OK(dure_file_remove_folder(folder));
    DURE_CHECK(!dure_file_exists(folder));
    DURE_CHECK_ERR(dure_file_remove_folder(folder), DURE_ERR_NOT_FOUND);
}

typedef struct holder {
    HANDLE file;
    HANDLE never; /* an event that nobody sets */
} holder;

/* Lets go of a file after 20 ms, as a virus scanner does. */
static DWORD WINAPI hold_for_a_moment(void *ctx)
{
    const holder *self = ctx;
    DWORD result = WaitForSingleObject(self->never, 20);
    (void)CloseHandle(self->file);
    return result;
}

static void a_file_that_another_holds_for_a_moment_is_replaced(void)
{
    char folder[1024];
    char file[1100];
    dure_buf bytes;
    DURE_REQUIRE_OK(dure_file_make_temp_folder("dure-test", folder, sizeof folder));
    (void)snprintf(file, sizeof file, "%s/file", folder);
    DURE_REQUIRE_OK(dure_file_write(file, "old", 3, DURE_FILE_EVERYONE));
    holder self = {.never = CreateEventW(NULL, TRUE, FALSE, NULL)};
    self.file = CreateFileA(file, GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL);
    DURE_REQUIRE(self.never != NULL && self.file != INVALID_HANDLE_VALUE);
    HANDLE thread = CreateThread(NULL, 0, hold_for_a_moment, &self, 0, NULL);
    DURE_REQUIRE(thread != NULL);
    DURE_CHECK_OK(dure_file_write(file, "new", 3, DURE_FILE_EVERYONE));
    DURE_CHECK_EQ(WaitForSingleObject(thread, INFINITE), WAIT_OBJECT_0);
    (void)CloseHandle(thread);
    (void)CloseHandle(self.never);
    dure_buf_init(&bytes, 10);
    DURE_CHECK_OK(dure_file_read(file, &bytes));
    DURE_CHECK_BYTES(bytes.data, bytes.len, "new", 3u);
    dure_buf_fini(&bytes);
    DURE_CHECK_OK(dure_file_remove_folder(folder));
}

DURE_SUITE(base_file_win32, DURE_TEST(a_secret_is_its_owners_alone), DURE_TEST(names_are_utf8),
           DURE_TEST(folders_below_a_secret_one_are_removed_with_it),
           DURE_TEST(a_file_that_another_holds_for_a_moment_is_replaced));
