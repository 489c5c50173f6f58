/*
 * array: the elements of a JSON array, one after the other, without a tree.
 *
 * For arrays that json_extract() has handed out, whose bytes are therefore sound: no check is made
 * again. Large answers are walked element by element, and each element is extracted on its own.
 * Cost: one pass over the bytes.
 */
#pragma once

#include "json/extract.h"

/* `raw` of a JSON_TYPE_ARRAY; of anything else: no element. */
struct slice json_array_of(const struct json_value *value);
/* Cuts the next element off *rest; false: there is none. */
bool json_array_next(struct slice *rest, struct slice *item);
