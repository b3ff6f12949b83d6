/*
 * The token behind each token: the loss of a language model.
 *
 *   z[t] = W h[t], W [vocabulary][hidden]: the table of words, or a matrix of its own
 *   loss = mean over the tokens that have a target of -log softmax(z[t])[target]
 *
 * Only rows with a target are multiplied, PIECE of them at a time, so that there is no matrix
 * [tokens][vocabulary].
 *
 * Outputs of a prediction are two numbers for each token: -log of the target's probability (0 where
 * there is none), and the number of the most probable token.
 */
#include <jansson.h>
#include <string.h>

#include "heads/heads.h"
#include "layers/linear.h"
#include "layers/loss.h"
#include "tensor/work.h"

enum { PIECE = 128, OUTPUTS = 2 };

typedef struct next_token {
    head base;
    param *weight;
    linear out;
    linear_input in; /* of a piece */
} next_token;

static int64_t width(const model_config *cfg)
{
    (void)cfg;
    return OUTPUTS;
}

static mts_status create(mts_ctx *ctx, head **out)
{
    next_token *n = NULL;
    const mts_status st = mem_calloc(ctx, &n, 1, sizeof *n, "head");
    *out = st == MTS_OK ? &n->base : NULL;
    return st;
}

static void declare(head *h, param_list *params)
{
    next_token *n = (next_token *)h;
    h->uses_words = json_is_true(json_object_get(h->cfg->json, "tie_word_embeddings"));
    if (h->uses_words) {
        n->weight = param_list_find(params, h->model->words);
        return;
    }
    params->part = PARAM_BODY;
    n->weight = param_declare(params, PARAM_WEIGHT, h->cfg->vocab_size, h->cfg->hidden_size,
                              "lm_head.weight");
}

static void bind(head *h, exec *ex, arena *packed)
{
    next_token *n = (next_token *)h;
    linear_bind(ex, &n->out, packed, "lm_head", STREAM_HEAD_OUT, n->weight, NULL,
                h->cfg->vocab_size, h->cfg->hidden_size);
    linear_input_name(&n->in, &n->out, STREAM_HEAD_OUT_INPUT);
}

static void bind_batch(head *h, exec *ex, const model_input *in, arena *kept)
{
    next_token *n = (next_token *)h;
    (void)in;
    linear_input_bind(ex, &n->in, kept, PIECE, h->cfg->hidden_size);
}

/* A piece: the rows of these tokens, their targets, logits and losses. */
typedef struct piece {
    const exec *ex;
    const int64_t *token;  /* [count] */
    const int32_t *target; /* of all tokens, or NULL */
    int64_t count, vocabulary, width;
    float *z;     /* [count][vocabulary]; then the gradient */
    double *loss; /* [count] */
    float weight; /* of the gradient */
    float *out;   /* prediction: [tokens][OUTPUTS] */
    const float *from;
    float *to; /* rows between x[tokens][width] and [count][width] */
} piece;

static void gather(void *arg, int64_t begin, int64_t end)
{
    const piece *p = arg;
    for (int64_t i = begin; i < end; i++)
        memcpy(p->to + i * p->width, p->from + p->token[i] * p->width,
               (size_t)p->width * sizeof(float));
}

static void scatter(void *arg, int64_t begin, int64_t end)
{
    const piece *p = arg;
    for (int64_t i = begin; i < end; i++)
        memcpy(p->to + p->token[i] * p->width, p->from + i * p->width,
               (size_t)p->width * sizeof(float));
}

static void learn_rows(void *arg, int64_t begin, int64_t end)
{
    const piece *p = arg;
    for (int64_t i = begin; i < end; i++) {
        float *z = p->z + i * p->vocabulary;
        p->ex->fk->softmax_forward(z, z, p->vocabulary, 1.0f);
        p->loss[i] = loss_of_probabilities(z, p->target[p->token[i]], p->vocabulary, p->weight);
    }
}

static void predict_rows(void *arg, int64_t begin, int64_t end)
{
    const piece *p = arg;
    for (int64_t i = begin; i < end; i++) {
        float *z = p->z + i * p->vocabulary, *out = p->out + p->token[i] * OUTPUTS;
        const int64_t target = p->target == NULL ? -1 : p->target[p->token[i]];
        int64_t best = 0;
        for (int64_t c = 1; c < p->vocabulary; c++)
            best = z[c] > z[best] ? c : best;
        p->ex->fk->softmax_forward(z, z, p->vocabulary, 1.0f);
        p->loss[i] = target < 0 ? 0.0 : loss_of_probabilities(z, target, p->vocabulary, 0.0f);
        out[0] = (float)p->loss[i];
        out[1] = (float)best;
    }
}

/* token[count]: those with a target, or all; in a dry run all. */
static int64_t list_tokens(const exec *ex, int64_t *token, const int32_t *target, int64_t tokens)
{
    int64_t count = 0;
    if (ex->dry)
        return tokens;
    for (int64_t t = 0; t < tokens; t++)
        if (target == NULL || target[t] >= 0)
            token[count++] = t;
    return count;
}

/* z = W x of the tokens of a piece, which begins at number `first` of those listed. */
static linear_input multiply(next_token *n, exec *ex, piece *p, const float *x, int64_t first)
{
    linear_input in = linear_input_rows(&n->in, 0, p->count);
    const size_t mark = exec_mark(ex);
    float *rows = linear_input_source(&in, exec_take(ex, p->count * p->width, sizeof(float)));
    in.first_row = first; /* for the draws */
    p->from = x;
    p->to = rows;
    exec_parallel(ex, p->count, 8, gather, p);
    linear_input_set(ex, &in, rows);
    linear_forward(ex, p->z, &in, &n->out);
    exec_release(ex, mark);
    return in;
}

static double sum_of(const exec *ex, const double *loss, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count && !ex->dry; i++)
        sum += loss[i];
    return sum;
}

/* Gradients of the weight and of x, from that of z in p->z; later pieces add to the weight's. */
static void back(next_token *n, exec *ex, piece *p, const linear_input *in, float *dx, bool add)
{
    const bool accumulate = ex->accumulate_grads;
    const size_t mark = exec_mark(ex);
    float *rows = exec_take(ex, p->count * p->width, sizeof(float));
    ex->accumulate_grads = accumulate || add;
    linear_backward(ex, rows, p->z, in, &n->out);
    ex->accumulate_grads = accumulate;
    p->from = rows;
    p->to = dx;
    exec_parallel(ex, p->count, 8, scatter, p);
    exec_release(ex, mark);
}

static double learn(head *h, exec *ex, const model_input *in, const float *x, const targets *t,
                    float scale, float *dx)
{
    next_token *n = (next_token *)h;
    const int64_t tokens = in->seq.tokens, w = h->cfg->hidden_size;
    const size_t mark = exec_mark(ex);
    int64_t *token = exec_take(ex, tokens, sizeof *token);
    const int64_t count = list_tokens(ex, token, t->index, tokens);
    piece p = {.ex = ex, .target = t->index, .vocabulary = h->cfg->vocab_size, .width = w};
    double sum = 0.0;
    p.loss = exec_take(ex, PIECE, sizeof(double));
    p.z = exec_take(ex, PIECE * p.vocabulary, sizeof(float));
    p.weight = count == 0 ? 0.0f : scale / (float)count;
    exec_clear(ex, dx, (size_t)(tokens * w) * sizeof(float));
    if (count == 0 && !ex->accumulate_grads && n->weight->trained)
        exec_clear(ex, n->weight->grad, (size_t)param_size(n->weight) * sizeof(float));
    const double pieces = count < PIECE ? 1.0 : (double)count / PIECE;
    work_repeat(ex, pieces); /* in a dry run the first stands for all */
    for (int64_t first = 0; first < count; first += PIECE) {
        p.token = token + first;
        p.count = count - first < PIECE ? count - first : PIECE;
        const linear_input part = multiply(n, ex, &p, x, first);
        exec_check_finite(ex, p.z, p.count * p.vocabulary, "the output", n->out.name);
        exec_parallel(ex, p.count, 1, learn_rows, &p);
        sum += sum_of(ex, p.loss, p.count);
        back(n, ex, &p, &part, dx, first > 0);
        if (ex->dry)
            break; /* the first piece takes the most */
    }
    work_repeat(ex, 1.0 / pieces);
    exec_release(ex, mark);
    return count == 0 ? 0.0 : sum / (double)count;
}

static double predict(head *h, exec *ex, const model_input *in, const float *x, const targets *t,
                      float *out)
{
    next_token *n = (next_token *)h;
    const int64_t tokens = in->seq.tokens;
    const size_t mark = exec_mark(ex);
    int64_t *token = exec_take(ex, tokens, sizeof *token);
    const int32_t *target = t == NULL ? NULL : t->index;
    const int64_t count = list_tokens(ex, token, target, tokens);
    piece p = {.ex = ex,
               .target = target,
               .vocabulary = h->cfg->vocab_size,
               .width = h->cfg->hidden_size,
               .out = out};
    double sum = 0.0;
    p.loss = exec_take(ex, PIECE, sizeof(double));
    p.z = exec_take(ex, PIECE * p.vocabulary, sizeof(float));
    exec_clear(ex, out, (size_t)(tokens * OUTPUTS) * sizeof(float));
    for (int64_t first = 0; first < count; first += PIECE) {
        p.token = token + first;
        p.count = count - first < PIECE ? count - first : PIECE;
        (void)multiply(n, ex, &p, x, first);
        exec_check_finite(ex, p.z, p.count * p.vocabulary, "the output", n->out.name);
        exec_parallel(ex, p.count, 1, predict_rows, &p);
        sum += sum_of(ex, p.loss, p.count);
        if (ex->dry)
            break;
    }
    exec_release(ex, mark);
    return count == 0 ? 0.0 : sum / (double)count;
}

static void logits(head *h, exec *ex, const float *x, float *z)
{
    const int64_t token = 0;
    piece p = {.ex = ex,
               .token = &token,
               .count = 1,
               .vocabulary = h->cfg->vocab_size,
               .width = h->cfg->hidden_size,
               .z = z};
    (void)multiply((next_token *)h, ex, &p, x, 0);
    exec_check_finite(ex, z, p.vocabulary, "the output", "lm_head");
}

const head_class head_next_token = {
    .name = "next token",
    .architecture = "ForCausalLM",
    .target = TARGET_NEXT,
    .unit = HEAD_PER_TOKEN,
    .needs = HEAD_NEEDS_WORDS,
    .peft_task = "CAUSAL_LM",
    .width = width,
    .create = create,
    .declare = declare,
    .bind = bind,
    .bind_batch = bind_batch,
    .learn = learn,
    .logits = logits,
    .predict = predict,
};
