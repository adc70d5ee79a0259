/* SPDX-License-Identifier: MIT
 *
 * dure-game: a node of the role game.
 */
#include "nodes/game/role.h"

int main(int argc, char **argv)
{
    return dure_node_main(argc, argv, &dure_role_game);
}
