/* SPDX-License-Identifier: MIT
 *
 * A db node on a disk that obeys the file named in DURE_TEST_DISK.
 */
#include <stdlib.h>

#include "fault_vfs.h"
#include "nodes/db/role.h"

int main(int argc, char **argv)
{
    fault_disk disk = {.orders = getenv("DURE_TEST_DISK")};
    fault_vfs_register(&disk);
    return dure_node_main(argc, argv, &dure_role_db);
}
