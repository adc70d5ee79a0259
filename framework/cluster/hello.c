/* SPDX-License-Identifier: MIT
 *
 * The handshake as a state that only moves forward. Bodies are read with cursors and a stranger's
 * words are used only after they were compared with the registry; a body with more elements than we
 * know is fine, what is added later is added at the end.
 */
#include "cluster/hello.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "wire/cursor.h"
#include "wire/packer.h"

#define LABEL_CHALLENGE "dure link challenge 2"
#define LABEL_PROOF     "dure link proof 2"
#define LABEL_BYTES_MAX 32

/* A mac as the last object of a frame: bin 8 head and 32 bytes. */
#define MAC_OBJECT_BYTES (2 + DURE_HELLO_MAC_BYTES)

#define TRANSCRIPT_MAX ((size_t)3 * DURE_WIRE_LINK_STRANGER_MAX)

/* Who somebody says it is. */
typedef struct identity {
    dure_str cluster;
    dure_str node_id;
    dure_str role;
} identity;

typedef struct hello_body {
    uint32_t protocol_min;
    uint32_t protocol_max;
    identity who; /* empty from a node that has a secret */
    uint64_t incarnation;
    uint64_t schema_hash;
    dure_slice nonce;
} hello_body;

typedef struct welcome_body {
    uint32_t protocol;
    dure_str node_id;
    dure_str role;
    uint64_t incarnation;
    uint64_t schema_hash;
} welcome_body;

typedef struct challenge_body {
    uint64_t incarnation;
    dure_slice nonce;
    dure_slice mac;
} challenge_body;

typedef struct proof_body {
    identity who;
    dure_slice mac;
} proof_body;

/* The steps that are allowed; ENDED may follow each but itself. */
static bool step_is_allowed(dure_hello_state from, dure_hello_state to)
{
    switch (to) {
    case DURE_HELLO_WAIT_HELLO:
    case DURE_HELLO_WAIT_ANSWER:
        return from == DURE_HELLO_IDLE;
    case DURE_HELLO_WAIT_PROOF:
        return from == DURE_HELLO_WAIT_HELLO;
    case DURE_HELLO_WAIT_WELCOME:
        return from == DURE_HELLO_WAIT_ANSWER;
    case DURE_HELLO_PROVEN:
        return from == DURE_HELLO_WAIT_HELLO || from == DURE_HELLO_WAIT_PROOF;
    case DURE_HELLO_DONE:
        return from == DURE_HELLO_PROVEN || from == DURE_HELLO_WAIT_ANSWER ||
               from == DURE_HELLO_WAIT_WELCOME;
    case DURE_HELLO_ENDED:
        return from != DURE_HELLO_ENDED && from != DURE_HELLO_DONE;
    case DURE_HELLO_IDLE:
        break;
    }
    return false;
}

static void hello_set_state(dure_hello *hello, dure_hello_state state)
{
    DURE_ASSERT(step_is_allowed(hello->state, state));
    hello->state = state;
    if (state == DURE_HELLO_DONE || state == DURE_HELLO_ENDED) {
        dure_buf_release(&hello->_transcript);
    }
}

const char *dure_hello_state_name(dure_hello_state state)
{
    static const char *const names[] = {
#define STATE_ROW(name) #name,
        DURE_HELLO_STATE_LIST(STATE_ROW)
#undef STATE_ROW
    };
    return (size_t)state < DURE_COUNT_OF(names) ? names[state] : "?";
}

void dure_hello_init(dure_hello *hello, const dure_hello_self *self, const dure_registry_node *peer,
                     const uint8_t nonce[DURE_HELLO_NONCE_BYTES])
{
    memset(hello, 0, sizeof *hello);
    hello->self = self;
    hello->is_dialer = peer != NULL;
    hello->peer = peer;
    hello->state = DURE_HELLO_IDLE;
    memcpy(hello->_nonce, nonce, DURE_HELLO_NONCE_BYTES);
    dure_buf_init(&hello->_transcript, TRANSCRIPT_MAX);
    if (peer != NULL) {
        (void)snprintf(hello->claimed_id, sizeof hello->claimed_id, "%s", peer->id);
    }
}

void dure_hello_fini(dure_hello *hello)
{
    dure_buf_fini(&hello->_transcript);
}

/* ---- writing ---- */

static dure_err frame_open(dure_buf *out, dure_frame_kind kind, size_t *out_start)
{
    const dure_frame frame = {.kind = kind};
    return dure_frame_begin(out, &frame, out_start);
}

static dure_err frame_close(dure_buf *out, const dure_packer *packer, size_t start)
{
    if (packer->status != DURE_OK) {
        out->len = start;
        return packer->status;
    }
    return dure_frame_end(out, start);
}

dure_err dure_hello_write_refused(dure_buf *out, dure_err cause, const char *text)
{
    size_t start = 0;
    const dure_err err = frame_open(out, DURE_FRAME_REFUSED, &start);
    if (err != DURE_OK) {
        return err;
    }
    dure_packer packer = dure_packer_of(out);
    dure_packer_array(&packer, 3);
    dure_packer_u64(&packer, (uint64_t)cause);
    dure_packer_cstr(&packer, dure_err_name(cause));
    dure_packer_cstr(&packer, text);
    return frame_close(out, &packer, start);
}

dure_err dure_hello_write_goaway(dure_buf *out, dure_err cause, const char *text, uint32_t drain_ms)
{
    size_t start = 0;
    const dure_err err = frame_open(out, DURE_FRAME_GOAWAY, &start);
    if (err != DURE_OK) {
        return err;
    }
    dure_packer packer = dure_packer_of(out);
    dure_packer_array(&packer, 3);
    dure_packer_cstr(&packer, dure_err_name(cause));
    dure_packer_cstr(&packer, text);
    dure_packer_u64(&packer, drain_ms);
    return frame_close(out, &packer, start);
}

/* Cluster, node and role: to those only who know the secret, where there is one. */
static void pack_identity(dure_packer *packer, const dure_hello_self *self, bool is_told)
{
    dure_packer_cstr(packer, is_told ? dure_registry_cluster(self->registry) : "");
    dure_packer_cstr(packer, is_told ? self->node->id : "");
    dure_packer_cstr(packer, is_told ? self->node->role : "");
}

static uint32_t protocol_least(const dure_hello_self *self)
{
    const bool is_raised = self->secret_count > 0 && self->protocol_min < DURE_PROTOCOL_PROOF;
    return is_raised ? DURE_PROTOCOL_PROOF : self->protocol_min;
}

static dure_err write_hello(const dure_hello *hello, dure_buf *out)
{
    const dure_hello_self *self = hello->self;
    const dure_slice nonce = {hello->_nonce, DURE_HELLO_NONCE_BYTES};
    size_t start = 0;
    const dure_err err = frame_open(out, DURE_FRAME_HELLO, &start);
    if (err != DURE_OK) {
        return err;
    }
    dure_packer packer = dure_packer_of(out);
    dure_packer_array(&packer, 8);
    dure_packer_u64(&packer, protocol_least(self));
    dure_packer_u64(&packer, self->protocol_max);
    pack_identity(&packer, self, self->secret_count == 0);
    dure_packer_u64(&packer, self->incarnation);
    dure_packer_u64(&packer, self->schema_hash);
    dure_packer_bin(&packer, nonce);
    return frame_close(out, &packer, start);
}

static dure_err write_welcome(const dure_hello *hello, dure_buf *out)
{
    const dure_hello_self *self = hello->self;
    size_t start = 0;
    const dure_err err = frame_open(out, DURE_FRAME_WELCOME, &start);
    if (err != DURE_OK) {
        return err;
    }
    dure_packer packer = dure_packer_of(out);
    dure_packer_array(&packer, 6);
    dure_packer_u64(&packer, hello->protocol);
    dure_packer_cstr(&packer, self->node->id);
    dure_packer_cstr(&packer, self->node->role);
    dure_packer_u64(&packer, self->incarnation);
    dure_packer_u64(&packer, self->schema_hash);
    dure_packer_map(&packer, 0); /* limits: what a later protocol agrees on */
    return frame_close(out, &packer, start);
}

/* ---- macs ---- */

/* The node that was dialled. It is under the macs without being sent, so that nobody can pass a
 * handshake on to another node of the cluster. */
static const char *listener_id(const dure_hello *hello)
{
    return hello->is_dialer ? hello->peer->id : hello->self->node->id;
}

static size_t put_text(uint8_t *out, const char *text)
{
    const size_t len = strlen(text) + 1;
    memcpy(out, text, len);
    return len;
}

static dure_err mac_of(const dure_hello *hello, dure_slice secret, const char *label,
                       uint8_t out_mac[DURE_HELLO_MAC_BYTES])
{
    uint8_t message[LABEL_BYTES_MAX + DURE_NODE_ID_MAX + 1 + TRANSCRIPT_MAX];
    const dure_buf *transcript = &hello->_transcript;
    unsigned mac_len = 0;
    DURE_ASSERT(secret.len > 0);
    DURE_ASSERT(secret.len <= INT_MAX);
    DURE_ASSERT(strlen(label) < LABEL_BYTES_MAX);
    DURE_ASSERT(strlen(listener_id(hello)) <= DURE_NODE_ID_MAX);
    DURE_ASSERT(transcript->len <= TRANSCRIPT_MAX);
    size_t len = put_text(message, label);
    len += put_text(message + len, listener_id(hello));
    memcpy(message + len, transcript->data, transcript->len);
    len += transcript->len;
    if (HMAC(EVP_sha256(), secret.data, (int)secret.len, message, len, out_mac, &mac_len) == NULL ||
        mac_len != DURE_HELLO_MAC_BYTES) {
        return DURE_ERR_INTERNAL;
    }
    return DURE_OK;
}

/* The secret under which a mac is good, or NULL. Each is tried, so the time tells nothing. */
static dure_err secret_of_mac(const dure_hello *hello, const char *label, dure_slice mac,
                              const dure_slice **out_secret)
{
    DURE_ASSERT(mac.len == DURE_HELLO_MAC_BYTES);
    *out_secret = NULL;
    for (size_t i = 0; i < hello->self->secret_count; i++) {
        uint8_t expected[DURE_HELLO_MAC_BYTES];
        const dure_err err = mac_of(hello, hello->self->secrets[i], label, expected);
        if (err != DURE_OK) {
            return err;
        }
        if (CRYPTO_memcmp(expected, mac.data, DURE_HELLO_MAC_BYTES) == 0 && *out_secret == NULL) {
            *out_secret = &hello->self->secrets[i];
        }
    }
    return DURE_OK;
}

/* Closes a frame whose last object is its mac, which stands for all that was said before it. */
static dure_err close_with_mac(dure_hello *hello, dure_buf *out, dure_packer *packer, size_t start,
                               dure_slice secret, const char *label)
{
    static const uint8_t no_mac[DURE_HELLO_MAC_BYTES];
    dure_packer_bin(packer, (dure_slice){no_mac, DURE_HELLO_MAC_BYTES});
    dure_err err = frame_close(out, packer, start);
    if (err != DURE_OK) {
        return err;
    }
    DURE_ASSERT(out->len - start > MAC_OBJECT_BYTES);
    err = dure_buf_append(&hello->_transcript, out->data + start,
                          out->len - start - MAC_OBJECT_BYTES);
    if (err != DURE_OK) {
        return err;
    }
    return mac_of(hello, secret, label, out->data + out->len - DURE_HELLO_MAC_BYTES);
}

static dure_err write_challenge(dure_hello *hello, dure_buf *out)
{
    size_t start = 0;
    const dure_err err = frame_open(out, DURE_FRAME_CHALLENGE, &start);
    if (err != DURE_OK) {
        return err;
    }
    dure_packer packer = dure_packer_of(out);
    dure_packer_array(&packer, 3);
    dure_packer_u64(&packer, hello->self->incarnation);
    dure_packer_bin(&packer, (dure_slice){hello->_nonce, DURE_HELLO_NONCE_BYTES});
    return close_with_mac(hello, out, &packer, start, hello->self->secrets[0], LABEL_CHALLENGE);
}

static dure_err write_proof(dure_hello *hello, dure_buf *out)
{
    size_t start = 0;
    DURE_ASSERT(hello->is_proven);
    DURE_ASSERT(hello->_secret != NULL);
    const dure_err err = frame_open(out, DURE_FRAME_PROOF, &start);
    if (err != DURE_OK) {
        return err;
    }
    dure_packer packer = dure_packer_of(out);
    dure_packer_array(&packer, 4);
    pack_identity(&packer, hello->self, true);
    return close_with_mac(hello, out, &packer, start, *hello->_secret, LABEL_PROOF);
}

/* What a frame with a mac says, up to the mac, and whose secret the mac was made with. */
static dure_err check_mac(dure_hello *hello, dure_slice raw, const char *label, dure_slice mac,
                          const dure_slice **out_secret)
{
    DURE_ASSERT(raw.len > MAC_OBJECT_BYTES);
    const dure_err err = dure_buf_append(&hello->_transcript, raw.data, raw.len - MAC_OBJECT_BYTES);
    return err != DURE_OK ? err : secret_of_mac(hello, label, mac, out_secret);
}

/* ---- reading: false where a body has not the shape of its page ---- */

static bool read_array(dure_cursor *cursor, uint32_t at_least)
{
    uint32_t count = 0;
    return dure_cursor_array(cursor, &count) == DURE_OK && count >= at_least;
}

static bool read_bin32(dure_cursor *cursor, dure_slice *out_bytes)
{
    return dure_cursor_bin(cursor, out_bytes) == DURE_OK && out_bytes->len == 32;
}

/* Exactly so many: what followed the mac would not be under it. */
static bool read_array_of(dure_cursor *cursor, uint32_t exactly)
{
    uint32_t count = 0;
    return dure_cursor_array(cursor, &count) == DURE_OK && count == exactly;
}

static bool read_identity(dure_cursor *cursor, identity *out)
{
    return dure_cursor_str(cursor, &out->cluster) == DURE_OK &&
           dure_cursor_str(cursor, &out->node_id) == DURE_OK &&
           dure_cursor_str(cursor, &out->role) == DURE_OK;
}

static bool read_hello(dure_slice body, hello_body *out)
{
    dure_cursor cursor = dure_cursor_of(body.data, body.len);
    return read_array(&cursor, 8) && dure_cursor_u32(&cursor, &out->protocol_min) == DURE_OK &&
           dure_cursor_u32(&cursor, &out->protocol_max) == DURE_OK &&
           read_identity(&cursor, &out->who) &&
           dure_cursor_u64(&cursor, &out->incarnation) == DURE_OK &&
           dure_cursor_u64(&cursor, &out->schema_hash) == DURE_OK &&
           read_bin32(&cursor, &out->nonce);
}

static bool read_welcome(dure_slice body, welcome_body *out)
{
    dure_cursor cursor = dure_cursor_of(body.data, body.len);
    uint32_t limits = 0;
    return read_array(&cursor, 6) && dure_cursor_u32(&cursor, &out->protocol) == DURE_OK &&
           dure_cursor_str(&cursor, &out->node_id) == DURE_OK &&
           dure_cursor_str(&cursor, &out->role) == DURE_OK &&
           dure_cursor_u64(&cursor, &out->incarnation) == DURE_OK &&
           dure_cursor_u64(&cursor, &out->schema_hash) == DURE_OK &&
           dure_cursor_map(&cursor, &limits) == DURE_OK;
}

static bool read_challenge(dure_slice body, challenge_body *out)
{
    dure_cursor cursor = dure_cursor_of(body.data, body.len);
    return read_array_of(&cursor, 3) && dure_cursor_u64(&cursor, &out->incarnation) == DURE_OK &&
           read_bin32(&cursor, &out->nonce) && read_bin32(&cursor, &out->mac);
}

static bool read_proof(dure_slice body, proof_body *out)
{
    dure_cursor cursor = dure_cursor_of(body.data, body.len);
    return read_array_of(&cursor, 4) && read_identity(&cursor, &out->who) &&
           read_bin32(&cursor, &out->mac);
}

dure_err dure_hello_read_refused(dure_slice body, dure_err *out_cause, dure_str *out_text)
{
    uint32_t code = 0;
    dure_str name;
    dure_cursor cursor = dure_cursor_of(body.data, body.len);
    if (!read_array(&cursor, 3) || dure_cursor_u32(&cursor, &code) != DURE_OK ||
        dure_cursor_str(&cursor, &name) != DURE_OK ||
        dure_cursor_str(&cursor, out_text) != DURE_OK) {
        return DURE_ERR_PROTOCOL;
    }
    /* A cause that only a newer node knows is a refusal all the same. */
    const bool is_listed =
        code != 0 && code < 1000 && strcmp(dure_err_name((dure_err)code), "UNLISTED") != 0;
    *out_cause = is_listed ? (dure_err)code : DURE_ERR_REFUSED;
    return DURE_OK;
}

/* ---- steps ---- */

dure_err dure_hello_refuse(dure_hello *hello, dure_err cause, const char *text, dure_buf *out)
{
    hello->cause = cause;
    hello->is_refused_by_peer = false;
    (void)snprintf(hello->text, sizeof hello->text, "%s", text);
    hello_set_state(hello, DURE_HELLO_ENDED);
    return dure_hello_write_refused(out, cause, text);
}

static dure_err refuse_frame(dure_hello *hello, const dure_frame *frame, dure_buf *out)
{
    char text[DURE_HELLO_TEXT_MAX];
    (void)snprintf(text, sizeof text, "the frame %s is not allowed, or malformed, in state %s",
                   dure_frame_kind_name(frame->kind), dure_hello_state_name(hello->state));
    return dure_hello_refuse(hello, DURE_ERR_PROTOCOL, text, out);
}

/*
 * A cause is a reason to act (to stop, to wait long before the next dial) for the dialler only, and
 * with a secret only once the other one has shown that it knows it: until then anybody may sit at
 * the address that was dialled. Before that the words are kept for the log and for nothing else.
 */
static dure_err on_refused(dure_hello *hello, const dure_frame *frame, dure_buf *out)
{
    dure_err cause = DURE_ERR_PROTOCOL;
    dure_str text = {NULL, 0};
    if (hello->state == DURE_HELLO_WAIT_HELLO ||
        dure_hello_read_refused(frame->body, &cause, &text) != DURE_OK) {
        return refuse_frame(hello, frame, out); /* nobody refuses before anything was said */
    }
    hello->is_refused_by_peer = true;
    if (hello->is_dialer && !hello->is_proven) {
        hello->cause = DURE_ERR_REFUSED;
        (void)snprintf(hello->text, sizeof hello->text, "unproven %s: %.*s", dure_err_name(cause),
                       DURE_STR_ARG(text));
    } else {
        hello->cause = cause;
        (void)snprintf(hello->text, sizeof hello->text, "%.*s", DURE_STR_ARG(text));
    }
    hello_set_state(hello, DURE_HELLO_ENDED);
    return DURE_OK;
}

bool dure_hello_is_duplicate(const dure_hello *hello)
{
    return hello->state == DURE_HELLO_ENDED && hello->is_dialer && hello->is_proven &&
           hello->is_refused_by_peer && hello->cause == DURE_ERR_DUPLICATE_ID;
}

dure_err dure_hello_start(dure_hello *hello, dure_buf *out)
{
    hello->is_proven = hello->self->secret_count == 0;
    if (!hello->is_dialer) {
        hello_set_state(hello, DURE_HELLO_WAIT_HELLO);
        return DURE_OK;
    }
    const size_t start = out->len;
    dure_err err = write_hello(hello, out);
    if (err == DURE_OK) {
        err = dure_buf_append(&hello->_transcript, out->data + start, out->len - start);
    }
    if (err == DURE_OK) {
        hello_set_state(hello, DURE_HELLO_WAIT_ANSWER);
    }
    return err;
}

static void remember_claim(dure_hello *hello, dure_str id)
{
    (void)snprintf(hello->claimed_id, sizeof hello->claimed_id, "%.*s", DURE_STR_ARG(id));
}

/* The configured node of an id and role that a stranger gave, or NULL. */
static const dure_registry_node *find_claimed(const dure_hello *hello, dure_str id, dure_str role)
{
    char text[DURE_NODE_ID_MAX + 1];
    if (id.len == 0 || id.len > DURE_NODE_ID_MAX || memchr(id.data, '\0', id.len) != NULL) {
        return NULL;
    }
    memcpy(text, id.data, id.len);
    text[id.len] = '\0';
    const dure_registry_node *node = dure_registry_find_node(hello->self->registry, text);
    return node != NULL && dure_str_equal(role, dure_str_of(node->role)) ? node : NULL;
}

/* What is wrong with the protocols of a hello, and OK when nothing is. */
static dure_err judge_protocol(dure_hello *hello, const hello_body *body, char *text, size_t size)
{
    const dure_hello_self *self = hello->self;
    const uint32_t least = protocol_least(self);
    const uint32_t top =
        body->protocol_max < self->protocol_max ? body->protocol_max : self->protocol_max;
    if (top < body->protocol_min || top < least) {
        (void)snprintf(text, size, "it speaks protocol %u to %u, this node %u to %u",
                       body->protocol_min, body->protocol_max, least, self->protocol_max);
        return DURE_ERR_WRONG_VERSION;
    }
    hello->protocol = top;
    return DURE_OK;
}

/* What is wrong with who it says it is. The texts name this cluster and its nodes, so that they are
 * for those only who know the secret, where there is one. */
static dure_err judge_identity(dure_hello *hello, const identity *who, char *text, size_t size)
{
    const dure_hello_self *self = hello->self;
    const char *cluster = dure_registry_cluster(self->registry);
    DURE_ASSERT(hello->is_proven);
    if (who->cluster.len == 0) {
        (void)snprintf(text, size, "it has a cluster secret and this node has none");
        return DURE_ERR_WRONG_PROOF;
    }
    if (!dure_str_equal(who->cluster, dure_str_of(cluster))) {
        (void)snprintf(text, size, "this is cluster %s", cluster);
        return DURE_ERR_WRONG_CLUSTER;
    }
    const dure_registry_node *peer = find_claimed(hello, who->node_id, who->role);
    if (peer == NULL) {
        (void)snprintf(text, size, "no node of this id and role is configured here");
        return DURE_ERR_WRONG_NODE;
    }
    if (strcmp(peer->id, self->node->id) == 0) {
        (void)snprintf(text, size, "this node itself is %s", self->node->id);
        return hello->peer_incarnation == self->incarnation ? DURE_ERR_WRONG_NODE
                                                            : DURE_ERR_DUPLICATE_ID;
    }
    hello->peer = peer;
    return DURE_OK;
}

/* The last step of the side that accepts before it decides: the other one may say who it is. */
static dure_err accept_identity(dure_hello *hello, const identity *who, dure_buf *out)
{
    char text[DURE_HELLO_TEXT_MAX];
    remember_claim(hello, who->node_id);
    const dure_err err = judge_identity(hello, who, text, sizeof text);
    if (err != DURE_OK) {
        return dure_hello_refuse(hello, err, text, out);
    }
    hello_set_state(hello, DURE_HELLO_PROVEN);
    return DURE_OK;
}

static dure_err on_hello(dure_hello *hello, const dure_frame *frame, dure_slice raw, dure_buf *out)
{
    char text[DURE_HELLO_TEXT_MAX];
    hello_body body;
    if (frame->kind != DURE_FRAME_HELLO || !read_hello(frame->body, &body)) {
        return refuse_frame(hello, frame, out);
    }
    dure_err err = judge_protocol(hello, &body, text, sizeof text);
    if (err != DURE_OK) {
        return dure_hello_refuse(hello, err, text, out);
    }
    hello->peer_incarnation = body.incarnation;
    hello->peer_schema_hash = body.schema_hash;
    if (hello->self->secret_count == 0) {
        return accept_identity(hello, &body.who, out);
    }
    remember_claim(hello, body.who.node_id); /* of one without a secret; for the log */
    err = dure_buf_append(&hello->_transcript, raw.data, raw.len);
    if (err == DURE_OK) {
        err = write_challenge(hello, out);
    }
    if (err == DURE_OK) {
        hello_set_state(hello, DURE_HELLO_WAIT_PROOF);
    }
    return err;
}

static dure_err on_proof(dure_hello *hello, const dure_frame *frame, dure_slice raw, dure_buf *out)
{
    proof_body body;
    const dure_slice *secret = NULL;
    if (frame->kind != DURE_FRAME_PROOF || !read_proof(frame->body, &body)) {
        return refuse_frame(hello, frame, out);
    }
    const dure_err err = check_mac(hello, raw, LABEL_PROOF, body.mac, &secret);
    if (err != DURE_OK) {
        return err;
    }
    if (secret == NULL) {
        return dure_hello_refuse(hello, DURE_ERR_WRONG_PROOF,
                                 "its proof was made with another cluster secret", out);
    }
    hello->is_proven = true;
    return accept_identity(hello, &body.who, out);
}

static dure_err refuse_other_node(dure_hello *hello, dure_buf *out)
{
    char text[DURE_HELLO_TEXT_MAX];
    (void)snprintf(text, sizeof text, "%s was dialled here", hello->peer->id);
    return dure_hello_refuse(hello, DURE_ERR_WRONG_NODE, text, out);
}

static dure_err on_challenge(dure_hello *hello, const dure_frame *frame, dure_slice raw,
                             dure_buf *out)
{
    challenge_body body;
    if (!read_challenge(frame->body, &body)) {
        return refuse_frame(hello, frame, out);
    }
    if (hello->self->secret_count == 0) {
        return dure_hello_refuse(hello, DURE_ERR_WRONG_PROOF,
                                 "it asks for a cluster secret and this node has none", out);
    }
    dure_err err = check_mac(hello, raw, LABEL_CHALLENGE, body.mac, &hello->_secret);
    if (err != DURE_OK) {
        return err;
    }
    if (hello->_secret == NULL) {
        return dure_hello_refuse(hello, DURE_ERR_WRONG_PROOF,
                                 "its challenge was made with another cluster secret, or by "
                                 "another node than the one that was dialled",
                                 out);
    }
    hello->is_proven = true;
    hello->peer_incarnation = body.incarnation;
    err = write_proof(hello, out);
    if (err == DURE_OK) {
        hello_set_state(hello, DURE_HELLO_WAIT_WELCOME);
    }
    return err;
}

static dure_err on_welcome(dure_hello *hello, const dure_frame *frame, dure_buf *out)
{
    const dure_hello_self *self = hello->self;
    welcome_body body;
    if (!read_welcome(frame->body, &body)) {
        return refuse_frame(hello, frame, out);
    }
    if (self->secret_count > 0 && hello->state != DURE_HELLO_WAIT_WELCOME) {
        return dure_hello_refuse(hello, DURE_ERR_WRONG_PROOF,
                                 "it has not proven that it knows the cluster secret", out);
    }
    if (body.protocol < protocol_least(self) || body.protocol > self->protocol_max) {
        return dure_hello_refuse(hello, DURE_ERR_WRONG_VERSION,
                                 "it chose a protocol that was not offered", out);
    }
    remember_claim(hello, body.node_id);
    if (find_claimed(hello, body.node_id, body.role) != hello->peer) {
        return refuse_other_node(hello, out);
    }
    hello->protocol = body.protocol;
    hello->peer_incarnation = body.incarnation;
    hello->peer_schema_hash = body.schema_hash;
    hello_set_state(hello, DURE_HELLO_DONE);
    return DURE_OK;
}

static dure_err on_answer(dure_hello *hello, const dure_frame *frame, dure_slice raw, dure_buf *out)
{
    if (frame->kind == DURE_FRAME_CHALLENGE && hello->state == DURE_HELLO_WAIT_ANSWER) {
        return on_challenge(hello, frame, raw, out);
    }
    if (frame->kind == DURE_FRAME_WELCOME) {
        return on_welcome(hello, frame, out);
    }
    return refuse_frame(hello, frame, out);
}

dure_err dure_hello_on_frame(dure_hello *hello, const dure_frame *frame, dure_slice raw,
                             dure_buf *out)
{
    DURE_ASSERT(hello->state != DURE_HELLO_IDLE);
    DURE_ASSERT(hello->state != DURE_HELLO_DONE);
    DURE_ASSERT(hello->state != DURE_HELLO_ENDED);
    if (frame->kind == DURE_FRAME_REFUSED) {
        return on_refused(hello, frame, out);
    }
    if (hello->state == DURE_HELLO_WAIT_HELLO) {
        return on_hello(hello, frame, raw, out);
    }
    if (hello->state == DURE_HELLO_WAIT_PROOF) {
        return on_proof(hello, frame, raw, out);
    }
    if (hello->state == DURE_HELLO_PROVEN) {
        return refuse_frame(hello, frame, out);
    }
    return on_answer(hello, frame, raw, out);
}

dure_err dure_hello_welcome(dure_hello *hello, dure_buf *out)
{
    DURE_ASSERT(hello->state == DURE_HELLO_PROVEN);
    const dure_err err = write_welcome(hello, out);
    if (err == DURE_OK) {
        hello_set_state(hello, DURE_HELLO_DONE);
    }
    return err;
}
