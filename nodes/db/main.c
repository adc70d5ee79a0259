/* SPDX-License-Identifier: MIT
 *
 * dure-db: a node of the role db.
 */
#include "nodes/db/role.h"

int main(int argc, char **argv)
{
    return dure_node_main(argc, argv, &dure_role_db);
}
