#include "schema/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/memory.h"
#include "base/utf8.h"

struct regex {
    pcre2_code *code;
    bool quick; /* there is machine code for it */
};

struct regex_matcher {
    pcre2_match_data *match;
    pcre2_match_context *context;
};

/* --- translation ------------------------------------------------------------------------------ */

/*
 *     pattern     = alternative *( "|" alternative )
 *     alternative = *( assertion / atom [ quantifier ] )
 *
 * Groups are not parsed into a tree: PCRE2 checks that they nest. What is checked here is each
 * piece by itself, and whether a quantifier may follow it.
 */
struct translation {
    struct slice in;
    size_t at;
    struct buf out;
    const char *why;
    bool quantifiable; /* the piece before can be repeated */
    char kinds[64];    /* of open groups: 'g' group, 'l' lookaround */
    size_t depth;
};

static bool refuse(struct translation *t, const char *why)
{
    if (!t->why)
        t->why = why;
    return false;
}

static bool peek(const struct translation *t, char c)
{
    return t->at < t->in.len && t->in.ptr[t->at] == c;
}

static bool peek_text(const struct translation *t, struct slice text)
{
    return slice_starts(slice_from(t->in, t->at), text);
}

static void put_code_point(struct translation *t, uint32_t c)
{
    buf_addf(&t->out, "\\x{%x}", c);
}

static bool read_hex(struct translation *t, size_t digits_min, size_t digits_max, uint32_t *ret)
{
    size_t digits = 0;
    *ret = 0;
    for (; digits < digits_max && t->at < t->in.len; digits++, t->at++) {
        char c = t->in.ptr[t->at], low = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            *ret = *ret * 16 + (uint32_t)(c - '0');
        else if (low >= 'a' && low <= 'f')
            *ret = *ret * 16 + (uint32_t)(low - 'a' + 10);
        else
            break;
    }
    return digits >= digits_min || refuse(t, "hexadecimal digits were expected");
}

static bool is_surrogate(uint32_t c)
{
    return c >= 0xd800 && c < 0xe000;
}

/* Behind \u. A pair of surrogates is one character. */
static bool read_unicode(struct translation *t, uint32_t *ret)
{
    if (peek(t, '{')) {
        t->at++;
        if (!read_hex(t, 1, 6, ret))
            return false;
        if (!peek(t, '}') || *ret > 0x10ffff)
            return refuse(t, "\\u{...} is one code point in hexadecimal");
        t->at++;
    } else {
        uint32_t low;
        if (!read_hex(t, 4, 4, ret))
            return false;
        if (*ret >= 0xd800 && *ret < 0xdc00 && peek_text(t, SLICE("\\u"))) {
            t->at += 2;
            if (!read_hex(t, 4, 4, &low))
                return false;
            if (low < 0xdc00 || low >= 0xe000)
                return refuse(t, "half of a surrogate pair");
            *ret = 0x10000 + ((*ret - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return !is_surrogate(*ret) || refuse(t, "half of a surrogate pair");
}

/* The escapes for one character, behind the backslash. 1 read, 0 something else, -1 refused. */
static int read_character_escape(struct translation *t, uint32_t *ret)
{
    static const char letters[] = "tnvfr", meant[] = "\t\n\v\f\r";
    char c = t->in.ptr[t->at];
    const char *known = c ? strchr(letters, c) : NULL;
    if (known) {
        *ret = (unsigned char)meant[known - letters];
        t->at++;
    } else if (c == 'c') {
        t->at++;
        char letter = t->at < t->in.len ? (char)(t->in.ptr[t->at] | 0x20) : 0;
        if (letter < 'a' || letter > 'z')
            return refuse(t, "\\c wants a letter") ? 1 : -1;
        *ret = (unsigned char)letter & 31;
        t->at++;
    } else if (c == '0') {
        t->at++;
        if (t->at < t->in.len && t->in.ptr[t->at] >= '0' && t->in.ptr[t->at] <= '9')
            return refuse(t, "octal escapes are not part of ECMA-262; write \\xHH") ? 1 : -1;
        *ret = 0;
    } else if (c == 'x') {
        t->at++;
        return read_hex(t, 2, 2, ret) ? 1 : -1;
    } else if (c == 'u') {
        t->at++;
        return read_unicode(t, ret) ? 1 : -1;
    } else if (c > ' ' && c < 0x7f && !(c >= '0' && c <= '9') &&
               !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && c != '_') {
        *ret = (unsigned char)c;
        t->at++;
    } else {
        return 0;
    }
    return 1;
}

/* As ranges for a class: white space and line ends of ECMA-262, and all but them. */
static const char spaces[] =
    "\\x{9}-\\x{d}\\x{20}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}"
    "\\x{3000}\\x{feff}";
static const char no_spaces[] =
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}"
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}"
    "\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}";

/* General categories by the names that ECMA-262 knows and PCRE2 does not. */
static const char *category(struct slice name)
{
    static const struct {
        struct slice name;
        const char *category;
    } names[] = {
        {SLICE("Letter"), "L"},
        {SLICE("Cased_Letter"), "L&"},
        {SLICE("LC"), "L&"},
        {SLICE("Uppercase_Letter"), "Lu"},
        {SLICE("Lowercase_Letter"), "Ll"},
        {SLICE("Titlecase_Letter"), "Lt"},
        {SLICE("Modifier_Letter"), "Lm"},
        {SLICE("Other_Letter"), "Lo"},
        {SLICE("Mark"), "M"},
        {SLICE("Combining_Mark"), "M"},
        {SLICE("Nonspacing_Mark"), "Mn"},
        {SLICE("Spacing_Mark"), "Mc"},
        {SLICE("Enclosing_Mark"), "Me"},
        {SLICE("Number"), "N"},
        {SLICE("Decimal_Number"), "Nd"},
        {SLICE("digit"), "Nd"},
        {SLICE("Letter_Number"), "Nl"},
        {SLICE("Other_Number"), "No"},
        {SLICE("Punctuation"), "P"},
        {SLICE("punct"), "P"},
        {SLICE("Connector_Punctuation"), "Pc"},
        {SLICE("Dash_Punctuation"), "Pd"},
        {SLICE("Open_Punctuation"), "Ps"},
        {SLICE("Close_Punctuation"), "Pe"},
        {SLICE("Initial_Punctuation"), "Pi"},
        {SLICE("Final_Punctuation"), "Pf"},
        {SLICE("Other_Punctuation"), "Po"},
        {SLICE("Symbol"), "S"},
        {SLICE("Math_Symbol"), "Sm"},
        {SLICE("Currency_Symbol"), "Sc"},
        {SLICE("Modifier_Symbol"), "Sk"},
        {SLICE("Other_Symbol"), "So"},
        {SLICE("Separator"), "Z"},
        {SLICE("Space_Separator"), "Zs"},
        {SLICE("Line_Separator"), "Zl"},
        {SLICE("Paragraph_Separator"), "Zp"},
        {SLICE("Other"), "C"},
        {SLICE("Control"), "Cc"},
        {SLICE("cntrl"), "Cc"},
        {SLICE("Format"), "Cf"},
        {SLICE("Private_Use"), "Co"},
        {SLICE("Unassigned"), "Cn"},
    };
    static const char letters[] = "L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po "
                                  "S Sm Sc Sk So Z Zs Zl Zp C Cc Cf Co Cn ";
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (slice_eq(names[i].name, name))
            return names[i].category;
    }
    for (const char *at = letters; *at; at = strchr(at, ' ') + 1) {
        if (slice_eq((struct slice){at, (size_t)(strchr(at, ' ') - at)}, name))
            return at;
    }
    return NULL;
}

/* At p or P of \p{...}. */
static bool put_property(struct translation *t)
{
    char kind = t->in.ptr[t->at++];
    const char *end = NULL;
    if (peek(t, '{'))
        end = memchr(t->in.ptr + t->at, '}', t->in.len - t->at);
    if (!end)
        return refuse(t, "\\p wants a property in braces");
    struct slice whole = {t->in.ptr + t->at + 1, (size_t)(end - t->in.ptr) - t->at - 1};
    struct slice rest = whole, name = SLICE_ABSENT;
    (void)slice_cut(&rest, '=', &name);
    const char *prefix = "";
    struct slice value = slice_present(rest) ? rest : name;
    bool general = !slice_present(rest) || slice_eq(name, SLICE("General_Category")) ||
                   slice_eq(name, SLICE("gc"));
    if (slice_eq(name, SLICE("Script")) || slice_eq(name, SLICE("sc")))
        prefix = "sc:";
    else if (slice_eq(name, SLICE("Script_Extensions")) || slice_eq(name, SLICE("scx")))
        prefix = "scx:";
    else if (!general)
        return refuse(t, "an unknown kind of property");
    for (size_t i = 0; i < value.len; i++) {
        char low = (char)(value.ptr[i] | 0x20);
        if (!(low >= 'a' && low <= 'z') && !(value.ptr[i] >= '0' && value.ptr[i] <= '9') &&
            value.ptr[i] != '_')
            return refuse(t, "an unknown property");
    }
    const char *known = general && !*prefix ? category(value) : NULL;
    if (known)
        value = (struct slice){known, strcspn(known, " ")};
    t->at = (size_t)(end - t->in.ptr) + 1;
    buf_addf(&t->out, "\\%c{%s%.*s}", kind, prefix, SLICE_ARG(value));
    return true;
}

/* Behind a backslash: the classes that stand for many characters. 1, 0 none of them, -1 refused. */
static int put_class_escape(struct translation *t, bool in_class)
{
    char c = t->in.ptr[t->at];
    switch (c) {
    case 'd':
    case 'D':
    case 'w':
    case 'W': buf_addf(&t->out, "\\%c", c); break;
    case 's':
    case 'S': buf_addf(&t->out, in_class ? "%s" : "[%s]", c == 's' ? spaces : no_spaces); break;
    case 'p':
    case 'P': return put_property(t) ? 1 : -1;
    default: return 0;
    }
    t->at++;
    return 1;
}

static bool read_plain(struct translation *t, uint32_t *ret)
{
    const unsigned char *p = (const unsigned char *)t->in.ptr + t->at;
    size_t len = utf8_length(t->in.ptr + t->at, t->in.len - t->at);
    if (!len)
        return refuse(t, "invalid UTF-8");
    *ret = len == 1 ? p[0] : len == 2 ? p[0] & 0x1fu : len == 3 ? p[0] & 0x0fu : p[0] & 0x07u;
    for (size_t i = 1; i < len; i++)
        *ret = *ret << 6 | (p[i] & 0x3fu);
    t->at += len;
    return true;
}

/* One member of [...]: a character (*ret_single) or a class escape. */
static bool class_member(struct translation *t, bool *ret_single, uint32_t *ret)
{
    *ret_single = true;
    if (!peek(t, '\\'))
        return read_plain(t, ret);
    if (++t->at == t->in.len)
        return refuse(t, "the pattern ends with a backslash");
    if (peek(t, 'b')) {
        t->at++;
        *ret = '\b';
        return true;
    }
    int found = put_class_escape(t, true);
    if (found) {
        *ret_single = false;
        return found > 0;
    }
    found = read_character_escape(t, ret);
    return found ? found > 0 : refuse(t, "an unknown escape");
}

/* At the [. */
static bool put_class(struct translation *t)
{
    t->at++;
    bool negative = peek(t, '^');
    t->at += negative;
    if (peek(t, ']')) { /* nothing, or anything */
        t->at++;
        buf_add_str(&t->out, negative ? "[\\x{0}-\\x{10ffff}]" : "(?!)");
        return true;
    }
    buf_add_str(&t->out, negative ? "[^" : "[");
    while (!peek(t, ']')) {
        bool single = false, single_end = false;
        uint32_t first = 0, last = 0;
        if (t->at >= t->in.len)
            return refuse(t, "']' is missing");
        if (!class_member(t, &single, &first))
            return false;
        bool range = peek(t, '-') && t->at + 1 < t->in.len && t->in.ptr[t->at + 1] != ']';
        if (!range) {
            if (single)
                put_code_point(t, first);
            continue;
        }
        t->at++;
        if (!single)
            return refuse(t, "a class of characters cannot begin a range");
        put_code_point(t, first);
        buf_add_char(&t->out, '-');
        if (!class_member(t, &single_end, &last))
            return false;
        if (!single_end || last < first)
            return refuse(t, "a range that does not go upwards");
        put_code_point(t, last);
    }
    t->at++;
    buf_add_char(&t->out, ']');
    return true;
}

/* At the (. */
static bool open_group(struct translation *t)
{
    static const struct slice kinds[] = {SLICE("(?:"), SLICE("(?="), SLICE("(?!"), SLICE("(?<="),
                                         SLICE("(?<!")};
    if (t->depth == sizeof t->kinds)
        return refuse(t, "groups nested too deep");
    t->quantifiable = false;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!peek_text(t, kinds[i]))
            continue;
        t->kinds[t->depth++] = i ? 'l' : 'g';
        buf_add_slice(&t->out, kinds[i]);
        t->at += kinds[i].len;
        return true;
    }
    if (peek_text(t, SLICE("(?<"))) {
        /* Nothing can refer to it: its name is not needed. */
        const char *end = memchr(t->in.ptr + t->at, '>', t->in.len - t->at);
        if (!end)
            return refuse(t, "the group's name does not end");
        t->at = (size_t)(end - t->in.ptr) + 1;
    } else if (peek_text(t, SLICE("(?")) || peek_text(t, SLICE("(*"))) {
        return refuse(t, "ECMA-262 has no such group");
    } else {
        t->at++;
    }
    t->kinds[t->depth++] = 'g';
    buf_add_str(&t->out, "(?:"); /* nothing is captured: nothing asks for it */
    return true;
}

static bool close_group(struct translation *t)
{
    if (!t->depth)
        return refuse(t, "a ) without its (");
    t->at++;
    buf_add_char(&t->out, ')');
    t->quantifiable = t->kinds[--t->depth] == 'g';
    return true;
}

static bool read_bound(struct translation *t, unsigned *ret)
{
    size_t digits = 0;
    *ret = 0;
    while (t->at < t->in.len && t->in.ptr[t->at] >= '0' && t->in.ptr[t->at] <= '9' && digits < 6) {
        *ret = *ret * 10 + (unsigned)(t->in.ptr[t->at++] - '0');
        digits++;
    }
    return digits > 0;
}

/* At one of * + ? {. */
static bool put_quantifier(struct translation *t)
{
    if (!t->quantifiable)
        return refuse(t, "nothing to repeat");
    t->quantifiable = false;
    if (peek(t, '{')) {
        unsigned least, most;
        t->at++;
        if (!read_bound(t, &least))
            return refuse(t, "a number was expected behind {");
        buf_addf(&t->out, "{%u", least);
        if (peek(t, ',')) {
            t->at++;
            buf_add_char(&t->out, ',');
            if (!peek(t, '}')) {
                if (!read_bound(t, &most) || most < least)
                    return refuse(t, "a number not below the first was expected");
                buf_addf(&t->out, "%u", most);
            }
        }
        if (!peek(t, '}'))
            return refuse(t, "} was expected");
        buf_add_char(&t->out, '}');
    } else {
        buf_add_char(&t->out, t->in.ptr[t->at]);
    }
    t->at++;
    if (peek(t, '?')) {
        buf_add_char(&t->out, '?');
        t->at++;
    }
    return true;
}

/* At a backslash outside of [...]. */
static bool put_escape(struct translation *t)
{
    uint32_t c = 0;
    if (++t->at == t->in.len)
        return refuse(t, "the pattern ends with a backslash");
    if (peek(t, 'b') || peek(t, 'B')) {
        buf_addf(&t->out, "\\%c", t->in.ptr[t->at++]);
        t->quantifiable = false;
        return true;
    }
    if (peek(t, 'k') || (t->in.ptr[t->at] >= '1' && t->in.ptr[t->at] <= '9'))
        return refuse(t, "back references are not supported");
    t->quantifiable = true;
    int found = put_class_escape(t, false);
    if (found)
        return found > 0;
    found = read_character_escape(t, &c);
    if (found > 0)
        put_code_point(t, c);
    return found ? found > 0 : refuse(t, "an unknown escape");
}

static bool put_piece(struct translation *t)
{
    uint32_t c = 0;
    switch (t->in.ptr[t->at]) {
    case '(': return open_group(t);
    case ')': return close_group(t);
    case '\\': return put_escape(t);
    case '[': t->quantifiable = true; return put_class(t);
    case '*':
    case '+':
    case '?':
    case '{': return put_quantifier(t);
    case '}':
    case ']': return refuse(t, "write a backslash before this bracket");
    case '|':
    case '^':
    case '$':
        buf_add_char(&t->out, t->in.ptr[t->at++]);
        t->quantifiable = false;
        return true;
    case '.':
        buf_add_str(&t->out, "[^\\x{a}\\x{d}\\x{2028}\\x{2029}]");
        t->at++;
        t->quantifiable = true;
        return true;
    default: break;
    }
    if (!read_plain(t, &c))
        return false;
    put_code_point(t, c);
    t->quantifiable = true;
    return true;
}

static bool translate(struct translation *t)
{
    while (t->at < t->in.len) {
        if (!put_piece(t))
            return false;
    }
    return !t->depth || refuse(t, "a ) is missing");
}

/* --- compiling and matching ------------------------------------------------------------------- */

struct regex *regex_compile(struct slice pattern, char *room, size_t room_bytes,
                            const char **ret_why, size_t *ret_at)
{
    struct translation t = {.in = pattern};
    *ret_at = 0;
    if (pattern.len > REGEX_BYTES_MAX) {
        *ret_why = "the pattern is too long";
        return NULL;
    }
    if (!translate(&t)) {
        *ret_why = t.why;
        *ret_at = t.at;
        buf_done(&t.out);
        return NULL;
    }
    int code;
    PCRE2_SIZE where;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)buf_slice(&t.out).ptr, t.out.len,
                                         PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_DOLLAR_ENDONLY |
                                             PCRE2_NO_AUTO_CAPTURE | PCRE2_NEVER_BACKSLASH_C,
                                         &code, &where, NULL);
    buf_done(&t.out);
    if (!compiled) {
        (void)pcre2_get_error_message(code, (PCRE2_UCHAR *)room, room_bytes);
        *ret_why = room;
        return NULL;
    }
    struct regex *regex = xcalloc(1, sizeof *regex);
    regex->code = compiled;
    /* Where memory cannot be made executable the interpreter does. */
    regex->quick = pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE) == 0;
    return regex;
}

void regex_free(struct regex *regex)
{
    if (!regex)
        return;
    pcre2_code_free(regex->code);
    free(regex);
}

struct regex_matcher *regex_matcher_new(void)
{
    struct regex_matcher *matcher = xcalloc(1, sizeof *matcher);
    matcher->match = pcre2_match_data_create(1, NULL);
    matcher->context = pcre2_match_context_create(NULL);
    if (!matcher->match || !matcher->context)
        abort();
    (void)pcre2_set_match_limit(matcher->context, REGEX_EFFORT);
    (void)pcre2_set_heap_limit(matcher->context, 4096); /* KiB */
    return matcher;
}

void regex_matcher_free(struct regex_matcher *matcher)
{
    if (!matcher)
        return;
    pcre2_match_data_free(matcher->match);
    pcre2_match_context_free(matcher->context);
    free(matcher);
}

enum regex_result regex_match(const struct regex *regex, struct regex_matcher *matcher,
                              struct slice text)
{
    PCRE2_SPTR subject = (PCRE2_SPTR)(text.ptr ? text.ptr : "");
    int code = regex->quick ? pcre2_jit_match(regex->code, subject, text.len, 0, 0, matcher->match,
                                              matcher->context)
                            : pcre2_match(regex->code, subject, text.len, 0, PCRE2_NO_UTF_CHECK,
                                          matcher->match, matcher->context);
    if (code >= 0)
        return REGEX_MATCH;
    return code == PCRE2_ERROR_NOMATCH ? REGEX_NO_MATCH : REGEX_GAVE_UP;
}
