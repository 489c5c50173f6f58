#include "fold/advice.h"

#include "config/yaml.h"
#include "fold/expr.h"

enum looks { LOOKS_FINE, LOOKS_UNBOUNDED, LOOKS_FREE_TEXT, LOOKS_PERSONAL };

static const char *const looks_text[] = {
    [LOOKS_UNBOUNDED] = "has no bound (an id, a time, a path): each value is a series of its own",
    [LOOKS_FREE_TEXT] = "looks like free text: each value is a series of its own, and it may name "
                        "people",
    [LOOKS_PERSONAL] = "looks personal: what is a label is kept and shown for years",
};

/* In any part of a field's name. */
static const char personal[] =
    " name names surname forename firstname lastname fullname nickname patronymic matronymic given "
    "family mail email phone telephone mobile address street postal zip birth birthday birthdate "
    "born gender sex nationality ssn passport iban salary user username author actor assignee "
    "owner person people customer contact login password passphrase secret credential ip mac "
    "latitude longitude ";
static const char free_text[] = " error reason message description text comment content note notes "
                                "body title details summary query prompt ";
/* In its last part. */
static const char unbounded[] = " id ids uuid guid cid hash digest token timestamp time date at "
                                "correlation causation sequence seq offset path url uri ";

static size_t count_same(const char *a, const char *b, size_t len)
{
    size_t at = 0;
    while (at < len && a[at] == b[at])
        at++;
    return at;
}

/* Also in the plural or with a number: emails, street1. */
static bool is_listed(const char *list, const char *word, size_t len)
{
    while (len > 1 && word[len - 1] >= '0' && word[len - 1] <= '9')
        len--;
    for (const char *at = list; (at = strchr(at, ' ')) && at[1]; at++) {
        size_t same = count_same(at + 1, word, len);
        bool all = same == len || (same == len - 1 && word[same] == 's');
        if (same && all && at[1 + same] == ' ')
            return true;
    }
    return false;
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

/* The next word of snake_case, kebab-case, dotted.paths and camelCase (IPAddress is two words), in
 * lower case. */
static size_t next_word(struct slice *rest, char out[static 32])
{
    size_t at = 0, len = 0;
    while (at < rest->len && strchr("_-.*# ", rest->ptr[at]))
        at++;
    for (size_t begin = at; at < rest->len && !strchr("_-.*# ", rest->ptr[at]); at++) {
        bool upper = is_upper(rest->ptr[at]),
             after_upper = at > begin && is_upper(rest->ptr[at - 1]);
        bool before_lower = at + 1 < rest->len && is_lower(rest->ptr[at + 1]);
        bool new_word = at > begin && upper && (!after_upper || before_lower);
        if (new_word)
            break;
        if (len < 31)
            out[len++] = is_upper(rest->ptr[at]) ? (char)(rest->ptr[at] + 32) : rest->ptr[at];
    }
    *rest = slice_from(*rest, at);
    return len;
}

static enum looks worse(enum looks a, enum looks b)
{
    return a > b ? a : b;
}

static enum looks name_looks(struct slice name)
{
    enum looks looks = LOOKS_FINE;
    struct slice rest = name;
    const char *dot = name.len ? memrchr(name.ptr, '.', name.len) : NULL;
    const char *last = dot ? dot + 1 : name.ptr;
    char word[32];
    bool first = true;
    for (size_t len = next_word(&rest, word); len; len = next_word(&rest, word)) {
        bool in_last = rest.ptr > last;
        bool says_who = in_last && !first && len == 2 && !memcmp(word, "by", 2); /* created_by */
        first = false;
        if (says_who || is_listed(personal, word, len))
            looks = LOOKS_PERSONAL;
        else if (in_last && is_listed(free_text, word, len))
            looks = worse(looks, LOOKS_FREE_TEXT);
        else if (in_last && is_listed(unbounded, word, len))
            looks = worse(looks, LOOKS_UNBOUNDED);
    }
    return looks;
}

static enum looks list_looks(const struct rules *rules, const struct expr_list *list);

static enum looks expr_looks(const struct rules *rules, const struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_CONSTANT: return LOOKS_FINE;
    case EXPR_FIELD: return expr->field < EVENT_CLASS_FIELDS ? LOOKS_FINE : LOOKS_UNBOUNDED;
    case EXPR_SUBJECT: return expr->to_end ? LOOKS_UNBOUNDED : LOOKS_FINE;
    case EXPR_HEADER: return name_looks(expr->text);
    case EXPR_PAYLOAD:
        return expr->text_only ? LOOKS_FREE_TEXT : name_looks(slice_of(rules->paths[expr->path]));
    case EXPR_STORED_AT:
    case EXPR_DELAY: return LOOKS_UNBOUNDED;
    case EXPR_REMEMBERED: break;
    }
    for (size_t i = 0; i < rules->remember_count; i++) {
        const struct remember_rule *rule = &rules->remembers[i];
        if (slice_eq(rule->name, expr->text) && !yaml_get(rule->node, "accept"))
            return list_looks(rules, &rule->value);
    }
    return LOOKS_FINE;
}

static enum looks list_looks(const struct rules *rules, const struct expr_list *list)
{
    enum looks looks = LOOKS_FINE;
    if (list->rewrite && rewrite_is_bounded(list->rewrite))
        return LOOKS_FINE;
    for (size_t i = 0; i < list->count; i++)
        looks = worse(looks, expr_looks(rules, &list->items[i]));
    return looks;
}

/* Where the label stands in the rule. */
static const struct yaml_node *label_node(const struct metric_rule *rule, const char *label)
{
    static const char *const sides[] = {"start", "after"};
    const struct yaml_node *found = yaml_get(yaml_get(rule->node, "labels"), label);
    for (size_t i = 0; i < ARRAY_LEN(sides) && !found; i++)
        found = yaml_get(yaml_get(yaml_get(rule->node, sides[i]), "labels"), label);
    return found ? found : rule->node;
}

size_t rules_advise(const struct rules *rules, void (*each)(void *context, const char *text),
                    void *context)
{
    size_t count = 0;
    for (size_t i = 0; i < rules->metric_count; i++) {
        const struct metric_rule *rule = &rules->metrics[i];
        bool other_half = rule->role == ROLE_OVERDUE || rule->role == ROLE_AMONG;
        for (size_t l = 0; l < rule->spec.label_count && !other_half; l++) {
            enum looks looks = list_looks(rules, &rule->labels[l]);
            struct error text = ERROR_NONE;
            if (!looks || yaml_get(yaml_get(rule->node, "accept"), rule->spec.labels[l]))
                continue;
            (void)yaml_error(label_node(rule, rule->spec.labels[l]), &text,
                             "warning: %s: label '%s' %s", rule->spec.name, rule->spec.labels[l],
                             looks_text[looks]);
            each(context, text.text);
            count++;
        }
    }
    return count;
}
