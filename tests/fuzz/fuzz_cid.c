/* CIDs: no bytes break the readers; what is read is written back as the same CID, and names its
 * bytes only. The same for what is kept of chains. The first byte of the input chooses: `a` a JSON
 * array, `h` the heads of chains, else text. */
#include <stdlib.h>

#include "event/blake3.h"
#include "event/cid.h"
#include "fold/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_hash(struct slice bytes)
{
    uint8_t digest[BLAKE3_BYTES], portable[BLAKE3_BYTES];
    blake3(bytes, digest);
    blake3_portable(bytes, portable);
    if (memcmp(digest, portable, sizeof digest) != 0)
        abort();
}

static void check_text(const struct cid *cid)
{
    struct cid again;
    char text[CID_TEXT_MAX];
    struct slice written = {text, cid_text(cid, text)};
    enum cid_reading reading = cid_parse_text(written, &again);
    if (reading != CID_READ || !cid_eq(cid, &again))
        abort();
}

static void check_heads(struct slice bytes)
{
    struct codec_reader in = {bytes, true};
    struct chain_heads heads = {0};
    struct buf first = {0}, second = {0};
    chain_heads_decode(&heads, true, &in);
    if (in.ok) {
        chain_heads_encode(&heads, &first);
        in = (struct codec_reader){buf_slice(&first), true};
        chain_heads_decode(&heads, true, &in);
        chain_heads_encode(&heads, &second);
        if (!in.ok || in.rest.len || !slice_eq(buf_slice(&first), buf_slice(&second)))
            abort();
    }
    chain_heads_clear(&heads);
    buf_done(&first);
    buf_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cid cid;
    if (!size)
        return 0;
    struct slice rest = {(const char *)data + 1, size - 1};
    check_hash(rest);
    if (data[0] == 'h') {
        check_heads(rest);
    } else if (data[0] == 'a') {
        /* An array is well-formed JSON when it gets there. */
        struct json_plan *plan = json_plan_new();
        struct json_value value;
        struct json_error problem;
        (void)json_plan_add(plan, SLICE(""));
        (void)json_plan_compile(plan);
        if (json_extract(plan, rest, &value, &problem) && cid_parse_json(&value, &cid) == CID_READ)
            check_text(&cid);
        json_plan_free(plan);
    } else if (cid_parse_text(rest, &cid) == CID_READ) {
        check_text(&cid);
    }
    cid_of(0x55, CID_HASH_BLAKE3, rest, &cid);
    if (!cid_names(&cid, rest))
        abort();
    return 0;
}
