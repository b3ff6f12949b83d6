/* Reading tensors in 4 bits.  See nf4_tensors.h. */
#include "io/nf4_tensors.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json_util.h"
#include "base/memory.h"
#include "base/text_end.h"
#include "base/utf8.h"

enum {
    NAME_BYTES = 512,
    STATE_BYTES_MAX = 4096,
    ALIGN = 64, /* of each part in memory */
    MAP = 256,
};

/* ---------------------------------------------------------------------------------- parts ---- */

/* The tensor of the name's first n characters and an ending, or NULL. */
static const st_tensor *find_part(const safetensors *file, const char *name, size_t n,
                                  const char *ending)
{
    char part[NAME_BYTES];
    const int length = snprintf(part, sizeof part, "%.*s%s", (int)n, name, ending);
    return length < NAME_BYTES ? safetensors_find(file, part) : NULL;
}

/* *part: X with an ending, which must be `count` elements of a type. */
static mts_status require_part(mts_ctx *ctx, const safetensors *file, const st_tensor *codes,
                               const char *ending, st_dtype dtype, int64_t count,
                               const st_tensor **part)
{
    mts_status st = MTS_OK;
    const st_tensor *t = find_part(file, codes->name, strlen(codes->name), ending);
    MTS_CHECK(t != NULL, MTS_ERR_BAD_FILE, "%s: tensor %.200s is in 4 bits, but has no %s",
              codes->file, codes->name, ending + 1);
    MTS_CHECK(t->dtype == dtype && t->count == count, MTS_ERR_BAD_FILE,
              "%s: tensor %.200s: expected %" PRId64 " elements of %s, found %" PRId64 " of %s",
              t->file, t->name, count, safetensors_dtype_name(dtype), t->count,
              safetensors_dtype_name(t->dtype));
    *part = t;
cleanup:
    return st;
}

/* A field of the state that can have one value only. */
static mts_status expect_int(mts_ctx *ctx, const char *place, const json_t *state, const char *key,
                             int64_t expected)
{
    mts_status st = MTS_OK;
    int64_t value = 0;
    MTS_TRY(json_util_require(ctx, place, state, key));
    MTS_TRY(json_util_int(ctx, place, state, key, 1, INT64_MAX, &value));
    MTS_CHECK(value == expected, MTS_ERR_UNSUPPORTED, "%s: %s: expected %lld, found %lld", place,
              key, (long long)expected, (long long)value);
cleanup:
    return st;
}

static mts_status expect_text(mts_ctx *ctx, const char *place, const json_t *state, const char *key,
                              const char *expected)
{
    mts_status st = MTS_OK;
    const char *value = NULL;
    char quote[UTF8_QUOTE_BYTES];
    MTS_TRY(json_util_require(ctx, place, state, key));
    MTS_TRY(json_util_string(ctx, place, state, key, &value));
    MTS_CHECK(strcmp(value, expected) == 0, MTS_ERR_UNSUPPORTED, "%s: %s: expected %s, found %s",
              place, key, expected, utf8_quote(quote, sizeof quote, value));
cleanup:
    return st;
}

static mts_status parse_shape(mts_ctx *ctx, const char *place, const json_t *state, nf4_tensor *t)
{
    mts_status st = MTS_OK;
    const json_t *shape = json_object_get(state, "shape");
    MTS_CHECK(json_array_size(shape) == 2, MTS_ERR_BAD_FILE, "%s: shape: expected two integers",
              place);
    for (size_t i = 0; i < 2; i++) {
        const json_t *size = json_array_get(shape, i);
        MTS_CHECK(json_is_integer(size) && json_integer_value(size) > 0, MTS_ERR_BAD_FILE,
                  "%s: shape: expected two integers from 1", place);
        t->shape[i] = json_integer_value(size);
    }
    MTS_CHECK(t->shape[0] <= INT64_MAX / 2 / t->shape[1] &&
                  (uint64_t)nf4_code_bytes(t->shape[0] * t->shape[1]) == t->codes->bytes,
              MTS_ERR_BAD_FILE,
              "%s: shape: [%" PRId64 ", %" PRId64
              "] in 4 bits is not the %zu bytes that %.200s has",
              place, t->shape[0], t->shape[1], t->codes->bytes, t->codes->name);
cleanup:
    return st;
}

static mts_status parse_state(mts_ctx *ctx, const char *place, const json_t *state, nf4_tensor *t)
{
    mts_status st = MTS_OK;
    double offset = 0.0;
    MTS_TRY(expect_text(ctx, place, state, "quant_type", "nf4"));
    MTS_TRY(expect_int(ctx, place, state, "blocksize", NF4_BLOCK));
    MTS_TRY(parse_shape(ctx, place, state, t));
    if (t->nested_absmax == NULL)
        goto cleanup;
    MTS_TRY(expect_int(ctx, place, state, "nested_blocksize", NF4_NESTED_BLOCK));
    MTS_TRY(expect_text(ctx, place, state, "nested_dtype", "float32"));
    MTS_TRY(json_util_require(ctx, place, state, "nested_offset"));
    MTS_TRY(json_util_real(ctx, place, state, "nested_offset", -1e38, 1e38, &offset));
    t->nested_offset = (float)offset;
cleanup:
    return st;
}

/* The JSON of the state, and what it says. */
static mts_status read_state(mts_ctx *ctx, nf4_tensor *t)
{
    mts_status st = MTS_OK;
    char text[STATE_BYTES_MAX], place[1024];
    json_t *state = NULL;
    snprintf(place, sizeof place, "%.500s: tensor %.200s", t->state->file, t->state->name);
    MTS_CHECK(t->state->bytes <= sizeof text, MTS_ERR_BAD_FILE,
              "%s: expected at most %zu bytes, found %zu", place, sizeof text, t->state->bytes);
    MTS_TRY(safetensors_read_raw(ctx, t->state, ST_DTYPE_U8, text, t->state->bytes));
    MTS_TRY(json_util_parse(ctx, place, text, t->state->bytes, &state));
    MTS_TRY(parse_state(ctx, place, state, t));
cleanup:
    json_decref(state);
    return st;
}

/* *t: the matrix whose state it has. */
static mts_status find_parts(mts_ctx *ctx, const safetensors *file, nf4_tensor *t)
{
    mts_status st = MTS_OK;
    int64_t blocks;
    t->nested_absmax = find_part(file, t->codes->name, strlen(t->codes->name), NF4_NESTED_ABSMAX);
    MTS_TRY(read_state(ctx, t));
    blocks = nf4_blocks(t->shape[0] * t->shape[1]);
    MTS_TRY(require_part(ctx, file, t->codes, NF4_QUANT_MAP, ST_DTYPE_F32, 16, &t->quant_map));
    MTS_TRY(require_part(ctx, file, t->codes, NF4_ABSMAX,
                         t->nested_absmax != NULL ? ST_DTYPE_U8 : ST_DTYPE_F32, blocks,
                         &t->absmax));
    if (t->nested_absmax == NULL)
        goto cleanup;
    MTS_TRY(require_part(ctx, file, t->codes, NF4_NESTED_ABSMAX, ST_DTYPE_F32,
                         nf4_nested_blocks(t->shape[0] * t->shape[1]), &t->nested_absmax));
    MTS_TRY(require_part(ctx, file, t->codes, NF4_NESTED_MAP, ST_DTYPE_F32, MAP, &t->nested_map));
cleanup:
    return st;
}

/* ----------------------------------------------------------------------------------- open ---- */

static void set_role(const nf4_tensors *tensors, const st_tensor *t, int32_t role)
{
    if (t != NULL)
        tensors->role[t - safetensors_at(tensors->file, 0)] = role;
}

/* The matrix of one state, behind the others. */
static mts_status add(mts_ctx *ctx, nf4_tensors *tensors, const st_tensor *state)
{
    mts_status st = MTS_OK;
    const size_t n = strlen(state->name) - (sizeof NF4_STATE - 1);
    nf4_tensor *t = &tensors->items[tensors->count];
    t->state = state;
    t->codes = find_part(tensors->file, state->name, n, "");
    MTS_CHECK(t->codes != NULL, MTS_ERR_BAD_FILE,
              "%s: tensor %.200s says how to read another one, which is not there", state->file,
              state->name);
    MTS_TRY(find_parts(ctx, tensors->file, t));
    set_role(tensors, t->state, NF4_ROLE_PART);
    set_role(tensors, t->quant_map, NF4_ROLE_PART);
    set_role(tensors, t->absmax, NF4_ROLE_PART);
    set_role(tensors, t->nested_absmax, NF4_ROLE_PART);
    set_role(tensors, t->nested_map, NF4_ROLE_PART);
    set_role(tensors, t->codes, (int32_t)tensors->count);
    tensors->count++;
cleanup:
    return st;
}

mts_status nf4_tensors_open(mts_ctx *ctx, const safetensors *file, nf4_tensors *out)
{
    mts_status st = MTS_OK;
    const size_t n = safetensors_count(file);
    size_t states = 0;
    *out = (nf4_tensors){.file = file};
    MTS_TRY(mem_calloc(ctx, &out->role, n, sizeof *out->role, "list of tensors"));
    for (size_t i = 0; i < n; i++) {
        const st_tensor *t = safetensors_at(file, i);
        out->role[i] = NF4_ROLE_NONE;
        states += text_has_ending(t->name, NF4_STATE);
        MTS_CHECK(!text_has_ending(t->name, ".quant_state.bitsandbytes__fp4"), MTS_ERR_UNSUPPORTED,
                  "%s: tensor %.200s: the weight is in FP4; of the 4-bit types only NF4 is read",
                  t->file, t->name);
    }
    MTS_TRY(mem_calloc(ctx, &out->items, states, sizeof *out->items, "list of tensors"));
    for (size_t i = 0; i < n; i++)
        if (text_has_ending(safetensors_at(file, i)->name, NF4_STATE))
            MTS_TRY(add(ctx, out, safetensors_at(file, i)));
cleanup:
    return st;
}

void nf4_tensors_close(nf4_tensors *tensors)
{
    mem_free(tensors->items);
    mem_free(tensors->role);
    *tensors = (nf4_tensors){0};
}

static int32_t role_of(const nf4_tensors *tensors, const st_tensor *t)
{
    return tensors->role[t - safetensors_at(tensors->file, 0)];
}

const nf4_tensor *nf4_tensors_find(const nf4_tensors *tensors, const st_tensor *codes)
{
    const int32_t role = role_of(tensors, codes);
    return role >= 0 ? &tensors->items[role] : NULL;
}

bool nf4_tensors_is_part(const nf4_tensors *tensors, const st_tensor *tensor)
{
    return role_of(tensors, tensor) == NF4_ROLE_PART;
}

/* ----------------------------------------------------------------------------------- read ---- */

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* The file has each of them, so that the sum does not overflow. */
size_t nf4_tensor_bytes(const nf4_tensor *t)
{
    const size_t nested = t->nested_absmax != NULL ? aligned(t->nested_absmax->bytes) : 0;
    return nested + aligned(t->absmax->bytes) + aligned(t->codes->bytes);
}

size_t nf4_tensor_mapped(const nf4_tensor *t)
{
    return t->codes->bytes + (t->nested_absmax != NULL ? t->absmax->bytes : 0);
}

/* The 16 numbers of the type. */
static mts_status check_quant_map(mts_ctx *ctx, const nf4_tensor *t)
{
    mts_status st = MTS_OK;
    float map[16];
    MTS_TRY(safetensors_read_raw(ctx, t->quant_map, ST_DTYPE_F32, map, sizeof map));
    MTS_CHECK(memcmp(map, nf4_value, sizeof map) == 0, MTS_ERR_BAD_FILE,
              "%s: tensor %.200s: expected the 16 numbers of NF4, found others", t->quant_map->file,
              t->quant_map->name);
cleanup:
    return st;
}

/* The map of the scales' codes, which rises from -1 or above to 1. */
static mts_status read_nested_map(mts_ctx *ctx, const st_tensor *t, float map[MAP])
{
    mts_status st = MTS_OK;
    MTS_TRY(safetensors_read_f32(ctx, t, map, MAP));
    for (int i = 0; i < MAP; i++)
        MTS_CHECK(fabsf(map[i]) <= 1.0f && (i == 0 || map[i - 1] <= map[i]), MTS_ERR_BAD_FILE,
                  "%s: tensor %.200s: expected %d rising numbers in [-1, 1]", t->file, t->name,
                  MAP);
cleanup:
    return st;
}

/* *memory moves behind a part of so many bytes. */
static void *place(uint8_t **memory, size_t bytes)
{
    void *at = *memory;
    *memory += aligned(bytes);
    return at;
}

/* memory[floats_bytes]: the scales that are floats, and what else out says of them. */
static size_t floats_bytes(const nf4_tensor *t)
{
    return (t->nested_absmax != NULL ? t->nested_absmax : t->absmax)->bytes;
}

static mts_status read_floats(mts_ctx *ctx, const nf4_tensor *t, float *memory, nf4_view *out)
{
    mts_status st = MTS_OK;
    const st_tensor *scales = t->nested_absmax != NULL ? t->nested_absmax : t->absmax;
    *out = (nf4_view){.rows = t->shape[0], .cols = t->shape[1]};
    MTS_TRY(check_quant_map(ctx, t));
    MTS_TRY(safetensors_read_f32(ctx, scales, memory, scales->count));
    if (t->nested_absmax == NULL) {
        out->plain_absmax = memory;
        goto cleanup;
    }
    for (int64_t i = 0; i < scales->count; i++)
        MTS_CHECK(isfinite(fabsf(memory[i]) + fabsf(t->nested_offset)), MTS_ERR_BAD_FILE,
                  "%s: tensor %.200s: element %" PRId64 " and nested_offset make infinite scales",
                  scales->file, scales->name, i);
    MTS_TRY(read_nested_map(ctx, t->nested_map, out->nested_map));
    out->nested_absmax = memory;
    out->nested_offset = t->nested_offset;
cleanup:
    return st;
}

mts_status nf4_tensor_view(mts_ctx *ctx, const nf4_tensor *t, void *memory, nf4_view *out)
{
    mts_status st = MTS_OK;
    uint8_t *free_memory = memory, *absmax, *codes;
    MTS_TRY(read_floats(ctx, t, place(&free_memory, floats_bytes(t)), out));
    if (t->nested_absmax != NULL) {
        absmax = place(&free_memory, t->absmax->bytes);
        MTS_TRY(safetensors_read_raw(ctx, t->absmax, ST_DTYPE_U8, absmax, t->absmax->bytes));
        out->absmax = absmax;
    }
    codes = place(&free_memory, t->codes->bytes);
    MTS_TRY(safetensors_read_raw(ctx, t->codes, t->codes->dtype, codes, t->codes->bytes));
    out->codes = codes;
cleanup:
    return st;
}

mts_status nf4_tensor_store(mts_ctx *ctx, const nf4_tensor *t, stored_matrix *out)
{
    mts_status st = MTS_OK;
    stored_nf4_parts parts = {0};
    *out = (stored_matrix){0};
    MTS_TRY(mem_calloc(ctx, &parts.memory, floats_bytes(t), 1, "scales of a 4-bit weight"));
    MTS_TRY(read_floats(ctx, t, parts.memory, &parts.view));
    MTS_TRY(
        file_reader_map(ctx, t->codes->source, t->codes->offset, t->codes->bytes, &parts.codes));
    parts.view.codes = parts.codes.data;
    if (t->nested_absmax != NULL) {
        MTS_TRY(file_reader_map(ctx, t->absmax->source, t->absmax->offset, t->absmax->bytes,
                                &parts.scales));
        parts.view.absmax = parts.scales.data;
    }
    MTS_TRY(stored_nf4_open(ctx, &parts, out));
    return st;
cleanup:
    file_map_close(&parts.codes);
    file_map_close(&parts.scales);
    mem_free(parts.memory);
    return st;
}

mts_status nf4_tensor_read(mts_ctx *ctx, const nf4_tensor *t, float *out)
{
    mts_status st = MTS_OK;
    void *memory = NULL;
    nf4_view view;
    MTS_TRY(mem_calloc(ctx, &memory, nf4_tensor_bytes(t), 1, "4-bit weights"));
    MTS_TRY(nf4_tensor_view(ctx, t, memory, &view));
    nf4_dequantize(&view, 0, view.rows * view.cols, out);
cleanup:
    mem_free(memory);
    return st;
}
