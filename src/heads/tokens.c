/*
 * A class for each token: names of things in a text, parts of speech.  [Devlin2019 section 5.3]
 *
 *   z[t] = dropout(h[t]) W + b, W [labels][hidden]
 *   loss = -mean over the tokens with a tag of log softmax(z[t])[tag]
 *
 * A token whose tag is TARGET_IGNORED is not counted; its gradient is zero.
 */
#include "heads/heads.h"

#include "layers/dropout.h"
#include "layers/linear.h"
#include "layers/loss.h"

typedef struct tokens {
    head base;
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
    params->part = PARAM_OUTPUT;
    h->weight = param_declare(params, PARAM_WEIGHT, n, base->cfg->hidden_size, "classifier.weight");
    h->bias = param_declare(params, PARAM_BIAS, 0, n, "classifier.bias");
}

static void bind(head *base, exec *ex, arena *packed)
{
    tokens *h = (tokens *)base;
    linear_bind(ex, &h->out, packed, "classifier", STREAM_HEAD_OUT, h->weight, h->bias,
                base->cfg->num_labels, base->cfg->hidden_size);
    linear_input_name(&h->in, &h->out, STREAM_HEAD_OUT_INPUT);
}

static void bind_batch(head *base, exec *ex, const model_input *in, arena *kept)
{
    tokens *h = (tokens *)base;
    linear_input_bind(ex, &h->in, kept, in->seq.tokens, base->cfg->hidden_size);
}

/* z[tokens][labels] */
static void forward(tokens *h, exec *ex, const model_input *in, const float *x, float *z)
{
    const int64_t n = in->seq.tokens, d = h->base.cfg->hidden_size;
    const size_t mark = exec_mark(ex);
    float *kept = linear_input_source(&h->in, exec_take(ex, n * d, sizeof(float)));
    dropout_apply(ex, kept, x, n * d, 0, h->base.dropout, STREAM_HEAD_DROPOUT);
    linear_input_set(ex, &h->in, kept);
    linear_forward(ex, z, &h->in, &h->out);
    exec_check_finite(ex, z, n * h->base.cfg->num_labels, "the output", h->out.name);
    exec_release(ex, mark);
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
    /* forward: z = dropout(x) W + b */
    linear_backward(ex, dx, dz, &h->in, &h->out);
    dropout_apply(ex, dx, dx, n * base->cfg->hidden_size, 0, base->dropout, STREAM_HEAD_DROPOUT);
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
    .width = width,
    .create = create,
    .declare = declare,
    .bind = bind,
    .bind_batch = bind_batch,
    .learn = learn,
    .predict = predict,
};
