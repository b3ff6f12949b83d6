/*
 * Multi-head self-attention over concatenated sequences without padding, forward and backward.
 *
 *   per sequence e and head h, with Q, K, V [L][dh]:                              [Vaswani2017 3.2]
 *     S = Q K^T,  P = softmax(S / sqrt(dh)),  D = dropout(P),  O = D V
 *     dV = D^T dO   dD = dO V^T   dS = P (dP - sum dP P) / sqrt(dh)   dQ = dS K   dK = dS^T Q
 *
 * Several heads may share one K and V (grouped queries [Ainslie2023]); dK and dV are then the sums
 * over these heads, in order.  Causal: a token sees itself and those before it, with a window of w
 * only the last w of these [Beltagy2020].  Not causal, with a window of w: itself and w tokens on
 * either side.  In both S is computed in blocks of rows, each as wide as its rows see, so that
 * there is no [L][L].  ALiBi adds m j to the score of token j, with a slope m of each head
 * [Press2022]: alibi.h.
 *
 * In dynamic fixed point every product is an integer product at attention_bits.  Q, K, V and dS
 * have one exponent per sequence and head; D and dO one per row, unless the format has one for the
 * whole tensor.  The backward keeps no float copy: it recomputes P from the same mantissas of Q and
 * K, which gives the same bits.  FORMATS.md (8).
 *
 * Path: model_class.forward -> attention_forward -> gemm_run_serial -> micro-kernel.
 */
#ifndef MTS_LAYERS_ATTENTION_H
#define MTS_LAYERS_ATTENTION_H

#include "tensor/gemm.h"

/* Where the sequences lie: tokens [offset[e], offset[e+1]) belong to sequence e. */
typedef struct sequences {
    int64_t count, tokens, max_length;
    const int64_t *offset; /* [count + 1]; in a dry run NULL: each may be the longest */
} sequences;

MTS_INLINE int64_t sequence_first(const sequences *s, int64_t e)
{
    return s->offset == NULL ? 0 : s->offset[e];
}
MTS_INLINE int64_t sequence_length(const sequences *s, int64_t e)
{
    return s->offset == NULL ? s->max_length : s->offset[e + 1] - s->offset[e];
}

typedef struct attention {
    const char *name;
    int id;
    int64_t heads, kv_heads; /* of Q; of K and V, of which heads is a multiple */
    int64_t head_dim;        /* dh */
    bool causal;
    int64_t window; /* causal: tokens that one sees, itself among them; else those that it sees on
                       either side; 0: all */
    bool grouped; /* columns of qkv: each head of K and V behind the heads of Q that share it, both
                       behind each other; else all Q, all K, all V */
    float scale;  /* of scores; 0: 1 / sqrt(dh) */
    const float *slopes; /* [heads], borrowed: of ALiBi; NULL: none */
    float dropout;
} attention;

/* Columns of Q, K and V, and of the output. */
MTS_INLINE int64_t attention_in_width(const attention *a)
{
    return (a->heads + 2 * a->kv_heads) * a->head_dim;
}
MTS_INLINE int64_t attention_out_width(const attention *a)
{
    return a->heads * a->head_dim;
}

/* The heads of Q and K in qkv: runs of `heads` heads one behind the other, `runs` times, `stride`
 * columns apart. */
typedef struct attention_columns {
    int64_t runs, heads, stride;
} attention_columns;

attention_columns attention_query_keys(const attention *a);

/* What backward needs of one forward. */
typedef struct attention_state {
    float *qkv;   /* float formats: [tokens][in width], written by the caller's linear layer */
    void *q;      /* dynamic fixed point: mantissas of Q, K, V, by part, sequence and head: [L][dh]
                     dense */
    float *scale; /* of Q, K, V: [count][heads of the part] each */
} attention_state;

void attention_state_bind(const exec *ex, attention_state *state, arena *a, const attention *attn,
                          int64_t tokens, int64_t count);
/* Where the producer should write qkv: the state's own floats in the float formats, else `scratch`.
 */
float *attention_source(const attention_state *state, float *scratch);

/* out[tokens][out width] from qkv[tokens][in width]; overwritten.  In the float formats qkv must be
 * state->qkv. */
void attention_forward(exec *ex, float *out, const float *qkv, const sequences *seq,
                       const attention *attn, attention_state *state);
/* dqkv[tokens][in width] from dout[tokens][out width]; overwritten. */
void attention_backward(exec *ex, float *dqkv, const float *dout, const sequences *seq,
                        const attention *attn, const attention_state *state);

#endif
