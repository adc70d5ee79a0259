/* SPDX-License-Identifier: MIT
 *
 * The umbrella for programs: the headers that a role or a program on the session layer is written
 * against, and nothing else. Files of dure itself include the headers they need, not this one.
 */
#ifndef DURE_H
#define DURE_H

#include "base/assert.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "iocp/core.h"
#include "net/address.h"
#include "net/client_service.h"
#include "net/server_service.h"
#include "net/service.h"
#include "net/session.h"
#include "wire/cursor.h"
#include "wire/packer.h"

#include "cluster/registry.h"
#include "cluster/rpc.h"
#include "node/node.h"

#endif
