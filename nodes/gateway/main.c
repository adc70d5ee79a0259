/* SPDX-License-Identifier: MIT
 *
 * dure-gateway: a node of the role gateway.
 */
#include "nodes/gateway/role.h"

int main(int argc, char **argv)
{
    return dure_node_main(argc, argv, &dure_role_gateway);
}
