/*
 * One score of a text: squared error of its output.
 *
 *   loss = mean over rows of (z - score)^2
 */
#include "heads/first_token.h"
#include "heads/heads.h"
#include "layers/loss.h"

static double learn(head *h, exec *ex, const model_input *in, const float *x, const targets *t,
                    float scale, float *dx)
{
    const int64_t n = in->seq.count;
    const size_t mark = exec_mark(ex);
    float *z = exec_take(ex, n, sizeof(float)), *dz = exec_take(ex, n, sizeof(float));
    first_token_forward(h, ex, in, x, z);
    const double loss = loss_squared_error(ex, dz, z, t->score, n, scale);
    first_token_backward(h, ex, in, dz, dx);
    exec_release(ex, mark);
    return loss;
}

static double predict(head *h, exec *ex, const model_input *in, const float *x, const targets *t,
                      float *out)
{
    first_token_forward(h, ex, in, x, out);
    return t == NULL ? 0.0 : loss_squared_error(ex, NULL, out, t->score, in->seq.count, 1.0f);
}

const head_class head_regression = {
    .name = "regression",
    .architecture = "ForSequenceClassification",
    .target = TARGET_SCORE,
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
