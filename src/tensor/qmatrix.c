/* Mapping float matrices to dynamic fixed point by groups.  See qmatrix.h. */
#include "tensor/qmatrix.h"

#include <assert.h>
#include <string.h>

#include "tensor/format_watch.h"

enum { ROW_GRAIN_ELEMENTS = 1 << 14 };

static int64_t blocks_of(int64_t n)
{
    return (n + GROUP_BLOCK_SIZE - 1) / GROUP_BLOCK_SIZE;
}

int64_t qmatrix_scale_count(int64_t rows, int64_t cols, group_kind group)
{
    switch (group) {
    case GROUP_TENSOR:
        return 1;
    case GROUP_ROW:
        return rows;
    case GROUP_COLUMN:
        return cols;
    case GROUP_BLOCK:
        return blocks_of(rows) * blocks_of(cols);
    }
    return 0;
}

void qmatrix_bind(qmatrix *m, arena *a, int64_t rows, int64_t cols, int bits, group_kind group)
{
    m->rows = rows;
    m->cols = cols;
    m->bits = bits;
    m->group = group;
    m->q = arena_take(a, (size_t)(rows * cols), (size_t)format_elem_bytes(bits));
    m->scale = arena_take(a, (size_t)qmatrix_scale_count(rows, cols, group), sizeof(float));
}

qmatrix qmatrix_rows(const qmatrix *m, int64_t begin, int64_t end)
{
    qmatrix part = *m;
    assert(m->group != GROUP_COLUMN);
    assert(m->group != GROUP_BLOCK || begin % GROUP_BLOCK_SIZE == 0);
    part.rows = end - begin;
    part.q = (char *)m->q + begin * m->cols * format_elem_bytes(m->bits);
    if (m->group == GROUP_ROW)
        part.scale += begin;
    else if (m->group == GROUP_BLOCK)
        part.scale += begin / GROUP_BLOCK_SIZE * blocks_of(m->cols);
    return part;
}

/* A mapping under way; `max_bits` is shared by all pieces. */
typedef struct map_job {
    exec *ex;
    qmatrix *m;
    const float *x;
    int64_t ldx;
    const map_args *args;
    uint32_t max_bits;
    float inverse;          /* tensor: that of its unit; column: 1; 0: there was NaN or infinity */
    const float *col_scale; /* column: the inverse of each (times col_mul) */
    uint32_t *col_max;      /* column: bits of the maxima */
} map_job;

static float row_mul_at(const map_job *job, int64_t i)
{
    return job->args->row_mul == NULL ? 1.0f : job->args->row_mul[i];
}

/* The unit of a group; one with NaN or infinity is reported and becomes zeros. */
static format_unit group_unit(map_job *job, uint32_t bits)
{
    if (bits >= FLOAT_INFINITY_BITS) {
        exec_report_anomaly(job->ex, job->args->what, job->args->where);
        return (format_unit){1.0f, 0.0f};
    }
    return format_unit_of(bits, job->m->bits, job->args->scales);
}

/* Whether all rows are one run of numbers, treated alike. */
static bool is_flat(const map_job *job)
{
    return job->ldx == job->m->cols && job->args->row_mul == NULL && job->args->col_mul == NULL;
}

/* Mantissas of columns [j0, j0 + n) of row i, or of n elements from there on if the job is flat; a
 * scale of 0 gives zeros. */
static void quantize_segment(const map_job *job, int64_t i, int64_t j0, int64_t n, float scale,
                             const float *col_scale)
{
    const qmatrix *m = job->m;
    const int64_t at = i * m->cols + j0, draw = at + job->args->first_row * m->cols;
    const quantize_args args = {
        .scale = scale * row_mul_at(job, i),
        .col_scale = col_scale,
        .limit = format_limit(m->bits),
        .stochastic = job->args->stochastic,
        .key = job->args->key,
        .first = (uint32_t)draw,
    };
    const float *x = job->x + i * job->ldx + j0;
    if (scale == 0.0f)
        memset((char *)m->q + at * format_elem_bytes(m->bits), 0,
               (size_t)(n * format_elem_bytes(m->bits)));
    else if (m->bits <= 8)
        job->ex->fk->quantize_s8((int8_t *)m->q + at, x, n, &args);
    else
        job->ex->fk->quantize_s16((int16_t *)m->q + at, x, n, &args);
}

/* Bits of the max |x| of row i, with the multipliers applied. */
static uint32_t row_max_bits(const map_job *job, int64_t i)
{
    const float *x = job->x + i * job->ldx;
    const float *col_mul = job->args->col_mul;
    uint32_t bits = col_mul == NULL ? job->ex->fk->max_abs_bits(x, job->m->cols)
                                    : job->ex->fk->max_abs_bits_scaled(x, col_mul, job->m->cols);
    float value;
    memcpy(&value, &bits, sizeof value);
    value *= row_mul_at(job, i);
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void tensor_max_rows(void *arg, int64_t begin, int64_t end)
{
    map_job *job = arg;
    uint32_t max = 0;
    if (is_flat(job))
        max = job->ex->fk->max_abs_bits(job->x + begin * job->ldx, (end - begin) * job->ldx);
    for (int64_t i = begin; i < end && !is_flat(job); i++) {
        uint32_t bits = row_max_bits(job, i);
        max = bits > max ? bits : max;
    }
#pragma omp critical(mts_qmatrix_max)
    if (max > job->max_bits)
        job->max_bits = max;
}

static void tensor_quantize_rows(void *arg, int64_t begin, int64_t end)
{
    map_job *job = arg;
    if (is_flat(job))
        quantize_segment(job, begin, 0, (end - begin) * job->m->cols, job->inverse, NULL);
    for (int64_t i = begin; i < end && !is_flat(job); i++)
        quantize_segment(job, i, 0, job->m->cols, job->inverse, job->args->col_mul);
}

static void row_map_rows(void *arg, int64_t begin, int64_t end)
{
    map_job *job = arg;
    for (int64_t i = begin; i < end; i++) {
        uint32_t bits = row_max_bits(job, i);
        const format_unit unit = group_unit(job, bits);
        job->m->scale[i] = unit.scale;
        quantize_segment(job, i, 0, job->m->cols, unit.inverse, job->args->col_mul);
    }
}

void qmatrix_column_max(const exec *ex, uint32_t *max, const float *x, int64_t ldx, int64_t rows,
                        int64_t cols, const float *row_mul)
{
    enum { STRIP = 256 };
    uint32_t local[STRIP];
    for (int64_t j0 = 0; j0 < cols; j0 += STRIP) {
        const int64_t n = cols - j0 < STRIP ? cols - j0 : STRIP;
        memset(local, 0, sizeof local);
        for (int64_t i = 0; i < rows; i++)
            ex->fk->max_abs_columns(local, x + i * ldx + j0, row_mul == NULL ? 1.0f : row_mul[i],
                                    n);
#pragma omp critical(mts_qmatrix_max)
        for (int64_t j = 0; j < n; j++)
            if (local[j] > max[j0 + j])
                max[j0 + j] = local[j];
    }
}

static void column_max_rows(void *arg, int64_t begin, int64_t end)
{
    map_job *job = arg;
    const float *row_mul = job->args->row_mul;
    qmatrix_column_max(job->ex, job->col_max, job->x + begin * job->ldx, job->ldx, end - begin,
                       job->m->cols, row_mul == NULL ? NULL : row_mul + begin);
}

static void column_quantize_rows(void *arg, int64_t begin, int64_t end)
{
    map_job *job = arg;
    for (int64_t i = begin; i < end; i++)
        quantize_segment(job, i, 0, job->m->cols, job->inverse, job->col_scale);
}

/* One row of blocks: rows [begin, end) is at most GROUP_BLOCK_SIZE rows. */
static void block_map_rows(void *arg, int64_t begin, int64_t end)
{
    map_job *job = arg;
    const int64_t cols = job->m->cols, nb = blocks_of(cols);
    const float *col_mul = job->args->col_mul;
    for (int64_t b = 0; b < nb; b++) {
        const int64_t j0 = b * GROUP_BLOCK_SIZE;
        const int64_t n = cols - j0 < GROUP_BLOCK_SIZE ? cols - j0 : GROUP_BLOCK_SIZE;
        uint32_t max = 0;
        for (int64_t i = begin; i < end; i++) {
            const float *x = job->x + i * job->ldx + j0;
            uint32_t bits = col_mul == NULL ? job->ex->fk->max_abs_bits(x, n)
                                            : job->ex->fk->max_abs_bits_scaled(x, col_mul + j0, n);
            max = bits > max ? bits : max;
        }
        const format_unit unit = group_unit(job, max);
        job->m->scale[begin / GROUP_BLOCK_SIZE * nb + b] = unit.scale;
        for (int64_t i = begin; i < end; i++)
            quantize_segment(job, i, j0, n, unit.inverse, col_mul == NULL ? NULL : col_mul + j0);
    }
}

static void map_tensor(exec *ex, map_job *job, int64_t grain, bool serial)
{
    qmatrix *m = job->m;
    if (ex->dry)
        return;
    if (serial)
        tensor_max_rows(job, 0, m->rows);
    else
        exec_parallel(ex, m->rows, grain, tensor_max_rows, job);
    const format_unit unit = group_unit(job, job->max_bits);
    m->scale[0] = unit.scale;
    job->inverse = unit.inverse;
    if (serial)
        tensor_quantize_rows(job, 0, m->rows);
    else
        exec_parallel(ex, m->rows, grain, tensor_quantize_rows, job);
}

/* The scales of all columns from the bits of their maxima, and their inverses in col_scale. */
static void set_column_scales(map_job *job, float *col_scale, const uint32_t *max)
{
    qmatrix *m = job->m;
    job->inverse = 1.0f;
    for (int64_t j = 0; j < m->cols; j++) {
        const format_unit unit = group_unit(job, max[j]);
        m->scale[j] = unit.scale;
        col_scale[j] = unit.inverse;
        if (max[j] >= FLOAT_INFINITY_BITS)
            job->inverse = 0.0f;
    }
}

static void map_columns(exec *ex, map_job *job, int64_t grain)
{
    qmatrix *m = job->m;
    assert(job->args->col_mul == NULL);
    size_t mark = exec_mark(ex);
    float *col_scale = exec_take(ex, m->cols, sizeof(float));
    const uint32_t *max = job->args->col_max;
    if (max == NULL) {
        max = job->col_max = exec_take(ex, m->cols, sizeof(uint32_t));
        exec_clear(ex, job->col_max, (size_t)m->cols * sizeof(uint32_t));
        exec_parallel(ex, m->rows, grain, column_max_rows, job);
    }
    if (!ex->dry)
        set_column_scales(job, col_scale, max);
    job->col_scale = col_scale;
    exec_parallel(ex, m->rows, grain, column_quantize_rows, job);
    exec_release(ex, mark);
}

void qmatrix_map(exec *ex, qmatrix *m, const float *x, int64_t ldx, const map_args *args)
{
    map_job job = {.ex = ex, .m = m, .x = x, .ldx = ldx, .args = args};
    int64_t grain = ROW_GRAIN_ELEMENTS / m->cols;
    grain = grain < 1 ? 1 : grain;
    switch (m->group) {
    case GROUP_TENSOR:
        map_tensor(ex, &job, grain, false);
        break;
    case GROUP_ROW:
        exec_parallel(ex, m->rows, grain, row_map_rows, &job);
        break;
    case GROUP_COLUMN:
        map_columns(ex, &job, grain);
        break;
    case GROUP_BLOCK:
        assert(args->row_mul == NULL);
        exec_parallel(ex, m->rows, GROUP_BLOCK_SIZE, block_map_rows, &job);
        break;
    }
    if (ex->watch != NULL && args->record != NULL)
        format_watch_note(ex, m, x, ldx, args);
}

void qmatrix_map_serial(exec *ex, qmatrix *m, const float *x, int64_t ldx, const map_args *args)
{
    map_job job = {.ex = ex, .m = m, .x = x, .ldx = ldx, .args = args};
    assert(m->group == GROUP_TENSOR || m->group == GROUP_ROW);
    if (ex->dry)
        return;
    if (m->group == GROUP_TENSOR)
        map_tensor(ex, &job, m->rows, true);
    else
        row_map_rows(&job, 0, m->rows);
}
