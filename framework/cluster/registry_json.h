/* SPDX-License-Identifier: MIT
 *
 * From a JSON file to a registry. config/cluster.schema.json is the manual of the keys; this reader
 * holds files to it and to the rules that no schema can say (ports that clash, roles that nobody
 * reaches). Its promise: a syntax error ends the reading, of all other mistakes every one is
 * reported, each with its place, and a file with one mistake gives no registry at all.
 *
 * What a value is, from the strongest: --set, DURE_SET, the file, the default. A secret comes from
 * the environment or from a file that secret_file names, never from the configuration itself.
 */
#ifndef DURE_CLUSTER_REGISTRY_JSON_H
#define DURE_CLUSTER_REGISTRY_JSON_H

#include "cluster/registry.h"
#include "cluster/registry_report.h"

#define DURE_REGISTRY_BYTES_MAX (1024u * 1024) /* of a configuration file */
#define DURE_REGISTRY_DEPTH_MAX 32u            /* arrays and objects within each other */

typedef struct dure_registry_source {
    const char *path; /* of the file; where text is given, the name that messages use */
    const char *text; /* NULL: the file is read */
    size_t text_len;
    const char *const *sets; /* "PATH=VALUE", as --set takes them, the later the stronger */
    size_t set_count;
    const char *env_set;             /* DURE_SET: the same, separated by ';'; or NULL */
    const char *env_backend;         /* DURE_BACKEND, or NULL */
    const char *env_secret;          /* DURE_SECRET, or NULL */
    const char *env_secret_previous; /* DURE_SECRET_PREVIOUS, or NULL */
    uint16_t ephemeral_first;        /* ports that the system gives to dialled connections; */
    uint16_t ephemeral_last;         /* 0: the system is asked */
} dure_registry_source;

/* The file at path, no overrides, nothing of the environment. Borrows: path. Thread: any. */
void dure_registry_source_init(dure_registry_source *source, const char *path);

/* Adds what the environment says (DURE_SET, DURE_BACKEND, DURE_SECRET, DURE_SECRET_PREVIOUS).
 * Thread: start-up. */
void dure_registry_source_from_environment(dure_registry_source *source);

/*
 * Reads, checks and builds. report (which the caller has initialised) tells all that there is to
 * tell, also when this fails; with warnings alone the registry is made.
 *
 * Borrows: source and what it points at, for the call.
 * Fails:   CONFIG: the report has mistakes (an unreadable file is one); NO_MEMORY.
 * Thread:  any; it reads files.
 */
DURE_CHECKED dure_err dure_registry_load(const dure_registry_source *source,
                                         dure_registry **out_registry,
                                         dure_registry_report *report);

#endif
