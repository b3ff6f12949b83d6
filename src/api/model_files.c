/* What lies beside the weights of a model.  See model_files.h. */
#include "api/model_files.h"

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "io/gguf_model.h"
#include "train/model_tokenizer.h"

static const char *const names[] = {"generation_config.json",
                                    "tokenizer.json",
                                    "tokenizer_config.json",
                                    "special_tokens_map.json",
                                    "added_tokens.json",
                                    "vocab.txt",
                                    "vocab.json",
                                    "merges.txt",
                                    "tokenizer.model",
                                    "chat_template.jinja"};

mts_status model_files_write_config(mts_ctx *ctx, json_t *json, const char *dtype,
                                    const output_folder *f)
{
    mts_status st = MTS_OK;
    char *file = NULL;
    const bool old_name = json_object_get(json, "torch_dtype") != NULL;
    if (dtype != NULL && old_name)
        MTS_TRY(json_util_set(ctx, json, "torch_dtype", json_string(dtype)));
    if (dtype != NULL && (!old_name || json_object_get(json, "dtype") != NULL))
        MTS_TRY(json_util_set(ctx, json, "dtype", json_string(dtype)));
    MTS_TRY(path_join(ctx, &file, f->temporary, "config.json"));
    MTS_TRY(json_util_save(ctx, json, file));
cleanup:
    mem_free(file);
    return st;
}

static mts_status make_of_gguf(mts_ctx *ctx, const char *file, const output_folder *f)
{
    mts_status st = MTS_OK;
    tokenizer *tok = NULL;
    tokenizer_files files = {0};
    MTS_TRY(model_tokenizer_open(ctx, file, &tok, &files));
    MTS_TRY(tokenizer_files_write(ctx, &files, f->temporary));
cleanup:
    tokenizer_files_deinit(&files);
    tokenizer_close(tok);
    return st;
}

mts_status model_files_copy(mts_ctx *ctx, const char *base, const output_folder *f)
{
    mts_status st = MTS_OK;
    char *file = NULL;
    MTS_TRY(gguf_model_find(ctx, base, &file));
    if (file != NULL)
        MTS_TRY(make_of_gguf(ctx, file, f));
    for (size_t i = 0; file == NULL && i < sizeof names / sizeof names[0]; i++)
        MTS_TRY(output_folder_copy(ctx, f, base, names[i]));
cleanup:
    mem_free(file);
    return st;
}
