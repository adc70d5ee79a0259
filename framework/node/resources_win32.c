/* SPDX-License-Identifier: MIT
 *
 * Sockets are handles here, and those have no limit that a server meets; memory from the process
 * and its job object, both in terms of commit, which is what Windows limits.
 */
#include "node/resources.h"

#include <stdbool.h>
#include <string.h>

#include <windows.h>

#include <psapi.h> /* needs what stands above it */

uint32_t node_resources_descriptors_max(void)
{
    return UINT32_MAX;
}

uint32_t node_resources_raise_descriptors(void)
{
    return UINT32_MAX;
}

uint64_t node_resources_memory_used(void)
{
    PROCESS_MEMORY_COUNTERS counters;
    if (K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters) == FALSE) {
        return 0;
    }
    return counters.PagefileUsage;
}

void node_resources_memory_limit(const char *root, node_memory_limit *out_limit)
{
    static const char source[] = "the job object";
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION info;
    (void)root; /* nothing here is a file */
    *out_limit = (node_memory_limit){0};
    if (QueryInformationJobObject(NULL, JobObjectExtendedLimitInformation, &info, sizeof info,
                                  NULL) == FALSE) {
        return;
    }
    /* A job's limit is for all in it together: the most that this one can come to. */
    DWORD limits = info.BasicLimitInformation.LimitFlags;
    uint64_t of_process = limits & JOB_OBJECT_LIMIT_PROCESS_MEMORY ? info.ProcessMemoryLimit : 0;
    uint64_t of_job = limits & JOB_OBJECT_LIMIT_JOB_MEMORY ? info.JobMemoryLimit : 0;
    bool is_job_less = of_job != 0 && (of_process == 0 || of_job < of_process);
    out_limit->bytes = is_job_less ? of_job : of_process;
    if (out_limit->bytes != 0) {
        memcpy(out_limit->source, source, sizeof source);
    }
}

void node_resources_trim(void)
{
    (void)HeapCompact(GetProcessHeap(), 0);
}
