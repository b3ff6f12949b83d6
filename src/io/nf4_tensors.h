/*
 * Tensors in 4 bits as transformers and bitsandbytes store them in safetensors files.  FORMATS.md
 * (15).
 *
 *   X                                    codes, two in a byte: any type of that many bytes
 *   X.quant_state.bitsandbytes__nf4      U8: JSON with shape, blocksize, nested_offset, ...
 *   X.quant_map                          F32 [16], nf4_value
 *   X.absmax                             the scales: F32 [blocks]; with double quantisation U8, and
 *   X.nested_absmax, X.nested_quant_map  F32 [ceil(blocks / 256)], F32 [256]
 *
 * Path: weight_file_open -> nf4_tensors_open; weight_file_read -> nf4_tensor_read;
 *       weight_file_store -> nf4_tensor_store.
 * A file is hostile: all of the above is checked before a number is handed out.
 * Not done, and refused: FP4, blocks of other sizes.
 */
#ifndef MTS_IO_NF4_TENSORS_H
#define MTS_IO_NF4_TENSORS_H

#include "io/safetensors.h"
#include "tensor/stored_nf4.h"

/* Behind the name of a tensor. */
#define NF4_STATE ".quant_state.bitsandbytes__nf4"
#define NF4_QUANT_MAP ".quant_map"
#define NF4_ABSMAX ".absmax"
#define NF4_NESTED_ABSMAX ".nested_absmax"
#define NF4_NESTED_MAP ".nested_quant_map"

/* One matrix, and where its parts are: borrowed from the file. */
typedef struct nf4_tensor {
    const st_tensor *codes, *state, *quant_map, *absmax;
    const st_tensor *nested_absmax, *nested_map; /* NULL: without double quantisation */
    int64_t shape[2];                            /* rows, cols, from 1 */
    float nested_offset;
} nf4_tensor;

/* Those of a file or folder. */
typedef struct nf4_tensors {
    const safetensors *file; /* borrowed */
    nf4_tensor *items;       /* [count] */
    size_t count;
    int32_t *role; /* by number of tensor of the file: of items, or one of the two: */
} nf4_tensors;

enum { NF4_ROLE_NONE = -1, NF4_ROLE_PART = -2 };

/*
 * *out: the matrices of a file that outlives it.  In every case give it to nf4_tensors_close.
 * MTS_ERR_BAD_FILE: a part is missing or not what it should be; MTS_ERR_UNSUPPORTED: FP4, another
 * size of blocks; MTS_ERR_IO, MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status nf4_tensors_open(mts_ctx *ctx, const safetensors *file, nf4_tensors *out);
void nf4_tensors_close(nf4_tensors *tensors);

/* The matrix whose codes the tensor has, or NULL. */
const nf4_tensor *nf4_tensors_find(const nf4_tensors *tensors, const st_tensor *codes);
/* Whether the tensor is another part of a matrix. */
bool nf4_tensors_is_part(const nf4_tensors *tensors, const st_tensor *tensor);

/* The memory of a matrix as it is, and what of that nf4_tensor_store leaves in the file. */
size_t nf4_tensor_bytes(const nf4_tensor *tensor);
size_t nf4_tensor_mapped(const nf4_tensor *tensor);
/*
 * Read a matrix into memory[nf4_tensor_bytes], aligned as that of mem_calloc; *out points into it.
 * Every number of the view is finite.  MTS_ERR_BAD_FILE: a scale is not, or a map is not one;
 * MTS_ERR_IO.
 */
MTS_NODISCARD mts_status nf4_tensor_view(mts_ctx *ctx, const nf4_tensor *tensor, void *memory,
                                         nf4_view *out);

/*
 * The same as storage that needs no copy: the codes, and with double quantisation their scales, are
 * mapped.  stored_matrix_close closes *out.  MTS_ERR_MEMORY; otherwise as above.
 */
MTS_NODISCARD mts_status nf4_tensor_store(mts_ctx *ctx, const nf4_tensor *tensor,
                                          stored_matrix *out);

/* out[rows * cols]: its values in fp32.  The errors of nf4_tensor_view; MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status nf4_tensor_read(mts_ctx *ctx, const nf4_tensor *tensor, float *out);

#endif
