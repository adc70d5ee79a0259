/* SPDX-License-Identifier: MIT
 *
 * A db node that answers before COMMIT, for the proof that the checker finds it: a transaction
 * stays open for some batches, whose writes are acknowledged meanwhile. The linker puts this in the
 * place of the store's own functions (--wrap); nothing of it is in the shipped program.
 */
#include "nodes/db/store.h"

#define BATCHES_A_COMMIT 64

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's names */
dure_err __real_db_store_begin(db_store *store);
dure_err __wrap_db_store_begin(db_store *store);
dure_err __real_db_store_begin_reading(db_store *store);
dure_err __wrap_db_store_begin_reading(db_store *store);
dure_err __real_db_store_commit(db_store *store);
dure_err __wrap_db_store_commit(db_store *store);
/* NOLINTEND(bugprone-reserved-identifier) */

dure_err __wrap_db_store_begin(db_store *store)
{
    return db_store_is_in_transaction(store) ? DURE_OK : __real_db_store_begin(store);
}

dure_err __wrap_db_store_begin_reading(db_store *store)
{
    return db_store_is_in_transaction(store) ? DURE_OK : __real_db_store_begin_reading(store);
}

dure_err __wrap_db_store_commit(db_store *store)
{
    static unsigned batches; /* of the one job thread */
    return ++batches % BATCHES_A_COMMIT == 0 ? __real_db_store_commit(store) : DURE_OK;
}
