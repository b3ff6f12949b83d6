/*
 * The float kernels: FLOAT_KERNEL(type, name, arguments) for each, and what it computes.
 *
 * Included with a definition of FLOAT_KERNEL: for the members of struct float_kernels, for the
 * prototypes of a build, for its table.  So it has no include guard.
 */
/* clang-format off */
/* max of the bits of |x[i]|: integer order is float order; >= 0x7f800000 means inf or NaN */
FLOAT_KERNEL(uint32_t, max_abs_bits, (const float *x, int64_t n))
/* max_bits[j] = max(max_bits[j], bits of |x[j] * scale|) */
FLOAT_KERNEL(void, max_abs_columns, (uint32_t *max_bits, const float *x, float scale, int64_t n))
/* bits of max |x[j] * col_scale[j]| */
FLOAT_KERNEL(uint32_t, max_abs_bits_scaled, (const float *x, const float *col_scale, int64_t n))
FLOAT_KERNEL(void, quantize_s8, (int8_t *q, const float *x, int64_t n, const quantize_args *args))
FLOAT_KERNEL(void, quantize_s16, (int16_t *q, const float *x, int64_t n, const quantize_args *args))

/* c[i][j] = tile[i * nr + j] * row_scale[i] * col_scale[j], + bias[j] if not NULL, or
 * += without bias if accumulate; row stride of c is ldc. */
FLOAT_KERNEL(void, tile_store_s32,
    (float *c, int64_t ldc, const int32_t *tile, int64_t nr, int64_t rows, int64_t cols,
     const float *row_scale, const float *col_scale, const float *bias, bool accumulate))
FLOAT_KERNEL(void, tile_store_f64,
    (float *c, int64_t ldc, const double *tile, int64_t nr, int64_t rows, int64_t cols,
     const float *row_scale, const float *col_scale, const float *bias, bool accumulate))
/* acc[i] = (first ? 0 : acc[i]) + sum of weight[p] * tile[p][i] over p < count (1, 2 or 4),
 * exact while the sums stay below 2^53 */
FLOAT_KERNEL(void, tile_add,
    (double *acc, const int32_t *const *tile, const double *weight, int count, int64_t n,
     bool first))

/* hi[i] = hi[i] 2^shift + lo[i] mod 2^32: sums of a mantissa's two halves, where the whole fits */
FLOAT_KERNEL(void, tile_join, (int32_t *hi, const int32_t *lo, int shift, int64_t n))

FLOAT_KERNEL(void, add, (float *y, const float *a, const float *b, int64_t n))
/* y[i] = a[i] * b[i]; y may be a or b */
FLOAT_KERNEL(void, multiply, (float *y, const float *a, const float *b, int64_t n))
/* One row of rotary positions, n pairs: (x[i], x[n + i]) turned by the angle of which cos[i] and
 * sin[i] are given; in place */
FLOAT_KERNEL(void, rotate, (float *x, const float *cos, const float *sin, int64_t n))
/* by minus that angle */
FLOAT_KERNEL(void, rotate_back, (float *x, const float *cos, const float *sin, int64_t n))
/* y[i] = keep(i) ? x[i] / (1 - p) : 0, keep(i): rng_draw(key, first + i) >= p 2^32; y may
 * be x */
FLOAT_KERNEL(void, dropout,
    (float *y, const float *x, int64_t n, float p, rng_key key, uint32_t first))
FLOAT_KERNEL(void, activation_forward, (float *y, const float *x, int64_t n, activation_kind kind))
/* y = f(x), slope = f'(x) in one pass; y may be x */
FLOAT_KERNEL(void, activation_slope,
    (float *y, float *slope, const float *x, int64_t n, activation_kind kind))
/* dx = dy * f'(x); dx may be dy */
FLOAT_KERNEL(void, activation_backward,
    (float *dx, const float *dy, const float *x, int64_t n, activation_kind kind))
/* p = softmax(scale * s) over one row */
FLOAT_KERNEL(void, softmax_forward, (float *p, const float *s, int64_t n, float scale))
/* ds = scale * p * (dp - sum(dp * p)); ds may be dp */
FLOAT_KERNEL(void, softmax_backward,
    (float *ds, const float *dp, const float *p, int64_t n, float scale))

/* one row: xhat = (x - mean) * rstd, y = gamma * xhat + beta; returns rstd */
FLOAT_KERNEL(float, layernorm_forward,
    (float *y, float *xhat, const float *x, const float *gamma, const float *beta, int64_t n,
     float epsilon))
/* one row: dx = rstd * (dy gamma - mean(dy gamma) - xhat mean(dy gamma xhat)) */
FLOAT_KERNEL(void, layernorm_backward,
    (float *dx, const float *dy, const float *xhat, const float *gamma, float rstd, int64_t n))
/* the same for y = gamma * xhat, xhat = x * rstd, rstd = 1 / sqrt(mean(x^2) + epsilon) */
FLOAT_KERNEL(float, rmsnorm_forward,
    (float *y, float *xhat, const float *x, const float *gamma, int64_t n, float epsilon))
/* one row: dx = rstd * (dy gamma - xhat mean(dy gamma xhat)) */
FLOAT_KERNEL(void, rmsnorm_backward,
    (float *dx, const float *dy, const float *xhat, const float *gamma, float rstd, int64_t n))
/* Integer layer norm of one row, see layers/layernorm_dfp.c: exact sums of mantissas. */
FLOAT_KERNEL(void, norm_sums, (norm_sums *sums, const int16_t *q, int64_t n))
/* xq[i] = R((n q[i] - s1) * reciprocal * 2^-shift), |xq| <= limit; 32 <= shift <= 47 and the
 * product stays below 2^62; args gives limit, stochastic, key and first */
FLOAT_KERNEL(void, norm_divide,
    (int16_t *xq, const int16_t *q, int64_t n, int64_t s1, int64_t reciprocal, int shift,
     const quantize_args *args))
/* y[i] = (gq[i] * xq[i]) * scale + bq[i] * beta_scale */
FLOAT_KERNEL(void, norm_affine,
    (float *y, const int16_t *xq, const int16_t *gq, const int16_t *bq, int64_t n, float scale,
     float beta_scale))
/* h = dyq * gq: *h1 = sum h, *h2 = sum h * xq, exact */
FLOAT_KERNEL(void, norm_grad_sums,
    (int64_t *h1, int64_t *h2, const int16_t *dyq, const int16_t *gq, const int16_t *xq, int64_t n))
/* dx[i] = scale * ((dyq[i] gq[i]) - m1 - xq[i] * m2) */
FLOAT_KERNEL(void, norm_grad_input,
    (float *dx, const int16_t *dyq, const int16_t *gq, const int16_t *xq, int64_t n, float scale,
     float m1, float m2))
/* dbeta[j] += dyq[j] * scale_b, dgamma[j] += (dyq[j] * xq[j]) * scale_g, in double */
FLOAT_KERNEL(void, norm_grad_params,
    (double *dgamma, double *dbeta, const int16_t *dyq, const int16_t *xq, int64_t n,
     double scale_g, double scale_b))

/* y[j] += x[j] */
FLOAT_KERNEL(void, accumulate, (float *y, const float *x, int64_t n))
/* acc[j] += q[j] * scale, exact while the sums stay below 2^53 units */
FLOAT_KERNEL(void, accumulate_s8, (double *acc, const int8_t *q, int64_t n, double scale))
FLOAT_KERNEL(void, accumulate_s16, (double *acc, const int16_t *q, int64_t n, double scale))
/* y[j] = q[j] * scale (+ y[j]) */
FLOAT_KERNEL(void, dequantize_s16,
    (float *y, const int16_t *q, int64_t n, float scale, bool accumulate))

/* y[j] = x[j] * (q[j] * scale); y may be x */
FLOAT_KERNEL(void, multiply_s8, (float *y, const float *x, const int8_t *q, int64_t n, float scale))
FLOAT_KERNEL(void, multiply_s16,
    (float *y, const float *x, const int16_t *q, int64_t n, float scale))

FLOAT_KERNEL(double, sum_squares, (const float *x, int64_t n))
FLOAT_KERNEL(void, adamw,
    (float *w, float *m, float *v, const float *g, int64_t n, const adamw_args *args))
/* adamw on the numbers that the state stands for, whose results are rounded to the nearest of
 * the maps, a magnitude halfway between two to the smaller; an overflow becomes FLT_MAX */
FLOAT_KERNEL(void, adamw_8bit,
    (float *w, const adamw_8bit_state *state, const float *g, int64_t n, const adamw_args *args,
     const adamw_8bit_maps *maps))
/* buf = momentum * buf + (g + decay * w); w -= lr * buf (buf = gradient when momentum is 0) */
FLOAT_KERNEL(void, sgd,
    (float *w, float *buf, const float *g, int64_t n, float learning_rate, float momentum,
     float weight_decay, float grad_scale))

/* round to nearest even, and back */
FLOAT_KERNEL(void, to_bf16, (uint16_t *y, const float *x, int64_t n))
FLOAT_KERNEL(void, from_bf16, (float *y, const uint16_t *x, int64_t n))
/* clang-format on */
#undef FLOAT_KERNEL
