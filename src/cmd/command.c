#include "cmd/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/instant.h"
#include "base/memory.h"
#include "config/yaml.h"

static const char config_option[] = "config";

static bool parse_u64(struct slice text, uint64_t *ret)
{
    char *end = NULL;
    CLEANUP_FREE char *copy = xstrndup(text.ptr ? text.ptr : "", text.len);
    errno = 0;
    unsigned long long value = strtoull(copy, &end, 10);
    if (copy[0] < '0' || copy[0] > '9' || *end || errno)
        return false;
    *ret = value;
    return true;
}

static bool parse_size(struct slice text, uint64_t *ret)
{
    static const struct {
        struct slice suffix;
        uint64_t factor;
    } units[] = {{SLICE("KiB"), 1u << 10}, {SLICE("MiB"), 1u << 20}, {SLICE("GiB"), 1u << 30}};
    uint64_t factor = 1;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        struct slice suffix = units[i].suffix;
        if (text.len > suffix.len &&
            memcmp(text.ptr + text.len - suffix.len, suffix.ptr, suffix.len) == 0) {
            factor = units[i].factor;
            text.len -= suffix.len;
            break;
        }
    }
    return parse_u64(text, ret) && !__builtin_mul_overflow(*ret, factor, ret);
}

static bool parse_flag(struct slice text, bool *ret)
{
    *ret =
        slice_eq(text, SLICE("true")) || slice_eq(text, SLICE("yes")) || slice_eq(text, SLICE("1"));
    return *ret || slice_eq(text, SLICE("false")) || slice_eq(text, SLICE("no")) ||
           slice_eq(text, SLICE("0"));
}

static const char *expected(enum option_kind kind)
{
    switch (kind) {
    case OPTION_FLAG: return "true or false";
    case OPTION_STRING: return "text";
    case OPTION_U64: return "a whole number";
    case OPTION_PORT: return "a port, 0 to 65535";
    case OPTION_DURATION: return "a duration such as 10s, 250ms or 5m";
    case OPTION_SIZE: return "a size such as 65536, 64KiB or 8MiB";
    case OPTION_LIST: return "text, at most 64 times";
    case OPTION_TIME: return "a time such as 2026-07-11T12:00:00Z, or how long ago, such as 2h";
    }
    return "";
}

static bool add_to_list(struct option_list *list, const char *text)
{
    if (list->count == OPTION_LIST_MAX)
        return false;
    list->items[list->count++] = text;
    return true;
}

static bool parse_time(struct slice text, int64_t *ret)
{
    int64_t ago;
    if (instant_parse_rfc3339(text, ret))
        return true;
    if (!duration_parse(text, &ago))
        return false;
    *ret = instant_now_ns() - ago;
    return true;
}

/* `text` must outlive the values: a word of argv, of the environment or of the kept configuration.
 */
static int assign(const struct option_spec *spec, const char *text, void *values, const char *where,
                  struct error *err)
{
    void *field = (char *)values + spec->offset;
    struct slice value = slice_of(text);
    bool ok = true;
    switch (spec->kind) {
    case OPTION_FLAG: ok = parse_flag(value, field); break;
    case OPTION_STRING: *(const char **)field = text; break;
    case OPTION_U64:
        ok = parse_u64(value, field) && *(uint64_t *)field >= spec->min &&
             (!spec->max || *(uint64_t *)field <= spec->max);
        break;
    case OPTION_PORT: ok = parse_u64(value, field) && *(uint64_t *)field <= 65535; break;
    case OPTION_DURATION: ok = duration_parse(value, field); break;
    case OPTION_SIZE: ok = parse_size(value, field); break;
    case OPTION_LIST: ok = add_to_list(field, text); break;
    case OPTION_TIME: ok = parse_time(value, field); break;
    }
    if (ok)
        return 0;
    if (spec->kind == OPTION_U64 && (spec->max || spec->min)) {
        char bound[32] = "up";
        if (spec->max)
            (void)snprintf(bound, sizeof bound, "to %llu", (unsigned long long)spec->max);
        return error_set(err, EXIT_CODE_USAGE, "%s: '%s' is not a whole number from %llu %s", where,
                         text, (unsigned long long)spec->min, bound);
    }
    return error_set(err, EXIT_CODE_USAGE, "%s: '%s' is not %s", where, text, expected(spec->kind));
}

static const struct option_spec *find(const struct command *command, struct slice name)
{
    for (size_t i = 0; i < command->option_count; i++) {
        if (slice_eq(slice_of(command->options[i].name), name))
            return &command->options[i];
    }
    return NULL;
}

struct parsed {
    bool *given; /* one per option */
    const char *config_path;
    int operand_count;
    char **operands;
    bool help;
};

static int parse_words(const struct command *command, int argc, char **argv, void *values,
                       struct parsed *parsed, struct error *err)
{
    bool only_operands = false;
    for (int i = 0; i < argc; i++) {
        struct slice word = slice_of(argv[i]), name;
        if (only_operands || word.len < 2 || word.ptr[0] != '-') {
            parsed->operands[parsed->operand_count++] = argv[i];
            continue;
        }
        if (slice_eq(word, SLICE("--"))) {
            only_operands = true;
            continue;
        }
        if (slice_eq(word, SLICE("--help")) || slice_eq(word, SLICE("-h"))) {
            parsed->help = true;
            return 0;
        }
        struct slice rest = slice_from(word, 2);
        if (word.ptr[1] != '-' || !slice_cut(&rest, '=', &name))
            return error_set(err, EXIT_CODE_USAGE, "unknown option '%s'; see cim-ops %s --help",
                             argv[i], command->name);
        const struct option_spec *spec = find(command, name);
        bool is_config = slice_eq(name, SLICE("config"));
        if (!spec && !is_config)
            return error_set(err, EXIT_CODE_USAGE, "unknown option '%s'; see cim-ops %s --help",
                             argv[i], command->name);
        const char *value = slice_present(rest) ? rest.ptr : NULL;
        if (!value && spec && spec->kind == OPTION_FLAG)
            value = "true";
        if (!value && ++i >= argc)
            return error_set(err, EXIT_CODE_USAGE, "option '--%.*s' needs a value: %s",
                             SLICE_ARG(name), is_config ? "a file" : expected(spec->kind));
        if (!value)
            value = argv[i];
        if (is_config) {
            parsed->config_path = value;
            continue;
        }
        CLEANUP_FREE char *where = xasprintf("--%s", spec->name);
        if (assign(spec, value, values, where, err) < 0)
            return -1;
        parsed->given[spec - command->options] = true;
    }
    return 0;
}

/* The configuration is kept until the next command_run(): string values point into it. */
static int load_config(const char *path, struct yaml_document_tree **ret, struct error *err)
{
    static struct yaml_document_tree *kept;
    yaml_free(kept);
    kept = NULL;
    if (yaml_load_file(path, &kept, err) < 0)
        return -1;
    *ret = kept;
    return 0;
}

static const struct yaml_node *config_value(const struct yaml_node *root,
                                            const struct command *command, const char *name)
{
    const struct yaml_node *section = yaml_get(root, command->name);
    const struct yaml_node *node = section ? yaml_get(section, name) : NULL;
    return node ? node : yaml_get(root, name);
}

/* All verbs, so that a key of another verb is told from a mistake; none: the one that runs. */
static struct {
    const struct command *const *commands;
    size_t count;
} all_verbs;

void command_set_table(const struct command *const *commands, size_t count)
{
    all_verbs.commands = commands;
    all_verbs.count = count;
}

/* Is this the name of a verb (for a section), or of an option of any verb (for a value)? */
static bool is_known(const struct command *command, struct slice key, bool is_section)
{
    size_t count = all_verbs.count ? all_verbs.count : 1;
    for (size_t i = 0; i < count; i++) {
        const struct command *verb = all_verbs.count ? all_verbs.commands[i] : command;
        if (is_section ? slice_eq(slice_of(verb->name), key) : find(verb, key) != NULL)
            return true;
    }
    return false;
}

static int check_config_keys(const struct command *command, const struct yaml_node *root,
                             struct error *err)
{
    const struct yaml_node *section = yaml_get(root, command->name);
    if (!yaml_is_mapping(root))
        return yaml_error(root, err, "a mapping from options to values was expected");
    for (size_t i = 0; i < yaml_size(root); i++) {
        const struct yaml_node *key = yaml_key_at(root, i);
        bool is_section = yaml_is_mapping(yaml_value_at(root, i));
        if (!is_known(command, yaml_text(key), is_section))
            return yaml_error(key, err, "'%.*s' is no %s of cim-ops", SLICE_ARG(yaml_text(key)),
                              is_section ? "verb" : "option");
    }
    for (size_t i = 0; section && i < yaml_size(section); i++) {
        const struct yaml_node *key = yaml_key_at(section, i);
        if (!find(command, yaml_text(key)))
            return yaml_error(key, err, "'%.*s' is no option of cim-ops %s",
                              SLICE_ARG(yaml_text(key)), command->name);
    }
    return 0;
}

static int fill_rest(const struct command *command, const struct parsed *parsed, void *values,
                     struct error *err)
{
    struct yaml_document_tree *config = NULL;
    if (parsed->config_path && (load_config(parsed->config_path, &config, err) < 0 ||
                                check_config_keys(command, yaml_root(config), err) < 0))
        return -1;
    for (size_t i = 0; i < command->option_count; i++) {
        const struct option_spec *spec = &command->options[i];
        const struct yaml_node *node =
            config ? config_value(yaml_root(config), command, spec->name) : NULL;
        const char *env = spec->env ? getenv(spec->env) : NULL;
        if (parsed->given[i])
            continue;
        if (env && *env) {
            if (assign(spec, env, values, spec->env, err) < 0)
                return -1;
        } else if (node) {
            if (!yaml_is_scalar(node))
                return yaml_error(node, err, "'%s' wants %s", spec->name, expected(spec->kind));
            struct error cause = ERROR_NONE;
            if (assign(spec, yaml_text(node).ptr, values, spec->name, &cause) < 0)
                return yaml_error(node, err, "%s", cause.text);
        } else if (spec->fallback && assign(spec, spec->fallback, values, spec->name, err) < 0) {
            return -1;
        }
    }
    return 0;
}

int command_run(const struct command *command, int argc, char **argv, struct error *err)
{
    CLEANUP_FREE void *values = xcalloc(1, command->values_size ? command->values_size : 1);
    CLEANUP_FREE bool *given = xcalloc(command->option_count + 1, sizeof *given);
    CLEANUP_FREE char **operands = xcalloc((size_t)argc + 1, sizeof *operands);
    struct parsed parsed = {.given = given, .operands = operands};

    if (parse_words(command, argc, argv, values, &parsed, err) < 0)
        return (int)err->code;
    if (parsed.help) {
        command_print_help(command);
        return EXIT_CODE_DONE;
    }
    if (fill_rest(command, &parsed, values, err) < 0)
        return (int)err->code;
    if (parsed.operand_count < command->operands_min ||
        parsed.operand_count > command->operands_max) {
        error_set(err, EXIT_CODE_USAGE, "%s; usage: cim-ops %s [options] %s",
                  parsed.operand_count < command->operands_min ? "an operand is missing"
                                                               : "too many operands",
                  command->name, command->operands);
        return EXIT_CODE_USAGE;
    }
    return command->run(values, parsed.operand_count, operands, err);
}

static void print_option(const char *name, const char *arg, const char *help)
{
    char left[64];
    (void)snprintf(left, sizeof left, "--%s%s%s", name, arg ? " " : "", arg ? arg : "");
    (void)printf("  %-26s %s", left, help);
}

void command_print_help(const struct command *command)
{
    (void)printf("cim-ops %s: %s\n\nUsage: cim-ops %s [options] %s\n", command->name,
                 command->summary, command->name, command->operands);
    if (command->details)
        (void)printf("\n%s\n", command->details);
    (void)printf("\nOptions:\n");
    for (size_t i = 0; i < command->option_count; i++) {
        const struct option_spec *spec = &command->options[i];
        print_option(spec->name, spec->arg, spec->help);
        if (spec->fallback && spec->kind != OPTION_FLAG)
            (void)printf(" (default %s)", spec->fallback);
        if (spec->env)
            (void)printf(" [$%s]", spec->env);
        (void)printf("\n");
    }
    print_option(config_option, "FILE", "YAML file with any of these options as keys\n");
    print_option("help", NULL, "this text\n");
    (void)printf("\nExample:\n  %s\n", command->example);
}

/* [nats://|tls://][user:password@]host[:port]; the complaint shows nothing of the user's part. */
static int check_url(struct slice url, struct error *err)
{
    struct slice rest = slice_trim(url), scheme = SLICE("nats");
    const char *behind = memmem(rest.ptr, rest.len, "://", 3);
    if (behind) {
        scheme = (struct slice){rest.ptr, (size_t)(behind - rest.ptr)};
        rest = slice_from(rest, scheme.len + 3);
    }
    const char *at = rest.len ? memrchr(rest.ptr, '@', rest.len) : NULL;
    if (at)
        rest = slice_from(rest, (size_t)(at - rest.ptr) + 1);
    if (!slice_eq(scheme, SLICE("nats")) && !slice_eq(scheme, SLICE("tls")))
        return error_set(err, EXIT_CODE_USAGE,
                         "--nats: '%.*s://' is no scheme for NATS; nats:// or tls:// was expected",
                         SLICE_ARG(scheme));
    const char *colon = rest.len ? memrchr(rest.ptr, ':', rest.len) : NULL;
    bool bracket = rest.len && rest.ptr[rest.len - 1] == ']'; /* an IPv6 address without a port */
    struct slice host = rest, port = SLICE("4222");
    if (colon && !bracket) {
        host.len = (size_t)(colon - rest.ptr);
        port = slice_from(rest, host.len + 1);
        if (port.len && port.ptr[port.len - 1] == '/')
            port.len--;
    }
    uint64_t number = 0;
    if (!host.len || !parse_u64(port, &number) || !number || number > 65535)
        return error_set(err, EXIT_CODE_USAGE,
                         "--nats: '%.*s': a host and a port from 1 to 65535 were expected, such as "
                         "nats://127.0.0.1:4222",
                         SLICE_ARG(rest));
    return 0;
}

int nats_values_check(const struct nats_values *values, struct error *err)
{
    const struct {
        const char *option, *path;
    } files[] = {{"--creds", values->creds},
                 {"--tls-ca", values->tls_ca},
                 {"--tls-cert", values->tls_cert},
                 {"--tls-key", values->tls_key}};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (files[i].path && access(files[i].path, R_OK) < 0)
            return error_set(err, EXIT_CODE_USAGE, "%s: %s: %s", files[i].option, files[i].path,
                             strerror(errno));
    }
    if (!values->tls_cert != !values->tls_key)
        return error_set(err, EXIT_CODE_USAGE,
                         "--tls-cert and --tls-key go together; %s is missing",
                         values->tls_cert ? "--tls-key" : "--tls-cert");
    if (values->url && !*values->url)
        return error_set(err, EXIT_CODE_USAGE,
                         "--nats: a URL was expected, such as nats://127.0.0.1:4222");
    struct slice rest = slice_of(values->url), url;
    while (slice_cut(&rest, ',', &url)) {
        if (check_url(url, err) < 0)
            return -1;
    }
    return 0;
}

struct bus_options nats_bus_options(const struct nats_values *values, const char *name)
{
    return (struct bus_options){.url = values->url,
                                .creds = values->creds,
                                .tls_ca = values->tls_ca,
                                .tls_cert = values->tls_cert,
                                .tls_key = values->tls_key,
                                .name = name};
}
