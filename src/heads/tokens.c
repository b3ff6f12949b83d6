/*
 * A class for each token: names of things in a text, parts of speech.  [Devlin2019 section 5.3]
 *
 *   z[t] = dropout(h[t]) W + b, W [labels][hidden]; some architectures have
 *                                                   N(act(h[t] Wd + bd)) for h[t]
 *   loss = -mean over the tokens with a tag of log softmax(z[t])[tag]
 *
 * A token whose tag is TARGET_IGNORED is not counted; its gradient is zero.
 */
#include "heads/heads.h"

#include "heads/head_transform.h"
#include "layers/dropout.h"
#include "layers/loss.h"

typedef struct tokens {
    head base;
    head_transform transform; /* where the architecture has it (first_token_names.of_tokens) */
    param *weight, *bias;
    linear out;
    linear_input in; /* [tokens][hidden], kept from forward to backward */
} tokens;

static int64_t width(const model_config *cfg)
{
    return cfg->num_labels;
}

static mts_status create(mts_ctx *ctx, head **out)
{
    tokens *h = NULL;
    const mts_status st = mem_calloc(ctx, &h, 1, sizeof *h, "head");
    *out = st == MTS_OK ? &h->base : NULL;
    return st;
}

static void declare(head *base, param_list *params)
{
    tokens *h = (tokens *)base;
    const int64_t n = base->cfg->num_labels;
    const char *name = head_class_outputs(base->class, base->model);
    if (base->first_token.of_tokens)
        head_transform_declare(base, &h->transform, params);
    params->part = PARAM_OUTPUT;
    h->weight = param_declare(params, PARAM_WEIGHT, n, base->cfg->hidden_size, "%s.weight", name);
    h->bias = param_declare(params, PARAM_BIAS, 0, n, "%s.bias", name);
}

static void bind(head *base, exec *ex, arena *packed)
{
    tokens *h = (tokens *)base;
    if (base->first_token.of_tokens)
        head_transform_bind(base, &h->transform, ex, packed);
    linear_bind(ex, &h->out, packed, head_class_outputs(base->class, base->model), STREAM_HEAD_OUT,
                h->weight, h->bias, base->cfg->num_labels, base->cfg->hidden_size);
    linear_input_name(&h->in, &h->out, STREAM_HEAD_OUT_INPUT);
}

static void bind_batch(head *base, exec *ex, const model_input *in, arena *kept)
{
    tokens *h = (tokens *)base;
    if (base->first_token.of_tokens)
        head_transform_bind_batch(base, &h->transform, ex, in->seq.tokens, kept);
    linear_input_bind(ex, &h->in, kept, in->seq.tokens, base->cfg->hidden_size);
}

/* The input of the outputs from x[tokens][hidden]. */
static void drop(tokens *h, exec *ex, const float *x)
{
    const int64_t n = h->in.rows * h->in.cols;
    const size_t mark = exec_mark(ex);
    float *kept = linear_input_source(&h->in, exec_take(ex, n, sizeof(float)));
    dropout_apply(ex, kept, x, n, 0, h->base.dropout, STREAM_HEAD_DROPOUT);
    linear_input_set(ex, &h->in, kept);
    exec_release(ex, mark);
}

/* z[tokens][labels] */
static void forward(tokens *h, exec *ex, const model_input *in, const float *x, float *z)
{
    if (h->base.first_token.of_tokens)
        head_transform_tokens(&h->base, &h->transform, ex, &h->in, x);
    else
        drop(h, ex, x);
    linear_forward(ex, z, &h->in, &h->out);
    exec_check_finite(ex, z, in->seq.tokens * h->base.cfg->num_labels, "the output", h->out.name);
}

/* dx[tokens][hidden] from dz[tokens][labels] */
static void backward(tokens *h, exec *ex, const float *dz, float *dx)
{
    if (h->base.first_token.of_tokens) {
        head_transform_tokens_backward(&h->base, &h->transform, ex, dx, dz, &h->in, &h->out);
        return;
    }
    /* forward: z = dropout(x) W + b */
    linear_backward(ex, dx, dz, &h->in, &h->out);
    dropout_apply(ex, dx, dx, h->in.rows * h->in.cols, 0, h->base.dropout, STREAM_HEAD_DROPOUT);
}

static double learn(head *base, exec *ex, const model_input *in, const float *x, const targets *t,
                    float scale, float *dx)
{
    tokens *h = (tokens *)base;
    const int64_t n = in->seq.tokens, labels = base->cfg->num_labels;
    const size_t mark = exec_mark(ex);
    float *z = exec_take(ex, n * labels, sizeof(float));
    float *dz = exec_take(ex, n * labels, sizeof(float));
    forward(h, ex, in, x, z);
    const double loss = loss_cross_entropy(ex, dz, z, t->index, n, labels, scale);
    backward(h, ex, dz, dx);
    exec_release(ex, mark);
    return loss;
}

static double predict(head *base, exec *ex, const model_input *in, const float *x, const targets *t,
                      float *out)
{
    forward((tokens *)base, ex, in, x, out);
    if (t == NULL)
        return 0.0;
    return loss_cross_entropy(ex, NULL, out, t->index, in->seq.tokens, base->cfg->num_labels, 1.0f);
}

const head_class head_tokens = {
    .name = "tokens",
    .architecture = "ForTokenClassification",
    .target = TARGET_TAGS,
    .unit = HEAD_PER_TOKEN,
    .needs = HEAD_NEEDS_FIRST_TOKEN,
    .peft_task = "TOKEN_CLS",
    .peft_saved = "classifier,score",
    .outputs = "classifier",
    .width = width,
    .create = create,
    .declare = declare,
    .bind = bind,
    .bind_batch = bind_batch,
    .learn = learn,
    .predict = predict,
};
