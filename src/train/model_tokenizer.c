/* The tokenizer of a model.  See model_tokenizer.h. */
#include "train/model_tokenizer.h"

#include <jansson.h>

#include "base/memory.h"
#include "io/gguf_model.h"
#include "io/gguf_tokenizer.h"

static mts_status open_gguf(mts_ctx *ctx, const char *path, tokenizer **out, tokenizer_files *files)
{
    mts_status st = MTS_OK;
    gguf *file = NULL;
    json_t *json = NULL, *config = NULL;
    MTS_TRY(gguf_open(ctx, path, &file));
    MTS_TRY(gguf_tokenizer_make(ctx, file, path, &json, &config));
    MTS_TRY(tokenizer_open_json(ctx, path, json, config, out));
    if (files != NULL) {
        MTS_TRY(tokenizer_files_init(ctx, files));
        MTS_TRY(tokenizer_files_put(ctx, files, "tokenizer.json", json));
        MTS_TRY(tokenizer_files_put(ctx, files, "tokenizer_config.json", config));
    }
cleanup:
    json_decref(json);
    json_decref(config);
    gguf_close(file);
    return st;
}

mts_status model_tokenizer_open(mts_ctx *ctx, const char *path, tokenizer **out,
                                tokenizer_files *files)
{
    mts_status st = MTS_OK;
    char *file = NULL;
    *out = NULL;
    if (files != NULL)
        *files = (tokenizer_files){0};
    MTS_TRY(gguf_model_find(ctx, path, &file));
    if (file != NULL)
        MTS_TRY(open_gguf(ctx, file, out, files));
    else
        MTS_TRY(tokenizer_open_files(ctx, path, out, files));
cleanup:
    mem_free(file);
    if (st != MTS_OK) {
        tokenizer_close(*out);
        *out = NULL;
    }
    return st;
}
