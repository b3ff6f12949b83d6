/* What the tokenizer files of a model folder say.  See tokenizer_spec.h. */
#include "text/tokenizer_spec.h"

#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"

void tokenizer_spec_deinit(tokenizer_spec *spec)
{
    vocab_deinit(&spec->vocabulary);
    for (int64_t i = 0; i < spec->added_count; i++)
        mem_free(spec->added[i].content);
    mem_free(spec->added);
    for (int i = 0; i < SPECIAL_COUNT; i++)
        mem_free(spec->special[i]);
    mem_free(spec->prefix);
    *spec = (tokenizer_spec){0};
}

mts_status tokenizer_spec_load(mts_ctx *ctx, const char *path, json_t **out)
{
    mts_status st = MTS_OK;
    char *text = NULL;
    size_t bytes = 0;
    *out = NULL;
    MTS_TRY(file_read_all(ctx, path, TOKENIZER_FILE_BYTES_MAX, &text, &bytes));
    MTS_TRY(json_util_parse_wide(ctx, path, text, bytes, out));
cleanup:
    mem_free(text);
    return st;
}

mts_status tokenizer_spec_name(mts_ctx *ctx, tokenizer_spec *spec, special_token which,
                               const char *name)
{
    return spec->special[which] != NULL ? MTS_OK : mem_strdup(ctx, &spec->special[which], name);
}

mts_status tokenizer_spec_read_flags(mts_ctx *ctx, const json_t *object, added_token *token)
{
    mts_status st = MTS_OK;
    bool single_word = false;
    MTS_TRY(json_util_bool(ctx, NULL, object, "lstrip", &token->lstrip));
    MTS_TRY(json_util_bool(ctx, NULL, object, "rstrip", &token->rstrip));
    MTS_TRY(json_util_bool(ctx, NULL, object, "normalized", &token->normalized));
    MTS_TRY(json_util_bool(ctx, NULL, object, "single_word", &single_word));
    MTS_CHECK(!single_word, MTS_ERR_UNSUPPORTED, "added tokens with single_word are not supported");
cleanup:
    return st;
}

mts_status tokenizer_spec_add(mts_ctx *ctx, tokenizer_spec *spec, const char *content,
                              added_token properties)
{
    mts_status st = MTS_OK;
    vocab *v = &spec->vocabulary;
    int32_t id = properties.id;
    bool known = id == -1 || (id < v->count && v->entries[id].present &&
                              strcmp(v->bytes + v->entries[id].offset, content) == 0);

    if (!known)
        MTS_TRY(vocab_put(ctx, v, id, content, strlen(content), false));
    for (int64_t i = 0; i < spec->added_count; i++) {
        if (id >= 0 && spec->added[i].id == id) {
            properties.content = spec->added[i].content;
            spec->added[i] = properties;
            return MTS_OK;
        }
    }
    MTS_CHECK(spec->added_count < TOKENIZER_MAX_ADDED, MTS_ERR_UNSUPPORTED,
              "more than %d added tokens", (int)TOKENIZER_MAX_ADDED);
    if (spec->added_count == spec->added_room) {
        int64_t room = 2 * spec->added_room + 16;
        MTS_TRY(mem_grow(ctx, &spec->added, (size_t)spec->added_count, (size_t)room,
                         sizeof(added_token), "added tokens"));
        spec->added_room = room;
    }
    MTS_TRY(mem_strdup(ctx, &properties.content, content));
    spec->added[spec->added_count++] = properties;
cleanup:
    return st;
}

/* What is true of a BERT tokenizer whose files do not say otherwise. */
static mts_status set_defaults(mts_ctx *ctx, tokenizer_spec *spec)
{
    static const char *const names[SPECIAL_COUNT] = {"[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"};
    mts_status st = MTS_OK;
    for (int i = 0; i < SPECIAL_COUNT; i++)
        MTS_TRY(tokenizer_spec_name(ctx, spec, (special_token)i, names[i]));
    if (spec->prefix == NULL)
        MTS_TRY(mem_strdup(ctx, &spec->prefix, "##"));
cleanup:
    return st;
}

/* Read dir/name with a reader if it exists. */
static mts_status read_optional(mts_ctx *ctx, const char *dir, const char *name,
                                mts_status (*reader)(mts_ctx *, const char *, tokenizer_spec *),
                                tokenizer_spec *spec)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    MTS_TRY(path_join(ctx, &path, dir, name));
    if (file_exists(path))
        MTS_TRY(reader(ctx, path, spec));
cleanup:
    mem_free(path);
    return st;
}

mts_status tokenizer_spec_read(mts_ctx *ctx, const char *model_dir, tokenizer_spec *spec)
{
    mts_status st = MTS_OK;
    char *json_path = NULL, *txt_path = NULL, *config_path = NULL;
    bool has_json = false;

    spec->max_input_chars = 100;
    spec->normalizer = (bert_normalizer){true, true, true, BERT_STRIP_AS_LOWER};
    MTS_TRY(path_join(ctx, &json_path, model_dir, "tokenizer.json"));
    MTS_TRY(path_join(ctx, &txt_path, model_dir, "vocab.txt"));
    MTS_TRY(path_join(ctx, &config_path, model_dir, "tokenizer_config.json"));
    has_json = file_exists(json_path);
    MTS_CHECK(
        has_json || file_exists(txt_path), MTS_ERR_NOT_FOUND,
        "%s: no tokenizer: neither vocab.txt nor tokenizer.json is there, or not a regular file",
        model_dir);
    if (has_json)
        MTS_TRY(tokenizer_json_read(ctx, json_path, spec));
    else
        MTS_TRY(vocab_txt_read(ctx, txt_path, spec));
    if (file_exists(config_path))
        MTS_TRY(tokenizer_config_read(ctx, config_path, !has_json, spec));
    MTS_TRY(
        read_optional(ctx, model_dir, "special_tokens_map.json", special_tokens_map_read, spec));
    if (!has_json)
        MTS_TRY(read_optional(ctx, model_dir, "added_tokens.json", added_tokens_read, spec));
    MTS_TRY(set_defaults(ctx, spec));
cleanup:
    mem_free(json_path);
    mem_free(txt_path);
    mem_free(config_path);
    return st;
}
