/* Looking up 4-bit codes by byte shuffles: the numbers of a block are one register. */
#include <immintrin.h>

#include "kernels/kernels.h"

void look_up_s8__avx2(int8_t *out, const uint8_t *codes, const int8_t *number, int64_t blocks)
{
    const __m256i low_half = _mm256_set1_epi8(15);
    for (int64_t b = 0; b < blocks; b++, number += 16, codes += 32, out += 64) {
        const __m256i table = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)number));
        const __m256i c = _mm256_loadu_si256((const void *)codes);
        const __m256i high = _mm256_and_si256(_mm256_srli_epi16(c, 4), low_half);
        const __m256i even = _mm256_shuffle_epi8(table, high);
        const __m256i odd = _mm256_shuffle_epi8(table, _mm256_and_si256(c, low_half));
        /* of each half register: codes 0 to 15 and 16 to 31, then 32 to 47 and 48 to 63 */
        const __m256i first = _mm256_unpacklo_epi8(even, odd);
        const __m256i second = _mm256_unpackhi_epi8(even, odd);
        _mm256_storeu_si256((void *)out, _mm256_permute2x128_si256(first, second, 0x20));
        _mm256_storeu_si256((void *)(out + 32), _mm256_permute2x128_si256(first, second, 0x31));
    }
}
