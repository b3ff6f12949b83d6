/*
 * bench_step: time of a whole training step (forward, loss, backward, clipping, AdamW) of a BERT
 * shape in several number formats, interleaved step by step in one process.
 *
 *   bench_step [--shape base|squad|minilm|small] [--precision fp32,bf16,int8,a12w8,...] [--steps N]
 *              [--threads N] [--group tensor|row|block] [--warmup N] [--batch N] [--length N]
 *              [--tokens FILE] [--serve]
 *
 * A precision is fp32, bf16, int8..int16, or a12w8: weights of 8 bits, all else of 12; with +gc
 * behind it, gradient checkpointing, with +adam8, 8-bit AdamW (int8+gc+adam8), with +outliers, one
 * outlier among each 100 features of every input, with +none, outliers told apart but none there.
 * Weights are random, and so are tokens, unless FILE has them: int32 [batch][length].  Sequences
 * have their full length.  Prints one JSON line per format: medians, quartiles, parts of the step,
 * the ratio to the first; and beside them, from loops that run in between, how long the products
 * would take
 * at the peak of their instruction, what share of the step that is, a roofline (step_cost.h).
 *
 * --serve: one format.  Says in one line of JSON that it is ready; then a step, and a line of JSON
 * with its seconds, for every line that it reads, to the end of the input.  bench/peers and
 * bench/breakdown.sh drive it so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/memory.h"
#include "network/network.h"
#include "optim/clip.h"
#include "optim/optimizer.h"
#include "cpu/cpu_features.h"
#include "peak.h"
#include "step_cost.h"

enum { MAX_FORMATS = 8, MAX_STEPS = 200, CLASSES = 2 };

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
    network *net;
    optimizer *opt;
    double learn[MAX_STEPS], update[MAX_STEPS], total[MAX_STEPS];
} contender;

/* What the processor did at most beside each round of steps. */
typedef struct unit_rates {
    uint8_t *data; /* to read from DRAM */
    size_t bytes;
    double unit[STEP_COST_UNITS][MAX_STEPS], memory[MAX_STEPS];
} unit_rates;

/* The one batch that all contenders run. */
typedef struct input_data {
    int64_t *offset;
    int32_t *ids, *type_ids, *positions;
    int32_t *labels;
    model_input in;
    targets targets; /* borrows labels */
} input_data;

/* What one step took, and the loss that it began with. */
typedef struct step_times {
    double learn, update, total, loss;
} step_times;

typedef struct settings {
    shape shape;
    char names[128];
    int steps, warmup, threads;
    group_kind group;
    const char *tokens; /* file, or NULL */
    bool serve;
} settings;

static void die(const mts_ctx *ctx, const char *what)
{
    fprintf(stderr, "bench_step: %s: %s\n", what, ctx->error);
    exit(1);
}

/* "a12w8": 12 bits, weights 8.  Other integer names: the same bits everywhere. */
static bool parse_bits(const char *name, int *bits, int *weight_bits)
{
    int used = 0;
    *bits = *weight_bits = format_precision_bits(name);
    if (*bits != 0)
        return true;
    return sscanf(name, "a%2dw%2d%n", bits, weight_bits, &used) == 2 && name[used] == '\0' &&
           *bits >= FORMAT_MIN_BITS && *bits <= FORMAT_MAX_BITS &&
           *weight_bits >= FORMAT_MIN_BITS && *weight_bits <= FORMAT_MAX_BITS;
}

static num_format parse_format(const char *name, group_kind group)
{
    num_format f = {
        .kind = FORMAT_DFP, .rounding = ROUNDING_MIXED, .group = group, .norm_bits = 16};
    int bits;
    if (strcmp(name, "fp32") == 0)
        return (num_format){.kind = FORMAT_FP32};
    if (strcmp(name, "bf16") == 0)
        return (num_format){.kind = FORMAT_BF16};
    if (!parse_bits(name, &bits, &f.weight_bits)) {
        fprintf(stderr, "bench_step: unknown precision %s\n", name);
        exit(2);
    }
    f.activation_bits = f.gradient_bits = f.attention_bits = bits;
    return f;
}

static void read_tokens(const char *path, int64_t vocab, int32_t *ids, int64_t count)
{
    FILE *file = fopen(path, "rb");
    const bool complete =
        file != NULL && fread(ids, sizeof *ids, (size_t)count, file) == (size_t)count;
    if (file != NULL)
        fclose(file);
    for (int64_t t = 0; complete && t < count; t++)
        if (ids[t] < 0 || ids[t] >= vocab) {
            fprintf(stderr, "bench_step: %s: token %d, expected 0..%lld\n", path, ids[t],
                    (long long)vocab - 1);
            exit(1);
        }
    if (!complete) {
        fprintf(stderr, "bench_step: %s: expected %lld tokens\n", path, (long long)count);
        exit(1);
    }
}

static void make_input(mts_ctx *ctx, const settings *o, int64_t vocab, input_data *d)
{
    const shape *s = &o->shape;
    const int64_t tokens = s->rows * s->length;
    if (mem_calloc(ctx, &d->offset, (size_t)s->rows + 1, sizeof(int64_t), "input") != MTS_OK ||
        mem_calloc(ctx, &d->ids, (size_t)tokens, sizeof(int32_t), "input") != MTS_OK ||
        mem_calloc(ctx, &d->type_ids, (size_t)tokens, sizeof(int32_t), "input") != MTS_OK ||
        mem_calloc(ctx, &d->positions, (size_t)tokens, sizeof(int32_t), "input") != MTS_OK ||
        mem_calloc(ctx, &d->labels, (size_t)s->rows, sizeof(int32_t), "input") != MTS_OK)
        die(ctx, "input");
    const rng_key key = rng_make_key(1, 0, 0, RNG_INIT);
    for (int64_t r = 0; r <= s->rows; r++)
        d->offset[r] = r * s->length;
    for (int64_t r = 0; r < s->rows; r++)
        d->labels[r] = (int32_t)(r % CLASSES);
    for (int64_t t = 0; t < tokens; t++) {
        d->ids[t] = (int32_t)(rng_draw(key, (uint32_t)t) % (uint32_t)vocab);
        d->positions[t] = (int32_t)(t % s->length);
    }
    if (o->tokens != NULL)
        read_tokens(o->tokens, vocab, d->ids, tokens);
    d->targets = (targets){.kind = TARGET_CLASS, .index = d->labels};
    d->in = (model_input){.seq = {s->rows, tokens, s->length, d->offset},
                          .ids = d->ids,
                          .type_ids = d->type_ids,
                          .positions = d->positions};
}

/* What is behind the "+" of a name. */
static bool has_suffix(const char *name, const char *suffix)
{
    const size_t n = strlen(suffix);
    for (const char *at = strchr(name, '+'); at != NULL; at = strchr(at + 1, '+'))
        if (strncmp(at + 1, suffix, n) == 0 && (at[n + 1] == '\0' || at[n + 1] == '+'))
            return true;
    return false;
}

/* One feature of every hundred of each input is an outlier. */
static void set_outliers(exec *ex)
{
    enum { EVERY = 100, MOST = 1024 };
    for (outlier_list *list = ex->outliers; list != NULL; list = list->next) {
        int32_t feature[MOST];
        const int64_t n = (list->cols + EVERY - 1) / EVERY;
        for (int64_t i = 0; i < n && i < MOST; i++)
            feature[i] = (int32_t)(i * EVERY);
        outlier_list_set(list, feature, n < MOST ? n : MOST);
    }
}

static void make_contender(mts_ctx *ctx, const shape *s, const char *name, group_kind group,
                           int threads, contender *c)
{
    model_config cfg;
    char precision[16];
    snprintf(precision, sizeof precision, "%.*s", (int)strcspn(name, "+"), name);
    const optimizer_options options = {
        .class = optimizer_class_find(has_suffix(name, "adam8") ? "adamw_8bit" : "adamw"),
        .beta1 = 0.9,
        .beta2 = 0.999,
        .epsilon = 1e-8};
    const int64_t tokens = s->rows * s->length;
    network_options wanted = {
        .head = head_class_find("classification"),
        .format = parse_format(precision, group),
        .threads = threads,
        .seed = 1,
        .model = {.dropout = {0.1f, 0.1f, 0.1f, 0.0f}, .recompute = has_suffix(name, "gc")},
        .limits = {s->rows, tokens, 1, 1, s->length, 0},
    };
    if (has_suffix(name, "outliers") || has_suffix(name, "none")) {
        wanted.format.outlier_bits = 12;
        wanted.format.outlier_threshold = 5.0f;
    }
    if (model_config_init(ctx, &cfg) != MTS_OK)
        die(ctx, "configuration");
    cfg.num_hidden_layers = s->layers;
    cfg.hidden_size = s->hidden;
    cfg.num_attention_heads = s->heads;
    cfg.intermediate_size = s->intermediate;
    c->name = name;
    if (network_create(ctx, &cfg, &wanted, &c->net) != MTS_OK)
        die(ctx, name);
    if (has_suffix(name, "outliers"))
        set_outliers(&c->net->ex);
    const param_list *list = &c->net->params;
    const rng_key key = rng_make_key(2, 0, 0, RNG_INIT);
    for (int64_t k = 0; k < list->count; k++) {
        param *p = list->items[k];
        const bool gain = strstr(p->name, "LayerNorm.weight") != NULL;
        for (int64_t i = 0; i < param_size(p); i++)
            p->value[i] = gain ? 1.0f : 0.08f * (rng_uniform(key, (uint32_t)(k + 977 * i)) - 0.5f);
    }
    if (optimizer_create(ctx, &options, list->trained, list->trained_count, &c->opt) != MTS_OK)
        die(ctx, name);
}

static step_times run_step(mts_ctx *ctx, contender *c, const input_data *d, int64_t step)
{
    const network_pass pass = {.step = (uint64_t)step};
    const param_list *list = &c->net->params;
    exec *ex = &c->net->ex;
    step_times took;
    const double t0 = peak_now();
    took.loss = network_learn(c->net, &pass, &d->in, &d->targets, 1.0f);
    const double t1 = peak_now();
    const clip_result clip = clip_gradients(ex, list->trained, list->trained_count, 1.0);
    optimizer_step(ex, c->opt, list->trained, list->trained_count, 1e-5, clip.factor);
    network_weights_changed(c->net);
    const double t2 = peak_now();
    took.learn = t1 - t0;
    took.update = t2 - t1;
    took.total = t2 - t0;
    if (network_check(ctx, c->net) != MTS_OK)
        die(ctx, c->name);
    return took;
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

static void rates_init(mts_ctx *ctx, unit_rates *l)
{
    const size_t l3 = peak_cache_bytes(3), least = (size_t)256 << 20;
    l->bytes = 4 * l3 < least ? least : 4 * l3;
    if (mem_calloc(ctx, &l->data, l->bytes, 1, "memory to read") != MTS_OK)
        die(ctx, "memory");
    memset(l->data, 1, l->bytes); /* else every page is the one page of zeros */
}

static void rates_measure(unit_rates *l, int step, int threads)
{
    enum { WINDOWS = 5 };
    int units;
    const peak_unit *unit = peak_units(&units);
    for (int u = 0; u < units; u++) {
        const bool runs = unit[u].loop != NULL && (unit[u].features & ~cpu_features()) == 0;
        double windows[WINDOWS];
        for (int w = 0; runs && w < WINDOWS; w++)
            windows[w] = peak_run(&unit[u], threads);
        l->unit[u][step] = runs ? quantile(windows, WINDOWS, 0.5) : 0.0;
    }
    l->memory[step] = peak_read(l->data, l->bytes, 1, threads);
}

static step_rates rates_median(unit_rates *l, int n)
{
    step_rates rates = {.memory = quantile(l->memory, n, 0.5)};
    for (int u = 0; u < STEP_COST_UNITS; u++)
        rates.unit[u] = quantile(l->unit[u], n, 0.5);
    return rates;
}

/* The bound of the step beside its median; a unit that is not known has no share. */
static void report_bound(const contender *c, const shape *s, const step_rates *rates, double median)
{
    const step_cost cost = step_cost_make(c->net, c->opt, s->rows, s->length);
    const step_bound bound = step_cost_bound(&cost, rates);
    printf("\"products_gop\": %.1f, ", 1e-9 * cost.operations);
    if (bound.products_s > 0.0)
        printf("\"products_at_peak_s\": %.4f, \"share_of_peak\": %.3f, ", bound.products_s,
               bound.products_s / median);
    printf("\"memory_s\": %.4f, ", bound.memory_s);
    if (bound.products_s > 0.0)
        printf("\"roofline_s\": %.4f, \"over_roofline\": %.2f, ", bound.roofline_s,
               median / bound.roofline_s);
}

static void report(contender *c, int n, const shape *s, const step_rates *rates,
                   const contender *first, double first_median)
{
    const double median = quantile(c->total, n, 0.5);
    const double tokens = (double)(s->rows * s->length);
    printf("{\"precision\": \"%s\", \"family\": \"%s\", \"threads\": %d, \"steps\": %d, "
           "\"median_s\": %.4f, \"q1_s\": %.4f, \"q3_s\": %.4f, \"tokens_per_s\": %.0f, "
           "\"learn_s\": %.4f, \"update_s\": %.4f, ",
           c->name, c->net->ex.family->name, c->net->ex.threads, n, median,
           quantile(c->total, n, 0.25), quantile(c->total, n, 0.75), tokens / median,
           quantile(c->learn, n, 0.5), quantile(c->update, n, 0.5));
    report_bound(c, s, rates, median);
    printf("\"speedup_over_%s\": %.2f}\n", first->name, first_median / median);
}

/* All formats in turn, then the report. */
static void compare(mts_ctx *ctx, contender *contenders, int count, const settings *o,
                    const input_data *data, unit_rates *l)
{
    struct rusage usage;
    for (int step = -o->warmup; step < o->steps; step++) {
        for (int k = 0; k < count; k++) {
            contender *c = &contenders[k];
            const step_times took = run_step(ctx, c, data, step + o->warmup);
            if (step < 0)
                continue;
            c->learn[step] = took.learn;
            c->update[step] = took.update;
            c->total[step] = took.total;
        }
        if (step >= 0)
            rates_measure(l, step, o->threads);
    }
    const step_rates rates = rates_median(l, o->steps);
    const double first = quantile(contenders[0].total, o->steps, 0.5);
    for (int k = 0; k < count; k++)
        report(&contenders[k], o->steps, &o->shape, &rates, &contenders[0], first);
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"peak_rss_mib_all_formats\": %ld, \"read_gbytes_per_s\": %.1f}\n",
           usage.ru_maxrss / 1024 - (long)(l->bytes >> 20), 1e-9 * rates.memory);
}

/* One step for every line of standard input. */
static void serve(mts_ctx *ctx, contender *c, const settings *o, const input_data *data)
{
    const exec *ex = &c->net->ex;
    const shape *s = &o->shape;
    int64_t step = 0;
    printf("{\"ready\": \"%s\", \"family\": \"%s\", \"threads\": %d, \"layers\": %lld, "
           "\"hidden\": %lld, \"heads\": %lld, \"intermediate\": %lld, \"batch\": %lld, "
           "\"length\": %lld, \"parameters\": %lld, \"compiler\": \"%s\"}\n",
           c->name, ex->family->name, ex->threads, (long long)s->layers, (long long)s->hidden,
           (long long)s->heads, (long long)s->intermediate, (long long)s->rows,
           (long long)s->length, (long long)c->net->params.elements, __VERSION__);
    fflush(stdout);
    for (int ch = getchar(); ch != EOF; ch = getchar()) {
        if (ch != '\n')
            continue;
        const step_times took = run_step(ctx, c, data, step++);
        printf("{\"seconds\": %.6f, \"learn_s\": %.6f, \"update_s\": %.6f, \"loss\": %.6f}\n",
               took.total, took.learn, took.update, took.loss);
        fflush(stdout);
    }
}

static bool set_shape(settings *o, const char *name)
{
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++)
        if (strcmp(shapes[k].name, name) == 0) {
            o->shape = shapes[k];
            return true;
        }
    return false;
}

static bool set_group(settings *o, const char *name)
{
    static const char *const names[] = {"tensor", "row", "block"};
    static const group_kind kinds[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    for (int k = 0; k < 3; k++)
        if (strcmp(names[k], name) == 0) {
            o->group = kinds[k];
            return true;
        }
    return false;
}

/* One option with its value, but not --shape, which the sizes of a batch change later. */
static bool set_option(settings *o, const char *key, const char *value)
{
    if (strcmp(key, "--precision") == 0)
        return snprintf(o->names, sizeof o->names, "%s", value) < (int)sizeof o->names;
    if (strcmp(key, "--steps") == 0)
        o->steps = atoi(value);
    else if (strcmp(key, "--warmup") == 0)
        o->warmup = atoi(value);
    else if (strcmp(key, "--threads") == 0)
        o->threads = atoi(value);
    else if (strcmp(key, "--batch") == 0)
        o->shape.rows = atoi(value);
    else if (strcmp(key, "--length") == 0)
        o->shape.length = atoi(value);
    else if (strcmp(key, "--tokens") == 0)
        o->tokens = value;
    else
        return strcmp(key, "--group") == 0 && set_group(o, value);
    return true;
}

static bool parse_arguments(int argc, char **argv, settings *o)
{
    bool ok = true;
    *o = (settings){.shape = shapes[0],
                    .names = "fp32,int8",
                    .steps = 7,
                    .warmup = 1,
                    .threads = 2,
                    .group = GROUP_ROW};
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--shape") == 0)
            ok = ok && set_shape(o, argv[i + 1]);
    for (int i = 1; i < argc && ok; i++) {
        if (strcmp(argv[i], "--serve") == 0) {
            o->serve = true;
            continue;
        }
        ok = i + 1 < argc &&
             (strcmp(argv[i], "--shape") == 0 || set_option(o, argv[i], argv[i + 1]));
        i++;
    }
    return ok && o->steps >= 1 && o->steps <= MAX_STEPS && o->warmup >= 0 && o->threads >= 1 &&
           o->shape.rows >= 1 && o->shape.length >= 1 && o->shape.length <= 512;
}

int main(int argc, char **argv)
{
    static contender contenders[MAX_FORMATS];
    settings o;
    mts_ctx ctx = {0};
    input_data data = {0};
    static unit_rates peaks;
    int count = 0;
    if (!parse_arguments(argc, argv, &o)) {
        fprintf(stderr, "usage: bench_step [--shape base|squad|minilm|small] [--precision LIST] "
                        "[--steps N] [--threads N]\n                  [--group tensor|row|block] "
                        "[--warmup N] [--batch N] [--length N] [--tokens FILE] [--serve]\n");
        return 2;
    }
    for (char *name = strtok(o.names, ","); name != NULL && count < MAX_FORMATS;
         name = strtok(NULL, ","))
        make_contender(&ctx, &o.shape, name, o.group, o.threads, &contenders[count++]);
    if (count == 0 || (o.serve && count != 1)) {
        fprintf(stderr, "bench_step: --precision: expected one or more, and one for --serve\n");
        return 2;
    }
    make_input(&ctx, &o, contenders[0].net->cfg.vocab_size, &data);
    if (o.serve) {
        serve(&ctx, &contenders[0], &o, &data);
    } else {
        rates_init(&ctx, &peaks);
        compare(&ctx, contenders, count, &o, &data, &peaks);
    }
    for (int k = 0; k < count; k++) {
        network_destroy(contenders[k].net);
        optimizer_destroy(contenders[k].opt);
    }
    mem_free(data.offset);
    mem_free(data.ids);
    mem_free(data.type_ids);
    mem_free(data.positions);
    mem_free(data.labels);
    mem_free(peaks.data);
    return 0;
}
