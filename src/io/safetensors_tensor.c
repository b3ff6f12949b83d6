/*
 * One tensor of a safetensors file: element types, size, conversion to float32.  See safetensors.h.
 */
#include "io/safetensors.h"

#include <inttypes.h>
#include <string.h>

#include "base/half.h"
#include "base/memory.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors data is little-endian; this code reads and writes it without conversion"
#endif

enum { COPY_BYTES = 1 << 20 };

static const struct {
    const char *name;
    size_t size;
} dtypes[ST_DTYPE_COUNT] = {
    [ST_DTYPE_BOOL] = {"BOOL", 1}, [ST_DTYPE_U8] = {"U8", 1},   [ST_DTYPE_I8] = {"I8", 1},
    [ST_DTYPE_I16] = {"I16", 2},   [ST_DTYPE_U16] = {"U16", 2}, [ST_DTYPE_F16] = {"F16", 2},
    [ST_DTYPE_BF16] = {"BF16", 2}, [ST_DTYPE_I32] = {"I32", 4}, [ST_DTYPE_U32] = {"U32", 4},
    [ST_DTYPE_F32] = {"F32", 4},   [ST_DTYPE_F64] = {"F64", 8}, [ST_DTYPE_I64] = {"I64", 8},
    [ST_DTYPE_U64] = {"U64", 8},
};

size_t safetensors_dtype_size(st_dtype dtype)
{
    return dtypes[dtype].size;
}

const char *safetensors_dtype_name(st_dtype dtype)
{
    return dtypes[dtype].name;
}

mts_status safetensors_measure(mts_ctx *ctx, st_tensor *tensor)
{
    int64_t count = 1, size = (int64_t)dtypes[tensor->dtype].size;
    for (int i = 0; i < tensor->ndim; i++) {
        if (tensor->shape[i] > 0 && count > INT64_MAX / tensor->shape[i])
            return status_set(ctx, MTS_ERR_BAD_FILE, "%s: tensor %.200s: its shape overflows",
                              tensor->file, tensor->name);
        count *= tensor->shape[i];
    }
    if (count > INT64_MAX / size || (uint64_t)(count * size) > SIZE_MAX)
        return status_set(ctx, MTS_ERR_BAD_FILE, "%s: tensor %.200s: its size in bytes overflows",
                          tensor->file, tensor->name);
    tensor->count = count;
    tensor->bytes = (size_t)(count * size);
    return MTS_OK;
}

static uint32_t load16(const uint8_t *data, int64_t i)
{
    uint16_t half;
    memcpy(&half, data + 2 * i, sizeof half);
    return half;
}

/* Convert; the index of the first element that is NaN or infinite, or count. */
static int64_t convert_f16(const uint8_t *data, float *out, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        uint32_t half = load16(data, i);
        if ((half & 0x7c00u) == 0x7c00u)
            return i;
        out[i] = float_of_f16(half);
    }
    return count;
}

static int64_t convert_bf16(const uint8_t *data, float *out, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        uint32_t half = load16(data, i);
        if ((half & 0x7f80u) == 0x7f80u)
            return i;
        out[i] = float_of_bf16(half);
    }
    return count;
}

/* Of float32 that are in place already. */
static int64_t check_f32(const float *out, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &out[i], sizeof bits);
        if ((bits & 0x7f800000u) == 0x7f800000u)
            return i;
    }
    return count;
}

mts_status safetensors_read_part(mts_ctx *ctx, const st_tensor *tensor, int64_t first,
                                 int64_t count, float *out)
{
    mts_status st = MTS_OK;
    int64_t good = 0;
    const size_t size = safetensors_dtype_size(tensor->dtype);
    uint8_t *data = (uint8_t *)out;
    MTS_CHECK(first >= 0 && count >= 0 && first <= tensor->count && count <= tensor->count - first,
              MTS_ERR_ARGUMENT,
              "%s: tensor %.200s: expected elements of 0 to %" PRId64 ", found %" PRId64
              " from %" PRId64 " on",
              tensor->file, tensor->name, tensor->count, count, first);
    MTS_CHECK(tensor->dtype == ST_DTYPE_F32 || tensor->dtype == ST_DTYPE_F16 ||
                  tensor->dtype == ST_DTYPE_BF16,
              MTS_ERR_UNSUPPORTED, "%s: tensor %.200s: expected F32, F16 or BF16, found %s",
              tensor->file, tensor->name, safetensors_dtype_name(tensor->dtype));
    /* Halves go to the second half of out: in ascending order each is converted before another is
     * written over it. */
    data += (size_t)count * (sizeof *out - size);
    MTS_TRY(file_reader_read(ctx, tensor->source, tensor->offset + (uint64_t)first * size, data,
                             (size_t)count * size));
    if (tensor->dtype == ST_DTYPE_F32)
        good = check_f32(out, count);
    else if (tensor->dtype == ST_DTYPE_F16)
        good = convert_f16(data, out, count);
    else
        good = convert_bf16(data, out, count);
    MTS_CHECK(good == count, MTS_ERR_BAD_FILE,
              "%s: tensor %.200s: element %" PRId64 " is NaN or infinite", tensor->file,
              tensor->name, first + good);
cleanup:
    return st;
}

mts_status safetensors_read_f32(mts_ctx *ctx, const st_tensor *tensor, float *out, int64_t count)
{
    if (count != tensor->count)
        return status_set(ctx, MTS_ERR_ARGUMENT,
                          "%s: tensor %.200s: expected %" PRId64 " elements, found %" PRId64,
                          tensor->file, tensor->name, count, tensor->count);
    return safetensors_read_part(ctx, tensor, 0, count, out);
}

mts_status safetensors_copy(mts_ctx *ctx, const st_tensor *tensor, file_writer *file)
{
    mts_status st = MTS_OK;
    uint8_t *piece = NULL;
    MTS_TRY(mem_calloc(ctx, &piece, COPY_BYTES, 1, "piece of a tensor"));
    for (size_t done = 0; done < tensor->bytes;) {
        const size_t left = tensor->bytes - done, bytes = left < COPY_BYTES ? left : COPY_BYTES;
        MTS_TRY(file_reader_read(ctx, tensor->source, tensor->offset + done, piece, bytes));
        MTS_TRY(file_writer_write(file, piece, bytes));
        done += bytes;
    }
cleanup:
    mem_free(piece);
    return st;
}

mts_status safetensors_read_raw(mts_ctx *ctx, const st_tensor *tensor, st_dtype dtype, void *out,
                                size_t bytes)
{
    if (tensor->dtype != dtype || tensor->bytes != bytes)
        return status_set(ctx, MTS_ERR_BAD_FILE,
                          "%s: tensor %.200s: expected %zu bytes of %s, found %zu of %s",
                          tensor->file, tensor->name, bytes, safetensors_dtype_name(dtype),
                          tensor->bytes, safetensors_dtype_name(tensor->dtype));
    return file_reader_read(ctx, tensor->source, tensor->offset, out, bytes);
}
