/* Folders of golden values.  See golden_file.h. */
#include "support/golden_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "network/network_io.h"

static mts_ctx ctx;

void golden_folder(char dir[GOLDEN_DIR_BYTES], const char *name)
{
    const char *given = getenv("MANTISSA_GOLDEN_DIR");
    const char *slash = strrchr(__FILE__, '/');
    int n;
    if (given != NULL)
        n = snprintf(dir, GOLDEN_DIR_BYTES, "%s/%s", given, name);
    else
        n = snprintf(dir, GOLDEN_DIR_BYTES, "%.*s/../golden/data/%s",
                     slash == NULL ? 1 : (int)(slash - __FILE__), slash == NULL ? "." : __FILE__,
                     name);
    assert_in_range(n, 1, GOLDEN_DIR_BYTES - 1);
}

/* ------------------------------------------------------------------------ reading tensors ---- */

const st_tensor *golden_tensor(const golden *g, const char *name)
{
    const st_tensor *t = safetensors_find(g->file, name);
    if (t == NULL)
        fail_msg("%s: no golden tensor %s", g->dir, name);
    return t;
}

void *golden_raw(const golden *g, const char *name, st_dtype dtype, int64_t n)
{
    const st_tensor *t = golden_tensor(g, name);
    void *x = test_alloc(n, safetensors_dtype_size(dtype));
    assert_int_equal(t->count, n);
    assert_ok(safetensors_read_raw(&ctx, t, dtype, x, t->bytes));
    return x;
}

float *golden_floats(const golden *g, const char *name, int64_t n)
{
    float *x = test_floats(n);
    assert_ok(safetensors_read_f32(&ctx, golden_tensor(g, name), x, n));
    return x;
}

double golden_number(const golden *g, const char *name)
{
    float x = 0.0f;
    assert_ok(safetensors_read_f32(&ctx, golden_tensor(g, name), &x, 1));
    return (double)x;
}

/* To out[param_size(p)]. */
static void read_gradient(const golden *g, const param *p, float *out)
{
    char name[PARAM_NAME_BYTES + 8];
    snprintf(name, sizeof name, "grad.%s", p->name);
    assert_ok(safetensors_read_f32(&ctx, golden_tensor(g, name), out, param_size(p)));
}

float *golden_gradient(const golden *g, const param *p)
{
    float *x = test_floats(param_size(p));
    read_gradient(g, p, x);
    return x;
}

/* ------------------------------------------------------------------------------ the batch ---- */

/* Where rows begin, and places of the tokens in them. */
static void place_rows(golden *g, int64_t rows, int64_t tokens)
{
    int64_t longest = 0, t = 0;
    g->positions = test_alloc(tokens, sizeof *g->positions);
    g->offset = test_alloc(rows + 1, sizeof *g->offset);
    for (int64_t r = 0; r < rows; r++) {
        assert_in_range(g->lengths[r], 1, tokens - t);
        for (int32_t i = 0; i < g->lengths[r]; i++)
            g->positions[t++] = i;
        g->offset[r + 1] = t;
        longest = g->lengths[r] > longest ? g->lengths[r] : longest;
    }
    assert_int_equal(t, tokens);
    g->in = (model_input){.seq = {rows, tokens, longest, g->offset},
                          .ids = g->ids,
                          .type_ids = g->types,
                          .positions = g->positions};
}

void golden_open(golden *g, const char *name, const char *prefix)
{
    char path[GOLDEN_DIR_BYTES + 32], lengths[64], ids[64], types[64];
    *g = (golden){.file = NULL};
    golden_folder(g->dir, name);
    snprintf(path, sizeof path, "%s/golden.safetensors", g->dir);
    snprintf(lengths, sizeof lengths, "%slengths", prefix);
    snprintf(ids, sizeof ids, "%sids", prefix);
    snprintf(types, sizeof types, "%stype_ids", prefix);
    assert_ok(safetensors_open_file(&ctx, path, &g->file));
    const int64_t rows = golden_tensor(g, lengths)->count, tokens = golden_tensor(g, ids)->count;
    g->lengths = golden_raw(g, lengths, ST_DTYPE_I64, rows);
    g->ids = golden_raw(g, ids, ST_DTYPE_I32, tokens);
    g->types = safetensors_find(g->file, types) == NULL
                   ? test_alloc(tokens, sizeof *g->types)
                   : golden_raw(g, types, ST_DTYPE_I32, tokens);
    place_rows(g, rows, tokens);
}

void golden_close(golden *g)
{
    safetensors_close(g->file);
    mem_free(g->lengths);
    mem_free(g->offset);
    mem_free(g->ids);
    mem_free(g->types);
    mem_free(g->positions);
    targets_deinit(&g->targets);
}

/* ---------------------------------------------------------------------------- the network ---- */

network_limits golden_limits(const golden *g)
{
    const sequences *s = &g->in.seq;
    return (network_limits){s->count, s->tokens, s->count, s->tokens, s->max_length, 0};
}

network *golden_network_of(const char *dir, model_config *cfg, const network_options *options)
{
    network_options o = *options;
    network *net = NULL;
    network_load_report report;
    if (o.head == NULL)
        o.head = head_class_of_config(cfg);
    assert_ok(network_create(&ctx, cfg, &o, &net));
    assert_ok(network_load(&ctx, net, dir, HEAD_NEEDED, &report));
    assert_int_equal(report.unused, 0);
    return net;
}

network *golden_network(const char *dir, const network_options *options)
{
    model_config cfg;
    assert_ok(model_load_config(&ctx, dir, &cfg));
    network *net = golden_network_of(dir, &cfg, options);
    model_config_deinit(&cfg);
    return net;
}

double golden_learn(const golden *g, network *net)
{
    const network_pass pass = {.step = 3};
    const double loss = network_learn(net, &pass, &g->in, &g->targets, 1.0f);
    assert_ok(network_check(&ctx, net));
    return loss;
}

/* ---------------------------------------------------------------------------- comparisons ---- */

double golden_largest(const float *x, int64_t n)
{
    double largest = 0.0;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)x[i]));
    return largest;
}

double golden_largest_gradient(const golden *g, const param *p)
{
    float *x = golden_gradient(g, p);
    const double largest = golden_largest(x, param_size(p));
    mem_free(x);
    return largest;
}

double golden_compare(const char *what, const float *found, const float *x, int64_t n, double unit,
                      double bound)
{
    double worst = 0.0;
    if (!(unit > 0.0))
        fail_msg("%s: all golden values are 0", what);
    for (int64_t i = 0; i < n; i++) {
        const double error = fabs((double)found[i] - (double)x[i]) / unit;
        if (!(error <= bound)) /* a NaN too */
            fail_msg("%s: element %lld of %lld is %.9g, expected %.9g; the difference is %.3g of "
                     "%.3g, allowed %g",
                     what, (long long)i, (long long)n, (double)found[i], (double)x[i], error, unit,
                     bound);
        worst = fmax(worst, error);
    }
    return worst;
}

double golden_compare_gradient(const golden *g, const param *p, const param *like, double bound)
{
    char what[GOLDEN_DIR_BYTES + PARAM_NAME_BYTES + 8];
    float *x = golden_gradient(g, p);
    snprintf(what, sizeof what, "%s: grad.%s", g->dir, p->name);
    const double worst =
        golden_compare(what, p->grad, x, param_size(p), golden_largest_gradient(g, like), bound);
    mem_free(x);
    return worst;
}

double golden_gradient_snr(const golden *g, const network *net)
{
    const param_list *params = &net->params;
    float *all = test_floats(params->elements);
    for (int64_t i = 0; i < params->count; i++)
        read_gradient(g, params->items[i], all + (params->items[i]->value - params->value));
    const double snr = test_snr_db(params->grad, all, params->elements);
    mem_free(all);
    return snr;
}
