/*
 * wire_tls: TLS around a non-blocking socket, by OpenSSL. The peer is always verified, name
 * included.
 */
#pragma once

#include <sys/types.h>

#include "base/error.h"

struct wire_tls;

/* Files may be NULL: the system's authorities, no certificate of ours. */
int wire_tls_new(struct wire_tls **ret, const char *ca, const char *cert, const char *key,
                 struct error *err);
void wire_tls_free(struct wire_tls *tls);
/* Begins a session on `fd`; `name` is what the certificate must speak of (a name or an address). */
int wire_tls_begin(struct wire_tls *tls, int fd, const char *name, struct error *err);
void wire_tls_end(struct wire_tls *tls);
/* One step of the handshake: 1 done, 0 wait for *ret_events (poll), -1 failed. */
int wire_tls_shake(struct wire_tls *tls, short *ret_events, struct error *err);
/* Like recv/send without waiting: -1 with errno EAGAIN when nothing can move, 0: the end. */
ssize_t wire_tls_read(struct wire_tls *tls, void *bytes, size_t len);
ssize_t wire_tls_write(struct wire_tls *tls, const void *bytes, size_t len);
