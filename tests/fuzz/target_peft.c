/* adapter_config.json: refused with one line, or a configuration in range that is written and read
 * again as the same. */
#include "fuzz/fuzz_target.h"

#include <math.h>
#include <string.h>

#include "io/peft.h"

static bool run(const uint8_t *data, size_t size)
{
    peft_config c, back;
    fuzz_put(PEFT_CONFIG, data, size);
    const mts_status st = peft_config_load(&fuzz_ctx, fuzz_folder(), &c);
    if (st != MTS_OK) {
        fuzz_require_refusal(st);
        FUZZ_REQUIRE(c.targets == NULL);
        return false;
    }
    FUZZ_REQUIRE(c.rank >= 1 && c.rank <= 4096);
    FUZZ_REQUIRE(c.alpha >= 0.0 && c.alpha <= 1e9 && isfinite(peft_scale(&c)));
    FUZZ_REQUIRE(c.targets != NULL && c.targets[0] != '\0');
    FUZZ_REQUIRE(peft_config_save(&fuzz_ctx, &c, "base", fuzz_folder()) == MTS_OK);
    FUZZ_REQUIRE(peft_config_load(&fuzz_ctx, fuzz_folder(), &back) == MTS_OK);
    FUZZ_REQUIRE(back.rank == c.rank && back.alpha == c.alpha && back.rslora == c.rslora);
    FUZZ_REQUIRE(strcmp(back.targets, c.targets) == 0 && strcmp(back.task, c.task) == 0);
    FUZZ_REQUIRE(back.saved == c.saved && back.dropout == c.dropout);
    peft_config_deinit(&c);
    peft_config_deinit(&back);
    return true;
}

static const fuzz_bytes seeds[] = {
    FUZZ_BYTES("{\"target_modules\":[\"q_proj\",\"v_proj\"],\"r\":8,\"lora_alpha\":16}"),
    FUZZ_BYTES("{\"target_modules\":\"all-linear\",\"use_rslora\":true,\"lora_alpha\":0.5,"
               "\"peft_type\":\"LORA\",\"bias\":\"none\",\"rank_pattern\":{},\"use_dora\":false,"
               "\"modules_to_save\":null,\"init_lora_weights\":\"gaussian\"}"),
};

#define TEN(x) x x x x x x x x x x
#define LONG TEN("\xc3\xa9") TEN("\xc3\xa9") TEN("\xc3\xa9")

/* Quoted in errors, cut at so many bytes, amid a character. */
static const fuzz_bytes cases[] = {
    FUZZ_BYTES("{\"target_modules\":[\"x" LONG ",\"]}"),
    FUZZ_BYTES("{\"target_modules\":\"x" LONG "\"}"),
    FUZZ_BYTES("{\"target_modules\":[\"q\"],\"bias\":\"x" LONG "\"}"),
    FUZZ_BYTES("{\"target_modules\":[\"q\"],\"peft_type\":\"x" LONG "\"}"),
    FUZZ_BYTES("{\"target_modules\":[\"q\"],\"init_lora_weights\":\"x" LONG "\"}"),
};

static const char *const words[] = {"{",
                                    "}",
                                    "[",
                                    "]",
                                    ",",
                                    ":",
                                    "\"",
                                    "0",
                                    "-1",
                                    "4096",
                                    "4097",
                                    "1e9",
                                    "0.1",
                                    "null",
                                    "true",
                                    "\"all-linear\"",
                                    "\"a,b\"",
                                    "\"\xc3\xa9\"",
                                    "\"r\":",
                                    "\"x\",",
                                    "\"use_dora\":",
                                    "\"lora_alpha\":",
                                    "\"target_modules\":",
                                    "\"bias\":",
                                    "\xff",
                                    "\\u0000",
                                    "\\n",
                                    "9223372036854775807",
                                    NULL};

const fuzz_target fuzz_target_peft = {
    .name = "peft",
    .run = run,
    .seeds = seeds,
    .n_seeds = FUZZ_COUNT(seeds),
    .cases = cases,
    .n_cases = FUZZ_COUNT(cases),
    .whole = true,
    .words = words,
};
