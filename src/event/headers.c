#include "event/headers.h"

#include <strings.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

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

/*
 * All headers at once: line ends and colons of 16 bytes are found together, so that a short line
 * costs no call. The same rules as above, which the tests hold against each other.
 */
#if defined(__SSE2__)
static inline unsigned marks_of(const char *at)
{
    __m128i bytes = _mm_loadu_si128((const __m128i_u *)at);
    __m128i marks = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\r')),
                                 _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n')),
                                              _mm_cmpeq_epi8(bytes, _mm_set1_epi8(':'))));
    return (unsigned)_mm_movemask_epi8(marks);
}
#else
static inline unsigned marks_of(const char *at)
{
    unsigned marks = 0;
    for (unsigned i = 0; i < 16; i++)
        marks |= (unsigned)(at[i] == '\r' || at[i] == '\n' || at[i] == ':') << i;
    return marks;
}
#endif

struct line_walk {
    const char *line, *colon, *cr; /* of the line at hand; NULL: not seen yet */
    bool ended, broken;
};

static inline void meet(struct line_walk *w, const char *at, struct event_header *out, int room,
                        int *count)
{
    if (*at == ':') {
        w->broken |= w->cr != NULL;
        w->colon = w->colon ? w->colon : at;
    } else if (*at == '\r') {
        w->broken |= w->cr != NULL;
        w->cr = at;
    } else {
        w->broken |= w->ended || !w->cr || at != w->cr + 1;
        if (w->cr == w->line) {
            w->ended = true;
        } else if (!w->colon || w->colon == w->line) {
            w->broken = true;
        } else if (!w->broken && *count < room) {
            out[(*count)++] = (struct event_header){
                {w->line, (size_t)(w->colon - w->line)},
                slice_trim((struct slice){w->colon + 1, (size_t)(w->cr - w->colon) - 1})};
        }
        w->line = at + 1;
        w->colon = w->cr = NULL;
    }
}

int event_headers_parse(struct slice block, struct event_header *out, int room)
{
    struct event_headers first;
    int count = 0;
    if (!block.len)
        return 0;
    if (!event_headers_begin(&first, block, NULL))
        return -1;
    const char *at = first.rest.ptr, *end = at + first.rest.len;
    struct line_walk w = {.line = at};
    for (; at < end && !w.broken; at += 16) {
        char tail[16] = {0};
        const char *from = at;
        if (end - at < 16) {
            memcpy(tail, at, (size_t)(end - at));
            from = tail;
        }
        for (unsigned marks = marks_of(from); marks && !w.broken; marks &= marks - 1)
            meet(&w, at + __builtin_ctz(marks), out, room, &count);
    }
    /* The empty line is the last, and nothing is behind it. */
    return w.broken || !w.ended || w.line != end ? -1 : count;
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
