/* Creating, stepping and restoring an optimizer: what is common to all kinds.  See optimizer.h. */
#include "optim/optimizer_internal.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* In the order of optimizer_kind. */
static const char *const kind_names[] = {"adamw", "adamw_8bit", "sgd", "sgd_int16"};

optimizer_kind optimizer_kind_of(const char *text)
{
    const int count = (int)(sizeof kind_names / sizeof kind_names[0]);
    int kind = 0;
    while (kind < count && strcmp(kind_names[kind], text) != 0)
        kind++;
    assert(kind < count);
    return (optimizer_kind)kind;
}

/* ------------------------------------------------------------------------------- arrays ---- */

typedef enum state_extent {
    EXTENT_ONE,
    EXTENT_TWO,
    EXTENT_TENSORS,
    EXTENT_ELEMENTS,
    EXTENT_LARGE, /* elements in 8 bits, their blocks, and the other elements */
    EXTENT_BLOCKS,
    EXTENT_SMALL,
} state_extent;

enum {
    ADAMW = 1 << OPTIMIZER_ADAMW,
    EIGHT = 1 << OPTIMIZER_ADAMW_8BIT,
    SGD = 1 << OPTIMIZER_SGD,
    INT16 = 1 << OPTIMIZER_SGD_INT16,
};

/* Every array of every kind: drives allocation, the plan of memory and checkpoints. */
static const struct state_row {
    const char *name;
    optimizer_dtype dtype;
    state_extent extent;
    unsigned kinds;
    bool with_momentum; /* only if momentum > 0 */
} state_rows[] = {
    {"step", OPTIMIZER_I64, EXTENT_ONE, ADAMW | EIGHT | SGD | INT16, false},
    {"exp_avg", OPTIMIZER_F32, EXTENT_ELEMENTS, ADAMW, false},
    {"exp_avg_sq", OPTIMIZER_F32, EXTENT_ELEMENTS, ADAMW, false},
    {"exp_avg_code", OPTIMIZER_U8, EXTENT_LARGE, EIGHT, false},
    {"exp_avg_absmax", OPTIMIZER_F32, EXTENT_BLOCKS, EIGHT, false},
    {"exp_avg_sq_code", OPTIMIZER_U8, EXTENT_LARGE, EIGHT, false},
    {"exp_avg_sq_absmax", OPTIMIZER_F32, EXTENT_BLOCKS, EIGHT, false},
    {"exp_avg", OPTIMIZER_F32, EXTENT_SMALL, EIGHT, false},
    {"exp_avg_sq", OPTIMIZER_F32, EXTENT_SMALL, EIGHT, false},
    {"beta_powers", OPTIMIZER_F64, EXTENT_TWO, ADAMW | EIGHT, false},
    {"momentum_buffer", OPTIMIZER_F32, EXTENT_ELEMENTS, SGD, true},
    {"weight", OPTIMIZER_I16, EXTENT_ELEMENTS, INT16, false},
    {"weight_exponent", OPTIMIZER_I32, EXTENT_TENSORS, INT16, false},
    {"momentum_buffer", OPTIMIZER_I16, EXTENT_ELEMENTS, INT16, true},
    {"momentum_exponent", OPTIMIZER_I32, EXTENT_TENSORS, INT16, true},
};

enum { STATE_ROWS = sizeof state_rows / sizeof state_rows[0] };

static bool has_row(const optimizer_options *o, const struct state_row *row)
{
    return (row->kinds & 1u << o->kind) != 0 && (!row->with_momentum || o->momentum > 0.0);
}

static int64_t extent_count(state_extent extent, const optimizer_sizes *sizes)
{
    switch (extent) {
    case EXTENT_ONE:
        return 1;
    case EXTENT_TWO:
        return 2;
    case EXTENT_TENSORS:
        return sizes->tensors;
    case EXTENT_LARGE:
        return sizes->large;
    case EXTENT_BLOCKS:
        return sizes->blocks;
    case EXTENT_SMALL:
        return sizes->elements - sizes->large;
    case EXTENT_ELEMENTS:
        break;
    }
    return sizes->elements;
}

static size_t dtype_bytes(optimizer_dtype dtype)
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

void optimizer_sizes_add(optimizer_sizes *sizes, int64_t elements)
{
    sizes->elements += elements;
    sizes->tensors++;
    sizes->pieces += (elements + OPTIMIZER_PIECE - 1) / OPTIMIZER_PIECE;
    if (elements >= OPTIMIZER_8BIT_MIN) {
        sizes->large += elements;
        sizes->blocks += (elements + DYNAMIC_BLOCK - 1) / DYNAMIC_BLOCK;
    }
}

size_t optimizer_bytes(const optimizer_options *options, const optimizer_sizes *sizes)
{
    size_t bytes = sizeof(optimizer) + (size_t)sizes->pieces * sizeof(param_piece);
    for (int r = 0; r < STATE_ROWS; r++) {
        const struct state_row *row = &state_rows[r];
        if (has_row(options, row))
            bytes += (size_t)extent_count(row->extent, sizes) * dtype_bytes(row->dtype);
    }
    if (options->kind == OPTIMIZER_SGD_INT16)
        bytes += sgd_int16_bytes(sizes->tensors, sizes->pieces);
    if (options->kind == OPTIMIZER_ADAMW_8BIT)
        bytes += adamw_8bit_bytes(sizes->tensors);
    return bytes;
}

static mts_status make_states(mts_ctx *ctx, optimizer *opt, const param *params)
{
    mts_status st = MTS_OK;
    optimizer_sizes sizes = {0};
    for (int64_t p = 0; p < opt->count; p++)
        optimizer_sizes_add(&sizes, params[p].rows * params[p].cols);
    for (int r = 0; r < STATE_ROWS; r++) {
        const struct state_row *row = &state_rows[r];
        optimizer_state *state = &opt->states[opt->state_count];
        if (!has_row(&opt->options, row))
            continue;
        *state = (optimizer_state){
            .name = row->name,
            .dtype = row->dtype,
            .count = extent_count(row->extent, &sizes),
        };
        MTS_TRY(mem_calloc(ctx, &state->data, (size_t)state->count, dtype_bytes(row->dtype),
                           "optimizer state"));
        opt->state_count++;
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

mts_status optimizer_create(mts_ctx *ctx, const optimizer_options *options, const param *params,
                            int64_t count, optimizer **out)
{
    mts_status st = MTS_OK;
    optimizer *opt = NULL;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &opt, 1, sizeof *opt, "optimizer"));
    opt->options = *options;
    opt->count = count;
    MTS_TRY(param_pieces_init(ctx, &opt->pieces, params, count, OPTIMIZER_PIECE));
    MTS_TRY(make_states(ctx, opt, params));
    if (options->kind == OPTIMIZER_ADAMW)
        adamw_init(opt);
    else if (options->kind == OPTIMIZER_ADAMW_8BIT)
        MTS_TRY(adamw_8bit_init(ctx, opt, params));
    else if (options->kind == OPTIMIZER_SGD_INT16)
        MTS_TRY(sgd_int16_init(ctx, opt, params));
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
    sgd_int16_destroy(opt->work);
    adamw_8bit_destroy(opt->work_8bit);
    for (int i = 0; i < opt->state_count; i++)
        mem_free(opt->states[i].data);
    param_pieces_deinit(&opt->pieces);
    mem_free(opt);
}

void optimizer_step(exec *ex, optimizer *opt, const param *params, int64_t count,
                    double learning_rate, float grad_scale)
{
    assert(count == opt->count);
    (void)count; /* without assertions */
    ++*step_of(opt);
    switch (opt->options.kind) {
    case OPTIMIZER_ADAMW:
        adamw_step(ex, opt, params, learning_rate, grad_scale);
        break;
    case OPTIMIZER_ADAMW_8BIT:
        adamw_8bit_step(ex, opt, params, learning_rate, grad_scale);
        break;
    case OPTIMIZER_SGD:
        sgd_step(ex, opt, params, learning_rate, grad_scale);
        break;
    case OPTIMIZER_SGD_INT16:
        sgd_int16_step(ex, opt, params, learning_rate, grad_scale);
        break;
    }
}

/* ----------------------------------------------------------------------------- restoring ---- */

/* The real arrays: finite; squares, largest magnitudes and powers of the betas not negative; the
 * last at most 1. */
static mts_status check_reals(mts_ctx *ctx, const optimizer_state *state)
{
    mts_status st = MTS_OK;
    const bool powers = state->dtype == OPTIMIZER_F64;
    const bool any =
        strcmp(state->name, "exp_avg") == 0 || strcmp(state->name, "momentum_buffer") == 0;
    const double low = any ? -HUGE_VAL : 0.0;
    const double high = powers ? 1.0 : HUGE_VAL;
    for (int64_t i = 0; i < state->count; i++) {
        const double x =
            powers ? ((const double *)state->data)[i] : (double)((const float *)state->data)[i];
        MTS_CHECK(isfinite(x) && x >= low && x <= high, MTS_ERR_BAD_FILE,
                  "optimizer state %s, element %lld: expected a finite number%s, found %g",
                  state->name, (long long)i,
                  powers ? " from 0 to 1"
                  : any  ? ""
                         : " not below 0",
                  x);
    }
cleanup:
    return st;
}

mts_status optimizer_restored(mts_ctx *ctx, optimizer *opt, const param *params, int64_t count)
{
    mts_status st = MTS_OK;
    assert(count == opt->count);
    (void)count; /* without assertions */
    MTS_CHECK(*step_of(opt) >= 0 && *step_of(opt) <= INT64_MAX / 2, MTS_ERR_BAD_FILE,
              "optimizer state step: expected a number of steps, found %lld",
              (long long)*step_of(opt));
    for (int i = 0; i < opt->state_count; i++) {
        const optimizer_state *state = &opt->states[i];
        if (state->dtype == OPTIMIZER_F32 || state->dtype == OPTIMIZER_F64)
            MTS_TRY(check_reals(ctx, state));
    }
    if (opt->options.kind == OPTIMIZER_SGD_INT16)
        MTS_TRY(sgd_int16_restored(ctx, opt, params));
cleanup:
    return st;
}
