#include "bus/wire_parse.h"

#include <strings.h>

enum { WORDS_MAX = 5 };

/* Decimal, at most ten digits: sizes and subscription ids. */
static bool number_of(struct slice word, uint64_t *ret)
{
    return word.len <= 10 && slice_u64(word, ret);
}

/* Words between single or repeated blanks; more than WORDS_MAX: one too many is returned. */
static size_t split(struct slice line, struct slice words[static WORDS_MAX])
{
    const char *at = line.ptr, *end = line.ptr + line.len;
    size_t count = 0;
    for (;;) {
        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
        if (at == end)
            return count;
        if (count == WORDS_MAX)
            return WORDS_MAX + 1;
        const char *first = at, *blank = memchr(at, ' ', (size_t)(end - at));
        at = blank ? blank : end;
        words[count++] = (struct slice){first, (size_t)(at - first)};
    }
}

/* MSG subject sid [reply] total, HMSG subject sid [reply] headers total, and the bytes behind. */
static enum wire_kind parse_message(struct slice bytes, struct slice line, bool with_headers,
                                    struct wire_frame *ret)
{
    struct slice words[WORDS_MAX];
    struct wire_message *m = &ret->message;
    size_t count = split(line, words), sizes = with_headers ? 2 : 1;
    uint64_t total, headers = 0;
    if (count != 2 + sizes && count != 3 + sizes)
        return WIRE_BROKEN;
    if (!number_of(words[1], &m->sid) || !number_of(words[count - 1], &total) ||
        (with_headers && !number_of(words[count - 2], &headers)) || headers > total ||
        total > WIRE_MESSAGE_MAX)
        return WIRE_BROKEN;
    size_t whole = ret->used + total + 2;
    if (bytes.len < whole) {
        ret->wanted = whole;
        return WIRE_PARTIAL;
    }
    const char *body = bytes.ptr + ret->used;
    if (body[total] != '\r' || body[total + 1] != '\n')
        return WIRE_BROKEN;
    m->subject = words[0];
    m->reply = count == 3 + sizes ? words[2] : SLICE_ABSENT;
    m->header_block = with_headers ? (struct slice){body, headers} : SLICE_ABSENT;
    m->payload = (struct slice){body + headers, total - headers};
    ret->used = whole;
    return WIRE_MESSAGE;
}

static bool is_word(struct slice line, struct slice word)
{
    return line.len >= word.len && strncasecmp(line.ptr, word.ptr, word.len) == 0 &&
           (line.len == word.len || line.ptr[word.len] == ' ' || line.ptr[word.len] == '\t');
}

static enum wire_kind parse_rest(struct slice line, struct wire_frame *ret)
{
    if (is_word(line, SLICE("PING")))
        return WIRE_PING;
    if (is_word(line, SLICE("PONG")))
        return WIRE_PONG;
    if (is_word(line, SLICE("+OK")))
        return WIRE_OK;
    if (is_word(line, SLICE("INFO"))) {
        ret->text = slice_trim(slice_from(line, 4));
        return WIRE_INFO;
    }
    if (!is_word(line, SLICE("-ERR")))
        return WIRE_BROKEN;
    ret->text = slice_trim(slice_from(line, 4));
    if (ret->text.len >= 2 && ret->text.ptr[0] == '\'' && ret->text.ptr[ret->text.len - 1] == '\'')
        ret->text = (struct slice){ret->text.ptr + 1, ret->text.len - 2};
    return WIRE_ERROR;
}

enum wire_kind wire_parse(struct slice bytes, struct wire_frame *ret)
{
    const char *lf = bytes.len ? memchr(bytes.ptr, '\n', bytes.len) : NULL;
    ret->text = SLICE_ABSENT;
    if (!lf) {
        ret->wanted = bytes.len + 1;
        return bytes.len > WIRE_LINE_MAX ? WIRE_BROKEN : WIRE_PARTIAL;
    }
    ret->used = (size_t)(lf - bytes.ptr) + 1;
    if (ret->used < 2 || lf[-1] != '\r')
        return WIRE_BROKEN;
    struct slice line = {bytes.ptr, ret->used - 2};
    if (is_word(line, SLICE("MSG")))
        return parse_message(bytes, slice_from(line, 3), false, ret);
    if (is_word(line, SLICE("HMSG")))
        return parse_message(bytes, slice_from(line, 4), true, ret);
    return parse_rest(line, ret);
}
