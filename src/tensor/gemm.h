/*
 * Integer GEMM driver: C[m][n] = A[m][k] B[n][k]^T of packed operands, exact, with the scales of
 * dynamic fixed point applied at the end.                                      FORMATS.md (4), (5)
 *
 * The three products of a linear layer, with X[t][in], W[out][in], G[t][out]:
 *     Y  = X W^T     A = X straight     B = W straight
 *     dX = G W       A = G straight     B = W transposed
 *     dW = G^T X     A = G transposed   B = X transposed
 *
 * Path: linear_forward -> gemm_run -> micro-kernel (kernels.h) -> tile_store (float_kernels.h).
 */
#ifndef MTS_TENSOR_GEMM_H
#define MTS_TENSOR_GEMM_H

#include "tensor/exec.h"
#include "tensor/qmatrix.h"

/* The depth of a product is below this: sums of 16 x 16 bits stay exact in double. */
#define GEMM_DEPTH_MAX (INT64_C(1) << 22)

typedef enum gemm_side {
    GEMM_A,
    GEMM_B,
} gemm_side;

/* How a product of two widths is computed by a family. */
typedef struct gemm_plan {
    const gemm_kernel *kernel;
    int pieces[2];    /* number of pieces of side A, B: 1 (PIECE_ALL) or 2 (PIECE_HI, PIECE_LO) */
    int64_t chunk;    /* depth of one exact int32 tile */
    int half_bits[2]; /* of the lower half of side A, B, where it is in two signed 8-bit halves
                         (gemm_plan_make_halves); else 0 */
} gemm_plan;

/*
 * The plan for bits_a x bits_b (4..16 each).  by_block: the scales change every GROUP_BLOCK_SIZE of
 * the depth, so that is the chunk.
 */
gemm_plan gemm_plan_make(const gemm_family *family, int bits_a, int bits_b, bool by_block);

/*
 * The plan for a few wide mantissas of side A, bits_a 9..15: no product is wider than 8 x 8 bits
 * where a family's narrow kernel multiplies such.  A mantissa of b bits, more than 8, is split in
 *     x = 2^t (x >> t) + (x & (2^t - 1)),  t = b - 8
 * both of them 8-bit numbers, and the sums of all pairs are joined exactly in int32.  A family
 * whose narrow kernel works on 16 bits, bits_b 16, and bits_a + bits_b > 27 have gemm_plan_make's.
 *                                                     [Ghaffari2024]  FORMATS.md (13)
 */
gemm_plan gemm_plan_make_halves(const gemm_family *family, int bits_a, int bits_b, bool by_block);

/* One packed operand.  Layout: [piece][chunk][panel], panels as the kernel packs them. */
typedef struct gemm_operand {
    gemm_plan plan;
    gemm_side side;
    int64_t rows, depth; /* rows of this side (m or n), reduction length */
    int64_t panels, chunks;
    size_t panel_bytes;      /* of a full chunk */
    size_t last_panel_bytes; /* of the last chunk */
    uint8_t *data;
    float *scale;         /* [scale_chunks][rows]: of each row, by chunk in block mode */
    int64_t scale_chunks; /* 1, or chunks in block mode */
    bool by_block;        /* scales change every chunk of the depth */
    int64_t depth_room;   /* the depth that its storage is for */
} gemm_operand;

/* Give op its shape and storage from the arena (which keeps owning it). */
void gemm_operand_bind(gemm_operand *op, arena *a, const gemm_plan *plan, gemm_side side,
                       int64_t rows, int64_t depth, bool by_block);

/* Give op, which was bound for this depth or a larger one, this depth, in its storage. */
void gemm_operand_shorten(gemm_operand *op, int64_t depth);

/*
 * Pack matrix m into op, which was bound for its shape.  transposed: the reduction runs along m's
 * rows, and the operand's rows are m's columns.  The group of m must have scales that are constant
 * along the reduction, or by block: tensor, block, row (straight) or column (transposed); a row
 * group packed transposed ignores m's scales (the caller folded them into the other operand).
 */
void gemm_operand_fill(exec *ex, gemm_operand *op, const qmatrix *m, bool transposed);

/* Both: bind op for m, and pack m into it. */
void gemm_pack(exec *ex, gemm_operand *op, arena *a, const gemm_plan *plan, gemm_side side,
               const qmatrix *m, bool transposed);

/* A view of part of a matrix, for products inside attention: rows x cols mantissas at row stride ld
 * with one scale, or one for each row; packed transposed, those are ignored (the caller folded them
 * into the other operand).  Serial; storage from the arena a. */
typedef struct qview {
    const void *q;
    int64_t rows, cols, ld;
    int bits;
    float scale;
    const float *row_scale; /* [rows], or NULL: `scale` */
} qview;
void gemm_pack_view(const exec *ex, gemm_operand *op, arena *a, const gemm_plan *plan,
                    gemm_side side, const qview *view, bool transposed);

/*
 * c[i][j] = sum_k a(i,k) b(j,k) (+ bias[j]), or += if accumulate (then bias is NULL); row stride
 * ldc. Both operands packed by the same plan and depth.  Uses ex->threads.  Bits of c depend on
 * neither threads nor family.
 */
void gemm_run(exec *ex, float *c, int64_t ldc, const gemm_operand *a, const gemm_operand *b,
              const float *bias, bool accumulate);

/* The same on the calling thread only (inside a parallel region). */
void gemm_run_serial(const exec *ex, float *c, int64_t ldc, const gemm_operand *a,
                     const gemm_operand *b, const float *bias, bool accumulate);

#endif
