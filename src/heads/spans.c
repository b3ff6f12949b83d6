/*
 * An answer as a span of the text: for each token a score that the answer begins, and one that it
 * ends there.                                                        [Devlin2019 section 4.2]
 *
 *   z[t] = h[t] W + b, W [2][hidden]; some architectures have dropout(h[t]) for h[t], or
 *                                     dropout(N(act(h[t] Wd + bd)))
 *   loss = mean over rows of (CE(z[., 0], begin) + CE(z[., 1], end)) / 2
 *
 * CE is over the tokens of the row.  A begin or end of TARGET_IGNORED is not counted; the mean is
 * over those that are, of begins and of ends each.
 */
#include "heads/heads.h"

#include "heads/head_transform.h"
#include "layers/dropout.h"
#include "layers/loss.h"

enum { SIDES = 2 }; /* begin, end */

typedef struct spans {
    head base;
    head_transform transform; /* where the architecture has it (first_token_names.of_tokens) */
    param *weight, *bias;
    linear out;
    linear_input in; /* kept from forward to backward */
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

static const char *out_name(const head *h)
{
    return head_class_outputs(h->class, h->model);
}

static void declare(head *h, param_list *params)
{
    spans *s = (spans *)h;
    if (h->first_token.of_tokens)
        head_transform_declare(h, &s->transform, params);
    params->part = PARAM_OUTPUT;
    s->weight =
        param_declare(params, PARAM_WEIGHT, SIDES, h->cfg->hidden_size, "%s.weight", out_name(h));
    s->bias = param_declare(params, PARAM_BIAS, 0, SIDES, "%s.bias", out_name(h));
}

static void bind(head *h, exec *ex, arena *packed)
{
    spans *s = (spans *)h;
    if (h->first_token.of_tokens)
        head_transform_bind(h, &s->transform, ex, packed);
    linear_bind(ex, &s->out, packed, out_name(h), STREAM_HEAD_OUT, s->weight, s->bias, SIDES,
                h->cfg->hidden_size);
    linear_input_name(&s->in, &s->out, STREAM_HEAD_OUT_INPUT);
}

static void bind_batch(head *h, exec *ex, const model_input *in, arena *kept)
{
    spans *s = (spans *)h;
    if (h->first_token.of_tokens)
        head_transform_bind_batch(h, &s->transform, ex, in->seq.tokens, kept);
    linear_input_bind(ex, &s->in, kept, in->seq.tokens, h->cfg->hidden_size);
}

/* The input of the outputs from x[tokens][hidden]. */
static void drop(spans *s, exec *ex, const float *x)
{
    const int64_t n = s->in.rows * s->in.cols;
    const float p = ex->training ? s->base.answers_dropout : 0.0f;
    const size_t mark = exec_mark(ex);
    float *dropped = p > 0.0f ? exec_take(ex, n, sizeof(float)) : NULL;
    if (dropped != NULL)
        dropout_apply(ex, dropped, x, n, 0, p, STREAM_HEAD_DROPOUT);
    linear_input_copy(ex, &s->in, dropped != NULL ? dropped : x);
    exec_release(ex, mark);
}

/* dx[tokens][hidden] from dz[tokens][2] */
static void backward(spans *s, exec *ex, const float *dz, float *dx)
{
    head *h = &s->base;
    if (h->first_token.of_tokens) {
        head_transform_tokens_backward(h, &s->transform, ex, dx, dz, &s->in, &s->out);
        return;
    }
    /* forward: z = dropout(x) W + b */
    linear_backward(ex, dx, dz, &s->in, &s->out);
    dropout_apply(ex, dx, dx, s->in.rows * s->in.cols, 0, h->answers_dropout, STREAM_HEAD_DROPOUT);
}

/* z[tokens][2] */
static void forward(spans *s, exec *ex, const model_input *in, const float *x, float *z)
{
    if (s->base.first_token.of_tokens)
        head_transform_tokens(&s->base, &s->transform, ex, &s->in, x);
    else
        drop(s, ex, x);
    linear_forward(ex, z, &s->in, &s->out);
    exec_check_finite(ex, z, in->seq.tokens * SIDES, "the output", s->out.name);
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
    spans *s = (spans *)h;
    const size_t mark = exec_mark(ex);
    float *z = exec_take(ex, in->seq.tokens * SIDES, sizeof(float));
    float *dz = exec_take(ex, in->seq.tokens * SIDES, sizeof(float));
    forward(s, ex, in, x, z);
    const double loss = loss_of(ex, in, z, t, scale, dz);
    backward(s, ex, dz, dx);
    exec_release(ex, mark);
    return loss;
}

static double predict(head *h, exec *ex, const model_input *in, const float *x, const targets *t,
                      float *out)
{
    forward((spans *)h, ex, in, x, out);
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
