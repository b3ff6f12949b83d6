/*
 * bench_kernels: rates of whole integer products at the shapes of BERT, beside what the processor
 * can do at most.
 *
 *   bench_kernels [--all] [--bits 8x8,12x8,16x16] [--filter TEXT] [--threads N] [--repeats N]
 *                 [--tokens N] [--min_ms N] [--json]
 *
 *   --all      every family that runs here, not only the one in use
 *   --bits     widths of A x B; a step of a12w8 has 12x8 in Y and dX, and 12x12 in dW
 *   --filter   products whose line holds TEXT
 *   --tokens   rows of a batch in the products of layers
 *   --min_ms   a repeat of a part lasts at least that long
 *
 * An operation is a multiplication or an addition of the product itself: 2 m n k of them, however
 * many pieces a kernel needs.  "bare" is gemm_run with both operands packed; "packed" has the time
 * of packing both in it.  Every repeat visits all loops and all products once; medians.
 *
 * Peak: the kernel's instruction in a loop without memory, divided by the pieces that the product
 * needs.  Roofline: the smaller of that peak and bandwidth times intensity.  Intensity is
 * operations by bytes, where both packed operands are read once and C is read and written once
 * (a line of a cache is read before it is written); bandwidth is that of reading from the smallest
 * level that holds all of this.  It is a bound for a GEMM that reads everything once: ours reads B
 * again for each block of A.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cpu/cpu_features.h"
#include "peak.h"
#include "tensor/gemm.h"

enum { MAX_REPEATS = 101, MAX_UNITS = 8, MAX_BITS = 8, MAX_CASES = 1024, LEVELS = 3, WINDOWS = 5 };

typedef enum part {
    PACK_A,
    PACK_B,
    RUN,
    PARTS,
} part;

/* C[m][n] = A[m][k] B[n][k]^T, or `count` of them, one thread each (attention's heads). */
typedef struct product {
    char name[40];
    int64_t m, n, k, count;
    bool a_transposed, b_transposed;
} product;

/* One product of one family and pair of widths. */
typedef struct bench_case {
    product p;
    const gemm_family *family;
    gemm_plan plan;
    int bits[2];
    int64_t times[PARTS]; /* within one repeat */
    double seconds[PARTS][MAX_REPEATS];
} bench_case;

typedef struct settings {
    const char *filter;
    int bits[MAX_BITS][2], pairs;
    int threads, repeats;
    int64_t tokens;
    double min_seconds;
    bool all, json;
} settings;

/* Storage that all cases share, one after the other. */
typedef struct bench {
    mts_ctx ctx;
    settings o;
    bench_case *cases;
    int count;
    void *source[FORMAT_MAX_BITS + 1]; /* random mantissas of each width in use: A's, then B's */
    int64_t source_a, source_b;        /* elements for each side */
    float *c;
    arena operands;
    gemm_operand *a, *b; /* [count of the product] */
    double peak[MAX_UNITS][MAX_REPEATS], read[LEVELS][MAX_REPEATS];
    size_t level_bytes[LEVELS];
    int64_t level_passes[LEVELS];
    uint8_t *read_data;
} bench;

static const char *const level_names[LEVELS] = {"L2", "L3", "DRAM"};

static void die(const bench *b, const char *what)
{
    fprintf(stderr, "bench_kernels: %s: %s\n", what, b->ctx.error);
    exit(1);
}

static int compare_double(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *v, int n)
{
    double sorted[MAX_REPEATS];
    memcpy(sorted, v, (size_t)n * sizeof *v);
    qsort(sorted, (size_t)n, sizeof *sorted, compare_double);
    return n % 2 == 1 ? sorted[n / 2] : 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]);
}

/* ---------------------------------------------------------------------------- the products ---- */

static void add_case(bench *b, const product *p, const gemm_family *family, const int *bits)
{
    const gemm_plan plan = gemm_plan_make(family, bits[GEMM_A], bits[GEMM_B], false);
    char line[400];
    snprintf(line, sizeof line, "%s %dx%d %s", p->name, bits[0], bits[1], plan.kernel->name);
    if (strstr(line, b->o.filter) == NULL)
        return;
    if (b->count == MAX_CASES) {
        fprintf(stderr, "bench_kernels: more than %d products; use --filter\n", MAX_CASES);
        exit(2);
    }
    b->cases[b->count] = (bench_case){.p = *p, .family = family, .plan = plan};
    b->cases[b->count].bits[GEMM_A] = bits[GEMM_A];
    b->cases[b->count].bits[GEMM_B] = bits[GEMM_B];
    b->count++;
}

/* The same product in all pairs of widths. */
static void add_product(bench *b, const gemm_family *family, const product *p)
{
    for (int i = 0; i < b->o.pairs; i++)
        add_case(b, p, family, b->o.bits[i]);
}

/* Forward and both gradients of a linear layer: X[t][in], W[out][in], G[t][out]. */
static void add_linear(bench *b, const gemm_family *family, const char *model, const char *layer,
                       int64_t out, int64_t in)
{
    const int64_t t = b->o.tokens;
    product y = {.m = t, .n = out, .k = in, .count = 1};
    product dx = {.m = t, .n = in, .k = out, .count = 1, .b_transposed = true};
    product dw = {
        .m = out, .n = in, .k = t, .count = 1, .a_transposed = true, .b_transposed = true};
    snprintf(y.name, sizeof y.name, "%s %s Y=XW^T", model, layer);
    snprintf(dx.name, sizeof dx.name, "%s %s dX=GW", model, layer);
    snprintf(dw.name, sizeof dw.name, "%s %s dW=G^TX", model, layer);
    add_product(b, family, &y);
    add_product(b, family, &dx);
    add_product(b, family, &dw);
}

/* Products of all heads of 32 sequences of 128 tokens, dh wide. */
static void add_attention(bench *b, const gemm_family *family, const char *model, int64_t dh)
{
    const int64_t l = 128, count = 32 * 12;
    product s = {.m = l, .n = l, .k = dh, .count = count};
    product c = {.m = l, .n = dh, .k = l, .count = count, .b_transposed = true};
    product dv = c;
    dv.a_transposed = true;
    snprintf(s.name, sizeof s.name, "%s attention S=QK^T", model);
    snprintf(c.name, sizeof c.name, "%s attention C=PV", model);
    snprintf(dv.name, sizeof dv.name, "%s attention dV=P^TdC", model);
    add_product(b, family, &s);
    add_product(b, family, &c);
    add_product(b, family, &dv);
}

static void add_model(bench *b, const gemm_family *family, const char *name, int64_t width)
{
    add_linear(b, family, name, "qkv", 3 * width, width);
    add_linear(b, family, name, "out", width, width);
    add_linear(b, family, name, "up", 4 * width, width);
    add_linear(b, family, name, "down", width, 4 * width);
    add_attention(b, family, name, width / 12);
}

static void add_thin(bench *b, const gemm_family *family)
{
    const product thin[] = {
        {.name = "classifier N=2", .m = 32, .n = 2, .k = 768, .count = 1},
        {.name = "rank 16 down", .m = b->o.tokens, .n = 16, .k = 768, .count = 1},
        {.name = "rank 16 up", .m = b->o.tokens, .n = 768, .k = 16, .count = 1},
        {.name = "vocabulary M=128", .m = 128, .n = 30522, .k = 768, .count = 1},
    };
    for (size_t i = 0; i < sizeof thin / sizeof thin[0]; i++)
        add_product(b, family, &thin[i]);
}

static void add_cases(bench *b)
{
    const gemm_family *chosen;
    int count;
    const gemm_family *const *families = kernels_families(&count);
    if (kernels_select(&b->ctx, &chosen) != MTS_OK)
        die(b, "family");
    for (int i = 0; i < count; i++) {
        const bool runs = (families[i]->features & ~cpu_features()) == 0;
        if (families[i] != chosen && !(b->o.all && runs))
            continue;
        add_model(b, families[i], "base", 768);
        add_model(b, families[i], "minilm", 384);
        add_thin(b, families[i]);
    }
}

/* ----------------------------------------------------------------------------- the storage ---- */

static void grow(int64_t *most, int64_t value)
{
    *most = *most > value ? *most : value;
}

static size_t operand_bytes(const bench_case *k, gemm_side side)
{
    const product *p = &k->p;
    arena a;
    gemm_operand op;
    arena_measure(&a);
    gemm_operand_bind(&op, &a, &k->plan, side, side == GEMM_A ? p->m : p->n, p->k, false);
    return a.used;
}

static void make_source(bench *b, int bits)
{
    const int64_t count = b->source_a + b->source_b;
    const int32_t limit = format_limit(bits);
    if (b->source[bits] != NULL)
        return;
    if (mem_calloc(&b->ctx, &b->source[bits], (size_t)count, (size_t)format_elem_bytes(bits),
                   "mantissas") != MTS_OK)
        die(b, "memory");
    for (int64_t i = 0; i < count; i++) {
        const uint64_t draw = rng_splitmix64((uint64_t)i);
        const int32_t value = (int32_t)(draw % (uint64_t)(2 * limit + 1)) - limit;
        if (format_elem_bytes(bits) == 1)
            ((int8_t *)b->source[bits])[i] = (int8_t)value;
        else
            ((int16_t *)b->source[bits])[i] = (int16_t)value;
    }
}

static void make_read_data(bench *b)
{
    const size_t l2 = peak_cache_bytes(2), l3 = peak_cache_bytes(3);
    const size_t all_l2 = l2 * (size_t)b->o.threads, least = (size_t)256 << 20;
    b->level_bytes[0] = all_l2 / 2;
    b->level_bytes[1] = l3 / 2 > 2 * all_l2 ? l3 / 2 : 2 * all_l2;
    b->level_bytes[2] = 4 * l3 < least ? least : 4 * l3;
    if (mem_calloc(&b->ctx, &b->read_data, b->level_bytes[2], 1, "memory to read") != MTS_OK)
        die(b, "memory");
    memset(b->read_data, 1, b->level_bytes[2]); /* else every page is the one page of zeros */
}

static void allocate(bench *b)
{
    int64_t c = 0, count = 1, bytes = 0;
    for (int i = 0; i < b->count; i++) {
        const bench_case *k = &b->cases[i];
        const product *p = &k->p;
        grow(&b->source_a, p->count * p->m * p->k);
        grow(&b->source_b, p->count * p->n * p->k);
        grow(&c, p->count * p->m * p->n);
        grow(&count, p->count);
        grow(&bytes, p->count * (int64_t)(operand_bytes(k, GEMM_A) + operand_bytes(k, GEMM_B)));
    }
    for (int i = 0; i < b->count; i++) {
        make_source(b, b->cases[i].bits[GEMM_A]);
        make_source(b, b->cases[i].bits[GEMM_B]);
    }
    if (mem_calloc(&b->ctx, &b->c, (size_t)c, sizeof *b->c, "C") != MTS_OK ||
        mem_calloc(&b->ctx, &b->a, (size_t)count, sizeof *b->a, "A") != MTS_OK ||
        mem_calloc(&b->ctx, &b->b, (size_t)count, sizeof *b->b, "B") != MTS_OK ||
        arena_init(&b->ctx, &b->operands, (size_t)bytes, "operands") != MTS_OK)
        die(b, "memory");
    make_read_data(b);
}

/* ------------------------------------------------------------------------------- one visit ---- */

static exec make_exec(const bench_case *k, int threads)
{
    return (exec){.family = k->family,
                  .fk = float_kernels_for(k->family),
                  .format = {.kind = FORMAT_DFP},
                  .threads = threads};
}

/* Pack one side of one product into `storage`; alone on all threads, or on this one. */
static void pack_one(bench *b, const bench_case *k, gemm_side side, int64_t index, arena *storage)
{
    const product *p = &k->p;
    const bool transposed = side == GEMM_A ? p->a_transposed : p->b_transposed;
    const int64_t rows = side == GEMM_A ? p->m : p->n;
    const int bits = k->bits[side];
    float one = 1.0f;
    gemm_operand *op = (side == GEMM_A ? b->a : b->b) + index;
    const int64_t first = (side == GEMM_A ? 0 : b->source_a) + index * rows * p->k;
    uint8_t *q = (uint8_t *)b->source[bits] + first * format_elem_bytes(bits);
    const int64_t lines = transposed ? p->k : rows, length = transposed ? rows : p->k;
    exec ex = make_exec(k, b->o.threads);
    if (p->count == 1) {
        const qmatrix m = {lines, length, bits, GROUP_TENSOR, q, &one};
        gemm_pack(&ex, op, storage, &k->plan, side, &m, transposed);
    } else {
        const qview view = {q, lines, length, length, bits, one, NULL};
        gemm_pack_view(&ex, op, storage, &k->plan, side, &view, transposed);
    }
}

static void pack_all(bench *b, const bench_case *k, gemm_side side)
{
    const int64_t bytes_a = (int64_t)operand_bytes(k, GEMM_A);
    const int64_t bytes = (int64_t)operand_bytes(k, side);
    uint8_t *first = b->operands.base + (side == GEMM_A ? 0 : k->p.count * bytes_a);
    if (k->p.count == 1) {
        arena storage = {.base = first, .bytes = (size_t)bytes};
        pack_one(b, k, side, 0, &storage);
        return;
    }
#pragma omp parallel for num_threads(b->o.threads) schedule(dynamic)
    for (int64_t i = 0; i < k->p.count; i++) {
        arena storage = {.base = first + i * bytes, .bytes = (size_t)bytes};
        pack_one(b, k, side, i, &storage);
    }
}

static void run_all(bench *b, const bench_case *k)
{
    const product *p = &k->p;
    exec ex = make_exec(k, b->o.threads);
    if (p->count == 1) {
        gemm_run(&ex, b->c, p->n, &b->a[0], &b->b[0], NULL, false);
        return;
    }
#pragma omp parallel for num_threads(b->o.threads) schedule(dynamic)
    for (int64_t i = 0; i < p->count; i++)
        gemm_run_serial(&ex, b->c + i * p->m * p->n, p->n, &b->a[i], &b->b[i], NULL, false);
}

/* Seconds of doing a part `times` times. */
static double time_part(bench *b, const bench_case *k, part which, int64_t times)
{
    const double start = peak_now();
    for (int64_t i = 0; i < times; i++) {
        if (which == RUN)
            run_all(b, k);
        else
            pack_all(b, k, which == PACK_A ? GEMM_A : GEMM_B);
    }
    return peak_now() - start;
}

static int64_t times_for(double one, double wanted)
{
    const double times = one > 0.0 ? wanted / one : 1e6;
    return times < 1.0 ? 1 : times > 1e6 ? 1000000 : (int64_t)times + 1;
}

/* Find out how often to repeat a part so that it lasts long enough; warms up at the same time. */
static void calibrate(bench *b)
{
    for (int i = 0; i < b->count; i++)
        for (part which = PACK_A; which < PARTS; which++) {
            bench_case *k = &b->cases[i];
            time_part(b, k, which, 1);
            k->times[which] = times_for(time_part(b, k, which, 1), b->o.min_seconds);
        }
    for (int level = 0; level < LEVELS; level++) {
        const size_t bytes = b->level_bytes[level];
        const double rate = peak_read(b->read_data, bytes, 1, b->o.threads);
        b->level_passes[level] = times_for((double)bytes / rate, b->o.min_seconds);
    }
}

static bool unit_runs(const peak_unit *unit)
{
    return unit->loop != NULL && (unit->features & ~cpu_features()) == 0;
}

static void repeat_all(bench *b, int repeat)
{
    int units;
    const peak_unit *unit = peak_units(&units);
    for (int u = 0; u < units; u++) {
        double windows[WINDOWS];
        for (int w = 0; unit_runs(&unit[u]) && w < WINDOWS; w++)
            windows[w] = peak_run(&unit[u], b->o.threads);
        b->peak[u][repeat] = unit_runs(&unit[u]) ? median(windows, WINDOWS) : 0.0;
    }
    for (int level = 0; level < LEVELS; level++)
        b->read[level][repeat] =
            peak_read(b->read_data, b->level_bytes[level], b->level_passes[level], b->o.threads);
    for (int i = 0; i < b->count; i++) {
        bench_case *k = &b->cases[i];
        for (part which = PACK_A; which < PARTS; which++)
            k->seconds[which][repeat] =
                time_part(b, k, which, k->times[which]) / (double)k->times[which];
    }
}

/* ---------------------------------------------------------------------------------- report ---- */

/* Operations per second of the product's unit, or 0 if none is known. */
static double peak_of(const bench *b, const bench_case *k)
{
    int units;
    const peak_unit *first = peak_units(&units), *unit = peak_unit_of(k->plan.kernel);
    if (unit == NULL)
        return 0.0;
    return median(b->peak[unit - first], b->o.repeats) /
           (k->plan.pieces[GEMM_A] * k->plan.pieces[GEMM_B]);
}

/* The bound by memory, and which level it reads from. */
static double memory_bound(const bench *b, const bench_case *k, int *level)
{
    const product *p = &k->p;
    const double count = (double)p->count, operations = 2.0 * (double)(p->m * p->n * p->k) * count;
    const double bytes = count * ((double)(operand_bytes(k, GEMM_A) + operand_bytes(k, GEMM_B)) +
                                  2.0 * sizeof(float) * (double)(p->m * p->n));
    const double held = bytes - count * sizeof(float) * (double)(p->m * p->n);
    *level = held <= (double)peak_cache_bytes(2) * b->o.threads ? 0
             : held <= (double)peak_cache_bytes(3)              ? 1
                                                                : 2;
    return median(b->read[*level], b->o.repeats) * operations / bytes;
}

static void print_case(const bench *b, const bench_case *k)
{
    const product *p = &k->p;
    const double operations = 2.0 * (double)(p->m * p->n * p->k * p->count) * 1e-9;
    double seconds[PARTS];
    int level;
    for (part which = PACK_A; which < PARTS; which++)
        seconds[which] = median(k->seconds[which], b->o.repeats);
    const double bare = operations / seconds[RUN];
    const double packed = operations / (seconds[PACK_A] + seconds[PACK_B] + seconds[RUN]);
    const double peak = 1e-9 * peak_of(b, k), memory = 1e-9 * memory_bound(b, k, &level);
    const double roof = peak > 0.0 && peak < memory ? peak : memory;
    if (b->o.json) {
        printf("{\"product\": \"%s\", \"m\": %lld, \"n\": %lld, \"k\": %lld, \"count\": %lld, "
               "\"bits_a\": %d, \"bits_b\": %d, \"family\": \"%s\", \"kernel\": \"%s\", "
               "\"threads\": %d, \"repeats\": %d, \"pack_a_s\": %.9f, \"pack_b_s\": %.9f, "
               "\"run_s\": %.9f, \"bare_gops\": %.2f, \"packed_gops\": %.2f, \"peak_gops\": %.2f, "
               "\"roofline_gops\": %.2f, \"level\": \"%s\"}\n",
               p->name, (long long)p->m, (long long)p->n, (long long)p->k, (long long)p->count,
               k->bits[0], k->bits[1], k->family->name, k->plan.kernel->name, b->o.threads,
               b->o.repeats, seconds[PACK_A], seconds[PACK_B], seconds[RUN], bare, packed, peak,
               roof, level_names[level]);
        return;
    }
    printf("%-26s %6lld %6lld %5lld %4lld %3dx%-3d %8.1f %8.1f ", p->name, (long long)p->m,
           (long long)p->n, (long long)p->k, (long long)p->count, k->bits[0], k->bits[1], bare,
           packed);
    if (peak > 0.0)
        printf("%8.1f %4.0f %%", peak, 100.0 * bare / peak);
    else
        printf("%8s %6s", "-", "-");
    printf(" %9.1f %-6s", roof, roof < peak || peak <= 0.0 ? level_names[level] : "unit");
    printf(" %s, %d x %d pieces\n", k->plan.kernel->name, k->plan.pieces[GEMM_A],
           k->plan.pieces[GEMM_B]);
}

static void print_peaks(const bench *b)
{
    int units;
    const peak_unit *unit = peak_units(&units);
    for (int u = 0; u < units; u++) {
        const double rate = 1e-9 * median(b->peak[u], b->o.repeats);
        if (!unit_runs(&unit[u]))
            continue;
        if (b->o.json)
            printf("{\"unit\": \"%s\", \"threads\": %d, \"gops\": %.2f}\n", unit[u].name,
                   b->o.threads, rate);
        else
            printf("%-26s %8.1f Gop/s, registers only\n", unit[u].name, rate);
    }
    for (int level = 0; level < LEVELS; level++) {
        const double rate = 1e-9 * median(b->read[level], b->o.repeats);
        if (b->o.json)
            printf("{\"read\": \"%s\", \"bytes\": %zu, \"threads\": %d, \"gbytes_per_s\": %.2f}\n",
                   level_names[level], b->level_bytes[level], b->o.threads, rate);
        else
            printf("read %-21s %8.1f GB/s, %zu KiB\n", level_names[level], rate,
                   b->level_bytes[level] >> 10);
    }
}

static void report(const bench *b)
{
    print_peaks(b);
    if (!b->o.json)
        printf("\nGop/s, medians of %d repeats, %d threads\n%-26s %6s %6s %5s %4s %7s %8s %8s %8s "
               "%6s %9s\n",
               b->o.repeats, b->o.threads, "product", "m", "n", "k", "of", "bits", "bare", "packed",
               "peak", "share", "roofline");
    for (int i = 0; i < b->count; i++)
        print_case(b, &b->cases[i]);
}

/* ------------------------------------------------------------------------------------ main ---- */

/* "8x8,12x8" */
static bool parse_pairs(settings *o, const char *text)
{
    int used = 0;
    for (o->pairs = 0; o->pairs < MAX_BITS; text += used + 1) {
        int *bits = o->bits[o->pairs++];
        if (sscanf(text, "%2dx%2d%n", &bits[0], &bits[1], &used) != 2)
            return false;
        for (int side = 0; side < 2; side++)
            if (bits[side] < FORMAT_MIN_BITS || bits[side] > FORMAT_MAX_BITS)
                return false;
        if (text[used] != ',')
            return text[used] == '\0';
    }
    return false;
}

static bool set_option(settings *o, const char *key, const char *value)
{
    if (strcmp(key, "--bits") == 0)
        return parse_pairs(o, value);
    if (strcmp(key, "--filter") == 0)
        o->filter = value;
    else if (strcmp(key, "--threads") == 0)
        o->threads = atoi(value);
    else if (strcmp(key, "--repeats") == 0)
        o->repeats = atoi(value);
    else if (strcmp(key, "--tokens") == 0)
        o->tokens = atoi(value);
    else if (strcmp(key, "--min_ms") == 0)
        o->min_seconds = 1e-3 * atoi(value);
    else
        return false;
    return true;
}

static bool parse_arguments(int argc, char **argv, settings *o)
{
    bool ok = parse_pairs(o, "8x8,12x8,16x16");
    o->filter = "";
    o->threads = 1;
    o->repeats = 7;
    o->tokens = 4096;
    o->min_seconds = 4e-3;
    for (int i = 1; i < argc && ok; i++) {
        if (strcmp(argv[i], "--all") == 0)
            o->all = true;
        else if (strcmp(argv[i], "--json") == 0)
            o->json = true;
        else
            ok = i + 1 < argc && set_option(o, argv[i], argv[i + 1]), i++;
    }
    return ok && o->threads >= 1 && o->repeats >= 1 && o->repeats <= MAX_REPEATS && o->tokens >= 1;
}

int main(int argc, char **argv)
{
    static bench b;
    if (!parse_arguments(argc, argv, &b.o)) {
        fprintf(stderr, "usage: bench_kernels [--all] [--bits AxB,...] [--filter TEXT] "
                        "[--threads N] [--repeats N]\n                     [--tokens N] "
                        "[--min_ms N] [--json]\n");
        return 2;
    }
    if (mem_calloc(&b.ctx, &b.cases, MAX_CASES, sizeof *b.cases, "products") != MTS_OK)
        die(&b, "memory");
    add_cases(&b);
    if (b.count == 0) {
        fprintf(stderr, "bench_kernels: no product holds \"%s\"\n", b.o.filter);
        return 2;
    }
    allocate(&b);
    calibrate(&b);
    for (int repeat = 0; repeat < b.o.repeats; repeat++)
        repeat_all(&b, repeat);
    report(&b);
    arena_deinit(&b.operands);
    mem_free(b.cases);
    for (int bits = 0; bits <= FORMAT_MAX_BITS; bits++)
        mem_free(b.source[bits]);
    mem_free(b.c);
    mem_free(b.a);
    mem_free(b.b);
    mem_free(b.read_data);
    return 0;
}
