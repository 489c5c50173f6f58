/*
 * plist: XML property lists, as macOS's tools print them, become JSON.
 *
 * dict, array, key, string, integer, real, true, false; data and date become texts. What is not of
 * this form is refused as a whole. Format: Apple, "Property List Programming Guide", XML.
 */
#pragma once

#include <jansson.h>

#include "base/slice.h"

#define PLIST_DEPTH_MAX 64

/* A new reference; NULL: it is no property list. */
json_t *plist_parse(struct slice text);
