/* Random weights.  See random_weights.h. */
#include "network/random_weights.h"

#include <math.h>

#include "base/half.h"
#include "base/memory.h"
#include "base/text_end.h"
#include "heads/head.h"
#include "network/network.h"
#include "network/write_weights.h"

enum { MAGNITUDES = 1 << 15, SIGN = 1 << 15, ROW_GRAIN = 4, PAIRS = 512 };

typedef struct numbers {
    uint64_t seed;
    uint16_t *half; /* [MAGNITUDES] in bfloat16, rising */
} numbers;

/* --------------------------------------------------------------------------------- normal ---- */

/*
 * half[i] = deviation times the x for which |normal| < x has probability (i + 1/2) / MAGNITUDES.
 * Newton's method for erfc(x / sqrt 2) = 1 - (i + 1/2) / MAGNITUDES, from the number before: from
 * below, where the function is convex, it cannot go too far.
 */
static void make_magnitudes(uint16_t *half, double deviation)
{
    const double root = sqrt(0.5), slope = sqrt(2.0 / acos(-1.0));
    double x = 0.0;
    for (int i = 0; i < MAGNITUDES; i++) {
        const double wanted = 1.0 - (i + 0.5) / MAGNITUDES;
        double step = 1.0;
        for (int turn = 0; turn < 50 && step > 1e-12; turn++) {
            step = (erfc(x * root) - wanted) / (slope * exp(-0.5 * x * x));
            x += step;
        }
        half[i] = bf16_of_float((float)(x * deviation));
    }
}

/* FNV-1a: a number of its own for each parameter, in whichever model. */
static uint64_t hash_name(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
    return hash;
}

typedef struct row_job {
    const numbers *n;
    uint64_t tensor;
    int64_t first, cols;
    float *values;
} row_job;

/* x[cols], two elements of a draw. */
static void draw_row(const uint16_t *half, rng_key key, float *x, int64_t cols)
{
    uint32_t draw[PAIRS];
    for (int64_t i = 0; i < cols; i += 2 * PAIRS) {
        const int64_t n = cols - i < 2 * PAIRS ? cols - i : 2 * PAIRS;
        for (int64_t k = 0; k < (n + 1) / 2; k++)
            draw[k] = rng_draw(key, (uint32_t)(i / 2 + k));
        for (int64_t k = 0; k < n; k++) {
            const uint32_t bits = draw[k / 2] >> 16 * (k % 2);
            x[i + k] = float_of_bf16((uint16_t)(half[bits & (MAGNITUDES - 1)] | (bits & SIGN)));
        }
    }
}

static void draw_rows(void *arg, int64_t begin, int64_t end)
{
    const row_job *job = arg;
    for (int64_t i = begin; i < end; i++) {
        const rng_key key =
            rng_make_key(job->n->seed, (uint64_t)(job->first + i), job->tensor, RNG_INIT);
        draw_row(job->n->half, key, job->values + i * job->cols, job->cols);
    }
}

static mts_status read_rows(mts_ctx *ctx, const exec *ex, void *source, const weights_item *item,
                            int64_t first, int64_t rows, float *values)
{
    row_job job = {source, hash_name(item->name), first, item->cols, values};
    (void)ctx;
    if (!item->vector)
        exec_parallel(ex, rows, ROW_GRAIN, draw_rows, &job);
    for (int64_t i = 0; item->vector && i < item->cols; i++)
        values[i] = text_has_ending(item->name, ".bias") ? 0.0f : 1.0f;
    return MTS_OK;
}

/* --------------------------------------------------------------------------------- folder ---- */

/* *items: of all parameters of the model; free with mem_free. */
static mts_status list_items(mts_ctx *ctx, const random_request *r, weights_item **items,
                             int64_t *count)
{
    mts_status st = MTS_OK;
    param_list params = {0};
    const char *prefix;
    const head_class *usual = head_class_usual(r->config);
    MTS_CHECK(usual != NULL && usual->needs == HEAD_NEEDS_WORDS, MTS_ERR_UNSUPPORTED,
              "expected a language model, found %s", model_config_type(r->config));
    MTS_TRY(network_declare(ctx, r->config, usual, &params, &prefix));
    MTS_TRY(mem_calloc(ctx, items, (size_t)params.count, sizeof **items, "list of tensors"));
    *count = params.count;
    for (int64_t i = 0; i < params.count; i++) {
        weights_item *item = &(*items)[i];
        *item = weights_item_of(params.items[i], i);
        item->file = r->dir;
        item->tensor = item->name;
        item->packed = r->pack && item->packed;
    }
cleanup:
    param_list_deinit(&params);
    return st;
}

mts_status random_weights(mts_ctx *ctx, const random_request *r)
{
    mts_status st = MTS_OK;
    numbers n = {.seed = r->seed};
    weights_request write = {.read = read_rows,
                             .source = &n,
                             .rounded = true,
                             .threads = r->threads,
                             .shard_bytes = r->shard_bytes,
                             .dir = r->dir,
                             .doing = "drawing weights",
                             .callbacks = r->callbacks};
    MTS_TRY(mem_calloc(ctx, &n.half, MAGNITUDES, sizeof *n.half, "random numbers"));
    make_magnitudes(n.half, r->config->initializer_range);
    MTS_TRY(list_items(ctx, r, &write.items, &write.count));
    MTS_TRY(weights_write(ctx, &write));
cleanup:
    mem_free(write.items);
    mem_free(n.half);
    return st;
}
