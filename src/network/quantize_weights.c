/* The weights of a language model in 4 bits.  See quantize_weights.h. */
#include "network/quantize_weights.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "heads/head.h"
#include "network/network.h"
#include "network/weight_file.h"
#include "tensor/dynamic_map.h"

enum {
    BLOCK_ELEMENTS = 1 << 18, /* that are read at once, or as many rows as make whole blocks */
    STATE_BYTES = 256,        /* about the JSON text of a matrix */
    NAME_BYTES = PARAM_NAME_BYTES + 64,
    FILE_BYTES = 64,
};

typedef struct quantizer quantizer;

/* A parameter that is written. */
typedef struct item {
    quantizer *q;
    char name[PARAM_NAME_BYTES];
    weight_tensor base; /* where its values are */
    bool packed, vector;
    int64_t rows, cols;
    int64_t shard; /* from 0 */
    /* of a packed one, while its shard is written: */
    float *nested; /* [nf4_nested_blocks] */
    float offset;
    char *state; /* JSON */
} item;

struct quantizer {
    mts_ctx *ctx;
    const quantize_request *request;
    weight_file file;
    item *items;
    int64_t count, shards, done;
    float *values;   /* [block_elements] */
    uint16_t *halfs; /* [block_elements]; the codes of a block too */
    float *scales;   /* [most blocks of a matrix]; of `scaled`, likewise: */
    uint8_t *absmax;
    const item *scaled;
    int64_t block_elements;
    dynamic_map map;
};

/* ------------------------------------------------------------------------------- planning ---- */

/* Append the parameter. */
static mts_status add_item(quantizer *q, const param *p, const char *prefix)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = q->ctx;
    item *new = &q->items[q->count];
    weight_tensor t;
    MTS_CHECK(weight_file_find(&q->file, p->name, prefix, &t), MTS_ERR_BAD_FILE, "%s: no tensor %s",
              q->request->base, p->name);
    MTS_TRY(weight_file_check(ctx, &q->file, &t));
    MTS_CHECK(t.ndim == (p->vector ? 1 : 2) && t.shape[t.ndim - 1] == p->cols &&
                  (p->vector || t.shape[0] == p->rows),
              MTS_ERR_BAD_FILE,
              "%s: tensor %.200s: expected shape [%" PRId64 ", %" PRId64
              "], as its configuration asks for",
              t.file, t.name, p->rows, p->cols);
    *new = (item){.q = q,
                  .base = t,
                  .packed = p->quantised,
                  .vector = p->vector,
                  .rows = p->vector ? 1 : p->rows,
                  .cols = p->cols};
    memcpy(new->name, p->name, sizeof new->name);
    q->count++;
cleanup:
    return st;
}

/* All parameters of the model, by transformers' names. */
static mts_status list_parameters(quantizer *q)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = q->ctx;
    model_config cfg = {0};
    param_list params = {0};
    const char *prefix;
    MTS_TRY(model_load_config(ctx, q->request->base, &cfg));
    MTS_CHECK(model_class_of_config(&cfg)->words != NULL, MTS_ERR_UNSUPPORTED,
              "%s: expected a language model, found %s: only their weights are quantized",
              q->request->base, model_config_type(&cfg));
    MTS_TRY(network_declare(ctx, &cfg, head_class_find("next token"), &params, &prefix));
    MTS_TRY(weight_file_open(ctx, q->request->base, &q->file));
    MTS_CHECK(q->file.nf4.count == 0, MTS_ERR_UNSUPPORTED, "%s: is quantized already",
              q->request->base);
    MTS_TRY(mem_calloc(ctx, &q->items, (size_t)params.count, sizeof *q->items, "list of tensors"));
    for (int64_t i = 0; i < params.count; i++)
        MTS_TRY(add_item(q, params.items[i], prefix));
cleanup:
    param_list_deinit(&params);
    model_config_deinit(&cfg);
    return st;
}

static int compare_items(const void *a, const void *b)
{
    return strcmp(((const item *)a)->name, ((const item *)b)->name);
}

/* Of all tensors of a parameter, but for some characters of the state. */
static uint64_t bytes_of(const item *it)
{
    const int64_t n = it->rows * it->cols;
    if (!it->packed)
        return (uint64_t)n * sizeof(uint16_t);
    return (uint64_t)(nf4_code_bytes(n) + nf4_blocks(n)) +
           (uint64_t)(nf4_nested_blocks(n) + 256 + 16) * sizeof(float) + STATE_BYTES;
}

/* Give each parameter its file: one is filled after the other, in order of names. */
static void choose_shards(quantizer *q)
{
    uint64_t used = 0;
    qsort(q->items, (size_t)q->count, sizeof *q->items, compare_items);
    q->shards = 1;
    for (int64_t i = 0; i < q->count; i++) {
        const uint64_t bytes = bytes_of(&q->items[i]), most = q->request->shard_bytes;
        if (used > 0 && (bytes > most || used > most - bytes)) {
            q->shards++;
            used = 0;
        }
        q->items[i].shard = q->shards - 1;
        used += bytes;
    }
}

/* The fewest rows that are whole blocks of elements. */
static int64_t least_rows(int64_t cols)
{
    int64_t rows = NF4_BLOCK;
    while (rows % 2 == 0 && cols % 2 == 0) {
        rows /= 2;
        cols /= 2;
    }
    return rows;
}

static mts_status take_memory(quantizer *q)
{
    mts_status st = MTS_OK;
    int64_t blocks = 1;
    q->block_elements = BLOCK_ELEMENTS;
    for (int64_t i = 0; i < q->count; i++) {
        const item *it = &q->items[i];
        const int64_t least = least_rows(it->cols) * it->cols;
        const int64_t own = it->packed ? nf4_blocks(it->rows * it->cols) : 0;
        q->block_elements = least > q->block_elements ? least : q->block_elements;
        blocks = own > blocks ? own : blocks;
    }
    MTS_TRY(mem_calloc(q->ctx, &q->values, (size_t)q->block_elements, sizeof *q->values, "rows"));
    MTS_TRY(mem_calloc(q->ctx, &q->halfs, (size_t)q->block_elements, sizeof *q->halfs, "rows"));
    MTS_TRY(mem_calloc(q->ctx, &q->scales, (size_t)blocks, sizeof *q->scales, "scales"));
    MTS_TRY(mem_calloc(q->ctx, &q->absmax, (size_t)blocks, sizeof *q->absmax, "scales"));
    dynamic_map_make(&q->map, true);
cleanup:
    return st;
}

/* --------------------------------------------------------------------------------- values ---- */

/* How many rows are read at once: whole blocks of elements. */
static int64_t piece_rows(const item *it)
{
    const int64_t least = least_rows(it->cols);
    return it->q->block_elements / (least * it->cols) * least;
}

/* Read rows [first, first + rows): halfs, and values rounded to them. */
static mts_status read_piece(const item *it, int64_t first, int64_t rows)
{
    mts_status st = MTS_OK;
    quantizer *q = it->q;
    mts_ctx *ctx = q->ctx;
    const int64_t n = rows * it->cols;
    MTS_TRY(weight_file_read_rows(ctx, &q->file, &it->base, first, rows, q->values));
    for (int64_t i = 0; i < n; i++) {
        q->halfs[i] = bf16_of_float(q->values[i]);
        q->values[i] = float_of_bf16(q->halfs[i]);
        MTS_CHECK(isfinite(q->values[i]), MTS_ERR_BAD_FILE,
                  "%s: tensor %.200s: element %" PRId64 " is too large for bfloat16", it->base.file,
                  it->base.name, first * it->cols + i);
    }
cleanup:
    return st;
}

/* Tell how far it came. */
static mts_status report(const quantizer *q)
{
    const mts_callbacks *c = q->request->callbacks;
    const mts_event event = {
        .kind = MTS_EVENT_PROGRESS, .text = "quantizing", .done = q->done, .total = q->count};
    if (c != NULL && c->on_event != NULL && !c->on_event(c->user, &event))
        return status_set(q->ctx, MTS_ERR_INTERRUPTED,
                          "interrupted: the same command goes on behind the files that are done");
    return MTS_OK;
}

/* The text of a matrix's state. */
static mts_status make_state(item *it)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = it->q->ctx;
    json_t *json =
        json_pack("{s:s, s:i, s:s, s:[I, I], s:i, s:s, s:f}", "quant_type", "nf4", "blocksize",
                  NF4_BLOCK, "dtype", "bfloat16", "shape", (json_int_t)it->rows,
                  (json_int_t)it->cols, "nested_blocksize", NF4_NESTED_BLOCK, "nested_dtype",
                  "float32", "nested_offset", (double)it->offset);
    MTS_CHECK(json != NULL, MTS_ERR_MEMORY, "out of memory: state of a tensor");
    MTS_TRY(json_util_dump(ctx, json, 0, false, &it->state));
cleanup:
    json_decref(json);
    return st;
}

/* The second level of it, whose scales are there. */
static mts_status nest(item *it)
{
    quantizer *q = it->q;
    mts_ctx *ctx = q->ctx;
    mts_status st = MTS_OK;
    nf4_quantize_scales(q->scales, nf4_blocks(it->rows * it->cols), q->map.value, q->absmax,
                        it->nested, &it->offset);
    MTS_CHECK(isfinite(it->offset), MTS_ERR_BAD_FILE,
              "%s: tensor %.200s: its numbers are too large for a mean of their scales",
              it->base.file, it->base.name);
    q->scaled = it;
cleanup:
    return st;
}

/* Find the scales of a matrix: what stands before its codes in the file. */
static mts_status measure(item *it)
{
    mts_status st = MTS_OK;
    quantizer *q = it->q;
    const int64_t n = it->rows * it->cols, piece = piece_rows(it);
    MTS_TRY(mem_calloc(q->ctx, &it->nested, (size_t)nf4_nested_blocks(n), sizeof *it->nested,
                       "scales"));
    for (int64_t i = 0; i < it->rows; i += piece) {
        const int64_t rows = it->rows - i < piece ? it->rows - i : piece;
        MTS_TRY(read_piece(it, i, rows));
        nf4_find_scales(q->values, rows * it->cols, q->scales + i * it->cols / NF4_BLOCK);
    }
    MTS_TRY(nest(it));
    MTS_TRY(make_state(it));
    MTS_TRY(report(q));
cleanup:
    return st;
}

static void forget(item *it)
{
    mem_free(it->nested);
    mem_free(it->state);
    it->nested = NULL;
    it->state = NULL;
}

/* ---------------------------------------------------------------------------------- files ---- */

/* All values in bfloat16. */
static mts_status write_halfs(void *user, file_writer *file)
{
    mts_status st = MTS_OK;
    const item *it = user;
    quantizer *q = it->q;
    const int64_t piece = piece_rows(it);
    for (int64_t i = 0; i < it->rows; i += piece) {
        const int64_t rows = it->rows - i < piece ? it->rows - i : piece;
        MTS_TRY(read_piece(it, i, rows));
        MTS_TRY(file_writer_write(file, q->halfs, (size_t)(rows * it->cols) * sizeof *q->halfs));
    }
    q->done++;
    MTS_TRY(report(q));
cleanup:
    return st;
}

/* All codes. */
static mts_status write_codes(void *user, file_writer *file)
{
    mts_status st = MTS_OK;
    item *it = user;
    quantizer *q = it->q;
    uint8_t *codes = (uint8_t *)q->halfs;
    const int64_t piece = piece_rows(it);
    for (int64_t i = 0; i < it->rows; i += piece) {
        const int64_t rows = it->rows - i < piece ? it->rows - i : piece, n = rows * it->cols;
        MTS_TRY(read_piece(it, i, rows));
        nf4_quantize(q->values, n, codes, q->scales + i * it->cols / NF4_BLOCK);
        MTS_TRY(file_writer_write(file, codes, (size_t)nf4_code_bytes(n)));
    }
    MTS_TRY(nest(it));
cleanup:
    return st;
}

/* The codes of the scales, which were found with the codes: they are written right behind them. */
static mts_status write_absmax(void *user, file_writer *file)
{
    mts_status st = MTS_OK;
    const item *it = user;
    quantizer *q = it->q;
    mts_ctx *ctx = q->ctx;
    MTS_CHECK(q->scaled == it, MTS_ERR_ARGUMENT, "internal error: %s: scales of another tensor",
              it->name);
    MTS_TRY(file_writer_write(file, q->absmax, (size_t)nf4_blocks(it->rows * it->cols)));
    q->done++;
    MTS_TRY(report(q));
cleanup:
    return st;
}

/* Declare one part of a packed matrix: data, or what writes it. */
static mts_status add_part(safetensors_writer *w, item *it, const char *ending, st_dtype dtype,
                           int64_t count, const void *data, safetensors_write_fn *write)
{
    char name[NAME_BYTES];
    const int64_t shape[2] = {count, 1};
    snprintf(name, sizeof name, "%s%s", it->name, ending);
    if (write == NULL)
        return safetensors_writer_add(w, name, dtype, 1, shape, data);
    return safetensors_writer_add_stream(w, name, dtype, *ending == '\0' ? 2 : 1, shape, write, it);
}

static mts_status add_packed(safetensors_writer *w, item *it)
{
    mts_status st = MTS_OK;
    const int64_t n = it->rows * it->cols;
    MTS_TRY(measure(it));
    MTS_TRY(add_part(w, it, "", ST_DTYPE_U8, nf4_code_bytes(n), NULL, write_codes));
    MTS_TRY(add_part(w, it, NF4_ABSMAX, ST_DTYPE_U8, nf4_blocks(n), NULL, write_absmax));
    MTS_TRY(
        add_part(w, it, NF4_NESTED_ABSMAX, ST_DTYPE_F32, nf4_nested_blocks(n), it->nested, NULL));
    MTS_TRY(add_part(w, it, NF4_NESTED_MAP, ST_DTYPE_F32, 256, it->q->map.value, NULL));
    MTS_TRY(add_part(w, it, NF4_QUANT_MAP, ST_DTYPE_F32, 16, nf4_value, NULL));
    MTS_TRY(add_part(w, it, NF4_STATE, ST_DTYPE_U8, (int64_t)strlen(it->state), it->state, NULL));
cleanup:
    return st;
}

static mts_status add_plain(safetensors_writer *w, item *it)
{
    const int64_t shape[2] = {it->rows, it->cols};
    return safetensors_writer_add_stream(w, it->name, ST_DTYPE_BF16, it->vector ? 1 : 2,
                                         it->vector ? shape + 1 : shape, write_halfs, it);
}

/* *path: of a file of the weights; name: the same without the folder. */
static mts_status shard_path(const quantizer *q, int64_t shard, char name[FILE_BYTES], char **path)
{
    if (q->shards == 1)
        snprintf(name, FILE_BYTES, "model.safetensors");
    else
        snprintf(name, FILE_BYTES, "model-%05" PRId64 "-of-%05" PRId64 ".safetensors", shard + 1,
                 q->shards);
    return path_join(q->ctx, path, q->request->dir, name);
}

/* One that is there is complete. */
static mts_status write_shard(quantizer *q, int64_t shard)
{
    mts_status st = MTS_OK;
    char *path = NULL, name[FILE_BYTES];
    safetensors_writer *w = NULL;
    bool there = false;
    MTS_TRY(shard_path(q, shard, name, &path));
    there = file_exists(path);
    MTS_TRY(safetensors_writer_open(q->ctx, path, &w));
    for (int64_t i = 0; i < q->count; i++) {
        item *it = &q->items[i];
        if (it->shard != shard)
            continue;
        if (there)
            q->done++;
        else
            MTS_TRY(it->packed ? add_packed(w, it) : add_plain(w, it));
    }
    MTS_TRY(there ? report(q) : safetensors_writer_commit(w));
cleanup:
    for (int64_t i = 0; i < q->count; i++)
        forget(&q->items[i]);
    safetensors_writer_close(w);
    mem_free(path);
    return st;
}

/* Note the tensors of a shard in map; *bytes: grows by theirs. */
static mts_status map_shard(const quantizer *q, int64_t shard, json_t *map, uint64_t *bytes)
{
    mts_status st = MTS_OK;
    char *path = NULL, name[FILE_BYTES];
    safetensors *file = NULL;
    MTS_TRY(shard_path(q, shard, name, &path));
    MTS_TRY(safetensors_open_file(q->ctx, path, &file));
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const st_tensor *t = safetensors_at(file, i);
        MTS_TRY(json_util_set(q->ctx, map, t->name, json_string(name)));
        *bytes += t->bytes;
    }
cleanup:
    safetensors_close(file);
    mem_free(path);
    return st;
}

/* model.safetensors.index.json, as transformers writes it. */
static mts_status write_index(const quantizer *q)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = q->ctx;
    char *path = NULL;
    uint64_t bytes = 0;
    json_t *map = json_object(), *root = json_object();
    MTS_CHECK(map != NULL && root != NULL, MTS_ERR_MEMORY, "out of memory: index of shards");
    for (int64_t i = 0; i < q->shards; i++)
        MTS_TRY(map_shard(q, i, map, &bytes));
    MTS_TRY(
        json_util_set(ctx, root, "metadata", json_pack("{s:I}", "total_size", (json_int_t)bytes)));
    MTS_TRY(json_util_set(ctx, root, "weight_map", json_incref(map)));
    MTS_TRY(path_join(ctx, &path, q->request->dir, "model.safetensors.index.json"));
    MTS_TRY(json_util_save(ctx, root, path));
cleanup:
    json_decref(map);
    json_decref(root);
    mem_free(path);
    return st;
}

mts_status quantize_weights(mts_ctx *ctx, const quantize_request *request)
{
    mts_status st = MTS_OK;
    quantizer q = {.ctx = ctx, .request = request};
    MTS_TRY(list_parameters(&q));
    choose_shards(&q);
    MTS_TRY(take_memory(&q));
    for (int64_t i = 0; i < q.shards; i++)
        MTS_TRY(write_shard(&q, i));
    if (q.shards > 1)
        MTS_TRY(write_index(&q));
cleanup:
    mem_free(q.items);
    mem_free(q.values);
    mem_free(q.halfs);
    mem_free(q.scales);
    mem_free(q.absmax);
    weight_file_close(&q.file);
    return st;
}
