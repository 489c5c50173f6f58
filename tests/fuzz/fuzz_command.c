/* Command lines: parsed or refused with exit code 2 and a text. Input: words, one a line. */
#include <stdlib.h>

#include "base/memory.h"
#include "cmd/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct values {
    bool flag;
    const char *text;
    uint64_t number, port, size;
    int64_t wait_ns;
};

#define FIELD(name) offsetof(struct values, name)

static const struct option_spec options[] = {
    {.name = "flag", .help = "x", .kind = OPTION_FLAG, .offset = FIELD(flag)},
    {.name = "text", .arg = "X", .help = "x", .kind = OPTION_STRING, .offset = FIELD(text)},
    {.name = "number",
     .arg = "X",
     .help = "x",
     .kind = OPTION_U64,
     .offset = FIELD(number),
     .fallback = "5",
     .min = 2,
     .max = 99},
    {.name = "port", .arg = "X", .help = "x", .kind = OPTION_PORT, .offset = FIELD(port)},
    {.name = "size", .arg = "X", .help = "x", .kind = OPTION_SIZE, .offset = FIELD(size)},
    {.name = "wait", .arg = "X", .help = "x", .kind = OPTION_DURATION, .offset = FIELD(wait_ns)},
};

static int run(const void *opaque, int count, char **operands, struct error *err)
{
    const struct values *values = opaque;
    (void)operands, (void)err;
    if (values->number < 2 || values->number > 99 || values->port > 65535 || values->wait_ns < 0 ||
        count > 3)
        abort();
    return EXIT_CODE_DONE;
}

static const struct command verb = {.name = "verb",
                                    .summary = "x",
                                    .operands = "X",
                                    .example = "x",
                                    .options = options,
                                    .option_count = ARRAY_LEN(options),
                                    .values_size = sizeof(struct values),
                                    .operands_max = 3,
                                    .run = run};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *words[17], *text = xstrndup((const char *)data, size);
    struct error err = ERROR_NONE;
    struct slice rest = {text, size}, word;
    int count = 0;
    while (count < 16 && slice_cut(&rest, '\n', &word)) {
        /* Neither files of the machine nor pages of help. */
        if (slice_starts(word, SLICE("--config")) || slice_starts(word, SLICE("--help")) ||
            slice_starts(word, SLICE("-h")))
            continue;
        text[word.ptr + word.len - text] = 0;
        words[count++] = text + (word.ptr - text);
    }
    words[count] = NULL;
    int code = command_run(&verb, count, words, &err);
    if (code != EXIT_CODE_DONE && (code != EXIT_CODE_USAGE || !err.text[0]))
        abort();
    free(text);
    return 0;
}
