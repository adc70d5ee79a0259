/* SPDX-License-Identifier: MIT
 *
 * A db node that forgets request keys, for the proof that the checker finds it. The linker puts
 * this in the place of the store's own function (--wrap); nothing of it is in the shipped program.
 */
#include "nodes/db/store.h"

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's names */
dure_err __real_db_store_give(db_store *store, const db_gift *gift, uint64_t *out_balance);
dure_err __wrap_db_store_give(db_store *store, const db_gift *gift, uint64_t *out_balance);
/* NOLINTEND(bugprone-reserved-identifier) */

dure_err __wrap_db_store_give(db_store *store, const db_gift *gift, uint64_t *out_balance)
{
    db_gift keyless = *gift;
    keyless.key = (dure_str){0};
    return __real_db_store_give(store, &keyless, out_balance);
}
