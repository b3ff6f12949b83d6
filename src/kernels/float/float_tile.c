/*
 * Epilogue of the integer GEMM: exact integer tile -> float matrix.                FORMATS.md (5)
 *
 *   c = (float)tile * row_scale * col_scale (+ bias) (+ c), in this order.  With scales that are
 *   powers of two the only rounding before the additions is the conversion of the exact integer to
 *   float; others round once each.
 *
 * Path: gemm_run -> here.
 */
#include "kernels/float_kernels.h"
#include "kernels/float/float_lanes.h"

#include "kernels/float/float_table.h"

/* Everything but how many columns there are. */
typedef struct tile_target {
    float *restrict c;
    int64_t ldc, rows;
    const float *restrict row_scale, *restrict col_scale, *restrict bias;
    bool accumulate;
} tile_target;

/*
 * The rows of either tile type; a NULL bias and accumulate are loops of their own.  Inlined with
 * constants for `nr` and `cols` where a tile is whole, so that scales and bias stay in registers.
 */
#define STORE_ROWS(expression)                                                                     \
    for (int64_t i = 0; i < to->rows; i++)                                                         \
        for (int64_t j = 0; j < cols; j++)                                                         \
    c[i * ldc + j] = (expression)

#define STORE_TILE()                                                                               \
    float *restrict c = to->c;                                                                     \
    const int64_t ldc = to->ldc;                                                                   \
    const float *restrict row_scale = to->row_scale, *restrict col_scale = to->col_scale;          \
    const float *restrict bias = to->bias;                                                         \
    if (to->accumulate)                                                                            \
        STORE_ROWS(c[i * ldc + j] + (float)tile[i * nr + j] * row_scale[i] * col_scale[j]);        \
    else if (bias != NULL)                                                                         \
        STORE_ROWS((float)tile[i * nr + j] * row_scale[i] * col_scale[j] + bias[j]);               \
    else                                                                                           \
        STORE_ROWS((float)tile[i * nr + j] * row_scale[i] * col_scale[j])

MTS_INLINE void store_s32(const tile_target *to, const int32_t *restrict tile, int64_t nr,
                          int64_t cols)
{
    STORE_TILE();
}

MTS_INLINE void store_f64(const tile_target *to, const double *restrict tile, int64_t nr,
                          int64_t cols)
{
    STORE_TILE();
}

void FK(tile_store_s32)(float *restrict c, int64_t ldc, const int32_t *restrict tile, int64_t nr,
                        int64_t rows, int64_t cols, const float *restrict row_scale,
                        const float *restrict col_scale, const float *restrict bias,
                        bool accumulate)
{
    const tile_target to = {c, ldc, rows, row_scale, col_scale, bias, accumulate};
    if (nr == 24 && cols == 24)
        store_s32(&to, tile, 24, 24);
    else if (nr == 32 && cols == 32)
        store_s32(&to, tile, 32, 32);
    else
        store_s32(&to, tile, nr, cols);
}

void FK(tile_store_f64)(float *restrict c, int64_t ldc, const double *restrict tile, int64_t nr,
                        int64_t rows, int64_t cols, const float *restrict row_scale,
                        const float *restrict col_scale, const float *restrict bias,
                        bool accumulate)
{
    const tile_target to = {c, ldc, rows, row_scale, col_scale, bias, accumulate};
    store_f64(&to, tile, nr, cols);
}

void FK(tile_join)(int32_t *restrict hi, const int32_t *restrict lo, int shift, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        hi[i] = (int32_t)(((uint32_t)hi[i] << shift) + (uint32_t)lo[i]);
}

MTS_INLINE void add_tiles(double *restrict acc, const int32_t *const *tile, const double *weight,
                          int count, int64_t n, bool first)
{
    const int32_t *restrict t[4] = {tile[0], tile[1 % count], tile[2 % count], tile[3 % count]};
    const double w[4] = {weight[0], weight[1 % count], weight[2 % count], weight[3 % count]};
    for (int64_t i = 0; i < n; i++) {
        double sum = first ? 0.0 : acc[i];
        for (int p = 0; p < count; p++)
            sum += (double)t[p][i] * w[p];
        acc[i] = sum;
    }
}

void FK(tile_add)(double *restrict acc, const int32_t *const *tile, const double *weight, int count,
                  int64_t n, bool first)
{
    if (count == 4 && first)
        add_tiles(acc, tile, weight, 4, n, true);
    else if (count == 4)
        add_tiles(acc, tile, weight, 4, n, false);
    else if (count == 2 && first)
        add_tiles(acc, tile, weight, 2, n, true);
    else if (count == 2)
        add_tiles(acc, tile, weight, 2, n, false);
    else
        add_tiles(acc, tile, weight, 1, n, first);
}
