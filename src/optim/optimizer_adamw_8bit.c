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
#include "optim/optimizer_internal.h"

#include "optim/dynamic_map.h"

/* Where the state of a parameter begins. */
typedef struct adamw_8bit_place {
    bool large;
    int64_t first; /* in the arrays of codes, or of floats */
    int64_t block; /* in the arrays of maxima, if large */
} adamw_8bit_place;

struct adamw_8bit_work {
    adamw_8bit_maps maps;
    adamw_8bit_place *places; /* [parameters] */
};

typedef struct adamw_8bit_job {
    const exec *ex;
    const param *params;
    const param_piece *pieces;
    const adamw_8bit_work *work;
    adamw_8bit_state codes;
    float *m, *v;
    adamw_args args[2]; /* [param.decay] */
} adamw_8bit_job;

size_t adamw_8bit_bytes(int64_t tensors)
{
    return sizeof(adamw_8bit_work) + (size_t)tensors * sizeof(adamw_8bit_place);
}

mts_status adamw_8bit_init(mts_ctx *ctx, optimizer *opt, const param *params)
{
    mts_status st = MTS_OK;
    adamw_8bit_work *work = NULL;
    optimizer_sizes before = {0};
    MTS_TRY(mem_calloc(ctx, &opt->work_8bit, 1, sizeof *work, "optimizer plan"));
    work = opt->work_8bit;
    MTS_TRY(
        mem_calloc(ctx, &work->places, (size_t)opt->count, sizeof *work->places, "optimizer plan"));
    for (int64_t p = 0; p < opt->count; p++) {
        const int64_t n = params[p].rows * params[p].cols;
        const bool large = n >= OPTIMIZER_8BIT_MIN;
        work->places[p] = (adamw_8bit_place){
            .large = large,
            .first = large ? before.large : before.elements - before.large,
            .block = before.blocks,
        };
        optimizer_sizes_add(&before, n);
    }
    dynamic_map_make(&work->maps.signs, true);
    dynamic_map_make(&work->maps.squares, false);
    adamw_init(opt);
cleanup:
    return st;
}

void adamw_8bit_destroy(adamw_8bit_work *work)
{
    if (work == NULL)
        return;
    mem_free(work->places);
    mem_free(work);
}

static void step_pieces(void *arg, int64_t begin, int64_t end)
{
    const adamw_8bit_job *job = arg;
    const float_kernels *fk = job->ex->fk;
    for (int64_t i = begin; i < end; i++) {
        const param_piece *part = &job->pieces[i];
        const param *p = &job->params[part->param];
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

void adamw_8bit_step(exec *ex, optimizer *opt, const param *params, double learning_rate,
                     float grad_scale)
{
    adamw_8bit_job job = {
        .ex = ex,
        .params = params,
        .pieces = opt->pieces.items,
        .work = opt->work_8bit,
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
