/* SPDX-License-Identifier: MIT
 *
 * What a failed assertion prints: one line that a log search finds, behind what the logs still
 * hold. The process has to end also where nobody reads it.
 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_writer.h"

void dure_assert_failed(const char *condition, const char *file, int line)
{
    char text[1024];
    (void)snprintf(text, sizeof text, "ASSERTION_FAILED condition=\"%.512s\" place=%.256s:%d\n",
                   condition, file, line);
    dure_log_last_words(text, strlen(text));
    abort();
}
