/* Looking up 4-bit codes in plain C.  See look_up_s8_fn. */
#include "kernels/kernels.h"

void look_up_s8__ref(int8_t *out, const uint8_t *codes, const int8_t *number, int64_t blocks)
{
    for (int64_t b = 0; b < blocks; b++, number += 16)
        for (int i = 0; i < 32; i++, codes++, out += 2) {
            out[0] = number[*codes >> 4];
            out[1] = number[*codes & 15];
        }
}
