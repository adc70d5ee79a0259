/* SPDX-License-Identifier: MIT
 *
 * The version of dure, as project() in CMakeLists.txt has it.
 */
#ifndef DURE_NODE_VERSION_H
#define DURE_NODE_VERSION_H

#define DURE_VERSION "0.1.0"

#endif
