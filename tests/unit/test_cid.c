/* The CIDs of the corpus (events.md, "CIDs"): text, byte arrays, the fakes, and what is none. */
#include "unit.h"

#include "event/cid.h"

static struct json_value string(const char *text)
{
    return (struct json_value){.raw = slice_of(text), .type = JSON_TYPE_STRING};
}

static struct json_value array(const char *text)
{
    return (struct json_value){.raw = slice_of(text), .type = JSON_TYPE_ARRAY};
}

static void says(const char *text, uint64_t codec, enum cid_hash hash)
{
    struct cid cid;
    char again[CID_TEXT_MAX];
    assert_int_equal(cid_parse_text(slice_of(text), &cid), CID_READ);
    assert_int_equal(cid.codec, codec);
    assert_int_equal(cid.hash, hash);
    assert_slice(((struct slice){again, cid_text(&cid, again)}), text);
}

static void texts_of_each_producer(void **state)
{
    (void)state;
    says("bafkr4ifyg3r3pegi5r2kw3uecf2nbk7hn6oomjgkfa3ijinikabwso7gou", 0x55, CID_HASH_BLAKE3);
    says("bagaaihrahha7gaqxguv3k7b6m66jdbfqgxbbhilml7qt2yd6lf4pc5cloroq", 0x200, CID_HASH_BLAKE3);
    says("bagaibqabdyqigv5n6n4q5jcg3wv76ro2h4ywizjpef535qogqblq3yym52f6udi", 0x300000,
         CID_HASH_BLAKE3);
    says("bafyreicbffnvhve3rv6kiarzxowc4a6zxwmch4iohr65t7u5ild6eixley", 0x71, CID_HASH_SHA2_256);
    says("bafkreicqwipmfwxsahthgmbvobdwonv4vqbarg6l67sk2lxx424uyhvc2e", 0x55, CID_HASH_SHA2_256);
}

static void an_array_is_the_same_cid(void **state)
{
    struct cid from_array, from_text;
    struct json_value value = array(
        "[1,128,4,30,32,57,193,243,2,23,53,43,181,124,62,103,188,145,132,176,53,194,19,161,108,"
        "95,225,61,96,126,89,120,241,116,75,116,93]");
    (void)state;
    assert_int_equal(cid_parse_json(&value, &from_array), CID_READ);
    assert_int_equal(
        cid_parse_text(SLICE("bagaaihrahha7gaqxguv3k7b6m66jdbfqgxbbhilml7qt2yd6lf4pc5cloroq"),
                       &from_text),
        CID_READ);
    assert_true(cid_eq(&from_array, &from_text));
}

static void fakes_are_recognised(void **state)
{
    static const char *const fakes[] = {
        "Qmb3a1f0c95d2e8471",
        "Qm1f", /* cim-graph: SipHash, leading zeros not written */
        "bafkreigb94d27b9934d3e08a52e52d7da7dabfac484efe3", /* hexadecimal, pasted */
        "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
    };
    struct cid cid;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(fakes); i++)
        assert_int_equal(cid_parse_text(slice_of(fakes[i]), &cid), CID_FAKE);
    /* The constant as serde writes it. */
    struct json_value value =
        array("[1,112,18,32,195,196,115,62,200,175,253,6,207,158,159,245,15,252,107,205,46,200,90,"
              "97,112,0,75,183,9,102,156,49,222,148,57,26]");
    assert_int_equal(cid_parse_json(&value, &cid), CID_FAKE);
}

static void unsupported_is_not_malformed(void **state)
{
    struct cid cid;
    (void)state;
    /* CIDv0, and CIDv1 in base58btc. */
    assert_int_equal(cid_parse_text(SLICE("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKZ3Ky"), &cid),
                     CID_UNSUPPORTED);
    assert_int_equal(
        cid_parse_text(SLICE("zdj7WWeQ43G6JJvLWQWZpyHuAMq6uYWRjkBXFad11vE2LHhQ7"), &cid),
        CID_UNSUPPORTED);
    /* SHA2-512 (0x13), a digest of two bytes. */
    struct json_value value = array("[1,85,19,2,7,7]");
    assert_int_equal(cid_parse_json(&value, &cid), CID_UNSUPPORTED);
}

static void what_is_none(void **state)
{
    static const char *const texts[] = {
        "",
        "b",
        "not-a-cid",
        "123456",
        "Qm...",
        "bafkr4ifyg3r3pegi5r2kw3uecf2nbk7hn6oomjgkfa3ijinikabwso7goU",  /* not lower case */
        "bafkr4ifyg3r3pegi5r2kw3uecf2nbk7hn6oomjgkfa3ijinikabwso7go",   /* one letter short */
        "bafkr4ifyg3r3pegi5r2kw3uecf2nbk7hn6oomjgkfa3ijinikabwso7goua", /* one too many */
        "bafkr4ifyg3r3pegi5r2kw3uecf2nbk7hn6oomjgkfa3ijinikabwso7gov",  /* bits left over */
        "bafkr4ifyg3r3pegi5r2kw3uecf2nbk7hn6oomjgkfa3ijinikabwso7gou="
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "a",
    };
    static const char *const arrays[] = {
        "[]",
        "[1]",
        "[1,85,30,32]",
        "[256]",
        "[1,85,30,-1]",
        "[\"1\"]",
        "[1.5]",
        "[[1]]",
        "[1,213,0,30,32,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]", /* 0xd5
                                                                                              0x00
                                                                                            */
        "[255,255,255,255,255,255,255,255,255,255,1]",
        "[1,85,30,31,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]",
    };
    struct cid cid;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (cid_parse_text(slice_of(texts[i]), &cid) != CID_MALFORMED)
            fail_msg("'%s' is taken", texts[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
        struct json_value value = array(arrays[i]);
        if (cid_parse_json(&value, &cid) != CID_MALFORMED)
            fail_msg("'%s' is taken", arrays[i]);
    }
    struct json_value other = {.raw = SLICE("7"), .type = JSON_TYPE_NUMBER};
    assert_int_equal(cid_parse_json(&other, &cid), CID_MALFORMED);
    other.type = JSON_TYPE_NULL;
    assert_int_equal(cid_parse_json(&other, &cid), CID_ABSENT);
    other = string("Qm...");
    assert_int_equal(cid_parse_json(&other, &cid), CID_MALFORMED);
}

/* Corpus: cim-keys (ipld_support.rs), and cim-domain 0.8.1 generate_cid over the event whose CID
 * stands in the line behind it. */
static void content_of_the_corpus(void **state)
{
    struct cid cid;
    (void)state;
    assert_int_equal(
        cid_parse_text(SLICE("bafkr4ifyg3r3pegi5r2kw3uecf2nbk7hn6oomjgkfa3ijinikabwso7gou"), &cid),
        CID_READ);
    assert_true(cid_names(
        &cid, SLICE("{\"rack_id\":\"01993b1e-6a20-7c11-8f3e-5b2a9d4c7e61\",\"watts\":4150}")));
    assert_false(cid_names(
        &cid, SLICE("{\"watts\":4150,\"rack_id\":\"01993b1e-6a20-7c11-8f3e-5b2a9d4c7e61\"}")));
    assert_int_equal(
        cid_parse_text(SLICE("bafyreicbffnvhve3rv6kiarzxowc4a6zxwmch4iohr65t7u5ild6eixley"), &cid),
        CID_READ);
    assert_true(cid_names(
        &cid, SLICE("{\"aggregate\":\"Saga\",\"event\":{\"event_type\":\"SagaStarted\",\"saga_id\":"
                    "\"019f510d-1b5e-7a7e-b36a-ddc7fcbf49a0\",\"saga_type\":\"root-ca-rotation\","
                    "\"correlation_id\":\"019f510d-1c17-7269-8dbb-c6c6f13d3955\","
                    "\"triggered_by_command_id\":null,\"initiated_by\":\"ops\",\"started_at\":"
                    "\"2026-07-11T12:28:36.926368498Z\",\"context\":null}}")));
}

/* Whatever the numbers: written and read back it is the same. */
static void binary_and_text_round_trip(void **state)
{
    uint64_t seed = 7;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct cid cid = {random_u64(&seed) >> (1 + random_below(&seed, 63)),
                          random_below(&seed, 2) ? CID_HASH_BLAKE3 : CID_HASH_SHA2_256,
                          {0}};
        struct cid again;
        char text[CID_TEXT_MAX];
        for (size_t b = 0; b < sizeof cid.digest; b++)
            cid.digest[b] = (uint8_t)random_u64(&seed);
        struct slice written = {text, cid_text(&cid, text)};
        assert_int_equal(cid_parse_text(written, &again), CID_READ);
        assert_true(cid_eq(&cid, &again));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_each_producer),
        cmocka_unit_test(an_array_is_the_same_cid),
        cmocka_unit_test(fakes_are_recognised),
        cmocka_unit_test(unsupported_is_not_malformed),
        cmocka_unit_test(what_is_none),
        cmocka_unit_test(content_of_the_corpus),
        cmocka_unit_test(binary_and_text_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
