/*
 * where: a filter over events, written on one line.
 *
 *     $domain == workflow and ($event_type ~ Failed or not $payload.attempt < 3)
 *
 * A condition is one of the rules' (fold/rules.h, doc/rules.md "Conditions"): a reference, an
 * operator, an operand. Around them stand `and`, `or`, `not` and parentheses; `and` binds closer
 * than `or`. An operand with blanks, parentheses or one of these words in it is put in quotes,
 * single or double (a backslash keeps the character behind it). `in` takes a list: `in A, B` or
 * `in (A, B)`.
 *
 * Errors name the column. Cost: one pass over the payload when a condition looks into it, no
 * allocation but for regular expressions and escaped texts. One thread per filter.
 */
#pragma once

#include "base/error.h"
#include "event/view.h"

struct where;

#define WHERE_DEPTH_MAX      32
#define WHERE_CONDITIONS_MAX 64

/* EXIT_CODE_USAGE: "--where:<column>: ..." with the text and a caret below. */
int where_compile(const char *text, struct where **ret, struct error *err);
void where_free(struct where *where);
/* `payload` is the event's own, decoded when it was sent as an array of bytes. */
bool where_holds(struct where *where, const struct event_input *input, struct slice payload,
                 const struct event_view *view);
