/*
 * A set of labels of a text: binary cross entropy of its outputs, one for each label.
 *
 *   loss = mean over rows and labels of log(1 + exp(-z)) where the label is in the set, else of
 *          log(1 + exp(z))
 */
#include "heads/first_token.h"
#include "heads/heads.h"
#include "layers/loss_binary.h"

static double learn(head *h, exec *ex, const model_input *in, const float *x, const targets *t,
                    float scale, float *dx)
{
    const int64_t n = in->seq.count, labels = h->cfg->num_labels;
    const size_t mark = exec_mark(ex);
    float *z = exec_take(ex, n * labels, sizeof(float));
    float *dz = exec_take(ex, n * labels, sizeof(float));
    first_token_forward(h, ex, in, x, z);
    const double loss = loss_binary_cross_entropy(ex, dz, z, t->set, n, labels, scale);
    first_token_backward(h, ex, in, dz, dx);
    exec_release(ex, mark);
    return loss;
}

static double predict(head *h, exec *ex, const model_input *in, const float *x, const targets *t,
                      float *out)
{
    first_token_forward(h, ex, in, x, out);
    if (t == NULL)
        return 0.0;
    return loss_binary_cross_entropy(ex, NULL, out, t->set, in->seq.count, h->cfg->num_labels,
                                     1.0f);
}

const head_class head_multi_label = {
    .name = "multi_label",
    .architecture = "ForSequenceClassification",
    .target = TARGET_SET,
    .unit = HEAD_PER_ROW,
    .needs = HEAD_NEEDS_FIRST_TOKEN,
    .peft_task = "SEQ_CLS",
    .peft_saved = "classifier,score",
    .width = first_token_width,
    .create = first_token_create,
    .declare = first_token_declare,
    .bind = first_token_bind,
    .bind_batch = first_token_bind_batch,
    .learn = learn,
    .predict = predict,
};
