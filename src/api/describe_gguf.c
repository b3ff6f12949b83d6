/*
 * mantissa info of a GGUF file.  See describe_gguf.h.
 *
 * The names of keys are those of llama.cpp (gguf-py/gguf/constants.py); the sizes have the
 * architecture in front: llama.block_count.
 */
#include "api/describe_gguf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/text_end.h"
#include "io/gguf.h"

enum {
    ARCHITECTURE_BYTES_MAX = 64,
    KEY_BYTES = ARCHITECTURE_BYTES_MAX + 64,
    TYPES_MAX = 64, /* more than there are */
};

bool describe_gguf_is_file(const char *path)
{
    return file_exists(path) || (text_has_ending(path, ".gguf") && !dir_exists(path));
}

static mts_status put_int(mts_ctx *ctx, json_t *out, const char *key, int64_t value)
{
    return json_util_set(ctx, out, key, json_integer((json_int_t)value));
}

/* Copy the text of a key, if it is there. */
static mts_status put_text(mts_ctx *ctx, const gguf *file, const char *key, json_t *out,
                           const char *name)
{
    mts_status st = MTS_OK;
    const char *text = NULL;
    MTS_TRY(gguf_find_text(ctx, file, key, &text));
    if (text != NULL)
        MTS_TRY(json_util_set(ctx, out, name, json_string(text)));
cleanup:
    return st;
}

/* Copy a size: an integer, or an array with one of each layer, which becomes "2 to 16" if they
 * differ. */
static mts_status put_size(mts_ctx *ctx, const gguf *file, const char *key, json_t *out,
                           const char *name)
{
    mts_status st = MTS_OK;
    const gguf_key *found = gguf_find_key(file, key), *array = NULL;
    int64_t least = 0, most = 0;
    char range[48];
    if (found == NULL)
        return MTS_OK;
    if (found->kind != GGUF_KIND_ARRAY) {
        MTS_TRY(gguf_find_int(ctx, file, key, 0, INT64_MAX, &most));
        return put_int(ctx, out, name, most);
    }
    MTS_TRY(gguf_find_ints(ctx, file, key, 0, INT64_MAX, &array));
    for (uint64_t i = 0; i < array->count; i++) {
        const int64_t value = gguf_int_at(array, i);
        least = i == 0 || value < least ? value : least;
        most = value > most ? value : most;
    }
    if (least == most)
        return put_int(ctx, out, name, most);
    snprintf(range, sizeof range, "%" PRId64 " to %" PRId64, least, most);
    MTS_TRY(json_util_set(ctx, out, name, json_string(range)));
cleanup:
    return st;
}

static mts_status describe_sizes(mts_ctx *ctx, const gguf *file, const char *architecture,
                                 json_t *out)
{
    static const struct {
        const char *key, *name;
    } sizes[] = {
        {"block_count", "layers"},
        {"embedding_length", "hidden_size"},
        {"attention.head_count", "heads"},
        {"attention.head_count_kv", "key_value_heads"},
        {"feed_forward_length", "intermediate_size"},
        {"context_length", "positions"},
        {"vocab_size", "vocab_size"},
    };
    mts_status st = MTS_OK;
    char key[KEY_BYTES];
    const gguf_key *tokens = NULL;
    double base = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        snprintf(key, sizeof key, "%s.%s", architecture, sizes[i].key);
        MTS_TRY(put_size(ctx, file, key, out, sizes[i].name));
    }
    MTS_TRY(gguf_find_texts(ctx, file, "tokenizer.ggml.tokens", &tokens));
    if (tokens != NULL && json_object_get(out, "vocab_size") == NULL)
        MTS_TRY(put_int(ctx, out, "vocab_size", (int64_t)tokens->count));
    snprintf(key, sizeof key, "%s.rope.freq_base", architecture);
    MTS_TRY(gguf_find_real(ctx, file, key, 0, 1e30, &base));
    if (base > 0)
        MTS_TRY(json_util_set(ctx, out, "rope_base", json_real(base)));
cleanup:
    return st;
}

static mts_status describe_tokenizer(mts_ctx *ctx, const gguf *file, json_t *out)
{
    static const struct {
        const char *model, *kind;
    } models[] = {
        {"gpt2", "byte-level BPE"},
        {"llama", "SentencePiece BPE"},
        {"bert", "WordPiece"},
        {"t5", "SentencePiece unigram"},
    };
    mts_status st = MTS_OK;
    const char *model = "";
    bool begins = false;
    MTS_TRY(put_text(ctx, file, "tokenizer.ggml.model", out, "tokenizer"));
    MTS_TRY(gguf_find_text(ctx, file, "tokenizer.ggml.model", &model));
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++)
        if (strcmp(model, models[i].model) == 0)
            MTS_TRY(json_util_set(ctx, out, "tokenizer_kind", json_string(models[i].kind)));
    MTS_TRY(put_text(ctx, file, "tokenizer.ggml.pre", out, "tokenizer_splits_as"));
    if (gguf_find_key(file, "tokenizer.ggml.add_bos_token") != NULL) {
        MTS_TRY(gguf_find_bool(ctx, file, "tokenizer.ggml.add_bos_token", &begins));
        MTS_TRY(json_util_set(ctx, out, "tokenizer_adds_bos", json_boolean(begins)));
    }
cleanup:
    return st;
}

/* Of one element type: how many tensors, their bytes, and whether they can be decoded. */
static mts_status describe_type(mts_ctx *ctx, const gguf *file, const gguf_type *type, json_t *out)
{
    mts_status st = MTS_OK;
    json_t *entry = json_object();
    int64_t count = 0;
    uint64_t bytes = 0;
    MTS_CHECK(entry != NULL, MTS_ERR_MEMORY, "out of memory: description");
    for (size_t i = 0; i < gguf_tensor_count(file); i++) {
        const gguf_tensor *t = gguf_tensor_at(file, i);
        count += t->type == type;
        bytes += t->type == type ? t->bytes : 0;
    }
    if (count == 0)
        goto cleanup;
    MTS_TRY(put_int(ctx, entry, "tensors", count));
    MTS_TRY(put_int(ctx, entry, "bytes", (int64_t)bytes));
    MTS_TRY(json_util_set(ctx, entry, "can_be_read", json_boolean(type->decode != NULL)));
    MTS_TRY(json_util_set(ctx, out, type->name, json_incref(entry)));
cleanup:
    json_decref(entry);
    return st;
}

static mts_status describe_tensors(mts_ctx *ctx, const gguf *file, json_t *out)
{
    mts_status st = MTS_OK;
    json_t *types = json_object();
    uint64_t bytes = 0;
    int64_t parameters = 0;
    MTS_CHECK(types != NULL, MTS_ERR_MEMORY, "out of memory: description");
    for (size_t i = 0; i < gguf_tensor_count(file); i++) {
        const gguf_tensor *t = gguf_tensor_at(file, i);
        bytes += t->bytes;
        parameters += t->rows * t->cols;
    }
    for (uint32_t number = 0; number < TYPES_MAX; number++) {
        const gguf_type *type = gguf_type_find(number);
        if (type != NULL)
            MTS_TRY(describe_type(ctx, file, type, types));
    }
    MTS_TRY(put_int(ctx, out, "parameters", parameters));
    MTS_TRY(put_int(ctx, out, "tensors", (int64_t)gguf_tensor_count(file)));
    MTS_TRY(put_int(ctx, out, "bytes_on_disk", (int64_t)bytes));
    MTS_TRY(json_util_set(ctx, out, "element_types", json_incref(types)));
cleanup:
    json_decref(types);
    return st;
}

mts_status describe_gguf(mts_ctx *ctx, const char *path, json_t *out)
{
    mts_status st = MTS_OK;
    gguf *file = NULL;
    const char *architecture = "";
    char version[32];
    int64_t parts = 1;
    MTS_TRY(gguf_open(ctx, path, &file));
    MTS_TRY(gguf_require_key(ctx, file, "general.architecture"));
    MTS_TRY(gguf_find_text(ctx, file, "general.architecture", &architecture));
    MTS_CHECK(strlen(architecture) <= ARCHITECTURE_BYTES_MAX, MTS_ERR_BAD_FILE,
              "%s: key general.architecture: expected at most %d bytes, found %zu", path,
              ARCHITECTURE_BYTES_MAX, strlen(architecture));
    snprintf(version, sizeof version, "GGUF version %d", gguf_version(file));
    MTS_TRY(json_util_set(ctx, out, "format", json_string(version)));
    MTS_TRY(json_util_set(ctx, out, "architecture", json_string(architecture)));
    MTS_TRY(put_text(ctx, file, "general.type", out, "type"));
    MTS_TRY(put_text(ctx, file, "general.name", out, "name"));
    MTS_TRY(gguf_find_int(ctx, file, "split.count", 0, INT64_MAX, &parts));
    if (parts > 1)
        MTS_TRY(put_int(ctx, out, "files_of_the_model", parts));
    MTS_TRY(describe_sizes(ctx, file, architecture, out));
    MTS_TRY(describe_tokenizer(ctx, file, out));
    MTS_TRY(describe_tensors(ctx, file, out));
cleanup:
    gguf_close(file);
    return st;
}
