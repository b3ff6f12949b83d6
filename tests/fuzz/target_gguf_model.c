/*
 * io/gguf_model, io/gguf_tokenizer: a GGUF file as a model gives an error, or a configuration that
 * keeps its rules, weights that are all there, and a tokenizer that cuts any text.  Input: the
 * bytes of the file.
 */
#include "fuzz/fuzz_target.h"

#include <math.h>
#include <string.h>

#include "fuzz/use_tokenizer.h"
#include "io/gguf_model.h"
#include "network/network_io.h"
#include "support/gguf_tiny.h"
#include "train/model_tokenizer.h"

/* All tensors, in the order of transformers. */
static void use_weights(const char *path)
{
    gguf_model m;
    FUZZ_REQUIRE(gguf_model_open(&fuzz_ctx, path, &m) == MTS_OK);
    for (size_t i = 0; i < gguf_tensor_count(m.file); i++) {
        const gguf_tensor *t = gguf_tensor_at(m.file, i);
        float *values = malloc((size_t)(t->rows * t->cols) * sizeof *values);
        FUZZ_REQUIRE(values != NULL);
        for (int64_t k = 0; k < t->rows * t->cols; k++)
            values[k] = NAN;
        const mts_status st = gguf_model_read(&fuzz_ctx, &m, t, values);
        if (st != MTS_OK)
            fuzz_require_refusal(st);
        for (int64_t k = 0; st == MTS_OK && k < t->rows * t->cols; k++)
            FUZZ_REQUIRE(isfinite(values[k])); /* each is written */
        free(values);
    }
    gguf_model_close(&m);
}

static bool run(const uint8_t *data, size_t size)
{
    char path[4096];
    model_config cfg;
    tokenizer *tok = NULL;
    fuzz_put("target.gguf", data, size);
    snprintf(path, sizeof path, "%s/target.gguf", fuzz_folder());
    const mts_status st = model_load_config(&fuzz_ctx, path, &cfg);
    if (st != MTS_OK) {
        fuzz_require_refusal(st);
    } else {
        const mts_status weights = network_check_weights(
            &fuzz_ctx, &cfg, head_class_find("next token"), path, HEAD_NEEDED);
        if (weights != MTS_OK)
            fuzz_require_refusal(weights);
        use_weights(path);
    }
    model_config_deinit(&cfg);
    const mts_status cuts = model_tokenizer_open(&fuzz_ctx, path, &tok, NULL);
    FUZZ_REQUIRE((cuts == MTS_OK) == (tok != NULL));
    if (cuts != MTS_OK)
        fuzz_require_refusal(cuts);
    else
        use_tokenizer(tok, "ab a<end><user> b\xc3\xa9 1 </s>", "a  a");
    tokenizer_close(tok);
    return st == MTS_OK && cuts == MTS_OK;
}

static size_t make_seeds(fuzz_bytes *out, size_t room)
{
    static gguf_bytes files[3];
    FUZZ_REQUIRE(room >= FUZZ_COUNT(files));
    gguf_make_tiny(&files[0], &(gguf_tiny){.biases = true});
    gguf_make_tiny(&files[1], &(gguf_tiny){.architecture = "qwen2",
                                           .biases = true,
                                           .text_key = "tokenizer.ggml.pre",
                                           .text = "qwen2"});
    gguf_make_tiny(&files[2], &(gguf_tiny){.pieces = true});
    for (size_t i = 0; i < FUZZ_COUNT(files); i++)
        out[i] = (fuzz_bytes){(const char *)files[i].data, files[i].size};
    return FUZZ_COUNT(files);
}

static const char *const words[] = {"\x01",
                                    "\x02",
                                    "\x03",
                                    "\x04",
                                    "\x06",
                                    "\xff",
                                    "\xff\xff\xff\xff",
                                    "llama",
                                    "qwen2",
                                    "gpt2",
                                    "smollm",
                                    "llama-bpe",
                                    "falcon",
                                    "blk.0.attn_q.weight",
                                    "output.weight",
                                    "rope_freqs.weight",
                                    "\xe2\x96\x81",
                                    NULL};

const fuzz_target fuzz_target_gguf_model = {
    .name = "gguf_model",
    .run = run,
    .make_seeds = make_seeds,
    .whole = true,
    .words = words,
};
