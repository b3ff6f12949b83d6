/* The BERT tokenizer: making the object and asking it.  See wordpiece.h; cutting text is in
 * wordpiece_split.c. */
#include "text/wordpiece.h"

#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"

static void close_wordpiece(tokenizer *tok)
{
    wordpiece *wp = (wordpiece *)tok;
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
static mts_status find_special(mts_ctx *ctx, wordpiece *wp, const wordpiece_spec *spec)
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
static mts_status build_added(mts_ctx *ctx, wordpiece *wp, const wordpiece_spec *spec)
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

/* [CLS] a [SEP], and [CLS] a [SEP] b [SEP]. */
static void set_templates(wordpiece *wp)
{
    const template_piece cls = {PIECE_TOKEN, wp->special[SPECIAL_CLS], 0};
    const template_piece sep_a = {PIECE_TOKEN, wp->special[SPECIAL_SEP], 0};
    const template_piece sep_b = {PIECE_TOKEN, wp->special[SPECIAL_SEP], 1};
    const template_piece a = {PIECE_TEXT_A, 0, 0}, b = {PIECE_TEXT_B, 0, 1};
    wp->base.single = (row_template){3, {cls, a, sep_a}};
    wp->base.pair = (row_template){5, {cls, a, sep_a, b, sep_b}};
}

/* By tokenizer.json where there is one.  Files of 2020 do not say the type of their model: they are
 * WordPiece if they have its parameter. */
static bool claims(const tokenizer_folder *folder)
{
    if (folder->json == NULL)
        return folder->has_vocab_txt;
    if (folder->model_type != NULL)
        return strcmp(folder->model_type, wordpiece_class.name) == 0;
    return json_object_get(folder->model, "continuing_subword_prefix") != NULL &&
           json_object_get(folder->model, "merges") == NULL;
}

static mts_status open_wordpiece(mts_ctx *ctx, const tokenizer_folder *folder, tokenizer **out)
{
    mts_status st = MTS_OK;
    wordpiece_spec spec = {0};
    wordpiece *wp = NULL;

    *out = NULL;
    MTS_TRY(wordpiece_spec_read(ctx, folder, &spec));
    MTS_TRY(mem_calloc(ctx, &wp, 1, sizeof *wp, "tokenizer"));
    wp->base.class = &wordpiece_class;
    wp->vocabulary = spec.vocabulary;
    spec.vocabulary = (vocab){0}; /* ownership moved */
    wp->normalizer = spec.normalizer;
    wp->max_input_chars = spec.max_input_chars;
    wp->as_json_says = spec.as_json_says;
    if ((st = vocab_finish(ctx, &wp->vocabulary, spec.prefix)) != MTS_OK ||
        (st = find_special(ctx, wp, &spec)) != MTS_OK ||
        (st = build_added(ctx, wp, &spec)) != MTS_OK) {
        status_prefix(ctx, "%s", folder->dir);
        goto cleanup;
    }
    set_templates(wp);
    *out = &wp->base;
    wp = NULL;
cleanup:
    if (wp != NULL)
        close_wordpiece(&wp->base);
    wordpiece_spec_deinit(&spec);
    return st;
}

/* Accents follow it where strip_accents is null in the files. */
static mts_status set_lower_case(mts_ctx *ctx, tokenizer *tok, bool lower_case)
{
    (void)ctx;
    ((wordpiece *)tok)->normalizer.lower_case = lower_case;
    return MTS_OK;
}

static const char *get_token(const tokenizer *tok, int32_t id)
{
    return vocab_text(&((const wordpiece *)tok)->vocabulary, id);
}

static int64_t vocab_size(const tokenizer *tok)
{
    return ((const wordpiece *)tok)->vocabulary.count;
}

const tokenizer_class wordpiece_class = {
    .name = "WordPiece",
    .claims = claims,
    .open = open_wordpiece,
    .close = close_wordpiece,
    .set_lower_case = set_lower_case,
    .split = wordpiece_split,
    .token = get_token,
    .vocab_size = vocab_size,
    .write_rules = wordpiece_write_rules,
};
