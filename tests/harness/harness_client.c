/* SPDX-License-Identifier: MIT
 *
 * Clients that block: what they say and hear is JSON text, and every notification is kept until
 * the story asks for it.
 */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "harness_impl.h"
#include "iocp/system.h"
#include "node/process.h"
#include "tools/dure/json_msgpack.h"

#define JSON_BYTES_MAX    ((size_t)32 * 1024 * 1024)
#define PARAMS_BYTES_MAX  ((size_t)32 * 1024 * 1024)
#define NOTIFICATIONS_MAX 65536u /* kept; a story that does not ask for them loses later ones */
#define NAME_MAX_BYTES    64u
#define AGAIN_MS          20u

typedef struct notification {
    dure_list node;
    char name[NAME_MAX_BYTES];
    char *json;
} notification;

struct dure_harness_client {
    dure_harness *h;
    const char *id; /* of the node */
    dure_rpc_client *rpc;
    dure_buf json; /* of the last answer, with a zero at its end */
    char error[NAME_MAX_BYTES];
    dure_list notifications;
    size_t notification_count;
    notification *shown; /* lent to the story */
    uint64_t received;
    dure_err begin_status;
};

/* ---- notifications ---- */

static void notification_free(notification *n)
{
    if (n != NULL) {
        dure_mem_free(n->json);
        dure_mem_free(n);
    }
}

/* As a string of its own; NULL: memory, or no MessagePack. */
static char *json_of(dure_slice value)
{
    dure_buf text;
    char *copy = NULL;
    dure_buf_init(&text, JSON_BYTES_MAX);
    if (json_from_msgpack(value, &text) == DURE_OK && dure_buf_append(&text, "", 1) == DURE_OK) {
        copy = dure_mem_strdup((const char *)text.data);
    }
    dure_buf_fini(&text);
    return copy;
}

static void client_on_notified(void *ctx, dure_str method, dure_slice params)
{
    dure_harness_client *client = ctx;
    notification *n = NULL;
    if (!dure_str_equal(method, dure_str_of("closing"))) {
        client->received++;
    }
    if (client->notification_count < NOTIFICATIONS_MAX) {
        n = dure_mem_alloc(sizeof *n);
    }
    if (n == NULL) {
        return;
    }
    (void)snprintf(n->name, sizeof n->name, "%.*s", DURE_STR_ARG(method));
    n->json = json_of(params);
    dure_list_init(&n->node);
    dure_list_push_back(&client->notifications, &n->node);
    client->notification_count++;
}

static notification *take_notification(dure_harness_client *client, const char *name)
{
    for (dure_list *node = client->notifications.next; node != &client->notifications;
         node = node->next) {
        notification *n = DURE_CONTAINER_OF(node, notification, node);
        if (strcmp(n->name, name) == 0) {
            dure_list_remove(node);
            client->notification_count--;
            return n;
        }
    }
    return NULL;
}

const char *dure_harness_wait_notification(dure_harness_client *client, const char *name,
                                           uint32_t ms)
{
    if (client == NULL || client->h->has_failed) {
        return NULL;
    }
    uint64_t due_ns = dure_system_now_ns() + ms * UINT64_C(1000000);
    dure_err err = DURE_OK;
    notification *n;
    while ((n = take_notification(client, name)) == NULL && err == DURE_OK &&
           dure_system_now_ns() < due_ns) {
        err = dure_rpc_client_wait(client->rpc, HARNESS_LOOK_MS);
    }
    if (n == NULL) {
        (void)dure_harness_fail(client->h,
                                "a client of %s waits for %s: not within %u ms (%s); %" PRIu64
                                " notifications came in all",
                                client->id, name, (unsigned)ms, dure_err_name(err),
                                client->received);
        return NULL;
    }
    notification_free(client->shown);
    client->shown = n;
    return n->json;
}

uint64_t dure_harness_received(const dure_harness_client *client)
{
    return client != NULL ? client->received : 0;
}

/* ---- connections ---- */

bool dure_harness_client_address(dure_harness *h, const char *id, dure_net_address *out_address)
{
    const harness_node *node = harness_find(h, id);
    if (node == NULL) {
        return false;
    }
    if (node->entry->client_port == 0) {
        return dure_harness_fail(h, "%s has no client_port", id);
    }
    *out_address = node->client_address;
    return true;
}

static dure_err client_open(dure_harness_client *client)
{
    const harness_node *node = harness_find(client->h, client->id);
    dure_err err = node != NULL ? DURE_OK : DURE_ERR_STATE;
    if (err == DURE_OK) {
        err = dure_rpc_client_create(&node->client_address, HARNESS_CALL_MS, &client->rpc);
    }
    if (err == DURE_OK) {
        dure_rpc_client_on_notified(client->rpc, client_on_notified, client);
    }
    return err;
}

static void client_free(dure_harness_client *client)
{
    dure_list *node;
    dure_rpc_client_destroy(client->rpc);
    while ((node = dure_list_pop_front(&client->notifications)) != NULL) {
        notification_free(DURE_CONTAINER_OF(node, notification, node));
    }
    notification_free(client->shown);
    dure_buf_fini(&client->json);
    dure_mem_free(client);
}

dure_harness_client *dure_harness_connect(dure_harness *h, const char *id)
{
    dure_net_address address;
    if (!dure_harness_client_address(h, id, &address)) {
        return NULL;
    }
    dure_harness_client *client =
        h->client_count < HARNESS_CLIENTS_MAX ? dure_mem_alloc(sizeof *client) : NULL;
    if (client == NULL) {
        (void)dure_harness_fail(h, "connect to %s: too many clients", id);
        return NULL;
    }
    client->h = h;
    client->id = harness_find(h, id)->entry->id;
    dure_buf_init(&client->json, JSON_BYTES_MAX);
    dure_list_init(&client->notifications);
    dure_err err = client_open(client);
    if (err != DURE_OK) {
        (void)dure_harness_fail(h, "connect to %s: %s", id, dure_err_text(err));
        client_free(client);
        return NULL;
    }
    h->clients[h->client_count++] = client;
    return client;
}

dure_harness_client *dure_harness_login(dure_harness *h, const char *id, const char *player)
{
    char params[256];
    dure_harness_client *client = dure_harness_connect(h, id);
    (void)snprintf(params, sizeof params, "[\"%s\"]", player);
    /* A cluster that has just come up may want a moment until db lets game nodes act. */
    return dure_harness_call_until_ok(client, "login", params, HARNESS_CALL_MS) ? client : NULL;
}

void dure_harness_close(dure_harness_client *client)
{
    if (client == NULL) {
        return;
    }
    dure_harness *h = client->h;
    for (size_t i = 0; i < h->client_count; i++) {
        if (h->clients[i] == client) {
            h->clients[i] = h->clients[--h->client_count];
            client_free(client);
            return;
        }
    }
}

void harness_clients_end(dure_harness *h)
{
    while (h->client_count > 0) {
        dure_harness_close(h->clients[h->client_count - 1]);
    }
}

/* ---- calls ---- */

bool dure_harness_begin(dure_harness_client *client, const char *method, const char *params)
{
    if (client == NULL || client->h->has_failed) {
        return false;
    }
    dure_buf bytes;
    dure_buf_init(&bytes, PARAMS_BYTES_MAX);
    dure_err err = json_to_msgpack(params, &bytes);
    if (err != DURE_OK) {
        dure_buf_fini(&bytes);
        return dure_harness_fail(client->h, "call %s: the parameters are no JSON: %.200s", method,
                                 params);
    }
    client->begin_status = client->rpc == NULL
                               ? DURE_ERR_CLOSED
                               : dure_rpc_client_begin(client->rpc, dure_str_of(method),
                                                       (dure_slice){bytes.data, bytes.len});
    dure_buf_fini(&bytes);
    return true;
}

/* The second of [code, name, text]. */
static void keep_error_name(dure_harness_client *client)
{
    cJSON *json = cJSON_Parse((const char *)client->json.data);
    const cJSON *name = cJSON_GetArrayItem(json, 1);
    (void)snprintf(client->error, sizeof client->error, "%s",
                   cJSON_IsString(name) ? name->valuestring : "?");
    cJSON_Delete(json);
}

bool dure_harness_finish(dure_harness_client *client, uint32_t ms, dure_harness_answer *out_answer)
{
    dure_rpc_answer answer = {0};
    *out_answer = (dure_harness_answer){.json = "", .error = "", .status = DURE_ERR_STATE};
    if (client == NULL || client->h->has_failed) {
        return false;
    }
    dure_err err = client->begin_status;
    if (err == DURE_OK) {
        err = dure_rpc_client_finish(client->rpc, ms, &answer);
    }
    dure_buf_clear(&client->json);
    client->error[0] = '\0';
    if (err == DURE_OK) {
        err = json_from_msgpack(answer.value, &client->json);
    }
    if (err == DURE_OK) {
        err = dure_buf_append(&client->json, "", 1);
    }
    out_answer->status = err;
    if (err == DURE_OK) {
        out_answer->is_error = answer.is_error;
        out_answer->json = (const char *)client->json.data;
        if (answer.is_error) {
            keep_error_name(client);
        }
        out_answer->error = client->error;
    }
    return true;
}

static bool client_ask(dure_harness_client *client, const char *method, const char *params,
                       uint32_t ms, dure_harness_answer *out_answer)
{
    return dure_harness_begin(client, method, params) &&
           dure_harness_finish(client, ms, out_answer);
}

static bool call_failed(dure_harness_client *client, const char *method, const char *params,
                        const dure_harness_answer *answer, const char *wanted)
{
    return dure_harness_fail(
        client->h, "call %s %.200s at %s: %.300s instead of %.300s", method, params, client->id,
        answer->status == DURE_OK ? answer->json : dure_err_name(answer->status), wanted);
}

const char *dure_harness_call(dure_harness_client *client, const char *method, const char *params,
                              uint32_t ms)
{
    dure_harness_answer answer;
    if (!client_ask(client, method, params, ms, &answer)) {
        return NULL;
    }
    if (answer.status != DURE_OK || answer.is_error) {
        (void)call_failed(client, method, params, &answer, "a result");
        return NULL;
    }
    return answer.json;
}

bool dure_harness_expect(dure_harness_client *client, const char *method, const char *params,
                         const char *result)
{
    dure_harness_answer answer;
    return client_ask(client, method, params, HARNESS_CALL_MS, &answer) &&
           ((answer.status == DURE_OK && !answer.is_error && strcmp(answer.json, result) == 0) ||
            call_failed(client, method, params, &answer, result));
}

bool dure_harness_expect_error(dure_harness_client *client, const char *method, const char *params,
                               const char *name)
{
    dure_harness_answer answer;
    return client_ask(client, method, params, HARNESS_CALL_MS, &answer) &&
           ((answer.status == DURE_OK && answer.is_error && strcmp(answer.error, name) == 0) ||
            call_failed(client, method, params, &answer, name));
}

bool dure_harness_call_until_ok(dure_harness_client *client, const char *method, const char *params,
                                uint32_t ms)
{
    dure_harness_answer answer;
    uint64_t due_ns = dure_system_now_ns() + ms * UINT64_C(1000000);
    while (client_ask(client, method, params, HARNESS_CALL_MS, &answer)) {
        if (answer.status == DURE_OK && !answer.is_error) {
            return true;
        }
        if (dure_system_now_ns() >= due_ns) {
            return call_failed(client, method, params, &answer, "a result in time");
        }
        dure_process_pause_ms(AGAIN_MS);
        if (answer.status != DURE_OK) {
            dure_rpc_client_destroy(client->rpc);
            client->rpc = NULL;
            dure_err ignored = client_open(client); /* tried again in the next round */
            (void)ignored;
        }
    }
    return false;
}

const char *dure_harness_text(dure_harness_client *client, const char *key)
{
    if (client == NULL || client->h->has_failed) {
        return NULL;
    }
    cJSON *json = client->json.len > 0 ? cJSON_Parse((const char *)client->json.data) : NULL;
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, key);
    const char *found = NULL;
    if (cJSON_IsString(value)) {
        notification *kept = dure_mem_alloc(sizeof *kept); /* lent in the same way */
        if (kept != NULL) {
            kept->json = dure_mem_strdup(value->valuestring);
            dure_list_init(&kept->node);
            notification_free(client->shown);
            client->shown = kept;
            found = kept->json;
        }
    }
    cJSON_Delete(json);
    if (found == NULL) {
        (void)dure_harness_fail(client->h, "the last result has no text %s: %.300s", key,
                                client->json.len > 0 ? (const char *)client->json.data : "none");
    }
    return found;
}
