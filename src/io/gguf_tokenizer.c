/* The tokenizer of a GGUF file.  See gguf_tokenizer.h; gguf_merges.c makes merges of scores. */
#include "io/gguf_tokenizer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json_util.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "io/gguf_tokenizer_internal.h"

#define KEY(name) "tokenizer.ggml." name

enum { TYPE_CONTROL = 3, TYPE_USER_DEFINED = 4, TYPE_MAX = 1 << 16 };

static const char no_memory[] = "out of memory: tokenizer";

/* ------------------------------------------------------------------------- how to cut --------- */

#define CONTRACTIONS "'s|'t|'re|'ve|'m|'ll|'d"
#define LLAMA3(digits)                                                                             \
    "(?i:" CONTRACTIONS ")|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits                                  \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static json_t *byte_level(bool regex)
{
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                     "trim_offsets", 1, "use_regex", regex);
}

static json_t *split(const char *regex)
{
    return json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split", "pattern", "Regex", regex,
                     "behavior", "Isolated", "invert", 0);
}

static json_t *digits(bool individual)
{
    return json_pack("{s:s, s:b}", "type", "Digits", "individual_digits", individual);
}

/* Takes the members; NULL for lack of memory. */
static json_t *sequence(json_t *a, json_t *b, json_t *c, json_t *d)
{
    return json_pack("{s:s, s:[o, o, o*, o*]}", "type", "Sequence", "pretokenizers", a, b, c, d);
}

static json_t *cut_gpt2(void)
{
    return byte_level(true);
}

static json_t *cut_smollm(void)
{
    return sequence(digits(true), byte_level(true), NULL, NULL);
}

static json_t *cut_llama3(void)
{
    return sequence(split(LLAMA3("\\p{N}{1,3}")), byte_level(false), NULL, NULL);
}

static json_t *cut_qwen2(void)
{
    return sequence(split(LLAMA3("\\p{N}")), byte_level(false), NULL, NULL);
}

static json_t *cut_falcon(void)
{
    return sequence(json_pack("{s:s, s:s}", "type", "Punctuation", "behavior", "Contiguous"),
                    byte_level(true), digits(false), split("[0-9][0-9][0-9]"));
}

typedef struct cut_rule {
    const char *names[4]; /* tokenizer.ggml.pre */
    json_t *(*make)(void);
    bool nfc, ignore_merges, bos;
} cut_rule;

/* To add one: a row. */
static const cut_rule rules[] = {
    {{"default", "gpt-2", "phi-2"}, cut_gpt2, false, false, false},
    {{"smollm", "starcoder", "refact"}, cut_smollm, false, false, false},
    {{"llama-bpe", "llama3", "llama-v3"}, cut_llama3, false, true, true},
    {{"qwen2"}, cut_qwen2, true, false, false},
    {{"deepseek-r1-qwen"}, cut_qwen2, false, false, false},
    {{"falcon"}, cut_falcon, false, false, false},
};

static mts_status find_rule(mts_ctx *ctx, const gguf_tokens *t, const cut_rule **rule)
{
    mts_status st = MTS_OK;
    const char *name = rules[0].names[0];
    char quoted[UTF8_QUOTE_BYTES], known[256] = "";
    size_t used = 0;
    *rule = NULL;
    MTS_TRY(gguf_find_text(ctx, t->file, KEY("pre"), &name));
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        for (int k = 0; k < 4 && rules[i].names[k] != NULL; k++) {
            if (strcmp(rules[i].names[k], name) == 0)
                *rule = &rules[i];
            if (used < sizeof known)
                used += (size_t)snprintf(known + used, sizeof known - used, "%s%s",
                                         used == 0 ? "" : ", ", rules[i].names[k]);
        }
    }
    MTS_CHECK(*rule != NULL, MTS_ERR_UNSUPPORTED, "%s: key %s: expected %s, found \"%s\"", t->path,
              KEY("pre"), known, utf8_quote(quoted, sizeof quoted, name));
cleanup:
    return st;
}

/* ----------------------------------------------------------------------------- tokens --------- */

const char *gguf_token_text(const gguf_tokens *t, int64_t id, char text[GGUF_TOKEN_BYTES])
{
    if (t->bytes[id] == 0) /* as llama.cpp calls it */
        snprintf(text, GGUF_TOKEN_BYTES, "[EMPTY_%" PRId64 "]", id);
    else
        snprintf(text, GGUF_TOKEN_BYTES, "%.*s", (int)t->bytes[id], t->text[id]);
    return text;
}

/* The texts, and their ids as an object. */
static mts_status read_tokens(mts_ctx *ctx, gguf_tokens *t)
{
    mts_status st = MTS_OK;
    const gguf_key *array = NULL;
    gguf_texts texts;
    char key[GGUF_TOKEN_BYTES];
    const char *text = NULL;
    size_t bytes = 0;
    int64_t id = 0;
    MTS_TRY(gguf_require_key(ctx, t->file, KEY("tokens")));
    MTS_TRY(gguf_find_texts(ctx, t->file, KEY("tokens"), &array));
    MTS_CHECK(array->count > 0 && array->count <= GGUF_TOKENS_MAX, MTS_ERR_BAD_FILE,
              "%s: key %s: expected 1..%d tokens, found %" PRIu64, t->path, KEY("tokens"),
              GGUF_TOKENS_MAX, array->count);
    t->count = (int64_t)array->count;
    MTS_TRY(mem_calloc(ctx, &t->text, (size_t)t->count, sizeof *t->text, "tokens"));
    MTS_TRY(mem_calloc(ctx, &t->bytes, (size_t)t->count, sizeof *t->bytes, "tokens"));
    t->ids = json_object();
    MTS_CHECK(t->ids != NULL, MTS_ERR_MEMORY, no_memory);
    texts = gguf_texts_of(array);
    for (; gguf_next_text(&texts, &text, &bytes); id++) {
        MTS_CHECK(bytes < GGUF_TOKEN_BYTES && memchr(text, '\0', bytes) == NULL &&
                      utf8_is_valid(text, bytes, NULL),
                  MTS_ERR_BAD_FILE,
                  "%s: key %s: token %" PRId64 ": expected UTF-8 without NUL of at most %d bytes",
                  t->path, KEY("tokens"), id, GGUF_TOKEN_BYTES - 1);
        t->text[id] = text;
        t->bytes[id] = (uint32_t)bytes;
        MTS_TRY(json_util_set(ctx, t->ids, gguf_token_text(t, id, key), json_integer(id)));
        MTS_CHECK((int64_t)json_object_size(t->ids) == id + 1, MTS_ERR_BAD_FILE,
                  "%s: key %s: token %" PRId64 " was there before", t->path, KEY("tokens"), id);
    }
cleanup:
    return st;
}

static mts_status check_count(mts_ctx *ctx, const gguf_tokens *t, const char *key,
                              const gguf_key *array)
{
    mts_status st = MTS_OK;
    MTS_CHECK(array == NULL || array->count == (uint64_t)t->count, MTS_ERR_BAD_FILE,
              "%s: key %s: expected %" PRId64 " elements, one for each token, found %" PRIu64,
              t->path, key, t->count, array->count);
cleanup:
    return st;
}

/* ids[]: those of bos, eos, unk and pad; -1: there is none. */
static const char *const special_names[] = {"bos_token", "eos_token", "unk_token", "pad_token"};
static const char *const special_keys[] = {KEY("bos_token_id"), KEY("eos_token_id"),
                                           KEY("unknown_token_id"), KEY("padding_token_id")};
enum { BOS, EOS, UNK, SPECIALS = 4 };

static mts_status read_specials(mts_ctx *ctx, const gguf_tokens *t, bool pieces,
                                int64_t ids[SPECIALS])
{
    static const int64_t usual[SPECIALS] = {1, 2, 0, -1}; /* of SentencePiece, as in llama.cpp */
    mts_status st = MTS_OK;
    for (int i = 0; i < SPECIALS; i++) {
        ids[i] = pieces && usual[i] < t->count ? usual[i] : -1;
        MTS_TRY(gguf_find_int(ctx, t->file, special_keys[i], 0, t->count - 1, &ids[i]));
    }
cleanup:
    return st;
}

/* The added tokens, in the order of their ids. */
static mts_status put_added(mts_ctx *ctx, const gguf_tokens *t, const int64_t ids[SPECIALS],
                            json_t *root)
{
    mts_status st = MTS_OK;
    json_t *list = json_array();
    const gguf_key *types = NULL;
    char text[GGUF_TOKEN_BYTES];
    MTS_CHECK(list != NULL, MTS_ERR_MEMORY, no_memory);
    MTS_TRY(gguf_find_ints(ctx, t->file, KEY("token_type"), 0, TYPE_MAX, &types));
    MTS_TRY(check_count(ctx, t, KEY("token_type"), types));
    for (int64_t id = 0; id < t->count; id++) {
        const int64_t type = types == NULL ? 0 : gguf_int_at(types, (uint64_t)id);
        bool special = type == TYPE_CONTROL;
        for (int i = 0; i < SPECIALS; i++)
            special = special || ids[i] == id;
        if (!special && type != TYPE_USER_DEFINED)
            continue;
        json_t *entry = json_pack("{s:I, s:s, s:b, s:b, s:b, s:b, s:b}", "id", (json_int_t)id,
                                  "content", gguf_token_text(t, id, text), "single_word", 0,
                                  "lstrip", 0, "rstrip", 0, "normalized", 0, "special", special);
        MTS_CHECK(entry != NULL && json_array_append_new(list, entry) == 0, MTS_ERR_MEMORY,
                  no_memory);
    }
    MTS_TRY(json_util_set(ctx, root, "added_tokens", json_incref(list)));
cleanup:
    json_decref(list);
    return st;
}

/* ----------------------------------------------------------------------------- template ------- */

static mts_status push_piece(mts_ctx *ctx, json_t *row, const char *kind, const char *id, int type)
{
    mts_status st = MTS_OK;
    json_t *piece = json_pack("{s:{s:s, s:i}}", kind, "id", id, "type_id", type);
    MTS_CHECK(piece != NULL && json_array_append_new(row, piece) == 0, MTS_ERR_MEMORY, no_memory);
cleanup:
    return st;
}

/* [bos] text [eos], of a first and perhaps a second text. */
static mts_status push_row(mts_ctx *ctx, const char *const ends[2], bool pair, json_t *row)
{
    mts_status st = MTS_OK;
    for (int type = 0; type < 1 + pair; type++) {
        if (ends[0] != NULL)
            MTS_TRY(push_piece(ctx, row, "SpecialToken", ends[0], type));
        MTS_TRY(push_piece(ctx, row, "Sequence", type == 0 ? "A" : "B", type));
        if (ends[1] != NULL)
            MTS_TRY(push_piece(ctx, row, "SpecialToken", ends[1], type));
    }
cleanup:
    return st;
}

static mts_status put_template(mts_ctx *ctx, const gguf_tokens *t, const int64_t ids[SPECIALS],
                               const bool adds[2], json_t *root)
{
    static const char *const keys[2] = {KEY("add_bos_token"), KEY("add_eos_token")};
    mts_status st = MTS_OK;
    json_t *single = json_array(), *pair = json_array(), *tokens = json_object();
    char text[2][GGUF_TOKEN_BYTES];
    const char *ends[2] = {NULL, NULL};
    MTS_CHECK(single != NULL && pair != NULL && tokens != NULL, MTS_ERR_MEMORY, no_memory);
    for (int i = 0; i < 2; i++) {
        bool add = adds[i];
        MTS_TRY(gguf_find_bool(ctx, t->file, keys[i], &add));
        if (!add)
            continue;
        MTS_CHECK(ids[i] >= 0, MTS_ERR_BAD_FILE, "%s: key %s: expected with %s, but absent",
                  t->path, keys[i], special_keys[i]);
        ends[i] = gguf_token_text(t, ids[i], text[i]);
        MTS_TRY(json_util_set(ctx, tokens, ends[i],
                              json_pack("{s:s, s:[I], s:[s]}", "id", ends[i], "ids",
                                        (json_int_t)ids[i], "tokens", ends[i])));
    }
    MTS_TRY(push_row(ctx, ends, false, single));
    MTS_TRY(push_row(ctx, ends, true, pair));
    MTS_TRY(json_util_set(ctx, root, "post_processor",
                          json_pack("{s:s, s:O, s:O, s:O}", "type", "TemplateProcessing", "single",
                                    single, "pair", pair, "special_tokens", tokens)));
cleanup:
    json_decref(single);
    json_decref(pair);
    json_decref(tokens);
    return st;
}

/* ----------------------------------------------------------------------------- the kinds ------ */

/* Merges of the file, "a b". */
static mts_status read_merges(mts_ctx *ctx, const gguf_tokens *t, json_t *list)
{
    mts_status st = MTS_OK;
    const gguf_key *array = NULL;
    gguf_texts texts;
    const char *text = NULL;
    size_t bytes = 0;
    MTS_TRY(gguf_require_key(ctx, t->file, KEY("merges")));
    MTS_TRY(gguf_find_texts(ctx, t->file, KEY("merges"), &array));
    texts = gguf_texts_of(array);
    for (int64_t i = 0; gguf_next_text(&texts, &text, &bytes); i++) {
        MTS_CHECK(memchr(text, '\0', bytes) == NULL && utf8_is_valid(text, bytes, NULL),
                  MTS_ERR_BAD_FILE, "%s: key %s: entry %" PRId64 ": expected UTF-8 without NUL",
                  t->path, KEY("merges"), i);
        MTS_CHECK(json_array_append_new(list, json_stringn(text, bytes)) == 0, MTS_ERR_MEMORY,
                  no_memory);
    }
cleanup:
    return st;
}

/* What both kinds have, with the ids of the tokens and merges. */
static mts_status put_model(mts_ctx *ctx, const gguf_tokens *t, json_t *merges, const char *unk,
                            bool pieces, bool ignore_merges, json_t *root)
{
    return json_util_set(ctx, root, "model",
                         json_pack("{s:s, s:n, s:s?, s:n, s:n, s:b, s:b, s:b, s:O, s:O}", "type",
                                   "BPE", "dropout", "unk_token", unk, "continuing_subword_prefix",
                                   "end_of_word_suffix", "fuse_unk", pieces, "byte_fallback",
                                   pieces, "ignore_merges", ignore_merges, "vocab", t->ids,
                                   "merges", merges));
}

/* Byte-level, as GPT-2. */
static mts_status put_byte_level(mts_ctx *ctx, const gguf_tokens *t, const int64_t ids[SPECIALS],
                                 json_t *root)
{
    mts_status st = MTS_OK;
    const cut_rule *rule = NULL;
    json_t *merges = json_array(), *nfc = NULL;
    MTS_CHECK(merges != NULL, MTS_ERR_MEMORY, no_memory);
    MTS_TRY(find_rule(ctx, t, &rule));
    nfc = rule->nfc ? json_pack("{s:s}", "type", "NFC") : json_null();
    MTS_TRY(json_util_set(ctx, root, "normalizer", nfc));
    MTS_TRY(json_util_set(ctx, root, "pre_tokenizer", rule->make()));
    MTS_TRY(json_util_set(ctx, root, "decoder", byte_level(true)));
    MTS_TRY(read_merges(ctx, t, merges));
    MTS_TRY(put_template(ctx, t, ids, (const bool[]){rule->bos, false}, root));
    MTS_TRY(put_model(ctx, t, merges, NULL, false, rule->ignore_merges, root));
cleanup:
    json_decref(merges);
    return st;
}

/* SentencePiece's style. */
static mts_status put_pieces(mts_ctx *ctx, const gguf_tokens *t, const int64_t ids[SPECIALS],
                             json_t *root)
{
    static const char space[] = "\xE2\x96\x81";
    mts_status st = MTS_OK;
    const gguf_key *scores = NULL;
    json_t *merges = json_array(), *strip = NULL;
    char unk[GGUF_TOKEN_BYTES];
    bool prefix = true;
    MTS_CHECK(merges != NULL, MTS_ERR_MEMORY, no_memory);
    MTS_TRY(gguf_find_bool(ctx, t->file, KEY("add_space_prefix"), &prefix));
    MTS_TRY(json_util_set(ctx, root, "normalizer", json_null()));
    MTS_TRY(
        json_util_set(ctx, root, "pre_tokenizer",
                      json_pack("{s:s, s:s, s:s, s:b}", "type", "Metaspace", "replacement", space,
                                "prepend_scheme", prefix ? "first" : "never", "split", 0)));
    if (prefix)
        strip = json_pack("{s:s, s:s, s:i, s:i}", "type", "Strip", "content", " ", "start", 1,
                          "stop", 0);
    MTS_TRY(json_util_set(ctx, root, "decoder",
                          json_pack("{s:s, s:[{s:s, s:{s:s}, s:s}, {s:s}, {s:s}, o*]}", "type",
                                    "Sequence", "decoders", "type", "Replace", "pattern", "String",
                                    space, "content", " ", "type", "ByteFallback", "type", "Fuse",
                                    strip)));
    if (gguf_find_key(t->file, KEY("merges")) != NULL) {
        MTS_TRY(read_merges(ctx, t, merges));
    } else {
        MTS_TRY(gguf_require_key(ctx, t->file, KEY("scores")));
        MTS_TRY(gguf_find_reals(ctx, t->file, KEY("scores"), &scores));
        MTS_TRY(check_count(ctx, t, KEY("scores"), scores));
        MTS_TRY(gguf_merges_of_scores(ctx, t, scores, merges));
    }
    MTS_TRY(put_template(ctx, t, ids, (const bool[]){true, false}, root));
    MTS_TRY(put_model(ctx, t, merges, ids[UNK] < 0 ? NULL : gguf_token_text(t, ids[UNK], unk), true,
                      false, root));
cleanup:
    json_decref(merges);
    return st;
}

static mts_status put_config(mts_ctx *ctx, const gguf_tokens *t, const int64_t ids[SPECIALS],
                             json_t *config)
{
    mts_status st = MTS_OK;
    const char *template = NULL;
    char text[GGUF_TOKEN_BYTES];
    MTS_TRY(json_util_set(ctx, config, "tokenizer_class", json_string("PreTrainedTokenizerFast")));
    MTS_TRY(json_util_set(ctx, config, "clean_up_tokenization_spaces", json_false()));
    for (int i = 0; i < SPECIALS; i++)
        if (ids[i] >= 0)
            MTS_TRY(json_util_set(ctx, config, special_names[i],
                                  json_string(gguf_token_text(t, ids[i], text))));
    MTS_TRY(gguf_find_text(ctx, t->file, "tokenizer.chat_template", &template));
    if (template != NULL)
        MTS_TRY(json_util_set(ctx, config, "chat_template", json_string(template)));
cleanup:
    return st;
}

mts_status gguf_tokenizer_make(mts_ctx *ctx, const gguf *file, const char *path, json_t **json,
                               json_t **config)
{
    mts_status st = MTS_OK;
    gguf_tokens t = {.file = file, .path = path};
    json_t *root = json_object(), *other = json_object();
    int64_t ids[SPECIALS];
    bool pieces = false;
    const char *kind = "";
    char quoted[UTF8_QUOTE_BYTES];
    *json = *config = NULL;
    MTS_CHECK(root != NULL && other != NULL, MTS_ERR_MEMORY, no_memory);
    MTS_TRY(gguf_require_key(ctx, file, KEY("model")));
    MTS_TRY(gguf_find_text(ctx, file, KEY("model"), &kind));
    pieces = strcmp(kind, "llama") == 0;
    MTS_CHECK(pieces || strcmp(kind, "gpt2") == 0, MTS_ERR_UNSUPPORTED,
              "%s: key %s: expected gpt2 or llama, found \"%s\"", path, KEY("model"),
              utf8_quote(quoted, sizeof quoted, kind));
    MTS_TRY(read_tokens(ctx, &t));
    MTS_TRY(read_specials(ctx, &t, pieces, ids));
    MTS_TRY(json_util_set(ctx, root, "version", json_string("1.0")));
    MTS_TRY(json_util_set(ctx, root, "truncation", json_null()));
    MTS_TRY(json_util_set(ctx, root, "padding", json_null()));
    MTS_TRY(put_added(ctx, &t, ids, root));
    MTS_TRY(pieces ? put_pieces(ctx, &t, ids, root) : put_byte_level(ctx, &t, ids, root));
    MTS_TRY(put_config(ctx, &t, ids, other));
    *json = json_incref(root);
    *config = json_incref(other);
cleanup:
    json_decref(root);
    json_decref(other);
    json_decref(t.ids);
    mem_free((void *)t.text);
    mem_free(t.bytes);
    return st;
}
