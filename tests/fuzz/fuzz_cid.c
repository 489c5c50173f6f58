/* CIDs: no bytes break the readers; what is read is written back as the same CID, and names its
 * bytes only. The first byte of the input chooses between text and JSON array. */
#include <stdlib.h>

#include "event/blake3.h"
#include "event/cid.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cid cid;
    if (!size)
        return 0;
    struct slice rest = {(const char *)data + 1, size - 1};
    check_hash(rest);
    if (data[0] == 'a') {
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
