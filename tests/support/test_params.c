/* Parameters for tests.  See test_params.h. */
#include "support/test_params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu_features.h"

/* Grow to `elements`, and point the parameters into the new arrays. */
static void resize(test_params *t, int64_t elements)
{
    const size_t bytes = (size_t)elements * sizeof(float);
    const size_t old = (size_t)t->elements;
    t->value = realloc(t->value, bytes);
    t->grad = realloc(t->grad, bytes);
    if (t->value == NULL || t->grad == NULL)
        abort();
    memset(t->value + old, 0, bytes - old * sizeof(float));
    memset(t->grad + old, 0, bytes - old * sizeof(float));
    t->elements = elements;
    for (int64_t p = 0; p < t->count; p++) {
        t->items[p]->value = t->value + test_params_offset(t, p);
        t->items[p]->grad = t->grad + test_params_offset(t, p);
    }
}

int64_t test_params_offset(const test_params *t, int64_t p)
{
    int64_t n = 0;
    for (int64_t i = 0; i < p; i++)
        n += param_size(t->items[i]);
    return n;
}

void test_params_add(test_params *t, int64_t rows, int64_t cols, bool decay)
{
    param *p = malloc(sizeof *p);
    if (t->items == NULL)
        t->items = calloc(TEST_PARAMS_MAX, sizeof *t->items);
    if (p == NULL || t->items == NULL || t->count == TEST_PARAMS_MAX)
        abort();
    *p = (param){
        .rows = rows,
        .cols = cols,
        .role = decay ? PARAM_WEIGHT : PARAM_BIAS,
        .vector = rows == 1,
        .decay = decay,
        .trained = true,
        .index = t->count,
    };
    snprintf(p->name, sizeof p->name, "p%d", (int)t->count);
    t->items[t->count++] = p;
    resize(t, t->elements + rows * cols);
}

void test_params_free(test_params *t)
{
    for (int64_t p = 0; p < t->count; p++)
        free(t->items[p]);
    free(t->items);
    free(t->value);
    free(t->grad);
    *t = (test_params){0};
}

test_params test_params_mixed(void)
{
    test_params t = {0};
    test_params_add(&t, 130, 128, true);
    test_params_add(&t, 1, 128, false);
    test_params_add(&t, 7, 5, true);
    test_params_add(&t, 300, 257, true);
    test_params_add(&t, 1, 1, false);
    test_params_fill(t.value, t.elements, 0.5f, 1);
    return t;
}

void test_params_fill(float *x, int64_t n, float scale, uint64_t seed)
{
    const rng_key key = rng_make_key(seed, 0, 0, RNG_INIT);
    for (int64_t i = 0; i < n; i++)
        x[i] = scale * (2.0f * rng_uniform(key, (uint32_t)i) - 1.0f);
}

exec test_params_exec(const float_kernels *fk, int threads, uint64_t seed)
{
    return (exec){.fk = fk, .threads = threads, .seed = seed};
}

const float_kernels *const *test_params_kernels(int *count)
{
    static const float_kernels *list[3];
    int n = 0;
    list[n++] = &float_kernels__generic;
#if defined(__x86_64__)
    if (cpu_features() & CPU_AVX2)
        list[n++] = &float_kernels__avx2;
    if (cpu_features() & CPU_AVX512)
        list[n++] = &float_kernels__avx512;
#endif
    *count = n;
    return list;
}
