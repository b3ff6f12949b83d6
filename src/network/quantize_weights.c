/* The weights of a language model in 4 bits.  See quantize_weights.h. */
#include "network/quantize_weights.h"

#include <inttypes.h>

#include "base/memory.h"
#include "heads/head.h"
#include "network/network.h"
#include "network/weight_file.h"
#include "network/write_weights.h"

/* The model's tensors, and which of them each parameter is. */
typedef struct model_tensors {
    const quantize_request *request;
    weight_file file;
    weights_item *items;
    weight_tensor *base; /* of each item, by its index */
    int64_t count;
} model_tensors;

static mts_status read_rows(mts_ctx *ctx, const exec *ex, void *source, const weights_item *item,
                            int64_t first, int64_t rows, float *values)
{
    const model_tensors *m = source;
    (void)ex; /* a file is read by one thread */
    return weight_file_read_rows(ctx, &m->file, &m->base[item->index], first, rows, values);
}

/* Append the parameter. */
static mts_status add_item(mts_ctx *ctx, model_tensors *m, const param *p, const char *prefix)
{
    mts_status st = MTS_OK;
    weights_item *new = &m->items[m->count];
    weight_tensor t;
    MTS_CHECK(weight_file_find(&m->file, p->name, prefix, &t), MTS_ERR_BAD_FILE, "%s: no tensor %s",
              m->request->base, p->name);
    MTS_TRY(weight_file_check(ctx, &m->file, &t));
    MTS_CHECK(t.ndim == (p->vector ? 1 : 2) && t.shape[t.ndim - 1] == p->cols &&
                  (p->vector || t.shape[0] == p->rows),
              MTS_ERR_BAD_FILE,
              "%s: tensor %.200s: expected shape [%" PRId64 ", %" PRId64
              "], as its configuration asks for",
              t.file, t.name, p->rows, p->cols);
    *new = weights_item_of(p, m->count);
    new->file = t.file;
    new->tensor = t.name;
    m->base[m->count++] = t;
cleanup:
    return st;
}

/* All parameters of the model, by transformers' names. */
static mts_status list_parameters(mts_ctx *ctx, model_tensors *m)
{
    mts_status st = MTS_OK;
    model_config cfg = {0};
    param_list params = {0};
    const head_class *usual;
    const char *prefix, *base = m->request->base;
    MTS_TRY(model_load_config(ctx, base, &cfg));
    usual = head_class_usual(&cfg);
    MTS_CHECK(usual != NULL && usual->needs == HEAD_NEEDS_WORDS, MTS_ERR_UNSUPPORTED,
              "%s: expected a language model, found %s: only their weights are quantized", base,
              model_config_type(&cfg));
    MTS_TRY(network_declare(ctx, &cfg, usual, &params, &prefix));
    MTS_TRY(weight_file_open(ctx, base, &m->file));
    MTS_CHECK(m->file.nf4.count == 0, MTS_ERR_UNSUPPORTED, "%s: is quantized already", base);
    MTS_TRY(mem_calloc(ctx, &m->items, (size_t)params.count, sizeof *m->items, "list of tensors"));
    MTS_TRY(mem_calloc(ctx, &m->base, (size_t)params.count, sizeof *m->base, "list of tensors"));
    for (int64_t i = 0; i < params.count; i++)
        MTS_TRY(add_item(ctx, m, params.items[i], prefix));
cleanup:
    param_list_deinit(&params);
    model_config_deinit(&cfg);
    return st;
}

mts_status quantize_weights(mts_ctx *ctx, const quantize_request *request)
{
    mts_status st = MTS_OK;
    model_tensors m = {.request = request};
    weights_request write = {.read = read_rows,
                             .source = &m,
                             .threads = request->threads,
                             .shard_bytes = request->shard_bytes,
                             .dir = request->dir,
                             .doing = "quantizing",
                             .callbacks = request->callbacks};
    MTS_TRY(list_parameters(ctx, &m));
    write.items = m.items;
    write.count = m.count;
    MTS_TRY(weights_write(ctx, &write));
cleanup:
    mem_free(m.items);
    mem_free(m.base);
    weight_file_close(&m.file);
    return st;
}
