/* A linear layer alone.  See linear_case.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/linear_case.h"

static void bind(void *arg)
{
    linear_case *c = arg;
    linear_bind(&c->ex, &c->lin, &c->storage, "the layer", LINEAR_CASE_ID, &c->weight, &c->bias,
                c->out, c->in);
    if (c->adapter.count > 0)
        low_rank_bind(&c->ex, &c->adapter, &c->lin, &c->storage, LINEAR_CASE_ADAPTER_ID);
    c->act = (linear_input){0};
    linear_input_name(&c->act, &c->lin, LINEAR_CASE_INPUT_ID);
    c->input_mark = c->storage.used;
    linear_input_bind(&c->ex, &c->act, &c->storage, c->rows, c->in);
}

void linear_case_forward(linear_case *c)
{
    float *source = linear_input_source(&c->act, c->x);
    if (source != c->x)
        exec_copy(&c->ex, source, c->x, (size_t)(c->rows * c->in) * sizeof(float));
    linear_input_set(&c->ex, &c->act, source);
    linear_forward(&c->ex, c->y, &c->act, &c->lin);
}

static void run(void *arg)
{
    linear_case *c = arg;
    linear_case_forward(c);
    linear_backward(&c->ex, c->dx, c->dy, &c->act, &c->lin);
}

void linear_case_run(linear_case *c)
{
    run(c);
}

/* The A of all parts lie behind each other, as in a model. */
static void adapter_init(linear_case *c, const linear_case_adapter *adapter)
{
    test_random r = test_random_make("adapter");
    const int64_t size = adapter->rank * c->in;
    c->adapter = (low_rank){.rank = adapter->rank,
                            .scale = adapter->scale,
                            .dropout = adapter->dropout,
                            .weights = adapter->weights,
                            .count = adapter->count,
                            .alpha = adapter->scale * (float)adapter->rank};
    test_param_init(&r, &c->down, adapter->count * adapter->rank, c->in, 0.0, 0.5);
    for (int p = 0; p < adapter->count; p++) {
        low_rank_part *part = &c->adapter.part[p];
        c->a[p] = c->down;
        c->a[p].rows = adapter->rank;
        c->a[p].value += p * size;
        c->a[p].grad += p * size;
        test_param_init(&r, &c->b[p], adapter->part[p].out, adapter->rank, 0.0, 0.5);
        part->first = adapter->part[p].first;
        part->out = adapter->part[p].out;
        part->a = &c->a[p];
        part->b = &c->b[p];
    }
    c->weight.trained = c->bias.trained = false;
}

void linear_case_init(linear_case *c, const gemm_family *family, const num_format *format,
                      int64_t rows, int64_t out, int64_t in)
{
    linear_case_init_adapted(c, family, format, rows, out, in, &(linear_case_adapter){.count = 0});
}

void linear_case_init_adapted(linear_case *c, const gemm_family *family, const num_format *format,
                              int64_t rows, int64_t out, int64_t in,
                              const linear_case_adapter *adapter)
{
    test_random r = test_random_make("linear");
    *c = (linear_case){.rows = rows, .out = out, .in = in};
    test_exec_init(&c->ex, format, 1);
    if (family != NULL) {
        c->ex.family = family;
        c->ex.fk = float_kernels_for(family);
    }
    test_param_init(&r, &c->weight, out, in, 0.0, 0.5);
    test_param_init(&r, &c->bias, 1, out, 0.0, 0.5);
    c->x = test_floats(rows * in);
    c->dx = test_floats(rows * in);
    c->y = test_floats(rows * out);
    c->dy = test_floats(rows * out);
    test_fill_normal(&r, c->x, rows * in, 0.2, 1.0);
    test_fill_normal(&r, c->dy, rows * out, 0.0, 1e-3);
    if (adapter->count > 0)
        adapter_init(c, adapter);
    test_exec_plan(&c->ex, &c->storage, bind, run, c);
}

void linear_case_set_outliers(linear_case *c, const int32_t *feature, int64_t count)
{
    outlier_list_set(&c->lin.outliers, feature, count);
    c->storage.used = c->input_mark; /* the next batch is bound for the list */
    linear_input_bind(&c->ex, &c->act, &c->storage, c->rows, c->in);
}

void linear_case_deinit(linear_case *c)
{
    assert_string_equal(c->ex.anomaly, "");
    test_param_deinit(&c->weight);
    test_param_deinit(&c->bias);
    test_param_deinit(&c->down);
    for (int p = 0; p < c->adapter.count; p++)
        test_param_deinit(&c->b[p]);
    test_arena_deinit(&c->storage);
    mem_free(c->x);
    mem_free(c->dx);
    mem_free(c->y);
    mem_free(c->dy);
    test_exec_deinit(&c->ex);
}
