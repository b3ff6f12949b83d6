/*
 * tokenizer_config.json, special_tokens_map.json, added_tokens.json -> wordpiece_spec.
 *
 * All three are optional.  What they may say, and which of them wins, is in wordpiece_spec.h.
 * Not read: model_max_length, padding_side, chat templates and other things of no meaning here.
 */
#include "text/wordpiece_spec.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_util.h"
#include "base/utf8.h"

/* Classes that cut words as BERT does, with or without "Fast" behind. */
static const char *const bert_classes[] = {
    "BertTokenizer",      "DistilBertTokenizer", "ElectraTokenizer",       "MobileBertTokenizer",
    "ConvBertTokenizer",  "LayoutLMTokenizer",   "SqueezeBertTokenizer",   "LxmertTokenizer",
    "RetriBertTokenizer", "RealmTokenizer",      "NystromformerTokenizer",
};

/* Classes of no kind of tokenizer: what tokenizer.json says. */
static const char *const generic_classes[] = {"PreTrainedTokenizer", "TokenizersBackend"};

/* Whether name is names[i] for some i, with or without "Fast" behind. */
static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const size_t n = strlen(names[i]);
        if (strncmp(name, names[i], n) == 0 && (name[n] == '\0' || strcmp(name + n, "Fast") == 0))
            return true;
    }
    return false;
}

bool wordpiece_is_generic_class(const char *class_name)
{
    return is_one_of(class_name, generic_classes,
                     sizeof generic_classes / sizeof generic_classes[0]);
}

bool wordpiece_is_class(const char *class_name)
{
    return wordpiece_is_generic_class(class_name) ||
           is_one_of(class_name, bert_classes, sizeof bert_classes / sizeof bert_classes[0]);
}

/* The text of a special token, a string or {"content": string}; NULL if absent or null. */
static mts_status get_name(mts_ctx *ctx, const json_t *value, const char *key, const char **name)
{
    mts_status st = MTS_OK;
    *name = NULL;
    if (json_is_object(value))
        value = json_object_get(value, "content");
    else if (value == NULL || json_is_null(value))
        return MTS_OK;
    MTS_CHECK(json_is_string(value), MTS_ERR_BAD_FILE, "%s: expected a token, found %s", key,
              json_util_type_name(value));
    *name = json_string_value(value);
cleanup:
    return st;
}

/* "additional_special_tokens": [token, ...]. */
static mts_status read_more_names(mts_ctx *ctx, const json_t *root, const char *key,
                                  wordpiece_spec *spec)
{
    mts_status st = MTS_OK;
    const json_t *array = json_object_get(root, key);
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *name = NULL;
        added_token token = {.id = -1};
        MTS_TRY(get_name(ctx, json_array_get(array, i), key, &name));
        MTS_CHECK(name != NULL && *name != '\0', MTS_ERR_BAD_FILE, "%s: empty token", key);
        if (json_is_object(json_array_get(array, i)))
            MTS_TRY(wordpiece_spec_read_flags(ctx, json_array_get(array, i), &token));
        MTS_TRY(wordpiece_spec_add(ctx, spec, name, token));
    }
cleanup:
    return st;
}

/* "unk_token": "[UNK]" and its like. */
static mts_status read_names(mts_ctx *ctx, const json_t *root, wordpiece_spec *spec)
{
    static const char *const keys[SPECIAL_COUNT] = WORDPIECE_SPECIAL_KEYS;
    mts_status st = MTS_OK;
    for (int i = 0; i < SPECIAL_COUNT; i++) {
        const char *name = NULL;
        MTS_TRY(get_name(ctx, json_object_get(root, keys[i]), keys[i], &name));
        if (name != NULL)
            MTS_TRY(wordpiece_spec_name(ctx, spec, (special_token)i, name));
    }
    MTS_TRY(read_more_names(ctx, root, "additional_special_tokens", spec));
    MTS_TRY(read_more_names(ctx, root, "extra_special_tokens", spec));
cleanup:
    return st;
}

/* do_lower_case, strip_accents, tokenize_chinese_chars: where given they win. */
static mts_status read_rules(mts_ctx *ctx, const json_t *root, bert_normalizer *rules)
{
    mts_status st = MTS_OK;
    bool strip = false;
    const json_t *given = json_object_get(root, "strip_accents");
    MTS_TRY(json_util_bool(ctx, NULL, root, "do_lower_case", &rules->lower_case));
    MTS_TRY(
        json_util_bool(ctx, NULL, root, "tokenize_chinese_chars", &rules->handle_chinese_chars));
    MTS_TRY(json_util_bool(ctx, NULL, root, "strip_accents", &strip));
    if (json_is_null(given))
        rules->strip_accents = BERT_STRIP_AS_LOWER;
    else if (given != NULL)
        rules->strip_accents = strip ? BERT_STRIP_YES : BERT_STRIP_NO;
cleanup:
    return st;
}

/* "added_tokens_decoder": {"30522": {"content": ..., "normalized": ...}, ...}. */
static mts_status read_decoder(mts_ctx *ctx, json_t *decoder, wordpiece_spec *spec)
{
    mts_status st = MTS_OK;
    const char *key = NULL;
    json_t *item = NULL;
    char quoted[UTF8_QUOTE_BYTES];

    MTS_CHECK(decoder == NULL || json_is_object(decoder), MTS_ERR_BAD_FILE,
              "expected an object, found %s", json_util_type_name(decoder));
    json_object_foreach(decoder, key, item)
    {
        const char *name = NULL;
        char *end = NULL;
        added_token token = {0};
        long long id = strtoll(key, &end, 10);
        MTS_CHECK(*key != '\0' && *end == '\0' && id >= 0 && id < VOCAB_MAX_TOKENS,
                  MTS_ERR_BAD_FILE, "\"%s\" is not a token id",
                  utf8_quote(quoted, sizeof quoted, key));
        MTS_TRY(get_name(ctx, item, key, &name));
        MTS_CHECK(name != NULL, MTS_ERR_BAD_FILE, "%lld: content is missing", id);
        MTS_TRY(wordpiece_spec_read_flags(ctx, item, &token));
        token.id = (int32_t)id;
        MTS_TRY(wordpiece_spec_add(ctx, spec, name, token));
    }
cleanup:
    if (st != MTS_OK)
        status_prefix(ctx, "added_tokens_decoder");
    return st;
}

mts_status wordpiece_config_read(mts_ctx *ctx, const json_t *root, bool with_vocab_txt,
                                 wordpiece_spec *spec)
{
    mts_status st = MTS_OK;
    if (!spec->as_json_says)
        MTS_TRY(read_rules(ctx, root, &spec->normalizer));
    MTS_TRY(read_names(ctx, root, spec));
    if (with_vocab_txt)
        MTS_TRY(read_decoder(ctx, json_object_get(root, "added_tokens_decoder"), spec));
cleanup:
    return st;
}

mts_status special_tokens_map_read(mts_ctx *ctx, json_t *root, wordpiece_spec *spec)
{
    return read_names(ctx, root, spec);
}

/* One {"token": id} of added_tokens.json: looked for in the normalised text unless special. */
static mts_status read_added_token(mts_ctx *ctx, const char *content, const json_t *id,
                                   wordpiece_spec *spec)
{
    mts_status st = MTS_OK;
    char quoted[UTF8_QUOTE_BYTES];
    added_token token = {.normalized = true};
    MTS_CHECK(json_is_integer(id) && json_integer_value(id) >= 0 &&
                  json_integer_value(id) < VOCAB_MAX_TOKENS,
              MTS_ERR_BAD_FILE, "\"%s\": expected a token id from 0 to %d",
              utf8_quote(quoted, sizeof quoted, content), (int)VOCAB_MAX_TOKENS - 1);
    token.id = (int32_t)json_integer_value(id);
    for (int64_t i = 0; i < spec->added_count; i++)
        if (spec->added[i].id == token.id) /* the newer added_tokens_decoder knows it better */
            return MTS_OK;
    for (int i = 0; i < SPECIAL_COUNT; i++)
        if (spec->special[i] != NULL && strcmp(spec->special[i], content) == 0)
            token.normalized = false;
    MTS_TRY(wordpiece_spec_add(ctx, spec, content, token));
cleanup:
    return st;
}

mts_status added_tokens_read(mts_ctx *ctx, json_t *root, wordpiece_spec *spec)
{
    mts_status st = MTS_OK;
    json_t *id = NULL;
    const char *content = NULL;
    json_object_foreach(root, content, id) MTS_TRY(read_added_token(ctx, content, id, spec));
cleanup:
    return st;
}
