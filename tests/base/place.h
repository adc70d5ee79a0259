/* SPDX-License-Identifier: MIT
 *
 * A temporary folder, and a file in it that a case may make.
 */
#ifndef DURE_TESTS_BASE_PLACE_H
#define DURE_TESTS_BASE_PLACE_H

#include "base/file.h"
#include "support/check.h"

#define PLACE_PATH_MAX 4096

typedef struct place {
    char folder[PLACE_PATH_MAX];
    char file[PLACE_PATH_MAX + 64];
} place;

static inline void enter(place *here)
{
    DURE_REQUIRE_OK(dure_file_make_temp_folder("dure-test", here->folder, sizeof here->folder));
    (void)snprintf(here->file, sizeof here->file, "%s/file", here->folder);
}

static inline void leave(const place *here)
{
    DURE_CHECK_OK(dure_file_remove_folder(here->folder));
    DURE_CHECK(!dure_file_exists(here->folder));
}

#endif
