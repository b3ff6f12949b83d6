/*
 * Every GEMM kernel of every family against a plain int64 loop, by exact equality.
 *
 *   kcheck_gemm [--seed N] [--kernel FAMILY] [--filter AxB]            test, e.g. --filter 12x8
 *   kcheck_gemm --bench [--kernel FAMILY] [--filter TEXT-IN-NAME]      Gop/s and ns per element
 *
 * A case packs both operands panel by panel as the driver does (pieces, edges, offsets), multiplies
 * all pairs of panels and recombines the pieces.  Around that: garbage next to the source, outputs
 * filled with two different poisons (so that a byte left unwritten shows), canaries around them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "cpu/cpu_features.h"
#include "kernels/kernels.h"
#if defined(__x86_64__)
#include "support/amx_emulator.h"
#endif

enum { CANARY = 64, CANARY_BYTE = 0x5c };

typedef enum fill {
    FILL_ZERO,
    FILL_MAX,
    FILL_MIN, /* -max */
    FILL_ALTERNATING,
    FILL_SPARSE,
    FILL_RANDOM,
    FILLS,
} fill;

static const struct bits_class {
    int a, b;
} classes[] = {{8, 8},   {4, 4},   {12, 8}, {8, 12}, {10, 10}, {12, 12},
               {13, 12}, {13, 13}, {16, 8}, {8, 16}, {16, 16}};

enum { CLASSES = sizeof classes / sizeof classes[0] };

static uint64_t seed = 1, draws;
static const char *only_kernel, *filter = "";

static int64_t draw(int64_t n) /* 0 .. n-1 */
{
    return (int64_t)(rng_splitmix64(seed * UINT64_C(0x10001) + draws++) % (uint64_t)n);
}

static void *allocate(size_t bytes)
{
    void *p = malloc(bytes);
    assert_non_null(p);
    return p;
}

/* ----------------------------------------------------------------------------- operands ---- */

/* One operand: its values, and a source for packing that holds them inside of garbage. */
typedef struct operand {
    int bits, elem_bytes;
    bool transposed;
    fill how;
    int64_t rows, depth;
    int64_t first_row, first_depth;
    int16_t *values; /* [rows][depth] */
    void *storage;   /* exactly as long as the source, so that a sanitizer sees any overrun */
    pack_source src;
} operand;

static int16_t fill_value(fill how, int bits, int64_t i)
{
    int max = (1 << (bits - 1)) - 1;
    switch (how) {
    case FILL_ZERO:
        return 0;
    case FILL_MAX:
        return (int16_t)max;
    case FILL_MIN:
        return (int16_t)-max;
    case FILL_ALTERNATING:
        return (int16_t)(i % 2 == 0 ? max : -max);
    case FILL_SPARSE:
        return (int16_t)(draw(16) == 0 ? draw(2 * max + 1) - max : 0);
    default:
        return (int16_t)(draw(2 * max + 1) - max);
    }
}

static void put_element(const operand *x, int64_t at, int value)
{
    if (x->elem_bytes == 1)
        ((int8_t *)x->storage)[at] = (int8_t)value;
    else
        ((int16_t *)x->storage)[at] = (int16_t)value;
}

/* Fill in everything behind `depth`. */
static void make_operand(operand *x)
{
    x->first_row = draw(4);
    x->first_depth = draw(4);
    int64_t rows = x->first_row + x->rows, depths = x->first_depth + x->depth;
    int64_t lines = x->transposed ? depths : rows, length = x->transposed ? rows : depths;
    int64_t ld = length + draw(6), unaligned = draw(4);
    int64_t size = unaligned + (lines - 1) * ld + length;
    x->elem_bytes = x->bits <= 8 && draw(2) == 0 ? 1 : 2;
    x->storage = allocate((size_t)(size * x->elem_bytes));
    x->values = allocate((size_t)(x->rows * x->depth) * sizeof *x->values);
    for (int64_t i = 0; i < size; i++)
        put_element(x, i, i % 2 == 0 ? -77 : 101);
    for (int64_t r = 0; r < x->rows; r++) {
        for (int64_t d = 0; d < x->depth; d++) {
            int16_t value = fill_value(x->how, x->bits, d + r);
            int64_t row = x->first_row + r, depth = x->first_depth + d;
            x->values[r * x->depth + d] = value;
            put_element(x, unaligned + (x->transposed ? depth * ld + row : row * ld + depth),
                        value);
        }
    }
    x->src = (pack_source){(char *)x->storage + unaligned * x->elem_bytes, ld, x->elem_bytes,
                           x->transposed};
}

static void free_operand(operand *x)
{
    free(x->values);
    free(x->storage);
}

/* ------------------------------------------------------------------------ guarded output ---- */

/* 64-byte aligned bytes with canaries on both sides. */
static uint8_t *guarded_alloc(size_t bytes)
{
    uint8_t *p = aligned_alloc(64, bytes + 2 * CANARY);
    assert_non_null(p);
    memset(p, CANARY_BYTE, bytes + 2 * CANARY);
    return p + CANARY;
}

static void guarded_free(uint8_t *p, size_t bytes)
{
    for (size_t i = 0; i < CANARY; i++) {
        assert_int_equal(p[-1 - (ptrdiff_t)i], CANARY_BYTE);
        assert_int_equal(p[bytes + i], CANARY_BYTE);
    }
    free(p - CANARY);
}

/* Pack rows first .. of x twice over different poisons: every byte of the panel must be written. */
static uint8_t *pack_guarded(gemm_pack_fn *pack, size_t bytes, const operand *x, int64_t first,
                             int width, gemm_piece p)
{
    int64_t rows = x->rows - first < width ? x->rows - first : width;
    uint8_t *panel = guarded_alloc(bytes), *again = guarded_alloc(bytes);
    memset(panel, 0xaa, bytes);
    memset(again, 0x55, bytes);
    pack(panel, &x->src, x->first_row + first, rows, x->first_depth, x->depth, p);
    pack(again, &x->src, x->first_row + first, rows, x->first_depth, x->depth, p);
    assert_memory_equal(panel, again, bytes);
    guarded_free(again, bytes);
    return panel;
}

/* -------------------------------------------------------------------------------- a case ---- */

typedef struct gemm_case {
    const gemm_family *family;
    const gemm_kernel *kernel;
    operand a, b;
} gemm_case;

/* The pieces of side A or B, as kernels.h describes them; returns how many. */
static int list_pieces(const gemm_case *t, bool side_b, gemm_piece pieces[2])
{
    int bits = side_b ? t->b.bits : t->a.bits;
    bool split = t->kernel->max_piece_bits == 8 ? bits > 8 : side_b && t->a.bits + t->b.bits > 25;
    pieces[0] = split ? PIECE_HI : PIECE_ALL;
    pieces[1] = PIECE_LO;
    return split ? 2 : 1;
}

/* sum[i][j] += 2^(8 * highs) * the tile of one piece of A and one of B; first rows fa, fb. */
static void add_tile(const gemm_case *t, int64_t *sum, int64_t fa, int64_t fb, gemm_piece pa,
                     gemm_piece pb)
{
    const gemm_kernel *k = t->kernel;
    size_t bytes_a = gemm_panel_bytes_a(k, t->a.depth), bytes_b = gemm_panel_bytes_b(k, t->b.depth);
    size_t bytes_c = (size_t)(k->mr * k->nr) * sizeof(int32_t);
    uint8_t *a = pack_guarded(k->pack_a, bytes_a, &t->a, fa, k->mr, pa);
    uint8_t *b = pack_guarded(k->pack_b, bytes_b, &t->b, fb, k->nr, pb);
    uint8_t *c = guarded_alloc(bytes_c);
    int64_t scale = INT64_C(1) << (8 * ((pa == PIECE_HI) + (pb == PIECE_HI)));
    if (t->family->thread_begin != NULL)
        t->family->thread_begin();
    for (int run = 0; run < 2; run++) { /* the second tile of a run must not see the first */
        memset(c, 0xaa, bytes_c);
        k->tile[pa == PIECE_LO][pb == PIECE_LO]((int32_t *)(void *)c, a, b, t->a.depth);
    }
    if (t->family->thread_end != NULL)
        t->family->thread_end();
    for (int64_t i = 0; i < (int64_t)k->mr * k->nr; i++)
        sum[i] += scale * ((int32_t *)(void *)c)[i];
    guarded_free(a, bytes_a);
    guarded_free(b, bytes_b);
    guarded_free(c, bytes_c);
}

static int64_t expected_value(const gemm_case *t, int64_t i, int64_t j)
{
    int64_t sum = 0;
    if (i >= t->a.rows || j >= t->b.rows)
        return 0;
    for (int64_t d = 0; d < t->a.depth; d++)
        sum += (int64_t)t->a.values[i * t->a.depth + d] * t->b.values[j * t->b.depth + d];
    return sum;
}

static void fail_case(const gemm_case *t, int64_t i, int64_t j, int64_t expected, int64_t found)
{
    const operand *a = &t->a, *b = &t->b;
    fail_msg("%s %dx%d bits: c[%lld][%lld] is %lld, expected %lld; rows %lld and %lld, depth %lld, "
             "fills %d and %d, bytes %d and %d, %s and %s; --seed %llu",
             t->kernel->name, a->bits, b->bits, (long long)i, (long long)j, (long long)found,
             (long long)expected, (long long)a->rows, (long long)b->rows, (long long)a->depth,
             (int)a->how, (int)b->how, a->elem_bytes, b->elem_bytes,
             a->transposed ? "transposed" : "straight", b->transposed ? "transposed" : "straight",
             (unsigned long long)seed);
}

/* All pieces of the panels that begin at rows fa and fb. */
static void check_panels(const gemm_case *t, int64_t fa, int64_t fb)
{
    const gemm_kernel *k = t->kernel;
    gemm_piece pieces_a[2], pieces_b[2];
    int count_a = list_pieces(t, false, pieces_a), count_b = list_pieces(t, true, pieces_b);
    int64_t *sum = calloc((size_t)(k->mr * k->nr), sizeof *sum);
    assert_non_null(sum);
    for (int p = 0; p < count_a; p++)
        for (int r = 0; r < count_b; r++)
            add_tile(t, sum, fa, fb, pieces_a[p], pieces_b[r]);
    for (int64_t i = 0; i < k->mr; i++) {
        for (int64_t j = 0; j < k->nr; j++) {
            int64_t expected = expected_value(t, fa + i, fb + j);
            if (sum[i * k->nr + j] != expected)
                fail_case(t, fa + i, fb + j, expected, sum[i * k->nr + j]);
        }
    }
    free(sum);
}

static void check_case(gemm_case *t)
{
    make_operand(&t->a);
    make_operand(&t->b);
    for (int64_t fa = 0; fa < t->a.rows; fa += t->kernel->mr)
        for (int64_t fb = 0; fb < t->b.rows; fb += t->kernel->nr)
            check_panels(t, fa, fb);
    free_operand(&t->a);
    free_operand(&t->b);
}

/* ----------------------------------------------------------------------- lists of cases ---- */

static gemm_case new_case(const gemm_family *family, struct bits_class bits, int64_t rows_a,
                          int64_t rows_b, int64_t depth)
{
    gemm_case t = {.family = family};
    t.kernel = bits.a <= 8 && bits.b <= 8 ? family->narrow : family->wide;
    t.a = (operand){.bits = bits.a, .rows = rows_a, .depth = depth};
    t.b = (operand){.bits = bits.b, .rows = rows_b, .depth = depth};
    t.a.how = (fill)draw(FILLS);
    t.b.how = (fill)draw(FILLS);
    t.a.transposed = draw(2) == 0;
    t.b.transposed = draw(2) == 0;
    return t;
}

/* The largest chunk that a tile may be asked for: its sums must fit int32 (kernels.h). */
static int64_t largest_chunk(const gemm_kernel *kernel, struct bits_class bits)
{
    int64_t max_a = (1 << (bits.a - 1)) - 1, max_b = (1 << (bits.b - 1)) - 1;
    if (bits.a <= 8 && bits.b <= 8)
        return 131072;
    if (kernel->max_piece_bits == 8)
        return 32768;
    if (bits.a + bits.b > 25)
        max_b = 255;
    return INT32_MAX / (max_a * max_b) / kernel->depth_step * kernel->depth_step;
}

/* Rows 1 .. tile + 1 on each side, all four orientations, small depths. */
static void check_rows(const gemm_family *family, struct bits_class bits)
{
    const gemm_kernel *k = new_case(family, bits, 1, 1, 1).kernel;
    for (int64_t rows = 1; rows <= (k->mr > k->nr ? k->mr : k->nr) + 1; rows++) {
        for (int orientation = 0; orientation < 4; orientation++) {
            int64_t rows_a = rows <= k->mr + 1 ? rows : 1 + draw(k->mr);
            int64_t rows_b = rows <= k->nr + 1 && rows > k->mr + 1 ? rows : 1 + draw(k->nr + 1);
            gemm_case t = new_case(family, bits, rows_a, rows_b, 1 + draw(90));
            t.a.transposed = (orientation & 1) != 0;
            t.b.transposed = (orientation & 2) != 0;
            check_case(&t);
        }
    }
}

/* Depths 1 .. step + 1 and some primes, all orientations, full tiles. */
static void check_depths(const gemm_family *family, struct bits_class bits)
{
    static const int64_t primes[] = {31, 61, 67, 127, 131, 251};
    const gemm_kernel *k = new_case(family, bits, 1, 1, 1).kernel;
    for (int64_t i = 1; i <= k->depth_step + 1 + 6; i++) {
        int64_t depth = i <= k->depth_step + 1 ? i : primes[i - k->depth_step - 2];
        for (int orientation = 0; orientation < 4; orientation++) {
            gemm_case t = new_case(family, bits, k->mr, k->nr, depth);
            t.a.transposed = (orientation & 1) != 0;
            t.b.transposed = (orientation & 2) != 0;
            check_case(&t);
        }
    }
}

/* The longest chunk, every pair of fills that is the worst for some sign, and every fill once. */
static void check_chunk(const gemm_family *family, struct bits_class bits)
{
    static const fill pairs[][2] = {
        {FILL_ZERO, FILL_MAX},      {FILL_MAX, FILL_MAX},
        {FILL_MAX, FILL_MIN},       {FILL_MIN, FILL_MAX},
        {FILL_MIN, FILL_MIN},       {FILL_ALTERNATING, FILL_ALTERNATING},
        {FILL_SPARSE, FILL_RANDOM}, {FILL_RANDOM, FILL_SPARSE},
        {FILL_RANDOM, FILL_RANDOM}};
    const gemm_kernel *k = new_case(family, bits, 1, 1, 1).kernel;
    int64_t chunk = largest_chunk(k, bits);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        bool small = chunk > 4096; /* keep the int64 loop of the check short */
        gemm_case t = new_case(family, bits, small ? 3 : k->mr, small ? 5 : k->nr, chunk);
        t.a.how = pairs[i][0];
        t.b.how = pairs[i][1];
        check_case(&t);
    }
}

/* A strip of every number of panels is their tiles, one above the other, and nothing else. */
static void check_strip_of(const gemm_kernel *k, int64_t panels, int64_t depth, fill how)
{
    operand a = {.bits = 8, .how = how, .rows = panels * k->mr, .depth = depth};
    operand b = {.bits = 8, .how = FILL_RANDOM, .rows = k->nr, .depth = depth};
    const size_t bytes_a = gemm_panel_bytes_a(k, depth), bytes_b = gemm_panel_bytes_b(k, depth);
    const size_t tile_bytes = (size_t)(k->mr * k->nr) * sizeof(int32_t);
    uint8_t *all = guarded_alloc(bytes_a * (size_t)panels);
    uint8_t *strip = guarded_alloc(tile_bytes * (size_t)panels), *tile = guarded_alloc(tile_bytes);
    make_operand(&a);
    make_operand(&b);
    uint8_t *panel_b = pack_guarded(k->pack_b, bytes_b, &b, 0, k->nr, PIECE_ALL);
    for (int64_t i = 0; i < panels; i++)
        k->pack_a(all + (size_t)i * bytes_a, &a.src, a.first_row + i * k->mr, k->mr, a.first_depth,
                  depth, PIECE_ALL);
    memset(strip, 0xaa, tile_bytes * (size_t)panels);
    k->strip((int32_t *)(void *)strip, all, bytes_a, panels, panel_b, depth);
    for (int64_t i = 0; i < panels; i++) {
        k->tile[0][0]((int32_t *)(void *)tile, all + (size_t)i * bytes_a, panel_b, depth);
        assert_memory_equal(strip + (size_t)i * tile_bytes, tile, tile_bytes);
    }
    guarded_free(all, bytes_a * (size_t)panels);
    guarded_free(strip, tile_bytes * (size_t)panels);
    guarded_free(tile, tile_bytes);
    guarded_free(panel_b, bytes_b);
    free_operand(&a);
    free_operand(&b);
}

static void check_strips(const gemm_kernel *k)
{
    static const int64_t depths[] = {1, 3, 64, 383, 384, 385, 1000, 4097};
    for (int64_t panels = 1; panels <= k->strip_panels; panels++)
        for (size_t i = 0; i < sizeof depths / sizeof depths[0]; i++)
            check_strip_of(k, panels, depths[i], i % 2 == 0 ? FILL_RANDOM : FILL_MIN);
}

static bool family_runs_here(const gemm_family *family)
{
    return (family->features & ~cpu_features()) == 0 &&
           (only_kernel == NULL || strcmp(only_kernel, family->name) == 0);
}

static void check_family(void **state)
{
    const gemm_family *family = *state;
#if defined(__x86_64__)
    (void)amx_emulator_install(); /* if it fails, the family is skipped like any other */
#endif
    if (!family_runs_here(family))
        skip();
    for (int i = 0; i < CLASSES; i++) {
        char name[16];
        snprintf(name, sizeof name, "%dx%d", classes[i].a, classes[i].b);
        if (strstr(name, filter) == NULL)
            continue;
        check_rows(family, classes[i]);
        check_depths(family, classes[i]);
        check_chunk(family, classes[i]);
    }
    if (family->narrow->strip != NULL)
        check_strips(family->narrow);
}

/* What the driver relies on when it sizes its buffers. */
static void check_contract(void **state)
{
    int count = 0;
    const gemm_family *const *families = kernels_families(&count);
    (void)state;
    for (int f = 0; f < count; f++) {
        const gemm_kernel *both[2] = {families[f]->narrow, families[f]->wide};
        for (int w = 0; w < 2; w++) {
            const gemm_kernel *k = both[w];
            assert_in_range(k->mr, 1, 64);
            assert_in_range(k->nr, 1, 64);
            assert_true(k->max_piece_bits == 8 || k->max_piece_bits == 16);
            if (k->strip != NULL)
                assert_in_range(k->strip_panels * k->mr * k->nr, 1, 64 * 64);
            assert_int_equal(k->header_a % 64, 0);
            assert_int_equal(k->header_b % 64, 0);
            for (int64_t depth = 1; depth < 300; depth++) {
                int64_t padded = (depth + k->depth_step - 1) / k->depth_step * k->depth_step;
                size_t least = k->header_b + (size_t)(padded * k->nr * k->elem_bytes_b);
                size_t bytes = gemm_panel_bytes_b(k, depth);
                assert_int_equal(bytes % 64, 0);
                assert_true(bytes >= least && bytes < least + 64);
            }
            for (int i = 0; i < 4; i++)
                assert_true((w == 0 && i > 0) || k->tile[i / 2][i % 2] != NULL);
        }
    }
}

/* -------------------------------------------------------------------------------- bench ---- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Best of some runs over 128 KB of A panels (L2) and one B panel at a time (L1). */
static void bench_tile(const gemm_kernel *k, int64_t depth)
{
    enum { PANELS_B = 4, RUNS = 15 };
    size_t bytes_a = gemm_panel_bytes_a(k, depth), bytes_b = gemm_panel_bytes_b(k, depth);
    size_t panels_a = 131072 / bytes_a > 0 ? 131072 / bytes_a : 1;
    const size_t step = k->strip != NULL ? (size_t)k->strip_panels : 1;
    size_t bytes_c = step * (size_t)(k->mr * k->nr) * sizeof(int32_t);
    uint8_t *a = guarded_alloc(bytes_a * panels_a), *b = guarded_alloc(bytes_b * PANELS_B);
    uint8_t *c = guarded_alloc(bytes_c);
    double best = 1e9, ops = 2.0 * k->mr * k->nr * (double)depth * (double)panels_a * PANELS_B;
    for (int run = 0; run < RUNS; run++) {
        double start = seconds();
        for (size_t j = 0; j < PANELS_B; j++)
            for (size_t i = 0; i < panels_a; i += step)
                if (k->strip != NULL)
                    k->strip((int32_t *)(void *)c, a + i * bytes_a, bytes_a,
                             (int64_t)(panels_a - i < step ? panels_a - i : step), b + j * bytes_b,
                             depth);
                else
                    k->tile[0][0]((int32_t *)(void *)c, a + i * bytes_a, b + j * bytes_b, depth);
        double t = seconds() - start;
        best = t < best ? t : best;
    }
    printf("%-36s K %5lld  %8.1f Gop/s\n", k->name, (long long)depth, 1e-9 * ops / best);
    guarded_free(a, bytes_a * panels_a);
    guarded_free(b, bytes_b * PANELS_B);
    guarded_free(c, bytes_c);
}

/* Best of some packings of a 768 x 768 matrix. */
static void bench_pack(const gemm_kernel *k, bool side_b, pack_source src, gemm_piece p)
{
    enum { N = 768, RUNS = 7 };
    static const char *const names[] = {"all", "high", "low"};
    gemm_pack_fn *pack = side_b ? k->pack_b : k->pack_a;
    int width = side_b ? k->nr : k->mr;
    size_t bytes = side_b ? gemm_panel_bytes_b(k, N) : gemm_panel_bytes_a(k, N);
    size_t panels = (size_t)((N + width - 1) / width);
    uint8_t *dst = guarded_alloc(bytes * panels);
    double best = 1e9;
    for (int run = 0; run < RUNS; run++) {
        double start = seconds();
        for (int64_t i = 0; i * width < N; i++)
            pack(dst + (size_t)i * bytes, &src, i * width,
                 N - i * width < width ? N - i * width : width, 0, N, p);
        double t = seconds() - start;
        best = t < best ? t : best;
    }
    printf("%-36s pack %c int%-2d %-10s %-4s %6.3f ns/element\n", k->name, side_b ? 'b' : 'a',
           8 * src.elem_bytes, src.transposed ? "transposed" : "straight", names[p],
           1e9 * best / N / N);
    guarded_free(dst, bytes * panels);
}

static void bench_kernel(const gemm_kernel *k)
{
    enum { N = 768 };
    int16_t *source = allocate(N * N * sizeof *source);
    memset(source, 3, N * N * sizeof *source);
    bench_tile(k, 256);
    bench_tile(k, 768);
    for (int i = 0; i < 16; i++) {
        bool side_b = (i & 1) != 0, transposed = (i & 2) != 0;
        int elem_bytes = (i & 12) == 0 ? 1 : 2;
        gemm_piece p = (gemm_piece)(i / 4 > 1 ? i / 4 - 1 : 0);
        bench_pack(k, side_b, (pack_source){source, N, elem_bytes, transposed}, p);
    }
    free(source);
}

static void bench_family(const gemm_family *family)
{
    const gemm_kernel *both[2] = {family->narrow, family->wide};
    if (family->thread_begin != NULL)
        family->thread_begin();
    for (int w = 0; w < 2; w++)
        if ((w == 0 || both[1] != both[0]) && strstr(both[w]->name, filter) != NULL)
            bench_kernel(both[w]);
    if (family->thread_end != NULL)
        family->thread_end();
}

/* --------------------------------------------------------------------------------- main ---- */

static bool parse_arguments(int argc, char **argv, bool *bench)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--bench") == 0) {
            *bench = true;
            continue;
        }
        if (value == NULL)
            return false;
        if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--kernel") == 0)
            only_kernel = value;
        else if (strcmp(argv[i], "--filter") == 0)
            filter = value;
        else
            return false;
        i++;
    }
    return true;
}

static void bench_all(void)
{
    int count = 0;
    const gemm_family *const *families = kernels_families(&count);
    for (int i = 0; i < count; i++)
        if (family_runs_here(families[i]))
            bench_family(families[i]);
}

int main(int argc, char **argv)
{
    bool bench = false;
    int count = 0;
    const gemm_family *const *families = kernels_families(&count);
    struct CMUnitTest tests[8] = {{.name = "contract", .test_func = check_contract}};
    if (!parse_arguments(argc, argv, &bench)) {
        fprintf(stderr, "usage: %s [--bench] [--seed N] [--kernel FAMILY] [--filter TEXT]\n",
                argv[0]);
        return 2;
    }
    if (bench) { /* what this processor can do by itself: an emulator's speed says nothing */
        bench_all();
        return 0;
    }
    printf("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < count; i++)
        tests[1 + i] = (struct CMUnitTest){.name = families[i]->name,
                                           .test_func = check_family,
                                           .initial_state = (void *)(uintptr_t)families[i]};
    return _cmocka_run_group_tests("kcheck_gemm", tests, (size_t)count + 1, NULL, NULL);
}
