/* SPDX-License-Identifier: MIT
 *
 * Whose a node's folder is. A folder that somebody else may change, or read, holds nobody's
 * secrets: the token of the admin port, the players.
 */
#ifndef DURE_NODE_DATA_FOLDER_H
#define DURE_NODE_DATA_FOLDER_H

#include "base/err.h"

#define DURE_DATA_FOLDER_TEXT_MAX 4400u

/* X(name): who has access */
#define DURE_DATA_FOLDER_LIST(X)                                                                   \
    X(PRIVATE) /* this user, and the system's own */                                               \
    X(SHARED)  /* a group, or users that are named, too */                                         \
    X(OPEN)    /* everybody; or it is another user's, or a link of one */

typedef enum dure_data_folder_access {
#define DURE_DATA_FOLDER_ROW(name) DURE_DATA_FOLDER_##name,
    DURE_DATA_FOLDER_LIST(DURE_DATA_FOLDER_ROW)
#undef DURE_DATA_FOLDER_ROW
} dure_data_folder_access;

/*
 * Who may get at a folder that is there. out_text, of DURE_DATA_FOLDER_TEXT_MAX bytes, says what is
 * not as it should be (its mode, its owner) and the command that mends it; it is empty for PRIVATE.
 * Fails: NOT_FOUND, PERMISSION, TOO_LARGE (a path of over 4,096 bytes), NO_MEMORY, SYSTEM.
 * Thread: start-up.
 */
DURE_CHECKED dure_err dure_data_folder_look(const char *path, dure_data_folder_access *out_access,
                                            char *out_text);

/*
 * From here on the files that this process makes are its user's alone, also those that libraries
 * make (on Windows they are as the folder is). Thread: start-up.
 */
void dure_data_folder_make_private_files(void);

#endif
