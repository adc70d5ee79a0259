/* SPDX-License-Identifier: MIT
 *
 * A link that breaks while the processes at both of its ends live on.
 */
#ifndef DURE_TESTS_SUPPORT_CUT_LINK_H
#define DURE_TESTS_SUPPORT_CUT_LINK_H

#include "cluster/rpc.h"

/* Ends the connection of the link to a peer at once, where there is one. */
void cut_link(dure_rpc *rpc, const char *peer);

#endif
