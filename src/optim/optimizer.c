/* Creating, stepping and restoring an optimizer: what all classes share.  See optimizer.h. */
#include "optim/optimizer.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "optim/optimizer_class.h"

static const optimizer_class *const classes[] = {
    &optimizer_adamw,      /* as torch.optim.AdamW [Loshchilov2019] */
    &optimizer_adamw_8bit, /* the same with moments in 8 bits [Dettmers2022] */
    &optimizer_sgd,        /* momentum and coupled weight decay, as torch.optim.SGD */
    &optimizer_sgd_int16,  /* integer SGD, int16 state [Ghaffari2022] */
};

enum { CLASSES = sizeof classes / sizeof classes[0] };

const optimizer_class *optimizer_class_at(int i)
{
    return i < CLASSES ? classes[i] : NULL;
}

const optimizer_class *optimizer_class_find(const char *name)
{
    for (int i = 0; i < CLASSES; i++)
        if (strcmp(classes[i]->name, name) == 0)
            return classes[i];
    return NULL;
}

/* ------------------------------------------------------------------------------- arrays ---- */

/* Of every optimizer; the first. */
static const optimizer_array step_array = {"step", OPTIMIZER_I64, .fixed = 1};

int64_t optimizer_of_elements(int64_t elements)
{
    return elements;
}

int64_t optimizer_of_tensors(int64_t elements)
{
    (void)elements;
    return 1;
}

static int array_count(const optimizer_class *class)
{
    int n = 0;
    while (n < OPTIMIZER_MAX_ARRAYS && class->arrays[n].name != NULL)
        n++;
    return n;
}

static bool is_kept(const optimizer_options *o, const optimizer_array *array)
{
    return !array->with_momentum || o->momentum > 0.0;
}

size_t optimizer_dtype_bytes(optimizer_dtype dtype)
{
    switch (dtype) {
    case OPTIMIZER_U8:
        return 1;
    case OPTIMIZER_I16:
        return 2;
    case OPTIMIZER_F32:
    case OPTIMIZER_I32:
        return 4;
    case OPTIMIZER_F64:
    case OPTIMIZER_I64:
        break;
    }
    return 8;
}

void optimizer_sizes_add(optimizer_sizes *sizes, const optimizer_class *class, int64_t elements)
{
    sizes->elements += elements;
    sizes->tensors++;
    sizes->pieces += (elements + OPTIMIZER_PIECE - 1) / OPTIMIZER_PIECE;
    for (int i = 0; i < array_count(class); i++)
        if (class->arrays[i].per_param != NULL)
            sizes->counts[i] += class->arrays[i].per_param(elements);
}

size_t optimizer_bytes(const optimizer_options *options, const optimizer_sizes *sizes)
{
    const optimizer_class *class = options->class;
    size_t bytes = sizeof(optimizer) + (size_t)sizes->pieces * sizeof(param_piece);
    bytes += (size_t)step_array.fixed * optimizer_dtype_bytes(step_array.dtype);
    for (int i = 0; i < array_count(class); i++) {
        const optimizer_array *array = &class->arrays[i];
        if (is_kept(options, array))
            bytes +=
                (size_t)(array->fixed + sizes->counts[i]) * optimizer_dtype_bytes(array->dtype);
    }
    if (class->work_bytes != NULL)
        bytes += class->work_bytes(sizes);
    return bytes;
}

static mts_status add_state(mts_ctx *ctx, optimizer *opt, const optimizer_array *array,
                            int64_t count)
{
    mts_status st = MTS_OK;
    optimizer_state *state = &opt->states[opt->state_count];
    *state = (optimizer_state){.name = array->name, .dtype = array->dtype, .count = count};
    MTS_TRY(mem_calloc(ctx, &state->data, (size_t)count, optimizer_dtype_bytes(array->dtype),
                       "optimizer state"));
    opt->state_count++;
cleanup:
    return st;
}

static mts_status make_states(mts_ctx *ctx, optimizer *opt, param *const *params)
{
    mts_status st = MTS_OK;
    const optimizer_class *class = opt->options.class;
    optimizer_sizes sizes = {0};
    for (int64_t i = 0; i < opt->count; i++) {
        const param *p = params[i];
        optimizer_sizes_add(&sizes, class, param_size(p));
    }
    MTS_TRY(add_state(ctx, opt, &step_array, step_array.fixed));
    for (int i = 0; i < array_count(class); i++) {
        const optimizer_array *array = &class->arrays[i];
        if (is_kept(&opt->options, array))
            MTS_TRY(add_state(ctx, opt, array, array->fixed + sizes.counts[i]));
    }
cleanup:
    return st;
}

int optimizer_state_count(const optimizer *opt)
{
    return opt->state_count;
}

optimizer_state optimizer_state_at(const optimizer *opt, int i)
{
    assert(i >= 0 && i < opt->state_count);
    return opt->states[i];
}

void *optimizer_state_data(const optimizer *opt, const char *name)
{
    for (int i = 0; i < opt->state_count; i++)
        if (strcmp(opt->states[i].name, name) == 0)
            return opt->states[i].data;
    return NULL;
}

static int64_t *step_of(const optimizer *opt)
{
    return opt->states[0].data;
}

int64_t optimizer_steps_done(const optimizer *opt)
{
    return *step_of(opt);
}

/* ------------------------------------------------------------------------ life and steps ---- */

mts_status optimizer_create(mts_ctx *ctx, const optimizer_options *options, param *const *params,
                            int64_t count, optimizer **out)
{
    mts_status st = MTS_OK;
    optimizer *opt = NULL;
    *out = NULL;
    assert(options->class != NULL);
    MTS_TRY(mem_calloc(ctx, &opt, 1, sizeof *opt, "optimizer"));
    opt->options = *options;
    opt->count = count;
    MTS_TRY(param_pieces_init(ctx, &opt->pieces, params, count, OPTIMIZER_PIECE));
    MTS_TRY(make_states(ctx, opt, params));
    if (options->class->init != NULL)
        MTS_TRY(options->class->init(ctx, opt, params));
    *out = opt;
    opt = NULL;
cleanup:
    optimizer_destroy(opt);
    return st;
}

void optimizer_destroy(optimizer *opt)
{
    if (opt == NULL)
        return;
    if (opt->work != NULL)
        opt->options.class->destroy(opt->work);
    for (int i = 0; i < opt->state_count; i++)
        mem_free(opt->states[i].data);
    param_pieces_deinit(&opt->pieces);
    mem_free(opt);
}

void optimizer_step(exec *ex, optimizer *opt, param *const *params, int64_t count,
                    double learning_rate, float grad_scale)
{
    assert(count == opt->count);
    (void)count; /* without assertions */
    ++*step_of(opt);
    opt->options.class->step(ex, opt, params, learning_rate, grad_scale);
}

/* ----------------------------------------------------------------------------- restoring ---- */

/* An F32 or F64 array: finite numbers in the range that the class declares. */
static mts_status check_reals(mts_ctx *ctx, const optimizer_state *state, optimizer_range range)
{
    static const char *const ranges[] = {
        [OPTIMIZER_ANY] = "",
        [OPTIMIZER_NOT_NEGATIVE] = " not below 0",
        [OPTIMIZER_UP_TO_ONE] = " from 0 to 1",
    };
    mts_status st = MTS_OK;
    const double low = range == OPTIMIZER_ANY ? -HUGE_VAL : 0.0;
    const double high = range == OPTIMIZER_UP_TO_ONE ? 1.0 : HUGE_VAL;
    for (int64_t i = 0; i < state->count; i++) {
        const double x = state->dtype == OPTIMIZER_F64 ? ((const double *)state->data)[i]
                                                       : (double)((const float *)state->data)[i];
        MTS_CHECK(isfinite(x) && x >= low && x <= high, MTS_ERR_BAD_FILE,
                  "optimizer state %s, element %lld: expected a finite number%s, found %g",
                  state->name, (long long)i, ranges[range], x);
    }
cleanup:
    return st;
}

mts_status optimizer_restored(mts_ctx *ctx, optimizer *opt, param *const *params, int64_t count)
{
    mts_status st = MTS_OK;
    const optimizer_class *class = opt->options.class;
    assert(count == opt->count);
    (void)count; /* without assertions */
    MTS_CHECK(*step_of(opt) >= 0 && *step_of(opt) <= INT64_MAX / 2, MTS_ERR_BAD_FILE,
              "optimizer state step: expected a number of steps, found %lld",
              (long long)*step_of(opt));
    for (int i = 0, s = 1; i < array_count(class); i++) {
        const optimizer_array *array = &class->arrays[i];
        if (!is_kept(&opt->options, array))
            continue;
        if (array->dtype == OPTIMIZER_F32 || array->dtype == OPTIMIZER_F64)
            MTS_TRY(check_reals(ctx, &opt->states[s], array->range));
        s++;
    }
    if (class->restored != NULL)
        MTS_TRY(class->restored(ctx, opt, params));
cleanup:
    return st;
}
