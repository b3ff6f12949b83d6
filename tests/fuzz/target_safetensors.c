/*
 * io/safetensors, one file: opening gives an error, or tensors that can be read to the last byte.
 * Input: r and the bytes of the file; or h, a header, NUL and the data, to which the length of the
 * header is put in front, so that most changes of a header are read.
 */
#include "fuzz/fuzz_target.h"

#include <string.h>

#include "fuzz/use_safetensors.h"

static bool run(const uint8_t *data, size_t size)
{
    safetensors *file = NULL;
    char path[4096];
    if (size < 1)
        return false;
    fuzz_bytes rest = {(const char *)data + 1, size - 1};
    if (data[0] == 'h') {
        const fuzz_bytes header = fuzz_take_part(&rest);
        put_safetensors("target", header, rest);
    } else {
        fuzz_put("target", rest.data, rest.size);
    }
    snprintf(path, sizeof path, "%s/target", fuzz_folder());
    const mts_status st = safetensors_open_file(&fuzz_ctx, path, &file);
    if (st == MTS_OK) {
        use_safetensors(file, size);
    } else {
        FUZZ_REQUIRE(file == NULL);
        fuzz_require_refusal(st);
    }
    safetensors_close(file);
    return st == MTS_OK;
}

static const fuzz_bytes seeds[] = {
    FUZZ_BYTES("r\x38\0\0\0\0\0\0\0{\"z\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}"
               "   ab"),
    FUZZ_BYTES("r\xc8\0\0\0\0\0\0\0{\"__metadata__\":{\"format\":\"pt\"},"
               "\"w\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
               "\"b\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[8,10]},"
               "\"h\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[10,12]}}    "
               "\0\0\x80?\0\0\0\xc0\x80?\0<"),
    FUZZ_BYTES("h{\"w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
               "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[8,10]}}   \0"
               "\0\0\x80?\0\0\0\xc0yz"),
    FUZZ_BYTES("h{\"__metadata__\":{\"a\":\"\"},\"x\":{\"dtype\":\"I64\",\"shape\":[0],"
               "\"data_offsets\":[0,0]},\"y\":{\"dtype\":\"BF16\",\"shape\":[],"
               "\"data_offsets\":[0,2]}} \0\x80?"),
};

#define TEN(x) x x x x x x x x x x

/* Quoted in errors, cut at so many bytes, amid a character. */
static const fuzz_bytes cases[] = {
    FUZZ_BYTES("h{\"x" TEN(TEN("\xc3\xa9")) TEN("\xc3\xa9") "\":{\"dtype\":\"X\",\"shape\":[],"
                                                            "\"data_offsets\":[0,1]}}\0"
                                                            "a"),
};

static const char *const words[] = {"{",
                                    "}",
                                    "[",
                                    "]",
                                    ",",
                                    ":",
                                    "\"",
                                    "-1",
                                    "0",
                                    "1e9",
                                    "18",
                                    "\\u0000",
                                    "\\ud800",
                                    "\xff",
                                    "null",
                                    "[0]",
                                    "{}",
                                    "\"F64\"",
                                    "\"I64\"",
                                    "\"BOOL\"",
                                    "\"F8_E4M3\"",
                                    "4294967296",
                                    "\"\":{}",
                                    "shape",
                                    "dtype",
                                    "data_offsets",
                                    " ",
                                    "9223372036854775807",
                                    "9223372036854775808",
                                    "__metadata__",
                                    NULL};

const fuzz_target fuzz_target_safetensors = {
    .name = "safetensors",
    .run = run,
    .seeds = seeds,
    .n_seeds = FUZZ_COUNT(seeds),
    .cases = cases,
    .n_cases = FUZZ_COUNT(cases),
    .whole = true,
    .words = words,
};
