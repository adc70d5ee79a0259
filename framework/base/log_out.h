/* SPDX-License-Identifier: MIT
 *
 * Standard error as the system has it, below the C library's streams: a thread that waits in one of
 * their writes holds a lock that the end of the process wants.
 */
#ifndef DURE_BASE_LOG_OUT_H
#define DURE_BASE_LOG_OUT_H

#include <stddef.h>
#include <stdint.h>

/*
 * Makes sure that standard error is open: where the process was started without it, the next file
 * or socket would be it, and be written to. It leads nowhere then.
 * Thread: start-up.
 */
void dure_log_out_open(void);

/*
 * Writes all bytes; waits as long as whoever reads them does. Returns how many were written, fewer
 * where the system refuses the rest.
 * Thread: any that may wait, so not a worker.
 */
size_t dure_log_out_write(const char *bytes, size_t len);

/*
 * Writes what standard error takes within timeout_ms, at most a few KiB. Part of it may be lost.
 * Thread: any.
 */
void dure_log_out_write_within(const char *bytes, size_t len, uint32_t timeout_ms);

/*
 * A number of this process: what is made by fork() has another one, and no thread of ours.
 * Thread: any.
 */
uint64_t dure_log_out_process(void);

#endif
