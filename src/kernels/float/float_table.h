/* Prototypes of this build's float kernels. */
#ifndef MTS_KERNELS_FLOAT_TABLE_H
#define MTS_KERNELS_FLOAT_TABLE_H

#include "kernels/float_kernels.h"
#include "kernels/float/float_lanes.h"

#define FLOAT_KERNEL(type, kernel, arguments) type FK(kernel) arguments;
#include "kernels/float_kernel_list.h"

#endif
