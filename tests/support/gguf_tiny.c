/* A language model in a GGUF file.  See gguf_tiny.h. */
#include "support/gguf_tiny.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 16, KV = 8, MIDDLE = 4 };

static bool same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* ---------------------------------------------------------------------------------- keys ---- */

/* Where the keys go, or how many they are (to NULL). */
typedef struct key_sink {
    gguf_bytes *to;
    uint64_t count;
    bool key_done, text_done;
} key_sink;

static void put_int(key_sink *s, const char *name, uint32_t value)
{
    s->count++;
    if (s->to != NULL)
        gguf_put_u32(s->to, name, value);
}

static void put_text(key_sink *s, const gguf_tiny *t, const char *name, const char *value)
{
    if (same(t->without, name))
        return;
    if (same(t->text_key, name)) {
        s->text_done = true;
        if (t->text == NULL) {
            put_int(s, name, 1);
            return;
        }
        value = t->text;
    }
    s->count++;
    if (s->to != NULL)
        gguf_put_name(s->to, name, value);
}

static void put_size(key_sink *s, const gguf_tiny *t, const char *name, uint32_t value)
{
    char key[128];
    if (same(t->without, name))
        return;
    if (same(t->key, name)) {
        value = t->value;
        s->key_done = true;
    }
    const bool whole = strncmp(name, "tokenizer.", 10) == 0 || strncmp(name, "split.", 6) == 0;
    snprintf(key, sizeof key, "%s%s%s", whole ? "" : t->architecture, whole ? "" : ".", name);
    put_int(s, key, value);
}

static void put_real(key_sink *s, const gguf_tiny *t, const char *name, float value)
{
    char key[128];
    if (same(t->without, name))
        return;
    snprintf(key, sizeof key, "%s.%s", t->architecture, name);
    s->count++;
    if (s->to != NULL)
        gguf_put_f32(s->to, key, value);
}

static void put_texts(key_sink *s, const gguf_tiny *t, const char *name, const char *const *texts,
                      uint64_t n)
{
    if (same(t->without, name))
        return;
    s->count++;
    if (s->to == NULL)
        return;
    gguf_put_array(s->to, name, GGUF_KIND_TEXT, n);
    for (uint64_t i = 0; i < n; i++)
        gguf_put_text(s->to, texts[i]);
}

static void put_tokenizer(key_sink *s, const gguf_tiny *t)
{
    static const char *const tokens[] = GGUF_TINY_TOKENS;
    static const char *const pieces[] = GGUF_TINY_PIECES;
    static const char *const merges[] = {"a b"};
    static const int32_t types[2][GGUF_TINY_VOCAB] = {{3, 1, 1, 1, 1, 4}, {2, 3, 3, 1, 1, 1}};
    static const float scores[GGUF_TINY_VOCAB] = {0, 0, 0, -2, -3, -1};
    put_text(s, t, "tokenizer.ggml.model", t->pieces ? "llama" : "gpt2");
    put_text(s, t, "tokenizer.ggml.pre", "smollm");
    put_texts(s, t, "tokenizer.ggml.tokens", t->pieces ? pieces : tokens, GGUF_TINY_VOCAB);
    if (!t->pieces)
        put_texts(s, t, "tokenizer.ggml.merges", merges, 1);
    s->count += 1 + t->pieces;
    if (s->to != NULL) {
        gguf_put_array(s->to, "tokenizer.ggml.token_type", GGUF_KIND_I32, GGUF_TINY_VOCAB);
        gguf_put_bytes(s->to, types[t->pieces], sizeof types[0]);
    }
    if (s->to != NULL && t->pieces) {
        gguf_put_array(s->to, "tokenizer.ggml.scores", GGUF_KIND_F32, GGUF_TINY_VOCAB);
        gguf_put_bytes(s->to, scores, sizeof scores);
    }
    put_size(s, t, "tokenizer.ggml.bos_token_id", t->pieces ? 1 : 0);
    put_size(s, t, "tokenizer.ggml.eos_token_id", t->pieces ? 2 : 0);
}

static void put_keys(key_sink *s, const gguf_tiny *t)
{
    put_text(s, t, "general.architecture", t->architecture);
    put_size(s, t, "block_count", 1);
    put_size(s, t, "context_length", 32);
    put_size(s, t, "embedding_length", WIDTH);
    put_size(s, t, "feed_forward_length", MIDDLE);
    put_size(s, t, "attention.head_count", 2);
    put_size(s, t, "attention.head_count_kv", 1);
    put_real(s, t, "attention.layer_norm_rms_epsilon", 1e-5F);
    if (t->real_key != NULL)
        put_real(s, t, t->real_key, t->real);
    put_tokenizer(s, t);
    if (t->key != NULL && !s->key_done)
        put_size(s, t, t->key, t->value);
    if (t->text_key != NULL && !s->text_done)
        put_text(s, t, t->text_key, t->text);
}

/* ------------------------------------------------------------------------------- tensors ---- */

typedef struct tiny_tensor {
    const char *name;
    uint64_t rows, cols; /* rows 0: one dimension */
    bool bias;
} tiny_tensor;

static const tiny_tensor tensors[] = {
    {"token_embd.weight", GGUF_TINY_VOCAB, WIDTH, false},
    {"blk.0.attn_norm.weight", 0, WIDTH, false},
    {"blk.0.attn_q.weight", WIDTH, WIDTH, false},
    {"blk.0.attn_k.weight", KV, WIDTH, false},
    {"blk.0.attn_v.weight", KV, WIDTH, false},
    {"blk.0.attn_q.bias", 0, WIDTH, true},
    {"blk.0.attn_k.bias", 0, KV, true},
    {"blk.0.attn_v.bias", 0, KV, true},
    {"blk.0.attn_output.weight", WIDTH, WIDTH, false},
    {"blk.0.ffn_norm.weight", 0, WIDTH, false},
    {"blk.0.ffn_gate.weight", MIDDLE, WIDTH, false},
    {"blk.0.ffn_up.weight", MIDDLE, WIDTH, false},
    {"blk.0.ffn_down.weight", WIDTH, MIDDLE, false},
    {"output_norm.weight", 0, WIDTH, false},
};

/* Those of the file, in turn; NULL behind the last. */
static const tiny_tensor *next_tensor(const gguf_tiny *t, size_t *i, tiny_tensor *more)
{
    enum { COUNT = sizeof tensors / sizeof tensors[0] };
    for (; *i < COUNT; ++*i)
        if (!same(t->without, tensors[*i].name) && (t->biases || !tensors[*i].bias))
            return &tensors[(*i)++];
    *more = (tiny_tensor){t->tensor, 0, (uint64_t)t->count, false};
    return (*i)++ == COUNT && t->tensor != NULL ? more : NULL;
}

void gguf_make_tiny(gguf_bytes *b, const gguf_tiny *given)
{
    gguf_tiny t = *given;
    tiny_tensor more;
    key_sink counted = {0}, keys = {.to = b};
    uint64_t count = 0, offset = 0;
    if (t.architecture == NULL)
        t.architecture = "llama";
    put_keys(&counted, &t);
    for (size_t i = 0; next_tensor(&t, &i, &more) != NULL;)
        count++;
    gguf_start(b, 3, count, counted.count);
    put_keys(&keys, &t);
    const tiny_tensor *x;
    for (size_t i = 0; (x = next_tensor(&t, &i, &more)) != NULL;) {
        gguf_put_tensor(b, x->name, x->cols, x->rows, GGUF_F32, offset);
        offset = (offset + 4 * x->cols * (x->rows == 0 ? 1 : x->rows) + 31) / 32 * 32;
    }
    for (size_t i = 0; (x = next_tensor(&t, &i, &more)) != NULL;) {
        gguf_pad(b, 32);
        for (uint64_t r = 0; r < (x->rows == 0 ? 1 : x->rows); r++)
            for (uint64_t c = 0; c < x->cols; c++) {
                const float value = (float)r + (float)c / 64;
                gguf_put_bytes(b, &value, sizeof value);
            }
    }
    gguf_pad(b, 32);
}
