/* What schemas are called: resources, anchors, references. */
#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"
#include "schema/schema_internal.h"
#include "schema/uri.h"

int schema_error(const struct schema_file *file, uint32_t place, struct error *err,
                 const char *format, ...)
{
    char text[512];
    CLEANUP_BUF struct buf pointer = {0};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    document_pointer(&file->document, place, &pointer);
    size_t line = 1, column = 1, at = file->document.values[place].at;
    for (size_t i = 0; i < at && i < file->text.len; i++) {
        column = file->text.ptr[i] == '\n' ? 1 : column + 1;
        line += file->text.ptr[i] == '\n';
    }
    return error_set(err, EXIT_CODE_USAGE, "%s:%zu:%zu: %s%s%s", file->path, line, column,
                     buf_cstr(&pointer), pointer.len ? ": " : "", text);
}

/* --- finding schemas in a file ---------------------------------------------------------------- */

static struct resource *add_resource(struct schema_set *set, struct schema_file *file,
                                     uint32_t place, struct slice uri)
{
    struct resource *resource = xcalloc(1, sizeof *resource);
    *resource = (struct resource){.file = file, .place = place, .uri = xstrndup(uri.ptr, uri.len)};
    GROW(set->resources, set->resource_count, set->resource_room);
    return set->resources[set->resource_count++] = resource;
}

/* A schema with $id is a resource of its own. NULL: the id is wrong. */
static struct resource *begin_resource(struct schema_set *set, struct schema_file *file,
                                       uint32_t place, struct resource *around, struct error *err)
{
    const struct document *document = &file->document;
    uint32_t id = document_member(document, place, SLICE("$id"));
    struct slice base = around ? slice_of(around->uri) : slice_of(file->uri);
    CLEANUP_BUF struct buf uri = {0};
    struct slice fragment;
    if (!id)
        return around ? around : add_resource(set, file, place, base);
    if (document->values[id].type != JSON_TYPE_STRING) {
        (void)schema_error(file, id, err, "$id is a URI, in quotes");
        return NULL;
    }
    uri_resolve(base, document->values[id].text, &uri);
    struct slice name = uri_without_fragment(buf_slice(&uri), &fragment);
    if (fragment.len) {
        (void)schema_error(file, id, err, "$id has no fragment; use $anchor");
        return NULL;
    }
    for (size_t i = 0; i < set->resource_count; i++) {
        if (!slice_eq(slice_of(set->resources[i]->uri), name))
            continue;
        (void)schema_error(file, id, err, "%.*s is the $id of another schema in %s",
                           SLICE_ARG(name), set->resources[i]->file->path);
        return NULL;
    }
    return add_resource(set, file, place, name);
}

static bool anchor_is_valid(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i], low = (char)(c | 0x20);
        bool first = (low >= 'a' && low <= 'z') || c == '_';
        if (!first && (!i || !((c >= '0' && c <= '9') || c == '-' || c == '.')))
            return false;
    }
    return name.len > 0;
}

static struct anchor *find_anchor(const struct resource *resource, struct slice name)
{
    for (size_t i = 0; i < resource->anchor_count; i++) {
        if (slice_eq(resource->anchors[i].name, name))
            return &resource->anchors[i];
    }
    return NULL;
}

static int add_anchor(struct schema_file *file, struct resource *resource, uint32_t place,
                      struct slice keyword, struct error *err)
{
    const struct document *document = &file->document;
    uint32_t value = document_member(document, place, keyword);
    if (!value)
        return 0;
    struct slice name = document->values[value].text;
    if (document->values[value].type != JSON_TYPE_STRING || !anchor_is_valid(name))
        return schema_error(file, value, err, "an anchor is a name of letters, digits, - _ .");
    struct anchor *known = find_anchor(resource, name);
    bool dynamic = keyword.len > SLICE("$anchor").len;
    if (known && known->place != place)
        return schema_error(file, value, err, "'%.*s' names another place in this schema already",
                            SLICE_ARG(name));
    if (known) {
        known->dynamic = known->dynamic || dynamic;
        return 0;
    }
    GROW(resource->anchors, resource->anchor_count, resource->anchor_room);
    resource->anchors[resource->anchor_count++] =
        (struct anchor){.name = name, .place = place, .dynamic = dynamic};
    return 0;
}

static int index_schema(struct schema_set *set, struct schema_file *file, uint32_t place,
                        struct resource *around, struct error *err);

static int index_keyword(struct schema_set *set, struct schema_file *file, uint32_t value,
                         enum keyword_shape shape, struct resource *resource, struct error *err)
{
    const struct document *document = &file->document;
    bool list = shape == SHAPE_SCHEMA_LIST,
         is_list = document->values[value].type == JSON_TYPE_ARRAY;
    bool is_map = document->values[value].type == JSON_TYPE_OBJECT;
    if (shape == SHAPE_SCHEMA)
        return index_schema(set, file, value, resource, err);
    if (shape == SHAPE_VALUE || (list ? !is_list : !is_map))
        return 0; /* what is of the wrong type is refused when it is compiled */
    DOCUMENT_EACH(document, value, at)
    {
        if (index_schema(set, file, at, resource, err) < 0)
            return -1;
    }
    return 0;
}

/* Recursion is bounded by JSON_DEPTH_MAX. */
static int index_schema(struct schema_set *set, struct schema_file *file, uint32_t place,
                        struct resource *around, struct error *err)
{
    const struct document *document = &file->document;
    struct resource *resource = begin_resource(set, file, place, around, err);
    if (!resource)
        return -1;
    file->resource_of[place] = resource;
    if (add_anchor(file, resource, place, SLICE("$anchor"), err) < 0 ||
        add_anchor(file, resource, place, SLICE("$dynamicAnchor"), err) < 0)
        return -1;
    if (document->values[place].type != JSON_TYPE_OBJECT)
        return 0;
    DOCUMENT_EACH(document, place, at)
    {
        const struct keyword *keyword = keyword_find(document->values[at].name);
        if (keyword && index_keyword(set, file, at, keyword->shape, resource, err) < 0)
            return -1;
    }
    return 0;
}

int schema_index(struct schema_set *set, struct schema_file *file, struct error *err)
{
    return index_schema(set, file, 0, NULL, err);
}

/* --- references ------------------------------------------------------------------------------- */

struct resource *schema_resource_find(const struct schema_set *set, struct slice uri)
{
    for (size_t i = 0; i < set->resource_count; i++) {
        if (slice_eq(slice_of(set->resources[i]->uri), uri))
            return set->resources[i];
    }
    for (size_t i = 0; i < set->file_count; i++) {
        if (slice_eq(slice_of(set->files[i]->uri), uri))
            return set->files[i]->resource_of[0];
    }
    return NULL;
}

/* RFC 6901, from `place` on; `pointer` begins with /. False: nothing is there. */
static bool follow_pointer(const struct document *document, struct slice pointer, uint32_t *place)
{
    struct slice rest = slice_from(pointer, 1), token;
    CLEANUP_BUF struct buf name = {0};
    while (slice_cut(&rest, '/', &token)) {
        uint64_t index = 0;
        uint32_t found = 0;
        buf_reset(&name);
        for (size_t i = 0; i < token.len; i++) {
            bool escape = token.ptr[i] == '~' && i + 1 < token.len;
            buf_add_char(&name, escape ? (token.ptr[++i] == '1' ? '/' : '~') : token.ptr[i]);
        }
        if (document->values[*place].type == JSON_TYPE_ARRAY) {
            uint64_t wanted;
            bool number = token.len && token.len < 10 && decimal_to_u64(token, &wanted);
            for (size_t i = 0; number && i < token.len; i++)
                number = token.ptr[i] >= '0' && token.ptr[i] <= '9';
            DOCUMENT_EACH(document, *place, at)
            {
                if (number && index++ == wanted)
                    found = at;
            }
        } else {
            found = document_member(document, *place, buf_slice(&name));
        }
        if (!found)
            return false;
        *place = found;
    }
    return true;
}

int schema_resolve(struct schema_set *set, const struct schema *from, uint32_t place,
                   struct schema_file **ret_file, uint32_t *ret_place, struct anchor **ret_anchor,
                   struct error *err)
{
    CLEANUP_BUF struct buf uri = {0}, fragment = {0};
    struct slice raw_fragment, reference = from->file->document.values[place].text;
    uri_resolve(slice_of(from->resource->uri), reference, &uri);
    struct slice name = uri_without_fragment(buf_slice(&uri), &raw_fragment);
    struct resource *resource = schema_resource_find(set, name);
    *ret_anchor = NULL;
    if (!resource)
        return schema_error(from->file, place, err,
                            "there is no schema %.*s among the files; nothing is fetched, so add "
                            "one with this $id",
                            SLICE_ARG(name));
    uri_decode(raw_fragment, &fragment);
    struct slice part = buf_slice(&fragment);
    *ret_file = resource->file;
    *ret_place = resource->place;
    if (part.len && part.ptr[0] == '/') {
        if (!follow_pointer(&resource->file->document, part, ret_place))
            return schema_error(from->file, place, err, "%s holds nothing at %.*s",
                                resource->file->path, SLICE_ARG(part));
    } else if (part.len) {
        *ret_anchor = find_anchor(resource, part);
        if (!*ret_anchor)
            return schema_error(from->file, place, err, "%s has no anchor '%.*s'", resource->uri,
                                SLICE_ARG(part));
        *ret_place = (*ret_anchor)->place;
    }
    if (!resource->file->resource_of[*ret_place])
        return schema_error(from->file, place, err, "what stands at %.*s of %s is no schema",
                            SLICE_ARG(part), resource->file->path);
    return 0;
}

/* --- vocabularies ----------------------------------------------------------------------------- */

static const struct slice draft = SLICE("https://json-schema.org/draft/2020-12/schema");

static unsigned vocabulary_of(struct slice uri)
{
    static const struct slice prefix = SLICE("https://json-schema.org/draft/2020-12/vocab/");
    static const struct {
        struct slice name;
        unsigned bits;
    } known[] = {
        {SLICE("core"), VOCABULARY_CORE},
        {SLICE("applicator"), VOCABULARY_APPLICATOR},
        {SLICE("unevaluated"), VOCABULARY_UNEVALUATED},
        {SLICE("validation"), VOCABULARY_VALIDATION},
        {SLICE("meta-data"), VOCABULARY_ANNOTATION},
        {SLICE("format-annotation"), VOCABULARY_ANNOTATION},
        {SLICE("content"), VOCABULARY_ANNOTATION},
    };
    for (size_t i = 0; slice_starts(uri, prefix) && i < ARRAY_LEN(known); i++) {
        if (slice_eq(known[i].name, slice_from(uri, prefix.len)))
            return known[i].bits;
    }
    return 0;
}

static int read_vocabularies(const struct schema_file *meta, uint32_t list, unsigned *ret,
                             struct error *err)
{
    *ret = VOCABULARY_CORE | VOCABULARY_ANNOTATION;
    if (!document_is_container(&meta->document.values[list]))
        return schema_error(meta, list, err, "$vocabulary is an object");
    DOCUMENT_EACH(&meta->document, list, at)
    {
        const struct document_value *value = &meta->document.values[at];
        unsigned bits = vocabulary_of(value->name);
        if (!bits && value->type == JSON_TYPE_TRUE)
            return schema_error(meta, at, err, "the vocabulary %.*s is not supported",
                                SLICE_ARG(value->name));
        *ret |= bits;
    }
    return 0;
}

int schema_vocabularies(struct schema_set *set, struct resource *resource, struct error *err)
{
    const struct schema_file *file = resource->file;
    if (resource->vocabularies_known)
        return 0;
    resource->vocabularies_known = true;
    resource->vocabularies = VOCABULARY_ALL;
    uint32_t place = document_member(&file->document, resource->place, SLICE("$schema"));
    if (!place)
        place = document_member(&file->document, 0, SLICE("$schema"));
    if (!place)
        return 0;
    struct slice fragment, name = file->document.values[place].text;
    if (file->document.values[place].type != JSON_TYPE_STRING)
        return schema_error(file, place, err, "$schema is a URI, in quotes");
    name = uri_without_fragment(name, &fragment);
    if (slice_eq(name, draft))
        return 0;
    const struct resource *meta = schema_resource_find(set, name);
    if (!meta)
        return schema_error(file, place, err, "$schema %.*s is not known; %.*s was expected",
                            SLICE_ARG(name), SLICE_ARG(draft));
    uint32_t list = document_member(&meta->file->document, meta->place, SLICE("$vocabulary"));
    return list ? read_vocabularies(meta->file, list, &resource->vocabularies, err) : 0;
}
