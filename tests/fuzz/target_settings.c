/* mts_options_from_model: settings stored in config.json are refused, or lie within their ranges
 * and do not contradict each other; after a failure nothing has changed. */
#include "fuzz/fuzz_target.h"

#include <string.h>

#include "fuzz/use_options.h"

static bool run(const uint8_t *data, size_t size)
{
    mts_options options, before;
    mts_options_default(&options);
    before = options;
    fuzz_put("config.json", data, size);
    const mts_status st = mts_options_from_model(&fuzz_ctx, &options, fuzz_folder());
    if (st == MTS_OK) {
        use_options(&options);
        FUZZ_REQUIRE(mts_options_check(&fuzz_ctx, &options) == MTS_OK);
    } else {
        fuzz_require_refusal(st);
        FUZZ_REQUIRE(memcmp(&options, &before, sizeof options) == 0);
    }
    return st == MTS_OK;
}

static const fuzz_bytes seeds[] = {
    FUZZ_BYTES("{\"mantissa\":{\"precision\":\"int8\",\"weight_bits\":8,\"activation_bits\":8,"
               "\"attention_bits\":8,\"norm_bits\":16,\"exponent_group\":\"row\","
               "\"max_seq_length\":128},\"max_position_embeddings\":512}"),
    FUZZ_BYTES("{\"mantissa\":{\"precision\":\"fp32\",\"max_seq_length\":24},\"x\":null}"),
    FUZZ_BYTES("{\"mantissa\":{\"precision\":\"int8\",\"outliers\":\"feature\",\"outlier_bits\":12,"
               "\"outlier_threshold\":5.0,\"outlier_features\":{\"pooler.dense\":[1,7]}}}"),
    FUZZ_BYTES("{\"hidden_size\":384}"),
};

#define TEN(x) x x x x x x x x x x

/* Quoted in errors, cut at so many bytes, amid a character. */
static const fuzz_bytes cases[] = {
    FUZZ_BYTES("{\"mantissa\":{\"precision\":\"x" TEN("\xc3\xa9") TEN("\xc3\xa9")
                   TEN("\xc3\xa9") "\"}}"),
};

static const char *const words[] = {"{",
                                    "}",
                                    "[",
                                    "]",
                                    ",",
                                    ":",
                                    "\"",
                                    "0",
                                    "-1",
                                    "4",
                                    "16",
                                    "17",
                                    "null",
                                    "1e400",
                                    "true",
                                    "\"bf16\"",
                                    "\"int12\"",
                                    "\"fp32\"",
                                    "\"block\"",
                                    "\"tensor\"",
                                    "\"weight_bits\":8,",
                                    "\"outliers\":\"feature\",",
                                    "\"outlier_bits\":",
                                    "\"max_seq_length\":",
                                    "\xff",
                                    "9223372036854775807",
                                    "\\u0000",
                                    NULL};

const fuzz_target fuzz_target_settings = {
    .name = "settings",
    .run = run,
    .seeds = seeds,
    .n_seeds = FUZZ_COUNT(seeds),
    .cases = cases,
    .n_cases = FUZZ_COUNT(cases),
    .whole = true,
    .words = words,
};
