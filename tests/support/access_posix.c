/* SPDX-License-Identifier: MIT
 *
 * The bits of a file's mode.
 */
#include "support/access.h"

#include <sys/stat.h>

#include "support/check.h"

bool access_is_owners_alone(const char *path)
{
    struct stat status;
    DURE_REQUIRE(stat(path, &status) == 0);
    return (status.st_mode & 0777u) == (S_ISDIR(status.st_mode) ? 0700u : 0600u);
}
