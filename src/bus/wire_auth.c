#include "bus/wire_auth.h"

#include <jansson.h>
#include <nats/nats.h>
#include <openssl/crypto.h>

#include "base/file.h"
#include "base/memory.h"

#define CREDS_BYTES_MAX ((size_t)1 << 20)

static void wipe(struct buf *bytes)
{
    if (bytes->ptr)
        OPENSSL_cleanse(bytes->ptr, bytes->room);
    buf_done(bytes);
}

static void wipe_text(char **text)
{
    if (*text)
        OPENSSL_cleanse(*text, strlen(*text));
    free(*text);
}

/* The line behind "-----BEGIN <title>-----" (five dashes or more, as nsc writes them). */
static struct slice section(struct slice file, const char *title)
{
    struct slice rest = file, line;
    bool inside = false;
    while (slice_cut(&rest, '\n', &line)) {
        if (line.len && line.ptr[line.len - 1] == '\r')
            line.len--;
        line = slice_trim(line);
        if (inside && line.len)
            return line;
        inside = inside || (slice_starts(line, SLICE("-----BEGIN")) &&
                            memmem(line.ptr, line.len, title, strlen(title)));
    }
    return SLICE_ABSENT;
}

/* RFC 4648, the URL-safe alphabet, without padding. */
static void base64_url(const unsigned char *bytes, size_t len, struct buf *out)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | bytes[i];
        for (held += 8; held >= 6; held -= 6)
            buf_add_char(out, alphabet[bits >> (held - 6) & 63]);
    }
    if (held)
        buf_add_char(out, alphabet[bits << (6 - held) & 63]);
}

static int sign(json_t *connect, struct slice seed, const char *nonce, const char *path,
                struct error *err)
{
    __attribute__((cleanup(wipe_text))) char *key = xstrndup(seed.ptr, seed.len);
    CLEANUP_BUF struct buf text = {0};
    unsigned char *signature = NULL;
    int len = 0;
    if (nats_Sign(key, nonce, &signature, &len) != NATS_OK)
        return error_set(err, EXIT_CODE_USAGE, "%s: its seed cannot sign", path);
    base64_url(signature, (size_t)len, &text);
    free(signature);
    (void)json_object_set_new(connect, "sig", json_string(buf_cstr(&text)));
    return 0;
}

static int add_creds(json_t *connect, const char *path, const char *nonce, struct error *err)
{
    __attribute__((cleanup(wipe))) struct buf file = {0};
    if (file_read(path, CREDS_BYTES_MAX, &file, err) < 0)
        return -1;
    struct slice jwt = section(buf_slice(&file), "JWT"), seed = section(buf_slice(&file), "SEED");
    if (!slice_present(jwt) || !slice_present(seed))
        return error_set(err, EXIT_CODE_USAGE,
                         "%s: no credentials file: a user JWT and a seed were expected", path);
    (void)json_object_set_new(connect, "jwt", json_stringn(jwt.ptr, jwt.len));
    return nonce[0] ? sign(connect, seed, nonce, path, err) : 0;
}

static void add_user(json_t *connect, const struct wire_server *server)
{
    if (!server->user)
        return;
    if (!server->password) {
        (void)json_object_set_new(connect, "auth_token", json_string(server->user));
        return;
    }
    (void)json_object_set_new(connect, "user", json_string(server->user));
    (void)json_object_set_new(connect, "pass", json_string(server->password));
}

int wire_auth_connect(struct buf *out, const char *name, const struct wire_server *server,
                      const char *creds, const char *nonce, bool tls, struct error *err)
{
    json_t *connect =
        json_pack("{s:b, s:b, s:b, s:s, s:s, s:s, s:i, s:b, s:b, s:b}", "verbose", 0, "pedantic", 0,
                  "tls_required", (int)tls, "name", name, "lang", "c", "version", CIM_OPS_VERSION,
                  "protocol", 1, "headers", 1, "no_responders", 1, "echo", 0);
    add_user(connect, server);
    int rc = creds ? add_creds(connect, creds, nonce, err) : 0;
    __attribute__((cleanup(wipe_text))) char *text = rc == 0 ? json_dumps(connect, 0) : NULL;
    json_decref(connect);
    if (rc < 0)
        return -1;
    if (!text)
        return error_set(err, EXIT_CODE_USAGE, "the user or password of the NATS URL is not UTF-8");
    buf_add_str(out, "CONNECT ");
    buf_add_str(out, text);
    buf_add_str(out, "\r\n");
    return 0;
}
