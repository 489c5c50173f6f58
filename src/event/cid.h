/*
 * cid: content identifiers: what they say, and whether bytes are what one of them names.
 *
 * A CIDv1 is `1, codec, hash code, digest length, digest`, the numbers unsigned varints
 * (github.com/multiformats/cid, .../multihash). CIM programs write it as base32 text (`b…`) and as
 * a JSON array of byte numbers (Rust's `cid` crate under serde_json). Digests are taken with
 * BLAKE3-256 or SHA2-256.
 *
 * Two producers write what only looks like one. cim-graph: `Qm` and a SipHash in hexadecimal
 * (core/ipld_chain.rs). cim-domain-document: `bafkreig` and 20 bytes in hexadecimal, which does not
 * decode, so that it falls back to one constant CID for all events (event_integrity.rs). They are
 * recognised and prove nothing, neither that a chain is whole nor that it is broken.
 */
#pragma once

#include "base/buf.h"
#include "json/extract.h"

enum cid_hash {
    CID_HASH_SHA2_256 = 0x12,
    CID_HASH_BLAKE3 = 0x1e,
};

#define CID_DIGEST_BYTES 32
#define CID_BINARY_MAX   64  /* version, codec and hash as varints, length, digest */
#define CID_TEXT_MAX     112 /* `b` and the base32 of as many, no NUL */

struct cid {
    uint64_t codec;
    enum cid_hash hash;
    uint8_t digest[CID_DIGEST_BYTES];
};

enum cid_reading {
    CID_READ,        /* one whose content can be checked */
    CID_ABSENT,      /* absent or null */
    CID_FAKE,        /* one of the two above */
    CID_UNSUPPORTED, /* a version, multibase or hash that no listed producer uses: unknown, not
                        wrong */
    CID_MALFORMED,
};

/* Neither allocates. *ret is set with CID_READ only. */
enum cid_reading cid_parse_text(struct slice text, struct cid *ret);
/* Text or array of byte numbers. */
enum cid_reading cid_parse_json(const struct json_value *value, struct cid *ret);

/* The canonical forms; return the length, at most CID_BINARY_MAX and CID_TEXT_MAX. */
size_t cid_binary(const struct cid *cid, uint8_t out[static CID_BINARY_MAX]);
size_t cid_text(const struct cid *cid, char out[static CID_TEXT_MAX]);

/* The CID of these bytes with that codec and hash: cost is the hash's, no allocation. */
void cid_of(uint64_t codec, enum cid_hash hash, struct slice bytes, struct cid *ret);
bool cid_eq(const struct cid *a, const struct cid *b);
/* Is it the CID of these bytes? The codec is taken as said. */
bool cid_names(const struct cid *cid, struct slice bytes);
