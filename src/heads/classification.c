/*
 * One class of a text: cross entropy of its outputs.
 *
 *   loss = -mean over rows of log softmax(z)[class], or as layers/loss_classes.h says
 */
#include "heads/first_token.h"
#include "heads/heads.h"
#include "layers/loss_classes.h"

static double learn(head *h, exec *ex, const model_input *in, const float *x, const targets *t,
                    float scale, float *dx)
{
    const int64_t n = in->seq.count, labels = h->cfg->num_labels;
    const size_t mark = exec_mark(ex);
    float *z = exec_take(ex, n * labels, sizeof(float));
    float *dz = exec_take(ex, n * labels, sizeof(float));
    first_token_forward(h, ex, in, x, z);
    const double loss = loss_classes(ex, dz, z, t->index, n, labels, scale, &h->loss);
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
    /* evaluation counts all rows alike, and smooths labels as transformers' Trainer does */
    const loss_options o = {.label_smoothing = h->loss.label_smoothing};
    return loss_classes(ex, NULL, out, t->index, in->seq.count, h->cfg->num_labels, 1.0f, &o);
}

const head_class head_classification = {
    .name = "classification",
    .architecture = "ForSequenceClassification",
    .target = TARGET_CLASS,
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
