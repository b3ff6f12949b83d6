/*
 * What the layers do in each number format: fp32, bfloat16 and dynamic fixed point.
 *
 * A layer's own file (linear.c, layernorm.c, ...) holds what is the same in every format.  What is
 * not is here, by layer: a struct of functions, and one constant of it for each format that
 * differs (linear_fp32, ...).  A number format is one `arithmetic`: a row of these constants.
 * Shapes, ownership and meaning of the arguments are those of the layer's header.
 *
 * Path: linear_forward -> ex->arithmetic->linear->forward -> gemm_run.
 * To add a number format: one row in arithmetic.c, and the functions that it does not share.
 */
#ifndef MTS_LAYERS_ARITHMETIC_H
#define MTS_LAYERS_ARITHMETIC_H

#include "layers/attention_internal.h"
#include "layers/embedding.h"
#include "layers/layernorm_internal.h"
#include "layers/linear.h"
#include "layers/nonlinearity.h"

/* The three products of a linear layer, and the copies that they read. */
typedef struct linear_arithmetic {
    /* Storage for the numbers of in->rows x in->cols. */
    void (*input_bind)(const exec *ex, linear_input *in, arena *a);
    void (*input_set)(exec *ex, linear_input *in, const float *x);
    /* Storage for the copy of the weight that products read; NULL: they read the weight itself. */
    void (*weight_bind)(exec *ex, linear *lin, arena *a);
    void (*weight_set)(exec *ex, linear *lin);
    /* y = x W^T + b */
    void (*forward)(exec *ex, float *y, const linear_input *x, const linear *lin);
    /* What is to be collected of dy for weight_gradient (nothing: NULL). */
    void (*gradient_take)(exec *ex, linear_sums *g, int64_t out);
    /* dx = dy W */
    void (*input_gradient)(exec *ex, float *dx, const float *dy, const linear_input *x,
                           const linear *lin);
    /* dW = dy^T x, added to the weight's gradient if ex->accumulate_grads */
    void (*weight_gradient)(exec *ex, const linear_sums *g, const float *dy, const linear_input *x,
                            const linear *lin);
} linear_arithmetic;

extern const linear_arithmetic linear_fp32, linear_bf16, linear_dfp;

typedef struct layernorm_arithmetic {
    /* The backward of the input leaves in the layernorm_gradient what that of gamma and beta reads;
     * otherwise that reads dy itself. */
    bool keeps_gradient;
    /* Storage for the copies of gamma and beta, and their making (NULL: there are none). */
    void (*bind)(layernorm *ln, arena *a);
    void (*set)(exec *ex, layernorm *ln);
    void (*state_bind)(layernorm_state *state, arena *a, int64_t rows, int64_t n);
    void (*gradient_take)(exec *ex, layernorm_gradient *g, int64_t rows, int64_t n);
    /* Called once before the rows of a forward (in: x) or backward (in: dy); NULL: nothing. */
    void (*begin)(norm_job *job, const char *what);
    /* Work on rows, or on columns of gradients, [begin, end) of a norm_job. */
    void (*forward)(void *job, int64_t begin, int64_t end);
    void (*output)(void *job, int64_t begin, int64_t end);
    void (*input_gradient)(void *job, int64_t begin, int64_t end);
    void (*param_sums)(const norm_job *job, double *dgamma, double *dbeta, int64_t begin,
                       int64_t end);
} layernorm_arithmetic;

extern const layernorm_arithmetic layernorm_float, layernorm_dfp;

typedef struct embedding_arithmetic {
    /* Once after a change of the table; NULL: nothing. */
    void (*set)(exec *ex, embedding *e);
    /* y[cols] = row of the table, added if accumulate */
    void (*look_up)(exec *ex, float *y, int64_t row, const embedding *e, bool accumulate);
    /* Map g->dy; NULL: it is used as it is. */
    void (*map_gradient)(exec *ex, embedding_gradient *g, const embedding *e);
    /* sum[n] += the gradient of token t, columns j .. j + n - 1 */
    void (*add_token)(const exec *ex, double *sum, const embedding_gradient *g, int64_t t,
                      int64_t j, int64_t n);
} embedding_arithmetic;

extern const embedding_arithmetic embedding_float, embedding_dfp;

typedef struct nonlinearity_arithmetic {
    void (*state_bind)(const exec *ex, nonlinearity_state *state, arena *a, int64_t n);
    /* Elements [begin, end) of a nonlinearity_job, in training. */
    void (*forward)(void *job, int64_t begin, int64_t end);
    void (*backward)(void *job, int64_t begin, int64_t end);
} nonlinearity_arithmetic;

extern const nonlinearity_arithmetic nonlinearity_float, nonlinearity_dfp;

/* Products inside attention, of small matrices; attention_internal.h. */
typedef struct attention_arithmetic {
    void (*state_bind)(const exec *ex, attention_state *state, arena *a, const attention *attn,
                       int64_t tokens, int64_t count);
    /* Q, K or V of a head, from qkv in the forward, and as the forward had it in the backward. */
    head_matrix (*part)(attention_head *hd, int which, const float *x);
    head_matrix (*kept_part)(attention_head *hd, int which);
    head_matrix (*matrix)(attention_head *hd, const head_source *from);
    /* c = a b^T, or += if add, each reduced along its columns (STRAIGHT) or its rows (TRANSPOSED).
     */
    void (*multiply)(attention_head *hd, float *c, int64_t ldc, const head_matrix *a, direction da,
                     const head_matrix *b, direction db, bool add);
} attention_arithmetic;

extern const attention_arithmetic attention_fp32, attention_bf16, attention_dfp;

typedef struct arithmetic {
    const char *name;
    const linear_arithmetic *linear;
    const layernorm_arithmetic *layernorm;
    const embedding_arithmetic *embedding;
    const nonlinearity_arithmetic *nonlinearity;
    const attention_arithmetic *attention;
} arithmetic;

/* Let ex compute in this format. */
void arithmetic_select(exec *ex, const num_format *format);

#endif
