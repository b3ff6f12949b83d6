/* Exponents of dynamic fixed point.  See format.h. */
#include "tensor/format.h"

#include <string.h>

enum { MIN_EXPONENT = -100 };

float format_power(int e)
{
    uint32_t bits = (uint32_t)(e + 127) << 23;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

int format_unit_exponent(uint32_t max_abs_bits, int bits)
{
    if (max_abs_bits == 0)
        return 0 - (bits - 2);
    int e = (int)(max_abs_bits >> 23) - 127;
    return (e < MIN_EXPONENT ? MIN_EXPONENT : e) - (bits - 2);
}

format_unit format_unit_of(uint32_t max_abs_bits, int bits, scale_kind scales)
{
    const int exponent = (int)(max_abs_bits >> 23) - 127;
    const int e = format_unit_exponent(max_abs_bits, bits);
    /* The last octave, of which a mantissa times its scale could round to infinity, has a power. */
    if (scales == SCALES_LARGEST && exponent >= MIN_EXPONENT && exponent < 127) {
        const float limit = (float)format_limit(bits);
        float max;
        memcpy(&max, &max_abs_bits, sizeof max);
        return (format_unit){max / limit, 1.0f / (max / limit)};
    }
    return (format_unit){format_power(e), format_power(-e)};
}

int format_precision_bits(const char *name)
{
    static const struct {
        const char *name;
        int bits;
    } rows[] = {{"int8", 8}, {"int10", 10}, {"int12", 12}, {"int16", 16}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(name, rows[i].name) == 0)
            return rows[i].bits;
    return 0;
}
