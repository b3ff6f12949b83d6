/*
 * NF4.  See nf4.h.
 *
 * Every float operation is one of bitsandbytes 0.50 on a CPU, in its order, so that codes and
 * scales are its own.  Two of its ways are not the nearest number, and are kept: an 8-bit code is
 * looked up by the number rounded to one of 65536 places, and the last, shorter block divides where
 * the others multiply by the reciprocal.
 */
#include "tensor/nf4.h"

#include <math.h>
#include <string.h>

const float nf4_value[16] = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};

/* Scales below this count as this one. */
#define SCALE_MIN 1e-38f

/* ----------------------------------------------------------------------------------- read ---- */

float nf4_block_scale(const nf4_view *v, int64_t block)
{
    if (v->plain_absmax != NULL)
        return v->plain_absmax[block];
    return v->nested_map[v->absmax[block]] * v->nested_absmax[block / NF4_NESTED_BLOCK] +
           v->nested_offset;
}

/* out[n] = number[code] of the elements from `first` on */
static void look_up(const uint8_t *codes, int64_t first, int64_t n, const float number[16],
                    float *out)
{
    const uint8_t *byte = codes + first / 2;
    int64_t i = 0;
    if (first % 2 != 0 && n > 0)
        out[i++] = number[*byte++ & 15];
    for (; i + 1 < n; i += 2, byte++) {
        out[i] = number[*byte >> 4];
        out[i + 1] = number[*byte & 15];
    }
    if (i < n)
        out[i] = number[*byte >> 4];
}

void nf4_dequantize(const nf4_view *v, int64_t first, int64_t n, float *out)
{
    float number[16];
    while (n > 0) {
        const float scale = nf4_block_scale(v, first / NF4_BLOCK);
        const int64_t left = NF4_BLOCK - first % NF4_BLOCK, part = n < left ? n : left;
        for (int c = 0; c < 16; c++)
            number[c] = nf4_value[c] * scale;
        look_up(v->codes, first, part, number, out);
        first += part;
        out += part;
        n -= part;
    }
}

void nf4_gather(const nf4_view *v, int64_t first, const int32_t *at, int64_t n, float *out)
{
    int64_t block = -1;
    float scale = 0.0f;
    for (int64_t i = 0; i < n; i++) {
        const int64_t element = first + at[i];
        const uint8_t byte = v->codes[element / 2];
        if (element / NF4_BLOCK != block) {
            block = element / NF4_BLOCK;
            scale = nf4_block_scale(v, block);
        }
        out[i] = nf4_value[element % 2 == 0 ? byte >> 4 : byte & 15] * scale;
    }
}

/* ------------------------------------------------------------------------------- quantise ---- */

static float clamp(float x)
{
    return x < -1.0f ? -1.0f : x > 1.0f ? 1.0f : x;
}

/* How many of the bounds between the neighbours of map[count], count a power of two, are below x:
 * the code of the nearest number, of two the lower one. */
static int nearest(const float *map, int count, float x)
{
    int code = 0;
    for (int step = count / 2; step > 0; step /= 2) {
        const float bound = (map[code + step - 1] + map[code + step]) / 2.0f;
        code += bound < x ? step : 0;
    }
    return code;
}

/* codes of x[n], whose first element has an even place; an odd one is filled up with a zero. */
static void pack(const float *x, int64_t n, uint8_t *codes)
{
    for (int64_t i = 0; i < n; i += 2) {
        const int even = nearest(nf4_value, 16, x[i]);
        const int odd = nearest(nf4_value, 16, i + 1 < n ? x[i + 1] : 0.0f);
        codes[i / 2] = (uint8_t)(even << 4 | odd);
    }
}

static float largest(const float *x, int64_t n)
{
    float max = 0.0f;
    for (int64_t i = 0; i < n; i++)
        max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
    return max;
}

void nf4_find_scales(const float *x, int64_t n, float *absmax)
{
    const int64_t whole = n / NF4_BLOCK, rest = n % NF4_BLOCK;
    for (int64_t b = 0; b < whole; b++)
        absmax[b] = largest(x + b * NF4_BLOCK, NF4_BLOCK);
    if (rest != 0) {
        const float max = largest(x + whole * NF4_BLOCK, rest);
        absmax[whole] = max < SCALE_MIN ? SCALE_MIN : max;
    }
}

void nf4_quantize(const float *x, int64_t n, uint8_t *codes, float *absmax)
{
    const int64_t whole = n / NF4_BLOCK, rest = n % NF4_BLOCK;
    float scaled[NF4_BLOCK];
    nf4_find_scales(x, n, absmax);
    for (int64_t b = 0; b < whole; b++) {
        const float *block = x + b * NF4_BLOCK;
        const float factor = 1.0f / (absmax[b] < SCALE_MIN ? SCALE_MIN : absmax[b]);
        for (int i = 0; i < NF4_BLOCK; i++)
            scaled[i] = clamp(block[i] * factor);
        pack(scaled, NF4_BLOCK, codes + b * (NF4_BLOCK / 2));
    }
    if (rest != 0) {
        const float *block = x + whole * NF4_BLOCK;
        for (int64_t i = 0; i < rest; i++)
            scaled[i] = clamp(block[i] / absmax[whole]);
        pack(scaled, rest, codes + whole * (NF4_BLOCK / 2));
    }
}

/*
 * The mean in the order of torch's sum on one thread.  The numbers are dealt to `lanes` sums, and
 * those to 4 sums each, which are added up in levels, so that none gets long.  What does not fill
 * all lanes is added last.
 */
enum { LANES_MAX = 8, TURNS = 4, LEVELS = 4, SUMS_MAX = LANES_MAX * TURNS };

/* How many bits n - 1 has. */
static int ceil_log2(int64_t n)
{
    int bits = 0;
    while (bits < 62 && INT64_C(1) << bits < n)
        bits++;
    return bits;
}

static void add_to(float *sum, const float *x, int n)
{
    for (int i = 0; i < n; i++)
        sum[i] += x[i];
}

/* sum[width] of x[count][width] */
static void sum_in_levels(const float *x, int64_t count, int width, float sum[SUMS_MAX])
{
    const int power = ceil_log2(count) / LEVELS < 4 ? 4 : ceil_log2(count) / LEVELS;
    const int64_t step = INT64_C(1) << power;
    float level[LEVELS][SUMS_MAX] = {0};
    int64_t i = 0;
    while (i + step <= count) {
        for (int64_t end = i + step; i < end; i++)
            add_to(level[0], x + i * width, width);
        for (int j = 1; j < LEVELS; j++) {
            add_to(level[j], level[j - 1], width);
            memset(level[j - 1], 0, sizeof level[j - 1]);
            if ((i & (step - 1) << j * power) != 0)
                break;
        }
    }
    for (; i < count; i++)
        add_to(level[0], x + i * width, width);
    for (int j = 1; j < LEVELS; j++)
        add_to(level[0], level[j], width);
    memcpy(sum, level[0], (size_t)width * sizeof *sum);
}

static float mean(const float *x, int64_t n)
{
    const int lanes = n < LANES_MAX ? 1 : LANES_MAX;
    const int64_t groups = n / lanes, turns = groups / TURNS;
    float sum[SUMS_MAX], total = 0.0f;
    sum_in_levels(x, turns, lanes * TURNS, sum);
    for (int64_t i = turns * TURNS; i < groups; i++)
        add_to(sum, x + i * lanes, lanes);
    for (int k = 1; k < TURNS; k++)
        add_to(sum, sum + k * lanes, lanes);
    for (int64_t i = groups * lanes; i < n; i++)
        total += x[i];
    for (int i = 0; i < lanes; i++)
        total += sum[i];
    return total / (float)n;
}

/* The 8-bit code of -1 <= x <= 1: of the place among 65536 equidistant ones that x is nearest to.
 * NaN is 0 times the reciprocal of a maximum below 2^-128. */
static uint8_t nearest_place(const float map[256], float x)
{
    const int last = 65535;
    const float half = (x + 1.0f) * 0.5f;
    const double exact = half >= 0.0f ? (double)half * last + 0.5 : 0.5; /* NaN: the first place */
    const int place = (int)(float)exact;
    return (uint8_t)nearest(map, 256, 2.0f * (float)place / (float)last - 1.0f);
}

void nf4_quantize_scales(const float *absmax, int64_t blocks, const float map[256], uint8_t *codes,
                         float *nested, float *offset)
{
    *offset = mean(absmax, blocks);
    for (int64_t first = 0; first < blocks; first += NF4_NESTED_BLOCK) {
        const int64_t left = blocks - first, n = left < NF4_NESTED_BLOCK ? left : NF4_NESTED_BLOCK;
        float centred[NF4_NESTED_BLOCK], max;
        for (int64_t i = 0; i < n; i++)
            centred[i] = absmax[first + i] - *offset;
        max = largest(centred, n);
        nested[first / NF4_NESTED_BLOCK] = max;
        for (int64_t i = 0; i < n; i++)
            codes[first + i] =
                max == 0.0f ? 0 : nearest_place(map, clamp(centred[i] * (1.0f / max)));
    }
}
