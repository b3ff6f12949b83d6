/*
 * What the tokenizer files of a model folder say, before a wordpiece object is made of it.
 *
 * Path: the class's open -> wordpiece_spec_read -> (wordpiece_json | vocab_txt), wordpiece_config.
 *
 * Files, as Hugging Face writes them, and who wins:
 *   tokenizer.json           vocabulary, added tokens, normaliser, names in the template; if it
 *                            exists, vocab.txt and added_tokens.json are not read
 *   vocab.txt                vocabulary, the line number (from 0) is the id
 *   tokenizer_config.json    do_lower_case, strip_accents, tokenize_chinese_chars: where given they
 *                            replace what tokenizer.json says, as in transformers, unless
 *                            tokenizer_class is PreTrainedTokenizerFast (TokenizersBackend), which
 *                            takes tokenizer.json as it is; names of the special tokens;
 *                            added_tokens_decoder
 *   config.json              tokenizer_class, if tokenizer_config.json has none
 *   special_tokens_map.json  names of the special tokens, for those not named above
 *   added_tokens.json        added tokens of old folders without tokenizer.json
 * Either of the first two must be there, the others are optional.  Truncation and padding in
 * tokenizer.json are not used: the caller of tokenizer_encode decides.
 *
 * Where this differs from transformers 5:
 *   - a normaliser setting that only tokenizer.json gives is used (there, the class's default);
 *   - so are its clean_text, continuing_subword_prefix and max_input_chars_per_word (there, true,
 *     "##" and 100);
 *   - a tokenizer.json without post_processor is taken for one with [CLS] and [SEP];
 *   - a [PAD] or [MASK] that the vocabulary lacks is not appended to it;
 *   - duplicate tokens, ids without a token and blank lines are errors (there, the last of two
 *     duplicates wins).
 * For the first three, what a training run writes says the rules where transformers looks for them:
 * wordpiece_files.c.
 */
#ifndef MTS_TEXT_WORDPIECE_SPEC_H
#define MTS_TEXT_WORDPIECE_SPEC_H

#include "text/bert_normalizer.h"
#include "text/tokenizer_folder.h"
#include "text/vocab.h"

/* The special tokens of BERT, in the order of the tables below. */
typedef enum special_token {
    SPECIAL_UNK,
    SPECIAL_CLS,
    SPECIAL_SEP,
    SPECIAL_PAD,
    SPECIAL_MASK,
    SPECIAL_COUNT,
} special_token;

/* Their names in tokenizer_config.json, in the same order. */
#define WORDPIECE_SPECIAL_KEYS                                                                     \
    {                                                                                              \
        "unk_token", "cls_token", "sep_token", "pad_token", "mask_token"                           \
    }

enum { WORDPIECE_MAX_ADDED = 16384 };

/* A token recognised in the text before it is cut into words. */
typedef struct added_token {
    char *content;
    int32_t id;          /* -1: the id that the vocabulary gives to content */
    bool lstrip, rstrip; /* also takes the whitespace before / behind it */
    bool normalized;     /* looked for in the normalised text rather than in the original */
} added_token;

typedef struct wordpiece_spec {
    vocab vocabulary; /* vocab_put done, vocab_finish not yet */
    added_token *added;
    int64_t added_count, added_room;
    char *special[SPECIAL_COUNT]; /* names; NULL: not given so far */
    char *prefix;                 /* continuing_subword_prefix */
    int64_t max_input_chars;      /* per word; a longer word is [UNK] */
    bert_normalizer normalizer;
    bool as_json_says; /* tokenizer_class is one that takes tokenizer.json as it is */
} wordpiece_spec;

/*
 * Read the files of the folder into *spec ({0} before).  Every special token has a name after it.
 * MTS_ERR_IO; MTS_ERR_BAD_FILE; MTS_ERR_UNSUPPORTED: not a BERT WordPiece tokenizer;
 * MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status wordpiece_spec_read(mts_ctx *ctx, const tokenizer_folder *folder,
                                             wordpiece_spec *spec);
void wordpiece_spec_deinit(wordpiece_spec *spec);

/* ---- for the file readers ---- */

/*
 * Add a token, or replace the properties of the one with that id.  The token is also entered in the
 * vocabulary, unless its id is -1 or there with the same text already.  content is copied;
 * properties.content is not used.  MTS_ERR_BAD_FILE, MTS_ERR_UNSUPPORTED (more than
 * WORDPIECE_MAX_ADDED), MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status wordpiece_spec_add(mts_ctx *ctx, wordpiece_spec *spec, const char *content,
                                            added_token properties);

/*
 * The properties in a JSON object of an added token: lstrip, rstrip, normalized (left as they are
 * if absent).  Its content and id are left to the caller.  MTS_ERR_BAD_FILE; MTS_ERR_UNSUPPORTED:
 * single_word.
 */
MTS_NODISCARD mts_status wordpiece_spec_read_flags(mts_ctx *ctx, const json_t *object,
                                                   added_token *token);

/* Set spec->special[which] unless it is set already.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status wordpiece_spec_name(mts_ctx *ctx, wordpiece_spec *spec,
                                             special_token which, const char *name);

/* The readers, one a file; root is its JSON.  Statuses as wordpiece_spec_read; the caller puts the
 * name of the file before the error text, but for vocab_txt_read. */
MTS_NODISCARD mts_status wordpiece_json_read(mts_ctx *ctx, const json_t *root,
                                             wordpiece_spec *spec);
MTS_NODISCARD mts_status vocab_txt_read(mts_ctx *ctx, const char *path, wordpiece_spec *spec);
/* with_vocab_txt: there is no tokenizer.json, so the added tokens matter.  Rules are not read if
 * spec->as_json_says. */
MTS_NODISCARD mts_status wordpiece_config_read(mts_ctx *ctx, const json_t *root,
                                               bool with_vocab_txt, wordpiece_spec *spec);
MTS_NODISCARD mts_status special_tokens_map_read(mts_ctx *ctx, json_t *root, wordpiece_spec *spec);
MTS_NODISCARD mts_status added_tokens_read(mts_ctx *ctx, json_t *root, wordpiece_spec *spec);

/* Whether a tokenizer_class of Hugging Face cuts words as BERT does: "BertTokenizer", ... */
bool wordpiece_is_class(const char *class_name);
/* Whether it is one that takes tokenizer.json as it is; such a class is among those above. */
bool wordpiece_is_generic_class(const char *class_name);

#endif
