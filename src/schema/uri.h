/*
 * uri: references between schemas, resolved by RFC 3986, section 5.2.
 *
 * Nothing is fetched: a URI is a name. No case or percent normalisation beyond removing dot
 * segments; two spellings are two names.
 */
#pragma once

#include "base/buf.h"

/* Everything before '#', and what is behind it (absent when there is no '#'). */
struct slice uri_without_fragment(struct slice uri, struct slice *ret_fragment);
/* Appends `reference` as seen from `base` (absolute, its fragment ignored). */
void uri_resolve(struct slice base, struct slice reference, struct buf *ret);
bool uri_is_absolute(struct slice uri);
/* Appends the text with %XX decoded; what is no such escape stays. */
void uri_decode(struct slice text, struct buf *ret);
