/* SPDX-License-Identifier: MIT
 *
 * Each file wraps one of the system's VFS and stands in front of it in one allocation of SQLite's.
 */
#include "fault_vfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "node/process.h"

#define SLOW_SYNC_MS 3000u

typedef struct fault_file {
    sqlite3_file base;
    fault_disk *disk;
    sqlite3_file *real; /* behind this struct */
} fault_file;

static sqlite3_vfs *real_vfs(sqlite3_vfs *vfs)
{
    (void)vfs;
    return sqlite3_vfs_find("unix") != NULL ? sqlite3_vfs_find("unix") : sqlite3_vfs_find("win32");
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((fault_file *)(void *)file)->real;
}

static void disk_obey(fault_disk *disk)
{
    char order[16] = "";
    FILE *file = disk->orders != NULL ? fopen(disk->orders, "rb") : NULL;
    if (file == NULL) {
        return;
    }
    size_t len = fread(order, 1, sizeof order - 1, file);
    order[len] = '\0';
    (void)fclose(file);
    int result = strcmp(order, "full") == 0     ? SQLITE_FULL
                 : strcmp(order, "broken") == 0 ? SQLITE_IOERR_WRITE
                                                : SQLITE_OK;
    atomic_store(&disk->write_result, result);
    atomic_store(&disk->sync_delay_ms, strcmp(order, "slow") == 0 ? SLOW_SYNC_MS : 0);
}

static int fault_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int fault_read(sqlite3_file *file, void *out, int len, sqlite3_int64 at)
{
    return real_of(file)->pMethods->xRead(real_of(file), out, len, at);
}

static int fault_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
    fault_disk *disk = ((fault_file *)(void *)file)->disk;
    disk_obey(disk);
    int result = atomic_load(&disk->write_result);
    if (result != SQLITE_OK && atomic_fetch_sub(&disk->good_writes, 1) <= 0) {
        return result;
    }
    return real_of(file)->pMethods->xWrite(real_of(file), data, len, at);
}

static int fault_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int fault_sync(sqlite3_file *file, int flags)
{
    fault_disk *disk = ((fault_file *)(void *)file)->disk;
    disk_obey(disk);
    if (atomic_load(&disk->sync_delay_ms) > 0) {
        dure_process_pause_ms(atomic_load(&disk->sync_delay_ms));
    }
    int result = atomic_load(&disk->sync_result);
    return result != SQLITE_OK ? result : real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int fault_size(sqlite3_file *file, sqlite3_int64 *out_size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), out_size);
}

static int fault_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int fault_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int fault_is_reserved(sqlite3_file *file, int *out_is)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out_is);
}

static int fault_control(sqlite3_file *file, int op, void *arg)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int fault_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int fault_traits(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int fault_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, out);
}

static int fault_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void fault_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int fault_shm_unmap(sqlite3_file *file, int remove)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods fault_methods = {
    .iVersion = 2,
    .xClose = fault_close,
    .xRead = fault_read,
    .xWrite = fault_write,
    .xTruncate = fault_truncate,
    .xSync = fault_sync,
    .xFileSize = fault_size,
    .xLock = fault_lock,
    .xUnlock = fault_unlock,
    .xCheckReservedLock = fault_is_reserved,
    .xFileControl = fault_control,
    .xSectorSize = fault_sector,
    .xDeviceCharacteristics = fault_traits,
    .xShmMap = fault_shm_map,
    .xShmLock = fault_shm_lock,
    .xShmBarrier = fault_shm_barrier,
    .xShmUnmap = fault_shm_unmap,
};

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                      int *out_flags)
{
    fault_file *fault = (fault_file *)(void *)file;
    fault->disk = vfs->pAppData;
    fault->real = (sqlite3_file *)(void *)(fault + 1);
    int result = real_vfs(vfs)->xOpen(real_vfs(vfs), name, fault->real, flags, out_flags);
    fault->base.pMethods = fault->real->pMethods != NULL ? &fault_methods : NULL;
    return result;
}

void fault_vfs_register(fault_disk *disk)
{
    static sqlite3_vfs vfs; /* SQLite keeps it for ever */
    vfs = *real_vfs(NULL);
    vfs.iVersion = 2;
    vfs.szOsFile += (int)sizeof(fault_file);
    vfs.zName = "fault";
    vfs.pAppData = disk;
    vfs.xOpen = fault_open;
    vfs.pNext = NULL;
    int result = sqlite3_vfs_register(&vfs, 1);
    DURE_ASSERT(result == SQLITE_OK);
}
