/*
 * shown: text that came from outside, for a terminal.
 *
 * Subjects, headers, fields, file names: whatever they hold, no terminal is to act on it, and no
 * line is to pass for another. Control characters (C0, C1, DEL) and marks that turn the direction
 * of writing become dots, what is not UTF-8 becomes U+FFFD.
 */
#pragma once

#include "base/buf.h"

void shown_add(struct buf *out, struct slice text);
/* The same to stderr, one message; line feeds of the format and its arguments stay. */
void shown_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
