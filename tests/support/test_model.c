/* Shared set-up of the tests of layers and models.  See test_model.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/test_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu_features.h"
#include "layers/arithmetic.h"
#if defined(__x86_64__)
#include "support/amx_emulator.h"
#endif

static uint64_t seed = 1;
static mts_ctx ctx;

/* ------------------------------------------------------------------------------- numbers ---- */

uint64_t test_print_seed(void)
{
    const char *text = getenv("MANTISSA_TEST_SEED");
    if (text != NULL)
        seed = strtoull(text, NULL, 10);
    printf("seed %llu (MANTISSA_TEST_SEED)\n", (unsigned long long)seed);
    return seed;
}

test_random test_random_make(const char *name)
{
    uint64_t h = rng_splitmix64(seed);
    for (; *name != '\0'; name++)
        h = rng_splitmix64(h ^ (uint64_t)(unsigned char)*name);
    return (test_random){h};
}

uint64_t test_random_bits(test_random *r)
{
    r->state += UINT64_C(0x9e3779b97f4a7c15);
    return rng_splitmix64(r->state);
}

double test_random_uniform(test_random *r)
{
    return (double)(test_random_bits(r) >> 11) * 0x1p-53;
}

double test_random_normal(test_random *r)
{
    const double u = 1.0 - test_random_uniform(r), v = test_random_uniform(r);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

int64_t test_random_below(test_random *r, int64_t n)
{
    return (int64_t)(test_random_bits(r) % (uint64_t)n);
}

void test_fill_normal(test_random *r, float *x, int64_t n, double mean, double sigma)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(mean + sigma * test_random_normal(r));
}

void test_fill_exact(test_random *r, float *x, int64_t n, int bits)
{
    const int64_t limit = format_limit(bits);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(test_random_below(r, 2 * limit + 1) - limit) / 64.0f;
    x[test_random_below(r, n)] = (float)limit / 64.0f;
}

void *test_alloc(int64_t n, size_t size)
{
    void *p = NULL;
    assert_int_equal(mem_calloc(&ctx, &p, (size_t)n, size, "test"), MTS_OK);
    return p;
}

float *test_floats(int64_t n)
{
    return test_alloc(n, sizeof(float));
}

/* ----------------------------------------------------------------------- measures of error ---- */

double test_snr_db(const float *x, const float *y, int64_t n)
{
    double signal = 0.0, noise = 0.0;
    for (int64_t i = 0; i < n; i++) {
        const double e = (double)x[i] - (double)y[i];
        signal += (double)y[i] * (double)y[i];
        noise += e * e;
    }
    return noise == 0.0 ? 300.0 : 10.0 * log10(signal / noise);
}

double test_dot(const float *a, const float *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

double test_cosine(const float *x, const float *y, int64_t n)
{
    return test_dot(x, y, n) / sqrt(test_dot(x, x, n) * test_dot(y, y, n));
}

void test_assert_same(const char *what, const float *x, const float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (memcmp(x + i, y + i, sizeof *x) != 0)
            fail_msg("%s: element %lld of %lld is %.9g, expected the bits of %.9g", what,
                     (long long)i, (long long)n, (double)x[i], (double)y[i]);
}

void test_assert_at_least(const char *what, double value, double bound, const char *unit)
{
    printf("  %-44s %9.4f %s (at least %g)\n", what, value, unit, bound);
    if (!(value >= bound))
        fail_msg("%s: %g %s, expected at least %g", what, value, unit, bound);
}

/* ---------------------------------------------------------------------- finite differences ---- */

double test_difference(test_function *f, void *arg, float *x, float h)
{
    const float middle = *x, up = middle + h, down = middle - h;
    *x = up;
    const double above = f(arg);
    *x = down;
    const double below = f(arg);
    *x = middle;
    return (above - below) / ((double)up - (double)down);
}

void test_assert_gradient(const char *what, test_function *f, void *arg, float *x,
                          const float *grad, int64_t n, float h, double relative, double absolute)
{
    double largest = 0.0, share = 0.0;
    for (int64_t i = 0; i < n; i++) {
        const double expected = test_difference(f, arg, x + i, h), found = (double)grad[i];
        const double error = fabs(found - expected), bound = absolute + relative * fabs(expected);
        largest = fabs(found) > largest ? fabs(found) : largest;
        share = error / bound > share ? error / bound : share;
        if (!(error <= bound))
            fail_msg("%s: gradient of element %lld of %lld is %.7g, differences give %.7g, "
                     "allowed error %.3g",
                     what, (long long)i, (long long)n, found, expected, bound);
    }
    printf("  %-36s %5lld elements, up to %8.4f, error %4.1f%% of what is allowed\n", what,
           (long long)n, largest, 100.0 * share);
    assert_true(largest > 0.0);
}

/* ------------------------------------------------------------------- formats and contexts ---- */

const char *test_group_name(group_kind group)
{
    static const char *const names[] = {[GROUP_TENSOR] = "tensor",
                                        [GROUP_ROW] = "row",
                                        [GROUP_COLUMN] = "column",
                                        [GROUP_BLOCK] = "block"};
    return names[group];
}

num_format test_format_float(format_kind kind)
{
    return (num_format){.kind = kind};
}

num_format test_format_dfp(int bits, group_kind group, bool stochastic)
{
    const rounding_kind rounding = stochastic ? ROUNDING_STOCHASTIC : ROUNDING_NEAREST;
    return (num_format){.kind = FORMAT_DFP,
                        .weight_bits = bits,
                        .activation_bits = bits,
                        .gradient_bits = bits,
                        .attention_bits = bits,
                        .norm_bits = bits,
                        .rounding = rounding,
                        .group = group};
}

void test_set_outliers(exec *ex, int64_t count)
{
    for (outlier_list *list = ex->outliers; list != NULL; list = list->next) {
        int32_t feature[256];
        const int64_t n = count < list->capacity ? count : list->capacity;
        for (int64_t i = 0; i < n; i++)
            feature[i] = (int32_t)i;
        outlier_list_set(list, feature, n);
    }
}

int test_families(const gemm_family *out[8])
{
    int count = 0, found = 0;
    const gemm_family *const *all = kernels_families(&count);
#if defined(__x86_64__)
    if (!amx_emulator_install())
        printf("  the family amx does not run here\n");
#endif
    for (int i = 0; i < count && found < 8; i++)
        if ((all[i]->features & ~cpu_features()) == 0)
            out[found++] = all[i];
    return found;
}

void test_exec_init(exec *ex, const num_format *format, int threads)
{
    *ex = (exec){.threads = threads, .seed = seed};
    arithmetic_select(ex, format);
    ex->training = true;
    assert_int_equal(kernels_select(&ctx, &ex->family), MTS_OK);
    ex->fk = float_kernels_for(ex->family);
}

void test_exec_plan(exec *ex, arena *storage, void (*bind)(void *), void (*pass)(void *), void *arg)
{
    const exec real = *ex;
    arena none;
    arena *from = storage == NULL ? &none : storage;
    arena_measure(from);
    exec_dry(ex, &real);
    if (bind != NULL)
        bind(arg);
    pass(arg);
    const size_t scratch = ex->scratch.peak, bytes = from->peak;
    assert_int_equal(ex->scratch.used, 0);
    *ex = real;
    assert_int_equal(arena_init(&ctx, &ex->scratch, scratch, "scratch"), MTS_OK);
    if (storage != NULL)
        assert_int_equal(arena_init(&ctx, storage, bytes, "storage"), MTS_OK);
    if (bind != NULL)
        bind(arg);
}

void test_arena_deinit(arena *a)
{
    if (arena_check(&ctx, a, "the arena") != MTS_OK)
        fail_msg("%s", ctx.error);
    arena_deinit(a);
}

void test_exec_deinit(exec *ex)
{
    assert_int_equal(ex->scratch.used, 0); /* every layer gave back what it took */
    test_arena_deinit(&ex->scratch);
}

void test_param_init(test_random *r, param *p, int64_t rows, int64_t cols, double mean,
                     double sigma)
{
    *p = (param){.rows = rows, .cols = cols, .vector = rows == 1, .trained = true};
    p->value = test_floats(rows * cols);
    p->grad = test_floats(rows * cols);
    test_fill_normal(r, p->value, rows * cols, mean, sigma);
}

void test_param_deinit(param *p)
{
    mem_free(p->value);
    mem_free(p->grad);
    *p = (param){0};
}

/* ----------------------------------------------------------------------------- tiny BERT ---- */

static int64_t given_or(int64_t value, int64_t other)
{
    return value > 0 ? value : other;
}

test_shape test_shape_full(const test_shape *shape)
{
    test_shape s = *shape;
    s.vocab = given_or(s.vocab, 50);
    s.width = given_or(s.width, 32);
    s.heads = given_or(s.heads, 4);
    s.intermediate = given_or(s.intermediate, 64);
    s.layers = given_or(s.layers, 2);
    s.positions = given_or(s.positions, 16);
    s.labels = given_or(s.labels, 3);
    if (s.head == NULL)
        s.head = s.labels == 1 ? "regression" : "classification";
    if (s.sequences == 0) {
        s.sequences = 3;
        s.lengths[0] = 7;
        s.lengths[1] = 1;
        s.lengths[2] = 5;
    }
    return s;
}

void test_config_init(model_config *cfg, const test_shape *shape)
{
    assert_int_equal(model_config_init(&ctx, cfg), MTS_OK);
    assert_int_equal(model_config_set_labels(&ctx, cfg, NULL, shape->labels, shape->labels == 1),
                     MTS_OK);
    cfg->vocab_size = shape->vocab;
    cfg->hidden_size = shape->width;
    cfg->num_hidden_layers = shape->layers;
    cfg->num_attention_heads = shape->heads;
    cfg->intermediate_size = shape->intermediate;
    cfg->max_position_embeddings = shape->positions;
}

static void make_batch(test_bert *t, const test_shape *s)
{
    test_random r = test_random_make("batch");
    int64_t tokens = 0, longest = 0;
    t->offset = test_alloc(s->sequences + 1, sizeof *t->offset);
    for (int64_t e = 0; e < s->sequences; e++) {
        tokens += s->lengths[e];
        longest = s->lengths[e] > longest ? s->lengths[e] : longest;
        t->offset[e + 1] = tokens;
    }
    t->ids = test_alloc(tokens, sizeof *t->ids);
    t->type_ids = test_alloc(tokens, sizeof *t->type_ids);
    t->positions = test_alloc(tokens, sizeof *t->positions);
    assert_int_equal(targets_init(NULL, &t->targets, head_class_find(s->head)->target, s->labels,
                                  s->sequences, tokens),
                     MTS_OK);
    for (int64_t e = 0; e < s->sequences; e++) {
        if (t->targets.score != NULL)
            t->targets.score[e] = (float)test_random_normal(&r);
        else if (t->targets.begin != NULL) {
            t->targets.begin[e] = (int32_t)test_random_below(&r, s->lengths[e]);
            t->targets.end[e] = (int32_t)test_random_below(&r, s->lengths[e]);
        } else if (t->targets.kind == TARGET_TAGS) {
            for (int64_t i = t->offset[e]; i < t->offset[e + 1]; i++)
                t->targets.index[i] =
                    i % 3 == 2 ? TARGET_IGNORED : (int32_t)test_random_below(&r, s->labels);
        } else if (t->targets.set != NULL) {
            for (int64_t k = 0; k < s->labels; k++)
                t->targets.set[e * s->labels + k] = (uint8_t)test_random_below(&r, 2);
        } else
            t->targets.index[e] = (int32_t)test_random_below(&r, s->labels);
        for (int64_t i = t->offset[e]; i < t->offset[e + 1]; i++) {
            t->ids[i] = (int32_t)test_random_below(&r, s->vocab);
            t->positions[i] = (int32_t)(i - t->offset[e]);
            t->type_ids[i] = 2 * t->positions[i] > s->lengths[e];
        }
    }
    t->in = (model_input){
        {s->sequences, tokens, longest, t->offset}, t->ids, t->type_ids, t->positions, NULL};
}

/* Larger than a real initialisation, so that every path of the gradient carries weight. */
static void fill_parameters(const param_list *list)
{
    test_random r = test_random_make("parameters");
    for (int64_t i = 0; i < list->count; i++) {
        param *p = list->items[i];
        const bool gamma = strstr(p->name, "LayerNorm.weight") != NULL;
        const double sigma = p->vector ? 0.1 : 1.0 / sqrt((double)p->cols);
        test_fill_normal(&r, p->value, p->rows * p->cols, gamma ? 1.0 : 0.0, sigma);
    }
}

void test_bert_init(test_bert *t, const test_shape *shape, const num_format *format, int threads,
                    const dropout_rates *dropout)
{
    const test_shape s = test_shape_full(shape);
    model_config cfg;
    *t = (test_bert){0};
    make_batch(t, &s);
    test_config_init(&cfg, &s);
    const int64_t train = s.train_sequences < 0 ? 0 : given_or(s.train_sequences, s.sequences);
    network_options options = {
        .head = head_class_find(s.head),
        .family = s.family,
        .format = *format,
        .threads = threads,
        .seed = seed,
        .model = {.recompute = s.recompute},
        .limits = {train, t->offset[train], s.sequences, t->in.seq.tokens, t->in.seq.max_length, 0},
        .watch_formats = s.watch_formats,
    };
    if (dropout != NULL)
        options.model.dropout = *dropout;
    if (network_create(&ctx, &cfg, &options, &t->net) != MTS_OK)
        fail_msg("network_create: %s", ctx.error);
    model_config_deinit(&cfg);
    t->model = (bert *)t->net->body;
    t->outputs = network_outputs(t->net, &t->in);
    t->logits = test_floats(t->outputs);
    fill_parameters(&t->net->params);
    test_set_outliers(&t->net->ex, 3);
}

void test_bert_deinit(test_bert *t)
{
    if (t->net != NULL) {
        if (network_check(&ctx, t->net) != MTS_OK)
            fail_msg("%s", ctx.error);
        assert_int_equal(t->net->ex.scratch.used, 0);
    }
    network_destroy(t->net);
    targets_deinit(&t->targets);
    mem_free(t->offset);
    mem_free(t->ids);
    mem_free(t->type_ids);
    mem_free(t->positions);
    mem_free(t->logits);
    *t = (test_bert){0};
}

double test_bert_loss(test_bert *t)
{
    return network_forward(t->net, &t->pass, &t->in, &t->targets, t->logits);
}

void test_bert_gradient(test_bert *t)
{
    (void)test_bert_loss(t);
    (void)network_learn(t->net, &t->pass, &t->in, &t->targets, 1.0f);
}

void test_bert_evaluate(test_bert *t)
{
    (void)network_predict(t->net, &t->in, NULL, t->logits);
}
