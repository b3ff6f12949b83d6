/* A low-rank adapter as a GGUF file.  See gguf_adapter.h. */
#include "io/gguf_adapter.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json_util.h"
#include "base/memory.h"
#include "base/text_end.h"
#include "base/utf8.h"
#include "io/gguf_model.h"
#include "io/gguf_writer.h"

enum { NAME_BYTES = 256, HEADS_MAX = 1024 };

/* How the rows of some layers lie in the files of an architecture. */
typedef enum row_order {
    ORDER_SAME,
    ORDER_PAIRS,  /* of q and k: gguf_model.h */
    ORDER_GROUPS, /* of query_key_value: by kind, not by group */
} row_order;

typedef struct family {
    const char *model_type;   /* of config.json */
    const char *architecture; /* of GGUF files */
    row_order order;
} family;

/* To add an architecture: a row here, and its names below or in gguf_model.c. */
static const family families[] = {
    {"llama", "llama", ORDER_PAIRS},    {"mistral", "llama", ORDER_PAIRS},
    {"qwen2", "qwen2", ORDER_SAME},     {"qwen3", "qwen3", ORDER_SAME},
    {"falcon", "falcon", ORDER_GROUPS}, {"gemma3_text", "gemma3", ORDER_SAME},
};

typedef struct base_model {
    const family *family;
    const char *name; /* of its config.json */
    int64_t heads, kv_heads;
} base_model;

/* ---------------------------------------------------------------------------- the base ---- */

static mts_status find_family(mts_ctx *ctx, const json_t *json, base_model *base)
{
    mts_status st = MTS_OK;
    const char *type = "";
    char quoted[UTF8_QUOTE_BYTES], known[128] = "";
    size_t used = 0;
    MTS_TRY(json_util_string(ctx, base->name, json, "model_type", &type));
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        if (strcmp(families[i].model_type, type) == 0)
            base->family = &families[i];
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i == 0 ? "" : ", ",
                                 families[i].model_type);
    }
    MTS_CHECK(base->family != NULL, MTS_ERR_UNSUPPORTED,
              "%s: model_type: expected one with GGUF adapters here (%s), found \"%s\"", base->name,
              known, utf8_quote(quoted, sizeof quoted, type));
cleanup:
    return st;
}

/* As FalconAttention of transformers counts them. */
static mts_status take_falcon_heads(mts_ctx *ctx, const json_t *json, base_model *base)
{
    mts_status st = MTS_OK;
    bool multi_query = true, new_decoder = false;
    MTS_TRY(json_util_bool(ctx, base->name, json, "multi_query", &multi_query));
    MTS_TRY(json_util_bool(ctx, base->name, json, "new_decoder_architecture", &new_decoder));
    MTS_TRY(json_util_int(ctx, base->name, json, "num_kv_heads", 1, HEADS_MAX, &base->kv_heads));
    if (multi_query && !new_decoder)
        base->kv_heads = 1;
cleanup:
    return st;
}

static mts_status take_base(mts_ctx *ctx, const json_t *json, const char *name, base_model *base)
{
    mts_status st = MTS_OK;
    *base = (base_model){.name = name};
    MTS_TRY(find_family(ctx, json, base));
    MTS_TRY(json_util_require(ctx, name, json, "num_attention_heads"));
    MTS_TRY(json_util_int(ctx, name, json, "num_attention_heads", 1, HEADS_MAX, &base->heads));
    base->kv_heads = base->heads;
    if (base->family->order == ORDER_GROUPS)
        MTS_TRY(take_falcon_heads(ctx, json, base));
    else
        MTS_TRY(
            json_util_int(ctx, name, json, "num_key_value_heads", 1, HEADS_MAX, &base->kv_heads));
    MTS_CHECK(base->heads % base->kv_heads == 0, MTS_ERR_BAD_FILE,
              "%s: expected heads that are a multiple of those of keys and values, found %" PRId64
              " and %" PRId64,
              name, base->heads, base->kv_heads);
cleanup:
    return st;
}

/* ------------------------------------------------------------------------------- layers ---- */

/* name: of a layer's weight in files of Falcon. */
static bool falcon_name(const char *module, char name[NAME_BYTES])
{
    static const char layers[] = "transformer.h.";
    static const char *const parts[][2] = {
        {"self_attention.query_key_value", "attn_qkv"},
        {"self_attention.dense", "attn_output"},
        {"mlp.dense_h_to_4h", "ffn_up"},
        {"mlp.dense_4h_to_h", "ffn_down"},
    };
    const char *number = module + sizeof layers - 1;
    if (strncmp(module, layers, sizeof layers - 1) != 0)
        return false;
    const size_t digits = strspn(number, "0123456789");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (digits == 0 || digits > 9 || number[digits] != '.' ||
            strcmp(number + digits + 1, parts[i][0]) != 0)
            continue;
        snprintf(name, NAME_BYTES, "blk.%.*s.%s.weight", (int)digits, number, parts[i][1]);
        return true;
    }
    return false;
}

static bool layer_name(const base_model *base, const char *module, char name[NAME_BYTES])
{
    char parameter[NAME_BYTES], known[GGUF_MODEL_NAME_BYTES];
    if (base->family->order == ORDER_GROUPS)
        return falcon_name(module, name);
    if ((size_t)snprintf(parameter, sizeof parameter, "%s.weight", module) >= sizeof parameter ||
        !gguf_model_name(parameter, known))
        return false;
    snprintf(name, NAME_BYTES, "%s", known);
    return true;
}

/* What the rows of a layer are: heads of so many rows each. */
typedef struct layer_rows {
    row_order order;
    int64_t head_rows;
    int64_t heads, kv_heads;
} layer_rows;

static mts_status find_rows(mts_ctx *ctx, const base_model *base, const peft_module *m,
                            layer_rows *out)
{
    mts_status st = MTS_OK;
    const bool k = text_ends_in(m->name, "self_attn.k_proj");
    int64_t parts = 1;
    bool even = false;
    *out = (layer_rows){.heads = base->heads, .kv_heads = base->kv_heads};
    if (base->family->order == ORDER_PAIRS && (k || text_ends_in(m->name, "self_attn.q_proj"))) {
        out->order = ORDER_PAIRS;
        parts = k ? base->kv_heads : base->heads;
        even = true;
    }
    if (base->family->order == ORDER_GROUPS && text_ends_in(m->name, ".query_key_value")) {
        out->order = ORDER_GROUPS;
        parts = base->heads + 2 * base->kv_heads;
    }
    out->head_rows = m->out / parts;
    MTS_CHECK(m->out % parts == 0 && (!even || out->head_rows % 2 == 0), MTS_ERR_BAD_FILE,
              "module %.200s of the adapter: expected outputs that are %" PRId64
              " heads, as %s says, found %" PRId64 ": an adapter of another base",
              m->name, parts, base->name, m->out);
cleanup:
    return st;
}

/* Row of transformers for a row of the file. */
static int64_t source_row(const layer_rows *rows, int64_t row)
{
    const int64_t d = rows->head_rows, head = row / d, in_head = row % d;
    if (rows->order == ORDER_PAIRS)
        return gguf_model_row(row, d);
    if (rows->order == ORDER_SAME)
        return row;
    const int64_t group = rows->heads / rows->kv_heads, past_q = head - rows->heads;
    if (past_q < 0)
        return (head / group * (group + 2) + head % group) * d + in_head;
    return (past_q % rows->kv_heads * (group + 2) + group + past_q / rows->kv_heads) * d + in_head;
}

/* ------------------------------------------------------------------------------ writing ---- */

/* One of the two tensors of a layer. */
typedef struct part {
    mts_ctx *ctx;
    const peft_adapter *adapter;
    const peft_module *module;
    layer_rows rows;
    bool second; /* B */
} part;

static mts_status write_part(void *user, file_writer *file)
{
    const part *p = user;
    mts_status st = MTS_OK;
    const int64_t ranks = p->adapter->config.rank;
    float *a = NULL, *b = NULL;
    MTS_TRY(peft_adapter_read(p->ctx, p->adapter, p->module, &a, &b));
    if (!p->second)
        MTS_TRY(file_writer_write(file, a, (size_t)(ranks * p->module->in) * sizeof *a));
    for (int64_t i = 0; p->second && i < p->module->out; i++)
        MTS_TRY(file_writer_write(file, b + source_row(&p->rows, i) * ranks,
                                  (size_t)ranks * sizeof *b));
cleanup:
    mem_free(a);
    mem_free(b);
    return st;
}

static mts_status add_layer(mts_ctx *ctx, const base_model *base, const peft_adapter *adapter,
                            const peft_module *m, part parts[2], gguf_writer *w)
{
    mts_status st = MTS_OK;
    const int64_t r = adapter->config.rank;
    const int64_t shapes[2][2] = {{r, m->in}, {m->out, r}};
    char name[NAME_BYTES], full[NAME_BYTES + 16];
    layer_rows rows;
    MTS_CHECK(layer_name(base, m->name, name), MTS_ERR_UNSUPPORTED,
              "%s: module %.200s has no name in GGUF files of architecture %s", adapter->path,
              m->name, base->family->architecture);
    MTS_TRY(find_rows(ctx, base, m, &rows));
    for (int i = 0; i < 2; i++) {
        parts[i] =
            (part){.ctx = ctx, .adapter = adapter, .module = m, .rows = rows, .second = i == 1};
        snprintf(full, sizeof full, "%s.lora_%c", name, i == 0 ? 'a' : 'b');
        MTS_TRY(gguf_writer_add(w, full, GGUF_F32, 2, shapes[i], write_part, &parts[i]));
    }
cleanup:
    return st;
}

static mts_status put_keys(mts_ctx *ctx, const base_model *base, const peft_config *c,
                           gguf_writer *w)
{
    mts_status st = MTS_OK;
    const double alpha = c->alpha * (c->rslora ? sqrt((double)c->rank) : 1.0);
    MTS_CHECK((float)alpha > 0.0f, MTS_ERR_UNSUPPORTED,
              PEFT_CONFIG ": lora_alpha: a GGUF adapter has none of 0, found %g", c->alpha);
    MTS_TRY(gguf_writer_put_text(w, "general.architecture", base->family->architecture));
    MTS_TRY(gguf_writer_put_text(w, "general.type", "adapter"));
    MTS_TRY(gguf_writer_put_text(w, "adapter.type", "lora"));
    MTS_TRY(gguf_writer_put_f32(w, "adapter.lora.alpha", (float)alpha));
cleanup:
    return st;
}

mts_status gguf_adapter_save(mts_ctx *ctx, const peft_adapter *adapter, const json_t *json,
                             const char *base_name, const char *path)
{
    mts_status st = MTS_OK;
    base_model base;
    part *parts = NULL;
    gguf_writer *w = NULL;
    MTS_CHECK(adapter->saved_count == 0, MTS_ERR_UNSUPPORTED,
              "%s: modules_to_save: a GGUF adapter has none, found %.200s", adapter->path,
              adapter->saved[0]->name);
    MTS_TRY(take_base(ctx, json, base_name, &base));
    MTS_TRY(mem_calloc(ctx, &parts, adapter->count, 2 * sizeof *parts, "list of tensors"));
    MTS_TRY(gguf_writer_open(ctx, path, &w));
    MTS_TRY(put_keys(ctx, &base, &adapter->config, w));
    for (size_t i = 0; i < adapter->count; i++)
        MTS_TRY(add_layer(ctx, &base, adapter, &adapter->modules[i], parts + 2 * i, w));
    MTS_TRY(gguf_writer_commit(w));
cleanup:
    gguf_writer_close(w);
    mem_free(parts);
    return st;
}
