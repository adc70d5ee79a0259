/* SPDX-License-Identifier: MIT
 *
 * Secrets are their owner's alone: no entry of their access list names another user.
 */
#include "base/file.h"

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

DURE_SUITE(base_file_win32, DURE_TEST(a_secret_is_its_owners_alone), DURE_TEST(names_are_utf8));
