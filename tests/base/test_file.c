/* SPDX-License-Identifier: MIT
 *
 * Files are read and written whole or not at all. test_file_posix.c and test_file_win32.c hold what
 * is a system's own: who may read them, links.
 */
#include "base/file.h"

#include "base/mem.h"
#include "base/place.h"

static void what_was_written_is_read(void)
{
    place here;
    dure_buf bytes;
    static char content[10000];
    memset(content, 'x', sizeof content);
    enter(&here);
    dure_buf_init(&bytes, sizeof content);
    DURE_CHECK_OK(dure_file_write(here.file, content, sizeof content, DURE_FILE_EVERYONE));
    DURE_CHECK_OK(dure_file_read(here.file, &bytes));
    DURE_CHECK_BYTES(bytes.data, bytes.len, content, sizeof content);
    DURE_CHECK_OK(dure_file_write(here.file, "", 0, DURE_FILE_EVERYONE));
    dure_buf_clear(&bytes);
    DURE_CHECK_OK(dure_file_read(here.file, &bytes));
    DURE_CHECK_EQ(bytes.len, 0);
    dure_buf_fini(&bytes);
    leave(&here);
}

static void a_file_past_the_cap_is_too_large(void)
{
    place here;
    dure_buf bytes;
    enter(&here);
    dure_buf_init(&bytes, 5);
    DURE_REQUIRE_OK(dure_buf_append(&bytes, "a", 1));
    DURE_REQUIRE_OK(dure_file_write(here.file, "12345", 5, DURE_FILE_EVERYONE));
    DURE_CHECK_ERR(dure_file_read(here.file, &bytes), DURE_ERR_TOO_LARGE);
    DURE_CHECK_BYTES(bytes.data, bytes.len, "a", 1u);
    DURE_REQUIRE_OK(dure_file_write(here.file, "1234", 4, DURE_FILE_EVERYONE));
    DURE_CHECK_OK(dure_file_read(here.file, &bytes));
    DURE_CHECK_BYTES(bytes.data, bytes.len, "a1234", 5u);
    dure_buf_fini(&bytes);
    leave(&here);
}

static void what_is_not_there_cannot_be_read(void)
{
    place here;
    dure_buf bytes;
    enter(&here);
    dure_buf_init(&bytes, 10);
    DURE_CHECK(!dure_file_exists(here.file));
    DURE_CHECK_ERR(dure_file_read(here.file, &bytes), DURE_ERR_NOT_FOUND);
    DURE_CHECK_ERR(dure_file_remove(here.file), DURE_ERR_NOT_FOUND);
    DURE_CHECK_ERR(dure_file_read(here.folder, &bytes), DURE_ERR_INVALID);
    dure_buf_fini(&bytes);
    leave(&here);
}

static void a_write_that_fails_leaves_nothing_behind(void)
{
    place here;
    char inside[PLACE_PATH_MAX + 80];
    enter(&here);
    (void)snprintf(inside, sizeof inside, "%s/missing/file", here.folder);
    DURE_CHECK_ERR(dure_file_write(inside, "x", 1, DURE_FILE_EVERYONE), DURE_ERR_NOT_FOUND);
    /* A folder in the file's place: the rename fails, and the new file must go again. */
    DURE_REQUIRE_OK(dure_file_make_folder(here.file, DURE_FILE_EVERYONE));
    DURE_CHECK(dure_file_write(here.file, "x", 1, DURE_FILE_EVERYONE) != DURE_OK);
    DURE_CHECK_OK(dure_file_remove_folder(here.file));
    leave(&here);
}

static void folders_are_made_all_the_way_down(void)
{
    place here;
    char deep[PLACE_PATH_MAX + 80];
    enter(&here);
    (void)snprintf(deep, sizeof deep, "%s/a//b/c/", here.folder);
    DURE_CHECK_OK(dure_file_make_folder(deep, DURE_FILE_OWNER_ONLY));
    DURE_CHECK_OK(dure_file_make_folder(deep, DURE_FILE_OWNER_ONLY));
    DURE_REQUIRE_OK(dure_file_write(here.file, "x", 1, DURE_FILE_EVERYONE));
    DURE_CHECK_ERR(dure_file_make_folder(here.file, DURE_FILE_EVERYONE), DURE_ERR_EXISTS);
    leave(&here);
}

static void a_path_without_room_is_not_made(void)
{
    char small[8];
    DURE_CHECK_ERR(dure_file_make_temp_folder("dure-test", small, sizeof small), DURE_ERR_FULL);
}

static void without_memory_nothing_is_written(void)
{
    place here;
    dure_buf bytes;
    enter(&here);
    dure_mem_fail_nth(1);
    DURE_CHECK_ERR(dure_file_write(here.file, "x", 1, DURE_FILE_EVERYONE), DURE_ERR_NO_MEMORY);
    dure_mem_fail_nth(1);
    DURE_CHECK_ERR(dure_file_make_folder(here.file, DURE_FILE_EVERYONE), DURE_ERR_NO_MEMORY);
    dure_mem_fail_nth(0);
    DURE_CHECK(!dure_file_exists(here.file));
    DURE_REQUIRE_OK(dure_file_write(here.file, "x", 1, DURE_FILE_EVERYONE));
    dure_buf_init(&bytes, 10);
    dure_mem_fail_nth(1);
    DURE_CHECK_ERR(dure_file_read(here.file, &bytes), DURE_ERR_NO_MEMORY);
    dure_mem_fail_nth(0);
    dure_buf_fini(&bytes);
    leave(&here);
}

DURE_SUITE(base_file, DURE_TEST(what_was_written_is_read),
           DURE_TEST(a_file_past_the_cap_is_too_large), DURE_TEST(what_is_not_there_cannot_be_read),
           DURE_TEST(a_write_that_fails_leaves_nothing_behind),
           DURE_TEST(folders_are_made_all_the_way_down), DURE_TEST(a_path_without_room_is_not_made),
           DURE_TEST(without_memory_nothing_is_written));
