/* SPDX-License-Identifier: MIT
 *
 * The role of the README, whole: a program outside dure's tree, built from an installation.
 */
#include <dure.h>

#include "greeter.role.h"

static void on_greet(dure_request *request, const greet_params *in, void *state)
{
    greet_result out = {.text = in->name};
    (void)state;
    greeter_reply_greet(request, &out);
}

static const dure_role greeter = {
    .name = "greeter",
    .methods = greeter_methods,
};

int main(int argc, char **argv)
{
    return dure_node_main(argc, argv, &greeter);
}
