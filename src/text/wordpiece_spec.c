/* What the tokenizer files of a model folder say.  See wordpiece_spec.h. */
#include "text/wordpiece_spec.h"

#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "base/utf8.h"

void wordpiece_spec_deinit(wordpiece_spec *spec)
{
    vocab_deinit(&spec->vocabulary);
    for (int64_t i = 0; i < spec->added_count; i++)
        mem_free(spec->added[i].content);
    mem_free(spec->added);
    for (int i = 0; i < SPECIAL_COUNT; i++)
        mem_free(spec->special[i]);
    mem_free(spec->prefix);
    *spec = (wordpiece_spec){0};
}

mts_status wordpiece_spec_name(mts_ctx *ctx, wordpiece_spec *spec, special_token which,
                               const char *name)
{
    return spec->special[which] != NULL ? MTS_OK : mem_strdup(ctx, &spec->special[which], name);
}

mts_status wordpiece_spec_read_flags(mts_ctx *ctx, const json_t *object, added_token *token)
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

mts_status wordpiece_spec_add(mts_ctx *ctx, wordpiece_spec *spec, const char *content,
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
    MTS_CHECK(spec->added_count < WORDPIECE_MAX_ADDED, MTS_ERR_UNSUPPORTED,
              "more than %d added tokens", (int)WORDPIECE_MAX_ADDED);
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
static mts_status set_defaults(mts_ctx *ctx, wordpiece_spec *spec)
{
    static const char *const names[SPECIAL_COUNT] = {"[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"};
    mts_status st = MTS_OK;
    for (int i = 0; i < SPECIAL_COUNT; i++)
        MTS_TRY(wordpiece_spec_name(ctx, spec, (special_token)i, names[i]));
    if (spec->prefix == NULL)
        MTS_TRY(mem_strdup(ctx, &spec->prefix, "##"));
cleanup:
    return st;
}

/* Put the folder's path and the name of a file before the text of an error. */
static mts_status in_file(mts_ctx *ctx, const tokenizer_folder *folder, const char *name,
                          mts_status st)
{
    if (st != MTS_OK)
        status_prefix(ctx, "%s/%s", folder->dir, name);
    return st;
}

/* Read folder/name with a reader if it exists. */
static mts_status read_optional(mts_ctx *ctx, const tokenizer_folder *folder, const char *name,
                                mts_status (*reader)(mts_ctx *, json_t *, wordpiece_spec *),
                                wordpiece_spec *spec)
{
    mts_status st = MTS_OK;
    json_t *root = NULL;
    MTS_TRY(tokenizer_folder_load(ctx, folder->dir, name, &root));
    if (root != NULL)
        MTS_TRY(in_file(ctx, folder, name, reader(ctx, root, spec)));
cleanup:
    json_decref(root);
    return st;
}

static mts_status check_class(mts_ctx *ctx, const tokenizer_folder *folder)
{
    mts_status st = MTS_OK;
    char quoted[UTF8_QUOTE_BYTES];
    const char *name = folder->class_name;
    MTS_CHECK(name == NULL || wordpiece_is_class(name), MTS_ERR_UNSUPPORTED,
              "%s/%s: tokenizer_class: %s does not cut words as BertTokenizer does", folder->dir,
              folder->class_file, utf8_quote(quoted, sizeof quoted, name));
cleanup:
    return st;
}

mts_status wordpiece_spec_read(mts_ctx *ctx, const tokenizer_folder *folder, wordpiece_spec *spec)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    const bool has_json = folder->json != NULL;

    spec->max_input_chars = 100;
    spec->normalizer = (bert_normalizer){true, true, true, BERT_STRIP_AS_LOWER};
    MTS_TRY(check_class(ctx, folder));
    spec->as_json_says =
        has_json && folder->class_name != NULL && wordpiece_is_generic_class(folder->class_name);
    MTS_TRY(path_join(ctx, &path, folder->dir, "vocab.txt"));
    if (has_json)
        MTS_TRY(
            in_file(ctx, folder, "tokenizer.json", wordpiece_json_read(ctx, folder->json, spec)));
    else
        MTS_TRY(vocab_txt_read(ctx, path, spec));
    if (folder->config != NULL)
        MTS_TRY(in_file(ctx, folder, "tokenizer_config.json",
                        wordpiece_config_read(ctx, folder->config, !has_json, spec)));
    MTS_TRY(read_optional(ctx, folder, "special_tokens_map.json", special_tokens_map_read, spec));
    if (!has_json)
        MTS_TRY(read_optional(ctx, folder, "added_tokens.json", added_tokens_read, spec));
    MTS_TRY(set_defaults(ctx, spec));
cleanup:
    mem_free(path);
    return st;
}
