/* SPDX-License-Identifier: MIT
 *
 * The dynamic ports of Windows since Vista, which are those of RFC 6335. "netsh int ipv4 set
 * dynamicport" can move them; no function of the system tells where to.
 */
#include "cluster/ephemeral.h"

void dure_ephemeral_range(uint16_t *out_first, uint16_t *out_last)
{
    *out_first = 49152;
    *out_last = 65535;
}
