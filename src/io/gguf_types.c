/*
 * Blocks of GGUF files to float32.  See gguf_types.h for the formulas.
 *
 * Plain loops: a model is decoded once, and what takes the time is reading the file.
 */
#include "io/gguf_types.h"

#include "base/half.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "GGUF data is little-endian; this code reads it without conversion"
#endif

/* Elements and bytes of a block: of those with 32 elements, and of the K types. */
enum {
    SMALL = 32,
    Q8_0_BYTES = 2 + 32,
    Q4_0_BYTES = 2 + 16,
    Q4_1_BYTES = 2 + 2 + 16,
    Q5_0_BYTES = 2 + 4 + 16,
    Q5_1_BYTES = 2 + 2 + 4 + 16,
    LARGE = GGUF_BLOCK_MAX,
    Q4_K_BYTES = 2 + 2 + 12 + 128,
    Q6_K_BYTES = 128 + 64 + 16 + 2,
};

static float load_f16(const uint8_t *data)
{
    return float_of_f16((uint32_t)data[0] | (uint32_t)data[1] << 8);
}

static void decode_f32(const uint8_t *data, int64_t blocks, float *out)
{
    memcpy(out, data, (size_t)blocks * sizeof *out);
}

static void decode_f16(const uint8_t *data, int64_t blocks, float *out)
{
    for (int64_t i = 0; i < blocks; i++)
        out[i] = load_f16(data + 2 * i);
}

static void decode_bf16(const uint8_t *data, int64_t blocks, float *out)
{
    for (int64_t i = 0; i < blocks; i++)
        out[i] = float_of_bf16((uint32_t)data[2 * i] | (uint32_t)data[2 * i + 1] << 8);
}

static void decode_q8_0(const uint8_t *data, int64_t blocks, float *out)
{
    for (int64_t b = 0; b < blocks; b++, data += Q8_0_BYTES, out += SMALL) {
        const float d = load_f16(data);
        for (int i = 0; i < SMALL; i++)
            out[i] = (float)(int8_t)data[2 + i] * d;
    }
}

/* The low 4 bits of element i of a block of 32. */
static int low_bits(const uint8_t *bytes, int i)
{
    return bytes[i % 16] >> (i < 16 ? 0 : 4) & 15;
}

/* The fifth bit, in its place. */
static int fifth_bit(const uint8_t *bytes, int i)
{
    return (bytes[i / 8] >> i % 8 & 1) << 4;
}

static void decode_q4_0(const uint8_t *data, int64_t blocks, float *out)
{
    for (int64_t b = 0; b < blocks; b++, data += Q4_0_BYTES, out += SMALL) {
        const float d = load_f16(data);
        for (int i = 0; i < SMALL; i++)
            out[i] = d * (float)(low_bits(data + 2, i) - 8);
    }
}

static void decode_q4_1(const uint8_t *data, int64_t blocks, float *out)
{
    for (int64_t b = 0; b < blocks; b++, data += Q4_1_BYTES, out += SMALL) {
        const float d = load_f16(data), m = load_f16(data + 2);
        for (int i = 0; i < SMALL; i++)
            out[i] = d * (float)low_bits(data + 4, i) + m;
    }
}

static void decode_q5_0(const uint8_t *data, int64_t blocks, float *out)
{
    for (int64_t b = 0; b < blocks; b++, data += Q5_0_BYTES, out += SMALL) {
        const float d = load_f16(data);
        for (int i = 0; i < SMALL; i++)
            out[i] = d * (float)((low_bits(data + 6, i) | fifth_bit(data + 2, i)) - 16);
    }
}

static void decode_q5_1(const uint8_t *data, int64_t blocks, float *out)
{
    for (int64_t b = 0; b < blocks; b++, data += Q5_1_BYTES, out += SMALL) {
        const float d = load_f16(data), m = load_f16(data + 2);
        for (int i = 0; i < SMALL; i++)
            out[i] = d * (float)(low_bits(data + 8, i) | fifth_bit(data + 4, i)) + m;
    }
}

/* Scale and minimum number j of the 8 in 12 bytes. */
static void load_scales_k(const uint8_t *c, int j, int *scale, int *minimum)
{
    if (j < 4) {
        *scale = c[j] & 63;
        *minimum = c[j + 4] & 63;
    } else {
        *scale = (c[j + 4] & 15) | (c[j - 4] >> 6) << 4;
        *minimum = c[j + 4] >> 4 | (c[j] >> 6) << 4;
    }
}

static void decode_q4_k(const uint8_t *data, int64_t blocks, float *out)
{
    for (int64_t b = 0; b < blocks; b++, data += Q4_K_BYTES, out += LARGE) {
        const float d = load_f16(data), m = load_f16(data + 2);
        const uint8_t *quants = data + 16;
        for (int j = 0; j < LARGE / 32; j++) {
            int scale = 0, minimum = 0;
            load_scales_k(data + 4, j, &scale, &minimum);
            const float ds = d * (float)scale, mt = m * (float)minimum;
            for (int i = 0; i < 32; i++)
                out[32 * j + i] = ds * (float)(quants[32 * (j / 2) + i] >> 4 * (j % 2) & 15) - mt;
        }
    }
}

static void decode_q6_k(const uint8_t *data, int64_t blocks, float *out)
{
    for (int64_t b = 0; b < blocks; b++, data += Q6_K_BYTES, out += LARGE) {
        const uint8_t *low = data, *high = data + 128, *scales = data + 192;
        const float d = load_f16(data + 208);
        for (int i = 0; i < LARGE; i++) {
            const int h = i / 128, r = i % 128;
            const int bits = low[64 * h + r % 64] >> 4 * (r / 64) & 15;
            const int top = high[32 * h + r % 32] >> 2 * (r / 32) & 3;
            const float ds = d * (float)(int8_t)scales[i / 16];
            out[i] = ds * (float)((bits | top << 4) - 32);
        }
    }
}

/* By their numbers: enum ggml_type in ggml.h. */
static const gguf_type types[] = {
    [GGUF_F32] = {"F32", 1, 4, decode_f32},
    [GGUF_F16] = {"F16", 1, 2, decode_f16},
    [GGUF_Q4_0] = {"Q4_0", SMALL, Q4_0_BYTES, decode_q4_0},
    [GGUF_Q4_1] = {"Q4_1", SMALL, Q4_1_BYTES, decode_q4_1},
    [4] = {"Q4_2", 0, 0, NULL},
    [5] = {"Q4_3", 0, 0, NULL},
    [GGUF_Q5_0] = {"Q5_0", SMALL, Q5_0_BYTES, decode_q5_0},
    [GGUF_Q5_1] = {"Q5_1", SMALL, Q5_1_BYTES, decode_q5_1},
    [GGUF_Q8_0] = {"Q8_0", SMALL, Q8_0_BYTES, decode_q8_0},
    [9] = {"Q8_1", 32, 40, NULL},
    [10] = {"Q2_K", 256, 84, NULL},
    [11] = {"Q3_K", 256, 110, NULL},
    [GGUF_Q4_K] = {"Q4_K", LARGE, Q4_K_BYTES, decode_q4_k},
    [13] = {"Q5_K", 256, 176, NULL},
    [GGUF_Q6_K] = {"Q6_K", LARGE, Q6_K_BYTES, decode_q6_k},
    [15] = {"Q8_K", 256, 292, NULL},
    [16] = {"IQ2_XXS", 256, 66, NULL},
    [17] = {"IQ2_XS", 256, 74, NULL},
    [18] = {"IQ3_XXS", 256, 98, NULL},
    [19] = {"IQ1_S", 256, 50, NULL},
    [20] = {"IQ4_NL", 32, 18, NULL},
    [21] = {"IQ3_S", 256, 110, NULL},
    [22] = {"IQ2_S", 256, 82, NULL},
    [23] = {"IQ4_XS", 256, 136, NULL},
    [24] = {"I8", 1, 1, NULL},
    [25] = {"I16", 1, 2, NULL},
    [26] = {"I32", 1, 4, NULL},
    [27] = {"I64", 1, 8, NULL},
    [28] = {"F64", 1, 8, NULL},
    [29] = {"IQ1_M", 256, 56, NULL},
    [GGUF_BF16] = {"BF16", 1, 2, decode_bf16},
    [31] = {"Q4_0_4_4", 0, 0, NULL},
    [32] = {"Q4_0_4_8", 0, 0, NULL},
    [33] = {"Q4_0_8_8", 0, 0, NULL},
    [34] = {"TQ1_0", 256, 54, NULL},
    [35] = {"TQ2_0", 256, 66, NULL},
    [36] = {"IQ4_NL_4_4", 0, 0, NULL},
    [37] = {"IQ4_NL_4_8", 0, 0, NULL},
    [38] = {"IQ4_NL_8_8", 0, 0, NULL},
    [39] = {"MXFP4", 32, 17, NULL},
    [40] = {"NVFP4", 64, 36, NULL},
    [41] = {"Q1_0", 128, 18, NULL},
};

const gguf_type *gguf_type_find(uint32_t number)
{
    return number < sizeof types / sizeof types[0] ? &types[number] : NULL;
}
