/*
 * An answer as a span of the text: for each token a score that the answer begins, and one that it
 * ends there.                                                        [Devlin2019 section 4.2]
 *
 *   z[t][2] of each token                                            see token_outputs.h
 *   loss = mean over rows of (CE(z[., 0], begin) + CE(z[., 1], end)) / 2
 *
 * CE is over the tokens of the row.  A begin or end of TARGET_IGNORED is not counted; the mean is
 * over those that are, of begins and of ends each.
 */
#include "heads/heads.h"

#include "heads/token_outputs.h"
#include "layers/loss.h"

enum { SIDES = 2 }; /* begin, end */

typedef struct spans {
    head base;
    token_outputs outputs;
} spans;

static int64_t width(const model_config *cfg)
{
    (void)cfg;
    return SIDES;
}

static mts_status create(mts_ctx *ctx, head **out)
{
    spans *s = NULL;
    const mts_status st = mem_calloc(ctx, &s, 1, sizeof *s, "head");
    *out = st == MTS_OK ? &s->base : NULL;
    return st;
}

static void declare(head *h, param_list *params)
{
    token_outputs *o = &((spans *)h)->outputs;
    o->dropout = h->answers_dropout;
    token_outputs_declare(h, o, params);
}

static void bind(head *h, exec *ex, arena *packed)
{
    token_outputs_bind(h, &((spans *)h)->outputs, ex, packed);
}

static void bind_batch(head *h, exec *ex, const model_input *in, arena *kept)
{
    token_outputs_bind_batch(h, &((spans *)h)->outputs, ex, in, kept);
}

typedef struct side_job {
    const exec *ex;
    const model_input *in;
    const targets *t;
    const float *z;
    float *dz;           /* NULL: not wanted */
    float *row;          /* [2][tokens]: room for the scores and gradients of one side */
    double *loss;        /* [rows][SIDES] */
    float weight[SIDES]; /* of the gradient */
} side_job;

static int32_t target_of(const side_job *job, int64_t row, int side)
{
    return side == 0 ? job->t->begin[row] : job->t->end[row];
}

/* Loss and gradient of one side of a row: its scores lie SIDES apart. */
static void learn_side(const side_job *job, int64_t row, int side)
{
    const int64_t first = job->in->seq.offset[row], n = job->in->seq.offset[row + 1] - first;
    const int32_t target = target_of(job, row, side);
    float *z = job->row + 2 * first, *dz = z + n;
    for (int64_t i = 0; i < n; i++)
        z[i] = job->z[(first + i) * SIDES + side];
    job->loss[row * SIDES + side] = loss_cross_entropy(job->ex, job->dz == NULL ? NULL : dz, z,
                                                       &target, 1, n, job->weight[side]);
    for (int64_t i = 0; job->dz != NULL && i < n; i++)
        job->dz[(first + i) * SIDES + side] = dz[i];
}

static void learn_rows(void *arg, int64_t begin, int64_t end)
{
    const side_job *job = arg;
    for (int64_t row = begin; row < end; row++)
        for (int side = 0; side < SIDES; side++)
            learn_side(job, row, side);
}

/* How many rows count on a side. */
static int64_t count_rows(const side_job *job, int side)
{
    int64_t count = 0;
    for (int64_t row = 0; row < job->in->seq.count; row++)
        count += target_of(job, row, side) >= 0;
    return count;
}

/* The mean loss of a side; rows that do not count have loss 0. */
static double mean_of(const side_job *job, int side)
{
    const int64_t count = count_rows(job, side);
    double sum = 0.0;
    for (int64_t row = 0; row < job->in->seq.count; row++)
        sum += job->loss[row * SIDES + side];
    return count == 0 ? 0.0 : sum / (double)count;
}

/* The loss of z, and its gradient times scale if dz is not NULL. */
static double loss_of(exec *ex, const model_input *in, const float *z, const targets *t,
                      float scale, float *dz)
{
    const size_t mark = exec_mark(ex);
    side_job job = {.ex = ex, .in = in, .t = t, .z = z, .dz = dz};
    double loss = 0.0;
    job.row = exec_take(ex, 2 * in->seq.tokens, sizeof(float));
    job.loss = exec_take(ex, in->seq.count * SIDES, sizeof(double));
    if (!ex->dry) {
        for (int side = 0; side < SIDES; side++) {
            const int64_t count = count_rows(&job, side);
            job.weight[side] = count == 0 ? 0.0f : scale / (float)SIDES / (float)count;
        }
        exec_parallel(ex, in->seq.count, 1, learn_rows, &job);
        loss = (mean_of(&job, 0) + mean_of(&job, 1)) / SIDES;
    }
    exec_release(ex, mark);
    return loss;
}

static double learn(head *h, exec *ex, const model_input *in, const float *x, const targets *t,
                    float scale, float *dx)
{
    token_outputs *o = &((spans *)h)->outputs;
    const size_t mark = exec_mark(ex);
    float *z = exec_take(ex, in->seq.tokens * SIDES, sizeof(float));
    float *dz = exec_take(ex, in->seq.tokens * SIDES, sizeof(float));
    token_outputs_forward(h, o, ex, z, x);
    const double loss = loss_of(ex, in, z, t, scale, dz);
    token_outputs_backward(h, o, ex, dx, dz);
    exec_release(ex, mark);
    return loss;
}

static double predict(head *h, exec *ex, const model_input *in, const float *x, const targets *t,
                      float *out)
{
    token_outputs_forward(h, &((spans *)h)->outputs, ex, out, x);
    return t == NULL ? 0.0 : loss_of(ex, in, out, t, 1.0f, NULL);
}

const head_class head_spans = {
    .name = "spans",
    .architecture = "ForQuestionAnswering",
    .target = TARGET_SPAN,
    .unit = HEAD_PER_TOKEN,
    .peft_task = "QUESTION_ANS",
    .peft_saved = "qa_outputs",
    .outputs = "qa_outputs",
    .width = width,
    .create = create,
    .declare = declare,
    .bind = bind,
    .bind_batch = bind_batch,
    .learn = learn,
    .predict = predict,
};
