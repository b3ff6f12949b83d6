/* Prototypes of this build's float kernels; one line per member of struct float_kernels. */
#ifndef MTS_KERNELS_FLOAT_TABLE_H
#define MTS_KERNELS_FLOAT_TABLE_H

#include "kernels/float_kernels.h"
#include "kernels/float/float_lanes.h"

uint32_t FK(max_abs_bits)(const float *x, int64_t n);
void FK(max_abs_columns)(uint32_t *max_bits, const float *x, float scale, int64_t n);
uint32_t FK(max_abs_bits_scaled)(const float *x, const float *col_scale, int64_t n);
void FK(quantize_s8)(int8_t *q, const float *x, int64_t n, const quantize_args *args);
void FK(quantize_s16)(int16_t *q, const float *x, int64_t n, const quantize_args *args);
void FK(tile_store_s32)(float *c, int64_t ldc, const int32_t *tile, int64_t nr, int64_t rows,
                        int64_t cols, const float *row_scale, const float *col_scale,
                        const float *bias, bool accumulate);
void FK(tile_store_f64)(float *c, int64_t ldc, const double *tile, int64_t nr, int64_t rows,
                        int64_t cols, const float *row_scale, const float *col_scale,
                        const float *bias, bool accumulate);
void FK(tile_add)(double *acc, const int32_t *const *tile, const double *weight, int count,
                  int64_t n, bool first);
void FK(add)(float *y, const float *a, const float *b, int64_t n);
void FK(dropout)(float *y, const float *x, int64_t n, float p, rng_key key, uint32_t first);
void FK(activation_forward)(float *y, const float *x, int64_t n, activation_kind kind);
void FK(activation_slope)(float *y, float *slope, const float *x, int64_t n, activation_kind kind);
void FK(activation_backward)(float *dx, const float *dy, const float *x, int64_t n,
                             activation_kind kind);
void FK(softmax_forward)(float *p, const float *s, int64_t n, float scale);
void FK(softmax_backward)(float *ds, const float *dp, const float *p, int64_t n, float scale);
float FK(layernorm_forward)(float *y, float *xhat, const float *x, const float *gamma,
                            const float *beta, int64_t n, float epsilon);
void FK(layernorm_backward)(float *dx, const float *dy, const float *xhat, const float *gamma,
                            float rstd, int64_t n);
void FK(norm_sums)(norm_sums *sums, const int16_t *q, int64_t n);
void FK(norm_divide)(int16_t *xq, const int16_t *q, int64_t n, int64_t s1, int64_t reciprocal,
                     int shift, const quantize_args *args);
void FK(norm_affine)(float *y, const int16_t *xq, const int16_t *gq, const int16_t *bq, int64_t n,
                     float scale, float beta_scale);
void FK(norm_grad_sums)(int64_t *h1, int64_t *h2, const int16_t *dyq, const int16_t *gq,
                        const int16_t *xq, int64_t n);
void FK(norm_grad_input)(float *dx, const int16_t *dyq, const int16_t *gq, const int16_t *xq,
                         int64_t n, float scale, float m1, float m2);
void FK(norm_grad_params)(double *dgamma, double *dbeta, const int16_t *dyq, const int16_t *xq,
                          int64_t n, double scale_g, double scale_b);
void FK(accumulate)(float *y, const float *x, int64_t n);
void FK(accumulate_s8)(double *acc, const int8_t *q, int64_t n, double scale);
void FK(accumulate_s16)(double *acc, const int16_t *q, int64_t n, double scale);
void FK(dequantize_s16)(float *y, const int16_t *q, int64_t n, float scale, bool accumulate);
void FK(multiply_s8)(float *y, const float *x, const int8_t *q, int64_t n, float scale);
void FK(multiply_s16)(float *y, const float *x, const int16_t *q, int64_t n, float scale);
double FK(sum_squares)(const float *x, int64_t n);
void FK(adamw)(float *w, float *m, float *v, const float *g, int64_t n, const adamw_args *args);
void FK(adamw_8bit)(float *w, const adamw_8bit_state *state, const float *g, int64_t n,
                    const adamw_args *args, const adamw_8bit_maps *maps);
void FK(sgd)(float *w, float *buf, const float *g, int64_t n, float learning_rate, float momentum,
             float weight_decay, float grad_scale);
void FK(to_bf16)(uint16_t *y, const float *x, int64_t n);
void FK(from_bf16)(float *y, const uint16_t *x, int64_t n);

#endif
