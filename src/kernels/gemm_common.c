/*
 * Sizes of packed panels: the one place that knows how header, elements and padding add up.
 *
 * Path: gemm driver -> here (to size its buffers) -> pack_a / pack_b -> tile.
 *
 *     panel = header | width * padded depth elements | zeros up to a multiple of 64 bytes
 */
#include "kernels/kernels.h"

#include <assert.h>

static size_t panel_bytes(const gemm_kernel *kernel, size_t header, int width, int elem_bytes,
                          int64_t depth)
{
    assert(depth >= 1 && depth <= INT32_MAX);
    size_t step = (size_t)kernel->depth_step;
    size_t padded = ((size_t)depth + step - 1) / step * step;
    size_t bytes = header + padded * (size_t)width * (size_t)elem_bytes;
    return (bytes + 63) / 64 * 64;
}

size_t gemm_panel_bytes_a(const gemm_kernel *kernel, int64_t depth)
{
    return panel_bytes(kernel, kernel->header_a, kernel->mr, kernel->elem_bytes_a, depth);
}

size_t gemm_panel_bytes_b(const gemm_kernel *kernel, int64_t depth)
{
    return panel_bytes(kernel, kernel->header_b, kernel->nr, kernel->elem_bytes_b, depth);
}
