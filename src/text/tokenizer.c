/* Tokenizers: the table of classes, and what is asked of an object.  See tokenizer.h; rows are made
 * in tokenizer_rows.c. */
#include "text/tokenizer_class.h"

#include <stdio.h>

#include "base/utf8.h"
#include "text/roberta_files.h"

/* To add a tokenizer: a row here. */
static const tokenizer_class *const classes[] = {
    &wordpiece_class,
    &bpe_class,
};

enum { CLASSES = sizeof classes / sizeof classes[0] };

/* No class claims the folder: say why. */
static mts_status refuse(mts_ctx *ctx, const tokenizer_folder *folder)
{
    char quoted[UTF8_QUOTE_BYTES], names[256] = "";
    const char *type = folder->model_type != NULL ? folder->model_type : "absent";
    if (folder->json == NULL)
        return status_set(ctx, MTS_ERR_NOT_FOUND,
                          "%s: no tokenizer: neither vocab.txt nor tokenizer.json is there, or not "
                          "a regular file",
                          folder->dir);
    for (size_t i = 0, n = 0; i < CLASSES && n < sizeof names; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i > 0 ? ", " : "",
                              classes[i]->name);
    return status_set(ctx, MTS_ERR_UNSUPPORTED, "%s: model: type %s is not supported, only %s",
                      folder->source, utf8_quote(quoted, sizeof quoted, type), names);
}

static mts_status open_class(mts_ctx *ctx, const tokenizer_folder *folder, tokenizer **out)
{
    for (int i = 0; i < CLASSES; i++)
        if (classes[i]->claims(folder))
            return classes[i]->open(ctx, folder, out);
    return refuse(ctx, folder);
}

static mts_status open_folder(mts_ctx *ctx, const tokenizer_folder *folder, tokenizer **out)
{
    mts_status st = MTS_OK;
    MTS_TRY(open_class(ctx, folder, out));
    MTS_TRY(chat_source_read(ctx, folder, &(*out)->chat));
cleanup:
    if (st != MTS_OK) {
        tokenizer_close(*out);
        *out = NULL;
    }
    return st;
}

mts_status tokenizer_open(mts_ctx *ctx, const char *model_dir, tokenizer **out)
{
    return tokenizer_open_files(ctx, model_dir, out, NULL);
}

mts_status tokenizer_open_files(mts_ctx *ctx, const char *model_dir, tokenizer **out,
                                tokenizer_files *files)
{
    mts_status st = MTS_OK;
    tokenizer_folder folder = {0};
    *out = NULL;
    if (files != NULL)
        *files = (tokenizer_files){0};
    MTS_TRY(tokenizer_folder_read(ctx, model_dir, &folder));
    MTS_TRY(roberta_files_make(ctx, &folder));
    MTS_TRY(open_folder(ctx, &folder, out));
    if (files == NULL)
        goto cleanup;
    MTS_TRY(tokenizer_files_read(ctx, files, model_dir));
    if (folder.made)
        MTS_TRY(tokenizer_files_put(ctx, files, "tokenizer.json", folder.json));
cleanup:
    tokenizer_folder_deinit(&folder);
    return st;
}

mts_status tokenizer_open_json(mts_ctx *ctx, const char *source, json_t *json, json_t *config,
                               tokenizer **out)
{
    mts_status st = MTS_OK;
    tokenizer_folder folder = {0};
    *out = NULL;
    MTS_TRY(tokenizer_folder_make(ctx, source, json, config, &folder));
    MTS_TRY(open_folder(ctx, &folder, out));
cleanup:
    tokenizer_folder_deinit(&folder);
    return st;
}

void tokenizer_close(tokenizer *tok)
{
    if (tok == NULL)
        return;
    chat_source_deinit(&tok->chat);
    tok->class->close(tok);
}

mts_status tokenizer_set_lower_case(mts_ctx *ctx, tokenizer *tok, bool lower_case)
{
    return tok->class->set_lower_case(ctx, tok, lower_case);
}

mts_status tokenizer_write_rules(mts_ctx *ctx, const tokenizer *tok, bool words,
                                 tokenizer_files *files)
{
    return tok->class->write_rules(ctx, tok, words, files);
}

mts_status tokenizer_decode(mts_ctx *ctx, const tokenizer *tok, const int32_t *ids, int64_t count,
                            bool skip_special, char **text, size_t *bytes)
{
    mts_status st = MTS_OK;
    *text = NULL;
    *bytes = 0;
    MTS_CHECK(tok->class->decode != NULL, MTS_ERR_UNSUPPORTED,
              "a tokenizer of type %s does not decode", tok->class->name);
    MTS_TRY(tok->class->decode(ctx, tok, ids, count, skip_special, text, bytes));
cleanup:
    return st;
}

const char *tokenizer_token(const tokenizer *tok, int32_t id)
{
    return tok->class->token(tok, id);
}

int64_t tokenizer_vocab_size(const tokenizer *tok)
{
    return tok->class->vocab_size(tok);
}

int64_t tokenizer_type_count(const tokenizer *tok)
{
    int64_t count = 1;
    for (int64_t i = 0; i < tok->pair.count; i++)
        count = tok->pair.pieces[i].type_id >= count ? tok->pair.pieces[i].type_id + 1 : count;
    for (int64_t i = 0; i < tok->single.count; i++)
        count = tok->single.pieces[i].type_id >= count ? tok->single.pieces[i].type_id + 1 : count;
    return count;
}
