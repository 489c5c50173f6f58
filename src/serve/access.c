#include "serve/access.h"

#include <argon2.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/instant.h"
#include "base/memory.h"

enum {
    DIGEST_LEN = 32,
    SALT_LEN = 16,
    TOKEN_LEN = 32,
    HASH_TEXT_MAX = 256,
    FILE_BYTES_MAX = 1 << 20,
    /* Of new hashes: RFC 9106's second recommended choice. */
    COST_PASSES = 3,
    COST_KIB = 64 * 1024,
    COST_LANES = 1,
    /* The least that is taken: owasp.org, Password Storage Cheat Sheet. */
    LEAST_PASSES = 2,
    LEAST_KIB = 19 * 1024,
    MOST_PASSES = 64,
    MOST_KIB = 1024 * 1024,
    MOST_LANES = 16,
};

struct user {
    char name[ACCESS_NAME_MAX + 1];
    char hash[HASH_TEXT_MAX];
};

struct remembered {
    unsigned char digest[DIGEST_LEN];
    int64_t until_ns;
};

struct tries {
    char address[64];
    unsigned wrong;
    int64_t since_ns;
};

struct access {
    struct user *users;
    size_t user_count, user_room;
    unsigned char (*tokens)[DIGEST_LEN];
    size_t token_count, token_room;
    unsigned char key[DIGEST_LEN]; /* of this process alone */
    pthread_mutex_t lock;
    pthread_cond_t turn;
    unsigned running;
    struct remembered remembered[ACCESS_REMEMBERED_MAX];
    struct tries tries[ACCESS_ADDRESSES_MAX];
    size_t tries_count;
};

/* --- files ------------------------------------------------------------------------------------ */

static bool is_name(struct slice text)
{
    if (!text.len || text.len > ACCESS_NAME_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!good && !strchr("._@-", c))
            return false;
    }
    return true;
}

/* m=...,t=...,p=... of the text within what is taken; NULL: they are. */
static const char *cost_problem(const char *hash)
{
    unsigned version, memory, passes, lanes;
    if (sscanf(hash, "$argon2id$v=%u$m=%u,t=%u,p=%u$", &version, &memory, &passes, &lanes) != 4)
        return "a hash that begins with $argon2id$v=19$m=...,t=...,p=... was expected";
    if (memory < LEAST_KIB || passes < LEAST_PASSES)
        return "its cost is too low: at least m=19456 and t=2 were expected";
    if (memory > MOST_KIB || passes > MOST_PASSES || lanes > MOST_LANES)
        return "its cost is too high: at most m=1048576, t=64 and p=16 were expected";
    const char *last = strrchr(hash, '$');
    if (strlen(last + 1) < 22 || last - strchr(hash, '=') < 20)
        return "the hash is cut off: name:$argon2id$...$salt$hash was expected";
    return NULL;
}

static const char *add_user(struct access *access, struct slice line)
{
    struct slice name;
    if (!slice_cut(&line, ':', &name) || !slice_present(line) || !is_name(name))
        return "name:$argon2id$... was expected, the name of letters, digits, '.', '_', '@', '-'";
    if (line.len >= HASH_TEXT_MAX || memchr(line.ptr, 0, line.len))
        return "the hash is too long";
    if (access->user_count == ACCESS_USERS_MAX)
        return "there are more than 1000 users";
    for (size_t i = 0; i < access->user_count; i++) {
        if (slice_eq(slice_of(access->users[i].name), name))
            return "the name stands there twice";
    }
    GROW(access->users, access->user_count, access->user_room);
    struct user *user = &access->users[access->user_count];
    memset(user, 0, sizeof *user);
    memcpy(user->name, name.ptr, name.len);
    memcpy(user->hash, line.ptr, line.len);
    const char *problem = cost_problem(user->hash);
    access->user_count += problem ? 0 : 1;
    return problem;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *add_token(struct access *access, struct slice line)
{
    unsigned char digest[DIGEST_LEN];
    if (line.len != 2 * DIGEST_LEN)
        return "the SHA-256 of a token, 64 hexadecimal digits, was expected "
               "(cim-ops web --add-token makes one)";
    for (size_t i = 0; i < DIGEST_LEN; i++) {
        int high = hex_digit(line.ptr[2 * i]), low = hex_digit(line.ptr[2 * i + 1]);
        if (high < 0 || low < 0)
            return "64 hexadecimal digits were expected";
        digest[i] = (unsigned char)(high << 4 | low);
    }
    if (access->token_count == ACCESS_TOKENS_MAX)
        return "there are more than 1000 tokens";
    GROW(access->tokens, access->token_count, access->token_room);
    memcpy(access->tokens[access->token_count++], digest, DIGEST_LEN);
    return NULL;
}

static int parse(struct access *access, struct slice text, const char *name,
                 const char *(*add)(struct access *access, struct slice line), struct error *err)
{
    struct slice line;
    for (size_t number = 1; slice_cut(&text, '\n', &line); number++) {
        if (line.len && line.ptr[line.len - 1] == '\r')
            line.len--;
        line = slice_trim(line);
        if (!line.len || line.ptr[0] == '#')
            continue;
        const char *problem = add(access, line);
        if (problem)
            return error_set(err, EXIT_CODE_USAGE, "%s:%zu: %s", name, number, problem);
    }
    return 0;
}

int access_parse(struct access **ret, struct slice users, const char *users_name,
                 struct slice tokens, const char *tokens_name, struct error *err)
{
    struct access *access = xcalloc(1, sizeof *access);
    pthread_mutex_init(&access->lock, NULL);
    pthread_cond_init(&access->turn, NULL);
    int rc = parse(access, users, users_name, add_user, err);
    if (rc == 0)
        rc = parse(access, tokens, tokens_name, add_token, err);
    if (rc == 0 && !access->user_count && !access->token_count)
        rc = error_set(err, EXIT_CODE_USAGE,
                       "%s: nobody is in it; cim-ops web --add-user NAME adds somebody",
                       users_name ? users_name : tokens_name);
    if (rc == 0 && getrandom(access->key, sizeof access->key, 0) != sizeof access->key)
        rc = error_set(err, EXIT_CODE_INTERNAL, "no random bytes: %s", strerror(errno));
    if (rc < 0) {
        access_free(access);
        return -1;
    }
    *ret = access;
    return 0;
}

static int read_own(const char *path, struct buf *ret, struct error *err)
{
    struct stat info;
    if (!path)
        return 0;
    if (stat(path, &info) == 0 && info.st_mode & (S_IRWXG | S_IRWXO))
        return error_set(err, EXIT_CODE_USAGE,
                         "%s: others than its owner may read or change it; chmod 600 %s", path,
                         path);
    return file_read(path, FILE_BYTES_MAX, ret, err);
}

int access_load(struct access **ret, const char *users_file, const char *tokens_file,
                struct error *err)
{
    CLEANUP_BUF struct buf users = {0};
    CLEANUP_BUF struct buf tokens = {0};
    if (read_own(users_file, &users, err) < 0 || read_own(tokens_file, &tokens, err) < 0) {
        if (err)
            err->code = EXIT_CODE_USAGE;
        return -1;
    }
    return access_parse(ret, buf_slice(&users), users_file, buf_slice(&tokens), tokens_file, err);
}

void access_free(struct access *access)
{
    if (!access)
        return;
    pthread_cond_destroy(&access->turn);
    pthread_mutex_destroy(&access->lock);
    free(access->users);
    free(access->tokens);
    OPENSSL_cleanse(access->key, sizeof access->key);
    free(access);
}

/* --- wrong tries ------------------------------------------------------------------------------ */

/* Lock held. The address's place; of nobody else when it has none yet. */
static struct tries *tries_of(struct access *access, const char *address, int64_t now_ns)
{
    struct tries *oldest = &access->tries[0];
    for (size_t i = 0; i < access->tries_count; i++) {
        struct tries *tries = &access->tries[i];
        if (!strcmp(tries->address, address)) {
            if (now_ns - tries->since_ns > 60 * NS_PER_SECOND)
                *tries = (struct tries){.since_ns = now_ns};
            (void)snprintf(tries->address, sizeof tries->address, "%s", address);
            return tries;
        }
        oldest = tries->since_ns < oldest->since_ns ? tries : oldest;
    }
    struct tries *tries =
        access->tries_count < ACCESS_ADDRESSES_MAX ? &access->tries[access->tries_count++] : oldest;
    *tries = (struct tries){.since_ns = now_ns};
    (void)snprintf(tries->address, sizeof tries->address, "%s", address);
    return tries;
}

static bool is_known_address(const struct access *access, const char *address)
{
    for (size_t i = 0; i < access->tries_count; i++) {
        if (!strcmp(access->tries[i].address, address))
            return true;
    }
    return false;
}

/* A try counts as wrong before it is judged, so that many at once are no way around the limit. */
static bool may_try(struct access *access, const char *address, int64_t now_ns)
{
    pthread_mutex_lock(&access->lock);
    struct tries *tries = tries_of(access, address, now_ns);
    bool may = tries->wrong < ACCESS_TRIES_MAX;
    tries->wrong += may ? 1 : 0;
    pthread_mutex_unlock(&access->lock);
    return may;
}

static void was_right(struct access *access, const char *address, int64_t now_ns)
{
    pthread_mutex_lock(&access->lock);
    if (is_known_address(access, address)) {
        struct tries *tries = tries_of(access, address, now_ns);
        tries->wrong -= tries->wrong ? 1 : 0;
    }
    pthread_mutex_unlock(&access->lock);
}

/* --- passwords -------------------------------------------------------------------------------- */

static void digest_of(const struct access *access, struct slice bytes,
                      unsigned char ret[static DIGEST_LEN])
{
    unsigned len = DIGEST_LEN;
    if (!HMAC(EVP_sha256(), access->key, sizeof access->key, (const unsigned char *)bytes.ptr,
              bytes.len, ret, &len))
        abort();
}

static bool is_remembered(struct access *access, const unsigned char *digest, int64_t now_ns)
{
    bool found = false;
    pthread_mutex_lock(&access->lock);
    for (size_t i = 0; i < ACCESS_REMEMBERED_MAX && !found; i++) {
        struct remembered *one = &access->remembered[i];
        found = one->until_ns > now_ns && !CRYPTO_memcmp(one->digest, digest, DIGEST_LEN);
        if (found)
            one->until_ns = now_ns + ACCESS_REMEMBERED_S * NS_PER_SECOND;
    }
    pthread_mutex_unlock(&access->lock);
    return found;
}

static void remember(struct access *access, const unsigned char *digest, int64_t now_ns)
{
    pthread_mutex_lock(&access->lock);
    struct remembered *oldest = &access->remembered[0];
    for (size_t i = 1; i < ACCESS_REMEMBERED_MAX; i++) {
        if (access->remembered[i].until_ns < oldest->until_ns)
            oldest = &access->remembered[i];
    }
    memcpy(oldest->digest, digest, DIGEST_LEN);
    oldest->until_ns = now_ns + ACCESS_REMEMBERED_S * NS_PER_SECOND;
    pthread_mutex_unlock(&access->lock);
}

static bool verify(struct access *access, const char *hash, struct slice password)
{
    pthread_mutex_lock(&access->lock);
    while (access->running == ACCESS_AT_ONCE)
        pthread_cond_wait(&access->turn, &access->lock);
    access->running++;
    pthread_mutex_unlock(&access->lock);
    bool right = argon2id_verify(hash, password.ptr, password.len) == ARGON2_OK;
    pthread_mutex_lock(&access->lock);
    access->running--;
    pthread_cond_signal(&access->turn);
    pthread_mutex_unlock(&access->lock);
    return right;
}

/* "name:password"; `known`: only whether it is remembered. */
static bool check_password(struct access *access, struct slice both, bool known, int64_t now_ns)
{
    unsigned char digest[DIGEST_LEN];
    struct slice name, password = both;
    const struct user *user = NULL;
    if (!access->user_count || !slice_cut(&password, ':', &name) || !slice_present(password) ||
        password.len > ACCESS_PASSWORD_MAX)
        return false;
    digest_of(access, both, digest);
    if (is_remembered(access, digest, now_ns))
        return true;
    if (known)
        return false;
    for (size_t i = 0; i < access->user_count && !user; i++)
        user = slice_eq(slice_of(access->users[i].name), name) ? &access->users[i] : NULL;
    /* Nobody of that name: as dear as somebody, and never right. */
    bool right = verify(access, user ? user->hash : access->users[0].hash, password) && user;
    if (right)
        remember(access, digest, now_ns);
    return right;
}

static bool check_token(const struct access *access, struct slice token)
{
    unsigned char digest[DIGEST_LEN];
    bool right = false;
    if (EVP_Digest(token.ptr, token.len, digest, NULL, EVP_sha256(), NULL) != 1)
        return false;
    for (size_t i = 0; i < access->token_count; i++)
        right = right || !CRYPTO_memcmp(access->tokens[i], digest, DIGEST_LEN);
    return right;
}

/* Base64 with its padding (RFC 4648, section 4); -1: it is none, or too long. */
static int decode(struct slice text, unsigned char *ret, size_t room)
{
    if (!text.len || text.len % 4 || text.len / 4 * 3 > room)
        return -1;
    int len = EVP_DecodeBlock(ret, (const unsigned char *)text.ptr, (int)text.len);
    for (size_t at = text.len; len > 0 && at > text.len - 2 && text.ptr[at - 1] == '='; at--)
        len--;
    return len;
}

/* `known`: only what can be told at once. */
static bool is_right(struct access *access, const char *authorization, bool known, int64_t now_ns)
{
    struct slice text = slice_of(authorization), scheme;
    if (!slice_cut(&text, ' ', &scheme) || !slice_present(text))
        return false;
    text = slice_trim(text);
    if (scheme.len == 6 && !strncasecmp(scheme.ptr, "Bearer", 6))
        return text.len && check_token(access, text);
    if (scheme.len != 5 || strncasecmp(scheme.ptr, "Basic", 5) != 0)
        return false;
    unsigned char both[ACCESS_NAME_MAX + ACCESS_PASSWORD_MAX + 8];
    int len = decode(text, both, sizeof both);
    bool right = len > 0 && check_password(access, (struct slice){(const char *)both, (size_t)len},
                                           known, now_ns);
    OPENSSL_cleanse(both, sizeof both);
    return right;
}

enum access_verdict access_check(struct access *access, const char *authorization,
                                 const char *address, int64_t now_ns)
{
    if (!authorization || !*authorization)
        return ACCESS_DENIED; /* a browser's first question: not a try */
    if (is_right(access, authorization, true, now_ns))
        return ACCESS_OK;
    if (!may_try(access, address, now_ns))
        return ACCESS_LATER;
    if (!is_right(access, authorization, false, now_ns))
        return ACCESS_DENIED;
    was_right(access, address, now_ns);
    return ACCESS_OK;
}

/* --- changing the files ----------------------------------------------------------------------- */

static int hash_password(struct slice password, char ret[static HASH_TEXT_MAX], struct error *err)
{
    unsigned char salt[SALT_LEN];
    if (getrandom(salt, sizeof salt, 0) != sizeof salt)
        return error_set(err, EXIT_CODE_INTERNAL, "no random bytes: %s", strerror(errno));
    int code = argon2id_hash_encoded(COST_PASSES, COST_KIB, COST_LANES, password.ptr, password.len,
                                     salt, sizeof salt, DIGEST_LEN, ret, HASH_TEXT_MAX);
    return code == ARGON2_OK
               ? 0
               : error_set(err, EXIT_CODE_INTERNAL, "Argon2: %s", argon2_error_message(code));
}

/* The file's lines but those of `name`; a file that is not there has none. */
static int keep_others(const char *path, const char *name, struct buf *ret, struct error *err)
{
    CLEANUP_BUF struct buf text = {0};
    struct slice rest, line, who;
    int code = file_bytes(path, FILE_BYTES_MAX, &text);
    if (code == ENOENT)
        return 0;
    if (code)
        return error_set(err, EXIT_CODE_USAGE, "%s: %s", path, strerror(code));
    rest = buf_slice(&text);
    while (slice_cut(&rest, '\n', &line)) {
        struct slice after = line;
        bool is_own = name && slice_cut(&after, ':', &who) && slice_eq(who, slice_of(name));
        if (!is_own && (line.len || slice_present(rest)))
            buf_addf(ret, "%.*s\n", SLICE_ARG(line));
    }
    return 0;
}

int access_set_password(const char *users_file, const char *name, struct slice password,
                        struct error *err)
{
    CLEANUP_BUF struct buf text = {0};
    char hash[HASH_TEXT_MAX];
    if (!is_name(slice_of(name)))
        return error_set(err, EXIT_CODE_USAGE,
                         "'%.80s' is no user's name: 1 to %d letters, digits, '.', '_', '@' or '-' "
                         "were expected",
                         name, ACCESS_NAME_MAX);
    if (password.len < ACCESS_PASSWORD_MIN || password.len > ACCESS_PASSWORD_MAX)
        return error_set(err, EXIT_CODE_USAGE,
                         "the password has %zu characters: %d to %d were expected", password.len,
                         ACCESS_PASSWORD_MIN, ACCESS_PASSWORD_MAX);
    if (keep_others(users_file, name, &text, err) < 0 || hash_password(password, hash, err) < 0)
        return -1;
    buf_addf(&text, "%s:%s\n", name, hash);
    return file_write_atomic(users_file, buf_slice(&text), 0600, err);
}

int access_add_token(const char *tokens_file, char ret_token[static 44], struct error *err)
{
    CLEANUP_BUF struct buf text = {0};
    unsigned char random[TOKEN_LEN], digest[DIGEST_LEN];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return error_set(err, EXIT_CODE_INTERNAL, "no random bytes: %s", strerror(errno));
    unsigned char encoded[48];
    int len = EVP_EncodeBlock(encoded, random, sizeof random);
    for (int i = 0; i < len; i++) /* base64url, without padding: RFC 4648, section 5 */
        encoded[i] = encoded[i] == '+' ? '-' : encoded[i] == '/' ? '_' : encoded[i];
    memcpy(ret_token, encoded, 43);
    ret_token[43] = 0;
    OPENSSL_cleanse(encoded, sizeof encoded);
    OPENSSL_cleanse(random, sizeof random);
    if (keep_others(tokens_file, NULL, &text, err) < 0)
        return -1;
    if (EVP_Digest(ret_token, 43, digest, NULL, EVP_sha256(), NULL) != 1)
        return error_set(err, EXIT_CODE_INTERNAL, "SHA-256 failed");
    for (size_t i = 0; i < DIGEST_LEN; i++)
        buf_addf(&text, "%02x", digest[i]);
    buf_add_char(&text, '\n');
    return file_write_atomic(tokens_file, buf_slice(&text), 0600, err);
}
