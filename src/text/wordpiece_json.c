/*
 * tokenizer.json -> wordpiece_spec: the file of Hugging Face's `tokenizers` library.
 *
 * Accepted: model WordPiece, normalizer BertNormalizer, pre_tokenizer BertPreTokenizer,
 * post_processor BertProcessing or a TemplateProcessing of the form [CLS] A [SEP] B [SEP] (types 0
 * and 1; the two tokens may have other names) or none.  Anything else is MTS_ERR_UNSUPPORTED.
 * Not read: decoder, truncation, padding.
 */
#include "text/wordpiece_spec.h"

#include <string.h>

#include "base/json_util.h"
#include "base/memory.h"
#include "base/utf8.h"

enum { MAX_WORD_CHARS = 1024 }; /* greatest max_input_chars_per_word */

/* The "type" of a part must be `expected`. */
static mts_status check_type(mts_ctx *ctx, const json_t *part, const char *what,
                             const char *expected)
{
    mts_status st = MTS_OK;
    const char *type = "absent";
    char quoted[UTF8_QUOTE_BYTES];
    if (part != NULL)
        MTS_TRY(json_util_string(ctx, NULL, part, "type", &type));
    MTS_CHECK(strcmp(type, expected) == 0, MTS_ERR_UNSUPPORTED,
              "%s: type %s is not supported, only %s", what,
              utf8_quote(quoted, sizeof quoted, type), expected);
cleanup:
    return st;
}

static mts_status read_model(mts_ctx *ctx, const json_t *root, wordpiece_spec *spec)
{
    mts_status st = MTS_OK;
    const json_t *model = NULL, *tokens = NULL;
    const char *unk = "[UNK]", *prefix = "##", *token = NULL;
    json_t *id = NULL, *iterated = NULL;

    MTS_TRY(tokenizer_folder_object(ctx, root, "model", &model));
    MTS_TRY(json_util_string(ctx, NULL, model, "unk_token", &unk));
    MTS_TRY(wordpiece_spec_name(ctx, spec, SPECIAL_UNK, unk));
    MTS_TRY(json_util_string(ctx, NULL, model, "continuing_subword_prefix", &prefix));
    MTS_TRY(mem_strdup(ctx, &spec->prefix, prefix));
    MTS_TRY(json_util_int(ctx, NULL, model, "max_input_chars_per_word", 1, MAX_WORD_CHARS,
                          &spec->max_input_chars));
    MTS_TRY(tokenizer_folder_object(ctx, model, "vocab", &tokens));
    MTS_CHECK(json_object_size(tokens) > 0, MTS_ERR_BAD_FILE, "model: vocab: empty");
    iterated = json_object_get(model, "vocab");
    json_object_foreach(iterated, token, id)
    {
        char quoted[UTF8_QUOTE_BYTES];
        MTS_CHECK(json_is_integer(id), MTS_ERR_BAD_FILE,
                  "model: vocab: \"%s\": expected an integer id, found %s",
                  utf8_quote(quoted, sizeof quoted, token), json_util_type_name(id));
        MTS_TRY(vocab_put(ctx, &spec->vocabulary, (int64_t)json_integer_value(id), token,
                          strlen(token), true));
    }
cleanup:
    return st;
}

static mts_status read_normalizer(mts_ctx *ctx, const json_t *root, wordpiece_spec *spec)
{
    mts_status st = MTS_OK;
    bert_normalizer *rules = &spec->normalizer;
    const json_t *object = NULL;
    bool strip = false;

    MTS_TRY(tokenizer_folder_object(ctx, root, "normalizer", &object));
    MTS_TRY(check_type(ctx, object, "normalizer", "BertNormalizer"));
    MTS_TRY(json_util_bool(ctx, NULL, object, "clean_text", &rules->clean_text));
    MTS_TRY(
        json_util_bool(ctx, NULL, object, "handle_chinese_chars", &rules->handle_chinese_chars));
    MTS_TRY(json_util_bool(ctx, NULL, object, "lowercase", &rules->lower_case));
    MTS_TRY(json_util_bool(ctx, NULL, object, "strip_accents", &strip));
    if (json_is_boolean(json_object_get(object, "strip_accents")))
        rules->strip_accents = strip ? BERT_STRIP_YES : BERT_STRIP_NO;
cleanup:
    return st;
}

/* One piece of a template must be {kind: {"id": ..., "type_id": type}}; *id: its id. */
static mts_status read_piece(mts_ctx *ctx, const json_t *pieces, size_t index, const char *kind,
                             int64_t type, const char **id)
{
    mts_status st = MTS_OK;
    const json_t *piece = json_object_get(json_array_get(pieces, index), kind);
    int64_t found = -1;
    *id = NULL;
    MTS_TRY(json_util_string(ctx, NULL, piece, "id", id));
    MTS_TRY(json_util_int(ctx, NULL, piece, "type_id", 0, INT32_MAX, &found));
    MTS_CHECK(*id != NULL && found == type, MTS_ERR_UNSUPPORTED,
              "piece %zu: expected %s of type %lld, as in [CLS] A [SEP] B [SEP]", index, kind,
              (long long)type);
cleanup:
    return st;
}

/* A template of `count` pieces: 3 for one text, 5 for a pair. */
static mts_status read_template(mts_ctx *ctx, const json_t *processor, const char *key,
                                size_t count, wordpiece_spec *spec)
{
    static const char *const kinds[5] = {"SpecialToken", "Sequence", "SpecialToken", "Sequence",
                                         "SpecialToken"};
    static const char *const texts[5] = {NULL, "A", NULL, "B", NULL};
    mts_status st = MTS_OK;
    const json_t *pieces = json_object_get(processor, key);
    MTS_CHECK(json_array_size(pieces) == count, MTS_ERR_UNSUPPORTED,
              "%s: %zu pieces, expected %zu as in [CLS] A [SEP] B [SEP]", key,
              json_array_size(pieces), count);
    for (size_t i = 0; i < count; i++) {
        const char *id = NULL;
        MTS_TRY(read_piece(ctx, pieces, i, kinds[i], i < 3 ? 0 : 1, &id));
        if (texts[i] == NULL)
            MTS_TRY(wordpiece_spec_name(ctx, spec, i == 0 ? SPECIAL_CLS : SPECIAL_SEP, id));
        const char *expected =
            texts[i] != NULL ? texts[i] : spec->special[i == 0 ? SPECIAL_CLS : SPECIAL_SEP];
        MTS_CHECK(strcmp(id, expected) == 0, MTS_ERR_UNSUPPORTED,
                  "%s: piece %zu is not the one of [CLS] A [SEP] B [SEP]", key, i);
    }
cleanup:
    return st;
}

/* BertProcessing: {"sep": ["[SEP]", 102], "cls": ["[CLS]", 101]}. */
static mts_status read_bert_processing(mts_ctx *ctx, const json_t *processor, const char *key,
                                       special_token which, wordpiece_spec *spec)
{
    mts_status st = MTS_OK;
    const json_t *name = json_array_get(json_object_get(processor, key), 0);
    MTS_CHECK(json_is_string(name), MTS_ERR_BAD_FILE, "%s: expected [token, id]", key);
    MTS_TRY(wordpiece_spec_name(ctx, spec, which, json_string_value(name)));
cleanup:
    return st;
}

static mts_status read_post_processor(mts_ctx *ctx, const json_t *root, wordpiece_spec *spec)
{
    mts_status st = MTS_OK;
    const json_t *processor = NULL;
    const char *type = "";

    MTS_TRY(tokenizer_folder_object(ctx, root, "post_processor", &processor));
    if (processor == NULL)
        return MTS_OK;
    MTS_TRY(json_util_string(ctx, NULL, processor, "type", &type));
    if (strcmp(type, "BertProcessing") == 0) {
        MTS_TRY(read_bert_processing(ctx, processor, "cls", SPECIAL_CLS, spec));
        MTS_TRY(read_bert_processing(ctx, processor, "sep", SPECIAL_SEP, spec));
    } else {
        MTS_TRY(check_type(ctx, processor, "post_processor", "TemplateProcessing"));
        MTS_TRY(read_template(ctx, processor, "single", 3, spec));
        MTS_TRY(read_template(ctx, processor, "pair", 5, spec));
    }
cleanup:
    if (st != MTS_OK)
        status_prefix(ctx, "post_processor");
    return st;
}

static mts_status read_added(mts_ctx *ctx, const json_t *root, wordpiece_spec *spec)
{
    mts_status st = MTS_OK;
    const json_t *array = json_object_get(root, "added_tokens");
    size_t i = 0;

    MTS_CHECK(array == NULL || json_is_array(array), MTS_ERR_BAD_FILE,
              "expected an array, found %s", json_util_type_name(array));
    for (; i < json_array_size(array); i++) {
        const json_t *item = json_array_get(array, i);
        const char *content = NULL;
        int64_t id = -1;
        added_token token = {0};
        MTS_CHECK(json_is_object(item), MTS_ERR_BAD_FILE, "entry %zu: expected an object", i);
        MTS_TRY(json_util_string(ctx, NULL, item, "content", &content));
        MTS_TRY(json_util_int(ctx, NULL, item, "id", 0, VOCAB_MAX_TOKENS - 1, &id));
        MTS_CHECK(content != NULL && id >= 0, MTS_ERR_BAD_FILE,
                  "entry %zu: content or id is missing", i);
        MTS_TRY(wordpiece_spec_read_flags(ctx, item, &token));
        token.id = (int32_t)id;
        MTS_TRY(wordpiece_spec_add(ctx, spec, content, token));
    }
cleanup:
    if (st != MTS_OK)
        status_prefix(ctx, "added_tokens");
    return st;
}

mts_status wordpiece_json_read(mts_ctx *ctx, const json_t *root, wordpiece_spec *spec)
{
    mts_status st = MTS_OK;
    const json_t *splitter = NULL;
    MTS_TRY(read_model(ctx, root, spec));
    MTS_TRY(read_normalizer(ctx, root, spec));
    MTS_TRY(tokenizer_folder_object(ctx, root, "pre_tokenizer", &splitter));
    MTS_TRY(check_type(ctx, splitter, "pre_tokenizer", "BertPreTokenizer"));
    MTS_TRY(read_post_processor(ctx, root, spec));
    MTS_TRY(read_added(ctx, root, spec));
cleanup:
    return st;
}
