/* Which build of the float kernels goes with an integer family.  See float_kernels.h. */
#include "kernels/float_kernels.h"

#include "cpu/cpu_features.h"

const float_kernels *float_kernels_for(const gemm_family *family)
{
#if defined(__x86_64__)
    if (family->features & CPU_AVX512)
        return &float_kernels__avx512;
    if (family->features & CPU_AVX2)
        return &float_kernels__avx2;
#else
    (void)family;
#endif
    return &float_kernels__generic;
}
