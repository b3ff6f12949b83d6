/* The table of this build's float kernels.  See float_kernels.h. */
#include "kernels/float/float_table.h"

#define FK_STRING_(isa) #isa
#define FK_STRING(isa) FK_STRING_(isa)

const float_kernels FK(float_kernels) = {
    .name = FK_STRING(MTS_ISA),
    .max_abs_bits = FK(max_abs_bits),
    .max_abs_columns = FK(max_abs_columns),
    .max_abs_bits_scaled = FK(max_abs_bits_scaled),
    .quantize_s8 = FK(quantize_s8),
    .quantize_s16 = FK(quantize_s16),
    .tile_store_s32 = FK(tile_store_s32),
    .tile_store_f64 = FK(tile_store_f64),
    .tile_add = FK(tile_add),
    .add = FK(add),
    .dropout = FK(dropout),
    .activation_forward = FK(activation_forward),
    .activation_slope = FK(activation_slope),
    .activation_backward = FK(activation_backward),
    .softmax_forward = FK(softmax_forward),
    .softmax_backward = FK(softmax_backward),
    .layernorm_forward = FK(layernorm_forward),
    .layernorm_backward = FK(layernorm_backward),
    .norm_sums = FK(norm_sums),
    .norm_divide = FK(norm_divide),
    .norm_affine = FK(norm_affine),
    .norm_grad_sums = FK(norm_grad_sums),
    .norm_grad_input = FK(norm_grad_input),
    .norm_grad_params = FK(norm_grad_params),
    .accumulate = FK(accumulate),
    .accumulate_s8 = FK(accumulate_s8),
    .accumulate_s16 = FK(accumulate_s16),
    .dequantize_s16 = FK(dequantize_s16),
    .multiply_s8 = FK(multiply_s8),
    .multiply_s16 = FK(multiply_s16),
    .sum_squares = FK(sum_squares),
    .adamw = FK(adamw),
    .adamw_8bit = FK(adamw_8bit),
    .sgd = FK(sgd),
    .to_bf16 = FK(to_bf16),
    .from_bf16 = FK(from_bf16),
};
