/* SPDX-License-Identifier: MIT
 *
 * Between JSON, which people type, and MessagePack, which nodes speak.
 */
#ifndef DURE_TOOLS_DURE_JSON_MSGPACK_H
#define DURE_TOOLS_DURE_JSON_MSGPACK_H

#include "base/buf.h"
#include "base/str.h"

/*
 * Appends a JSON text as one MessagePack object; whole numbers become integers. Fails: SYNTAX,
 * INVALID (the escape of U+0000, or a number beyond a double: neither can be passed on as it is),
 * TOO_DEEP, FULL, NO_MEMORY.
 */
DURE_CHECKED dure_err json_to_msgpack(const char *json, dure_buf *out);

/*
 * Appends one MessagePack object as JSON text on one line. bin is written as base16 in a string,
 * keys that are no strings as their JSON text, and what JSON has no number for (infinite, or none)
 * as null. Fails: MALFORMED, TOO_DEEP, FULL, NO_MEMORY.
 */
DURE_CHECKED dure_err json_from_msgpack(dure_slice object, dure_buf *out);

#endif
