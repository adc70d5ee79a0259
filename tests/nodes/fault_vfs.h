/* SPDX-License-Identifier: MIT
 *
 * A SQLite VFS for tests: the system's own, with a disk below it that is full, breaks or is slow
 * when the test says so.
 */
#ifndef DURE_TESTS_NODES_FAULT_VFS_H
#define DURE_TESTS_NODES_FAULT_VFS_H

#include <stdatomic.h>
#include <stdint.h>

typedef struct fault_disk {
    atomic_int write_result; /* SQLITE_OK, or what each write says: SQLITE_FULL, SQLITE_IOERR... */
    atomic_int sync_result;  /* the same of each fsync */
    atomic_int good_writes;  /* writes that still go well before write_result holds */
    atomic_uint sync_delay_ms; /* how long each fsync takes */
    const char *orders;        /* a file that is read before each write and fsync, or NULL: one of
                                  "none", "full", "broken", "slow" (three seconds) */
} fault_disk;

/* Registers it as the default one; once a process. The disk is borrowed for ever. */
void fault_vfs_register(fault_disk *disk);

#endif
