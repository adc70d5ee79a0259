/* SPDX-License-Identifier: MIT
 *
 * Secrets are their owner's alone, a failed write leaves nothing, links are not followed.
 */
#include "base/file.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/place.h"

static unsigned mode_of(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (unsigned)status.st_mode & 0777u : 0;
}

static void what_others_may_is_taken_from_a_file_and_not_through_a_link(void)
{
    place here;
    char link[PATH_MAX + 128];
    enter(&here);
    DURE_CHECK_OK(dure_file_write(here.file, "x", 1, DURE_FILE_EVERYONE));
    (void)snprintf(link, sizeof link, "%s.link", here.file);
    DURE_REQUIRE(symlink(here.file, link) == 0);
    dure_file_make_private(link);
    DURE_CHECK_EQ(mode_of(here.file), 0644);
    dure_file_make_private(here.file);
    DURE_CHECK_EQ(mode_of(here.file), 0600);
    dure_file_make_private(here.folder);
    DURE_CHECK_EQ(mode_of(here.folder), 0700);
    DURE_CHECK_OK(dure_file_remove(link));
    dure_file_make_private(link); /* nothing is there */
    DURE_CHECK_OK(dure_file_remove(here.file));
    leave(&here);
}

static void a_secret_is_its_owners_alone(void)
{
    place here;
    enter(&here);
    DURE_CHECK_EQ(mode_of(here.folder), 0700);
    DURE_CHECK_OK(dure_file_write(here.file, "x", 1, DURE_FILE_OWNER_ONLY));
    DURE_CHECK_EQ(mode_of(here.file), 0600);
    DURE_CHECK_OK(dure_file_write(here.file, "x", 1, DURE_FILE_EVERYONE));
    DURE_CHECK_EQ(mode_of(here.file), 0644);
    DURE_CHECK_OK(dure_file_remove(here.file));
    DURE_CHECK(!dure_file_exists(here.file));
    leave(&here);
}

static void removing_a_folder_does_not_follow_links(void)
{
    place here, other;
    char link[PATH_MAX + 80];
    enter(&here);
    enter(&other);
    (void)snprintf(link, sizeof link, "%s/link", here.folder);
    DURE_REQUIRE_OK(dure_file_write(other.file, "x", 1, DURE_FILE_EVERYONE));
    DURE_REQUIRE(symlink(other.folder, link) == 0);
    leave(&here);
    DURE_CHECK(dure_file_exists(other.file));
    leave(&other);
}

/* rmdir removes only what is empty. */
static void a_write_that_fails_leaves_its_folder_empty(void)
{
    place here;
    enter(&here);
    DURE_REQUIRE_OK(dure_file_make_folder(here.file, DURE_FILE_EVERYONE));
    DURE_CHECK(dure_file_write(here.file, "x", 1, DURE_FILE_EVERYONE) != DURE_OK);
    DURE_CHECK_EQ(rmdir(here.file), 0);
    DURE_CHECK_EQ(rmdir(here.folder), 0);
}

static void folders_on_the_way_are_their_owners_alone(void)
{
    place here;
    char deep[PATH_MAX + 80];
    enter(&here);
    (void)snprintf(deep, sizeof deep, "%s/a/b", here.folder);
    DURE_CHECK_OK(dure_file_make_folder(deep, DURE_FILE_OWNER_ONLY));
    DURE_CHECK_EQ(mode_of(deep), 0700);
    leave(&here);
}

DURE_SUITE(base_file_posix, DURE_TEST(what_others_may_is_taken_from_a_file_and_not_through_a_link),
           DURE_TEST(a_secret_is_its_owners_alone),
           DURE_TEST(removing_a_folder_does_not_follow_links),
           DURE_TEST(a_write_that_fails_leaves_its_folder_empty),
           DURE_TEST(folders_on_the_way_are_their_owners_alone));
