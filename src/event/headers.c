#include "event/headers.h"

#include <strings.h>

/* --- the block -------------------------------------------------------------------------------- */

/* The line before \r\n, and *rest behind it. False: there is none that ends so. */
static bool cut_line(struct slice *rest, struct slice *ret)
{
    const char *lf = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
    if (!lf || lf == rest->ptr || lf[-1] != '\r')
        return false;
    *ret = (struct slice){rest->ptr, (size_t)(lf - rest->ptr) - 1};
    *rest = (struct slice){lf + 1, rest->len - ret->len - 2};
    return true;
}

bool event_headers_begin(struct event_headers *walk, struct slice block, struct slice *ret_status)
{
    struct slice line;
    const struct slice version = SLICE("NATS/1.0");
    *walk = (struct event_headers){.rest = block};
    if (ret_status)
        *ret_status = SLICE_ABSENT;
    walk->broken = !cut_line(&walk->rest, &line) || !slice_starts(line, version) ||
                   (line.len > version.len && line.ptr[version.len] != ' ');
    if (!walk->broken && ret_status && line.len > version.len)
        *ret_status = slice_trim(slice_from(line, version.len));
    return !walk->broken;
}

bool event_headers_next(struct event_headers *walk, struct event_header *ret)
{
    struct slice line;
    if (walk->broken)
        return false;
    if (!cut_line(&walk->rest, &line)) {
        walk->broken = true;
        return false;
    }
    if (!line.len) { /* the end, which must be that of the block too */
        walk->broken = walk->rest.len != 0;
        return false;
    }
    const char *colon = memchr(line.ptr, ':', line.len);
    if (!colon || colon == line.ptr || memchr(line.ptr, '\r', line.len)) {
        walk->broken = true;
        return false;
    }
    ret->name = (struct slice){line.ptr, (size_t)(colon - line.ptr)};
    ret->value = slice_trim((struct slice){colon + 1, line.len - ret->name.len - 1});
    return true;
}

int event_headers_parse(struct slice block, struct event_header *out, int room)
{
    struct event_headers walk;
    struct event_header header;
    int count = 0;
    if (!block.len)
        return 0;
    for (bool more = event_headers_begin(&walk, block, NULL); more;) {
        more = event_headers_next(&walk, &header);
        if (more && count < room)
            out[count++] = header;
    }
    return walk.broken ? -1 : count;
}

/* --- names ------------------------------------------------------------------------------------ */

static struct slice bare_name(struct slice name)
{
    if (name.len > 2 && name.ptr[1] == '-' && (name.ptr[0] | 0x20) == 'x')
        return slice_from(name, 2);
    if (name.len > 4 && name.ptr[3] == '-' && strncasecmp(name.ptr, "cim", 3) == 0)
        return slice_from(name, 4);
    return name;
}

bool event_header_is(struct slice name, struct slice wanted)
{
    name = bare_name(name);
    wanted = bare_name(wanted);
    return name.len == wanted.len && strncasecmp(name.ptr, wanted.ptr, name.len) == 0;
}
