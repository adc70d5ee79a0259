/* SPDX-License-Identifier: MIT
 *
 * Runs a program in a world where io_uring is forbidden, as many containers forbid it: its system
 * calls answer EPERM, for the program and all that it starts.
 *
 *     forbid_io_uring program [argument...]
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int forbid(void)
{
    static const char *const calls[] = {"io_uring_setup", "io_uring_enter", "io_uring_register"};
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == NULL) {
        return -ENOMEM;
    }
    int result = 0;
    for (size_t i = 0; result == 0 && i < sizeof calls / sizeof calls[0]; i++) {
        int number = seccomp_syscall_resolve_name(calls[i]);
        result = number == __NR_SCMP_ERROR
                     ? -ENOSYS
                     : seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
    }
    if (result == 0) {
        result = seccomp_load(filter);
    }
    seccomp_release(filter);
    return result;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: forbid_io_uring program [argument...]\n");
        return 2;
    }
    int result = forbid();
    if (result != 0) {
        fprintf(stderr, "forbid_io_uring: %s\n", strerror(-result));
        return 77;
    }
    (void)execvp(argv[1], argv + 1);
    fprintf(stderr, "forbid_io_uring: %s: %s\n", argv[1], strerror(errno));
    return 2;
}
