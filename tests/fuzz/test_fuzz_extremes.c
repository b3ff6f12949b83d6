/*
 * Inputs at the limits of what a reader counts: the length of a header, the depth of JSON.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/json_util.h"
#include "fuzz/fuzz_target.h"

extern const fuzz_target fuzz_target_json, fuzz_target_safetensors;

/* No other length in front of the header is accepted. */
static void header_lengths(void **state)
{
    (void)state;
    const fuzz_bytes *valid = &fuzz_target_safetensors.seeds[1];
    uint8_t data[512];
    uint64_t length = 0;
    assert_true(valid->size <= sizeof data && valid->data[0] == 'r');
    memcpy(data, valid->data, valid->size);
    memcpy(&length, data + 1, sizeof length);
    assert_true(fuzz_target_safetensors.run(data, valid->size));
    for (int shift = 0; shift < 64; shift++) {
        const uint64_t power = UINT64_C(1) << shift;
        const uint64_t lengths[] = {power,          power - 1,      power + 1,         ~power,
                                    length + power, length - power, UINT64_MAX - power};
        for (size_t i = 0; i < FUZZ_COUNT(lengths); i++) {
            memcpy(data + 1, &lengths[i], sizeof length);
            assert_false(fuzz_target_safetensors.run(data, valid->size));
        }
    }
}

/* The parser's limit of nesting is met by ours in the dump. */
static void deep_nesting(void **state)
{
    (void)state;
    static char text[20000];
    json_t *json = NULL;
    for (size_t depth = 1; depth < sizeof text / 2; depth = depth < 2040 ? depth * 2 : depth + 1) {
        if (depth > 2060)
            depth = sizeof text / 2;
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        fuzz_target_json.run((const uint8_t *)text, 2 * depth);
    }
    memset(text, '[', sizeof text);
    assert_int_equal(json_util_parse(&fuzz_ctx, "deep", text, sizeof text, &json),
                     MTS_ERR_BAD_FILE);
    assert_null(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_lengths),
        cmocka_unit_test(deep_nesting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
