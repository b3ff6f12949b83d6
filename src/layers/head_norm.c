/* Norms of the heads of Q and K.  See head_norm.h. */
#include "layers/head_norm.h"

enum { TOKEN_GRAIN = 32 };

void head_norm_bind(const exec *ex, head_norm *h, arena *a, int64_t tokens)
{
    layernorm_state_bind(ex, &h->state, a, tokens * h->heads, h->norm.n);
}

/* Heads between qkv[tokens][ld] and rows[tokens][heads head_dim]. */
typedef struct move_job {
    const exec *ex;
    const head_norm *h;
    float *qkv, *rows;
    bool back; /* into qkv */
} move_job;

static void move_tokens(void *arg, int64_t begin, int64_t end)
{
    const move_job *job = arg;
    const int64_t width = job->h->heads * job->h->norm.n;
    for (int64_t t = begin; t < end; t++) {
        float *in = job->qkv + t * job->h->ld + job->h->first, *row = job->rows + t * width;
        exec_copy(job->ex, job->back ? in : row, job->back ? row : in,
                  (size_t)width * sizeof(float));
    }
}

static void move(const exec *ex, const head_norm *h, float *qkv, float *rows, int64_t tokens,
                 bool back)
{
    move_job job = {ex, h, qkv, rows, back};
    exec_parallel(ex, tokens, TOKEN_GRAIN, move_tokens, &job);
}

void head_norm_forward(exec *ex, float *qkv, int64_t begin, int64_t end, head_norm *h)
{
    const int64_t n = h->norm.n, rows = (end - begin) * h->heads;
    const size_t mark = exec_mark(ex);
    layernorm_state state = layernorm_state_rows(&h->state, n, begin * h->heads);
    float *x = exec_take(ex, rows * n, sizeof(float));
    move(ex, h, qkv, x, end - begin, false);
    layernorm_forward(ex, x, x, rows, &h->norm, &state);
    move(ex, h, qkv, x, end - begin, true);
    exec_release(ex, mark);
}

void head_norm_gradient_take(exec *ex, head_norm_gradient *g, int64_t tokens, const head_norm *h)
{
    const int64_t rows = tokens * h->heads;
    const bool keeps = layernorm_keeps_gradient(ex);
    layernorm_gradient_take(ex, &g->g, rows, h->norm.n);
    g->dy = keeps ? NULL : exec_take(ex, rows * h->norm.n, sizeof(float));
    g->g.dy = g->dy;
}

void head_norm_backward(exec *ex, float *dqkv, int64_t begin, int64_t end, const head_norm *h,
                        const head_norm_gradient *g)
{
    const int64_t n = h->norm.n, first = begin * h->heads, rows = (end - begin) * h->heads;
    const size_t mark = exec_mark(ex);
    const layernorm_state state = layernorm_state_rows(&h->state, n, first);
    const layernorm_gradient part = layernorm_gradient_rows(&g->g, n, first);
    float *dx = exec_take(ex, rows * n, sizeof(float));
    float *dy = g->dy != NULL ? g->dy + first * n : dx;
    /* forward: y = gain x^ of each head */
    move(ex, h, dqkv, dy, end - begin, false);
    layernorm_backward_input(ex, dx, dy, rows, &h->norm, &state, &part);
    move(ex, h, dqkv, dx, end - begin, true);
    exec_release(ex, mark);
}

void head_norm_backward_params(exec *ex, const head_norm_gradient *g, int64_t tokens,
                               const head_norm *h)
{
    layernorm_backward_params(ex, &g->g, tokens * h->heads, &h->norm, &h->state);
}
