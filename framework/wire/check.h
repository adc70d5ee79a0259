/* SPDX-License-Identifier: MIT
 *
 * The one walk over bytes of a stranger, before anything is decoded: is this one whole MessagePack
 * object, within the limits of wire/limits.h? It allocates nothing, keeps one budget for the whole
 * message, and may be fed piece by piece.
 */
#ifndef DURE_WIRE_CHECK_H
#define DURE_WIRE_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/limits.h"

typedef struct dure_check {
    uint64_t _left[DURE_WIRE_DEPTH_MAX + 1]; /* objects still to come at each depth */
    size_t _skip; /* bytes of the present str, bin or ext still to come */
    size_t _walked;
    size_t _bytes_max;
    uint64_t _pending; /* objects still to come at all depths together */
    uint32_t _elements;
    uint32_t _depth;
} dure_check;

/* For one object of at most bytes_max bytes. Thread: owner of the check, here and below. */
void dure_check_init(dure_check *check, size_t bytes_max);

/*
 * Goes on with the next bytes. data[0..len) follows what was consumed before; out_consumed says how
 * many bytes the walk has taken (a head that is cut in the middle is left). On OK the object ended
 * there. Fails: MORE (all was taken but for a cut head; go on with what follows), MALFORMED,
 * TOO_LARGE, TOO_DEEP, TOO_MANY_ELEMENTS. Each object takes a byte at least, so a head after which
 * more objects are due, in all containers together, than bytes may still come is refused at once.
 */
DURE_CHECKED dure_err dure_check_feed(dure_check *check, const uint8_t *data, size_t len,
                                      size_t *out_consumed);

/*
 * One whole object at the start of data, all of it there; out_len is its length.
 * Fails: as feed; MALFORMED when data ends before the object does.
 */
DURE_CHECKED dure_err dure_check_object(const uint8_t *data, size_t len, size_t *out_len);

/*
 * As dure_check_object for count objects in a row, which share the one budget.
 */
DURE_CHECKED dure_err dure_check_objects(const uint8_t *data, size_t len, unsigned count,
                                         size_t *out_len);

#endif
