/* SPDX-License-Identifier: MIT
 *
 * What a failed assertion prints: one line that a log search finds.
 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void dure_assert_failed(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "ASSERTION_FAILED condition=\"%s\" place=%s:%d\n", condition, file, line);
    abort();
}
