/*
 * snapshot: the cells of one family in one partition, as bytes and back.
 *
 * Copied first, with the registry's lock held (about 5 ns a cell, and its histogram's counts or its
 * set's keys), then written as bytes without it, while folds go on. The bytes depend on the cells
 * and the order of their births alone, so two monitors that folded the same messages write the
 * same.
 */
#pragma once

#include "base/codec.h"
#include "metrics/registry.h"

struct cells_copy;
struct cells_copy *partition_copy_family(const struct partition *partition,
                                         const struct family *family);
void cells_copy_free(struct cells_copy *copy); /* NULL is allowed */
/*
 * Appends at least `bytes` more, or all that is left; false when that was the end. Begins with the
 * counts.
 */
bool cells_copy_encode(struct cells_copy *copy, size_t bytes, struct buf *ret);

/* Both at once. */
void partition_encode_family(const struct partition *partition, const struct family *family,
                             struct buf *ret);
/* Adds the cells to the partition. With family NULL the bytes are walked over and dropped; that
 * needs `kind`, which is otherwise checked against the family's. Sets in->ok to false when damaged.
 */
void partition_decode_family(struct partition *partition, struct family *family,
                             enum metric_kind kind, struct codec_reader *in);
