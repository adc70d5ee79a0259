/* SPDX-License-Identifier: MIT
 *
 * The ports that the system gives to dialled connections: a listener among them can find its port
 * taken, or a dialler can meet itself.
 */
#ifndef DURE_CLUSTER_EPHEMERAL_H
#define DURE_CLUSTER_EPHEMERAL_H

#include <stdint.h>

/* First and last port of the range (ip(7), ip_local_port_range). Thread: any. */
void dure_ephemeral_range(uint16_t *out_first, uint16_t *out_last);

#endif
