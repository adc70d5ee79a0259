/* SPDX-License-Identifier: MIT
 *
 * The file that a node's admin port leaves, and the first call over that port.
 */
#include "node/admin_client.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "net/address.h"
#include "node/process.h"
#include "wire/packer.h"

#define ADMIN_FILE_BYTES_MAX 4096u
#define ADMIN_PATH_BYTES_MAX 4200u

static dure_err admin_parse(const dure_buf *text, dure_admin_place *out_place)
{
    cJSON *json = cJSON_ParseWithLength((const char *)text->data, text->len);
    const cJSON *port = cJSON_GetObjectItemCaseSensitive(json, "port");
    const cJSON *token = cJSON_GetObjectItemCaseSensitive(json, "token");
    const cJSON *pid = cJSON_GetObjectItemCaseSensitive(json, "pid");
    dure_err err = DURE_ERR_SYNTAX;
    if (cJSON_IsNumber(port) && cJSON_IsString(token) && cJSON_IsNumber(pid) &&
        port->valuedouble > 0 && port->valuedouble <= 65535 &&
        strlen(token->valuestring) < sizeof out_place->token) {
        out_place->port = (uint16_t)port->valuedouble;
        out_place->pid = (uint64_t)pid->valuedouble;
        memcpy(out_place->token, token->valuestring, strlen(token->valuestring) + 1);
        err = DURE_OK;
    }
    cJSON_Delete(json);
    return err;
}

dure_err dure_admin_find(const char *data, const char *node_id, dure_admin_place *out_place)
{
    char path[ADMIN_PATH_BYTES_MAX];
    dure_buf text;
    int len = snprintf(path, sizeof path, "%s/%s/admin.json", data, node_id);
    if (len < 0 || (size_t)len >= sizeof path) {
        return DURE_ERR_TOO_LARGE;
    }
    dure_buf_init(&text, ADMIN_FILE_BYTES_MAX);
    dure_err err = dure_file_read(path, &text);
    if (err == DURE_OK) {
        err = admin_parse(&text, out_place);
    }
    dure_buf_fini(&text);
    /* A killed node leaves its file behind. */
    if (err == DURE_OK && !dure_process_is_running(out_place->pid)) {
        return DURE_ERR_NOT_FOUND;
    }
    return err;
}

static dure_err admin_authenticate(dure_rpc_client *client, const dure_admin_place *place,
                                   uint32_t timeout_ms)
{
    dure_buf params;
    dure_buf_init(&params, 1024);
    dure_packer packer = dure_packer_of(&params);
    dure_packer_array(&packer, 1);
    dure_packer_cstr(&packer, place->token);
    dure_rpc_answer answer;
    dure_err err = packer.status;
    if (err == DURE_OK) {
        err = dure_rpc_client_call(client, dure_str_of("auth"),
                                   (dure_slice){params.data, params.len}, timeout_ms, &answer);
    }
    dure_buf_fini(&params);
    return err == DURE_OK && answer.is_error ? DURE_ERR_REFUSED : err;
}

dure_err dure_admin_open(const char *data, const char *node_id, uint32_t timeout_ms,
                         dure_admin_place *out_place, dure_rpc_client **out_client)
{
    dure_net_address address;
    dure_admin_place place;
    dure_rpc_client *client = NULL;
    dure_err err = dure_admin_find(data, node_id, &place);
    if (err == DURE_OK) {
        err = dure_net_address_from_ip("127.0.0.1", place.port, &address);
    }
    if (err == DURE_OK) {
        err = dure_rpc_client_create(&address, timeout_ms, &client);
    }
    if (err == DURE_OK) {
        err = admin_authenticate(client, &place, timeout_ms);
    }
    if (err != DURE_OK) {
        dure_rpc_client_destroy(client);
        return err;
    }
    if (out_place != NULL) {
        *out_place = place;
    }
    *out_client = client;
    return DURE_OK;
}

dure_err dure_admin_call(dure_rpc_client *client, const char *method, uint32_t timeout_ms,
                         dure_rpc_answer *out_answer)
{
    static const uint8_t nothing[] = {0x90};
    return dure_rpc_client_call(client, dure_str_of(method), (dure_slice){nothing, sizeof nothing},
                                timeout_ms, out_answer);
}
