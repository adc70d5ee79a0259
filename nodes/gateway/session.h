/* SPDX-License-Identifier: MIT
 *
 * The session of a player: it begins with login and outlives its connection for resume_ms, in which
 * the client may come back with its token and gets what it missed. It ends by logout, by a login
 * elsewhere, when nobody comes back, and with the gateway.
 */
#ifndef DURE_NODES_GATEWAY_SESSION_H
#define DURE_NODES_GATEWAY_SESSION_H

#include "nodes/gateway/gateway.h"

/* The session's id and its secret, both in hex, and a zero byte. */
#define GATEWAY_TOKEN_SIZE (16 + 2 * GATEWAY_SECRET_BYTES + 1)

/* Gives a login its first token. Fails: SYSTEM. */
DURE_CHECKED dure_err gateway_session_begin(gateway *g, gateway_client *client);

/*
 * Gives a session that is resumed with `used` a new token. The used one serves too until the client
 * is heard on the connection that it resumed (gateway_session_heard), for the answer that tells the
 * new one may be lost; all others are worth nothing. Fails: SYSTEM; nothing has changed.
 */
DURE_CHECKED dure_err gateway_session_renew(gateway *g, gateway_client *client, dure_str used);

/* Writes the session's present token. */
void gateway_session_token(const gateway_client *client, char out[GATEWAY_TOKEN_SIZE]);

/* The client has called something: it knows its token. */
void gateway_session_heard(gateway_client *client);

/*
 * The session that a token belongs to; NULL where it is used, foreign or late. Takes the same time
 * however much of the secret is right.
 */
gateway_client *gateway_session_of(gateway *g, dure_str token);

/*
 * Binds the session to a stranger's connection, closing the one that it still may have, whose calls
 * end as TAKEN_OVER (or as OUTCOME_UNKNOWN, where they may have run).
 */
void gateway_session_resume(gateway *g, gateway_client *client, gateway_conn *conn);

/* Sends the notifications with `received` others before them, and those after. */
void gateway_session_send_missed(gateway *g, const gateway_client *client, uint64_t received);

/*
 * The connection is gone: the player stays for resume_ms, where it is logged in and nothing speaks
 * against it; the session ends at once otherwise.
 */
void gateway_session_dropped(gateway *g, gateway_client *client);

/*
 * Ends the session: the player leaves its game node, calls that are unanswered end as cause (or as
 * OUTCOME_UNKNOWN), and the connection is closed.
 */
void gateway_session_end(gateway *g, gateway_client *client, dure_err cause, const char *text);

/* Ends the sessions that nobody came back to. Called every tick. */
void gateway_session_tick(gateway *g);

#endif
