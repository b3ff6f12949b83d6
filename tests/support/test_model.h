/*
 * Shared set-up of the tests of layers and models: random numbers, formats, an execution context,
 * parameters, a tiny BERT with a batch, finite differences and measures of error.
 *
 * Everything here fails the running cmocka test when it cannot do its work.  Deterministic: numbers
 * come from a test_random, which starts from a seed that test_print_seed prints.
 */
#ifndef MTS_TESTS_SUPPORT_TEST_MODEL_H
#define MTS_TESTS_SUPPORT_TEST_MODEL_H

#include "data/targets.h"
#include "models/bert.h"
#include "network/network.h"

/* ------------------------------------------------------------------------------- numbers ---- */

typedef struct test_random {
    uint64_t state;
} test_random;

/* MANTISSA_TEST_SEED of the environment, or 1; printed once.  Call it first in main. */
uint64_t test_print_seed(void);
/* A stream of its own for each `name`. */
test_random test_random_make(const char *name);

uint64_t test_random_bits(test_random *r);
double test_random_uniform(test_random *r); /* [0, 1) */
double test_random_normal(test_random *r);
int64_t test_random_below(test_random *r, int64_t n); /* 0 .. n-1 */

/* x[i] = mean + sigma * normal */
void test_fill_normal(test_random *r, float *x, int64_t n, double mean, double sigma);
/* x[i] = k / 64 with |k| < 2^(bits-1): exact in dynamic fixed point of `bits` bits; one of them is
 * as large as possible, so that the exponent of the whole is known. */
void test_fill_exact(test_random *r, float *x, int64_t n, int bits);

/* Zeroed; freed by mem_free. */
float *test_floats(int64_t n);
void *test_alloc(int64_t n, size_t size);

/* ----------------------------------------------------------------------- measures of error ---- */

/* 10 log10(sum y^2 / sum (x - y)^2); 300 if they are equal. */
double test_snr_db(const float *x, const float *y, int64_t n);
double test_cosine(const float *x, const float *y, int64_t n);
/* Fail unless the bytes are equal; the text names the first element that differs. */
void test_assert_same(const char *what, const float *x, const float *y, int64_t n);
/* Print "what: value unit (bound ...)" and fail unless value >= bound. */
void test_assert_at_least(const char *what, double value, double bound, const char *unit);

/* ---------------------------------------------------------------------- finite differences ---- */

/* A function of whatever x points into. */
typedef double test_function(void *arg);

/* (f(x+h) - f(x-h)) / 2h, with the steps that floats really took. */
double test_difference(test_function *f, void *arg, float *x, float h);
/* Central differences of f in each x[i] against grad[i]: |error| <= absolute + relative |grad|. */
void test_assert_gradient(const char *what, test_function *f, void *arg, float *x,
                          const float *grad, int64_t n, float h, double relative, double absolute);
/* sum of a[i] * b[i] in double: the usual f, with fixed random a. */
double test_dot(const float *a, const float *b, int64_t n);

/* ------------------------------------------------------------------- formats and contexts ---- */

const char *test_group_name(group_kind group);

/* fp32 or bf16 (bits 0), or dynamic fixed point with all widths `bits`. */
num_format test_format_float(format_kind kind);
num_format test_format_dfp(int bits, group_kind group, bool stochastic);

/* Make the first `count` features of every input outliers, or as many as there is room for. */
void test_set_outliers(exec *ex, int64_t count);

/* All families this processor can run, by emulation where there is no AMX; returns how many.  To be
 * called at the start of each test that uses them. */
int test_families(const gemm_family *out[8]);

/* A context in training mode with the best family, without scratch. */
void test_exec_init(exec *ex, const num_format *format, int threads);
/* Exactly the memory that bind and pass take, which are run dry for it: storage (NULL: none), from
 * which bind takes, and ex->scratch.  Then bind is called once more, in earnest. */
void test_exec_plan(exec *ex, arena *storage, void (*bind)(void *), void (*pass)(void *),
                    void *arg);
/* Fails if more scratch was taken than planned, or not given back. */
void test_exec_deinit(exec *ex);
/* Fails if more was taken than planned. */
void test_arena_deinit(arena *a);

/* A parameter of its own with a gradient, filled with mean + sigma * normal. */
void test_param_init(test_random *r, param *p, int64_t rows, int64_t cols, double mean,
                     double sigma);
void test_param_deinit(param *p);

/* ----------------------------------------------------------------------------- tiny BERT ---- */

/* What to make; zero fields take the values in brackets. */
typedef struct test_shape {
    int64_t vocab, width, heads, intermediate, layers, positions, labels; /* 50 32 4 64 2 16 3 */
    int64_t sequences;                                                    /* [3] */
    int64_t lengths[8];                                                   /* [7, 1, 5] */
    int64_t train_sequences; /* largest training batch: the first so many [all]; -1: no training */
    bool recompute;          /* model_options.recompute */
    bool watch_formats;      /* network_options.watch_formats */
    const char *head;        /* [classification, or regression with 1 label] */
    const gemm_family *family; /* [as kernels_select says] */
} test_shape;

typedef struct test_bert {
    network *net;
    bert *model; /* net's body */
    model_input in;
    targets targets; /* of the rows, as the head wants them */
    float *logits;   /* [outputs], of the last forward */
    int64_t outputs;
    network_pass pass; /* of the next forward or gradient */
    int64_t *offset;
    int32_t *ids, *type_ids, *positions;
} test_bert;

/* The shape with its defaults filled in. */
test_shape test_shape_full(const test_shape *shape);
void test_config_init(model_config *cfg, const test_shape *shape);

/* A model and a batch of exactly this shape; the same numbers for each format and thread count.
 * Where the format tells outliers apart, the first three features of each input are some. */
void test_bert_init(test_bert *t, const test_shape *shape, const num_format *format, int threads,
                    const dropout_rates *dropout);
void test_bert_deinit(test_bert *t);

/* Forward in training and the loss; the gradient of all parameters after it; forward in
 * evaluation. */
double test_bert_loss(test_bert *t);
void test_bert_gradient(test_bert *t);
void test_bert_evaluate(test_bert *t);

#endif
