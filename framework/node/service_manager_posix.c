/* SPDX-License-Identifier: MIT
 *
 * Telling systemd how a service is: sd_notify(3), as its manual describes it, without its library.
 * A datagram to a local socket at start and stop: nothing that the completion core would have to
 * know of.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/process.h"

#define NOTIFY_MS 500 /* for a manager that does not read: its queue is short */

void dure_service_manager_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    if (path == NULL || path[0] == '\0' || strlen(path) >= sizeof address.sun_path) {
        return;
    }
    memcpy(address.sun_path, path, strlen(path));
    if (address.sun_path[0] == '@') {
        address.sun_path[0] = '\0'; /* the abstract namespace, unix(7) */
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        const struct timeval most = {.tv_usec = NOTIFY_MS * 1000};
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
        socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
        ssize_t ignored =
            sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address, size);
        (void)ignored; /* nobody to tell */
        (void)close(fd);
    }
}
