/*
 * write: JSON text, appended to a buf. The few calls that building a line of JSON takes.
 */
#pragma once

#include "base/buf.h"

/*
 * The text in quotes, escaped by RFC 8259. Bytes that are no UTF-8 become U+FFFD, so that what is
 * written is always JSON. Cost: one pass.
 */
void json_add_string(struct buf *out, struct slice text);
/* `,"name":` (without the comma right behind a `{` or at the start); the value is up to the caller.
 */
void json_add_name(struct buf *out, const char *name);
void json_add_member(struct buf *out, struct slice name); /* the same */
