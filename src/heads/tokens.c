/*
 * A class for each token: names of things in a text, parts of speech.  [Devlin2019 section 5.3]
 *
 *   z[t][labels] of each token                                         see token_outputs.h
 *   loss = -mean over the tokens with a tag of log softmax(z[t])[tag]
 *
 * A token whose tag is TARGET_IGNORED is not counted; its gradient is zero.
 */
#include "heads/heads.h"

#include "heads/token_outputs.h"
#include "layers/loss.h"

typedef struct tokens {
    head base;
    token_outputs outputs;
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

static void declare(head *h, param_list *params)
{
    token_outputs *o = &((tokens *)h)->outputs;
    o->dropout = h->dropout;
    token_outputs_declare(h, o, params);
}

static void bind(head *h, exec *ex, arena *packed)
{
    token_outputs_bind(h, &((tokens *)h)->outputs, ex, packed);
}

static void bind_batch(head *h, exec *ex, const model_input *in, arena *kept)
{
    token_outputs_bind_batch(h, &((tokens *)h)->outputs, ex, in, kept);
}

static double learn(head *h, exec *ex, const model_input *in, const float *x, const targets *t,
                    float scale, float *dx)
{
    token_outputs *o = &((tokens *)h)->outputs;
    const int64_t n = in->seq.tokens, labels = h->cfg->num_labels;
    const size_t mark = exec_mark(ex);
    float *z = exec_take(ex, n * labels, sizeof(float));
    float *dz = exec_take(ex, n * labels, sizeof(float));
    token_outputs_forward(h, o, ex, z, x);
    const double loss = loss_cross_entropy(ex, dz, z, t->index, n, labels, scale);
    token_outputs_backward(h, o, ex, dx, dz);
    exec_release(ex, mark);
    return loss;
}

static double predict(head *h, exec *ex, const model_input *in, const float *x, const targets *t,
                      float *out)
{
    token_outputs_forward(h, &((tokens *)h)->outputs, ex, out, x);
    if (t == NULL)
        return 0.0;
    return loss_cross_entropy(ex, NULL, out, t->index, in->seq.tokens, h->cfg->num_labels, 1.0f);
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
