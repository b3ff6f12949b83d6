/* A GGUF file as a model: finding it, its weights.  See gguf_model.h. */
#include "io/gguf_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text_end.h"
#include "base/utf8.h"

enum { HEADS_MAX = 1024, HEAD_ROWS_MAX = 1024, KEY_BYTES = 64 };

/* To add an architecture: a row here, its names below, its keys in gguf_config.c. */
static const gguf_family families[] = {
    {"llama", "Llama", true},
    {"qwen2", "Qwen2", false},
    {"qwen3", "Qwen3", false},
};

/* ----------------------------------------------------------------------------- the file ------- */

mts_status gguf_model_find(mts_ctx *ctx, const char *path, char **file)
{
    mts_status st = MTS_OK;
    file_list list = {0};
    char *config = NULL;
    *file = NULL;
    if (file_exists(path))
        return mem_strdup(ctx, file, path);
    if (!dir_exists(path))
        return MTS_OK;
    MTS_TRY(path_join(ctx, &config, path, "config.json"));
    if (file_exists(config))
        goto cleanup;
    MTS_TRY(file_list_dir(ctx, path, &list));
    for (size_t i = 0; i < list.count; i++) {
        if (!text_has_ending(list.names[i], ".gguf"))
            continue;
        MTS_CHECK(*file == NULL, MTS_ERR_ARGUMENT,
                  "%s: expected config.json or one GGUF file, found several: give one of them",
                  path);
        MTS_TRY(path_join(ctx, file, path, list.names[i]));
    }
cleanup:
    if (st != MTS_OK) {
        mem_free(*file);
        *file = NULL;
    }
    file_list_deinit(&list);
    mem_free(config);
    return st;
}

/* "llama", "qwen2", ...: for an error text. */
static void list_families(char *text, size_t bytes)
{
    size_t used = 0;
    for (size_t i = 0; i < sizeof families / sizeof families[0] && used < bytes; i++)
        used += (size_t)snprintf(text + used, bytes - used, "%s\"%s\"", i == 0 ? "" : ", ",
                                 families[i].name);
}

static mts_status find_family(mts_ctx *ctx, gguf_model *m)
{
    static const char key[] = "general.architecture";
    mts_status st = MTS_OK;
    const char *name = NULL;
    char known[128], quoted[UTF8_QUOTE_BYTES];
    int64_t parts = 1;
    MTS_TRY(gguf_require_key(ctx, m->file, key));
    MTS_TRY(gguf_find_text(ctx, m->file, key, &name));
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        if (strcmp(families[i].name, name) == 0)
            m->family = &families[i];
    list_families(known, sizeof known);
    MTS_CHECK(m->family != NULL, MTS_ERR_UNSUPPORTED, "%s: key %s: expected %s, found \"%s\"",
              m->path, key, known, utf8_quote(quoted, sizeof quoted, name));
    MTS_TRY(gguf_find_int(ctx, m->file, "split.count", 0, INT64_MAX, &parts));
    MTS_CHECK(parts <= 1, MTS_ERR_UNSUPPORTED,
              "%s: one of %" PRId64 " files of a model: only models in one file are supported",
              m->path, parts);
cleanup:
    return st;
}

mts_status gguf_model_open(mts_ctx *ctx, const char *path, gguf_model *out)
{
    mts_status st = MTS_OK;
    char key[KEY_BYTES];
    *out = (gguf_model){.path = path};
    MTS_TRY(gguf_open(ctx, path, &out->file));
    MTS_TRY(find_family(ctx, out));
    snprintf(key, sizeof key, "%s.attention.head_count", out->family->name);
    MTS_TRY(gguf_require_key(ctx, out->file, key));
    MTS_TRY(gguf_find_int(ctx, out->file, key, 1, HEADS_MAX, &out->heads));
    out->kv_heads = out->heads;
    snprintf(key, sizeof key, "%s.attention.head_count_kv", out->family->name);
    MTS_TRY(gguf_find_int(ctx, out->file, key, 1, HEADS_MAX, &out->kv_heads));
cleanup:
    return st;
}

void gguf_model_close(gguf_model *m)
{
    gguf_close(m->file);
    *m = (gguf_model){0};
}

/* ----------------------------------------------------------------------------- weights -------- */

/* Names without ".weight" and ".bias". */
typedef struct name_pair {
    const char *transformers, *gguf;
} name_pair;

static const name_pair once[] = {
    {"model.embed_tokens", "token_embd"},
    {"model.norm", "output_norm"},
    {"lm_head", "output"},
};

static const name_pair of_layers[] = {
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
    {"input_layernorm", "attn_norm"},
    {"post_attention_layernorm", "ffn_norm"},
};

/* The pair whose first name is the text[n], or NULL. */
static const name_pair *find_pair(const name_pair *pairs, size_t count, const char *text, size_t n)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(pairs[i].transformers) == n && strncmp(pairs[i].transformers, text, n) == 0)
            return &pairs[i];
    return NULL;
}

bool gguf_model_name(const char *parameter, char name[GGUF_MODEL_NAME_BYTES])
{
    static const char layers[] = "model.layers.";
    const size_t prefix = sizeof layers - 1;
    const char *kind = strrchr(parameter, '.'), *part = parameter;
    const name_pair *pair;
    size_t digits = 0;
    if (kind == NULL || (strcmp(kind, ".weight") != 0 && strcmp(kind, ".bias") != 0))
        return false;
    if (strncmp(parameter, layers, prefix) == 0) {
        digits = strspn(parameter + prefix, "0123456789");
        part = parameter + prefix + digits + 1;
        if (digits == 0 || digits > 9 || part[-1] != '.' || part >= kind)
            return false;
        pair = find_pair(of_layers, sizeof of_layers / sizeof of_layers[0], part,
                         (size_t)(kind - part));
    } else {
        pair = find_pair(once, sizeof once / sizeof once[0], part, (size_t)(kind - part));
    }
    if (pair == NULL)
        return false;
    snprintf(name, GGUF_MODEL_NAME_BYTES, "%s%.*s%s%s%s", digits > 0 ? "blk." : "", (int)digits,
             digits > 0 ? parameter + prefix : "", digits > 0 ? "." : "", pair->gguf, kind);
    return true;
}

/* How many heads the rows of a tensor of this name are; 0: they are not reordered. */
static int64_t reordered_heads(const gguf_model *m, const char *name)
{
    if (!m->family->reordered || strncmp(name, "blk.", 4) != 0)
        return 0;
    name += 4 + strspn(name + 4, "0123456789");
    if (strcmp(name, ".attn_q.weight") == 0 || strcmp(name, ".attn_q.bias") == 0)
        return m->heads;
    if (strcmp(name, ".attn_k.weight") == 0 || strcmp(name, ".attn_k.bias") == 0)
        return m->kv_heads;
    return 0;
}

int64_t gguf_model_row(int64_t row, int64_t d)
{
    const int64_t in_head = row % d;
    return row - in_head + in_head % 2 * (d / 2) + in_head / 2;
}

mts_status gguf_model_head_rows(mts_ctx *ctx, const gguf_model *m, const gguf_tensor *t,
                                int64_t *out)
{
    mts_status st = MTS_OK;
    const int64_t heads = reordered_heads(m, t->name), rows = t->ndim < 2 ? t->cols : t->rows;
    *out = heads > 0 ? rows / heads : 0;
    MTS_CHECK(heads == 0 || (rows % heads == 0 && *out % 2 == 0 && *out <= HEAD_ROWS_MAX),
              MTS_ERR_BAD_FILE,
              "%s: tensor %.200s: expected %" PRId64 " heads of the same even number of rows, up "
              "to %d, found %" PRId64 " rows",
              m->path, t->name, heads, HEAD_ROWS_MAX, rows);
cleanup:
    return st;
}

int64_t gguf_model_row_in_file(int64_t row, int64_t d)
{
    const int64_t in_head = row % d;
    return row - in_head + in_head % (d / 2) * 2 + in_head / (d / 2);
}

mts_status gguf_model_read_rows(mts_ctx *ctx, const gguf_model *m, const gguf_tensor *t,
                                int64_t first, int64_t rows, float *out)
{
    mts_status st = MTS_OK;
    const bool vector = t->ndim < 2;
    int64_t d;
    float head[HEAD_ROWS_MAX];
    MTS_TRY(gguf_model_head_rows(ctx, m, t, &d));
    if (d == 0)
        return gguf_read_rows(ctx, t, first, rows, out);
    if (!vector) {
        for (int64_t i = 0; i < rows; i++)
            MTS_TRY(
                gguf_read_rows(ctx, t, gguf_model_row_in_file(first + i, d), 1, out + i * t->cols));
        return MTS_OK;
    }
    MTS_TRY(gguf_read_rows(ctx, t, first, rows, out));
    for (int64_t h = 0; h < t->cols / d; h++) {
        memcpy(head, out + h * d, (size_t)d * sizeof *head);
        for (int64_t i = 0; i < d; i++)
            out[h * d + gguf_model_row(i, d)] = head[i];
    }
cleanup:
    return st;
}

mts_status gguf_model_read(mts_ctx *ctx, const gguf_model *m, const gguf_tensor *t, float *out)
{
    return gguf_model_read_rows(ctx, m, t, 0, t->rows, out);
}
