/* The tensors that a model is read from.  See weight_file.h. */
#include "network/weight_file.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

enum { NAME_BYTES = 512 };

mts_status weight_file_open(mts_ctx *ctx, const char *path, weight_file *out)
{
    mts_status st = MTS_OK;
    *out = (weight_file){0};
    MTS_TRY(gguf_model_find(ctx, path, &out->path));
    if (out->path != NULL)
        return gguf_model_open(ctx, out->path, &out->gguf);
    MTS_TRY(safetensors_open_dir(ctx, path, &out->folder));
    MTS_TRY(nf4_tensors_open(ctx, out->folder, &out->nf4));
cleanup:
    return st;
}

void weight_file_close(weight_file *f)
{
    nf4_tensors_close(&f->nf4);
    safetensors_close(f->folder);
    gguf_model_close(&f->gguf);
    mem_free(f->path);
    *f = (weight_file){0};
}

size_t weight_file_count(const weight_file *f)
{
    return f->folder != NULL ? safetensors_count(f->folder) : gguf_tensor_count(f->gguf.file);
}

weight_tensor weight_file_at(const weight_file *f, size_t index)
{
    if (f->folder != NULL) {
        const st_tensor *t = safetensors_at(f->folder, index);
        const nf4_tensor *packed = nf4_tensors_find(&f->nf4, t);
        return (weight_tensor){index, t->name, t->file, packed != NULL ? 2 : t->ndim,
                               packed != NULL ? packed->shape : t->shape};
    }
    const gguf_tensor *t = gguf_tensor_at(f->gguf.file, index);
    return (weight_tensor){index, t->name, t->file, t->ndim, t->shape};
}

/* ------------------------------------------------------------------------------- names -------- */

/* If name ends in `from`, write it to out with `to` instead. */
static bool replace_ending(char out[NAME_BYTES], const char *name, const char *from, const char *to)
{
    const size_t n = strlen(name), f = strlen(from);
    if (n < f || strcmp(name + n - f, from) != 0)
        return false;
    snprintf(out, NAME_BYTES, "%.*s%s", (int)(n - f), name, to);
    return true;
}

/* Under any of its names. */
static const st_tensor *find_in_folder(const safetensors *file, const char *name,
                                       const char *prefix)
{
    char old[NAME_BYTES];
    const bool has_old = replace_ending(old, name, "LayerNorm.weight", "LayerNorm.gamma") ||
                         replace_ending(old, name, "LayerNorm.bias", "LayerNorm.beta");
    const char *names[2] = {name, has_old ? old : NULL};
    const size_t n = strlen(prefix);
    for (int i = 0; i < 2 && names[i] != NULL; i++) {
        const st_tensor *t = safetensors_find(file, names[i]);
        if (t == NULL && strncmp(names[i], prefix, n) == 0)
            t = safetensors_find(file, names[i] + n);
        if (t != NULL)
            return t;
    }
    return NULL;
}

bool weight_file_find(const weight_file *f, const char *parameter, const char *prefix,
                      weight_tensor *out)
{
    char name[GGUF_MODEL_NAME_BYTES];
    if (f->folder != NULL) {
        const st_tensor *t = find_in_folder(f->folder, parameter, prefix);
        if (t != NULL)
            *out = weight_file_at(f, (size_t)(t - safetensors_at(f->folder, 0)));
        return t != NULL;
    }
    const gguf_tensor *t =
        gguf_model_name(parameter, name) ? gguf_find_tensor(f->gguf.file, name) : NULL;
    if (t != NULL)
        *out = weight_file_at(f, (size_t)(t - gguf_tensor_at(f->gguf.file, 0)));
    return t != NULL;
}

bool weight_file_is_buffer(const weight_file *f, const weight_tensor *t)
{
    static const char positions[] = "position_ids";
    const size_t n = strlen(t->name), p = sizeof positions - 1;
    if (f->folder == NULL) /* read into the configuration */
        return strcmp(t->name, GGUF_MODEL_FREQUENCIES) == 0;
    if (nf4_tensors_is_part(&f->nf4, safetensors_at(f->folder, t->index)))
        return true;
    return n >= p && strcmp(t->name + n - p, positions) == 0;
}

mts_status weight_file_check(mts_ctx *ctx, const weight_file *f, const weight_tensor *t)
{
    mts_status st = MTS_OK;
    const gguf_type *type = f->folder != NULL ? NULL : gguf_tensor_at(f->gguf.file, t->index)->type;
    MTS_CHECK(type == NULL || type->decode != NULL, MTS_ERR_UNSUPPORTED,
              "%s: tensor %.200s: expected " GGUF_TYPES_DECODED ", found %s", t->file, t->name,
              type->name);
cleanup:
    return st;
}

const nf4_tensor *weight_file_nf4(const weight_file *f, const weight_tensor *t)
{
    return f->folder != NULL ? nf4_tensors_find(&f->nf4, safetensors_at(f->folder, t->index))
                             : NULL;
}

mts_status weight_file_read_rows(mts_ctx *ctx, const weight_file *f, const weight_tensor *t,
                                 int64_t first, int64_t rows, float *out)
{
    const int64_t cols = t->ndim > 0 ? t->shape[t->ndim - 1] : 1;
    if (weight_file_nf4(f, t) != NULL)
        return status_set(ctx, MTS_ERR_UNSUPPORTED,
                          "%s: tensor %.200s is quantized to 4 bits: expected floats", t->file,
                          t->name);
    if (f->folder != NULL)
        return safetensors_read_part(ctx, safetensors_at(f->folder, t->index), first * cols,
                                     rows * cols, out);
    return gguf_model_read_rows(ctx, &f->gguf, gguf_tensor_at(f->gguf.file, t->index), first, rows,
                                out);
}

mts_status weight_file_read(mts_ctx *ctx, const weight_file *f, const weight_tensor *t, float *out,
                            int64_t n)
{
    mts_status st = MTS_OK;
    const gguf_tensor *in_gguf;
    const nf4_tensor *packed = weight_file_nf4(f, t);
    if (packed != NULL && packed->shape[0] * packed->shape[1] == n)
        return nf4_tensor_read(ctx, packed, out);
    if (f->folder != NULL)
        return safetensors_read_f32(ctx, safetensors_at(f->folder, t->index), out, n);
    in_gguf = gguf_tensor_at(f->gguf.file, t->index);
    MTS_CHECK(in_gguf->rows * in_gguf->cols == n, MTS_ERR_BAD_FILE,
              "%s: tensor %.200s: expected %lld values, found %lld", t->file, t->name, (long long)n,
              (long long)(in_gguf->rows * in_gguf->cols));
    MTS_TRY(gguf_model_read(ctx, &f->gguf, in_gguf, out));
cleanup:
    return st;
}

/* ------------------------------------------------------------------------------ storing ------- */

/* The decoder for an element type of safetensors: those of GGUF have the same bytes. */
static const gguf_type *type_of(st_dtype dtype)
{
    switch (dtype) {
    case ST_DTYPE_F32:
        return gguf_type_find(GGUF_F32);
    case ST_DTYPE_F16:
        return gguf_type_find(GGUF_F16);
    case ST_DTYPE_BF16:
        return gguf_type_find(GGUF_BF16);
    default:
        return NULL;
    }
}

static mts_status store_in_folder(mts_ctx *ctx, const st_tensor *t, stored_matrix *out)
{
    mts_status st = MTS_OK;
    const gguf_type *type = type_of(t->dtype);
    MTS_CHECK(type != NULL, MTS_ERR_UNSUPPORTED,
              "%s: tensor %.200s: expected F32, F16 or BF16, found %s", t->file, t->name,
              safetensors_dtype_name(t->dtype));
    *out = (stored_matrix){.class = &stored_units,
                           .rows = t->shape[0],
                           .cols = t->shape[1],
                           .unit = 1,
                           .unit_bytes = type->bytes,
                           .decode = type->decode};
    MTS_TRY(file_reader_map(ctx, t->source, t->offset, t->bytes, &out->map));
cleanup:
    return st;
}

static mts_status store_in_gguf(mts_ctx *ctx, const gguf_model *m, const gguf_tensor *t,
                                stored_matrix *out)
{
    mts_status st = MTS_OK;
    *out = (stored_matrix){.class = &stored_units,
                           .rows = t->rows,
                           .cols = t->cols,
                           .unit = t->type->elements,
                           .unit_bytes = t->type->bytes,
                           .decode = t->type->decode};
    MTS_TRY(gguf_model_head_rows(ctx, m, t, &out->head_rows));
    MTS_TRY(file_reader_map(ctx, t->source, t->offset, t->bytes, &out->map));
cleanup:
    return st;
}

weight_storage weight_file_storage(const weight_file *f, const weight_tensor *t)
{
    const nf4_tensor *packed = weight_file_nf4(f, t);
    if (packed != NULL) {
        const size_t mapped = nf4_tensor_mapped(packed);
        return (weight_storage){mapped, nf4_tensor_bytes(packed) - mapped, true};
    }
    if (f->folder != NULL)
        return (weight_storage){.mapped = safetensors_at(f->folder, t->index)->bytes};
    return (weight_storage){.mapped = gguf_tensor_at(f->gguf.file, t->index)->bytes};
}

mts_status weight_file_store(mts_ctx *ctx, const weight_file *f, const weight_tensor *t,
                             stored_matrix *out)
{
    mts_status st = MTS_OK;
    *out = (stored_matrix){0};
    MTS_CHECK(t->ndim == 2, MTS_ERR_BAD_FILE, "%s: tensor %.200s: expected a matrix", t->file,
              t->name);
    if (weight_file_nf4(f, t) != NULL)
        MTS_TRY(nf4_tensor_store(ctx, weight_file_nf4(f, t), out));
    else if (f->folder != NULL)
        MTS_TRY(store_in_folder(ctx, safetensors_at(f->folder, t->index), out));
    else
        MTS_TRY(store_in_gguf(ctx, &f->gguf, gguf_tensor_at(f->gguf.file, t->index), out));
cleanup:
    return st;
}
