/*
 * Byte-pair encoding: text -> tokens, exactly as Hugging Face's tokenizers with a tokenizer.json of
 * model type BPE.                                                      [Sennrich2016, Radford2019]
 *
 * In this order:
 *   1. added tokens, such as "<|im_end|>", are found in the text;
 *   2. the normalizer, on what is between them, and added tokens that are looked for behind it;
 *   3. the pre-tokenizer cuts into pieces;
 *   4. in each piece, neighbouring symbols are merged, the pair of the lowest rank first.
 *
 * Two styles, which are lists of steps here: byte-level (GPT-2, Llama 3, Qwen, Falcon, SmolLM2)
 * turns bytes into visible characters before 4, so there is no unknown text; SentencePiece's (Llama
 * 2, Mistral) has U+2581 for spaces, and <0xHH> for the bytes of unknown characters.
 *
 * Path: tokenizer.c -> bpe_class (bpe.c); bpe_json.c reads the file, bpe_parts.c its normalizer,
 *       pre-tokenizer, post-processor and decoder; bpe_split.c encodes, bpe_decode.c decodes.
 */
#ifndef MTS_TEXT_BPE_H
#define MTS_TEXT_BPE_H

#include "text/added_tokens.h"
#include "text/bpe_merges.h"
#include "text/pre_split.h"
#include "text/tokenizer_class.h"
#include "text/vocab.h"

typedef enum bpe_step_kind {
    /* of a normalizer */
    BPE_NFC,
    BPE_PREPEND, /* code, before the text */
    BPE_REPLACE, /* code by with */
    /* of a pre-tokenizer: on each piece by itself */
    BPE_CUT,          /* by rule */
    BPE_PREFIX_SPACE, /* a space before a piece that has none */
    BPE_BYTES,        /* characters of the byte alphabet for the bytes */
    BPE_METASPACE,    /* U+2581 for each space, and before the piece as prepend says */
} bpe_step_kind;

typedef enum bpe_prepend {
    BPE_PREPEND_NEVER,
    BPE_PREPEND_FIRST, /* only where the text begins */
    BPE_PREPEND_ALWAYS,
} bpe_prepend;

typedef struct bpe_step {
    bpe_step_kind kind;
    pre_split_rule rule;
    int32_t code, with;
    bpe_prepend prepend;
} bpe_step;

enum { BPE_MAX_STEPS = 16 };

typedef struct bpe_steps {
    int64_t count;
    bpe_step items[BPE_MAX_STEPS];
} bpe_steps;

typedef enum bpe_decoder_kind {
    BPE_DECODER_UNKNOWN, /* one that is not reproduced: bpe_decode refuses */
    BPE_DECODER_NONE,    /* tokens with spaces between */
    BPE_DECODER_BYTES,   /* ByteLevel */
    BPE_DECODER_METASPACE,
    BPE_DECODER_FALLBACK, /* Replace, ByteFallback, Fuse, Strip */
} bpe_decoder_kind;

typedef struct bpe_decoder {
    bpe_decoder_kind kind;
    bool drops_first; /* METASPACE: the first token loses its U+2581 */
    int64_t strip;    /* FALLBACK: so many spaces at the beginning are dropped */
} bpe_decoder;

enum { BPE_CHAR_IDS = 0x180 };

typedef struct bpe {
    tokenizer base; /* first: a tokenizer * of this class is a bpe * */
    vocab vocabulary;
    bpe_merges merges;
    added_set added_raw;        /* looked for in the original text */
    added_set added_normalized; /* looked for in the normalised text */
    bool *special;              /* [vocabulary.count]: left out by decoding if asked to */
    char **decoded; /* [vocabulary.count]: what decoding takes for a token, NULL: its text */
    bpe_steps normalizer, splitter;
    bpe_decoder decoder;
    bool byte_fallback, fuse_unk, ignore_merges;
    bool is_roberta;                     /* roberta_files.h */
    bool trim_offsets, keep_first_space; /* of ByteLevel as post-processor */
    int32_t unk;                         /* -1: what is unknown is dropped */
    int32_t byte_ids[256];               /* of <0xHH>, -1: there is none */
    int32_t char_ids[BPE_CHAR_IDS];      /* of tokens of one character below that; -1 */
} bpe;

/* Read tokenizer.json into *b ({0} before).  Statuses as tokenizer_open, without the file's name.
 */
MTS_NODISCARD mts_status bpe_json_read(mts_ctx *ctx, const json_t *root, bpe *b);

/* Its normalizer, pre-tokenizer and decoder; its post-processor, after the vocabulary. */
MTS_NODISCARD mts_status bpe_parts_read(mts_ctx *ctx, const json_t *root, bpe *b);
MTS_NODISCARD mts_status bpe_template_read(mts_ctx *ctx, const json_t *root, bpe *b);

/* Normalise in[count] by b's rules into *out. */
MTS_NODISCARD mts_status bpe_normalize(mts_ctx *ctx, const bpe *b, const bert_char *in,
                                       int64_t count, bert_text *out);

/* As split and decode of tokenizer_class. */
MTS_NODISCARD mts_status bpe_split(mts_ctx *ctx, const tokenizer *tok, const char *text,
                                   int64_t most, token_list *out);
MTS_NODISCARD mts_status bpe_decode(mts_ctx *ctx, const tokenizer *tok, const int32_t *ids,
                                    int64_t count, bool skip_special, char **text, size_t *bytes);

#endif
