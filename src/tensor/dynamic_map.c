/*
 * Making the maps.  See dynamic_map.h.
 *
 * A table of ranks: the magnitudes are cut into buckets of equal upper halves of their bits, 128 in
 * each octave.  A bucket is narrower than the distance of two neighbours of the map, so that it
 * holds at most one bound between them.  Let c be the number of bounds below the bucket and t the
 * lower half of the bound within it (0xffff if there is none): the rank of x is c + [low(x) > t].
 * The entry (c - bucket) 2^16 + 0xffff - t gives this by one addition: adding the bits of x cancels
 * the bucket and carries into the upper half if and only if low(x) > t.
 */
#include "tensor/dynamic_map.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { DECADES = 7, POSITIVE_MAX = 255 };

static const float powers_of_ten[DECADES] = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1.0f};

/* torch.linspace(0.1, 1, count)[i] in float: from the nearer end. */
static float line_point(int i, int count)
{
    const float low = 0.1f, high = 1.0f;
    const float step = (high - low) / (float)(count - 1);
    return i < count / 2 ? low + step * (float)i : high - step * (float)(count - 1 - i);
}

/* 0 and the positive numbers, rising; returns how many are positive: 128 or 255. */
static int make_positive(float positive[POSITIVE_MAX + 1], bool with_signs)
{
    int count = 0;
    positive[0] = 0.0f;
    for (int j = 0; j < DECADES; j++) {
        const int n = with_signs ? 1 << j : 2 << j;
        for (int k = 0; k < n; k++) {
            const float middle = (line_point(k, n + 1) + line_point(k + 1, n + 1)) / 2.0f;
            positive[++count] = powers_of_ten[j] * middle;
        }
    }
    positive[++count] = 1.0f;
    return count;
}

/* Bits of the largest float not above the middle of a and b: x is nearer to b if it is greater. */
static uint32_t bound_bits(float a, float b)
{
    const double middle = ((double)a + (double)b) / 2.0; /* exact */
    float bound = (float)middle;
    uint32_t bits;
    if ((double)bound > middle)
        bound = nextafterf(bound, 0.0f);
    memcpy(&bits, &bound, sizeof bits);
    return bits;
}

static void make_ranks(uint32_t rank[DYNAMIC_BUCKETS], const float *positive, int count)
{
    int below = 0;
    for (uint32_t bucket = DYNAMIC_FIRST; bucket <= DYNAMIC_LAST; bucket++) {
        uint32_t low = 0xffff;
        int next = below;
        if (below < count) {
            const uint32_t bits = bound_bits(positive[below], positive[below + 1]);
            assert(bits >> 16 >= bucket); /* no bucket has two */
            if (bits >> 16 == bucket) {
                low = bits & 0xffff;
                next++;
            }
        }
        rank[bucket - DYNAMIC_FIRST] = ((uint32_t)below << 16) + 0xffff - low - (bucket << 16);
        below = next;
    }
    assert(below == count);
}

void dynamic_map_make(dynamic_map *map, bool with_signs)
{
    float positive[POSITIVE_MAX + 1];
    const int count = make_positive(positive, with_signs);
    const int zero = POSITIVE_MAX - count;
    for (int r = 0; r <= count; r++)
        map->value[zero + r] = positive[r];
    for (int r = 1; r <= zero; r++)
        map->value[zero - r] = -positive[r];
    make_ranks(map->rank, positive, count);
}
