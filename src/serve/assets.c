#include "serve/assets.h"

#include <stdlib.h>
#include <zlib.h>

const struct asset *asset_find(const char *name)
{
    for (size_t i = 0; i < asset_count; i++) {
        if (!strcmp(assets[i].name, name))
            return &assets[i];
    }
    return NULL;
}

void asset_plain(const struct asset *asset, struct buf *ret)
{
    z_stream z = {0};
    buf_reserve(ret, asset->len + 1);
    z.next_in = (Bytef *)(uintptr_t)asset->gzip;
    z.avail_in = (uInt)asset->gzip_len;
    z.next_out = (Bytef *)ret->ptr + ret->len;
    z.avail_out = (uInt)asset->len;
    if (inflateInit2(&z, 15 + 16) != Z_OK || inflate(&z, Z_FINISH) != Z_STREAM_END)
        abort(); /* our own bytes */
    ret->len += asset->len;
    (void)inflateEnd(&z);
}
