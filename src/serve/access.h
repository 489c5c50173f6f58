/*
 * access: who may look: users with passwords (HTTP Basic, RFC 7617) and tokens (Bearer, RFC 6750).
 *
 * Users file, a line each: name:$argon2id$v=19$m=65536,t=3,p=1$salt$hash (RFC 9106; the text that
 * libargon2 and its program `argon2` write). Tokens file, a line each: the SHA-256 of a token, in
 * hexadecimal. Empty lines and those that begin with '#' count nothing. A file that others than its
 * owner may read is refused. Neither holds a secret that could be used as it is, and no error text
 * quotes a line.
 *
 * Thread-safe. A password costs one Argon2 run (tens of milliseconds, and the memory that the hash
 * asks for), at most ACCESS_AT_ONCE at a time; one that was right is remembered for
 * ACCESS_REMEMBERED_S by a keyed digest, so that a page's many requests cost one. An unknown name
 * costs as much as a known one. After ACCESS_TRIES_MAX wrong tries within a minute an address is
 * told to come back later.
 */
#pragma once

#include "base/error.h"
#include "base/slice.h"

#define ACCESS_USERS_MAX      1000
#define ACCESS_TOKENS_MAX     1000
#define ACCESS_NAME_MAX       64
#define ACCESS_PASSWORD_MAX   1024
#define ACCESS_PASSWORD_MIN   12
#define ACCESS_AT_ONCE        2
#define ACCESS_REMEMBERED_MAX 256
#define ACCESS_REMEMBERED_S   600  /* since it was last used */
#define ACCESS_TRIES_MAX      10   /* more than a browser asks at once */
#define ACCESS_ADDRESSES_MAX  1024 /* with wrong tries; the one that is quiet longest goes */

enum access_verdict {
    ACCESS_OK,
    ACCESS_DENIED, /* 401 */
    ACCESS_LATER,  /* 429: too many wrong tries */
};

struct access;

/* Either file may be NULL. EXIT_CODE_USAGE, naming file and line. */
int access_load(struct access **ret, const char *users_file, const char *tokens_file,
                struct error *err);
void access_free(struct access *access); /* NULL is allowed */
/* `authorization`: the header, or NULL. `address`: of the client. `now_ns`: monotonic. */
enum access_verdict access_check(struct access *access, const char *authorization,
                                 const char *address, int64_t now_ns);

/* The same of texts, for tests: `name` stands in errors for the file. */
int access_parse(struct access **ret, struct slice users, const char *users_name,
                 struct slice tokens, const char *tokens_name, struct error *err);

/* Adds the user, or changes the password, in the file (made when it is not there, mode 0600). */
int access_set_password(const char *users_file, const char *name, struct slice password,
                        struct error *err);
/* Makes a token of 32 random bytes, adds its digest to the file, and gives the token. */
int access_add_token(const char *tokens_file, char ret_token[static 44], struct error *err);
