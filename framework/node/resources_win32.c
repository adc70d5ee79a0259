/* SPDX-License-Identifier: MIT
 *
 * Sockets are handles here, and those have no limit that a server meets; memory from the process
 * and its job object.
 */
#include "node/resources.h"

#include <windows.h>

#include <psapi.h> /* needs what stands above it */

uint32_t node_resources_descriptors_max(void)
{
    return UINT32_MAX;
}

uint64_t node_resources_memory_used(void)
{
    PROCESS_MEMORY_COUNTERS counters;
    if (K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters) == FALSE) {
        return 0;
    }
    return counters.WorkingSetSize;
}

uint64_t node_resources_memory_limit(void)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION info;
    if (QueryInformationJobObject(NULL, JobObjectExtendedLimitInformation, &info, sizeof info,
                                  NULL) == FALSE ||
        (info.BasicLimitInformation.LimitFlags & JOB_OBJECT_LIMIT_PROCESS_MEMORY) == 0) {
        return 0;
    }
    return info.ProcessMemoryLimit;
}

void node_resources_trim(void)
{
    (void)HeapCompact(GetProcessHeap(), 0);
}
