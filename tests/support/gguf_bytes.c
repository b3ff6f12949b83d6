/* GGUF files made piece by piece.  See gguf_bytes.h. */
#include "support/gguf_bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void gguf_put_bytes(gguf_bytes *b, const void *data, size_t bytes)
{
    if (bytes > sizeof b->data - b->size) {
        fprintf(stderr, "gguf_bytes: no room\n");
        abort();
    }
    memcpy(b->data + b->size, data, bytes);
    b->size += bytes;
}

void gguf_put_int(gguf_bytes *b, uint64_t value, size_t bytes)
{
    gguf_put_bytes(b, &value, bytes); /* little-endian, as all that Mantissa runs on */
}

void gguf_start(gguf_bytes *b, uint32_t version, uint64_t tensors, uint64_t keys)
{
    b->size = 0;
    gguf_put_bytes(b, "GGUF", 4);
    gguf_put_int(b, version, 4);
    gguf_put_int(b, tensors, 8);
    gguf_put_int(b, keys, 8);
}

void gguf_put_text(gguf_bytes *b, const char *text)
{
    gguf_put_int(b, strlen(text), 8);
    gguf_put_bytes(b, text, strlen(text));
}

void gguf_put_key(gguf_bytes *b, const char *name, gguf_kind kind)
{
    gguf_put_text(b, name);
    gguf_put_int(b, kind, 4);
}

void gguf_put_u32(gguf_bytes *b, const char *name, uint32_t value)
{
    gguf_put_key(b, name, GGUF_KIND_U32);
    gguf_put_int(b, value, 4);
}

void gguf_put_f32(gguf_bytes *b, const char *name, float value)
{
    gguf_put_key(b, name, GGUF_KIND_F32);
    gguf_put_bytes(b, &value, sizeof value);
}

void gguf_put_name(gguf_bytes *b, const char *name, const char *value)
{
    gguf_put_key(b, name, GGUF_KIND_TEXT);
    gguf_put_text(b, value);
}

void gguf_put_array(gguf_bytes *b, const char *name, gguf_kind element, uint64_t count)
{
    gguf_put_key(b, name, GGUF_KIND_ARRAY);
    gguf_put_int(b, element, 4);
    gguf_put_int(b, count, 8);
}

void gguf_put_tensor(gguf_bytes *b, const char *name, uint64_t ne0, uint64_t ne1, uint32_t type,
                     uint64_t offset)
{
    gguf_put_text(b, name);
    gguf_put_int(b, ne1 == 0 ? 1 : 2, 4);
    gguf_put_int(b, ne0, 8);
    if (ne1 != 0)
        gguf_put_int(b, ne1, 8);
    gguf_put_int(b, type, 4);
    gguf_put_int(b, offset, 8);
}

void gguf_pad(gguf_bytes *b, size_t alignment)
{
    while (b->size % alignment != 0)
        gguf_put_int(b, 0, 1);
}

size_t gguf_block(uint32_t type, uint8_t out[GGUF_BLOCK_BYTES])
{
    static const uint16_t halves[] = {0x224c, 0xb800}; /* 0.0123, -0.5 */
    const gguf_type *t = gguf_type_find(type);
    const size_t bytes = t->elements == 1 ? 8 : t->bytes;
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(37 * i + 11 * type + 5);
    for (size_t i = 1; t->elements == 1 && i < bytes; i += 2)
        out[i] &= 0xbf; /* no exponent of infinity and NaN */
    if (type == GGUF_Q6_K)
        memcpy(out + bytes - 2, halves, 2);
    else if (t->elements > 1)
        memcpy(out, halves, type == GGUF_Q4_1 || type == GGUF_Q5_1 || type == GGUF_Q4_K ? 4 : 2);
    return bytes;
}

/* One value of each type of numbers, and of texts. */
static void put_keys(gguf_bytes *b)
{
    const double fine = 0.1;
    const float third = 1.0F / 3;
    gguf_put_name(b, "general.architecture", "llama");
    gguf_put_u32(b, "llama.block_count", 2);
    gguf_put_f32(b, "llama.rope.freq_base", 10000);
    gguf_put_key(b, "x.u8", GGUF_KIND_U8);
    gguf_put_int(b, 255, 1);
    gguf_put_key(b, "x.i8", GGUF_KIND_I8);
    gguf_put_int(b, 0x80, 1);
    gguf_put_key(b, "x.u16", GGUF_KIND_U16);
    gguf_put_int(b, 65535, 2);
    gguf_put_key(b, "x.i16", GGUF_KIND_I16);
    gguf_put_int(b, 0x8000, 2);
    gguf_put_key(b, "x.i32", GGUF_KIND_I32);
    gguf_put_int(b, 0xffffffff, 4);
    gguf_put_key(b, "x.u64", GGUF_KIND_U64);
    gguf_put_int(b, UINT64_MAX, 8);
    gguf_put_key(b, "x.i64", GGUF_KIND_I64);
    gguf_put_int(b, (uint64_t)INT64_MIN, 8);
    gguf_put_key(b, "x.f64", GGUF_KIND_F64);
    gguf_put_bytes(b, &fine, sizeof fine);
    gguf_put_key(b, "x.bool", GGUF_KIND_BOOL);
    gguf_put_int(b, 1, 1);
    gguf_put_name(b, "x.text", "\xc3\xa9t\xc3\xa9\n");
    gguf_put_array(b, "x.texts", GGUF_KIND_TEXT, 3);
    gguf_put_text(b, "a");
    gguf_put_text(b, "");
    gguf_put_text(b, "\xc4\xa0the");
    gguf_put_array(b, "x.ints", GGUF_KIND_I32, 3);
    gguf_put_int(b, 7, 4);
    gguf_put_int(b, (uint64_t)-3, 4);
    gguf_put_int(b, 0, 4);
    gguf_put_array(b, "x.reals", GGUF_KIND_F32, 2);
    gguf_put_bytes(b, &third, sizeof third);
    gguf_put_int(b, 0x80000000, 4); /* -0 */
    gguf_put_array(b, "x.none", GGUF_KIND_U8, 0);
}

enum { VALID_KEYS = 17 };

void gguf_make_valid(gguf_bytes *b, uint32_t version)
{
    static const uint32_t types[] = {GGUF_F32,  GGUF_F16,  GGUF_BF16, GGUF_Q8_0, GGUF_Q4_0,
                                     GGUF_Q4_1, GGUF_Q5_0, GGUF_Q5_1, GGUF_Q4_K, GGUF_Q6_K};
    enum { TYPES = sizeof types / sizeof types[0] };
    uint8_t block[GGUF_BLOCK_BYTES];
    size_t offset = 0;
    gguf_start(b, version, TYPES, VALID_KEYS);
    put_keys(b);
    for (int i = 0; i < TYPES; i++) {
        const gguf_type *t = gguf_type_find(types[i]);
        const size_t bytes = gguf_block(types[i], block);
        char name[32];
        snprintf(name, sizeof name, "t.%s", t->name);
        gguf_put_tensor(b, name, bytes / t->bytes * t->elements, 2, types[i], offset);
        offset = (offset + 2 * bytes + 31) / 32 * 32;
    }
    for (int i = 0; i < TYPES; i++) {
        const size_t bytes = gguf_block(types[i], block);
        gguf_pad(b, 32);
        gguf_put_bytes(b, block, bytes);
        for (size_t k = 4; k < bytes - 2; k++) /* another row: other bits, the same scales */
            block[k] ^= 0x11;
        gguf_put_bytes(b, block, bytes);
    }
}
