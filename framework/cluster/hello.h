/* SPDX-License-Identifier: MIT
 *
 * The handshake of a link (docs/wire.md, section 1), from either end, without a socket: frames in,
 * frames out, and who the other one is. Without a secret: hello, welcome. With one: hello (nonce
 * A), challenge (nonce B, mac B), proof (mac A), welcome. Either may end it with refused.
 *
 * A mac is HMAC-SHA256 (RFC 2104) under the secret over a label that names the direction, the id of
 * the node that was dialled, and all frames of the handshake up to where the mac begins. So each
 * proves that it knows the secret, for this connection, this node and this direction only.
 *
 * With a secret nobody learns the names of cluster, nodes and roles who has not proved that he
 * knows it: the one that accepts proves itself first, and only then does the dialler say who it is.
 *
 * The one who accepts decides last: when the other one is known and proven the state is PROVEN, and
 * the owner calls dure_hello_welcome or dure_hello_refuse.
 */
#ifndef DURE_CLUSTER_HELLO_H
#define DURE_CLUSTER_HELLO_H

#include "base/buf.h"
#include "cluster/registry.h"
#include "wire/frame.h"
#include "wire/limits.h"

#define DURE_PROTOCOL_MIN      1u
#define DURE_PROTOCOL_PROOF    2u /* the least that knows the handshake with a secret of today */
#define DURE_PROTOCOL_MAX      2u
#define DURE_HELLO_NONCE_BYTES 32
#define DURE_HELLO_MAC_BYTES   32
#define DURE_HELLO_TEXT_MAX    160

/* Forward only. */
#define DURE_HELLO_STATE_LIST(X)                                                                   \
    X(IDLE)                                                                                        \
    X(WAIT_HELLO)   /* accepted; nothing came yet */                                               \
    X(WAIT_ANSWER)  /* dialled; hello is out: challenge or welcome */                              \
    X(WAIT_PROOF)   /* accepted; challenge is out */                                               \
    X(WAIT_WELCOME) /* dialled; proof is out */                                                    \
    X(PROVEN)       /* accepted; welcome or refuse it */                                           \
    X(DONE)         /* welcome was said, or heard */                                               \
    X(ENDED)        /* refused by one of the two */

typedef enum dure_hello_state {
#define DURE_HELLO_STATE_ROW(name) DURE_HELLO_##name,
    DURE_HELLO_STATE_LIST(DURE_HELLO_STATE_ROW)
#undef DURE_HELLO_STATE_ROW
} dure_hello_state;

/* Who this node is, the same for all its links. */
typedef struct dure_hello_self {
    const dure_registry *registry;
    const dure_registry_node *node;
    uint64_t incarnation; /* drawn anew by each process; not 0 */
    uint64_t schema_hash;
    uint32_t protocol_min;
    uint32_t protocol_max;
    dure_slice secrets[2]; /* the first to prove with, both good to accept; bytes, not text */
    size_t secret_count;
} dure_hello_self;

typedef struct dure_hello {
    /* set before start */
    const dure_hello_self *self;
    bool is_dialer;

    /* owner */
    dure_hello_state state;
    const dure_registry_node *peer; /* whom we dialled; or, accepted, who it says it is */
    uint64_t peer_incarnation;
    uint64_t peer_schema_hash;
    uint32_t protocol;              /* agreed on; 0: not yet */
    bool is_proven;                 /* the other one knows the secret, or there is none to know */
    bool is_refused_by_peer;        /* with ENDED: the other one refused, else we did */
    dure_err cause;                 /* with ENDED */
    char text[DURE_HELLO_TEXT_MAX]; /* with ENDED: the sentence of whoever refused */
    char claimed_id[DURE_NODE_ID_MAX + 1]; /* the id it gave, known or not; for logs */
    uint8_t _nonce[DURE_HELLO_NONCE_BYTES];
    const dure_slice *_secret; /* dialled: the one that the other side evidently has */
    dure_buf _transcript;      /* the hello frame, then the challenge frame without its mac */
} dure_hello;

/*
 * Sets up one side of one handshake. peer: whom we dialled; NULL on the side that accepts.
 * nonce: 32 bytes that nobody can guess. Borrows: self, for life.
 */
void dure_hello_init(dure_hello *hello, const dure_hello_self *self, const dure_registry_node *peer,
                     const uint8_t nonce[DURE_HELLO_NONCE_BYTES]);

/* Frees what it holds; a zeroed one is fine. */
void dure_hello_fini(dure_hello *hello);

/*
 * Begins; the dialler appends hello to out.
 * Fails: FULL, NO_MEMORY, INTERNAL (the cryptography library failed), as all below do.
 */
DURE_CHECKED dure_err dure_hello_start(dure_hello *hello, dure_buf *out);

/*
 * One frame came; raw is it as bytes. What is to be sent is appended to out, also when the state is
 * ENDED afterwards (a refusal of ours). Fails: out could not be written; the connection must end.
 */
DURE_CHECKED dure_err dure_hello_on_frame(dure_hello *hello, const dure_frame *frame,
                                          dure_slice raw, dure_buf *out);

/*
 * Whether the one that we dialled refused us because another living process has our id, and has
 * shown before that it may say so: only then is this process the one too many. What somebody says
 * who dialled us, or who has not proved that it knows the secret, never is an order.
 */
bool dure_hello_is_duplicate(const dure_hello *hello);

/* The link is taken (state PROVEN only). */
DURE_CHECKED dure_err dure_hello_welcome(dure_hello *hello, dure_buf *out);

/* Ends the handshake for a cause of ours, in any state before DONE. */
DURE_CHECKED dure_err dure_hello_refuse(dure_hello *hello, dure_err cause, const char *text,
                                        dure_buf *out);

/* The name of a state, for logs. Thread: any. */
const char *dure_hello_state_name(dure_hello_state state);

/* Reads the body of refused. Fails: PROTOCOL. */
DURE_CHECKED dure_err dure_hello_read_refused(dure_slice body, dure_err *out_cause,
                                              dure_str *out_text);

/* Append a whole frame: refused [code, name, text], goaway [name, text, drain_ms]. */
DURE_CHECKED dure_err dure_hello_write_refused(dure_buf *out, dure_err cause, const char *text);
DURE_CHECKED dure_err dure_hello_write_goaway(dure_buf *out, dure_err cause, const char *text,
                                              uint32_t drain_ms);

#endif
