/*
 * One head of one sequence, forward and backward, in integers or float.  See attention.h.
 *
 * An operand is a small matrix in the working format: a view of mantissas, or floats (rounded to
 * bfloat16 in bf16).  `multiply` hides which, so the formulas are written once.
 */
#include "layers/attention_internal.h"

#include <math.h>
#include <string.h>

#include "tensor/float_gemm.h"

/* rows x cols; integers in `view`, or floats at row stride view.ld in `f`. */
typedef struct operand {
    qview view;
    const float *f;
} operand;

typedef enum direction {
    STRAIGHT,
    TRANSPOSED,
} direction;

/* Random streams inside one head. */
enum { STREAM_Q = 0, STREAM_P = 3, STREAM_DO, STREAM_DS, STREAM_DO_FOLDED, STREAMS };

/* What becomes an operand: x[length][cols] at row stride ldx. */
typedef struct source {
    const float *x;
    int64_t ldx, cols;
    int stream;
    const char *what;
    void *q;              /* where the mantissas go; NULL: to scratch */
    bool by_row;          /* one exponent for each row, where the format is not `tensor` */
    const float *row_mul; /* [length]: scales folded into the rows, or NULL */
} source;

static gemm_plan head_plan(const exec *ex)
{
    const int bits = ex->format.attention_bits;
    return gemm_plan_make(ex->family, bits, bits, false);
}

/* The bfloat16 values of a source, as floats in scratch. */
static const float *round_to_bf16(attention_head *hd, const source *from)
{
    exec *ex = hd->ex;
    float *f = exec_take(ex, hd->length * from->cols, sizeof(float));
    for (int64_t i = 0; i < hd->length && !ex->dry; i++) {
        uint16_t row[512];
        for (int64_t j = 0; j < from->cols; j += 512) {
            const int64_t n = from->cols - j < 512 ? from->cols - j : 512;
            ex->fk->to_bf16(row, from->x + i * from->ldx + j, n);
            ex->fk->from_bf16(f + i * from->cols + j, row, n);
        }
    }
    return f;
}

/* The rows of a source one behind the other: mapped as one run, not one short row by one. */
static const float *gather(attention_head *hd, const source *from)
{
    const int64_t cols = from->cols;
    if (from->ldx == cols)
        return from->x;
    float *rows = exec_take(hd->ex, hd->length * cols, sizeof(float));
    for (int64_t i = 0; i < hd->length; i++)
        exec_copy(hd->ex, rows + i * cols, from->x + i * from->ldx, (size_t)cols * sizeof(float));
    return rows;
}

/* A matrix in the working format; in fp32 its floats are borrowed. */
static operand make_operand(attention_head *hd, const source *from)
{
    exec *ex = hd->ex;
    const int64_t rows = hd->length, cols = from->cols;
    operand op = {.view = {.rows = rows, .cols = cols, .ld = cols}};
    if (ex->format.kind == FORMAT_FP32) {
        op.view.ld = from->ldx;
        op.f = from->x;
        return op;
    }
    if (ex->format.kind == FORMAT_BF16) {
        op.f = round_to_bf16(hd, from);
        return op;
    }
    const float *x = gather(hd, from);
    const bool by_row = from->by_row && ex->format.group != GROUP_TENSOR;
    qmatrix m = {.rows = rows,
                 .cols = cols,
                 .bits = ex->format.attention_bits,
                 .group = by_row ? GROUP_ROW : GROUP_TENSOR,
                 .q = from->q};
    if (m.q == NULL)
        m.q = exec_take(ex, rows * cols, (size_t)format_elem_bytes(m.bits));
    m.scale = by_row ? exec_take(ex, rows, sizeof(float)) : &op.view.scale;
    const uint64_t tensor = ((uint64_t)hd->job->at->id * STREAMS + (uint64_t)from->stream) << 32 |
                            (uint64_t)(hd->sequence * hd->job->at->heads + hd->head);
    const map_args args = {
        .key = rng_make_key(ex->seed, ex->step, tensor, RNG_ROUND_ACTIVATION),
        .stochastic =
            from->stream <= STREAM_P ? exec_stochastic_values(ex) : exec_stochastic_gradients(ex),
        .row_mul = from->row_mul,
        .what = from->what,
        .where = hd->job->at->name,
    };
    qmatrix_map_serial(ex, &m, x, cols, &args);
    op.view.q = m.q;
    op.view.bits = m.bits;
    op.view.row_scale = by_row ? m.scale : NULL;
    return op;
}

/* c = op(a) op(b)^T in the sense of gemm.h: reduce along the columns (STRAIGHT) or rows of each. */
static void multiply(attention_head *hd, float *c, int64_t ldc, const operand *a, direction da,
                     const operand *b, direction db)
{
    exec *ex = hd->ex;
    const bool ta = da == TRANSPOSED, tb = db == TRANSPOSED;
    const int64_t m = ta ? a->view.cols : a->view.rows, k = ta ? a->view.rows : a->view.cols;
    const int64_t n = tb ? b->view.cols : b->view.rows;
    if (ex->format.kind != FORMAT_DFP) {
        float_gemm(ex, c, ldc, a->f, a->view.ld, ta, b->f, b->view.ld, !tb, m, n, k, false);
        return;
    }
    const size_t mark = exec_mark(ex);
    const gemm_plan plan = head_plan(ex);
    gemm_operand pa, pb;
    gemm_pack_view(ex, &pa, &ex->scratch, &plan, GEMM_A, &a->view, ta);
    gemm_pack_view(ex, &pb, &ex->scratch, &plan, GEMM_B, &b->view, tb);
    gemm_run_serial(ex, c, ldc, &pa, &pb, NULL, false);
    exec_release(ex, mark);
}

/* Where the mantissas of Q, K or V of this head live. */
static void *part_mantissas(const attention_head *hd, int part)
{
    const attention_job *job = hd->job;
    if (hd->ex->format.kind != FORMAT_DFP)
        return NULL;
    const int64_t at =
        (part * job->seq->tokens + hd->first) * job->at->width + hd->head * hd->length * hd->dh;
    return (uint8_t *)job->state->q + at * format_elem_bytes(hd->ex->format.attention_bits);
}

static float *part_scale(const attention_head *hd, int part)
{
    const attention_job *job = hd->job;
    return job->state->scale + (part * job->seq->count + hd->sequence) * job->at->heads + hd->head;
}

/* Q, K or V as the forward mapped it. */
static operand kept_part(attention_head *hd, int part)
{
    const attention_job *job = hd->job;
    const int64_t width = job->at->width;
    if (hd->ex->format.kind != FORMAT_DFP)
        return make_operand(hd, &(source){.x = job->state->qkv + hd->first * 3 * width +
                                               part * width + hd->head * hd->dh,
                                          .ldx = 3 * width,
                                          .cols = hd->dh,
                                          .stream = STREAM_Q + part});
    return (operand){.view = {.q = part_mantissas(hd, part),
                              .rows = hd->length,
                              .cols = hd->dh,
                              .ld = hd->dh,
                              .bits = hd->ex->format.attention_bits,
                              .scale = hd->ex->dry ? 0.0f : *part_scale(hd, part)}};
}

static float logit_scale(const attention_head *hd)
{
    return 1.0f / sqrtf((float)hd->dh);
}

/* y = dropout of x [L][L] of this head, the same in forward and backward; y may be x. */
static void drop(const attention_head *hd, float *y, const float *x)
{
    const exec *ex = hd->ex;
    const float p = ex->training ? hd->job->at->dropout : 0.0f;
    const int64_t n = hd->length * hd->length;
    if (p <= 0.0f) {
        if (y != x)
            exec_copy(ex, y, x, (size_t)n * sizeof(float));
        return;
    }
    if (ex->dry)
        return;
    const uint64_t tensor =
        (uint64_t)hd->job->at->id << 32 | (uint64_t)(hd->sequence * hd->job->at->heads + hd->head);
    ex->fk->dropout(y, x, n, p, rng_make_key(ex->seed, ex->step, tensor, RNG_DROPOUT), 0);
}

/* p = softmax(Q K^T / sqrt(dh)), [L][L]. */
static void probabilities(attention_head *hd, float *p, const operand *q, const operand *k)
{
    const int64_t l = hd->length;
    multiply(hd, p, l, q, STRAIGHT, k, STRAIGHT);
    for (int64_t i = 0; i < l && !hd->ex->dry; i++)
        hd->ex->fk->softmax_forward(p + i * l, p + i * l, l, logit_scale(hd));
}

/* D as an operand: the rows of different tokens differ much in size. */
static operand dropped_probabilities(attention_head *hd, const float *d)
{
    return make_operand(hd, &(source){.x = d,
                                      .ldx = hd->length,
                                      .cols = hd->length,
                                      .stream = STREAM_P,
                                      .what = "the probabilities",
                                      .by_row = true});
}

void attention_head_forward(attention_head *hd)
{
    const attention_job *job = hd->job;
    const int64_t l = hd->length, width = job->at->width;
    operand part[3];
    for (int i = PART_Q; i <= PART_V; i++) {
        const float *x = job->in + hd->first * 3 * width + i * width + hd->head * hd->dh;
        part[i] = make_operand(hd, &(source){.x = x,
                                             .ldx = 3 * width,
                                             .cols = hd->dh,
                                             .stream = STREAM_Q + i,
                                             .what = "query, key or value",
                                             .q = part_mantissas(hd, i)});
        if (hd->ex->format.kind == FORMAT_DFP && !hd->ex->dry)
            *part_scale(hd, i) = part[i].view.scale;
    }
    float *p = exec_take(hd->ex, l * l, sizeof(float));
    probabilities(hd, p, &part[PART_Q], &part[PART_K]);
    drop(hd, p, p);
    const operand dropped = dropped_probabilities(hd, p);
    /* O = D V */
    multiply(hd, job->out + hd->first * width + hd->head * hd->dh, width, &dropped, STRAIGHT,
             &part[PART_V], TRANSPOSED);
}

void attention_head_backward(attention_head *hd)
{
    const attention_job *job = hd->job;
    const int64_t l = hd->length, width = job->at->width, ld = 3 * width;
    const operand q = kept_part(hd, PART_Q), k = kept_part(hd, PART_K), v = kept_part(hd, PART_V);
    float *p = exec_take(hd->ex, l * l, sizeof(float));
    float *d = exec_take(hd->ex, l * l, sizeof(float));
    float *dq = job->out + hd->first * ld + hd->head * hd->dh, *dk = dq + width, *dv = dk + width;

    probabilities(hd, p, &q, &k);
    drop(hd, d, p);
    const operand dropped = dropped_probabilities(hd, d);
    source out = {.x = job->in + hd->first * width + hd->head * hd->dh,
                  .ldx = width,
                  .cols = hd->dh,
                  .stream = STREAM_DO,
                  .what = "the output gradient",
                  .by_row = true};
    const operand g = make_operand(hd, &out);
    operand folded = g; /* with the scales of the rows of D, over which dV = D^T dO adds */
    if (dropped.view.row_scale != NULL) {
        out.stream = STREAM_DO_FOLDED;
        out.by_row = false;
        out.row_mul = dropped.view.row_scale;
        folded = make_operand(hd, &out);
    }
    /* forward: O = D V */
    multiply(hd, dv, ld, &dropped, TRANSPOSED, &folded, TRANSPOSED);
    multiply(hd, d, l, &g, STRAIGHT, &v, STRAIGHT);
    /* forward: D = dropout(P), P = softmax(S / sqrt(dh)) */
    drop(hd, d, d);
    for (int64_t i = 0; i < l && !hd->ex->dry; i++)
        hd->ex->fk->softmax_backward(d + i * l, d + i * l, p + i * l, l, logit_scale(hd));
    const operand ds = make_operand(
        hd,
        &(source){.x = d, .ldx = l, .cols = l, .stream = STREAM_DS, .what = "the score gradient"});
    /* forward: S = Q K^T */
    multiply(hd, dq, ld, &ds, STRAIGHT, &k, TRANSPOSED);
    multiply(hd, dk, ld, &ds, TRANSPOSED, &q, TRANSPOSED);
}
