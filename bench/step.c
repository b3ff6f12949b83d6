/*
 * bench_step: time of a whole training step (forward, backward, clipping, AdamW) of a BERT shape in
 * several number formats, interleaved step by step in one process, with a breakdown by part.
 *
 *   bench_step [--shape base|squad|minilm|small] [--precision fp32,bf16,int8,...] [--steps N]
 *              [--threads N] [--group tensor|row|block] [--warmup N]
 *
 * Weights and tokens are random: time does not depend on them.  Prints one JSON line per format,
 * then medians, quartiles and ratios to the first format.  The parts are measured by leaving parts
 * out: forward alone, forward and backward, and the whole step.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/memory.h"
#include "models/bert.h"
#include "optim/clip.h"
#include "optim/optimizer.h"

enum { MAX_FORMATS = 8, MAX_STEPS = 200 };

typedef struct shape {
    const char *name;
    int64_t layers, hidden, heads, intermediate, rows, length;
} shape;

static const shape shapes[] = {
    {"base", 12, 768, 12, 3072, 32, 128},
    {"squad", 12, 768, 12, 3072, 12, 384},
    {"minilm", 6, 384, 12, 1536, 32, 128},
    {"small", 2, 256, 4, 1024, 8, 64},
};

/* One format under test. */
typedef struct contender {
    const char *name;
    bert *model;
    optimizer *opt;
    double forward[MAX_STEPS], backward[MAX_STEPS], update[MAX_STEPS], total[MAX_STEPS];
} contender;

/* The one batch that all contenders run. */
typedef struct input_data {
    int64_t *offset;
    int32_t *ids, *type_ids, *positions;
    float *logits, *dlogits;
    bert_input in;
} input_data;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void die(const mts_ctx *ctx, const char *what)
{
    fprintf(stderr, "bench_step: %s: %s\n", what, ctx->error);
    exit(1);
}

static num_format parse_format(const char *name, group_kind group)
{
    const int bits = format_precision_bits(name);
    num_format f = {.kind = FORMAT_DFP, .stochastic = true, .group = group};
    if (strcmp(name, "fp32") == 0)
        return (num_format){.kind = FORMAT_FP32};
    if (strcmp(name, "bf16") == 0)
        return (num_format){.kind = FORMAT_BF16};
    if (bits == 0) {
        fprintf(stderr, "bench_step: unknown precision %s\n", name);
        exit(2);
    }
    f.weight_bits = f.activation_bits = f.gradient_bits = f.attention_bits = bits;
    f.norm_bits = 16;
    return f;
}

static void make_input(mts_ctx *ctx, const shape *s, int64_t vocab, input_data *d)
{
    const int64_t tokens = s->rows * s->length;
    if (mem_calloc(ctx, &d->offset, (size_t)s->rows + 1, sizeof(int64_t), "input") != MTS_OK ||
        mem_calloc(ctx, &d->ids, (size_t)tokens, sizeof(int32_t), "input") != MTS_OK ||
        mem_calloc(ctx, &d->type_ids, (size_t)tokens, sizeof(int32_t), "input") != MTS_OK ||
        mem_calloc(ctx, &d->positions, (size_t)tokens, sizeof(int32_t), "input") != MTS_OK ||
        mem_calloc(ctx, &d->logits, (size_t)s->rows * 2, sizeof(float), "input") != MTS_OK ||
        mem_calloc(ctx, &d->dlogits, (size_t)s->rows * 2, sizeof(float), "input") != MTS_OK)
        die(ctx, "input");
    const rng_key key = rng_make_key(1, 0, 0, RNG_INIT);
    for (int64_t r = 0; r <= s->rows; r++)
        d->offset[r] = r * s->length;
    for (int64_t t = 0; t < tokens; t++) {
        d->ids[t] = (int32_t)(rng_draw(key, (uint32_t)t) % (uint32_t)vocab);
        d->positions[t] = (int32_t)(t % s->length);
    }
    for (int64_t i = 0; i < s->rows * 2; i++)
        d->dlogits[i] = (i % 2 == 0 ? 0.5f : -0.5f) / (float)s->rows;
    d->in = (bert_input){.seq = {s->rows, tokens, s->length, d->offset},
                         .ids = d->ids,
                         .type_ids = d->type_ids,
                         .positions = d->positions};
}

static void make_contender(mts_ctx *ctx, const shape *s, const char *name, group_kind group,
                           int threads, contender *c)
{
    model_config cfg;
    const num_format format = parse_format(name, group);
    const bert_dropout dropout = {0.1f, 0.1f, 0.1f};
    const optimizer_options options = {
        .kind = OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    const int64_t tokens = s->rows * s->length;
    const bert_limits limits = {s->rows, tokens, 1, 1, s->length};
    if (model_config_init(ctx, &cfg) != MTS_OK)
        die(ctx, "configuration");
    cfg.num_hidden_layers = s->layers;
    cfg.hidden_size = s->hidden;
    cfg.num_attention_heads = s->heads;
    cfg.intermediate_size = s->intermediate;
    c->name = name;
    if (bert_create(ctx, &cfg, &format, threads, 1, &dropout, &limits, &c->model) != MTS_OK)
        die(ctx, name);
    const param_table *t = &c->model->params;
    const rng_key key = rng_make_key(2, 0, 0, RNG_INIT);
    for (int64_t p = 0; p < t->count; p++)
        for (int64_t i = 0; i < t->items[p].rows * t->items[p].cols; i++)
            t->items[p].value[i] = strstr(t->items[p].name, "LayerNorm.weight") != NULL
                                       ? 1.0f
                                       : 0.08f * (rng_uniform(key, (uint32_t)(p + 977 * i)) - 0.5f);
    if (optimizer_create(ctx, &options, t->items, t->count, &c->opt) != MTS_OK)
        die(ctx, name);
}

static void run_step(contender *c, const input_data *d, int64_t step, double *forward,
                     double *backward, double *update)
{
    exec *ex = &c->model->ex;
    ex->training = true;
    ex->step = (uint64_t)step;
    const double t0 = now();
    bert_forward(c->model, &d->in, d->logits);
    const double t1 = now();
    bert_backward(c->model, &d->in, d->dlogits);
    const double t2 = now();
    const param_table *t = &c->model->params;
    const clip_result clip = clip_gradients(ex, t->items, t->count, 1.0);
    optimizer_step(ex, c->opt, t->items, t->count, 1e-5, clip.factor);
    bert_weights_changed(c->model);
    const double t3 = now();
    *forward = t1 - t0;
    *backward = t2 - t1;
    *update = t3 - t2;
    if (ex->anomaly[0] != '\0') {
        fprintf(stderr, "bench_step: %s: %s\n", c->name, ex->anomaly);
        exit(1);
    }
}

static int compare_double(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *v, int n, double q)
{
    qsort(v, (size_t)n, sizeof *v, compare_double);
    return v[(int)(q * (n - 1) + 0.5)];
}

static void report(contender *c, int n, const shape *s, const contender *first, double first_median)
{
    const double median = quantile(c->total, n, 0.5);
    const double tokens = (double)(s->rows * s->length);
    printf("{\"precision\": \"%s\", \"family\": \"%s\", \"threads\": %d, \"steps\": %d, "
           "\"median_s\": %.4f, \"q1_s\": %.4f, \"q3_s\": %.4f, \"tokens_per_s\": %.0f, "
           "\"forward_s\": %.4f, \"backward_s\": %.4f, \"update_s\": %.4f, "
           "\"speedup_over_%s\": %.2f}\n",
           c->name, c->model->ex.family->name, c->model->ex.threads, n, median,
           quantile(c->total, n, 0.25), quantile(c->total, n, 0.75), tokens / median,
           quantile(c->forward, n, 0.5), quantile(c->backward, n, 0.5), quantile(c->update, n, 0.5),
           first->name, first_median / median);
}

typedef struct settings {
    const shape *shape;
    char names[128];
    int steps, warmup, threads;
    group_kind group;
} settings;

static void parse_arguments(int argc, char **argv, settings *o)
{
    *o = (settings){.shape = &shapes[0],
                    .names = "fp32,int8",
                    .steps = 7,
                    .warmup = 1,
                    .threads = 2,
                    .group = GROUP_ROW};
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *key = argv[i], *value = argv[i + 1];
        if (strcmp(key, "--precision") == 0)
            snprintf(o->names, sizeof o->names, "%s", value);
        else if (strcmp(key, "--steps") == 0)
            o->steps = atoi(value);
        else if (strcmp(key, "--warmup") == 0)
            o->warmup = atoi(value);
        else if (strcmp(key, "--threads") == 0)
            o->threads = atoi(value);
        else if (strcmp(key, "--group") == 0)
            o->group = strcmp(value, "tensor") == 0  ? GROUP_TENSOR
                       : strcmp(value, "block") == 0 ? GROUP_BLOCK
                                                     : GROUP_ROW;
        else if (strcmp(key, "--shape") == 0)
            for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++)
                if (strcmp(shapes[k].name, value) == 0)
                    o->shape = &shapes[k];
    }
    if (argc % 2 == 0 || o->steps < 1 || o->steps > MAX_STEPS || o->threads < 1) {
        fprintf(stderr, "usage: bench_step [--shape base|squad|minilm|small] [--precision LIST] "
                        "[--steps N] [--threads N] [--group G] [--warmup N]\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static contender contenders[MAX_FORMATS];
    settings o;
    mts_ctx ctx = {0};
    input_data data = {0};
    int count = 0;
    parse_arguments(argc, argv, &o);
    for (char *name = strtok(o.names, ","); name != NULL && count < MAX_FORMATS;
         name = strtok(NULL, ","))
        make_contender(&ctx, o.shape, name, o.group, o.threads, &contenders[count++]);
    make_input(&ctx, o.shape, contenders[0].model->cfg.vocab_size, &data);
    for (int step = -o.warmup; step < o.steps; step++)
        for (int k = 0; k < count; k++) {
            contender *c = &contenders[k];
            double f, b, u;
            run_step(c, &data, step + o.warmup, &f, &b, &u);
            if (step < 0)
                continue;
            c->forward[step] = f;
            c->backward[step] = b;
            c->update[step] = u;
            c->total[step] = f + b + u;
        }
    const double first = quantile(contenders[0].total, o.steps, 0.5);
    for (int k = 0; k < count; k++)
        report(&contenders[k], o.steps, o.shape, &contenders[0], first);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"peak_rss_mib_all_formats\": %ld}\n", usage.ru_maxrss / 1024);
    for (int k = 0; k < count; k++) {
        bert_destroy(contenders[k].model);
        optimizer_destroy(contenders[k].opt);
    }
    mem_free(data.offset);
    mem_free(data.ids);
    mem_free(data.type_ids);
    mem_free(data.positions);
    mem_free(data.logits);
    mem_free(data.dlogits);
    return 0;
}
