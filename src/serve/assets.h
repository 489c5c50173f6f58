/*
 * assets: the files inside the program: the viewer's pages, the shipped dashboards, the runbooks.
 *
 * The table is made by scripts/embed.py when the program is built. Everything is constant and lives
 * as long as the program.
 */
#pragma once

#include "base/buf.h"

struct asset {
    const char *name; /* "ui/app.js", "dashboards/cim-events.json", "runbooks/MonitorDown.md" */
    const char *type; /* Content-Type */
    const char *etag; /* of the plain bytes, with its quotation marks */
    const unsigned char *gzip;
    size_t gzip_len, len;
};

extern const struct asset assets[];
extern const size_t asset_count;

const struct asset *asset_find(const char *name); /* NULL: none */
void asset_plain(const struct asset *asset, struct buf *ret);
