/* SPDX-License-Identifier: MIT
 *
 * There is nobody to tell: the service manager of Windows asks programs that are written as its
 * services, and these are console programs. A wrapper that runs those as services ends them with
 * Ctrl-C, which is a graceful stop.
 */
#include "node/process.h"

void dure_service_manager_notify(const char *state)
{
    (void)state;
}
