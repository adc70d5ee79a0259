/* SPDX-License-Identifier: MIT
 *
 * The one list of errors. A dure_err is what every function that can fail returns and what every
 * completion carries. 1 to 999 are ours; those below 100 travel on the wire with the same number
 * (docs/wire.md, section 2) and are never renumbered; from 1000 on they belong to a user's roles.
 *
 * The class says what a caller may do: CALLER fix the call; TEMPORARY try again; PERMANENT do not;
 * UNKNOWN it may have happened.
 */
#ifndef DURE_BASE_ERR_H
#define DURE_BASE_ERR_H

#include <stdint.h>

#include "base/compiler.h"

/* X(name, number, class, text) */
#define DURE_ERR_LIST(X)                                                                           \
    X(BAD_REQUEST, 1, CALLER, "a parameter is missing, of the wrong type or out of range")         \
    X(UNKNOWN_METHOD, 2, CALLER, "no such method")                                                 \
    X(NOT_LOGGED_IN, 3, CALLER, "log in first")                                                    \
    X(ALREADY_LOGGED_IN, 4, CALLER, "this connection is logged in already")                        \
    X(NOT_FOUND, 5, CALLER, "no such thing")                                                       \
    X(NOT_ENOUGH, 6, CALLER, "there is not enough of it")                                          \
    X(OVERLOADED, 7, TEMPORARY, "too much is waiting already")                                     \
    X(UNAVAILABLE, 8, TEMPORARY, "the node that would answer is not reachable")                    \
    X(DEADLINE, 9, UNKNOWN, "the deadline passed before the answer came")                          \
    X(MISMATCH, 10, CALLER, "the request key was used with another payload")                       \
    X(TOO_OLD, 11, CALLER, "the request key is older than the window")                             \
    X(TAKEN_OVER, 12, PERMANENT, "the player logged in from another place")                        \
    X(FENCED, 13, PERMANENT, "another owner has taken over")                                       \
    X(REFUSED, 14, PERMANENT, "refused")                                                           \
    X(INTERNAL, 15, UNKNOWN, "the handler failed")                                                 \
    X(STORAGE, 16, TEMPORARY, "the storage failed")                                                \
    X(CANCELLED, 17, UNKNOWN, "cancelled by the caller")                                           \
    X(OUTCOME_UNKNOWN, 18, UNKNOWN, "the link broke; the call may have run")                       \
    X(NOT_SENT, 19, TEMPORARY, "the call never left")                                              \
    X(DUPLICATE_ID, 20, PERMANENT, "another living process has this node id")                      \
    X(NO_PLAYER, 21, TEMPORARY, "the player is not on this node")                                  \
    X(NO_ROOM, 22, CALLER, "there is no room for it")                                              \
    X(NOT_UP, 100, TEMPORARY, "the node has not been up yet")                                      \
    X(DOWN, 101, TEMPORARY, "the node is down")                                                    \
    X(NOT_CONFIGURED, 102, CALLER, "the node or role is not in the configuration")                 \
    X(INVALID, 110, CALLER, "an argument is not allowed")                                          \
    X(STATE, 111, CALLER, "not allowed in the present state")                                      \
    X(STALE, 112, CALLER, "the id names something that has ended")                                 \
    X(NO_MEMORY, 113, TEMPORARY, "out of memory")                                                  \
    X(FULL, 114, TEMPORARY, "a stated maximum is reached")                                         \
    X(EXISTS, 115, CALLER, "it exists already")                                                    \
    X(UNSUPPORTED, 116, PERMANENT, "this platform or build cannot do it")                          \
    X(CLOSED, 120, PERMANENT, "closed by this side")                                               \
    X(PEER_CLOSED, 121, PERMANENT, "closed by the other side")                                     \
    X(RESET, 122, PERMANENT, "reset by the other side")                                            \
    X(CONNECT_REFUSED, 123, TEMPORARY, "the other side refused the connection")                    \
    X(UNREACHABLE, 124, TEMPORARY, "no route to the address")                                      \
    X(TIMED_OUT, 125, TEMPORARY, "no answer in time")                                              \
    X(SELF_CONNECT, 126, TEMPORARY, "the connection reached itself")                               \
    X(ADDRESS_IN_USE, 127, PERMANENT, "the address is taken")                                      \
    X(ADDRESS_NOT_AVAILABLE, 128, PERMANENT, "the address is not one of this machine")             \
    X(PERMISSION, 129, PERMANENT, "the system does not allow it")                                  \
    X(TOO_MANY_FILES, 130, TEMPORARY, "no descriptor is left")                                     \
    X(NAME_NOT_FOUND, 131, TEMPORARY, "the name has no address")                                   \
    X(NO_BUFFERS, 132, TEMPORARY, "no receive buffer is left")                                     \
    X(SYSTEM, 133, PERMANENT, "an error of the system without a name of its own")                  \
    X(SLOW, 134, PERMANENT, "the other side does not read")                                        \
    X(IDLE, 135, PERMANENT, "nothing came for too long")                                           \
    X(MALFORMED, 140, PERMANENT, "the bytes are not MessagePack")                                  \
    X(NOT_CANONICAL, 141, PERMANENT, "valid MessagePack, but not the canonical form of a frame")   \
    X(PROTOCOL, 142, PERMANENT, "a message that the protocol does not allow here")                 \
    X(TOO_LARGE, 143, PERMANENT, "larger than the limit")                                          \
    X(TOO_DEEP, 144, PERMANENT, "nested deeper than the limit")                                    \
    X(TOO_MANY_ELEMENTS, 145, PERMANENT, "more elements than the limit")                           \
    X(MORE, 146, TEMPORARY, "the message is not complete yet")                                     \
    X(HANDSHAKE_TIMEOUT, 150, TEMPORARY, "the handshake was not finished in time")                 \
    X(WRONG_CLUSTER, 151, PERMANENT, "the peer belongs to another cluster")                        \
    X(WRONG_VERSION, 152, PERMANENT, "no protocol version in common")                              \
    X(WRONG_NODE, 153, PERMANENT, "the node is not in the configuration or has another role")      \
    X(WRONG_PROOF, 154, PERMANENT, "the peer does not know the cluster secret")                    \
    X(REPLACED, 155, PERMANENT, "another connection of the same link took its place")              \
    X(HEARTBEAT_LOST, 156, PERMANENT, "the peer has been silent for too long")                     \
    X(GOAWAY, 157, PERMANENT, "the peer is stopping")                                              \
    X(CONFIG, 160, CALLER, "the configuration has mistakes")                                       \
    X(SYNTAX, 161, CALLER, "the text does not follow its grammar")

typedef enum dure_err {
    DURE_OK = 0,
#define DURE_ERR_ROW(name, number, class, text) DURE_ERR_##name = (number),
    DURE_ERR_LIST(DURE_ERR_ROW)
#undef DURE_ERR_ROW
} dure_err;

typedef enum dure_err_class {
    DURE_ERR_CLASS_NONE,
    DURE_ERR_CLASS_CALLER,
    DURE_ERR_CLASS_TEMPORARY,
    DURE_ERR_CLASS_PERMANENT,
    DURE_ERR_CLASS_UNKNOWN
} dure_err_class;

/*
 * The stable name, such as "CLOSED"; "OK" for DURE_OK, "UNLISTED" for a number not in the list.
 * Thread: any.
 */
const char *dure_err_name(dure_err err);

/*
 * One sentence for people, without full stop.
 * Thread: any.
 */
const char *dure_err_text(dure_err err);

/*
 * What a caller may do about it.
 * Thread: any.
 */
dure_err_class dure_err_class_of(dure_err err);

/*
 * The code that another process is told for one: itself below 100 and from 1000 on. What stays
 * inside a process is told as UNAVAILABLE (a peer that is not there), OVERLOADED (a maximum, no
 * memory) or else INTERNAL.
 * Thread: any.
 */
uint32_t dure_err_code_on_wire(uint32_t code);

/*
 * What the system said (errno, or a Windows or Winsock code) as one of ours; SYSTEM where the
 * table has no row.
 * Thread: any.
 */
DURE_CHECKED dure_err dure_err_from_system(int system_error);

#endif
