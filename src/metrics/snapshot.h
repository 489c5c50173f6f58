/*
 * snapshot: the cells of one family in one partition, as bytes and back.
 */
#pragma once

#include "base/codec.h"
#include "metrics/registry.h"

void partition_encode_family(const struct partition *partition, const struct family *family,
                             struct buf *ret);
/* Adds the cells to the partition. With family NULL the bytes are walked over and dropped; that
 * needs `kind`, which is otherwise checked against the family's. Sets in->ok to false when damaged.
 */
void partition_decode_family(struct partition *partition, struct family *family,
                             enum metric_kind kind, struct codec_reader *in);
