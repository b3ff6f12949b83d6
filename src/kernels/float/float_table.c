/* The table of this build's float kernels.  See float_kernels.h. */
#include "kernels/float/float_table.h"

#define FK_STRING_(isa) #isa
#define FK_STRING(isa) FK_STRING_(isa)

const float_kernels FK(float_kernels) = {
    .name = FK_STRING(MTS_ISA),
#define FLOAT_KERNEL(type, kernel, arguments) .kernel = FK(kernel),
#include "kernels/float_kernel_list.h"
};
