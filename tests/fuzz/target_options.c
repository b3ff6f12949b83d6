/*
 * mts_options_set: whatever the name and the text, an error of one line, or a value in its range.
 * Input: parts with NUL between: a name, its text, a name, its text, ...
 */
#include "fuzz/fuzz_target.h"

#include <string.h>

#include "base/utf8.h"
#include "fuzz/use_options.h"

enum { PARTS = 16 };

static bool is_utf8(const char *text)
{
    return utf8_is_valid(text, strlen(text), NULL);
}

static bool run(const uint8_t *data, size_t size)
{
    static const mts_status allowed[] = {MTS_ERR_ARGUMENT, MTS_OK};
    fuzz_bytes rest = {(const char *)data, size};
    char *parts[PARTS] = {NULL};
    mts_options options;
    bool accepted = true;
    mts_options_default(&options);
    for (int i = 0; i < PARTS && rest.size > 0; i += 2) {
        parts[i] = fuzz_text(fuzz_take_part(&rest));
        parts[i + 1] = fuzz_text(fuzz_take_part(&rest));
        const mts_status st = mts_options_set(&fuzz_ctx, &options, parts[i], parts[i + 1]);
        if (st != MTS_OK && is_utf8(parts[i]) && is_utf8(parts[i + 1]))
            fuzz_require_error(st, allowed);
        else if (st != MTS_OK)
            fuzz_require_line(st, allowed); /* a path may be any bytes, and is quoted as it is */
        accepted = accepted && st == MTS_OK;
        const bool idle = mts_option_is_idle(parts[i], parts[i + 1]);
        FUZZ_REQUIRE(!idle || st == MTS_OK);
    }
    use_options(&options);
    for (int i = 0; i < PARTS; i++)
        free(parts[i]);
    return accepted;
}

static const fuzz_bytes seeds[] = {
    FUZZ_BYTES("learning_rate\0"
               "2e-5\0num_train_epochs\0"
               "3.0\0seed\0"
               "42"),
    FUZZ_BYTES("do-train\0True\0optim\0adamw_torch\0fp16\0"
               "false\0report_to\0none"),
    FUZZ_BYTES("precision\0int12\0weight_bits\0"
               "12\0exponent_group\0row\0rounding\0nearest"),
    FUZZ_BYTES("outliers\0feature\0outlier_bits\0"
               "12\0outlier_threshold\0"
               "5\0outlier_update\0step"),
    FUZZ_BYTES("do_eval\0"
               "1\0warmup_steps\0"
               ".1\0save_strategy\0epoch\0output_dir\0out"),
};

#define TEN(x) x x x x x x x x x x

/* Quoted in errors, cut at so many bytes, amid a character. */
static const fuzz_bytes cases[] = {
    FUZZ_BYTES("x" TEN("\xc3\xa9") TEN("\xc3\xa9") TEN("\xc3\xa9") TEN("\xc3\xa9") "\0"
                                                                                   "1"),
    FUZZ_BYTES("seed\0x" TEN(TEN(TEN("\xc3\xa9")))),
};

static const char *const words[] = {"1",
                                    "0",
                                    "-1",
                                    "1e400",
                                    "nan",
                                    "inf",
                                    "0x10",
                                    ".5",
                                    "true",
                                    "False",
                                    "yes",
                                    "auto",
                                    "int8",
                                    "sgd",
                                    "linear",
                                    "-",
                                    "--",
                                    "_",
                                    "max_",
                                    "batch_size",
                                    "per_device_",
                                    "train",
                                    "eval",
                                    "9223372036854775807",
                                    "9223372036854775808",
                                    "2147483648",
                                    "1e9",
                                    " ",
                                    "\xff",
                                    "\xc3\xa9",
                                    "steps",
                                    "optim",
                                    "bf16",
                                    "block",
                                    "outlier_",
                                    "feature",
                                    NULL};

const fuzz_target fuzz_target_options = {
    .name = "options",
    .run = run,
    .seeds = seeds,
    .n_seeds = FUZZ_COUNT(seeds),
    .cases = cases,
    .n_cases = FUZZ_COUNT(cases),
    .words = words,
};
