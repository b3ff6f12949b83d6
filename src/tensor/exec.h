/*
 * The execution context of forward and backward: kernels, number format, randomness, scratch memory
 * and the first numeric anomaly.  One per model; passed to every layer.
 *
 * Memory is planned by a dry run: the functions that will run, on a context that exec_dry made.
 * They take what they need and compute nothing; no number may be read or written then.  Work that
 * goes through exec_parallel or the functions of tensor/ takes care of it; other loops over numbers
 * look at `dry`.  Each dry pass needs another weight_version and base_version, or layers bound
 * anew, so that it measures the preparation of the weights too.
 */
#ifndef MTS_TENSOR_EXEC_H
#define MTS_TENSOR_EXEC_H

#include "base/memory.h"
#include "base/rng.h"
#include "kernels/float_kernels.h"
#include "tensor/format.h"

struct outlier_list;
struct format_watch;
struct work_tally;

/* Who hears of each layer of a pass, when its attention begins; on the calling thread. */
typedef struct exec_listener {
    void (*layer)(void *user, bool backward);
    void *user;
} exec_listener;

typedef struct exec {
    const gemm_family *family;
    const float_kernels *fk;
    num_format format;
    const struct arithmetic *arithmetic; /* what layers do in it: layers/arithmetic.h */
    int threads;
    uint64_t seed;
    uint64_t step;            /* counts micro-batches: keys of activations, gradients and dropout */
    uint64_t weight_version;  /* counts changes of the weights, 1 after loading: key of weights */
    uint64_t base_version;    /* the same of frozen weights, which only loading changes */
    bool streams_weights;     /* linear layers read theirs in every product: PARAM_STREAMED */
    bool training;            /* false: no dropout, nearest rounding */
    bool accumulate_grads;    /* parameter gradients: += (later micro-batches) instead of = */
    int64_t rank;             /* of adapters: the first so many ranks are used; 0: all */
    bool dry;                 /* only measures memory, see above */
    struct work_tally *tally; /* of a dry run: what it would multiply (tensor/work.h); or NULL */
    arena scratch;            /* a stack: take, use, release to a mark */
    struct outlier_list *outliers; /* of all inputs, as they were bound; tensor/outliers.h */
    bool watch_outliers;           /* inputs note the largest magnitude of each feature */
    struct format_watch *watch; /* layers note how well they map: tensor/format_watch.h; or NULL */
    const exec_listener *listener; /* or NULL */
    struct exec *owner; /* of a fork (exec_parallel_fork): whom to report to; else NULL */
    bool thread_ready;  /* the family's thread_begin was called (in a fork) */
    char anomaly[192];  /* "" or the first NaN / infinity met: what and where */
} exec;

/* *dry: ex for a dry run.  Its scratch measures: dry->scratch.peak is what the run takes. */
void exec_dry(exec *dry, const exec *ex);

/* Scratch is taken and given back like a stack. */
MTS_INLINE size_t exec_mark(const exec *ex)
{
    return ex->scratch.used;
}
MTS_INLINE void exec_release(exec *ex, size_t mark)
{
    ex->scratch.used = mark;
}
void *exec_take(exec *ex, int64_t count, size_t size);

/* Whether this pass rounds weights and activations stochastically. */
MTS_INLINE bool exec_stochastic_values(const exec *ex)
{
    return ex->training && ex->format.rounding == ROUNDING_STOCHASTIC;
}
/* Whether it rounds gradients so. */
MTS_INLINE bool exec_stochastic_gradients(const exec *ex)
{
    return ex->training && ex->format.rounding != ROUNDING_NEAREST;
}

/* Remember the first anomaly; safe from several threads. */
void exec_report_anomaly(exec *ex, const char *what, const char *where);

/* The largest magnitude in x[n] as the bits of a float: FLOAT_INFINITY_BITS or more if one is NaN
 * or infinity.  On all threads. */
#define FLOAT_INFINITY_BITS UINT32_C(0x7f800000)
uint32_t exec_max_abs_bits(const exec *ex, const float *x, int64_t n);

/* Report NaN or infinity in x[n] as "what of where". */
void exec_check_finite(exec *ex, const float *x, int64_t n, const char *what, const char *where);

/* fn(arg, begin, end) over [0, n) in pieces of `grain`, on all threads; the pieces are fixed by n
 * and grain alone.  In a dry run, nothing. */
void exec_parallel(const exec *ex, int64_t n, int64_t grain,
                   void (*fn)(void *arg, int64_t begin, int64_t end), void *arg);

/*
 * The same for work that is made of layers: each thread passes its own fork of ex, with one thread
 * and its part of the scratch that is left, so that fn calls the same functions as the whole would.
 * Where there is one piece only, fn gets ex itself.
 *
 * In a dry run fn runs once, on the first piece, which therefore must be one of those that take
 * the most; every thread is counted as taking that.
 */
void exec_parallel_fork(exec *ex, int64_t n, int64_t grain,
                        void (*fn)(void *arg, exec *fork, int64_t begin, int64_t end), void *arg);

/* Copy and clear bytes on the calling thread; nothing in a dry run. */
void exec_copy(const exec *ex, void *y, const void *x, size_t bytes);
void exec_clear(const exec *ex, void *x, size_t bytes);

#endif
