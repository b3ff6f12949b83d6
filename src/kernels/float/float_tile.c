/*
 * Epilogue of the integer GEMM: exact integer tile -> float matrix.                FORMATS.md (5)
 *
 *   c = (float)tile * row_scale * col_scale (+ bias) (+ c), in this order; the scales are powers of
 *   two, so the only rounding before the additions is the conversion of the exact integer to float.
 *
 * Path: gemm_run -> here.
 */
#include "kernels/float_kernels.h"
#include "kernels/float/float_lanes.h"

#include "kernels/float/float_table.h"

/* One row of either tile type; a NULL bias and accumulate are loops of their own. */
#define STORE_ROW(c, t, rs, cs, bias, accumulate, cols)                                            \
    do {                                                                                           \
        if (accumulate)                                                                            \
            for (int64_t j = 0; j < (cols); j++)                                                   \
                (c)[j] += (float)(t)[j] * (rs) * (cs)[j];                                          \
        else if ((bias) != NULL)                                                                   \
            for (int64_t j = 0; j < (cols); j++)                                                   \
                (c)[j] = (float)(t)[j] * (rs) * (cs)[j] + (bias)[j];                               \
        else                                                                                       \
            for (int64_t j = 0; j < (cols); j++)                                                   \
                (c)[j] = (float)(t)[j] * (rs) * (cs)[j];                                           \
    } while (0)

void FK(tile_store_s32)(float *restrict c, int64_t ldc, const int32_t *restrict tile, int64_t nr,
                        int64_t rows, int64_t cols, const float *restrict row_scale,
                        const float *restrict col_scale, const float *restrict bias,
                        bool accumulate)
{
    for (int64_t i = 0; i < rows; i++) {
        float *restrict out = c + i * ldc;
        const int32_t *restrict t = tile + i * nr;
        const float scale = row_scale[i];
        STORE_ROW(out, t, scale, col_scale, bias, accumulate, cols);
    }
}

void FK(tile_store_f64)(float *restrict c, int64_t ldc, const double *restrict tile, int64_t nr,
                        int64_t rows, int64_t cols, const float *restrict row_scale,
                        const float *restrict col_scale, const float *restrict bias,
                        bool accumulate)
{
    for (int64_t i = 0; i < rows; i++) {
        float *restrict out = c + i * ldc;
        const double *restrict t = tile + i * nr;
        const float scale = row_scale[i];
        STORE_ROW(out, t, scale, col_scale, bias, accumulate, cols);
    }
}

void FK(tile_add)(double *restrict acc, const int32_t *restrict tile, int64_t n, double weight)
{
    for (int64_t i = 0; i < n; i++)
        acc[i] += (double)tile[i] * weight;
}
