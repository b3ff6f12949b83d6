/*
 * Tensors of a GGUF file: their descriptions, their places, their values.  See gguf.h.
 */
#include <inttypes.h>
#include <string.h>

#include "io/gguf_internal.h"

enum {
    CHUNK_ELEMENTS = GGUF_BLOCK_MAX, /* decoded at a time */
    CHUNK_BYTES = 4 * CHUNK_ELEMENTS,
};

/* ------------------------------------------------------------------------- descriptions ---- */

/* Dimensions, first the one that lies together. */
static mts_status take_shape(gguf_parser *p, gguf_tensor *t)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = p->ctx;
    uint32_t n = 0;
    MTS_TRY(gguf_take_u32(p, &n));
    MTS_CHECK(n <= GGUF_DIMS_MAX, MTS_ERR_UNSUPPORTED,
              "%s: %s: expected at most %d dimensions, found %" PRIu32, p->file->path, p->part,
              GGUF_DIMS_MAX, n);
    t->ndim = (int)n;
    t->rows = t->cols = 1;
    for (int i = t->ndim - 1; i >= 0; i--) {
        uint64_t length = 0;
        MTS_TRY(gguf_take_u64(p, &length));
        MTS_CHECK(length >= 1 && length <= INT64_MAX, MTS_ERR_BAD_FILE,
                  "%s: %s: expected dimensions from 1, found %" PRIu64, p->file->path, p->part,
                  length);
        t->shape[i] = (int64_t)length;
        if (i == t->ndim - 1) {
            t->cols = t->shape[i];
            continue;
        }
        MTS_CHECK(t->rows <= INT64_MAX / t->shape[i], MTS_ERR_BAD_FILE,
                  "%s: %s: its shape overflows", p->file->path, p->part);
        t->rows *= t->shape[i];
    }
cleanup:
    return st;
}

/* Set the type's bytes; rows * cols elements, and 4 bytes for each, fit into 63 bits, too. */
static mts_status measure(gguf_parser *p, gguf_tensor *t)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = p->ctx;
    const uint32_t elements = t->type->elements;
    MTS_CHECK(t->cols % elements == 0, MTS_ERR_BAD_FILE,
              "%s: %s: expected rows of whole blocks of %" PRIu32 " elements (%s), found %" PRId64,
              p->file->path, p->part, elements, t->type->name, t->cols);
    MTS_CHECK(t->rows <= INT64_MAX / 8 / t->cols, MTS_ERR_BAD_FILE, "%s: %s: its size overflows",
              p->file->path, p->part);
    t->bytes = (uint64_t)(t->cols / elements) * t->type->bytes * (uint64_t)t->rows;
cleanup:
    return st;
}

mts_status gguf_take_tensor(gguf_parser *p, gguf_tensor *t)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = p->ctx;
    uint32_t number = 0;
    t->file = p->file->path;
    t->source = &p->file->source;
    t->place = p->at;
    MTS_TRY(gguf_take_name(p, "tensor"));
    MTS_TRY(take_shape(p, t));
    MTS_TRY(gguf_take_u32(p, &number));
    t->type = gguf_type_find(number);
    MTS_CHECK(t->type != NULL, MTS_ERR_UNSUPPORTED, "%s: %s: element type %" PRIu32 " is not known",
              p->file->path, p->part, number);
    MTS_CHECK(t->type->elements > 0, MTS_ERR_UNSUPPORTED,
              "%s: %s: element type %s was taken out of the format", p->file->path, p->part,
              t->type->name);
    MTS_TRY(measure(p, t));
    MTS_TRY(gguf_take_u64(p, &t->offset));
cleanup:
    return st;
}

/* ------------------------------------------------------------------------------- places ---- */

/* The next multiple of a power of two; the sum does not overflow. */
static uint64_t round_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

mts_status gguf_place_tensors(mts_ctx *ctx, gguf *file, uint64_t header_bytes, uint64_t alignment)
{
    mts_status st = MTS_OK;
    const uint64_t size = file->source.bytes, begin = round_up(header_bytes, alignment);
    uint64_t place = 0; /* in the data, where the next tensor must begin */
    for (size_t i = 0; i < file->tensor_count; i++) {
        gguf_tensor *t = &file->tensors[i];
        MTS_CHECK(t->offset % alignment == 0, MTS_ERR_BAD_FILE,
                  "%s: tensor %.200s: expected an offset that is a multiple of %" PRIu64
                  ", found %" PRIu64,
                  file->path, t->name, alignment, t->offset);
        MTS_CHECK(t->offset == place, MTS_ERR_BAD_FILE,
                  "%s: tensor %.200s: expected to begin at byte %" PRIu64
                  " of the data, behind the one before, found %" PRIu64,
                  file->path, t->name, place, t->offset);
        MTS_CHECK(begin + place <= size && t->bytes <= size - begin - place, MTS_ERR_BAD_FILE,
                  "%s: tensor %.200s: expected %" PRIu64 " bytes from byte %" PRIu64
                  " on, found a file of %" PRIu64 " bytes: cut or damaged",
                  file->path, t->name, t->bytes, begin + place, size);
        t->offset = begin + place;
        place = round_up(place + t->bytes, alignment);
    }
cleanup:
    return st;
}

/* ------------------------------------------------------------------------------- values ---- */

/* The index of the first element that is NaN or infinite, or count. */
static int64_t first_not_finite(const float *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits = 0;
        memcpy(&bits, &values[i], sizeof bits);
        if ((bits & 0x7f800000u) == 0x7f800000u)
            return i;
    }
    return count;
}

/* out[count]: the elements of the blocks at data, which may lie at the very end of out: no type
 * has more bytes than its floats, so in ascending order each chunk is copied away before another
 * is written over it. */
static void decode_in_place(const gguf_type *type, const uint8_t *data, int64_t count, float *out)
{
    uint8_t chunk[CHUNK_BYTES];
    for (int64_t done = 0; done < count; done += CHUNK_ELEMENTS) {
        const int64_t left = count - done < CHUNK_ELEMENTS ? count - done : CHUNK_ELEMENTS;
        const int64_t blocks = left / type->elements;
        memcpy(chunk, data, (size_t)blocks * type->bytes);
        type->decode(chunk, blocks, out + done);
        data += (size_t)blocks * type->bytes;
    }
}

mts_status gguf_read_rows(mts_ctx *ctx, const gguf_tensor *tensor, int64_t first, int64_t rows,
                          float *out)
{
    mts_status st = MTS_OK;
    const gguf_type *type = tensor->type;
    const uint64_t row_bytes = tensor->bytes / (uint64_t)tensor->rows;
    int64_t count = 0, good = 0;
    size_t bytes = 0;
    uint8_t *data = (uint8_t *)out;
    MTS_CHECK(type->decode != NULL, MTS_ERR_UNSUPPORTED,
              "%s: tensor %.200s: expected elements of type " GGUF_TYPES_DECODED ", found %s",
              tensor->file, tensor->name, type->name);
    MTS_CHECK(first >= 0 && rows >= 0 && first <= tensor->rows && rows <= tensor->rows - first,
              MTS_ERR_ARGUMENT,
              "%s: tensor %.200s: expected rows 0 to %" PRId64 ", found %" PRId64 " from %" PRId64
              " on",
              tensor->file, tensor->name, tensor->rows - 1, rows, first);
    count = rows * tensor->cols;
    bytes = (size_t)row_bytes * (size_t)rows;
    data += (size_t)count * sizeof *out - bytes;
    MTS_TRY(file_reader_read(ctx, tensor->source, tensor->offset + (uint64_t)first * row_bytes,
                             data, bytes));
    decode_in_place(type, data, count, out);
    good = first_not_finite(out, count);
    MTS_CHECK(good == count, MTS_ERR_BAD_FILE,
              "%s: tensor %.200s: element %" PRId64 " is NaN or infinite", tensor->file,
              tensor->name, first * tensor->cols + good);
cleanup:
    return st;
}
