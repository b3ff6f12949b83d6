/*
 * The weights of an adapter's folder: refused with one line, or an adapter whose layers can be
 * read, and written as PEFT's folder and as a GGUF file, which their readers take.
 * Input: r and the bytes of the file; or h, a header, NUL and the data (target_safetensors.c).
 */
#include "fuzz/fuzz_target.h"

#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "fuzz/use_safetensors.h"
#include "io/gguf_adapter.h"
#include "io/gguf.h"

static const char config[] = "{\"r\":2,\"lora_alpha\":4,\"target_modules\":[\"q_proj\"]}";

/* What is not finite is refused when it is read. */
static void use(const peft_adapter *a)
{
    char path[4096];
    json_t *base = json_pack("{s:s, s:i}", "model_type", "llama", "num_attention_heads", 1);
    FUZZ_REQUIRE(base != NULL && a->count > 0);
    for (size_t i = 0; i < a->count; i++) {
        float *x = NULL, *y = NULL;
        const mts_status st = peft_adapter_read(&fuzz_ctx, a, &a->modules[i], &x, &y);
        FUZZ_REQUIRE((st == MTS_OK) == (x != NULL));
        if (st != MTS_OK)
            fuzz_require_refusal(st);
        mem_free(x);
        mem_free(y);
    }
    snprintf(path, sizeof path, "%s/out.gguf", fuzz_folder());
    mts_status st = gguf_adapter_save(&fuzz_ctx, a, base, "base", path);
    if (st != MTS_OK) {
        fuzz_require_refusal(st);
    } else {
        gguf *file = NULL;
        FUZZ_REQUIRE(gguf_open(&fuzz_ctx, path, &file) == MTS_OK);
        FUZZ_REQUIRE(gguf_tensor_count(file) == 2 * a->count);
        gguf_close(file);
    }
    json_decref(base);
}

static void use_copy(const peft_adapter *a)
{
    char path[4096];
    peft_adapter back;
    snprintf(path, sizeof path, "%s/copy", fuzz_folder());
    mkdir(path, 0777);
    const mts_status st = peft_adapter_save(&fuzz_ctx, a, fuzz_folder(), path);
    if (st != MTS_OK) {
        fuzz_require_refusal(st);
        return;
    }
    FUZZ_REQUIRE(peft_adapter_open(&fuzz_ctx, path, 0, &back) == MTS_OK);
    FUZZ_REQUIRE(back.count == a->count && back.saved_count == a->saved_count);
    FUZZ_REQUIRE(back.config.rank == a->config.rank);
    peft_adapter_close(&back);
}

static bool run(const uint8_t *data, size_t size)
{
    peft_adapter a;
    if (size < 1)
        return false;
    fuzz_bytes rest = {(const char *)data + 1, size - 1};
    fuzz_put(PEFT_CONFIG, config, sizeof config - 1);
    if (data[0] == 'h') {
        const fuzz_bytes header = fuzz_take_part(&rest);
        put_safetensors(PEFT_WEIGHTS, header, rest);
    } else {
        fuzz_put(PEFT_WEIGHTS, rest.data, rest.size);
    }
    const mts_status st = peft_adapter_open(&fuzz_ctx, fuzz_folder(), size % 3 == 0 ? 1 : 0, &a);
    if (st == MTS_OK) {
        use(&a);
        use_copy(&a);
    } else {
        fuzz_require_refusal(st);
    }
    peft_adapter_close(&a);
    return st == MTS_OK;
}

#define LAYER "base_model.model.model.layers.0.self_attn.q_proj.lora_"
#define EIGHT "\0\0\x80?\0\0\0\xc0"

static const fuzz_bytes seeds[] = {
    FUZZ_BYTES("h{\"" LAYER "A.weight\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
               "\"" LAYER "B.weight\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[8,24]}}"
               "\0" EIGHT EIGHT EIGHT),
    FUZZ_BYTES("h{\"" LAYER
               "A.weight\":{\"dtype\":\"BF16\",\"shape\":[2,2],\"data_offsets\":[0,8]},"
               "\"" LAYER "B.weight\":{\"dtype\":\"BF16\",\"shape\":[2,2],\"data_offsets\":[8,16]},"
               "\"base_model.model.x\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[16,24]}}"
               "\0" EIGHT EIGHT EIGHT),
};

static const char *const words[] = {"{",
                                    "}",
                                    "[",
                                    "]",
                                    ",",
                                    "\"",
                                    "0",
                                    "1",
                                    "2",
                                    "base_model.model.",
                                    ".lora_A.weight",
                                    ".lora_B.weight",
                                    "model.layers.",
                                    "k_proj",
                                    "v_proj",
                                    "mlp.up_proj",
                                    "lora_embedding_A",
                                    "\"F16\"",
                                    "\"BF16\"",
                                    "\"I64\"",
                                    "\xff",
                                    "\\n",
                                    NULL};

const fuzz_target fuzz_target_adapter = {
    .name = "adapter",
    .run = run,
    .seeds = seeds,
    .n_seeds = FUZZ_COUNT(seeds),
    .whole = true,
    .words = words,
};
