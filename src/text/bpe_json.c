/*
 * tokenizer.json -> bpe: the model with its vocabulary and merges, and the added tokens.
 *
 * Refused as MTS_ERR_UNSUPPORTED, by name: dropout, continuing_subword_prefix, end_of_word_suffix,
 * single_word, and parts that bpe_parts.c does not know.  Refused as MTS_ERR_BAD_FILE, where
 * tokenizers would go on: an id without a token or with two, an added token that has another id
 * than its place gives it, one that is listed twice, an unk_token that is no token of the model.
 * A pair of merges that is listed twice keeps its last rank, as there.
 */
#include "text/bpe.h"

#include <stdio.h>
#include <string.h>

#include "base/json_util.h"
#include "base/memory.h"
#include "base/utf8.h"

static const char null_error[] = "model: %s: only null is supported, found %s";

/* A string that must be absent, null or empty. */
static mts_status check_empty(mts_ctx *ctx, const json_t *model, const char *key)
{
    mts_status st = MTS_OK;
    char quoted[UTF8_QUOTE_BYTES];
    const char *text = "";
    MTS_TRY(json_util_string(ctx, NULL, model, key, &text));
    MTS_CHECK(*text == '\0', MTS_ERR_UNSUPPORTED, null_error, key,
              utf8_quote(quoted, sizeof quoted, text));
cleanup:
    return st;
}

static mts_status read_settings(mts_ctx *ctx, const json_t *model, bpe *b)
{
    mts_status st = MTS_OK;
    const json_t *dropout = json_object_get(model, "dropout");
    MTS_CHECK(dropout == NULL || json_is_null(dropout), MTS_ERR_UNSUPPORTED, null_error, "dropout",
              json_util_type_name(dropout));
    MTS_TRY(check_empty(ctx, model, "continuing_subword_prefix"));
    MTS_TRY(check_empty(ctx, model, "end_of_word_suffix"));
    MTS_TRY(json_util_bool(ctx, NULL, model, "fuse_unk", &b->fuse_unk));
    MTS_TRY(json_util_bool(ctx, NULL, model, "byte_fallback", &b->byte_fallback));
    MTS_TRY(json_util_bool(ctx, NULL, model, "ignore_merges", &b->ignore_merges));
cleanup:
    return st;
}

static mts_status read_vocab(mts_ctx *ctx, const json_t *model, bpe *b)
{
    mts_status st = MTS_OK;
    json_t *tokens = json_object_get(model, "vocab"), *id = NULL;
    const char *token = NULL;
    MTS_CHECK(json_is_object(tokens), MTS_ERR_BAD_FILE, "expected an object, found %s",
              json_util_type_name(tokens));
    json_object_foreach(tokens, token, id)
    {
        char quoted[UTF8_QUOTE_BYTES];
        MTS_CHECK(json_is_integer(id), MTS_ERR_BAD_FILE, "\"%s\": expected an integer id, found %s",
                  utf8_quote(quoted, sizeof quoted, token), json_util_type_name(id));
        MTS_TRY(vocab_put(ctx, &b->vocabulary, (int64_t)json_integer_value(id), token,
                          strlen(token), true));
    }
cleanup:
    if (st != MTS_OK)
        status_prefix(ctx, "model: vocab");
    return st;
}

/* ---- merges ---- */

/* Id of a token of the model, -1 if there is none. */
static int32_t find_model(const bpe *b, const char *text, size_t n)
{
    const int32_t id = vocab_find(&b->vocabulary, text, n);
    return id >= 0 && b->vocabulary.entries[id].in_model ? id : -1;
}

/* The two tokens of an entry, "a b" or ["a", "b"], as the first entry of the list is. */
static mts_status read_pair(mts_ctx *ctx, const json_t *entry, bool as_text, const char *parts[2],
                            size_t lengths[2])
{
    mts_status st = MTS_OK;
    char quoted[UTF8_QUOTE_BYTES];
    if (as_text) {
        MTS_CHECK(json_is_string(entry), MTS_ERR_BAD_FILE, "expected a string, found %s",
                  json_util_type_name(entry));
        const char *text = json_string_value(entry), *space = strchr(text, ' ');
        MTS_CHECK(space != NULL && strchr(space + 1, ' ') == NULL, MTS_ERR_BAD_FILE,
                  "\"%s\": expected two tokens with a space between",
                  utf8_quote(quoted, sizeof quoted, text));
        parts[0] = text;
        lengths[0] = (size_t)(space - text);
        parts[1] = space + 1;
        lengths[1] = strlen(parts[1]);
        return MTS_OK;
    }
    MTS_CHECK(json_array_size(entry) == 2, MTS_ERR_BAD_FILE, "expected a pair of tokens, found %s",
              json_util_type_name(entry));
    for (size_t i = 0; i < 2; i++) {
        const json_t *part = json_array_get(entry, i);
        MTS_CHECK(json_is_string(part), MTS_ERR_BAD_FILE, "expected two strings, found %s",
                  json_util_type_name(part));
        parts[i] = json_string_value(part);
        lengths[i] = strlen(parts[i]);
    }
cleanup:
    return st;
}

static mts_status read_merge(mts_ctx *ctx, const json_t *entry, bool as_text, int32_t rank, bpe *b)
{
    mts_status st = MTS_OK;
    char quoted[UTF8_QUOTE_BYTES], joined[2 * VOCAB_MAX_TOKEN_BYTES + 1] = "";
    const char *parts[2];
    size_t lengths[2];
    int32_t ids[2], id = -1;
    MTS_TRY(read_pair(ctx, entry, as_text, parts, lengths));
    for (int i = 0; i < 2; i++) {
        ids[i] = find_model(b, parts[i], lengths[i]);
        MTS_CHECK(ids[i] >= 0, MTS_ERR_BAD_FILE, "token %d of \"%s\" is not in the vocabulary",
                  i + 1, utf8_quote(quoted, sizeof quoted, parts[0]));
    }
    memcpy(joined, parts[0], lengths[0]); /* tokens of the vocabulary: there is room */
    memcpy(joined + lengths[0], parts[1], lengths[1]);
    joined[lengths[0] + lengths[1]] = '\0';
    id = find_model(b, joined, lengths[0] + lengths[1]);
    MTS_CHECK(id >= 0, MTS_ERR_BAD_FILE, "\"%s\", which it gives, is not in the vocabulary",
              utf8_quote(quoted, sizeof quoted, joined));
    bpe_merges_put(&b->merges, (bpe_merge){ids[0], ids[1], rank, id});
cleanup:
    return st;
}

static mts_status read_merges(mts_ctx *ctx, const json_t *model, bpe *b)
{
    static const char version[] = "#version";
    mts_status st = MTS_OK;
    const json_t *list = json_object_get(model, "merges");
    const size_t count = json_array_size(list);
    const bool as_text = json_is_string(json_array_get(list, 0));
    int32_t rank = 0;
    size_t i = 0;
    MTS_CHECK(json_is_array(list), MTS_ERR_BAD_FILE, "model: merges: expected an array, found %s",
              json_util_type_name(list));
    MTS_CHECK(count < (size_t)1 << 30, MTS_ERR_UNSUPPORTED, "model: merges: %zu entries", count);
    MTS_TRY(bpe_merges_init(ctx, &b->merges, (int64_t)count));
    for (; i < count; i++) {
        const json_t *entry = json_array_get(list, i);
        const char *text = json_string_value(entry);
        if (as_text && text != NULL && strncmp(text, version, strlen(version)) == 0)
            continue;
        if ((st = read_merge(ctx, entry, as_text, rank++, b)) != MTS_OK) {
            status_prefix(ctx, "model: merges: entry %zu", i);
            break;
        }
    }
cleanup:
    return st;
}

/* Ids that are asked for again and again: of single characters, of <0xHH>, of what is unknown. */
static mts_status find_ids(mts_ctx *ctx, const json_t *model, bpe *b)
{
    mts_status st = MTS_OK;
    char text[16], quoted[UTF8_QUOTE_BYTES];
    const char *unk = NULL;
    for (int32_t code = 0; code < BPE_CHAR_IDS; code++)
        b->char_ids[code] = find_model(b, text, utf8_encode(code, text));
    for (int byte = 0; byte < 256; byte++) {
        snprintf(text, sizeof text, "<0x%02X>", (unsigned)byte);
        b->byte_ids[byte] = find_model(b, text, strlen(text));
    }
    b->unk = -1;
    MTS_TRY(json_util_string(ctx, NULL, model, "unk_token", &unk));
    if (unk != NULL) {
        b->unk = find_model(b, unk, strlen(unk));
        MTS_CHECK(b->unk >= 0, MTS_ERR_BAD_FILE,
                  "model: unk_token: \"%s\" is not in the vocabulary",
                  utf8_quote(quoted, sizeof quoted, unk));
    }
cleanup:
    return st;
}

/* ---- added tokens ---- */

/* One entry of added_tokens. */
typedef struct added_entry {
    const char *content; /* in the JSON */
    int64_t id;
    bool lstrip, rstrip, normalized, special;
} added_entry;

static mts_status read_added_entry(mts_ctx *ctx, const json_t *item, added_entry *out)
{
    mts_status st = MTS_OK;
    bool single_word = false;
    *out = (added_entry){.id = -1};
    MTS_CHECK(json_is_object(item), MTS_ERR_BAD_FILE, "expected an object, found %s",
              json_util_type_name(item));
    MTS_TRY(json_util_string(ctx, NULL, item, "content", &out->content));
    MTS_TRY(json_util_int(ctx, NULL, item, "id", 0, VOCAB_MAX_TOKENS - 1, &out->id));
    MTS_CHECK(out->content != NULL && out->id >= 0, MTS_ERR_BAD_FILE, "content or id is missing");
    MTS_TRY(json_util_bool(ctx, NULL, item, "lstrip", &out->lstrip));
    MTS_TRY(json_util_bool(ctx, NULL, item, "rstrip", &out->rstrip));
    MTS_TRY(json_util_bool(ctx, NULL, item, "normalized", &out->normalized));
    MTS_TRY(json_util_bool(ctx, NULL, item, "special", &out->special));
    MTS_TRY(json_util_bool(ctx, NULL, item, "single_word", &single_word));
    MTS_CHECK(!single_word, MTS_ERR_UNSUPPORTED, "single_word is not supported");
cleanup:
    return st;
}

/* Enter a token in the vocabulary unless the model has it.  Whatever the file says, tokenizers
 * gives it the next id. */
static mts_status enter_added(mts_ctx *ctx, const added_entry *entry, const json_t *tokens,
                              int64_t *next, bpe *b)
{
    mts_status st = MTS_OK;
    char quoted[UTF8_QUOTE_BYTES];
    const json_t *known = json_object_get(tokens, entry->content);
    const int64_t id = known != NULL ? (int64_t)json_integer_value(known) : *next;
    MTS_CHECK(id == entry->id, MTS_ERR_BAD_FILE, "\"%s\" has id %lld, expected %lld",
              utf8_quote(quoted, sizeof quoted, entry->content), (long long)entry->id,
              (long long)id);
    if (known == NULL) {
        MTS_TRY(vocab_put(ctx, &b->vocabulary, id, entry->content, strlen(entry->content), false));
        (*next)++;
    }
cleanup:
    return st;
}

static mts_status copy_codes(mts_ctx *ctx, const bert_text *text, char **out)
{
    mts_status st = MTS_OK;
    size_t n = 0;
    MTS_TRY(mem_calloc(ctx, out, (size_t)text->count + 1, UTF8_MAX_BYTES, "an added token"));
    for (int64_t i = 0; i < text->count; i++)
        n += utf8_encode(text->chars[i].code, *out + n);
cleanup:
    return st;
}

/* Let a token be looked for. */
static mts_status add_pattern(mts_ctx *ctx, const added_entry *entry, bool *listed, bpe *b)
{
    mts_status st = MTS_OK;
    bert_text raw = {0}, normal = {0};
    const int32_t id = (int32_t)entry->id;
    const bert_text *pattern = &raw;

    MTS_CHECK(!listed[id], MTS_ERR_BAD_FILE, "id %d is listed twice", id);
    listed[id] = true;
    b->special[id] = entry->special;
    MTS_TRY(bert_text_decode(ctx, entry->content, strlen(entry->content), &raw));
    if (entry->normalized) {
        MTS_TRY(bpe_normalize(ctx, b, raw.chars, raw.count, &normal));
        MTS_TRY(copy_codes(ctx, &normal, &b->decoded[id]));
        if (strcmp(b->decoded[id], entry->content) == 0) {
            mem_free(b->decoded[id]);
            b->decoded[id] = NULL;
        }
        pattern = &normal;
    }
    MTS_TRY(added_set_add(ctx, entry->normalized ? &b->added_normalized : &b->added_raw,
                          pattern->chars, pattern->count, id, entry->lstrip, entry->rstrip));
cleanup:
    bert_text_deinit(&raw);
    bert_text_deinit(&normal);
    return st;
}

/* All added tokens: into the vocabulary (listed NULL), or, when that is finished, as patterns. */
static mts_status read_added(mts_ctx *ctx, const json_t *root, bool *listed, bpe *b)
{
    mts_status st = MTS_OK;
    const json_t *array = json_object_get(root, "added_tokens");
    const json_t *tokens = json_object_get(json_object_get(root, "model"), "vocab");
    int64_t next = (int64_t)json_object_size(tokens);

    MTS_CHECK(array == NULL || json_is_null(array) || json_is_array(array), MTS_ERR_BAD_FILE,
              "added_tokens: expected an array, found %s", json_util_type_name(array));
    for (size_t i = 0; i < json_array_size(array); i++) {
        added_entry entry;
        st = read_added_entry(ctx, json_array_get(array, i), &entry);
        if (st == MTS_OK)
            st = listed == NULL ? enter_added(ctx, &entry, tokens, &next, b)
                                : add_pattern(ctx, &entry, listed, b);
        if (st != MTS_OK) {
            status_prefix(ctx, "added_tokens: entry %zu", i);
            break;
        }
    }
cleanup:
    return st;
}

mts_status bpe_json_read(mts_ctx *ctx, const json_t *root, bpe *b)
{
    mts_status st = MTS_OK;
    const json_t *model = json_object_get(root, "model");
    bool *listed = NULL;
    size_t count = 0;

    MTS_TRY(bpe_parts_read(ctx, root, b));
    MTS_TRY(read_settings(ctx, model, b));
    MTS_TRY(read_vocab(ctx, model, b));
    MTS_TRY(read_added(ctx, root, NULL, b));
    MTS_TRY(vocab_finish(ctx, &b->vocabulary, ""));
    MTS_TRY(read_merges(ctx, model, b));
    MTS_TRY(find_ids(ctx, model, b));
    count = (size_t)b->vocabulary.count;
    MTS_TRY(mem_calloc(ctx, &listed, count, sizeof *listed, "added tokens"));
    MTS_TRY(mem_calloc(ctx, &b->special, count, sizeof *b->special, "added tokens"));
    MTS_TRY(mem_calloc(ctx, &b->decoded, count, sizeof *b->decoded, "added tokens"));
    MTS_TRY(read_added(ctx, root, listed, b));
    added_set_finish(&b->added_raw);
    added_set_finish(&b->added_normalized);
    MTS_TRY(bpe_template_read(ctx, root, b));
cleanup:
    mem_free(listed);
    return st;
}
