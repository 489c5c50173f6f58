#include "bus/wire_tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>

#include "base/memory.h"

struct wire_tls {
    SSL_CTX *context;
    SSL *session;
    bool has_authorities; /* the system's are read when they are needed: it takes 20 ms */
};

static int tls_error(struct error *err, enum exit_code code, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return error_set(err, code, "TLS: %s: %s", what, reason ? reason : "failed");
}

int wire_tls_new(struct wire_tls **ret, const char *ca, const char *cert, const char *key,
                 struct error *err)
{
    struct wire_tls *tls = xcalloc(1, sizeof *tls);
    tls->context = SSL_CTX_new(TLS_client_method());
    int rc = 0;
    if (!tls->context)
        rc = tls_error(err, EXIT_CODE_INTERNAL, "no context");
    else if (ca && SSL_CTX_load_verify_locations(tls->context, ca, NULL) != 1)
        rc = tls_error(err, EXIT_CODE_USAGE, ca);
    else if (cert && SSL_CTX_use_certificate_chain_file(tls->context, cert) != 1)
        rc = tls_error(err, EXIT_CODE_USAGE, cert);
    else if (cert &&
             (SSL_CTX_use_PrivateKey_file(tls->context, key ? key : cert, SSL_FILETYPE_PEM) != 1 ||
              SSL_CTX_check_private_key(tls->context) != 1))
        rc = tls_error(err, EXIT_CODE_USAGE, key ? key : cert);
    if (rc < 0) {
        wire_tls_free(tls);
        return -1;
    }
    tls->has_authorities = ca != NULL;
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    (void)SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    SSL_CTX_set_mode(tls->context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    *ret = tls;
    return 0;
}

void wire_tls_free(struct wire_tls *tls)
{
    if (!tls)
        return;
    wire_tls_end(tls);
    SSL_CTX_free(tls->context);
    free(tls);
}

void wire_tls_end(struct wire_tls *tls)
{
    SSL_free(tls->session);
    tls->session = NULL;
    ERR_clear_error();
}

int wire_tls_begin(struct wire_tls *tls, int fd, const char *name, struct error *err)
{
    wire_tls_end(tls);
    if (!tls->has_authorities && SSL_CTX_set_default_verify_paths(tls->context) != 1)
        return tls_error(err, EXIT_CODE_USAGE, "the system's authorities");
    tls->has_authorities = true;
    tls->session = SSL_new(tls->context);
    if (!tls->session || SSL_set_fd(tls->session, fd) != 1)
        return tls_error(err, EXIT_CODE_INTERNAL, "no session");
    /* A name that is an address is looked for among the certificate's addresses. */
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->session), name) != 1 &&
        (SSL_set1_host(tls->session, name) != 1 ||
         SSL_set_tlsext_host_name(tls->session, name) != 1))
        return tls_error(err, EXIT_CODE_USAGE, name);
    ERR_clear_error();
    SSL_set_connect_state(tls->session);
    return 0;
}

int wire_tls_shake(struct wire_tls *tls, short *ret_events, struct error *err)
{
    int rc = SSL_do_handshake(tls->session);
    if (rc == 1)
        return 1;
    int why = SSL_get_error(tls->session, rc);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        *ret_events = why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        return 0;
    }
    long verified = SSL_get_verify_result(tls->session);
    if (verified != X509_V_OK) {
        ERR_clear_error();
        return error_set(err, EXIT_CODE_UNREACHABLE, "TLS: the server's certificate: %s",
                         X509_verify_cert_error_string(verified));
    }
    return tls_error(err, EXIT_CODE_UNREACHABLE, "handshake");
}

static ssize_t outcome(struct wire_tls *tls, int rc)
{
    if (rc > 0)
        return rc;
    int why = SSL_get_error(tls->session, rc);
    ERR_clear_error();
    if (why == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
    return -1;
}

static int bounded(size_t len)
{
    return len > 1 << 30 ? 1 << 30 : (int)len;
}

ssize_t wire_tls_read(struct wire_tls *tls, void *bytes, size_t len)
{
    return outcome(tls, SSL_read(tls->session, bytes, bounded(len)));
}

ssize_t wire_tls_write(struct wire_tls *tls, const void *bytes, size_t len)
{
    return outcome(tls, SSL_write(tls->session, bytes, bounded(len)));
}
