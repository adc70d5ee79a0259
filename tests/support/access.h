/* SPDX-License-Identifier: MIT
 *
 * Who may read what a test made.
 */
#ifndef DURE_TESTS_SUPPORT_ACCESS_H
#define DURE_TESTS_SUPPORT_ACCESS_H

#include <stdbool.h>

/* Whether the present user alone may do anything with a file or folder; ends the test where that
 * cannot be told. */
bool access_is_owners_alone(const char *path);

#endif
