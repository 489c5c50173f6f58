/* Which servers a wire may connect to. */
#include "unit.h"

#include "bus/wire_server.h"

static void addresses_in_every_form(void **state)
{
    struct wire_servers s;
    struct error err = ERROR_NONE;
    (void)state;
    assert_int_equal(wire_servers_parse(&s,
                                        "nats://a, b:5222,tls://u:p%40ss%2@[::1]:4223,"
                                        "nats://token@h:1/,[fe80::1],",
                                        &err),
                     0);
    assert_int_equal(s.count, 5);
    assert_string_equal(s.items[0].host, "a");
    assert_string_equal(s.items[0].port, "4222");
    assert_null(s.items[0].user);
    assert_false(s.items[0].tls);
    assert_string_equal(s.items[1].port, "5222");
    assert_string_equal(s.items[2].host, "::1");
    assert_string_equal(s.items[2].port, "4223");
    assert_string_equal(s.items[2].user, "u");
    assert_string_equal(s.items[2].password, "p@ss%2");
    assert_true(s.items[2].tls);
    assert_string_equal(s.items[3].user, "token");
    assert_null(s.items[3].password);
    assert_string_equal(s.items[4].host, "fe80::1");
    wire_servers_done(&s);
}

static void bad_addresses_are_named_without_their_secrets(void **state)
{
    static const char *const bad[] = {
        "",          ",",       "nats://",         "ws://u:secret@h",    "nats://u:secret@",
        "h:0",       "h:65536", "u:secret@h:port", "nats://u:secret@h:", "[::1",
        "[::1]4222", "h:1:2",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct wire_servers s;
        struct error err = ERROR_NONE;
        if (wire_servers_parse(&s, bad[i], &err) == 0)
            fail_msg("taken as an address: %s", bad[i]);
        assert_int_equal(err.code, EXIT_CODE_USAGE);
        assert_null(strstr(err.text, "secret"));
    }
}

static void what_the_cluster_tells_is_added_and_forgotten(void **state)
{
    static const char *const first[] = {"10.0.0.1:4222", "b:4222", "a:4222", "junk:port"};
    static const char *const second[] = {"b:4222", "c:4222"};
    struct wire_servers s;
    struct error err = ERROR_NONE;
    (void)state;
    assert_int_equal(wire_servers_parse(&s, "tls://u:p@a:4222", &err), 0);
    wire_servers_discovered(&s, first, ARRAY_LEN(first));
    assert_int_equal(s.count, 3);
    assert_string_equal(s.items[1].host, "10.0.0.1");
    assert_string_equal(s.items[1].name, "a"); /* an address has no name of its own */
    assert_string_equal(s.items[2].name, "b");
    assert_string_equal(s.items[2].password, "p");
    assert_true(s.items[2].tls);
    wire_servers_next(&s);
    wire_servers_next(&s);
    assert_string_equal(wire_servers_current(&s)->host, "b");
    wire_servers_discovered(&s, second, ARRAY_LEN(second));
    assert_int_equal(s.count, 3);
    assert_string_equal(wire_servers_current(&s)->host, "b");
    assert_string_equal(s.items[2].host, "c");
    wire_servers_next(&s);
    wire_servers_next(&s);
    assert_string_equal(wire_servers_current(&s)->host, "a");
    wire_servers_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_in_every_form),
        cmocka_unit_test(bad_addresses_are_named_without_their_secrets),
        cmocka_unit_test(what_the_cluster_tells_is_added_and_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
