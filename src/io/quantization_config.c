/* Checking and making quantization_config.  See quantization_config.h. */
#include "io/quantization_config.h"

#include <string.h>

#include "base/json_util.h"
#include "base/utf8.h"

/* The text of a key, where absent its default; it must be `expected`. */
static mts_status expect(mts_ctx *ctx, const char *file, const json_t *object, const char *key,
                         const char *absent, const char *expected)
{
    mts_status st = MTS_OK;
    char quote[UTF8_QUOTE_BYTES];
    MTS_TRY(json_util_string(ctx, file, object, key, &absent));
    MTS_CHECK(strcmp(absent, expected) == 0, MTS_ERR_UNSUPPORTED,
              "%s: " QUANTIZATION_CONFIG ": %s: of quantized checkpoints only NF4 of bitsandbytes "
              "is supported: expected %s, found %s",
              file, key, expected, utf8_quote(quote, sizeof quote, absent));
cleanup:
    return st;
}

mts_status quantization_config_check(mts_ctx *ctx, const char *file, const json_t *config)
{
    mts_status st = MTS_OK;
    const json_t *object = quantization_config_of(config);
    bool four = false, eight = false;
    if (object == NULL)
        return MTS_OK;
    MTS_CHECK(json_is_object(object), MTS_ERR_BAD_FILE,
              "%s: " QUANTIZATION_CONFIG ": expected an object, found %s", file,
              json_util_type_name(object));
    MTS_TRY(expect(ctx, file, object, "quant_method", "bitsandbytes", "bitsandbytes"));
    MTS_TRY(json_util_bool(ctx, file, object, "load_in_8bit", &eight));
    MTS_TRY(json_util_bool(ctx, file, object, "load_in_4bit", &four));
    MTS_CHECK(!eight, MTS_ERR_UNSUPPORTED,
              "%s: " QUANTIZATION_CONFIG ": load_in_8bit: of quantized checkpoints only NF4 of "
              "bitsandbytes is supported, not LLM.int8()",
              file);
    MTS_CHECK(four, MTS_ERR_UNSUPPORTED,
              "%s: " QUANTIZATION_CONFIG ": load_in_4bit: of quantized checkpoints only NF4 of "
              "bitsandbytes is supported: expected true",
              file);
    MTS_TRY(expect(ctx, file, object, "bnb_4bit_quant_type", "fp4", "nf4"));
cleanup:
    return st;
}

const json_t *quantization_config_of(const json_t *config)
{
    const json_t *object = json_object_get(config, QUANTIZATION_CONFIG);
    return json_is_null(object) ? NULL : object;
}

mts_status quantization_config_make(mts_ctx *ctx, json_t **out)
{
    *out = json_pack("{s:b, s:b, s:s, s:s, s:s, s:b, s:b, s:b, s:n, s:f, s:b, s:b, s:s}",
                     "_load_in_4bit", 1, "_load_in_8bit", 0, "bnb_4bit_compute_dtype", "bfloat16",
                     "bnb_4bit_quant_storage", "uint8", "bnb_4bit_quant_type", "nf4",
                     "bnb_4bit_use_double_quant", 1, "llm_int8_enable_fp32_cpu_offload", 0,
                     "llm_int8_has_fp16_weight", 0, "llm_int8_skip_modules", "llm_int8_threshold",
                     6.0, "load_in_4bit", 1, "load_in_8bit", 0, "quant_method", "bitsandbytes");
    return *out != NULL ? MTS_OK
                        : status_set(ctx, MTS_ERR_MEMORY, "out of memory: " QUANTIZATION_CONFIG);
}
