/* SPDX-License-Identifier: MIT
 *
 * Every limit of docs/wire.md, section 4, once.
 */
#ifndef DURE_WIRE_LIMITS_H
#define DURE_WIRE_LIMITS_H

#define DURE_WIRE_CLIENT_MESSAGE_MAX 65536u /* bytes of a client's message after login */
/* Before login: bytes in, and bytes waiting to go out. */
#define DURE_WIRE_CLIENT_STRANGER_MAX 4096u
#define DURE_WIRE_LINK_FRAME_MAX      1048576u /* bytes of a link frame, the length field included */
#define DURE_WIRE_LINK_STRANGER_MAX   4096u    /* bytes of a link frame before welcome */
#define DURE_WIRE_DEPTH_MAX           32u      /* containers in containers */
#define DURE_WIRE_ELEMENTS_MAX        65536u   /* of all containers of one message together */
#define DURE_WIRE_HANDSHAKE_MS        2000u    /* the handshake of a link, whole */

#endif
