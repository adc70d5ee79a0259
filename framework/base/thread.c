/* SPDX-License-Identifier: MIT
 *
 * What C11 has of threads on every system; the rest is thread_posix.c and thread_win32.c.
 */
#include "base/thread.h"

#include <stdatomic.h>

uint64_t dure_thread_self(void)
{
    static atomic_uint_fast64_t next_id = 1;
    static _Thread_local uint64_t id;
    if (id == 0) {
        id = atomic_fetch_add_explicit(&next_id, 1, memory_order_relaxed);
    }
    return id;
}
