/* systemd's failed units, as systemctl lists them. */
#include <stdio.h>
#include <unistd.h>

#include "source/command.h"
#include "source/host/host.h"

#define SHOWN_MAX 32

static void unit_recovered(struct host *host, const struct host_thing *thing)
{
    host_tell(host, "unit", thing->key, "UnitRecovered", json_pack("{s:s}", "unit", thing->key));
}

void host_look_units(struct host *host, json_t *data)
{
    static const char *const words[] = {"systemctl",   "list-units", "--failed", "--plain",
                                        "--no-legend", "--no-pager", NULL};
    CLEANUP_BUF struct buf text = {0};
    struct slice rest, line, word;
    uint64_t count = 0;
    if (host->options->root[0] || access("/run/systemd/system", F_OK) != 0) {
        host_absent(host, "units_failed", "systemd does not run here");
        return;
    }
    if (!source_command(words, &text)) {
        host_absent(host, "units_failed", "systemctl did not list them");
        return;
    }
    json_t *shown = json_array();
    rest = buf_slice(&text);
    while (slice_cut(&rest, '\n', &line)) {
        char name[HOST_TEXT_MAX];
        bool is_new;
        if (!host_word(&line, &word))
            continue;
        (void)snprintf(name, sizeof name, "%.*s", SLICE_ARG(word));
        if (count++ < SHOWN_MAX)
            (void)json_array_append_new(shown, json_string(name));
        if (host_thing(host, &host->units, name, &is_new) && is_new)
            host_tell(host, "unit", name, "UnitFailed", json_pack("{s:s}", "unit", name));
    }
    host_set(data, "units_failed", count);
    (void)json_object_set_new(data, "failed_units", shown);
    host_things_gone(host, &host->units, unit_recovered);
}
