/* SPDX-License-Identifier: MIT
 *
 * A program that sees nothing of dure but what was installed: it takes a function from each end of
 * the library, so that linking needs all that the library needs.
 */
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/rng.h"

int main(void)
{
    dure_buf buf;
    dure_rng rng;
    dure_buf_init(&buf, 16);
    dure_rng_init(&rng, 1);
    dure_err err = dure_buf_append(&buf, "hello", 5);
    if (err == DURE_OK) {
        printf("%.*s %s %d\n", (int)buf.len, (const char *)buf.data, dure_err_name(DURE_ERR_CLOSED),
               dure_rng_below(&rng, 10) < 10);
    }
    dure_buf_fini(&buf);
    return err == DURE_OK ? 0 : 1;
}
