/* The BERT tokenizer: making the object and asking it.  See wordpiece.h; encoding is in
 * wordpiece_encode.c. */
#include "text/wordpiece_object.h"

#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"

void wordpiece_close(wordpiece *wp)
{
    if (wp == NULL)
        return;
    vocab_deinit(&wp->vocabulary);
    added_set_deinit(&wp->added_raw);
    added_set_deinit(&wp->added_normalized[0]);
    added_set_deinit(&wp->added_normalized[1]);
    mem_free(wp);
}

/* Add one token to the set it belongs to; a normalised one in both cases of lower_case. */
static mts_status add_pattern(mts_ctx *ctx, wordpiece *wp, const added_token *token, int32_t id)
{
    mts_status st = MTS_OK;
    bert_text raw = {0}, normal = {0};
    bert_scratch scratch = {0};

    MTS_TRY(bert_text_decode(ctx, token->content, strlen(token->content), &raw));
    if (!token->normalized)
        MTS_TRY(added_set_add(ctx, &wp->added_raw, raw.chars, raw.count, id, token->lstrip,
                              token->rstrip));
    for (int lower = 0; token->normalized && lower < 2; lower++) {
        bert_normalizer rules = wp->normalizer;
        rules.lower_case = lower == 1;
        MTS_TRY(bert_normalize(ctx, &rules, raw.chars, raw.count, &scratch, &normal));
        if (normal.count > 0)
            MTS_TRY(added_set_add(ctx, &wp->added_normalized[lower], normal.chars, normal.count, id,
                                  token->lstrip, token->rstrip));
    }
cleanup:
    bert_text_deinit(&raw);
    bert_text_deinit(&normal);
    bert_scratch_deinit(&scratch);
    return st;
}

/* Find the ids of the special tokens; [UNK], [CLS] and [SEP] must be there. */
static mts_status find_special(mts_ctx *ctx, wordpiece *wp, const tokenizer_spec *spec)
{
    mts_status st = MTS_OK;
    char quoted[UTF8_QUOTE_BYTES];
    for (int i = 0; i < SPECIAL_COUNT; i++) {
        const char *name = spec->special[i];
        wp->special[i] = vocab_find(&wp->vocabulary, name, strlen(name));
        MTS_CHECK(wp->special[i] >= 0 || i == SPECIAL_PAD || i == SPECIAL_MASK, MTS_ERR_BAD_FILE,
                  "the vocabulary has no %s token", utf8_quote(quoted, sizeof quoted, name));
    }
cleanup:
    return st;
}

/* Make the sets of added tokens; the special tokens are among them even if no file lists them. */
static mts_status build_added(mts_ctx *ctx, wordpiece *wp, const tokenizer_spec *spec)
{
    mts_status st = MTS_OK;
    char quoted[UTF8_QUOTE_BYTES];
    bool listed[SPECIAL_COUNT] = {false};

    for (int64_t i = 0; i < spec->added_count; i++) {
        const added_token *token = &spec->added[i];
        int32_t id = vocab_find(&wp->vocabulary, token->content, strlen(token->content));
        MTS_CHECK(id >= 0, MTS_ERR_BAD_FILE, "special token \"%s\" is not in the vocabulary",
                  utf8_quote(quoted, sizeof quoted, token->content));
        for (int k = 0; k < SPECIAL_COUNT; k++)
            listed[k] = listed[k] || id == wp->special[k];
        MTS_TRY(add_pattern(ctx, wp, token, id));
    }
    for (int k = 0; k < SPECIAL_COUNT; k++) {
        added_token token = {.content = spec->special[k]};
        if (!listed[k] && wp->special[k] >= 0)
            MTS_TRY(add_pattern(ctx, wp, &token, wp->special[k]));
    }
    added_set_finish(&wp->added_raw);
    added_set_finish(&wp->added_normalized[0]);
    added_set_finish(&wp->added_normalized[1]);
cleanup:
    return st;
}

mts_status wordpiece_open(mts_ctx *ctx, const char *model_dir, wordpiece **out)
{
    mts_status st = MTS_OK;
    tokenizer_spec spec = {0};
    wordpiece *wp = NULL;

    *out = NULL;
    MTS_TRY(tokenizer_spec_read(ctx, model_dir, &spec));
    MTS_TRY(mem_calloc(ctx, &wp, 1, sizeof *wp, "tokenizer"));
    wp->vocabulary = spec.vocabulary;
    spec.vocabulary = (vocab){0}; /* ownership moved */
    wp->normalizer = spec.normalizer;
    wp->max_input_chars = spec.max_input_chars;
    if ((st = vocab_finish(ctx, &wp->vocabulary, spec.prefix)) != MTS_OK ||
        (st = find_special(ctx, wp, &spec)) != MTS_OK ||
        (st = build_added(ctx, wp, &spec)) != MTS_OK) {
        status_prefix(ctx, "%s", model_dir);
        goto cleanup;
    }
    *out = wp;
    wp = NULL;
cleanup:
    wordpiece_close(wp);
    tokenizer_spec_deinit(&spec);
    return st;
}

void wordpiece_set_lower_case(wordpiece *wp, bool lower_case)
{
    wp->normalizer.lower_case = lower_case;
}

bool wordpiece_lower_case(const wordpiece *wp)
{
    return wp->normalizer.lower_case;
}

const char *wordpiece_token(const wordpiece *wp, int32_t id)
{
    return vocab_text(&wp->vocabulary, id);
}

int32_t wordpiece_find_token(const wordpiece *wp, const char *token)
{
    return vocab_find(&wp->vocabulary, token, strlen(token));
}

int64_t wordpiece_vocab_size(const wordpiece *wp)
{
    return wp->vocabulary.count;
}

int32_t wordpiece_unk_id(const wordpiece *wp)
{
    return wp->special[SPECIAL_UNK];
}

int32_t wordpiece_cls_id(const wordpiece *wp)
{
    return wp->special[SPECIAL_CLS];
}

int32_t wordpiece_sep_id(const wordpiece *wp)
{
    return wp->special[SPECIAL_SEP];
}

int32_t wordpiece_pad_id(const wordpiece *wp)
{
    return wp->special[SPECIAL_PAD] >= 0 ? wp->special[SPECIAL_PAD] : 0;
}

int32_t wordpiece_mask_id(const wordpiece *wp)
{
    return wp->special[SPECIAL_MASK];
}

const char *const *wordpiece_file_names(int *count)
{
    static const char *const names[] = {"vocab.txt", "tokenizer.json", "tokenizer_config.json",
                                        "special_tokens_map.json", "added_tokens.json"};
    *count = (int)(sizeof names / sizeof names[0]);
    return names;
}
