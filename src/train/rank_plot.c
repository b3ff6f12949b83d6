/* The loss by rank as SVG.  See rank_plot.h.  Ranks stand at their logarithms. */
#include "train/rank_plot.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/compiler.h"
#include "base/file.h"
#include "base/memory.h"

enum { WIDTH = 640, HEIGHT = 400, LEFT = 80, RIGHT = 20, TOP = 30, BOTTOM = 50 };
enum { MARKS = 4, LABEL_PIXELS = 28, LINE_BYTES = 512 };

typedef struct plot {
    const json_t *rows;
    file_writer *file;
    double first, last; /* log2 of the ranks at the ends */
    double low, high;   /* losses */
} plot;

static double rank_at(const plot *p, size_t i)
{
    return (double)json_integer_value(json_object_get(json_array_get(p->rows, i), "rank"));
}

/* Not finite: there is no such point. */
static double loss_at(const plot *p, size_t i)
{
    const json_t *loss = json_object_get(json_array_get(p->rows, i), "eval_loss");
    return json_is_number(loss) ? json_number_value(loss) : NAN;
}

static double x_of(const plot *p, double rank)
{
    const double span = p->last > p->first ? p->last - p->first : 1.0;
    return LEFT + (log2(rank) - p->first) / span * (WIDTH - LEFT - RIGHT);
}

static double y_of(const plot *p, double loss)
{
    return TOP + (p->high - loss) / (p->high - p->low) * (HEIGHT - TOP - BOTTOM);
}

static void measure(plot *p)
{
    const size_t n = json_array_size(p->rows);
    p->low = INFINITY;
    p->high = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        p->low = fmin(p->low, loss_at(p, i)); /* passes over NaN */
        p->high = fmax(p->high, loss_at(p, i));
    }
    if (!(p->low <= p->high)) /* there is none */
        p->low = p->high = 0.0;
    if (p->high - p->low < 1e-9) {
        p->low -= 0.5;
        p->high += 0.5;
    }
    p->first = log2(rank_at(p, 0));
    p->last = log2(rank_at(p, n - 1));
}

MTS_PRINTF(2, 3) static mts_status put(plot *p, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (char *at = line; *at != '\0'; at++)
        *at = *at == ',' ? '.' : *at; /* of a locale: no line here has commas of its own */
    return file_writer_write(p->file, line, n < LINE_BYTES ? (size_t)n : LINE_BYTES - 1);
}

static mts_status put_frame(plot *p)
{
    mts_status st = MTS_OK;
    MTS_TRY(put(p,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                "font-family=\"sans-serif\" font-size=\"12\">\n",
                WIDTH, HEIGHT));
    MTS_TRY(put(p, "<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n", WIDTH, HEIGHT));
    for (int i = 0; i <= MARKS; i++) {
        const double loss = p->low + (p->high - p->low) * i / MARKS, y = y_of(p, loss);
        MTS_TRY(put(p,
                    "<path d=\"M%d %.1fH%d\" stroke=\"#ddd\"/>"
                    "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>\n",
                    LEFT, y, WIDTH - RIGHT, LEFT - 8, y + 4, loss));
    }
    MTS_TRY(put(p,
                "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">rank</text>"
                "<text x=\"%d\" y=\"18\">eval_loss</text>\n",
                (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, 12));
cleanup:
    return st;
}

/* Ranks below the frame, as far as they have room. */
static mts_status put_ranks(plot *p)
{
    mts_status st = MTS_OK;
    double free_from = 0.0;
    for (size_t i = 0; i < json_array_size(p->rows); i++) {
        const double x = x_of(p, rank_at(p, i));
        if (x < free_from)
            continue;
        free_from = x + LABEL_PIXELS;
        MTS_TRY(put(p, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f</text>\n", x,
                    HEIGHT - BOTTOM + 18, rank_at(p, i)));
    }
cleanup:
    return st;
}

static mts_status put_points(plot *p)
{
    mts_status st = MTS_OK;
    bool begun = false;
    MTS_TRY(put(p, "<path fill=\"none\" stroke=\"#1f5fa8\" stroke-width=\"2\" d=\""));
    for (size_t i = 0; i < json_array_size(p->rows); i++) {
        const double loss = loss_at(p, i);
        if (isfinite(loss)) {
            MTS_TRY(
                put(p, "%s%.1f %.1f", begun ? "L" : "M", x_of(p, rank_at(p, i)), y_of(p, loss)));
            begun = true;
        }
    }
    MTS_TRY(put(p, "\"/>\n"));
    for (size_t i = 0; i < json_array_size(p->rows); i++) {
        const double loss = loss_at(p, i);
        if (isfinite(loss))
            MTS_TRY(put(p,
                        "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"#1f5fa8\">"
                        "<title>rank %.0f: %.6g</title></circle>\n",
                        x_of(p, rank_at(p, i)), y_of(p, loss), rank_at(p, i), loss));
    }
    MTS_TRY(put(p, "</svg>\n"));
cleanup:
    return st;
}

mts_status rank_plot_save(mts_ctx *ctx, const json_t *rows, const char *dir)
{
    mts_status st = MTS_OK;
    plot p = {.rows = rows};
    char *path = NULL;
    MTS_TRY(file_make_dirs(ctx, dir));
    MTS_TRY(path_join(ctx, &path, dir, RANK_PLOT_FILE));
    MTS_TRY(file_writer_open(ctx, path, &p.file));
    measure(&p);
    MTS_TRY(put_frame(&p));
    MTS_TRY(put_ranks(&p));
    MTS_TRY(put_points(&p));
    MTS_TRY(file_writer_commit(p.file));
cleanup:
    file_writer_close(p.file);
    mem_free(path);
    return st;
}
