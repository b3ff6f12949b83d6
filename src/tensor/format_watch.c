/* Sums over mapped matrices.  See format_watch.h. */
#include "tensor/format_watch.h"

#include <assert.h>
#include <math.h>
#include <string.h>

void format_watch_add(format_watch *watch, layer_watch *layer, const char *name, int64_t out,
                      const outlier_list *outliers)
{
    layer_watch **end = &watch->first;
    layer->name = name;
    layer->out = out;
    layer->outliers = outliers;
    while (*end != NULL)
        end = &(*end)->next;
    *end = layer;
}

static int64_t slots_of(int64_t rows)
{
    return (rows + FORMAT_SLOT_ROWS - 1) / FORMAT_SLOT_ROWS;
}

mts_status format_watch_allocate(mts_ctx *ctx, format_watch *watch, int64_t tokens)
{
    mts_status st = MTS_OK;
    int64_t slots = 0;
    format_sums *next;
    for (layer_watch *l = watch->first; l != NULL; l = l->next)
        for (int k = 0; k < WATCHED_MATRICES; k++) {
            l->record[k].slots = slots_of(k == WATCHED_WEIGHT ? l->out : tokens);
            slots += l->record[k].slots;
        }
    MTS_TRY(mem_calloc(ctx, &watch->memory, (size_t)slots, sizeof *watch->memory,
                       "statistics of number formats"));
    next = watch->memory;
    for (layer_watch *l = watch->first; l != NULL; l = l->next)
        for (int k = 0; k < WATCHED_MATRICES; k++) {
            l->record[k].slot = next;
            next += l->record[k].slots;
        }
cleanup:
    return st;
}

void format_watch_deinit(format_watch *watch)
{
    mem_free(watch->memory);
    *watch = (format_watch){0};
}

/* --------------------------------------------------------------------------------- noting ---- */

typedef struct note_job {
    const qmatrix *m;
    const float *x;
    int64_t ldx;
    const map_args *args;
} note_job;

/* The scale of element (i, j), and how far apart those of the columns behind it are, up to the end
 * of the block. */
static const float *scale_at(const qmatrix *m, int64_t i, int64_t j, int64_t *step)
{
    const int64_t size = GROUP_BLOCK_SIZE;
    *step = m->group == GROUP_COLUMN;
    switch (m->group) {
    case GROUP_TENSOR:
        return m->scale;
    case GROUP_ROW:
        return m->scale + i;
    case GROUP_COLUMN:
        return m->scale + j;
    case GROUP_BLOCK:
        return m->scale + i / size * ((m->cols + size - 1) / size) + j / size;
    }
    return m->scale;
}

static int32_t mantissa_at(const qmatrix *m, int64_t at)
{
    return m->bits <= 8 ? ((const int8_t *)m->q)[at] : ((const int16_t *)m->q)[at];
}

/* Binary digits of n >= 0, from the exponent of a float. */
static int32_t digits_of(int32_t n)
{
    const float f = (float)n;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return n == 0 ? 0 : (int32_t)(bits >> 23) - 126;
}

/* One element; all is exact in double but the sums. */
static void add_element(format_sums *s, double x, int32_t q, double scale, int32_t limit)
{
    const int32_t magnitude = q < 0 ? -q : q;
    const double error = x - (double)q * scale;
    if (x == 0.0)
        return;
    s->nonzero++;
    s->saturated += magnitude == limit;
    s->zero += magnitude == 0;
    s->digits += digits_of(magnitude);
    s->signal += x * x;
    s->noise += error * error;
}

/* Row i up to the end of the block of columns that begins at j0. */
static void add_block(const note_job *job, format_sums *s, int64_t i, int64_t j0)
{
    const qmatrix *m = job->m;
    const int64_t left = m->cols - j0, n = left < GROUP_BLOCK_SIZE ? left : GROUP_BLOCK_SIZE;
    const int32_t limit = format_limit(m->bits);
    const float *x = job->x + i * job->ldx + j0, *row_mul = job->args->row_mul;
    const float *col_mul = job->args->col_mul == NULL ? NULL : job->args->col_mul + j0;
    const double factor = row_mul == NULL ? 1.0 : (double)row_mul[i];
    int64_t step;
    const float *scale = scale_at(m, i, j0, &step);
    for (int64_t j = 0; j < n; j++) {
        const double v = (double)x[j] * factor * (col_mul == NULL ? 1.0 : (double)col_mul[j]);
        add_element(s, v, mantissa_at(m, i * m->cols + j0 + j), (double)scale[j * step], limit);
    }
    s->elements += n;
}

static void add_sums(format_sums *to, const format_sums *from)
{
    to->elements += from->elements;
    to->nonzero += from->nonzero;
    to->saturated += from->saturated;
    to->zero += from->zero;
    to->digits += from->digits;
    to->signal += from->signal;
    to->noise += from->noise;
}

/* Rows [begin, end) of one slot. */
static void note_rows(void *arg, int64_t begin, int64_t end)
{
    const note_job *job = arg;
    const format_record *record = job->args->record;
    const int64_t slot = (job->args->first_row + begin) / FORMAT_SLOT_ROWS;
    format_sums all = {0};
    assert(slot < record->slots);
    for (int64_t i = begin; i < end; i++) {
        format_sums row = {0};
        for (int64_t j = 0; j < job->m->cols; j += GROUP_BLOCK_SIZE)
            add_block(job, &row, i, j);
        add_sums(&all, &row);
    }
    record->slot[slot] = all;
}

void format_watch_note(const exec *ex, const qmatrix *m, const float *x, int64_t ldx,
                       const map_args *args)
{
    note_job job = {m, x, ldx, args};
    assert(args->first_row % FORMAT_SLOT_ROWS == 0);
    exec_parallel(ex, m->rows, FORMAT_SLOT_ROWS, note_rows, &job);
}

/* --------------------------------------------------------------------------------- totals ---- */

void format_watch_gather(format_watch *watch)
{
    for (layer_watch *l = watch->first; l != NULL; l = l->next) {
        for (int k = 0; k < WATCHED_MATRICES; k++) {
            format_record *r = &l->record[k];
            for (int64_t s = 0; s < r->slots; s++)
                add_sums(&r->total, &r->slot[s]);
            memset(r->slot, 0, (size_t)r->slots * sizeof *r->slot);
        }
        l->outlier_count = l->outliers == NULL ? 0 : l->outliers->count;
    }
}

void format_watch_clear(format_watch *watch)
{
    for (layer_watch *l = watch->first; l != NULL; l = l->next) {
        l->weight_seen = false;
        for (int k = 0; k < WATCHED_MATRICES; k++) {
            format_record *r = &l->record[k];
            r->total = (format_sums){0};
            memset(r->slot, 0, (size_t)r->slots * sizeof *r->slot);
        }
    }
}

format_quality format_quality_of(const format_sums *s)
{
    const double n = (double)s->nonzero;
    if (s->nonzero == 0)
        return (format_quality){(double)NAN, (double)NAN, (double)NAN, (double)NAN};
    return (format_quality){
        .saturated = (double)s->saturated / n,
        .zero = (double)s->zero / n,
        .effective_bits = 1.0 + (double)s->digits / n,
        .snr_db = s->noise == 0.0 ? (double)NAN : 10.0 * log10(s->signal / s->noise),
    };
}
