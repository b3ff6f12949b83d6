/* Byte-pair encoding: making the object and asking it.  See bpe.h. */
#include "text/bpe.h"

#include <string.h>

#include "base/memory.h"
#include "text/roberta_files.h"

static void close_bpe(tokenizer *tok)
{
    bpe *b = (bpe *)tok;
    for (int64_t i = 0; b->decoded != NULL && i < b->vocabulary.count; i++)
        mem_free(b->decoded[i]);
    mem_free(b->decoded);
    mem_free(b->special);
    vocab_deinit(&b->vocabulary);
    bpe_merges_deinit(&b->merges);
    added_set_deinit(&b->added_raw);
    added_set_deinit(&b->added_normalized);
    mem_free(b);
}

/* Files of 2020 do not say the type of their model: it is this one if it has merges. */
static bool claims(const tokenizer_folder *folder)
{
    if (folder->model_type != NULL)
        return strcmp(folder->model_type, bpe_class.name) == 0;
    return json_object_get(folder->model, "merges") != NULL;
}

static mts_status open_bpe(mts_ctx *ctx, const tokenizer_folder *folder, tokenizer **out)
{
    mts_status st = MTS_OK;
    bpe *b = NULL;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &b, 1, sizeof *b, "tokenizer"));
    b->base.class = &bpe_class;
    if ((st = roberta_files_set_prefix(ctx, folder, &b->is_roberta)) != MTS_OK ||
        (st = bpe_json_read(ctx, folder->json, b)) != MTS_OK) {
        status_prefix(ctx, "%s", folder->source);
        goto cleanup;
    }
    *out = &b->base;
    b = NULL;
cleanup:
    if (b != NULL)
        close_bpe(&b->base);
    return st;
}

static mts_status set_lower_case(mts_ctx *ctx, tokenizer *tok, bool lower_case)
{
    (void)tok;
    (void)lower_case;
    return status_set(ctx, MTS_ERR_UNSUPPORTED,
                      "do_lower_case: a tokenizer of type BPE keeps upper and lower case");
}

static const char *get_token(const tokenizer *tok, int32_t id)
{
    return vocab_text(&((const bpe *)tok)->vocabulary, id);
}

static int64_t vocab_size(const tokenizer *tok)
{
    return ((const bpe *)tok)->vocabulary.count;
}

/* tokenizer.json says everything but this, and nothing of it can be changed. */
static mts_status write_rules(mts_ctx *ctx, const tokenizer *tok, bool words,
                              tokenizer_files *files)
{
    const bpe *b = (const bpe *)tok;
    return words && b->is_roberta ? roberta_files_say_words(ctx, files) : MTS_OK;
}

const tokenizer_class bpe_class = {
    .name = "BPE",
    .claims = claims,
    .open = open_bpe,
    .close = close_bpe,
    .set_lower_case = set_lower_case,
    .split = bpe_split,
    .decode = bpe_decode,
    .token = get_token,
    .vocab_size = vocab_size,
    .write_rules = write_rules,
};
