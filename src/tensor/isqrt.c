/* Integer square root.  See isqrt.h. */
#include "tensor/isqrt.h"

uint32_t isqrt_floor(uint64_t v)
{
    uint64_t root = 0, bit = UINT64_C(1) << 62;
    while (bit > v)
        bit >>= 2;
    while (bit != 0) {
        if (v >= root + bit) {
            v -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
        bit >>= 2;
    }
    return (uint32_t)root;
}

int64_t isqrt_scaled(int64_t v, int *half_shift)
{
    int shift = 0;
    while (shift < 62 && v < INT64_C(1) << 58) {
        v <<= 2;
        shift += 2;
    }
    *half_shift = shift / 2;
    return isqrt_floor((uint64_t)v);
}
