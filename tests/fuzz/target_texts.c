/* text: any two texts, encoded by a sound tokenizer.  Input: the texts with NUL between. */
#include "fuzz/fuzz_target.h"

#include "fuzz/use_tokenizer.h"

static const char vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n##s\na\n##a\n##b\ne\n"
                            "\xe4\xb8\xad\n##\xc3\xa9\n!\nnew\nNew\n";
static const char config[] =
    "{\"do_lower_case\":true,\"added_tokens_decoder\":{\"15\":{\"content\":\"New\","
    "\"lstrip\":true,\"normalized\":true},\"16\":{\"content\":\"y z\",\"rstrip\":true}}}";

static tokenizer *tok;

static void close_tokenizer(void)
{
    tokenizer_close(tok);
}

static void open_tokenizer(void)
{
    if (tok != NULL)
        return;
    fuzz_put("vocab.txt", vocab, sizeof vocab - 1);
    fuzz_put("tokenizer_config.json", config, sizeof config - 1);
    const mts_status st = tokenizer_open(&fuzz_ctx, fuzz_folder(), &tok);
    if (st != MTS_OK)
        fprintf(stderr, "%s\n", fuzz_ctx.error);
    FUZZ_REQUIRE(st == MTS_OK);
    FUZZ_REQUIRE(atexit(close_tokenizer) == 0);
}

static bool run(const uint8_t *data, size_t size)
{
    fuzz_bytes rest = {(const char *)data, size};
    open_tokenizer();
    char *a = fuzz_text(fuzz_take_part(&rest)), *b = fuzz_text(fuzz_take_part(&rest));
    use_tokenizer(tok, a, b);
    free(a);
    free(b);
    return rest.size == 0; /* all was used */
}

static const fuzz_bytes seeds[] = {
    FUZZ_BYTES("The \xc3\xa9"
               "as new [UNK] y z\0<x>\xe4\xb8\xad e\xcc\x81!"),
    FUZZ_BYTES("[MASK]aba\0\xf0\x9d\x85\xa5 \xe3\x80\xae NEWnew \xc4\xb0"),
    FUZZ_BYTES("a!a!a!a!a!a!a!a!a!a!a!a!a!a!a!a!\0e e e e e e e e e e e e e e e e e"),
};

static const char *const words[] = {"the",
                                    "THE",
                                    "a",
                                    "b",
                                    "\xe4\xb8\xad",
                                    "\xc3\xa9",
                                    "e\xcc\x81",
                                    "[MASK]",
                                    "New",
                                    "[UNK] ",
                                    "new",
                                    " ",
                                    "\n",
                                    "y z",
                                    "\xff",
                                    "!",
                                    "\xe4\xb8",
                                    "\xc4\xb0",
                                    "\xe3\x80\xae",
                                    "##",
                                    "\xe2\x80\x8d",
                                    "\xf0\x9d\x85\xa5",
                                    "\xcc\x81",
                                    "[",
                                    "]",
                                    "\t",
                                    "\x7f",
                                    "\xef\xbf\xbd",
                                    NULL};

const fuzz_target fuzz_target_texts = {
    .name = "texts",
    .run = run,
    .seeds = seeds,
    .n_seeds = FUZZ_COUNT(seeds),
    .words = words,
};
