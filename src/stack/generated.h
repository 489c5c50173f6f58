/*
 * generated: configuration files that the program writes and a person may take over.
 *
 * The hash of what was written is kept beside the files, in <dir>/.generated/<name>. As long as a
 * file still has that hash it is ours and is written anew when its content changes; once a person
 * has changed it, or put it there, it is theirs and is kept.
 */
#pragma once

#include "base/error.h"
#include "base/slice.h"

enum generated_outcome {
    GENERATED_WRITTEN,
    GENERATED_SAME, /* it had this content already */
    GENERATED_KEPT, /* a person's; not touched */
};

#define GENERATED_BYTES_MAX (8u << 20)

int generated_write(const char *dir, const char *name, struct slice content,
                    enum generated_outcome *ret, struct error *err);
