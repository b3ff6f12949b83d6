/* The number formats, one row each.  See arithmetic.h. */
#include "layers/arithmetic.h"

static const arithmetic rows[] = {
    [FORMAT_FP32] = {"fp32", &linear_fp32, &layernorm_float, &embedding_float, &nonlinearity_float,
                     &attention_fp32},
    [FORMAT_BF16] = {"bf16", &linear_bf16, &layernorm_float, &embedding_float, &nonlinearity_float,
                     &attention_bf16},
    [FORMAT_DFP] = {"dynamic fixed point", &linear_dfp, &layernorm_dfp, &embedding_dfp,
                    &nonlinearity_dfp, &attention_dfp},
};

void arithmetic_select(exec *ex, const num_format *format)
{
    ex->format = *format;
    ex->arithmetic = &rows[format->kind];
}
