/* Who may look: files, headers, wrong tries, what is remembered; from many threads at once. */
#include "unit.h"

#include <pthread.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/instant.h"
#include "base/memory.h"
#include "scratch.h"
#include "serve/access.h"

/* printf 'correct horse battery' | argon2 saltsaltsaltsalt -id -t 2 -k 19456 -p 1 -l 32 -e */
#define HASH                                                                                       \
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$iPOQ5f2O21FsjnBvo1AiFcDuSXciCnKUrXFO+"  \
    "yfgNoM"
#define USERS "# who may look\n\nann:" HASH "\r\nbob@example.org:" HASH "\n"
/* printf 'a-token-of-a-program' | sha256sum */
#define TOKENS "0ede86bcb68153d863b315f4d4a8eebdfad82aee715fcd17ef0e492bebe6f48b\n"

#define RIGHT  "Basic YW5uOmNvcnJlY3QgaG9yc2UgYmF0dGVyeQ==" /* ann:correct horse battery */
#define BOB    "basic  Ym9iQGV4YW1wbGUub3JnOmNvcnJlY3QgaG9yc2UgYmF0dGVyeQ=="
#define WRONG  "Basic YW5uOmNvcnJlY3QgaG9yc2U="             /* ann:correct horse */
#define NOBODY "Basic ZXZlOmNvcnJlY3QgaG9yc2UgYmF0dGVyeQ==" /* eve:correct horse battery */

static struct access *of(const char *users, const char *tokens)
{
    struct access *access = NULL;
    struct error err = ERROR_NONE;
    int rc = access_parse(&access, slice_of(users), "users", slice_of(tokens), "tokens", &err);
    if (rc < 0)
        fail_msg("%s", err.text);
    return access;
}

static void right_and_wrong(void **state)
{
    struct access *access = of(USERS, TOKENS);
    (void)state;
    assert_int_equal(access_check(access, RIGHT, "10.0.0.1", 1), ACCESS_OK);
    assert_int_equal(access_check(access, BOB, "10.0.0.1", 1), ACCESS_OK);
    assert_int_equal(access_check(access, "Bearer a-token-of-a-program", "10.0.0.1", 1), ACCESS_OK);
    assert_int_equal(access_check(access, WRONG, "10.0.0.2", 1), ACCESS_DENIED);
    assert_int_equal(access_check(access, NOBODY, "10.0.0.2", 1), ACCESS_DENIED);
    assert_int_equal(access_check(access, "Bearer a-token-of-a-progra", "10.0.0.3", 1),
                     ACCESS_DENIED);
    assert_int_equal(access_check(access, NULL, "10.0.0.2", 1), ACCESS_DENIED);
    access_free(access);
}

static void hostile_headers(void **state)
{
    static const char *const headers[] = {
        "",
        " ",
        "Basic",
        "Basic ",
        "Basic    ",
        "Basic =",
        "Basic ====",
        "Basic YW5u" /* ann */,
        "Basic OjpQ",
        "Basic YQ==YQ==",
        "Basic *!*!",
        "Bearer",
        "Bearer ",
        "Digest a",
        "Basic\tYW5uOng=",
        "Basic AAAAAAAAAAAA" /* NUL bytes */,
    };
    struct access *access = of(USERS, "");
    CLEANUP_BUF struct buf huge = {0};
    char address[16];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        (void)snprintf(address, sizeof address, "10.1.0.%zu", i);
        assert_int_equal(access_check(access, headers[i], address, 1), ACCESS_DENIED);
    }
    buf_add_str(&huge, "Basic ");
    for (size_t i = 0; i < 100000; i++)
        buf_add_str(&huge, "YWFh");
    assert_int_equal(access_check(access, buf_cstr(&huge), "10.2.0.1", 1), ACCESS_DENIED);
    access_free(access);
}

static void wrong_tries_end(void **state)
{
    struct access *access = of(USERS, TOKENS);
    const int64_t minute = 60 * NS_PER_SECOND;
    (void)state;
    for (size_t i = 0; i < ACCESS_TRIES_MAX; i++)
        assert_int_equal(access_check(access, "Bearer x", "10.0.0.9", 1000), ACCESS_DENIED);
    assert_int_equal(access_check(access, "Bearer x", "10.0.0.9", 1001), ACCESS_LATER);
    assert_int_equal(access_check(access, RIGHT, "10.0.0.9", minute), ACCESS_LATER);
    assert_int_equal(access_check(access, NULL, "10.0.0.9", minute), ACCESS_DENIED);
    assert_int_equal(access_check(access, RIGHT, "10.0.0.8", minute), ACCESS_OK);
    assert_int_equal(access_check(access, RIGHT, "10.0.0.9", 2 * minute + 2000), ACCESS_OK);
    /* Right ones are no wrong ones, however many. */
    for (size_t i = 0; i < 4 * ACCESS_TRIES_MAX; i++)
        assert_int_equal(access_check(access, RIGHT, "10.0.0.9", 2 * minute + 3000), ACCESS_OK);
    /* More addresses than are kept: the oldest goes, nothing else happens. */
    for (unsigned i = 0; i < ACCESS_ADDRESSES_MAX + 10; i++) {
        char address[32];
        (void)snprintf(address, sizeof address, "10.3.%u.%u", i / 256, i % 256);
        assert_int_equal(access_check(access, "Bearer x", address, 3 * minute + i), ACCESS_DENIED);
    }
    access_free(access);
}

static void broken_files(void **state)
{
    static const struct {
        const char *users, *tokens, *problem;
    } all[] = {
        {"", "", "nobody is in it"},
        {"ann\n", "", "users:1: name:$argon2id$"},
        {"ann:" HASH "\n#\nann:" HASH "\n", "", "users:3: the name stands there twice"},
        {"an n:" HASH "\n", "", "users:1: name:$argon2id$"},
        {"ann:secret-in-plain\n", "", "users:1: a hash that begins with"},
        {"ann:$argon2i$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$aGFzaA\n", "", "users:1: a hash that"},
        {"ann:$argon2id$v=19$m=4096,t=3,p=1$c2FsdHNhbHQ$aGFzaA\n", "", "cost is too low"},
        {"ann:$argon2id$v=19$m=65536,t=1,p=1$c2FsdHNhbHQ$aGFzaA\n", "", "cost is too low"},
        {"ann:$argon2id$v=19$m=99999999,t=3,p=1$c2FsdHNhbHQ$aGFzaA\n", "", "cost is too high"},
        {"ann:$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$aGFzaA\n", "", "cut off"},
        {"", "abc\n", "tokens:1: the SHA-256 of a token"},
        {USERS, "zz" TOKENS, "tokens:1: the SHA-256"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct access *access = NULL;
        struct error err = ERROR_NONE;
        assert_int_equal(access_parse(&access, slice_of(all[i].users), "users",
                                      slice_of(all[i].tokens), "tokens", &err),
                         -1);
        assert_int_equal(err.code, EXIT_CODE_USAGE);
        if (!strstr(err.text, all[i].problem))
            fail_msg("'%s' does not say '%s'", err.text, all[i].problem);
        assert_null(strstr(err.text, "secret-in-plain"));
    }
}

static void files_are_written(void **state)
{
    struct scratch scratch;
    scratch_open(&scratch);
    CLEANUP_FREE char *users = scratch_path(&scratch, "users");
    CLEANUP_FREE char *tokens = scratch_path(&scratch, "tokens");
    CLEANUP_BUF struct buf text = {0};
    struct access *access = NULL;
    struct error err = ERROR_NONE;
    char token[44], header[64];
    (void)state;
    assert_int_equal(access_set_password(users, "ann", SLICE("short"), &err), -1);
    assert_int_equal(access_set_password(users, "a:b", SLICE("correct horse battery"), &err), -1);
    assert_int_equal(access_set_password(users, "ann", SLICE("something else"), &err), 0);
    assert_int_equal(access_set_password(users, "bob", SLICE("correct horse battery"), &err), 0);
    assert_int_equal(access_set_password(users, "ann", SLICE("correct horse battery"), &err), 0);
    assert_int_equal(access_add_token(tokens, token, &err), 0);
    assert_int_equal(strlen(token), 43);
    assert_int_equal(file_read(tokens, 1000, &text, &err), 0);
    assert_null(strstr(buf_cstr(&text), token));
    assert_int_equal(access_load(&access, users, tokens, &err), 0);
    assert_int_equal(access_check(access, RIGHT, "a", 1), ACCESS_OK);
    (void)snprintf(header, sizeof header, "Bearer %s", token);
    assert_int_equal(access_check(access, header, "a", 1), ACCESS_OK);
    access_free(access);
    assert_int_equal(chmod(users, 0640), 0);
    assert_int_equal(access_load(&access, users, tokens, &err), -1);
    assert_non_null(strstr(err.text, "chmod 600"));
    scratch_close(&scratch);
}

static void *ask_often(void *context)
{
    struct access *access = context;
    intptr_t wrong = 0;
    for (size_t i = 0; i < 20; i++) {
        wrong += access_check(access, RIGHT, "127.0.0.1", 1) == ACCESS_DENIED;
        wrong += access_check(access, "Bearer x", "127.0.0.2", 1) == ACCESS_OK;
    }
    return (void *)wrong;
}

static void many_threads(void **state)
{
    struct access *access = of(USERS, TOKENS);
    pthread_t threads[8];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, access), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    access_free(access);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_and_wrong),   cmocka_unit_test(hostile_headers),
        cmocka_unit_test(wrong_tries_end),   cmocka_unit_test(broken_files),
        cmocka_unit_test(files_are_written), cmocka_unit_test(many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
