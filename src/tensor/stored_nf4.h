/*
 * Matrices in NF4 (tensor/nf4.h) as storage of frozen weights: in a mapped file, or made in memory
 * from another matrix.
 *
 * Mantissas of 8 bits come without floats in between: the 16 values of a block are mapped, and its
 * codes looked up among them.  They are those of the dequantised numbers, bit for bit.
 *
 * Path: weight_file_store -> stored_nf4_open; stored_nf4_make; linear_stream.c -> map_s8;
 *       linear_outliers.c -> gather.
 */
#ifndef MTS_TENSOR_STORED_NF4_H
#define MTS_TENSOR_STORED_NF4_H

#include "tensor/nf4.h"
#include "tensor/stored_matrix.h"

/* What a matrix of this class has for its own. */
typedef struct stored_nf4_parts {
    nf4_view view;
    file_map codes, scales; /* what view points into, where it is in a file */
    void *memory;           /* the rest; mem_free */
} stored_nf4_parts;

/* *out: of parts that are complete; takes them over on success.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status stored_nf4_open(mts_ctx *ctx, const stored_nf4_parts *parts,
                                         stored_matrix *out);

/* *out: `from`, quantised, in memory: 0.52 bytes an element.  On all threads of ex.
 * MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status stored_nf4_make(mts_ctx *ctx, const exec *ex, const stored_matrix *from,
                                         stored_matrix *out);

/* Bytes of codes and scales of a matrix. */
size_t stored_nf4_bytes(int64_t rows, int64_t cols);

#endif
