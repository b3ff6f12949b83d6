/*
 * AdamW with both moments in 8 bits, block-wise [Dettmers2022], over the whole model in one
 * parallel loop.  The step is that of optimizer_adamw.c; the moments are FORMATS.md (12).
 *
 * Blocks of 256 elements start anew in every parameter, as in bitsandbytes' AdamW8bit; so does the
 * float state of parameters with fewer than 4096 elements.  In the arrays of codes, of maxima and
 * of floats each parameter follows the one before it of its sort.
 *
 * Path: optimizer_step -> here -> float_kernels.adamw_8bit or .adamw for every piece.
 * A block lies within one piece, so that its max is a matter of one thread.
 */
#include "tensor/dynamic_map.h"
#include "optim/optimizer_adamw.h"

/* A piece has whole blocks, but for the last one of a parameter. */
_Static_assert(OPTIMIZER_PIECE % DYNAMIC_BLOCK == 0, "no block is shared by two threads");

/* Where the state of a parameter begins. */
typedef struct adamw_8bit_place {
    bool large;
    int64_t first; /* in the arrays of codes, or of floats */
    int64_t block; /* in the arrays of maxima, if large */
} adamw_8bit_place;

typedef struct adamw_8bit_work {
    adamw_8bit_maps maps;
    adamw_8bit_place *places; /* [parameters] */
} adamw_8bit_work;

typedef struct adamw_8bit_job {
    const exec *ex;
    param *const *params;
    const param_piece *pieces;
    const adamw_8bit_work *work;
    adamw_8bit_state codes;
    float *m, *v;
    adamw_args args[2]; /* [param.decay] */
} adamw_8bit_job;

/* What a parameter has in the arrays: codes, blocks of them, or floats. */
static int64_t codes_of(int64_t elements)
{
    return elements >= ADAMW_8BIT_MIN ? elements : 0;
}

static int64_t blocks_of(int64_t elements)
{
    return (codes_of(elements) + DYNAMIC_BLOCK - 1) / DYNAMIC_BLOCK;
}

static int64_t floats_of(int64_t elements)
{
    return elements - codes_of(elements);
}

static size_t adamw_8bit_bytes(const optimizer_sizes *sizes)
{
    return sizeof(adamw_8bit_work) + (size_t)sizes->tensors * sizeof(adamw_8bit_place);
}

static mts_status adamw_8bit_init(mts_ctx *ctx, optimizer *opt, param *const *params)
{
    mts_status st = MTS_OK;
    adamw_8bit_work *work = NULL;
    int64_t codes = 0, blocks = 0, floats = 0;
    MTS_TRY(mem_calloc(ctx, &work, 1, sizeof *work, "optimizer plan"));
    opt->work = work;
    MTS_TRY(
        mem_calloc(ctx, &work->places, (size_t)opt->count, sizeof *work->places, "optimizer plan"));
    for (int64_t i = 0; i < opt->count; i++) {
        const param *p = params[i];
        const int64_t n = param_size(p);
        const bool large = codes_of(n) > 0;
        work->places[i] = (adamw_8bit_place){
            .large = large,
            .first = large ? codes : floats,
            .block = blocks,
        };
        codes += codes_of(n);
        blocks += blocks_of(n);
        floats += floats_of(n);
    }
    dynamic_map_make(&work->maps.signs, true);
    dynamic_map_make(&work->maps.squares, false);
    MTS_TRY(adamw_init(ctx, opt, params));
cleanup:
    return st;
}

static void adamw_8bit_destroy(void *arg)
{
    adamw_8bit_work *work = arg;
    mem_free(work->places);
    mem_free(work);
}

static void step_pieces(void *arg, int64_t begin, int64_t end)
{
    const adamw_8bit_job *job = arg;
    const float_kernels *fk = job->ex->fk;
    for (int64_t i = begin; i < end; i++) {
        const param_piece *part = &job->pieces[i];
        const param *p = job->params[part->param];
        const adamw_8bit_place *place = &job->work->places[part->param];
        const adamw_args *args = &job->args[p->decay];
        float *w = p->value + part->begin;
        const float *g = p->grad + part->begin;
        const int64_t first = place->first + part->begin;
        if (place->large) {
            const int64_t block = place->block + part->begin / DYNAMIC_BLOCK;
            const adamw_8bit_state state = {
                .m = job->codes.m + first,
                .v = job->codes.v + first,
                .m_max = job->codes.m_max + block,
                .v_max = job->codes.v_max + block,
            };
            fk->adamw_8bit(w, &state, g, part->n, args, &job->work->maps);
        } else {
            fk->adamw(w, job->m + first, job->v + first, g, part->n, args);
        }
    }
}

static void adamw_8bit_step(exec *ex, optimizer *opt, param *const *params, double learning_rate,
                            float grad_scale)
{
    adamw_8bit_job job = {
        .ex = ex,
        .params = params,
        .pieces = opt->pieces.items,
        .work = opt->work,
        .codes = {.m = optimizer_state_data(opt, "exp_avg_code"),
                  .v = optimizer_state_data(opt, "exp_avg_sq_code"),
                  .m_max = optimizer_state_data(opt, "exp_avg_absmax"),
                  .v_max = optimizer_state_data(opt, "exp_avg_sq_absmax")},
        .m = optimizer_state_data(opt, "exp_avg"),
        .v = optimizer_state_data(opt, "exp_avg_sq"),
    };
    adamw_begin(opt, learning_rate, grad_scale, job.args);
    exec_parallel(ex, opt->pieces.count, 1, step_pieces, &job);
}

/* Codes need no range: each of the 256 is a number. */
const optimizer_class optimizer_adamw_8bit = {
    .name = "adamw_8bit",
    .arrays =
        {
            {"exp_avg_code", OPTIMIZER_U8, .per_param = codes_of},
            {"exp_avg_absmax", OPTIMIZER_F32, blocks_of, .range = OPTIMIZER_NOT_NEGATIVE},
            {"exp_avg_sq_code", OPTIMIZER_U8, .per_param = codes_of},
            {"exp_avg_sq_absmax", OPTIMIZER_F32, blocks_of, .range = OPTIMIZER_NOT_NEGATIVE},
            {"exp_avg", OPTIMIZER_F32, floats_of, .range = OPTIMIZER_ANY},
            {"exp_avg_sq", OPTIMIZER_F32, floats_of, .range = OPTIMIZER_NOT_NEGATIVE},
            {"beta_powers", OPTIMIZER_F64, .fixed = 2, .range = OPTIMIZER_UP_TO_ONE},
        },
    .work_bytes = adamw_8bit_bytes,
    .init = adamw_8bit_init,
    .destroy = adamw_8bit_destroy,
    .step = adamw_8bit_step,
};
