/* SPDX-License-Identifier: MIT
 *
 * The limit of memory is the least on the way from the process's own control group up, whatever the
 * version and wherever the groups are mounted; and descriptors are raised for this process and not
 * for those that it starts.
 */
#include "node/resources.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "support/check.h"

#define V2_MOUNT   "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNT   "40 24 0:36 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"
#define OTHER      "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
#define FILES_MAX  6
#define MIB        (UINT64_C(1) << 20)
#define V1_NOTHING "9223372036854771712"

typedef struct made_file {
    const char *path;
    const char *text;
} made_file;

typedef struct made_tree {
    made_file files[FILES_MAX];
    uint64_t bytes;
    const char *source;
} made_tree;

static void make_file(const char *root, const made_file *file)
{
    char path[1200];
    (void)snprintf(path, sizeof path, "%s%s", root, file->path);
    char *slash = strrchr(path, '/');
    DURE_REQUIRE(slash != NULL);
    *slash = '\0';
    DURE_REQUIRE_OK(dure_file_make_folder(path, DURE_FILE_OWNER_ONLY));
    *slash = '/';
    DURE_REQUIRE_OK(dure_file_write(path, file->text, strlen(file->text), DURE_FILE_OWNER_ONLY));
}

static void the_least_limit_on_the_way_up_counts(void)
{
    static const made_tree rows[] = {
        /* nothing is mounted, or nothing is said */
        {{{"/proc/self/cgroup", "0::/a\n"}}, 0, ""},
        {{{"/proc/self/cgroup", "0::/a\n"}, {"/proc/self/mountinfo", OTHER V2_MOUNT}}, 0, ""},
        {{{"/proc/self/cgroup", "0::/a\n"},
          {"/proc/self/mountinfo", V2_MOUNT},
          {"/sys/fs/cgroup/a/memory.max", "max\n"}},
         0,
         ""},
        /* a unit of systemd: the limit is not at the root */
        {{{"/proc/self/cgroup", "0::/system.slice/game.service\n"},
          {"/proc/self/mountinfo", OTHER V2_MOUNT},
          {"/sys/fs/cgroup/system.slice/game.service/memory.max", "50331648\n"},
          {"/sys/fs/cgroup/system.slice/other.service/memory.max", "1048576\n"}},
         48 * MIB,
         "/sys/fs/cgroup/system.slice/game.service/memory.max"},
        /* high is met before max */
        {{{"/proc/self/cgroup", "0::/a/b\n"},
          {"/proc/self/mountinfo", V2_MOUNT},
          {"/sys/fs/cgroup/a/b/memory.max", "67108864\n"},
          {"/sys/fs/cgroup/a/b/memory.high", "50331648\n"}},
         48 * MIB,
         "/sys/fs/cgroup/a/b/memory.high"},
        /* the slice has less than its service */
        {{{"/proc/self/cgroup", "0::/a/b/c\n"},
          {"/proc/self/mountinfo", V2_MOUNT},
          {"/sys/fs/cgroup/a/b/c/memory.max", "67108864\n"},
          {"/sys/fs/cgroup/a/memory.max", "33554432\n"},
          {"/sys/fs/cgroup/memory.max", "99999999\n"}},
         32 * MIB,
         "/sys/fs/cgroup/a/memory.max"},
        /* a container with a namespace of its own: its group is the root */
        {{{"/proc/self/cgroup", "0::/\n"},
          {"/proc/self/mountinfo", V2_MOUNT},
          {"/sys/fs/cgroup/memory.max", "33554432\n"}},
         32 * MIB,
         "/sys/fs/cgroup/memory.max"},
        /* one without: the path is the host's, and what is mounted is a part of it */
        {{{"/proc/self/cgroup", "0::/docker/f00/game\n"},
          {"/proc/self/mountinfo",
           "30 24 0:26 /docker/f00 /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n"},
          {"/sys/fs/cgroup/game/memory.max", "16777216\n"},
          {"/sys/fs/cgroup/memory.max", "33554432\n"}},
         16 * MIB,
         "/sys/fs/cgroup/game/memory.max"},
        /* and a group that is not below what is mounted, or is written as outside of it */
        {{{"/proc/self/cgroup", "0::/docker/f0\n"},
          {"/proc/self/mountinfo", "30 24 0:26 /docker/f /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n"},
          {"/sys/fs/cgroup/0/memory.max", "16777216\n"},
          {"/sys/fs/cgroup/memory.max", "33554432\n"}},
         32 * MIB,
         "/sys/fs/cgroup/memory.max"},
        {{{"/proc/self/cgroup", "0::/../../x\n"},
          {"/proc/self/mountinfo", V2_MOUNT},
          {"/sys/fs/cgroup/memory.max", "33554432\n"}},
         32 * MIB,
         "/sys/fs/cgroup/memory.max"},
        /* version 1, which has a number for no limit; cpu's group is not memory's */
        {{{"/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/a/b\n1:name=systemd:/y\n"},
          {"/proc/self/mountinfo", OTHER V1_MOUNT},
          {"/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", V1_NOTHING},
          {"/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "33554432\n"},
          {"/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "1048576\n"},
          {"/sys/fs/cgroup/memory/memory.limit_in_bytes", V1_NOTHING}},
         32 * MIB,
         "/sys/fs/cgroup/memory/a/memory.limit_in_bytes"},
        {{{"/proc/self/cgroup", "4:memory:/a\n"},
          {"/proc/self/mountinfo", V1_MOUNT},
          {"/sys/fs/cgroup/memory/a/memory.limit_in_bytes", V1_NOTHING}},
         0,
         ""},
        /* both at once: version 2 has the groups, version 1 the limit */
        {{{"/proc/self/cgroup", "4:memory:/a\n0::/u\n"},
          {"/proc/self/mountinfo",
           V1_MOUNT "41 24 0:37 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"},
          {"/sys/fs/cgroup/unified/u/memory.max", "max\n"},
          {"/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "33554432\n"}},
         32 * MIB,
         "/sys/fs/cgroup/memory/a/memory.limit_in_bytes"},
        /* a mount point with a blank */
        {{{"/proc/self/cgroup", "0::/a\n"},
          {"/proc/self/mountinfo", "30 24 0:26 / /my\\040groups rw - cgroup2 none rw\n"},
          {"/my groups/a/memory.max", "33554432\n"}},
         32 * MIB,
         "/my groups/a/memory.max"},
        /* no room at all is a limit too */
        {{{"/proc/self/cgroup", "0::/a\n"},
          {"/proc/self/mountinfo", V2_MOUNT},
          {"/sys/fs/cgroup/a/memory.max", "0\n"}},
         1,
         "/sys/fs/cgroup/a/memory.max"},
        /* nonsense */
        {{{"/proc/self/cgroup", "0\n::\n\n0::"}, {"/proc/self/mountinfo", "x - \n - cgroup2\n"}},
         0,
         ""},
    };
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        char root[512];
        node_memory_limit limit;
        DURE_REQUIRE_OK(dure_file_make_temp_folder("dure-test", root, sizeof root));
        for (size_t j = 0; j < FILES_MAX && rows[i].files[j].path != NULL; j++) {
            make_file(root, &rows[i].files[j]);
        }
        node_resources_memory_limit(root, &limit);
        DURE_CHECK_EQ(limit.bytes, rows[i].bytes);
        DURE_CHECK_STR(limit.source, rows[i].source);
        DURE_CHECK_OK(dure_file_remove_folder(root));
    }
}

static void a_path_that_is_too_long_is_no_limit(void)
{
    char root[512];
    char line[3000];
    node_memory_limit limit;
    DURE_REQUIRE_OK(dure_file_make_temp_folder("dure-test", root, sizeof root));
    memset(line, 'a', sizeof line);
    memcpy(line, "0::/", 4);
    line[sizeof line - 2] = '\n';
    line[sizeof line - 1] = '\0';
    make_file(root, &(made_file){"/proc/self/cgroup", line});
    make_file(root, &(made_file){"/proc/self/mountinfo", V2_MOUNT});
    make_file(root, &(made_file){"/sys/fs/cgroup/memory.max", "33554432\n"});
    node_resources_memory_limit(root, &limit);
    DURE_CHECK_EQ(limit.bytes, 32 * MIB); /* what can be told: the group at the top */
    DURE_CHECK_OK(dure_file_remove_folder(root));
}

/* The soft limit of a program that this process starts, as that program sees it. */
static unsigned long limit_of_a_child(void)
{
    int status = 0;
    int ends[2];
    unsigned long seen = 0;
    DURE_REQUIRE(pipe(ends) == 0);
    pid_t child = fork();
    DURE_REQUIRE(child >= 0);
    if (child == 0) {
        struct rlimit limit = {0, 0};
        (void)getrlimit(RLIMIT_NOFILE, &limit);
        seen = (unsigned long)limit.rlim_cur;
        _exit(write(ends[1], &seen, sizeof seen) == (ssize_t)sizeof seen ? 0 : 1);
    }
    DURE_CHECK(read(ends[0], &seen, sizeof seen) == (ssize_t)sizeof seen);
    DURE_CHECK(waitpid(child, &status, 0) == child);
    DURE_CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    return seen;
}

static void descriptors_are_raised_for_this_process_alone(void)
{
    struct rlimit before;
    DURE_REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    struct rlimit small = {.rlim_cur = 100, .rlim_max = before.rlim_max};
    DURE_REQUIRE(before.rlim_max > 100);
    DURE_REQUIRE(setrlimit(RLIMIT_NOFILE, &small) == 0);
    DURE_CHECK_EQ(node_resources_raise_descriptors(), 100);
    uint64_t most = before.rlim_max < (1u << 20) ? before.rlim_max : 1u << 20;
    DURE_CHECK_EQ(node_resources_descriptors_max(), most);
    DURE_CHECK_EQ(limit_of_a_child(), 100);
    DURE_CHECK_EQ(node_resources_raise_descriptors(), most); /* there is nothing more to raise */
    DURE_CHECK_EQ(limit_of_a_child(), 100);
    DURE_CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
}

DURE_SUITE(node_resources_linux, DURE_TEST(the_least_limit_on_the_way_up_counts),
           DURE_TEST(a_path_that_is_too_long_is_no_limit),
           DURE_TEST(descriptors_are_raised_for_this_process_alone));
