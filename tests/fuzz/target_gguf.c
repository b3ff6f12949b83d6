/*
 * io/gguf: opening gives an error, or keys and tensors that can be read to the last byte; and what
 * 'mantissa info' says of the file.  Input: the bytes of the file.
 */
#include "fuzz/fuzz_target.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "api/describe_gguf.h"
#include "io/gguf.h"
#include "support/gguf_bytes.h"

/* All look-ups: the value, or a refusal that says what is there. */
static void use_key(const gguf *file, const gguf_key *key, size_t size)
{
    int64_t value = 0;
    double real = 0;
    bool yes = false;
    const char *text = "";
    const gguf_key *array = NULL;
    size_t bytes = 0, all = 0;
    const mts_status results[] = {
        gguf_find_int(&fuzz_ctx, file, key->name, -5, INT64_MAX, &value),
        gguf_find_real(&fuzz_ctx, file, key->name, 0, 1e9, &real),
        gguf_find_bool(&fuzz_ctx, file, key->name, &yes),
        gguf_find_text(&fuzz_ctx, file, key->name, &text),
        gguf_find_ints(&fuzz_ctx, file, key->name, 0, 1000, &array),
        gguf_find_reals(&fuzz_ctx, file, key->name, &array),
        gguf_find_texts(&fuzz_ctx, file, key->name, &array),
    };
    size_t accepted = 0;
    for (size_t i = 0; i < FUZZ_COUNT(results); i++) {
        FUZZ_REQUIRE(results[i] == MTS_OK || results[i] == MTS_ERR_BAD_FILE);
        accepted += results[i] == MTS_OK;
    }
    FUZZ_REQUIRE(accepted <= 1);            /* a value has one type */
    fuzz_require_refusal(MTS_ERR_BAD_FILE); /* the text of the last one that refused */
    FUZZ_REQUIRE(gguf_find_key(file, key->name) == key);
    FUZZ_REQUIRE(value >= -5 && real >= 0 && real <= 1e9 && strlen(text) <= size);
    FUZZ_REQUIRE(key->kind != GGUF_KIND_TEXT || key->data[key->count] == '\0');
    if (array == NULL || array->element != GGUF_KIND_TEXT)
        return;
    for (gguf_texts texts = gguf_texts_of(array); gguf_next_text(&texts, &text, &bytes);)
        for (size_t i = 0; i < bytes; i++)
            all += text[i] == '\0' ? 2 : 1; /* reads each byte */
    FUZZ_REQUIRE(all <= 2 * size);
}

static void use_tensor(const gguf *file, const gguf_tensor *t, size_t size)
{
    FUZZ_REQUIRE(gguf_find_tensor(file, t->name) == t);
    FUZZ_REQUIRE(t->rows >= 1 && t->cols >= 1 && t->bytes >= 1);
    FUZZ_REQUIRE(t->offset <= size && t->bytes <= size - t->offset);
    float *values = malloc((size_t)(t->rows * t->cols) * sizeof *values);
    FUZZ_REQUIRE(values != NULL);
    const mts_status st = gguf_read_rows(&fuzz_ctx, t, 0, t->rows, values);
    if (st != MTS_OK)
        fuzz_require_refusal(st);
    for (int64_t i = 0; st == MTS_OK && i < t->rows * t->cols; i++)
        FUZZ_REQUIRE(isfinite(values[i]));
    free(values);
}

static void use_description(const char *path, bool opened)
{
    json_t *out = json_object();
    FUZZ_REQUIRE(out != NULL);
    const mts_status st = describe_gguf(&fuzz_ctx, path, out);
    if (st != MTS_OK)
        fuzz_require_refusal(st);
    FUZZ_REQUIRE(opened || st != MTS_OK);
    json_decref(out);
}

static bool run(const uint8_t *data, size_t size)
{
    gguf *file = NULL;
    char path[4096];
    fuzz_put("target.gguf", data, size);
    snprintf(path, sizeof path, "%s/target.gguf", fuzz_folder());
    const mts_status st = gguf_open(&fuzz_ctx, path, &file);
    if (st != MTS_OK) {
        FUZZ_REQUIRE(file == NULL);
        fuzz_require_refusal(st);
    }
    for (size_t i = 0; st == MTS_OK && i < gguf_key_count(file); i++)
        use_key(file, gguf_key_at(file, i), size);
    for (size_t i = 0; st == MTS_OK && i < gguf_tensor_count(file); i++)
        use_tensor(file, gguf_tensor_at(file, i), size);
    gguf_close(file);
    use_description(path, st == MTS_OK);
    return st == MTS_OK;
}

/* A few keys that are described, and small tensors: most bytes count. */
static void make_small(gguf_bytes *b)
{
    gguf_start(b, 3, 3, 8);
    gguf_put_name(b, "general.architecture", "x");
    gguf_put_name(b, "tokenizer.ggml.model", "gpt2");
    gguf_put_u32(b, "x.block_count", 2);
    gguf_put_array(b, "x.attention.head_count", GGUF_KIND_U16, 2);
    gguf_put_int(b, 4 | 8 << 16, 4);
    gguf_put_f32(b, "x.rope.freq_base", 1e4F);
    gguf_put_array(b, "tokenizer.ggml.tokens", GGUF_KIND_TEXT, 2);
    gguf_put_text(b, "a");
    gguf_put_text(b, "bc");
    gguf_put_key(b, "tokenizer.ggml.add_bos_token", GGUF_KIND_BOOL);
    gguf_put_int(b, 1, 1);
    gguf_put_u32(b, "general.alignment", 8);
    gguf_put_tensor(b, "f", 2, 2, GGUF_F32, 0);
    gguf_put_tensor(b, "q", 32, 1, GGUF_Q4_0, 16);
    gguf_put_tensor(b, "i", 3, 0, 24, 40);
    gguf_pad(b, 8);
    for (int i = 0; i < 16 + 18; i++)
        gguf_put_int(b, (uint64_t)i, 1);
    gguf_pad(b, 8);
    gguf_put_bytes(b, "abc", 3);
}

static size_t make_seeds(fuzz_bytes *out, size_t room)
{
    static gguf_bytes files[3];
    FUZZ_REQUIRE(room >= FUZZ_COUNT(files));
    make_small(&files[0]);
    gguf_make_valid(&files[1], 2);
    gguf_start(&files[2], 3, 0, 0);
    for (size_t i = 0; i < FUZZ_COUNT(files); i++)
        out[i] = (fuzz_bytes){(const char *)files[i].data, files[i].size};
    return FUZZ_COUNT(files);
}

static const char *const words[] = {"GGUF",
                                    "\x01",
                                    "\x02",
                                    "\x03",
                                    "\x04",
                                    "\x06",
                                    "\x08",
                                    "\x09",
                                    "\x0c",
                                    "\x0e",
                                    "\x20",
                                    "\x7f",
                                    "\x80",
                                    "\xff",
                                    "\xff\xff\xff\xff",
                                    "\xff\xff\xff\xff\xff\xff\xff\xff",
                                    "general.alignment",
                                    "general.architecture",
                                    "general.name",
                                    "split.count",
                                    "x.vocab_size",
                                    "tokenizer.ggml.tokens",
                                    "\xc3\xa9",
                                    NULL};

const fuzz_target fuzz_target_gguf = {
    .name = "gguf",
    .run = run,
    .make_seeds = make_seeds,
    .whole = true,
    .words = words,
};
