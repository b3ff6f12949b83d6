/* Folders of RoBERTa's tokenizer.  See roberta_files.h. */
#include "text/roberta_files.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "base/utf8.h"

/* By class where one is named, else by the model. */
static bool is_for_roberta(const tokenizer_folder *folder)
{
    const char *type = json_string_value(json_object_get(folder->model_config, "model_type"));
    if (folder->class_name == NULL)
        return type != NULL && strcmp(type, "roberta") == 0;
    return strcmp(folder->class_name, "RobertaTokenizer") == 0 ||
           strcmp(folder->class_name, "RobertaTokenizerFast") == 0;
}

mts_status roberta_files_say_words(mts_ctx *ctx, tokenizer_files *files)
{
    static const char name[] = "tokenizer_config.json";
    mts_status st = MTS_OK;
    json_t *config = NULL;
    MTS_TRY(tokenizer_files_parse(ctx, files, name, &config));
    if (json_is_true(json_object_get(config, "add_prefix_space")))
        goto cleanup;
    if (config == NULL)
        config = json_object();
    MTS_CHECK(config != NULL, MTS_ERR_MEMORY, "out of memory: %s", name);
    MTS_TRY(json_util_set(ctx, config, "add_prefix_space", json_true()));
    MTS_TRY(tokenizer_files_put(ctx, files, name, config));
cleanup:
    json_decref(config);
    return st;
}

mts_status roberta_files_set_prefix(mts_ctx *ctx, const tokenizer_folder *folder, bool *is_roberta)
{
    mts_status st = MTS_OK;
    json_t *part = json_object_get(folder->json, "pre_tokenizer");
    const char *type = json_string_value(json_object_get(part, "type"));
    bool prefix = false;
    *is_roberta = is_for_roberta(folder) && type != NULL && strcmp(type, "ByteLevel") == 0;
    if (!*is_roberta)
        return MTS_OK;
    MTS_TRY(
        json_util_bool(ctx, "tokenizer_config.json", folder->config, "add_prefix_space", &prefix));
    MTS_TRY(json_util_set(ctx, part, "add_prefix_space", json_boolean(prefix)));
cleanup:
    return st;
}

/* -------------------------------------------------------------------------- special tokens ---- */

enum { SEP, CLS, SPECIALS = 7 };

/* Their names in files, and what they are where no file says it. */
static const struct {
    const char *key, *token;
} specials[SPECIALS] = {
    [SEP] = {"sep_token", "</s>"}, [CLS] = {"cls_token", "<s>"}, {"bos_token", "<s>"},
    {"eos_token", "</s>"},         {"unk_token", "<unk>"},       {"pad_token", "<pad>"},
    {"mask_token", "<mask>"},
};

/* Append a special token of that id with the flags of `flags`, an object or NULL. */
static mts_status add_token(mts_ctx *ctx, json_t *list, const char *token, json_int_t id,
                            const json_t *flags)
{
    static const char *const keys[] = {"lstrip", "rstrip", "normalized", "single_word"};
    mts_status st = MTS_OK;
    const json_t *special = json_object_get(flags, "special");
    json_t *item = json_pack("{s:s, s:I, s:b}", "content", token, "id", id, "special",
                             special == NULL || json_is_true(special));
    MTS_CHECK(item != NULL, MTS_ERR_MEMORY, "out of memory: added tokens");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        MTS_TRY(json_util_set(ctx, item, keys[i],
                              json_boolean(json_is_true(json_object_get(flags, keys[i])))));
    MTS_CHECK(json_array_append(list, item) == 0, MTS_ERR_MEMORY, "out of memory: added tokens");
cleanup:
    json_decref(item);
    return st;
}

/* "added_tokens_decoder": {"50264": {"content": ..., "lstrip": ...}, ...} */
static mts_status add_listed(mts_ctx *ctx, json_t *decoder, json_t *list)
{
    mts_status st = MTS_OK;
    const char *key = NULL;
    json_t *item = NULL;
    json_object_foreach(decoder, key, item)
    {
        const char *token = json_string_value(json_object_get(item, "content"));
        char *end = NULL;
        const long long id = strtoll(key, &end, 10);
        MTS_CHECK(token != NULL && end != key && *end == '\0', MTS_ERR_BAD_FILE,
                  "tokenizer_config.json: added_tokens_decoder: expected ids and contents");
        MTS_TRY(add_token(ctx, list, token, (json_int_t)id, item));
    }
cleanup:
    return st;
}

static bool is_listed(const json_t *list, const char *token)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_object_get(json_array_get(list, i), "content")), token) ==
            0)
            return true;
    return false;
}

/* The special tokens by their names; names[]: of all, owned by the files. */
static mts_status add_named(mts_ctx *ctx, const json_t *const files[2], const json_t *vocab,
                            const char *names[SPECIALS], json_t *list)
{
    mts_status st = MTS_OK;
    char quoted[UTF8_QUOTE_BYTES];
    for (int i = 0; i < SPECIALS; i++) {
        const json_t *flags = NULL, *id;
        names[i] = specials[i].token;
        for (int f = 0; f < 2; f++) {
            const json_t *value = json_object_get(files[f], specials[i].key);
            const json_t *text = json_is_object(value) ? json_object_get(value, "content") : value;
            if (!json_is_string(text))
                continue;
            names[i] = json_string_value(text);
            flags = json_is_object(value) ? value : NULL;
        }
        id = json_object_get(vocab, names[i]);
        MTS_CHECK(json_is_integer(id), MTS_ERR_BAD_FILE, "%s: \"%s\" is not in vocab.json",
                  specials[i].key, utf8_quote(quoted, sizeof quoted, names[i]));
        if (!is_listed(list, names[i]))
            MTS_TRY(add_token(ctx, list, names[i], json_integer_value(id), flags));
    }
cleanup:
    return st;
}

/* ---------------------------------------------------------------------------------- parts ---- */

/* *out: the lines of merges.txt, an array; what is no pair is refused by whoever reads it. */
static mts_status read_merges(mts_ctx *ctx, const char *dir, json_t **out)
{
    mts_status st = MTS_OK;
    char *path = NULL, *text = NULL;
    size_t bytes = 0;
    json_t *list = json_array();
    MTS_CHECK(list != NULL, MTS_ERR_MEMORY, "out of memory: merges");
    MTS_TRY(path_join(ctx, &path, dir, "merges.txt"));
    MTS_TRY(file_read_all(ctx, path, TOKENIZER_FILE_BYTES_MAX, &text, &bytes));
    for (size_t at = 0; at < bytes;) {
        const char *line = text + at, *stop = memchr(line, '\n', bytes - at);
        size_t n = stop == NULL ? bytes - at : (size_t)(stop - line);
        at += n + 1;
        n -= n > 0 && line[n - 1] == '\r';
        if (n == 0 || (n >= 8 && strncmp(line, "#version", 8) == 0))
            continue;
        json_t *item = json_stringn(line, n);
        MTS_CHECK(item != NULL, MTS_ERR_BAD_FILE, "%s: expected UTF-8 text", path);
        MTS_CHECK(json_array_append_new(list, item) == 0, MTS_ERR_MEMORY, "out of memory: merges");
    }
    *out = list;
    list = NULL;
cleanup:
    json_decref(list);
    mem_free(text);
    mem_free(path);
    return st;
}

/* The object, of parts that it takes references to. */
static mts_status put_together(mts_ctx *ctx, const json_t *config, json_t *vocab, json_t *merges,
                               json_t *added, const char *const names[SPECIALS], json_t **json)
{
    mts_status st = MTS_OK;
    bool prefix = false, trims = true;
    MTS_TRY(json_util_bool(ctx, "tokenizer_config.json", config, "add_prefix_space", &prefix));
    MTS_TRY(json_util_bool(ctx, "tokenizer_config.json", config, "trim_offsets", &trims));
    *json = json_pack(
        "{s:s, s:O, s:n, s:{s:s, s:b, s:b, s:b}, s:{s:s, s:[s, O], s:[s, O], s:b, s:b},"
        " s:{s:s, s:b, s:b, s:b}, s:{s:s, s:n, s:n, s:s, s:s, s:b, s:b, s:b, s:O, s:O}}",
        "version", "1.0", "added_tokens", added, "normalizer", "pre_tokenizer", "type", "ByteLevel",
        "add_prefix_space", prefix, "trim_offsets", 1, "use_regex", 1, "post_processor", "type",
        "RobertaProcessing", "sep", names[SEP], json_object_get(vocab, names[SEP]), "cls",
        names[CLS], json_object_get(vocab, names[CLS]), "trim_offsets", trims, "add_prefix_space",
        prefix, "decoder", "type", "ByteLevel", "add_prefix_space", 1, "trim_offsets", 1,
        "use_regex", 1, "model", "type", "BPE", "dropout", "unk_token", "continuing_subword_prefix",
        "", "end_of_word_suffix", "", "fuse_unk", 0, "byte_fallback", 0, "ignore_merges", 0,
        "vocab", vocab, "merges", merges);
    MTS_CHECK(*json != NULL, MTS_ERR_MEMORY, "out of memory: tokenizer");
cleanup:
    return st;
}

/* MTS_ERR_UNSUPPORTED unless the class is known, and nothing beside it adds tokens. */
static mts_status check_class(mts_ctx *ctx, const tokenizer_folder *folder)
{
    mts_status st = MTS_OK;
    char quoted[UTF8_QUOTE_BYTES], *path = NULL;
    const char *found = folder->class_name != NULL ? folder->class_name : "nothing";
    MTS_CHECK(is_for_roberta(folder), MTS_ERR_UNSUPPORTED,
              "%s: vocab.json without tokenizer.json: tokenizer_class: only RobertaTokenizer is "
              "supported, found %s",
              folder->dir, utf8_quote(quoted, sizeof quoted, found));
    MTS_TRY(path_join(ctx, &path, folder->dir, "added_tokens.json"));
    MTS_CHECK(!file_exists(path), MTS_ERR_UNSUPPORTED,
              "%s: tokens that were added are supported in tokenizer.json only", path);
cleanup:
    mem_free(path);
    return st;
}

/* *yes: the folder has that and no other file that is enough for a tokenizer. */
static mts_status has_vocab_json_only(mts_ctx *ctx, const tokenizer_folder *folder, bool *yes)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    *yes = false;
    if (folder->json != NULL || folder->has_vocab_txt)
        return MTS_OK;
    MTS_TRY(path_join(ctx, &path, folder->dir, "vocab.json"));
    *yes = file_exists(path);
cleanup:
    mem_free(path);
    return st;
}

mts_status roberta_files_make(mts_ctx *ctx, tokenizer_folder *folder)
{
    mts_status st = MTS_OK;
    const json_t *config = folder->config;
    json_t *vocab = NULL, *merges = NULL, *map = NULL, *added = NULL, *json = NULL;
    const char *names[SPECIALS];
    bool only = false;
    MTS_TRY(has_vocab_json_only(ctx, folder, &only));
    if (!only)
        goto cleanup;
    MTS_TRY(tokenizer_folder_load(ctx, folder->dir, "vocab.json", &vocab));
    MTS_TRY(check_class(ctx, folder));
    MTS_TRY(tokenizer_folder_load(ctx, folder->dir, "special_tokens_map.json", &map));
    MTS_TRY(read_merges(ctx, folder->dir, &merges));
    MTS_CHECK((added = json_array()) != NULL, MTS_ERR_MEMORY, "out of memory: added tokens");
    if ((st = add_listed(ctx, json_object_get(config, "added_tokens_decoder"), added)) != MTS_OK ||
        (st = add_named(ctx, (const json_t *const[2]){map, config}, vocab, names, added)) !=
            MTS_OK ||
        (st = put_together(ctx, config, vocab, merges, added, names, &json)) != MTS_OK) {
        status_prefix(ctx, "%s", folder->dir);
        goto cleanup;
    }
    MTS_TRY(tokenizer_folder_put(ctx, folder, json));
cleanup:
    json_decref(vocab);
    json_decref(merges);
    json_decref(map);
    json_decref(added);
    json_decref(json);
    return st;
}
