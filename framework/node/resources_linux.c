/* SPDX-License-Identifier: MIT
 *
 * Descriptors from getrlimit(2), memory from proc(5) and cgroups(7).
 *
 * /proc/self/cgroup names the process's own control group, /proc/self/mountinfo says where groups
 * are to be seen and which of them is at the top there (in a container often its own). The way from
 * one to the other is walked upwards, because a limit of any group above counts for all below.
 */
#include "node/resources.h"

#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/assert.h"

#define DESCRIPTORS_MANY (1u << 20)
#define PATH_BYTES       1024u
#define LINE_BYTES       4096u
#define NO_LIMIT         (UINT64_C(1) << 60) /* version 1 says a number near 2^63 */

/* ---- descriptors ---- */

/* Of the process, like the limit itself; written once, before there are other threads. */
static struct rlimit inherited;

static void restore_in_child(void)
{
    (void)setrlimit(RLIMIT_NOFILE, &inherited);
}

static uint32_t descriptors_of(const struct rlimit *limit)
{
    return limit->rlim_cur == RLIM_INFINITY || limit->rlim_cur > UINT32_MAX
               ? UINT32_MAX
               : (uint32_t)limit->rlim_cur;
}

uint32_t node_resources_descriptors_max(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? descriptors_of(&limit) : UINT32_MAX;
}

uint32_t node_resources_raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return UINT32_MAX;
    }
    const struct rlimit before = limit;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS_MANY ? limit.rlim_max : DESCRIPTORS_MANY;
    if (limit.rlim_cur > before.rlim_cur && setrlimit(RLIMIT_NOFILE, &limit) == 0) {
        inherited = before;
        (void)pthread_atfork(NULL, NULL, restore_in_child);
    }
    return descriptors_of(&before);
}

/* ---- memory ---- */

uint64_t node_resources_memory_used(void)
{
    uint64_t size = 0;
    uint64_t resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    int found = fscanf(file, "%20" SCNu64 " %20" SCNu64, &size, &resident);
    (void)fclose(file);
    return found == 2 ? resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

/* Where the groups of one version are, and which of them is the process's own. */
typedef struct group_tree {
    bool is_v2;
    char own[PATH_BYTES];   /* of the hierarchy: "/system.slice/game.service" */
    char top[PATH_BYTES];   /* the group that is seen at the mount point; "/" mostly */
    char mount[PATH_BYTES]; /* the mount point; empty: there is none */
} group_tree;

static FILE *open_below(const char *root, const char *path)
{
    char whole[2 * PATH_BYTES + 64];
    int len = snprintf(whole, sizeof whole, "%s%s", root, path);
    return len > 0 && (size_t)len < sizeof whole ? fopen(whole, "re") : NULL;
}

/* Copies what fits; false, and nothing, where it does not. */
static bool copy_path(char out[PATH_BYTES], const char *from, size_t len)
{
    if (len >= PATH_BYTES) {
        return false;
    }
    memcpy(out, from, len);
    out[len] = '\0';
    return true;
}

static bool has_word(const char *list, size_t len, const char *word)
{
    size_t word_len = strlen(word);
    for (size_t at = 0; at < len;) {
        size_t end = at;
        while (end < len && list[end] != ',') {
            end++;
        }
        if (end - at == word_len && memcmp(list + at, word, word_len) == 0) {
            return true;
        }
        at = end + 1;
    }
    return false;
}

/* A line of /proc/self/cgroup: "0::/path" of version 2, "4:memory,cpu:/path" of version 1. */
static void read_own_group(char *line, group_tree *tree)
{
    line[strcspn(line, "\n")] = '\0';
    const char *controllers = strchr(line, ':');
    const char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (path == NULL) {
        return;
    }
    size_t len = (size_t)(path - controllers) - 1;
    bool is_mine =
        tree->is_v2 ? strncmp(line, "0::", 3) == 0 : has_word(controllers + 1, len, "memory");
    if (is_mine) {
        (void)copy_path(tree->own, path + 1, strlen(path + 1));
    }
}

/* The file writes blanks and backslashes as \040 and \134. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; to++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
            from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* A line of /proc/self/mountinfo: "25 1 0:5 TOP MOUNT options [tags] - TYPE source options". */
static void read_mount(const char *line, group_tree *tree)
{
    char top[PATH_BYTES];
    char mount[PATH_BYTES];
    char type[32];
    char options[PATH_BYTES];
    const char *behind = strstr(line, " - ");
    if (behind == NULL || sscanf(line, "%*s %*s %*s %1023s %1023s", top, mount) != 2 ||
        sscanf(behind, " - %31s %*s %1023s", type, options) != 2) {
        return;
    }
    bool is_mine =
        tree->is_v2 ? strcmp(type, "cgroup2") == 0
                    : strcmp(type, "cgroup") == 0 && has_word(options, strlen(options), "memory");
    if (is_mine && tree->mount[0] == '\0') {
        unescape(top);
        unescape(mount);
        (void)copy_path(tree->top, top, strlen(top));
        (void)copy_path(tree->mount, mount, strlen(mount));
    }
}

static void read_tree(const char *root, group_tree *tree)
{
    char line[LINE_BYTES];
    FILE *file = open_below(root, "/proc/self/cgroup");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        read_own_group(line, tree);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    file = open_below(root, "/proc/self/mountinfo");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        read_mount(line, tree);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

/* Takes the number in a file where it is less than what was found before; "max" is none. */
static void take_less(const char *root, const char *path, node_memory_limit *limit)
{
    uint64_t bytes = 0;
    FILE *file = open_below(root, path);
    if (file == NULL) {
        return;
    }
    int found = fscanf(file, "%20" SCNu64, &bytes);
    (void)fclose(file);
    if (found == 1 && bytes < NO_LIMIT && (limit->bytes == 0 || bytes < limit->bytes)) {
        limit->bytes = bytes > 0 ? bytes : 1; /* 0 is no room at all, and our word for no limit */
        size_t len = strlen(path);
        len = len < sizeof limit->source ? len : sizeof limit->source - 1;
        memcpy(limit->source, path, len);
        limit->source[len] = '\0';
    }
}

static void look_at_group(const char *root, const char *folder, bool is_v2,
                          node_memory_limit *limit)
{
    static const char *const v1[] = {"memory.limit_in_bytes"};
    static const char *const v2[] = {"memory.max", "memory.high"};
    for (size_t i = 0; i < (is_v2 ? 2u : 1u); i++) {
        char path[2 * PATH_BYTES + 32];
        (void)snprintf(path, sizeof path, "%s/%s", folder, is_v2 ? v2[i] : v1[i]);
        take_less(root, path, limit);
    }
}

/* What of the own group's path is below the one that is seen at the mount point. */
static const char *path_below_top(const group_tree *tree)
{
    size_t len = strcmp(tree->top, "/") == 0 ? 0 : strlen(tree->top);
    bool is_below = strncmp(tree->own, tree->top, len) == 0 &&
                    (tree->own[len] == '/' || tree->own[len] == '\0');
    /* A group outside of what is seen: what stands at the top is the nearest to it. */
    return is_below && strstr(tree->own, "/..") == NULL ? tree->own + len : "";
}

static void look_at_tree(const char *root, bool is_v2, node_memory_limit *limit)
{
    group_tree tree = {.is_v2 = is_v2};
    char folder[2 * PATH_BYTES];
    read_tree(root, &tree);
    if (tree.mount[0] == '\0') {
        return;
    }
    (void)snprintf(folder, sizeof folder, "%s%s", tree.mount, path_below_top(&tree));
    size_t least = strlen(tree.mount);
    DURE_ASSERT(strlen(folder) >= least);
    for (size_t len = strlen(folder); len >= least;) {
        while (len > least && folder[len - 1] == '/') {
            folder[--len] = '\0';
        }
        look_at_group(root, folder, is_v2, limit);
        if (len <= least) {
            return;
        }
        while (len > least && folder[len - 1] != '/') {
            folder[--len] = '\0';
        }
    }
}

void node_resources_memory_limit(const char *root, node_memory_limit *out_limit)
{
    *out_limit = (node_memory_limit){0};
    look_at_tree(root, true, out_limit);
    look_at_tree(root, false, out_limit);
}

void node_resources_trim(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}
