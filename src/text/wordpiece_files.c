/*
 * The rules of a BERT tokenizer, put into its files so that every reader finds the same ones.
 *
 * Who reads what: the BERT classes of transformers build the tokenizer from the vocabulary and
 * tokenizer_config.json, and take the default of the class for a rule that is not there, whatever
 * tokenizer.json says.  PreTrainedTokenizerFast and programs that use the tokenizers library take
 * tokenizer.json as it is.  So both files must say the rules, and a tokenizer.json with rules that
 * the BERT classes cannot have needs the class that takes it as it is.
 *
 * Path: run_prepare -> tokenizer_write_rules -> wordpiece_write_rules.
 */
#include "text/wordpiece.h"

#include <string.h>

#include "base/json_util.h"
#include "base/memory.h"

static const char config_name[] = "tokenizer_config.json", json_name[] = "tokenizer.json";

/* A JSON file of the set while it is being changed. */
typedef struct edited {
    json_t *root;
    bool changed;
} edited;

/* object[key] = value, whose reference is taken, in a file. */
static mts_status set(mts_ctx *ctx, edited *file, json_t *object, const char *key, json_t *value)
{
    file->changed = true;
    return json_util_set(ctx, object, key, value);
}

/* The names of the three rules differ from file to file. */
typedef struct rule_names {
    const char *lower_case, *strip_accents, *chinese;
} rule_names;

/* true, false, or `otherwise` for what is absent, null or wrong. */
static bool flag(const json_t *object, const char *key, bool otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

/* Let object say the rules; what already has the same effect stays as it is. */
static mts_status set_rules(mts_ctx *ctx, edited *file, json_t *object, rule_names names,
                            const bert_normalizer *rules)
{
    mts_status st = MTS_OK;
    const bool lower = rules->lower_case;
    const bool strip = rules->strip_accents == BERT_STRIP_AS_LOWER
                           ? lower
                           : rules->strip_accents == BERT_STRIP_YES;
    /* a null is no answer of either library here */
    const bool unclear = json_is_null(json_object_get(object, names.lower_case));
    if (unclear || flag(object, names.lower_case, true) != lower)
        MTS_TRY(set(ctx, file, object, names.lower_case, json_boolean(lower)));
    if (flag(object, names.strip_accents, lower) != strip)
        MTS_TRY(set(ctx, file, object, names.strip_accents, json_boolean(strip)));
    if (flag(object, names.chinese, true) != rules->handle_chinese_chars)
        MTS_TRY(set(ctx, file, object, names.chinese, json_boolean(rules->handle_chinese_chars)));
cleanup:
    return st;
}

/* Without a post-processor the tokenizers library puts no special tokens around texts. */
static mts_status add_post_processor(mts_ctx *ctx, edited *file, const wordpiece *wp)
{
    json_t *processor = NULL;
    const int32_t cls = wp->special[SPECIAL_CLS], sep = wp->special[SPECIAL_SEP];
    if (json_is_object(json_object_get(file->root, "post_processor")))
        return MTS_OK;
    processor = json_pack("{s:s, s:[s, i], s:[s, i]}", "type", "BertProcessing", "sep",
                          vocab_text(&wp->vocabulary, sep), sep, "cls",
                          vocab_text(&wp->vocabulary, cls), cls);
    return set(ctx, file, file->root, "post_processor", processor);
}

/* Whether tokenizer.json has something that the BERT classes cannot be told. */
static bool beyond_bert_classes(const json_t *root, const wordpiece *wp)
{
    const char *prefix = json_string_value(
        json_object_get(json_object_get(root, "model"), "continuing_subword_prefix"));
    return !wp->normalizer.clean_text || wp->max_input_chars != 100 ||
           (prefix != NULL && strcmp(prefix, "##") != 0);
}

/* Let tokenizer_config.json name a class, and the special tokens that this class does not know. */
static mts_status set_class(mts_ctx *ctx, edited *file, const char *class_name, const wordpiece *wp)
{
    static const char *const keys[SPECIAL_COUNT] = WORDPIECE_SPECIAL_KEYS;
    mts_status st = MTS_OK;
    MTS_TRY(set(ctx, file, file->root, "tokenizer_class", json_string(class_name)));
    for (int i = 0; i < SPECIAL_COUNT; i++) {
        const char *name = vocab_text(&wp->vocabulary, wp->special[i]);
        if (name != NULL && json_object_get(file->root, keys[i]) == NULL)
            MTS_TRY(set(ctx, file, file->root, keys[i], json_string(name)));
    }
cleanup:
    return st;
}

mts_status wordpiece_write_rules(mts_ctx *ctx, const tokenizer *tok, bool words,
                                 tokenizer_files *files)
{
    (void)words; /* are tokenized as texts are */
    static const rule_names config_names = {"do_lower_case", "strip_accents",
                                            "tokenize_chinese_chars"};
    static const rule_names json_names = {"lowercase", "strip_accents", "handle_chinese_chars"};
    mts_status st = MTS_OK;
    const wordpiece *wp = (const wordpiece *)tok;
    edited config = {0}, json = {0};

    MTS_TRY(tokenizer_files_parse(ctx, files, config_name, &config.root));
    MTS_TRY(tokenizer_files_parse(ctx, files, json_name, &json.root));
    if (config.root == NULL)
        MTS_CHECK((config.root = json_object()) != NULL, MTS_ERR_MEMORY, "no memory for %s",
                  config_name);
    MTS_TRY(set_rules(ctx, &config, config.root, config_names, &wp->normalizer));
    if (json.root != NULL) {
        json_t *normalizer = json_object_get(json.root, "normalizer");
        MTS_CHECK(json_is_object(normalizer), MTS_ERR_BAD_FILE,
                  "%s: normalizer: expected an object, found %s", json_name,
                  json_util_type_name(normalizer));
        MTS_TRY(set_rules(ctx, &json, normalizer, json_names, &wp->normalizer));
        MTS_TRY(add_post_processor(ctx, &json, wp));
        if (!wp->as_json_says && beyond_bert_classes(json.root, wp))
            MTS_TRY(set_class(ctx, &config, "PreTrainedTokenizerFast", wp));
    }
    if (config.changed)
        MTS_TRY(tokenizer_files_put(ctx, files, config_name, config.root));
    if (json.changed)
        MTS_TRY(tokenizer_files_put(ctx, files, json_name, json.root));
cleanup:
    json_decref(config.root);
    json_decref(json.root);
    return st;
}
