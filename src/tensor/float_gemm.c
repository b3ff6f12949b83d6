/* Float products by oneDNN, or by plain loops where it is missing.  See float_gemm.h. */
#include "tensor/float_gemm.h"

#include <stdio.h>

#if defined(MTS_WITH_DNNL)
#include <dnnl.h>
#endif

#if defined(_OPENMP)
#include <omp.h>
#endif

enum { CONVERT_GRAIN = 1 << 14 };

#if defined(MTS_WITH_DNNL)
/* The library asks OpenMP how many threads to use.  That is a setting of the calling thread and
 * belongs to the host program, so the former one, which is returned, is put back. */
static int set_threads(int threads)
{
#if defined(_OPENMP)
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    return before;
#else
    return threads;
#endif
}
#endif

/* The formula, in plain C. */
static void gemm_plain(float *c, int64_t ldc, const float *a, int64_t lda, bool trans_a,
                       const float *b, int64_t ldb, bool trans_b, int64_t m, int64_t n, int64_t k,
                       bool accumulate)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            float sum = 0.0f;
            for (int64_t p = 0; p < k; p++) {
                float x = trans_a ? a[p * lda + i] : a[i * lda + p];
                float y = trans_b ? b[j * ldb + p] : b[p * ldb + j];
                sum += x * y;
            }
            c[i * ldc + j] = accumulate ? c[i * ldc + j] + sum : sum;
        }
}

void float_gemm(const exec *ex, float *c, int64_t ldc, const float *a, int64_t lda, bool trans_a,
                const float *b, int64_t ldb, bool trans_b, int64_t m, int64_t n, int64_t k,
                bool accumulate)
{
    if (ex->dry)
        return;
#if defined(MTS_WITH_DNNL)
    const int before = set_threads(ex->threads);
    const bool done = dnnl_sgemm(trans_a ? 'T' : 'N', trans_b ? 'T' : 'N', m, n, k, 1.0f, a, lda, b,
                                 ldb, accumulate ? 1.0f : 0.0f, c, ldc) == dnnl_success;
    (void)set_threads(before);
    if (done)
        return;
#endif
    gemm_plain(c, ldc, a, lda, trans_a, b, ldb, trans_b, m, n, k, accumulate);
}

void float_gemm_library(char *text, size_t bytes)
{
#if defined(MTS_WITH_DNNL)
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, bytes, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
#else
    snprintf(text, bytes, "plain C");
#endif
}

#if defined(MTS_WITH_DNNL)

/* The objects of one bf16 matmul; destroyed together. */
typedef struct bf16_call {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    dnnl_memory_t memory[3];
} bf16_call;

static void bf16_call_deinit(bf16_call *call)
{
    for (int i = 0; i < 3; i++)
        if (call->memory[i] != NULL)
            dnnl_memory_destroy(call->memory[i]);
    if (call->primitive != NULL)
        dnnl_primitive_destroy(call->primitive);
    if (call->desc != NULL)
        dnnl_primitive_desc_destroy(call->desc);
    if (call->stream != NULL)
        dnnl_stream_destroy(call->stream);
    if (call->engine != NULL)
        dnnl_engine_destroy(call->engine);
}

/* A rows x cols matrix stored plainly, or as its transpose. */
static dnnl_memory_desc_t matrix_desc(int64_t rows, int64_t cols, bool transposed,
                                      dnnl_data_type_t type)
{
    dnnl_memory_desc_t desc;
    const dnnl_dims_t dims = {rows, cols};
    const dnnl_dims_t plain = {cols, 1}, swapped = {1, rows};
    dnnl_memory_desc_init_by_strides(&desc, 2, dims, type, transposed ? swapped : plain);
    return desc;
}

/* c = op(a) op(b) by oneDNN; false where the library has no such product here. */
static bool bf16_matmul(float *c, const uint16_t *a, bool trans_a, const uint16_t *b, bool trans_b,
                        int64_t m, int64_t n, int64_t k)
{
    bf16_call call = {0};
    bool done = false;
    const dnnl_memory_desc_t md[3] = {matrix_desc(m, k, trans_a, dnnl_bf16),
                                      matrix_desc(k, n, trans_b, dnnl_bf16),
                                      matrix_desc(m, n, false, dnnl_f32)};
    const void *data[3] = {a, b, c};
    const int role[3] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};
    dnnl_matmul_desc_t op;
    dnnl_exec_arg_t args[3];
    if (dnnl_engine_create(&call.engine, dnnl_cpu, 0) != dnnl_success ||
        dnnl_stream_create(&call.stream, call.engine, dnnl_stream_default_flags) != dnnl_success ||
        dnnl_matmul_desc_init(&op, &md[0], &md[1], NULL, &md[2]) != dnnl_success ||
        dnnl_primitive_desc_create(&call.desc, &op, NULL, call.engine, NULL) != dnnl_success ||
        dnnl_primitive_create(&call.primitive, call.desc) != dnnl_success)
        goto cleanup;
    for (int i = 0; i < 3; i++) {
        void *handle = (void *)(uintptr_t)data[i];
        if (dnnl_memory_create(&call.memory[i], &md[i], call.engine, handle) != dnnl_success)
            goto cleanup;
        args[i] = (dnnl_exec_arg_t){role[i], call.memory[i]};
    }
    done = dnnl_primitive_execute(call.primitive, call.stream, 3, args) == dnnl_success &&
           dnnl_stream_wait(call.stream) == dnnl_success;
cleanup:
    bf16_call_deinit(&call);
    return done;
}

#endif

typedef struct convert_job {
    const exec *ex;
    uint16_t *y;
    const float *x;
} convert_job;

static void convert_piece(void *arg, int64_t begin, int64_t end)
{
    const convert_job *job = arg;
    job->ex->fk->to_bf16(job->y + begin, job->x + begin, end - begin);
}

void bf16_convert(const exec *ex, uint16_t *y, const float *x, int64_t n)
{
    convert_job job = {ex, y, x};
    exec_parallel(ex, n, CONVERT_GRAIN, convert_piece, &job);
}

/* The product by the library; false where it has none.  A dry run measures and says so too, since
 * what the caller does then takes more. */
static bool bf16_library_gemm(exec *ex, float *c, const uint16_t *a, bool trans_a,
                              const uint16_t *b, bool trans_b, int64_t m, int64_t n, int64_t k,
                              bool accumulate)
{
#if defined(MTS_WITH_DNNL)
    float *out = accumulate || ex->dry ? exec_take(ex, m * n, sizeof(float)) : c;
    if (ex->dry)
        return false;
    const int before = set_threads(ex->threads);
    const bool done = bf16_matmul(out, a, trans_a, b, trans_b, m, n, k);
    (void)set_threads(before);
    if (done && accumulate)
        ex->fk->accumulate(c, out, m * n);
    return done;
#else
    (void)ex, (void)c, (void)a, (void)trans_a, (void)b, (void)trans_b;
    (void)m, (void)n, (void)k, (void)accumulate;
    return false;
#endif
}

void bf16_gemm(exec *ex, float *c, const uint16_t *a, bool trans_a, const uint16_t *b, bool trans_b,
               int64_t m, int64_t n, int64_t k, bool accumulate)
{
    const size_t mark = exec_mark(ex);
    if (!bf16_library_gemm(ex, c, a, trans_a, b, trans_b, m, n, k, accumulate)) {
        float *wide_a = exec_take(ex, m * k, sizeof(float));
        float *wide_b = exec_take(ex, n * k, sizeof(float));
        if (!ex->dry) {
            ex->fk->from_bf16(wide_a, a, m * k);
            ex->fk->from_bf16(wide_b, b, n * k);
        }
        float_gemm(ex, c, n, wide_a, trans_a ? m : k, trans_a, wide_b, trans_b ? k : n, trans_b, m,
                   n, k, accumulate);
    }
    exec_release(ex, mark);
}
