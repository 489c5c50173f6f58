#include "base/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/instant.h"

enum { BAR_WIDTH = 24 };
static const int64_t interval_ns = 100 * NS_PER_MS;

const char *number_text(uint64_t value, char out[static NUMBER_TEXT_MAX])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value), used = 0;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = 0;
    return out;
}

void progress_begin(struct progress *progress, const char *what)
{
    *progress = (struct progress){.what = what,
                                  .begun_ns = instant_monotonic_ns(),
                                  .on_terminal = isatty(STDERR_FILENO) == 1};
}

static void show_bar(double share)
{
    char bar[BAR_WIDTH + 1];
    int filled = (int)(share * BAR_WIDTH);
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)filled);
    bar[BAR_WIDTH] = 0;
    (void)fprintf(stderr, "%s ", bar);
}

void progress_show(struct progress *progress, uint64_t done, uint64_t total)
{
    if (!progress->on_terminal)
        return;
    int64_t now = instant_monotonic_ns();
    if (now - progress->shown_ns < interval_ns)
        return;
    char number[NUMBER_TEXT_MAX], rate[NUMBER_TEXT_MAX];
    double seconds = (double)(now - progress->begun_ns + 1) / 1e9;
    progress->shown_ns = now;
    progress->shown = true;
    double share = total && done < total ? (double)done / (double)total : 1.0;
    (void)fputs("\r\033[K", stderr);
    if (total)
        show_bar(share);
    (void)fprintf(stderr, "%s %s, %s/s", number_text(done, number), progress->what,
                  number_text((uint64_t)((double)done / seconds), rate));
    if (total && done)
        (void)fprintf(stderr, ", %.0f %%, %.0f s left", share * 100, seconds / share * (1 - share));
    (void)fflush(stderr);
}

void progress_clear(struct progress *progress)
{
    if (progress->shown)
        (void)fputs("\r\033[K", stderr);
    progress->shown = false;
}
