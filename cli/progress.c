/*
 * What a run tells while it goes on, on standard error: on a terminal one line that is redrawn,
 * otherwise a line every logging_steps steps.
 *
 * Path: mts_train -> on_event -> here; the answer false stops the run at the next step.
 */
#include "progress.h"

#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "escape.h"
#include "interrupt.h"
#include "metrics_table.h"

enum { LINE_BYTES = 320, BAR_CELLS = 20 };
#define REDRAW_SECONDS 0.1
#define LONG_SECONDS 3.0 /* of a step, from which on its layers are shown */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
        return size.ws_col;
    return 80;
}

/* "1:02:03" or "2:03". */
static void format_seconds(char *text, size_t bytes, double seconds)
{
    const long long s = seconds > 0 && seconds < 1e9 ? llround(seconds) : 0;
    if (s >= 3600)
        snprintf(text, bytes, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, bytes, "%lld:%02lld", s / 60, s % 60);
}

static void format_bar(char text[BAR_CELLS + 3], int64_t done, int64_t total)
{
    const int64_t full = total > 0 ? BAR_CELLS * done / total : 0;
    text[0] = '[';
    for (int i = 0; i < BAR_CELLS; i++)
        text[1 + i] = i < full ? '#' : '.';
    text[BAR_CELLS + 1] = ']';
    text[BAR_CELLS + 2] = '\0';
}

/* For a log: everything. */
static void format_step(char *text, const mts_event *e, double loss)
{
    char left[32];
    format_seconds(left, sizeof left, e->seconds_left);
    snprintf(text, LINE_BYTES,
             "step %lld/%lld  epoch %.2f  loss %.4f  lr %.3g  grad norm %.3g  %.0f tokens/s  "
             "%s left",
             (long long)e->done, (long long)e->total, e->epoch, loss, e->learning_rate,
             e->grad_norm, e->tokens_per_second, left);
}

/* For a terminal: what fits in 80 columns. */
static void format_step_bar(char *text, const mts_event *e, double loss)
{
    char left[32], bar[BAR_CELLS + 3];
    format_seconds(left, sizeof left, e->seconds_left);
    format_bar(bar, e->done, e->total);
    snprintf(text, LINE_BYTES, "%s step %lld/%lld  loss %.4f  %.0f tokens/s  %s left", bar,
             (long long)e->done, (long long)e->total, loss, e->tokens_per_second, left);
}

/* Draw text over the present line, cut to the terminal's width. */
static void draw(progress *p, const char *text)
{
    fprintf(stderr, "\r%.*s\x1b[K", terminal_width() - 1, text);
    fflush(stderr);
    p->open = true;
    p->drawn_at = now();
}

void progress_end(progress *p)
{
    if (p->open)
        fputs("\r\x1b[K", stderr);
    fflush(stderr);
    p->open = false;
}

static void print_line(progress *p, const char *text)
{
    progress_end(p);
    escape_text(stderr, text); /* names in files of others may be part of it */
    fputc('\n', stderr);
}

static void on_step(progress *p, const mts_event *e)
{
    char text[LINE_BYTES];
    const bool last = e->done == e->total;
    const double part = p->logging_steps < 1 ? (double)e->total : 1.0;
    const int64_t every = (int64_t)ceil(part * p->logging_steps);
    p->loss_sum += e->loss;
    p->loss_count++;
    const double loss = p->loss_sum / (double)p->loss_count;
    if (e->done % every == 0 || last) {
        if (!p->terminal || last) {
            format_step(text, e, loss);
            print_line(p, text);
        }
        p->loss_sum = 0;
        p->loss_count = 0;
    }
    if (p->terminal && !last && now() - p->drawn_at >= REDRAW_SECONDS) {
        format_step_bar(text, e, loss);
        draw(p, text);
    }
}

void progress_rows(progress *p, const char *phase, int64_t done, int64_t total)
{
    char text[LINE_BYTES], bar[BAR_CELLS + 3];
    if (!p->terminal || now() - p->drawn_at < REDRAW_SECONDS)
        return;
    format_bar(bar, done, total);
    if (total >= 0)
        snprintf(text, sizeof text, "%s %s %lld/%lld", phase, bar, (long long)done,
                 (long long)total);
    else
        snprintf(text, sizeof text, "%s: %lld", phase, (long long)done);
    draw(p, text);
}

static void on_phase(progress *p, const mts_event *e)
{
    char text[LINE_BYTES];
    if (e->done == e->total) {
        snprintf(text, sizeof text, "%s: %lld", e->text, (long long)e->total);
        print_line(p, text);
    } else {
        progress_rows(p, e->text, e->done, e->total);
    }
}

/* "step 13/100, batch 1 of 4, backward, layer 5 of 12, 1:02 left" */
static void describe_place(char *text, size_t bytes, const mts_event *e)
{
    char batch[64] = "", layer[64] = "", left[32];
    if (e->batches > 1)
        snprintf(batch, sizeof batch, ", batch %lld of %lld", (long long)e->batch,
                 (long long)e->batches);
    if (e->layer > 0)
        snprintf(layer, sizeof layer, ", layer %lld of %lld", (long long)e->layer,
                 (long long)e->layers);
    format_seconds(left, sizeof left, e->seconds_left);
    snprintf(text, bytes, "step %lld/%lld%s, %s%s, %s left", (long long)e->step,
             (long long)e->steps, batch, e->text, layer, left);
}

static void on_within_step(progress *p, const mts_event *e)
{
    char text[LINE_BYTES + 64], bar[BAR_CELLS + 3];
    const double time = now();
    if (e->done == 0)
        p->step_at = time;
    describe_place(p->status, sizeof p->status, e);
    if (!p->terminal || time - p->step_at < LONG_SECONDS || time - p->drawn_at < REDRAW_SECONDS)
        return;
    format_bar(bar, e->done, e->total);
    snprintf(text, sizeof text, "%s %s", bar, p->status);
    draw(p, text);
}

/* What the run is at, when it is not within a step. */
static void note_status(progress *p, const mts_event *e)
{
    if (e->kind == MTS_EVENT_STEP)
        snprintf(p->status, sizeof p->status, "step %lld/%lld is done", (long long)e->done,
                 (long long)e->total);
    else if (e->kind == MTS_EVENT_PROGRESS && e->total >= 0)
        snprintf(p->status, sizeof p->status, "%s, %lld of %lld", e->text, (long long)e->done,
                 (long long)e->total);
    else if (e->kind == MTS_EVENT_PROGRESS)
        snprintf(p->status, sizeof p->status, "%s, %lld", e->text, (long long)e->done);
}

/* SIGUSR1 asks for it. */
static void print_status(progress *p)
{
    char text[LINE_BYTES];
    snprintf(text, sizeof text, "status: %s", p->status[0] == '\0' ? "preparing" : p->status);
    print_line(p, text);
}

static bool on_event(void *user, const mts_event *e)
{
    progress *p = user;
    char text[LINE_BYTES * 4], metrics[LINE_BYTES * 3];
    switch (e->kind) {
    case MTS_EVENT_NOTE:
        snprintf(text, sizeof text, "note: %s", e->text);
        print_line(p, text);
        break;
    case MTS_EVENT_PROGRESS:
        on_phase(p, e);
        break;
    case MTS_EVENT_STEP:
        on_step(p, e);
        break;
    case MTS_EVENT_METRICS:
        metrics_format_line(e->text, metrics, sizeof metrics);
        snprintf(text, sizeof text, "evaluation: %s", metrics);
        print_line(p, text);
        break;
    case MTS_EVENT_TEXT: /* not of a run */
        break;
    case MTS_EVENT_CHECKPOINT:
        snprintf(text, sizeof text, "checkpoint: %s", e->text);
        print_line(p, text);
        break;
    case MTS_EVENT_WITHIN_STEP:
        on_within_step(p, e);
        break;
    }
    note_status(p, e);
    if (interrupt_takes_status())
        print_status(p);
    return !interrupt_asked();
}

mts_callbacks progress_begin(progress *p, double logging_steps)
{
    *p = (progress){.terminal = isatty(STDERR_FILENO) == 1, .logging_steps = logging_steps};
    return (mts_callbacks){.on_event = on_event, .user = p};
}
