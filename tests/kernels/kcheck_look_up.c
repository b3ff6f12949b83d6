/*
 * look_up_s8 of every family against its definition; nothing is written behind the last block.
 */
#include "support/test_check.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "cpu/cpu_features.h"
#include "kernels/kernels.h"

enum { BLOCKS = 37, ELEMENTS = 64, CODES = 16, GUARD = 64, MARK = 99 };

static uint8_t codes[BLOCKS * ELEMENTS / 2];
static int8_t number[BLOCKS * CODES];

static void fill(uint64_t seed)
{
    const rng_key key = rng_make_key(seed, 0, 0, RNG_INIT);
    for (size_t i = 0; i < sizeof codes; i++)
        codes[i] = (uint8_t)(256.0f * rng_uniform(key, (uint32_t)i));
    for (size_t i = 0; i < sizeof number; i++)
        number[i] = (int8_t)(256.0f * rng_uniform(key, (uint32_t)(i + sizeof codes)) - 128.0f);
}

static void check(look_up_s8_fn *look_up, int64_t blocks)
{
    int8_t out[BLOCKS * ELEMENTS + GUARD];
    memset(out, MARK, sizeof out);
    look_up(out, codes, number, blocks);
    for (int64_t i = 0; i < blocks * ELEMENTS; i++) {
        const int code = i % 2 == 0 ? codes[i / 2] >> 4 : codes[i / 2] & 15;
        assert_int_equal(out[i], number[i / ELEMENTS * CODES + code]);
    }
    for (size_t i = (size_t)(blocks * ELEMENTS); i < sizeof out; i++)
        assert_int_equal(out[i], MARK);
}

static void test_families(void **state)
{
    int count;
    const gemm_family *const *families = kernels_families(&count);
    (void)state;
    for (int f = 0; f < count; f++) {
        assert_non_null(families[f]->look_up_s8);
        if (families[f]->look_up_s8 != look_up_s8__ref && (cpu_features() & CPU_AVX2) == 0) {
            printf("%s: not run, no AVX2 here\n", families[f]->name);
            continue;
        }
        for (uint64_t seed = 0; seed < 8; seed++) {
            fill(seed);
            for (int64_t blocks = 0; blocks <= BLOCKS; blocks++)
                check(families[f]->look_up_s8, blocks);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_families)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
