/* The chat template and the special tokens that a model's files name.  See chat_template.h. */
#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "text/tokenizer_class.h"

/* The names under which templates know special tokens. */
static const char *const special_names[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                            "pad_token", "cls_token", "mask_token"};

enum { SPECIAL_NAMES = sizeof special_names / sizeof special_names[0] };

/* A special token is a text, or an object whose "content" is one. */
static const json_t *token_text(const json_t *value)
{
    const json_t *text = json_is_object(value) ? json_object_get(value, "content") : value;
    return json_is_string(text) ? text : NULL;
}

/* Put the special tokens of a file into specials, but those that are there. */
static mts_status put_specials(mts_ctx *ctx, const json_t *root, json_t *specials)
{
    mts_status st = MTS_OK;
    for (int i = 0; i < SPECIAL_NAMES; i++) {
        const json_t *text = token_text(json_object_get(root, special_names[i]));
        if (text != NULL && json_object_get(specials, special_names[i]) == NULL)
            MTS_TRY(json_util_set(ctx, specials, special_names[i], json_deep_copy(text)));
    }
cleanup:
    return st;
}

/* "chat_template" of tokenizer_config.json: a text, or a list of named ones with a "default". */
static const char *config_template(const json_t *config)
{
    const json_t *value = json_object_get(config, "chat_template");
    size_t i;
    json_t *item;
    if (json_is_array(value)) {
        const json_t *list = value;
        value = NULL;
        json_array_foreach(list, i, item)
        {
            const char *name = json_string_value(json_object_get(item, "name"));
            if (name != NULL && strcmp(name, "default") == 0)
                value = json_object_get(item, "template");
        }
    }
    return json_string_value(value);
}

mts_status chat_source_read(mts_ctx *ctx, const tokenizer_folder *folder, chat_source *out)
{
    mts_status st = MTS_OK;
    json_t *map = NULL;
    const char *text = folder->chat_template, *file = "chat_template.jinja";
    const bool is_folder = folder->model_config != NULL || folder->chat_template != NULL;
    *out = (chat_source){.specials = json_object()};
    MTS_CHECK(out->specials != NULL, MTS_ERR_MEMORY, "out of memory: special tokens");
    MTS_TRY(put_specials(ctx, folder->config, out->specials));
    if (is_folder)
        MTS_TRY(tokenizer_folder_load(ctx, folder->dir, "special_tokens_map.json", &map));
    MTS_TRY(put_specials(ctx, map, out->specials));
    if (text == NULL) {
        text = config_template(folder->config);
        file = "chat_template";
    }
    if (text == NULL)
        goto cleanup;
    MTS_TRY(mem_strdup(ctx, &out->text, text));
    MTS_TRY(path_join(ctx, &out->name, folder->dir, file));
cleanup:
    json_decref(map);
    return st;
}

void chat_source_deinit(chat_source *source)
{
    mem_free(source->text);
    mem_free(source->name);
    json_decref(source->specials);
    *source = (chat_source){0};
}
