/*
 * command: what another program prints, within a time.
 *
 * For sources whose facts only a program of the system tells (systemctl, ioreg). No shell; standard
 * error goes nowhere; a program that takes longer than SOURCE_COMMAND_NS is killed.
 */
#pragma once

#include "base/buf.h"

#define SOURCE_COMMAND_NS  (INT64_C(2) * 1000000000)
#define SOURCE_COMMAND_MAX (1u << 20) /* bytes; more is a failure */

/* `words` end with NULL. False: it could not be started, failed, or took too long. */
bool source_command(const char *const *words, struct buf *ret);
