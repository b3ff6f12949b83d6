/* base/json_util: any bytes give an error of one line, or a value that survives dump and parse. */
#include "fuzz/fuzz_target.h"

#include <string.h>

#include "base/json_util.h"
#include "base/memory.h"

/* Either form of the dump gives an equal value back. */
static void require_round_trip(const json_t *json)
{
    for (int indent = 0; indent <= 2; indent += 2) {
        char *text = NULL;
        json_t *back = NULL;
        FUZZ_REQUIRE(json_util_dump(&fuzz_ctx, json, indent, indent != 0, &text) == MTS_OK);
        FUZZ_REQUIRE(json_util_parse(&fuzz_ctx, "dump", text, strlen(text), &back) == MTS_OK);
        FUZZ_REQUIRE(json_equal(json, back));
        json_decref(back);
        mem_free(text);
    }
}

static bool run(const uint8_t *data, size_t size)
{
    json_t *json = NULL, *wide = NULL;
    mts_status st = json_util_parse_wide(&fuzz_ctx, "f", (const char *)data, size, &wide);
    FUZZ_REQUIRE((st == MTS_OK) == json_is_object(wide));
    if (st != MTS_OK)
        fuzz_require_refusal(st);
    json_decref(wide);
    st = json_util_parse(&fuzz_ctx, "f", (const char *)data, size, &json);
    if (st != MTS_OK) {
        FUZZ_REQUIRE(json == NULL);
        fuzz_require_refusal(st);
        return false;
    }
    require_round_trip(json);
    json_decref(json);
    return true;
}

static const fuzz_bytes seeds[] = {
    FUZZ_BYTES("{\"a\":[1,-2.5e-3,true,false,null],\"b\":{\"\":\"\\u00e9\\n\\ud83d\\ude00\"}}"),
    FUZZ_BYTES("[9223372036854775807,1e300,\"\xc3\xa9\xe4\xb8\xad\xf0\x9f\x91\x8d\",[[[]]],{}]"),
    FUZZ_BYTES(" {\"id2label\": {\"0\": \"x\", \"1\": \"y\"}, \"layer_norm_eps\": 1e-12}"),
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
                                    "\\",
                                    "\\u0000",
                                    "\\ud800",
                                    "\\udc00",
                                    "\xff",
                                    "\xed\xa0\x80",
                                    "null",
                                    "true",
                                    "NaN",
                                    "1e400",
                                    "1e-400",
                                    "-0",
                                    "-0.0",
                                    "\"a\":",
                                    "9223372036854775808",
                                    "1000000000000000000000000000000",
                                    NULL};

const fuzz_target fuzz_target_json = {
    .name = "json",
    .run = run,
    .seeds = seeds,
    .n_seeds = FUZZ_COUNT(seeds),
    .whole = true,
    .words = words,
};
