/*
 * The builds of the float kernels: every one that runs on this machine gives the bits of the
 * generic one, entry by entry of struct float_kernels, in place too, and writes nothing else.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cpu/cpu_features.h"
#include "tensor/dynamic_map.h"
#include "support/test_model.h"

static const float_kernels *const generic = &float_kernels__generic;

enum { ROOM = 1100, SCALARS = 4 };

/* Every array that any entry reads or writes.  An entry runs on a copy. */
typedef struct numbers {
    float x[ROOM], y[ROOM], z[ROOM], w[ROOM];
    float positive[ROOM], powers[ROOM]; /* for second moments; powers of two */
    double d[ROOM], e[ROOM];
    int32_t tile[ROOM];
    int16_t a[ROOM], b[ROOM], c[ROOM];
    int8_t q[ROOM];
    uint8_t s[ROOM], u[ROOM]; /* codes */
    uint16_t h[ROOM];
    uint32_t max[ROOM];
    double scalars[SCALARS];
} numbers;

/* Where the arrays are, to see writes past n elements. */
static const struct array {
    size_t offset, size;
} arrays[] = {
    {offsetof(numbers, x), 4}, {offsetof(numbers, y), 4},        {offsetof(numbers, z), 4},
    {offsetof(numbers, w), 4}, {offsetof(numbers, positive), 4}, {offsetof(numbers, powers), 4},
    {offsetof(numbers, d), 8}, {offsetof(numbers, e), 8},        {offsetof(numbers, tile), 4},
    {offsetof(numbers, a), 2}, {offsetof(numbers, b), 2},        {offsetof(numbers, c), 2},
    {offsetof(numbers, q), 1}, {offsetof(numbers, h), 2},        {offsetof(numbers, max), 4},
    {offsetof(numbers, s), 1}, {offsetof(numbers, u), 1},
};

/* Normal numbers of many sizes with zeros, denormals and ties in between. */
static float some_float(test_random *r)
{
    switch (test_random_below(r, 12)) {
    case 0:
        return 0.0f;
    case 1:
        return (float)(test_random_below(r, 401) - 200) / 4.0f;
    case 2:
        return (float)(test_random_normal(r) * 1e-39);
    case 3:
        return (float)(test_random_normal(r) * 100.0);
    default:
        return (float)test_random_normal(r);
    }
}

static void fill(numbers *v, test_random *r)
{
    memset(v, 0, sizeof *v);
    for (int i = 0; i < ROOM; i++) {
        v->x[i] = some_float(r);
        v->y[i] = some_float(r);
        v->z[i] = some_float(r);
        v->w[i] = (float)test_random_normal(r);
        v->positive[i] = (float)(test_random_normal(r) * test_random_normal(r));
        v->positive[i] *= v->positive[i];
        v->powers[i] = format_power((int)test_random_below(r, 21) - 10);
        v->d[i] = test_random_normal(r) * 1e6;
        v->e[i] = floor(test_random_normal(r) * 1e12);
        v->tile[i] = (int32_t)test_random_bits(r);
        v->a[i] = (int16_t)(test_random_below(r, 65535) - 32767);
        v->b[i] = (int16_t)(test_random_below(r, 65535) - 32767);
        v->c[i] = (int16_t)(test_random_below(r, 4095) - 2047);
        v->q[i] = (int8_t)(test_random_below(r, 255) - 127);
        v->s[i] = (uint8_t)test_random_bits(r);
        v->u[i] = (uint8_t)test_random_bits(r);
        v->h[i] = (uint16_t)test_random_bits(r);
        v->max[i] = (uint32_t)test_random_below(r, 0x41000000);
    }
}

/* One entry of the table at size n; `variant` counts through its modes. */
typedef void run_fn(const float_kernels *fk, numbers *v, int64_t n, int variant);

static const rng_key key = {0x12345678, 0x9abcdef1};

static quantize_args some_args(const numbers *v, int variant, int32_t limit)
{
    return (quantize_args){.scale = 32.0f,
                           .col_scale = variant & 1 ? v->powers : NULL,
                           .limit = limit,
                           .stochastic = (variant & 2) != 0,
                           .key = key,
                           .first = 4294967290u};
}

static void run_max_abs_bits(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    (void)variant;
    v->scalars[0] = (double)fk->max_abs_bits(v->x, n);
}

static void run_max_abs_columns(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    fk->max_abs_columns(v->max, v->x, variant == 0 ? 1.0f : 0.125f, n);
}

static void run_max_abs_bits_scaled(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    (void)variant;
    v->scalars[0] = (double)fk->max_abs_bits_scaled(v->x, v->powers, n);
}

static void run_quantize_s8(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    const quantize_args args = some_args(v, variant, 127);
    fk->quantize_s8(v->q, v->x, n, &args);
}

static void run_quantize_s16(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    const quantize_args args = some_args(v, variant, 2047);
    fk->quantize_s16(v->a, v->x, n, &args);
}

/* One row; the driver's strides are tested by test_gemm. */
static void run_tile_store_s32(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    fk->tile_store_s32(v->y, n, v->tile, n, 1, n, v->powers, v->powers, variant == 1 ? v->x : NULL,
                       variant == 2);
}

static void run_tile_store_f64(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    fk->tile_store_f64(v->y, n, v->e, n, 1, n, v->powers, v->powers, variant == 1 ? v->x : NULL,
                       variant == 2);
}

static void run_tile_add(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    static const double weight[4] = {65536.0, 256.0, 256.0, 1.0};
    const int32_t *const tiles[4] = {v->tile, v->tile + 1, v->tile + 2, v->tile + 3};
    fk->tile_add(v->e, tiles, weight, 1 << variant / 2, n - 3 > 0 ? n - 3 : n, variant % 2 == 0);
}

static void run_tile_join(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    fk->tile_join((int32_t *)v->max, v->tile, variant == 0 ? 4 : 7, n);
}

static void run_add(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    fk->add(variant == 0 ? v->y : v->x, v->x, v->z, n);
}

static void run_multiply(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    fk->multiply(variant == 0 ? v->y : v->x, v->x, v->z, n);
}

/* cos and sin need not be of one angle here */
static void run_rotate(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    (void)variant;
    fk->rotate(v->x, v->y, v->z, n / 2);
}

static void run_rotate_back(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    (void)variant;
    fk->rotate_back(v->x, v->y, v->z, n / 2);
}

static void run_rmsnorm_forward(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    (void)variant;
    v->scalars[0] = (double)fk->rmsnorm_forward(v->y, v->w, v->x, v->z, n, 1e-5f);
}

static void run_rmsnorm_backward(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    fk->rmsnorm_backward(variant == 0 ? v->y : v->x, v->x, v->w, v->z, 0.7f, n);
}

static void run_dropout(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    fk->dropout(variant == 0 ? v->y : v->x, v->x, n, 0.3f, key, 4294967290u);
}

static void run_activation_forward(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    fk->activation_forward(variant < 5 ? v->y : v->x, v->x, n, (activation_kind)(variant % 5));
}

static void run_activation_backward(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    fk->activation_backward(variant < 5 ? v->y : v->w, v->w, v->x, n,
                            (activation_kind)(variant % 5));
}

static void run_activation_slope(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    fk->activation_slope(variant < 5 ? v->y : v->x, v->w, v->x, n, (activation_kind)(variant % 5));
}

static void run_multiply_s8(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    fk->multiply_s8(variant == 0 ? v->y : v->x, v->x, v->q, n, 0x1p-6f);
}

static void run_multiply_s16(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    fk->multiply_s16(variant == 0 ? v->y : v->x, v->x, v->a, n, 0x1p-14f);
}

static void run_softmax_forward(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    fk->softmax_forward(variant == 0 ? v->y : v->x, v->x, n, variant == 0 ? 1.0f : 0.17677669f);
}

static void run_softmax_backward(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    fk->softmax_backward(variant == 0 ? v->y : v->x, v->x, v->w, n, 0.25f);
}

static void run_layernorm_forward(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    float *y = variant == 0 ? v->y : v->x;
    v->scalars[0] = (double)fk->layernorm_forward(y, v->positive, v->x, v->w, v->z, n, 1e-12f);
}

static void run_layernorm_backward(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    fk->layernorm_backward(variant == 0 ? v->y : v->x, v->x, v->w, v->z, 1.7f, n);
}

static void run_norm_sums(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    norm_sums s;
    (void)variant;
    fk->norm_sums(&s, v->a, n);
    v->scalars[0] = (double)s.s1;
    v->scalars[1] = (double)s.s2;
    v->scalars[2] = (double)s.min;
    v->scalars[3] = (double)s.max;
}

static void run_norm_divide(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    const quantize_args args = some_args(v, variant, 2047);
    norm_sums s;
    fk->norm_sums(&s, v->c, n);
    const int64_t reciprocal = (INT64_C(1) << 44) / (n > 0 ? n : 1);
    fk->norm_divide(variant & 1 ? v->c : v->a, v->c, n, s.s1, reciprocal, 44, &args);
}

static void run_norm_affine(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    (void)variant;
    fk->norm_affine(v->y, v->a, v->b, v->c, n, 0x1p-20f, 0x1p-9f);
}

static void run_norm_grad_sums(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    int64_t h1, h2;
    (void)variant;
    fk->norm_grad_sums(&h1, &h2, v->a, v->b, v->c, n);
    v->scalars[0] = (double)(int32_t)h1;
    v->scalars[1] = (double)(h1 >> 32);
    v->scalars[2] = (double)(int32_t)h2;
    v->scalars[3] = (double)(h2 >> 32);
}

static void run_norm_grad_input(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    (void)variant;
    fk->norm_grad_input(v->y, v->a, v->b, v->c, n, 0.3e-6f, 1234.5f, -77.25f);
}

static void run_norm_grad_params(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    (void)variant;
    fk->norm_grad_params(v->d, v->e, v->a, v->b, n, 0x1p-25, 0x1p-12);
}

static void run_accumulate(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    (void)variant;
    fk->accumulate(v->y, v->x, n);
}

static void run_accumulate_s8(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    (void)variant;
    fk->accumulate_s8(v->d, v->q, n, 0x1p-9);
}

static void run_accumulate_s16(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    (void)variant;
    fk->accumulate_s16(v->d, v->a, n, 0x1p-9);
}

static void run_dequantize_s16(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    fk->dequantize_s16(v->y, v->a, n, 0x1p-9f, variant == 1);
}

static void run_sum_squares(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    (void)variant;
    v->scalars[0] = fk->sum_squares(v->x, n);
}

static void run_adamw(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    const adamw_args args = {1e-3f, 0.9f, 0.999f,  1e-8f,
                             0.01f, 0.1f, 0.0316f, variant == 0 ? 1.0f : 0.3f};
    fk->adamw(v->w, v->z, v->positive, v->x, n, &args);
}

static void run_adamw_8bit(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    static adamw_8bit_maps maps;
    const adamw_args args = {1e-3f, 0.9f, 0.999f,  1e-8f,
                             0.01f, 0.1f, 0.0316f, variant == 0 ? 1.0f : 0.3f};
    const adamw_8bit_state state = {v->s, v->u, v->positive, v->powers};
    dynamic_map_make(&maps.signs, true);
    dynamic_map_make(&maps.squares, false);
    fk->adamw_8bit(v->w, &state, v->x, n, &args, &maps);
}

static void run_sgd(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    fk->sgd(v->w, v->z, v->x, n, 0.01f, variant == 0 ? 0.0f : 0.9f, 0.1f, 0.5f);
}

static void run_to_bf16(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    (void)variant;
    fk->to_bf16(v->h, v->x, n);
}

static void run_from_bf16(const float_kernels *fk, numbers *v, int64_t n, int variant)
{
    (void)variant;
    fk->from_bf16(v->y, v->h, n);
}

static const struct entry {
    const char *name;
    run_fn *run;
    int variants;
} entries[] = {
    {"max_abs_bits", run_max_abs_bits, 1},
    {"max_abs_columns", run_max_abs_columns, 2},
    {"max_abs_bits_scaled", run_max_abs_bits_scaled, 1},
    {"quantize_s8", run_quantize_s8, 4},
    {"quantize_s16", run_quantize_s16, 4},
    {"tile_store_s32", run_tile_store_s32, 3},
    {"tile_store_f64", run_tile_store_f64, 3},
    {"tile_add", run_tile_add, 6},
    {"tile_join", run_tile_join, 2},
    {"add", run_add, 2},
    {"multiply", run_multiply, 2},
    {"rotate", run_rotate, 1},
    {"rotate_back", run_rotate_back, 1},
    {"rmsnorm_forward", run_rmsnorm_forward, 1},
    {"rmsnorm_backward", run_rmsnorm_backward, 2},
    {"dropout", run_dropout, 2},
    {"activation_forward", run_activation_forward, 10},
    {"activation_slope", run_activation_slope, 10},
    {"multiply_s8", run_multiply_s8, 2},
    {"multiply_s16", run_multiply_s16, 2},
    {"activation_backward", run_activation_backward, 10},
    {"softmax_forward", run_softmax_forward, 2},
    {"softmax_backward", run_softmax_backward, 2},
    {"layernorm_forward", run_layernorm_forward, 2},
    {"layernorm_backward", run_layernorm_backward, 2},
    {"norm_sums", run_norm_sums, 1},
    {"norm_divide", run_norm_divide, 4},
    {"norm_affine", run_norm_affine, 1},
    {"norm_grad_sums", run_norm_grad_sums, 1},
    {"norm_grad_input", run_norm_grad_input, 1},
    {"norm_grad_params", run_norm_grad_params, 1},
    {"accumulate", run_accumulate, 1},
    {"accumulate_s8", run_accumulate_s8, 1},
    {"accumulate_s16", run_accumulate_s16, 1},
    {"dequantize_s16", run_dequantize_s16, 2},
    {"sum_squares", run_sum_squares, 1},
    {"adamw", run_adamw, 2},
    {"adamw_8bit", run_adamw_8bit, 2},
    {"sgd", run_sgd, 2},
    {"to_bf16", run_to_bf16, 1},
    {"from_bf16", run_from_bf16, 1},
};

enum { ENTRIES = sizeof entries / sizeof entries[0] };

/* A new entry of the struct needs a line above. */
_Static_assert(sizeof(float_kernels) == sizeof(char *) + ENTRIES * sizeof(void (*)(void)),
               "every entry of struct float_kernels is run");

/* Elements from n on are as they were. */
static void check_ends(const struct entry *e, const numbers *before, const numbers *after,
                       int64_t n)
{
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        const size_t at = arrays[i].offset + (size_t)n * arrays[i].size;
        const size_t bytes = (size_t)(ROOM - n) * arrays[i].size;
        if (memcmp((const char *)before + at, (const char *)after + at, bytes) != 0)
            fail_msg("%s of %lld elements writes behind them (array %zu)", e->name, (long long)n,
                     i);
    }
}

static void compare_build(const float_kernels *fk)
{
    static numbers start, expected, found;
    static const int64_t sizes[] = {1,  2,  3,  7,  8,  9,  15,  16,  17,  31,   32,
                                    33, 47, 63, 64, 65, 77, 128, 255, 257, 1000, 1031};
    test_random r = test_random_make("builds");
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        fill(&start, &r);
        for (int i = 0; i < ENTRIES; i++)
            for (int variant = 0; variant < entries[i].variants; variant++) {
                memcpy(&expected, &start, sizeof start);
                memcpy(&found, &start, sizeof start);
                entries[i].run(generic, &expected, sizes[s], variant);
                entries[i].run(fk, &found, sizes[s], variant);
                check_ends(&entries[i], &start, &found, sizes[s]);
                if (sizes[s] > 30 && memcmp(&expected, &start, sizeof start) == 0)
                    fail_msg("%s of %lld elements does nothing", entries[i].name,
                             (long long)sizes[s]);
                if (memcmp(&expected, &found, sizeof found) != 0)
                    fail_msg("%s, %lld elements, mode %d: build %s differs from generic",
                             entries[i].name, (long long)sizes[s], variant, fk->name);
            }
    }
}

static void builds(void **state)
{
    (void)state;
    compare_build(generic);
#if defined(__x86_64__)
    if (cpu_features() & CPU_AVX2)
        compare_build(&float_kernels__avx2);
    if (cpu_features() & CPU_AVX512)
        compare_build(&float_kernels__avx512);
    printf("  avx2: %s, avx512: %s\n", cpu_features() & CPU_AVX2 ? "same bits" : "not run here",
           cpu_features() & CPU_AVX512 ? "same bits" : "not run here");
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(builds)};
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
