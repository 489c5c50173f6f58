/*
 * wire_auth: who we are: the CONNECT line of the NATS protocol.
 *
 * Credentials come from the server's URL (user and password, or a token) or from a .creds file: the
 * JWT in it, and its seed that signs the server's nonce. The file is read at each connection, so
 * that renewed credentials count. No error text holds anything of it.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "bus/wire_server.h"

/* Appends "CONNECT {...}\r\n". `nonce` is "" when the server gave none; `creds` may be NULL. */
int wire_auth_connect(struct buf *out, const char *name, const struct wire_server *server,
                      const char *creds, const char *nonce, bool tls, struct error *err);
