/* The weights of a language model, as a folder.  See write_weights.h. */
#include "network/write_weights.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/disk_room.h"
#include "base/half.h"
#include "base/json_util.h"
#include "io/nf4_tensors.h"
#include "network/shard_files.h"
#include "tensor/dynamic_map.h"
#include "tensor/nf4.h"

enum {
    BLOCK_ELEMENTS = 1 << 18, /* that are read at once, or as many rows as make whole blocks */
    SLICE_BLOCKS = 256,       /* of them a thread rounds and packs at a time */
    STATE_BYTES = 256,        /* about the JSON text of a matrix */
    NAME_BYTES = PARAM_NAME_BYTES + 64,
};

weights_item weights_item_of(const param *p, int64_t index)
{
    weights_item item = {.index = index,
                         .packed = p->quantised,
                         .vector = p->vector,
                         .rows = p->vector ? 1 : p->rows,
                         .cols = p->cols};
    memcpy(item.name, p->name, sizeof item.name);
    return item;
}

typedef struct writer writer;

/* An item, while its shard is written. */
typedef struct tensor {
    writer *w;
    const weights_item *item;
    int64_t shard; /* from 0 */
    /* of a packed one: */
    float *nested; /* [nf4_nested_blocks] */
    float offset;
    char *state; /* JSON */
} tensor;

struct writer {
    mts_ctx *ctx;
    const weights_request *request;
    exec ex; /* its threads alone */
    tensor *tensors;
    int64_t count, shards, done;
    float *values;   /* [block_elements] */
    uint16_t *halfs; /* [block_elements] */
    uint8_t *codes;  /* [block_elements / 2] */
    float *scales;   /* [most blocks of a matrix]; of `scaled`, likewise: */
    uint8_t *absmax;
    const tensor *scaled;
    int64_t block_elements;
    dynamic_map map;
};

/* ------------------------------------------------------------------------------- planning ---- */

static int compare_items(const void *a, const void *b)
{
    return strcmp(((const weights_item *)a)->name, ((const weights_item *)b)->name);
}

static int64_t elements_of(const tensor *t)
{
    return t->item->rows * t->item->cols;
}

/* Of all tensors of an item, but for some characters of the state. */
static uint64_t bytes_of(const weights_item *it)
{
    const int64_t n = it->rows * it->cols;
    if (!it->packed)
        return (uint64_t)n * sizeof(uint16_t);
    return (uint64_t)(nf4_code_bytes(n) + nf4_blocks(n)) +
           (uint64_t)(nf4_nested_blocks(n) + 256 + 16) * sizeof(float) + STATE_BYTES;
}

/* Give each item its file: one is filled after the other, in order of names. */
static mts_status choose_shards(writer *w)
{
    mts_status st = MTS_OK;
    uint64_t used = 0;
    const uint64_t most = w->request->shard_bytes;
    weights_item *items = w->request->items;
    w->count = w->request->count;
    w->shards = 1;
    MTS_TRY(mem_calloc(w->ctx, &w->tensors, (size_t)w->count, sizeof *w->tensors, "tensors"));
    qsort(items, (size_t)w->count, sizeof *items, compare_items);
    for (int64_t i = 0; i < w->count; i++) {
        const uint64_t bytes = bytes_of(&items[i]);
        if (used > 0 && (bytes > most || used > most - bytes)) {
            w->shards++;
            used = 0;
        }
        w->tensors[i] = (tensor){.w = w, .item = &items[i], .shard = w->shards - 1};
        used += bytes;
    }
cleanup:
    return st;
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

static mts_status take_memory(writer *w)
{
    mts_status st = MTS_OK;
    int64_t blocks = 1;
    w->block_elements = BLOCK_ELEMENTS;
    for (int64_t i = 0; i < w->count; i++) {
        const weights_item *it = w->tensors[i].item;
        const int64_t least = least_rows(it->cols) * it->cols;
        const int64_t own = it->packed ? nf4_blocks(it->rows * it->cols) : 0;
        w->block_elements = least > w->block_elements ? least : w->block_elements;
        blocks = own > blocks ? own : blocks;
    }
    const size_t block = (size_t)w->block_elements;
    MTS_TRY(mem_calloc(w->ctx, &w->values, block, sizeof *w->values, "rows"));
    MTS_TRY(mem_calloc(w->ctx, &w->halfs, block, sizeof *w->halfs, "rows"));
    MTS_TRY(mem_calloc(w->ctx, &w->codes, block / 2, 1, "codes"));
    MTS_TRY(mem_calloc(w->ctx, &w->scales, (size_t)blocks, sizeof *w->scales, "scales"));
    MTS_TRY(mem_calloc(w->ctx, &w->absmax, (size_t)blocks, sizeof *w->absmax, "scales"));
    dynamic_map_make(&w->map, true);
cleanup:
    return st;
}

/* --------------------------------------------------------------------------------- values ---- */

/* How many rows are read at once: whole blocks of elements. */
static int64_t piece_rows(const tensor *t)
{
    const int64_t least = least_rows(t->item->cols);
    return t->w->block_elements / (least * t->item->cols) * least;
}

/* What is made of a piece, block by block. */
typedef enum piece_use { ROUND, FIND_SCALES, PACK } piece_use;

typedef struct piece_job {
    writer *w;
    int64_t elements;
    piece_use use;
    float *scales; /* of the piece's blocks */
    bool bad;      /* a number is too large */
} piece_job;

/* values[n], rounded, and halfs.  False: a number is not finite then. */
static bool round_values(float *values, uint16_t *halfs, int64_t n)
{
    uint32_t most = 0;
    for (int64_t i = 0; i < n; i++) {
        halfs[i] = bf16_of_float(values[i]);
        const uint32_t magnitude = halfs[i] & 0x7fffu;
        values[i] = float_of_bf16(halfs[i]);
        most = magnitude > most ? magnitude : most;
    }
    return most < FLOAT_INFINITY_BITS >> 16;
}

/* Blocks [begin, end) of a piece. */
static void use_blocks(void *arg, int64_t begin, int64_t end)
{
    piece_job *job = arg;
    const int64_t first = begin * NF4_BLOCK, last = end * NF4_BLOCK;
    const int64_t n = (last < job->elements ? last : job->elements) - first;
    float *values = job->w->values + first;
    const bool ready = job->w->request->rounded && job->use != ROUND;
    if (!ready && !round_values(values, job->w->halfs + first, n)) {
#pragma omp atomic write
        job->bad = true;
        return;
    }
    if (job->use == FIND_SCALES)
        nf4_find_scales(values, n, job->scales + begin);
    else if (job->use == PACK)
        nf4_quantize(values, n, job->w->codes + first / 2, job->scales + begin);
}

/* Read rows [first, first + rows), as floats and halfs, and find the scales or the codes too. */
static mts_status take_piece(const tensor *t, int64_t first, int64_t rows, piece_use use)
{
    mts_status st = MTS_OK;
    writer *w = t->w;
    mts_ctx *ctx = w->ctx;
    const weights_item *it = t->item;
    piece_job job = {.w = w,
                     .elements = rows * it->cols,
                     .use = use,
                     .scales = w->scales + (it->packed ? first * it->cols / NF4_BLOCK : 0)};
    MTS_TRY(w->request->read(ctx, &w->ex, w->request->source, it, first, rows, w->values));
    exec_parallel(&w->ex, nf4_blocks(job.elements), SLICE_BLOCKS, use_blocks, &job);
    for (int64_t i = 0; job.bad && i < job.elements; i++)
        MTS_CHECK(isfinite(float_of_bf16(w->halfs[i])), MTS_ERR_BAD_FILE,
                  "%s: tensor %.200s: element %" PRId64 " is too large for bfloat16", it->file,
                  it->tensor, first * it->cols + i);
cleanup:
    return st;
}

/* Take all pieces; write their halfs or codes to file, if that is what is made. */
static mts_status take_pieces(const tensor *t, piece_use use, file_writer *file)
{
    mts_status st = MTS_OK;
    const writer *w = t->w;
    const int64_t piece = piece_rows(t), all = t->item->rows;
    for (int64_t i = 0; i < all; i += piece) {
        const int64_t rows = all - i < piece ? all - i : piece, n = rows * t->item->cols;
        MTS_TRY(take_piece(t, i, rows, use));
        if (use == ROUND)
            MTS_TRY(file_writer_write(file, w->halfs, (size_t)n * sizeof *w->halfs));
        else if (use == PACK)
            MTS_TRY(file_writer_write(file, w->codes, (size_t)nf4_code_bytes(n)));
    }
cleanup:
    return st;
}

/* Tell how far it came. */
static mts_status report(const writer *w)
{
    const mts_callbacks *c = w->request->callbacks;
    const mts_event event = {
        .kind = MTS_EVENT_PROGRESS, .text = w->request->doing, .done = w->done, .total = w->count};
    if (c != NULL && c->on_event != NULL && !c->on_event(c->user, &event))
        return status_set(w->ctx, MTS_ERR_INTERRUPTED,
                          "interrupted: the same command goes on behind the files that are done");
    return MTS_OK;
}

/* The text of a matrix's state. */
static mts_status make_state(tensor *t)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = t->w->ctx;
    json_t *json =
        json_pack("{s:s, s:i, s:s, s:[I, I], s:i, s:s, s:f}", "quant_type", "nf4", "blocksize",
                  NF4_BLOCK, "dtype", "bfloat16", "shape", (json_int_t)t->item->rows,
                  (json_int_t)t->item->cols, "nested_blocksize", NF4_NESTED_BLOCK, "nested_dtype",
                  "float32", "nested_offset", (double)t->offset);
    MTS_CHECK(json != NULL, MTS_ERR_MEMORY, "out of memory: state of a tensor");
    MTS_TRY(json_util_dump(ctx, json, 0, false, &t->state));
cleanup:
    json_decref(json);
    return st;
}

/* The second level of t, whose scales are there. */
static mts_status nest(tensor *t)
{
    writer *w = t->w;
    mts_ctx *ctx = w->ctx;
    mts_status st = MTS_OK;
    nf4_quantize_scales(w->scales, nf4_blocks(elements_of(t)), w->map.value, w->absmax, t->nested,
                        &t->offset);
    MTS_CHECK(isfinite(t->offset), MTS_ERR_BAD_FILE,
              "%s: tensor %.200s: its numbers are too large for a mean of their scales",
              t->item->file, t->item->tensor);
    w->scaled = t;
cleanup:
    return st;
}

/* Find the scales of a matrix: what stands before its codes in the file. */
static mts_status measure(tensor *t)
{
    mts_status st = MTS_OK;
    writer *w = t->w;
    const int64_t blocks = nf4_nested_blocks(elements_of(t));
    MTS_TRY(mem_calloc(w->ctx, &t->nested, (size_t)blocks, sizeof *t->nested, "scales"));
    MTS_TRY(take_pieces(t, FIND_SCALES, NULL));
    MTS_TRY(nest(t));
    MTS_TRY(make_state(t));
    MTS_TRY(report(w));
cleanup:
    return st;
}

static void forget(tensor *t)
{
    mem_free(t->nested);
    mem_free(t->state);
    t->nested = NULL;
    t->state = NULL;
}

/* ---------------------------------------------------------------------------------- files ---- */

/* All values in bfloat16. */
static mts_status write_halfs(void *user, file_writer *file)
{
    mts_status st = MTS_OK;
    const tensor *t = user;
    MTS_TRY(take_pieces(t, ROUND, file));
    t->w->done++;
    MTS_TRY(report(t->w));
cleanup:
    return st;
}

/* All codes. */
static mts_status write_codes(void *user, file_writer *file)
{
    mts_status st = MTS_OK;
    tensor *t = user;
    MTS_TRY(take_pieces(t, PACK, file));
    MTS_TRY(nest(t));
cleanup:
    return st;
}

/* The codes of the scales, which were found with the codes: they are written right behind them. */
static mts_status write_absmax(void *user, file_writer *file)
{
    mts_status st = MTS_OK;
    const tensor *t = user;
    writer *w = t->w;
    mts_ctx *ctx = w->ctx;
    MTS_CHECK(w->scaled == t, MTS_ERR_ARGUMENT, "internal error: %s: scales of another tensor",
              t->item->name);
    MTS_TRY(file_writer_write(file, w->absmax, (size_t)nf4_blocks(elements_of(t))));
    w->done++;
    MTS_TRY(report(w));
cleanup:
    return st;
}

/* Declare one part of a packed matrix: data, or what writes it. */
static mts_status add_part(safetensors_writer *f, tensor *t, const char *ending, st_dtype dtype,
                           int64_t count, const void *data, safetensors_write_fn *write)
{
    char name[NAME_BYTES];
    const int64_t shape[2] = {count, 1};
    snprintf(name, sizeof name, "%s%s", t->item->name, ending);
    if (write == NULL)
        return safetensors_writer_add(f, name, dtype, 1, shape, data);
    return safetensors_writer_add_stream(f, name, dtype, *ending == '\0' ? 2 : 1, shape, write, t);
}

static mts_status add_packed(safetensors_writer *f, tensor *t)
{
    mts_status st = MTS_OK;
    const int64_t n = elements_of(t);
    MTS_TRY(measure(t));
    MTS_TRY(add_part(f, t, "", ST_DTYPE_U8, nf4_code_bytes(n), NULL, write_codes));
    MTS_TRY(add_part(f, t, NF4_ABSMAX, ST_DTYPE_U8, nf4_blocks(n), NULL, write_absmax));
    MTS_TRY(add_part(f, t, NF4_NESTED_ABSMAX, ST_DTYPE_F32, nf4_nested_blocks(n), t->nested, NULL));
    MTS_TRY(add_part(f, t, NF4_NESTED_MAP, ST_DTYPE_F32, 256, t->w->map.value, NULL));
    MTS_TRY(add_part(f, t, NF4_QUANT_MAP, ST_DTYPE_F32, 16, nf4_value, NULL));
    MTS_TRY(add_part(f, t, NF4_STATE, ST_DTYPE_U8, (int64_t)strlen(t->state), t->state, NULL));
cleanup:
    return st;
}

static mts_status add_plain(safetensors_writer *f, tensor *t)
{
    const int64_t shape[2] = {t->item->rows, t->item->cols};
    return safetensors_writer_add_stream(f, t->item->name, ST_DTYPE_BF16, t->item->vector ? 1 : 2,
                                         t->item->vector ? shape + 1 : shape, write_halfs, t);
}

/* One that is there is complete. */
static mts_status write_shard(writer *w, int64_t shard)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    safetensors_writer *f = NULL;
    bool there = false;
    MTS_TRY(shard_file_path(w->ctx, w->request->dir, shard, w->shards, &path));
    there = file_exists(path);
    MTS_TRY(safetensors_writer_open(w->ctx, path, &f));
    for (int64_t i = 0; i < w->count; i++) {
        tensor *t = &w->tensors[i];
        if (t->shard != shard)
            continue;
        if (there)
            w->done++;
        else
            MTS_TRY(t->item->packed ? add_packed(f, t) : add_plain(f, t));
    }
    MTS_TRY(there ? report(w) : safetensors_writer_commit(f));
cleanup:
    for (int64_t i = 0; i < w->count; i++)
        forget(&w->tensors[i]);
    safetensors_writer_close(f);
    mem_free(path);
    return st;
}

/* What is not there yet must fit on the disk. */
static mts_status check_room(const writer *w)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = w->ctx;
    char *path = NULL, has[DISK_ROOM_TEXT_BYTES], wants[DISK_ROOM_TEXT_BYTES];
    const char *dir = w->request->dir;
    const uint64_t room = disk_room(dir);
    uint64_t bytes = 0;
    bool there = false;
    for (int64_t i = 0; i < w->count; i++) {
        if (i == 0 || w->tensors[i].shard != w->tensors[i - 1].shard) {
            mem_free(path);
            path = NULL;
            MTS_TRY(shard_file_path(ctx, dir, w->tensors[i].shard, w->shards, &path));
            there = file_exists(path);
        }
        bytes += there ? 0 : bytes_of(w->tensors[i].item);
    }
    MTS_CHECK(room >= bytes, MTS_ERR_IO,
              "%s: the disk has room for %s, less than the %s of the weights: make room, or give "
              "another --output_dir",
              dir, disk_room_text(has, room), disk_room_text(wants, bytes));
cleanup:
    mem_free(path);
    return st;
}

mts_status weights_write(mts_ctx *ctx, const weights_request *request)
{
    mts_status st = MTS_OK;
    writer w = {.ctx = ctx, .request = request, .ex = {.threads = request->threads}};
    MTS_TRY(choose_shards(&w));
    MTS_TRY(check_room(&w));
    MTS_TRY(take_memory(&w));
    for (int64_t i = 0; i < w.shards; i++)
        MTS_TRY(write_shard(&w, i));
    MTS_TRY(shard_files_write_index(ctx, request->dir, w.shards));
cleanup:
    mem_free(w.tensors);
    mem_free(w.values);
    mem_free(w.halfs);
    mem_free(w.codes);
    mem_free(w.scales);
    mem_free(w.absmax);
    return st;
}
