/* The keys of a GGUF file as config.json.  See gguf_model.h.
 *
 * Names of keys: gguf-py/gguf/constants.py of llama.cpp.  A number gets its range here so that the
 * error names the key of the file; whether they fit together is checked with config.json's names.
 */
#include "io/gguf_model.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json_util.h"
#include "base/memory.h"
#include "base/utf8.h"

enum { KEY_BYTES = 96, HEAD_DIM_MAX = 1024, POSITIONS_MAX = 1 << 20 };

/* What is read, and what is made of it. */
typedef struct reading {
    mts_ctx *ctx;
    const gguf_model *m;
    json_t *json;
    char key[KEY_BYTES];
} reading;

/* "llama." and the name. */
static const char *key_of(reading *r, const char *name)
{
    snprintf(r->key, sizeof r->key, "%s.%s", r->m->family->name, name);
    return r->key;
}

static mts_status put_int(reading *r, const char *name, int64_t value)
{
    return json_util_set(r->ctx, r->json, name, json_integer((json_int_t)value));
}

/* *value: of a key that must be there; also under a name of config.json. */
static mts_status take_size(reading *r, const char *key, const char *name, int64_t max,
                            int64_t *value)
{
    mts_status st = MTS_OK;
    MTS_TRY(gguf_require_key(r->ctx, r->m->file, key_of(r, key)));
    MTS_TRY(gguf_find_int(r->ctx, r->m->file, key_of(r, key), 1, max, value));
    MTS_TRY(put_int(r, name, *value));
cleanup:
    return st;
}

/* The width of a head: of keys, and the same of values and of rotation. */
static mts_status take_head_dim(reading *r, int64_t hidden, int64_t *head_dim)
{
    static const char *const equal[] = {"attention.value_length", "rope.dimension_count"};
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    *head_dim = hidden / r->m->heads > 0 ? hidden / r->m->heads : 1;
    MTS_TRY(gguf_find_int(ctx, r->m->file, key_of(r, "attention.key_length"), 1, HEAD_DIM_MAX,
                          head_dim));
    for (size_t i = 0; i < sizeof equal / sizeof equal[0]; i++) {
        int64_t other = *head_dim;
        MTS_TRY(gguf_find_int(ctx, r->m->file, key_of(r, equal[i]), 0, HEAD_DIM_MAX, &other));
        MTS_CHECK(other == *head_dim, MTS_ERR_UNSUPPORTED,
                  "%s: key %s: only the width of a head, %" PRId64 ", is supported, found %" PRId64,
                  r->m->path, r->key, *head_dim, other);
    }
    MTS_TRY(put_int(r, "head_dim", *head_dim));
cleanup:
    return st;
}

static mts_status take_sizes(reading *r, int64_t *head_dim)
{
    mts_status st = MTS_OK;
    int64_t value = 0, hidden = 0;
    MTS_TRY(take_size(r, "embedding_length", "hidden_size", 65536, &hidden));
    MTS_TRY(take_size(r, "block_count", "num_hidden_layers", 1024, &value));
    MTS_TRY(take_size(r, "feed_forward_length", "intermediate_size", 1 << 20, &value));
    MTS_TRY(take_size(r, "context_length", "max_position_embeddings", POSITIONS_MAX, &value));
    MTS_TRY(put_int(r, "num_attention_heads", r->m->heads));
    MTS_TRY(put_int(r, "num_key_value_heads", r->m->kv_heads));
    MTS_TRY(take_head_dim(r, hidden, head_dim));
cleanup:
    return st;
}

/* Ids of tokens below the number of tokens, which is vocab_size. */
static mts_status take_vocabulary(reading *r)
{
    static const char tokens_key[] = "tokenizer.ggml.tokens";
    static const struct {
        const char *key, *name;
    } ids[] = {
        {"tokenizer.ggml.bos_token_id", "bos_token_id"},
        {"tokenizer.ggml.eos_token_id", "eos_token_id"},
        {"tokenizer.ggml.padding_token_id", "pad_token_id"},
    };
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const gguf_key *tokens = NULL;
    MTS_TRY(gguf_require_key(ctx, r->m->file, tokens_key));
    MTS_TRY(gguf_find_texts(ctx, r->m->file, tokens_key, &tokens));
    MTS_CHECK(tokens->count > 0 && tokens->count <= 1 << 24, MTS_ERR_BAD_FILE,
              "%s: key %s: expected 1..%d tokens, found %" PRIu64, r->m->path, tokens_key, 1 << 24,
              tokens->count);
    MTS_TRY(put_int(r, "vocab_size", (int64_t)tokens->count));
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        int64_t id = -1;
        MTS_TRY(gguf_find_int(ctx, r->m->file, ids[i].key, 0, (int64_t)tokens->count - 1, &id));
        MTS_TRY(json_util_set(ctx, r->json, ids[i].name, id < 0 ? json_null() : json_integer(id)));
    }
cleanup:
    return st;
}

/* ----------------------------------------------------------------------------- rotation ------- */

/* Llama 3.1 and later: the formula of layers/rope.h with these numbers; the factor is the file's.
 * convert_hf_to_gguf.py writes the tensor by it, for pairs of a head's numbers. */
static const double LOW_FACTOR = 1.0, HIGH_FACTOR = 4.0, ORIGINAL_LENGTH = 8192.0;

/* By what the frequency of a pair is divided. */
static double llama3_divisor(double base, double exponent, double factor)
{
    static const double two_pi = 6.283185307179586;
    const double turn = two_pi * pow(base, exponent); /* tokens of one */
    if (turn < ORIGINAL_LENGTH / HIGH_FACTOR)
        return 1.0;
    if (turn > ORIGINAL_LENGTH / LOW_FACTOR)
        return factor;
    const double smooth = (ORIGINAL_LENGTH / turn - LOW_FACTOR) / (HIGH_FACTOR - LOW_FACTOR);
    return 1.0 / ((1.0 - smooth) / factor + smooth);
}

static mts_status put_llama3(reading *r, double factor)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    json_t *scaling = json_object();
    MTS_CHECK(scaling != NULL, MTS_ERR_MEMORY, "out of memory: model configuration");
    MTS_TRY(json_util_set(ctx, scaling, "rope_type", json_string("llama3")));
    MTS_TRY(json_util_set(ctx, scaling, "factor", json_real(factor)));
    MTS_TRY(json_util_set(ctx, scaling, "low_freq_factor", json_real(LOW_FACTOR)));
    MTS_TRY(json_util_set(ctx, scaling, "high_freq_factor", json_real(HIGH_FACTOR)));
    MTS_TRY(json_util_set(ctx, scaling, "original_max_position_embeddings",
                          json_integer((json_int_t)ORIGINAL_LENGTH)));
    MTS_TRY(json_util_set(ctx, r->json, "rope_scaling", json_incref(scaling)));
cleanup:
    json_decref(scaling);
    return st;
}

/* The file has a divisor for the frequency of each pair.  Its numbers do not say the formula, so it
 * is computed again, and they must agree. */
static mts_status take_frequencies(reading *r, const gguf_tensor *t, double base, int64_t head_dim)
{
    static const double tolerance = 1e-4; /* the file's were computed in float32 */
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    float found[HEAD_DIM_MAX / 2];
    double factor = 1.0;
    const int64_t pairs = head_dim / 2;
    MTS_CHECK(t->ndim == 1 && t->cols == pairs && pairs > 0, MTS_ERR_BAD_FILE,
              "%s: tensor %s: expected %" PRId64
              " numbers, half the width of a head, found %" PRId64 " in %d dimensions",
              r->m->path, t->name, pairs, t->cols, t->ndim);
    MTS_TRY(gguf_read_rows(ctx, t, 0, 1, found));
    factor = (double)found[pairs - 1];
    for (int64_t i = 0; i < pairs; i++) {
        const double expected = llama3_divisor(base, 2.0 * (double)i / (double)head_dim, factor);
        MTS_CHECK(
            factor >= 1.0 && fabs((double)found[i] - expected) <= tolerance * expected,
            MTS_ERR_UNSUPPORTED,
            "%s: tensor %s: only the frequencies of Llama 3.1 are supported, whose number %" PRId64
            " is %.6g, found %.6g",
            r->m->path, t->name, i, expected, (double)found[i]);
    }
    MTS_TRY(put_llama3(r, factor));
cleanup:
    return st;
}

static mts_status put_linear(reading *r, double factor)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    json_t *scaling = json_object();
    MTS_CHECK(scaling != NULL, MTS_ERR_MEMORY, "out of memory: model configuration");
    MTS_TRY(json_util_set(ctx, scaling, "rope_type", json_string("linear")));
    MTS_TRY(json_util_set(ctx, scaling, "factor", json_real(factor)));
    MTS_TRY(json_util_set(ctx, r->json, "rope_scaling", json_incref(scaling)));
cleanup:
    json_decref(scaling);
    return st;
}

static mts_status take_rope(reading *r, int64_t head_dim)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const gguf *file = r->m->file;
    const gguf_tensor *frequencies = gguf_find_tensor(file, GGUF_MODEL_FREQUENCIES);
    const char *type = "none";
    char quoted[UTF8_QUOTE_BYTES];
    double base = 1e4, factor = 1.0;
    bool linear = false;
    MTS_TRY(gguf_find_real(ctx, file, key_of(r, "rope.freq_base"), 1, 1e12, &base));
    MTS_TRY(json_util_set(ctx, r->json, "rope_theta", json_real(base)));
    /* before there were types */
    MTS_TRY(gguf_find_real(ctx, file, key_of(r, "rope.scale_linear"), 1, 1e6, &factor));
    if (factor > 1.0)
        type = "linear";
    MTS_TRY(gguf_find_real(ctx, file, key_of(r, "rope.scaling.factor"), 0, 1e6, &factor));
    MTS_TRY(gguf_find_text(ctx, file, key_of(r, "rope.scaling.type"), &type));
    MTS_CHECK(strcmp(type, "none") == 0 || strcmp(type, "linear") == 0, MTS_ERR_UNSUPPORTED,
              "%s: key %s: expected none or linear, found \"%s\"", r->m->path, r->key,
              utf8_quote(quoted, sizeof quoted, type));
    linear = strcmp(type, "linear") == 0;
    MTS_CHECK(!linear || factor >= 1.0, MTS_ERR_BAD_FILE,
              "%s: rope.scaling.factor: expected at least 1, found %g", r->m->path, factor);
    MTS_CHECK(!linear || frequencies == NULL, MTS_ERR_UNSUPPORTED,
              "%s: linear scaling and %s: only one of them is supported", r->m->path,
              GGUF_MODEL_FREQUENCIES);
    if (frequencies != NULL)
        MTS_TRY(take_frequencies(r, frequencies, base, head_dim));
    else if (linear && factor > 1.0)
        MTS_TRY(put_linear(r, factor));
cleanup:
    return st;
}

/* ----------------------------------------------------------------------------- the rest ------- */

/* What files of these architectures may say and this code does not do. */
static mts_status check_rest(reading *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    int64_t experts = 0, window = 0, positions = 1;
    MTS_TRY(gguf_find_int(ctx, r->m->file, key_of(r, "expert_count"), 0, INT64_MAX, &experts));
    MTS_CHECK(experts == 0, MTS_ERR_UNSUPPORTED,
              "%s: key %s: mixtures of experts are not supported, found %" PRId64, r->m->path,
              r->key, experts);
    MTS_TRY(
        gguf_find_int(ctx, r->m->file, key_of(r, "context_length"), 1, POSITIONS_MAX, &positions));
    MTS_TRY(gguf_find_int(ctx, r->m->file, key_of(r, "attention.sliding_window"), 0, INT64_MAX,
                          &window));
    MTS_CHECK(window == 0 || window >= positions, MTS_ERR_UNSUPPORTED,
              "%s: key %s: windows of attention are not supported, found %" PRId64 " of %" PRId64
              " positions",
              r->m->path, r->key, window, positions);
cleanup:
    return st;
}

static mts_status put_architecture(reading *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const gguf *file = r->m->file;
    const bool llama = r->m->family->reordered;
    char name[32];
    double eps = 0.0;
    snprintf(name, sizeof name, "%sForCausalLM", r->m->family->class_name);
    MTS_TRY(json_util_set(ctx, r->json, "model_type", json_string(r->m->family->name)));
    MTS_TRY(json_util_set(ctx, r->json, "architectures", json_pack("[s]", name)));
    MTS_TRY(json_util_set(ctx, r->json, "hidden_act", json_string("silu")));
    MTS_TRY(gguf_require_key(ctx, file, key_of(r, "attention.layer_norm_rms_epsilon")));
    MTS_TRY(gguf_find_real(ctx, file, r->key, 1e-30, 0.1, &eps));
    MTS_TRY(json_util_set(ctx, r->json, "rms_norm_eps", json_real(eps)));
    MTS_TRY(json_util_set(ctx, r->json, "tie_word_embeddings",
                          json_boolean(gguf_find_tensor(file, "output.weight") == NULL)));
    if (llama) {
        const bool bias = gguf_find_tensor(file, "blk.0.attn_q.bias") != NULL;
        const bool mlp = gguf_find_tensor(file, "blk.0.ffn_up.bias") != NULL;
        MTS_TRY(json_util_set(ctx, r->json, "attention_bias", json_boolean(bias)));
        MTS_TRY(json_util_set(ctx, r->json, "mlp_bias", json_boolean(mlp)));
    }
cleanup:
    return st;
}

mts_status gguf_model_config(mts_ctx *ctx, const gguf_model *m, json_t **out)
{
    mts_status st = MTS_OK;
    reading r = {.ctx = ctx, .m = m, .json = json_object()};
    int64_t head_dim = 1;
    *out = NULL;
    MTS_CHECK(r.json != NULL, MTS_ERR_MEMORY, "out of memory: model configuration");
    MTS_TRY(put_architecture(&r));
    MTS_TRY(take_sizes(&r, &head_dim));
    MTS_TRY(take_vocabulary(&r));
    MTS_TRY(take_rope(&r, head_dim));
    MTS_TRY(check_rest(&r));
    *out = r.json;
    r.json = NULL;
cleanup:
    json_decref(r.json);
    return st;
}
