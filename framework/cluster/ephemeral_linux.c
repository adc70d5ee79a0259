/* SPDX-License-Identifier: MIT
 *
 * Linux says it in /proc (ip(7)); RFC 6335 says 49152 to 65535 where that cannot be read.
 */
#include "cluster/ephemeral.h"

#include <stdio.h>

void dure_ephemeral_range(uint16_t *out_first, uint16_t *out_last)
{
    unsigned first = 49152;
    unsigned last = 65535;
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
    if (file != NULL) {
        unsigned read_first;
        unsigned read_last;
        if (fscanf(file, "%u %u", &read_first, &read_last) == 2 && read_last <= 65535) {
            first = read_first;
            last = read_last;
        }
        (void)fclose(file);
    }
    *out_first = (uint16_t)first;
    *out_last = (uint16_t)last;
}
