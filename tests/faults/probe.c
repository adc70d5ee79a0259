/* SPDX-License-Identifier: MIT
 *
 * A test that ends as its argument says: well, badly, abort, or hang (until it is killed); for
 * test_leftovers.py, which looks at what is left. Prints where the cluster keeps its files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clusters.h"
#include "harness/harness.h"

static void story(dure_harness *h, void *ctx)
{
    const char *how = ctx;
    (void)printf("%s\n", dure_harness_folder(h));
    (void)fflush(stdout);
    if (strcmp(how, "badly") == 0) {
        (void)dure_harness_check(h, false, "the probe is well");
    } else if (strcmp(how, "abort") == 0) {
        abort();
    } else if (strcmp(how, "hang") == 0) {
        (void)dure_harness_wait_log(h, "db-1", "never said", 1, 60000);
    }
}

int main(int argc, char **argv)
{
    char how[16];
    const dure_harness_config config = {.json = CLUSTER_OF_THREE("")};
    (void)snprintf(how, sizeof how, "%s", argc > 1 ? argv[1] : "well");
    return dure_harness_run(&config, story, how);
}
