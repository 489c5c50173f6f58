/*
 * regex: patterns of JSON Schema, which are those of ECMA-262 with the u flag.
 *
 * A pattern is translated into PCRE2's syntax and compiled once. The two languages agree on most;
 * where they do not, the translation says what ECMA-262 means ($ is the very end, \d is 0 to 9, \s
 * is Unicode white space, [^] is any character). What PCRE2 cannot do the same way is refused:
 * back references, lookbehind of no fixed length, and all that ECMA-262 itself does not know
 * (possessive quantifiers, inline flags, \A, \h, POSIX classes, ...).
 *
 * Matching looks for the pattern anywhere in well-formed UTF-8. Its effort is bounded; a match that
 * needs more is given up.
 */
#pragma once

#include "base/buf.h"

#define REGEX_BYTES_MAX 4096   /* of a pattern */
#define REGEX_EFFORT    100000 /* PCRE2's match limit */

struct regex;
struct regex_matcher; /* working space; one per thread */

/* NULL: refused; *ret_why is a text (constant or in `room`), *ret_at the place in the pattern. */
struct regex *regex_compile(struct slice pattern, char *room, size_t room_bytes,
                            const char **ret_why, size_t *ret_at);
void regex_free(struct regex *regex);

struct regex_matcher *regex_matcher_new(void);
void regex_matcher_free(struct regex_matcher *matcher);

enum regex_result { REGEX_NO_MATCH, REGEX_MATCH, REGEX_GAVE_UP };
enum regex_result regex_match(const struct regex *regex, struct regex_matcher *matcher,
                              struct slice text);
