/*
 * bench_float: time of each float kernel (kernels/float_kernels.h), build by build.
 *
 *   bench_float [--filter TEXT] [--repeats N] [--n N]
 *
 *   --filter   kernels whose name holds TEXT
 *   --repeats  medians of so many (default 15); every repeat visits all kernels and builds once
 *   --n        elements of a call, a multiple of 1536 (default 6144: all arrays in the L2 cache)
 *
 * Prints nanoseconds per element on one thread, and GB/s of what the kernel reads and writes.
 * Rows are 128 elements in softmax, 768 in layer norm; the arguments are ordinary numbers of both
 * signs.  A kernel much slower than its neighbours of the same bytes computes, or stumbles over
 * something: one of these once made a denormal number in every vector.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cpu/cpu_features.h"
#include "kernels/float_kernels.h"
#include "peak.h"

enum { MAX_REPEATS = 101, BUILDS = 3, UNIT = 1536, ROW = 768, SOFTMAX = 128, MR = 8, NR = 32 };

/* Arrays that all kernels share. */
typedef struct arrays {
    int64_t n;
    float *x, *w, *y, *z, *m, *v, *scales;
    int8_t *s;
    int16_t *q, *r, *t;
    uint16_t *h;
    uint32_t *bits;
    int32_t *tile;
    double *d, *e;
} arrays;

static const rng_key key = {0x1234567, 0x89abcdef};
static const quantize_args nearest8 = {.scale = 32.0f, .limit = 127};
static const quantize_args random8 = {.scale = 32.0f, .limit = 127, .stochastic = true};
static const quantize_args nearest16 = {.scale = 8192.0f, .limit = 32767};
static const quantize_args random16 = {.scale = 8192.0f, .limit = 32767, .stochastic = true};

static const adamw_args adamw_step = {.learning_rate = 1e-5f,
                                      .beta1 = 0.9f,
                                      .beta2 = 0.999f,
                                      .epsilon = 1e-8f,
                                      .correction1 = 0.1f,
                                      .correction2 = 0.03f,
                                      .grad_scale = 1.0f};

/* A call on all n elements.  BODY sees fk, a, and n. */
#define KERNEL(name, BODY)                                                                         \
    static void name(const float_kernels *fk, arrays *a)                                           \
    {                                                                                              \
        const int64_t n = a->n;                                                                    \
        (void)n;                                                                                   \
        BODY;                                                                                      \
    }
#define BY_ROWS(length, CALL)                                                                      \
    for (int64_t i = 0; i < n; i += (length)) {                                                    \
        CALL;                                                                                      \
    }

KERNEL(max_abs_bits, a->bits[0] = fk->max_abs_bits(a->x, n))
KERNEL(max_abs_bits_scaled, a->bits[0] = fk->max_abs_bits_scaled(a->x, a->scales, n))
KERNEL(max_abs_columns, fk->max_abs_columns(a->bits, a->x, 1.0f, n))
KERNEL(quantize_s8, fk->quantize_s8(a->s, a->x, n, &nearest8))
KERNEL(quantize_s8_random, fk->quantize_s8(a->s, a->x, n, &random8))
KERNEL(quantize_s16, fk->quantize_s16(a->t, a->x, n, &nearest16))
KERNEL(quantize_s16_random, fk->quantize_s16(a->t, a->x, n, &random16))
KERNEL(tile_store_s32, BY_ROWS(MR *NR, fk->tile_store_s32(a->y + i, NR, a->tile + i, NR, MR, NR,
                                                          a->scales, a->scales, NULL, false)))
KERNEL(add, fk->add(a->y, a->x, a->w, n))
KERNEL(dropout, fk->dropout(a->y, a->x, n, 0.1f, key, 0))
KERNEL(gelu_forward, fk->activation_forward(a->y, a->x, n, ACTIVATION_GELU))
KERNEL(gelu_slope, fk->activation_slope(a->y, a->z, a->x, n, ACTIVATION_GELU))
KERNEL(gelu_backward, fk->activation_backward(a->y, a->w, a->x, n, ACTIVATION_GELU))
KERNEL(gelu_tanh_slope, fk->activation_slope(a->y, a->z, a->x, n, ACTIVATION_GELU_TANH))
KERNEL(silu_slope, fk->activation_slope(a->y, a->z, a->x, n, ACTIVATION_SILU))
KERNEL(tanh_slope, fk->activation_slope(a->y, a->z, a->x, n, ACTIVATION_TANH))
KERNEL(relu_slope, fk->activation_slope(a->y, a->z, a->x, n, ACTIVATION_RELU))
KERNEL(softmax_forward, BY_ROWS(SOFTMAX, fk->softmax_forward(a->y + i, a->x + i, SOFTMAX, 0.125f)))
KERNEL(softmax_backward,
       BY_ROWS(SOFTMAX, fk->softmax_backward(a->y + i, a->x + i, a->w + i, SOFTMAX, 0.125f)))
KERNEL(layernorm_forward,
       BY_ROWS(ROW, fk->layernorm_forward(a->y + i, a->z + i, a->x + i, a->w, a->w, ROW, 1e-12f)))
KERNEL(layernorm_backward,
       BY_ROWS(ROW, fk->layernorm_backward(a->y + i, a->w + i, a->x + i, a->w, 0.7f, ROW)))
KERNEL(norm_sums_row, norm_sums sums; BY_ROWS(ROW, fk->norm_sums(&sums, a->q + i, ROW)))
KERNEL(norm_divide, BY_ROWS(ROW, fk->norm_divide(a->t + i, a->q + i, ROW, 1000, INT64_C(1) << 34,
                                                 44, &nearest16)))
KERNEL(norm_affine, fk->norm_affine(a->y, a->q, a->r, a->q, n, 0x1p-20f, 0x1p-10f))
KERNEL(norm_grad_sums, int64_t h1; int64_t h2;
       BY_ROWS(ROW, fk->norm_grad_sums(&h1, &h2, a->q + i, a->r, a->r + i, ROW)))
KERNEL(norm_grad_input, fk->norm_grad_input(a->y, a->q, a->r, a->r, n, 0x1p-20f, 1.0f, 0.5f))
KERNEL(norm_grad_params, fk->norm_grad_params(a->d, a->e, a->q, a->r, n, 0x1p-30, 0x1p-15))
KERNEL(accumulate, fk->accumulate(a->y, a->x, n))
KERNEL(accumulate_s8, fk->accumulate_s8(a->d, a->s, n, 0x1p-7))
KERNEL(multiply_s8, fk->multiply_s8(a->y, a->x, a->s, n, 0x1p-7f))
KERNEL(sum_squares, a->d[0] = fk->sum_squares(a->x, n))
KERNEL(adamw, fk->adamw(a->w, a->m, a->v, a->x, n, &adamw_step))
KERNEL(to_bf16, fk->to_bf16(a->h, a->x, n))

static const struct kernel_row {
    const char *name;
    void (*run)(const float_kernels *fk, arrays *a);
    double bytes; /* read and written, per element */
} kernels[] = {
    {"max_abs_bits", max_abs_bits, 4},
    {"max_abs_bits_scaled", max_abs_bits_scaled, 8},
    {"max_abs_columns", max_abs_columns, 12},
    {"quantize_s8 nearest", quantize_s8, 5},
    {"quantize_s8 stochastic", quantize_s8_random, 5},
    {"quantize_s16 nearest", quantize_s16, 6},
    {"quantize_s16 stochastic", quantize_s16_random, 6},
    {"tile_store_s32", tile_store_s32, 8},
    {"add", add, 12},
    {"dropout", dropout, 8},
    {"activation_forward gelu", gelu_forward, 8},
    {"activation_slope gelu", gelu_slope, 12},
    {"activation_backward gelu", gelu_backward, 12},
    {"activation_slope gelu_tanh", gelu_tanh_slope, 12},
    {"activation_slope silu", silu_slope, 12},
    {"activation_slope tanh", tanh_slope, 12},
    {"activation_slope relu", relu_slope, 12},
    {"softmax_forward", softmax_forward, 8},
    {"softmax_backward", softmax_backward, 12},
    {"layernorm_forward", layernorm_forward, 12},
    {"layernorm_backward", layernorm_backward, 12},
    {"norm_sums", norm_sums_row, 2},
    {"norm_divide", norm_divide, 4},
    {"norm_affine", norm_affine, 10},
    {"norm_grad_sums", norm_grad_sums, 6},
    {"norm_grad_input", norm_grad_input, 10},
    {"norm_grad_params", norm_grad_params, 36},
    {"accumulate", accumulate, 12},
    {"accumulate_s8", accumulate_s8, 17},
    {"multiply_s8", multiply_s8, 9},
    {"sum_squares", sum_squares, 4},
    {"adamw", adamw, 28},
    {"to_bf16", to_bf16, 6},
};

enum { KERNELS = sizeof kernels / sizeof kernels[0] };

typedef struct settings {
    const char *filter;
    int repeats;
    int64_t n;
} settings;

static void fail(const char *text)
{
    fprintf(stderr, "bench_float: %s\n", text);
    exit(2);
}

static settings parse(int argc, char **argv)
{
    settings o = {"", 15, 4 * UNIT};
    for (int i = 1; i < argc; i += 2) {
        char *end = "";
        long value = 0;
        if (i + 1 == argc)
            fail("usage: bench_float [--filter TEXT] [--repeats N] [--n N]");
        if (strcmp(argv[i], "--filter") == 0) {
            o.filter = argv[i + 1];
            continue;
        }
        value = strtol(argv[i + 1], &end, 10);
        if (strcmp(argv[i], "--repeats") == 0 && *end == '\0' && value > 0 && value <= MAX_REPEATS)
            o.repeats = (int)value;
        else if (strcmp(argv[i], "--n") == 0 && *end == '\0' && value > 0 && value % UNIT == 0 &&
                 value <= 1 << 24)
            o.n = value;
        else
            fail("expected --filter TEXT, --repeats 1..101 or --n with a multiple of 1536");
    }
    return o;
}

static void *take(int64_t n, size_t size)
{
    void *p = NULL;
    if (mem_calloc(NULL, &p, (size_t)n, size, "array") != MTS_OK)
        fail("out of memory");
    return p;
}

static arrays make_arrays(int64_t n)
{
    arrays a = {.n = n};
    float **floats[] = {&a.x, &a.w, &a.y, &a.z, &a.m, &a.v, &a.scales};
    for (size_t i = 0; i < sizeof floats / sizeof floats[0]; i++)
        *floats[i] = take(n, sizeof(float));
    a.s = take(n, 1);
    a.q = take(n, sizeof *a.q);
    a.r = take(n, sizeof *a.r);
    a.t = take(n, sizeof *a.t);
    a.h = take(n, sizeof *a.h);
    a.bits = take(n, sizeof *a.bits);
    a.tile = take(n, sizeof *a.tile);
    a.d = take(n, sizeof *a.d);
    a.e = take(n, sizeof *a.e);
    for (int64_t i = 0; i < n; i++) {
        a.x[i] = 3.0f * sinf((float)i * 1.3f);
        a.w[i] = 2.0f * cosf((float)i * 0.7f);
        a.scales[i] = 0.0078125f;
        a.q[i] = (int16_t)(9000.0f * sinf((float)i));
        a.r[i] = (int16_t)(9000.0f * cosf((float)i));
        a.s[i] = (int8_t)(a.q[i] / 128);
        a.tile[i] = a.q[i] * 97;
    }
    return a;
}

static int builds_here(const float_kernels **builds)
{
    int count = 0;
    builds[count++] = &float_kernels__generic;
#if defined(__x86_64__)
    if (cpu_features() & CPU_AVX2)
        builds[count++] = &float_kernels__avx2;
    if (cpu_features() & CPU_AVX512)
        builds[count++] = &float_kernels__avx512;
#endif
    return count;
}

static int compare_double(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Nanoseconds per element of one short run. */
static double measure(const struct kernel_row *k, const float_kernels *fk, arrays *a)
{
    enum { ELEMENTS = 200000 };
    const int64_t calls = ELEMENTS / a->n + 1;
    const double start = peak_now();
    for (int64_t i = 0; i < calls; i++)
        k->run(fk, a);
    return (peak_now() - start) * 1e9 / (double)(calls * a->n);
}

int main(int argc, char **argv)
{
    static double ns[KERNELS][BUILDS][MAX_REPEATS];
    const settings o = parse(argc, argv);
    const float_kernels *builds[BUILDS];
    const int count = builds_here(builds);
    arrays a = make_arrays(o.n);
    for (int r = -1; r < o.repeats; r++) /* the first does not count */
        for (int k = 0; k < KERNELS; k++)
            for (int b = 0; b < count && strstr(kernels[k].name, o.filter) != NULL; b++)
                ns[k][b][r < 0 ? 0 : r] = measure(&kernels[k], builds[b], &a);
    printf("%lld elements, 1 thread, medians of %d\n%-28s", (long long)o.n, o.repeats, "kernel");
    for (int b = 0; b < count; b++)
        printf("  %8s ns   GB/s", builds[b]->name);
    printf("\n");
    for (int k = 0; k < KERNELS; k++) {
        if (strstr(kernels[k].name, o.filter) == NULL)
            continue;
        printf("%-28s", kernels[k].name);
        for (int b = 0; b < count; b++) {
            qsort(ns[k][b], (size_t)o.repeats, sizeof(double), compare_double);
            const double t = ns[k][b][o.repeats / 2];
            printf("  %11.3f %6.1f", t, kernels[k].bytes / t);
        }
        printf("\n");
    }
    return 0;
}
