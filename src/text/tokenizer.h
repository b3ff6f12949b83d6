/*
 * Tokenizers: from text to token ids, and back from tokens to places in the text.
 *
 * Path: model folder -> tokenizer_open -> the class that knows its files; tasks and the public
 *       mts_tokenizer_* encode with it.
 * To add a tokenizer: one file with a tokenizer_class (tokenizer_class.h), one row in tokenizer.c.
 *
 * A class cuts one text into tokens.  How texts and special tokens make a row, and what is left out
 * of a row that is too long, is the same for every class and is done here:
 *
 *   tokenizer_encode     one row of a text or a pair; the longer text loses tokens
 *   tokenizer_windows    several rows of a pair: overlapping parts of the second text
 *
 * Padding is the caller's business.
 *
 * Threads: after opening (and tokenizer_set_lower_case) the object does not change: any number of
 * threads may encode with one object at once, each with a ctx of its own or with ctx NULL.
 */
#ifndef MTS_TEXT_TOKENIZER_H
#define MTS_TEXT_TOKENIZER_H

#include "base/status.h"

typedef struct tokenizer tokenizer;
struct json_t;

/*
 * *out: the tokenizer of a model folder, owned by the caller (tokenizer_close).
 * MTS_ERR_NOT_FOUND (no tokenizer files), MTS_ERR_IO, MTS_ERR_BAD_FILE (malformed),
 * MTS_ERR_UNSUPPORTED (none of the classes cuts text as these files say), MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status tokenizer_open(mts_ctx *ctx, const char *model_dir, tokenizer **out);
/* The same of what tokenizer.json and tokenizer_config.json (may be NULL) would hold; source: the
 * file that they were made from, for error texts. */
MTS_NODISCARD mts_status tokenizer_open_json(mts_ctx *ctx, const char *source, struct json_t *json,
                                             struct json_t *config, tokenizer **out);
void tokenizer_close(tokenizer *tok);

/*
 * Lower-case texts or not, whatever the files say.  Call it before the object is shared between
 * threads.  MTS_ERR_UNSUPPORTED: this kind of tokenizer has no such rule.
 */
MTS_NODISCARD mts_status tokenizer_set_lower_case(mts_ctx *ctx, tokenizer *tok, bool lower_case);

/*
 * Let chat templates know this date, 2024-07-26 or the like (chat_template.h).  Call it before the
 * object is shared between threads.  MTS_ERR_ARGUMENT: not a date.
 */
MTS_NODISCARD mts_status tokenizer_set_chat_date(mts_ctx *ctx, tokenizer *tok, const char *date);

/*
 * Encode a text or a pair as one row.
 *
 * ctx         for the error text; NULL, or one that no other thread uses.
 * text_a      in   UTF-8 with a NUL behind, at most INT32_MAX bytes; malformed bytes are U+FFFD.
 * text_b      in   the same, or NULL for a single text.
 * max_length  0: nothing is left out; else the greatest length with the special tokens.  The
 *             longer text loses tokens from its end until the row fits; if both are longer than
 *             half of the room, each gets half, and text_b the odd one ("longest_first").
 * out         overwritten; freed by tokenizer_free_encoding.  begin and end are byte offsets into
 *             the text that the token came from, 0 and 0 for special tokens.
 *
 * MTS_ERR_ARGUMENT (no room for the special tokens, a text too long), MTS_ERR_MEMORY; *out is {0}
 * after an error.
 */
MTS_NODISCARD mts_status tokenizer_encode(mts_ctx *ctx, const tokenizer *tok, const char *text_a,
                                          const char *text_b, int64_t max_length,
                                          mts_encoding *out);
/* The same of one text, without special tokens around it: those in the text are found. */
MTS_NODISCARD mts_status tokenizer_encode_plain(mts_ctx *ctx, const tokenizer *tok,
                                                const char *text, mts_encoding *out);
/* Free the arrays (one allocation) and clear the struct; NULL and {0} are allowed. */
void tokenizer_free_encoding(mts_encoding *encoding);

/* One row of text a and a part of text b. */
typedef struct token_window {
    mts_encoding row;  /* its arrays belong to token_windows; cut: some of b is in other windows */
    int64_t first_b;   /* index in the row of the first token of b; */
    int64_t count_b;   /* so many follow one another: only these have offsets into b */
    int64_t skipped_b; /* tokens of b before them that are not in this row */
} token_window;

typedef struct token_windows {
    int64_t count;       /* >= 1 */
    token_window *items; /* [count] */
    int32_t *arrays;     /* of all rows */
} token_windows;

/*
 * Encode a pair as overlapping windows: each has all of text_a and a part of text_b.
 *
 * max_length  greatest length of a row with the special tokens, > 0.
 * overlap     tokens of text_b that a window shares with the one before it, >= 0.
 * out         overwritten; freed by token_windows_deinit, also after an error.
 *
 * With room for C tokens of text_b in a row, window k has the tokens from k * (C - overlap) on;
 * the first window that reaches the end of text_b is the last.  This is what Hugging Face gives for
 * truncation="only_second", return_overflowing_tokens=True, stride=overlap.
 *
 * MTS_ERR_ARGUMENT: text_b does not fit and C <= overlap, so that there is no next window; a text
 * too long.  MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status tokenizer_windows(mts_ctx *ctx, const tokenizer *tok, const char *text_a,
                                           const char *text_b, int64_t max_length, int64_t overlap,
                                           token_windows *out);
void token_windows_deinit(token_windows *windows);

/*
 * The text that ids stand for.
 *
 * ids           in   [count], count >= 0.
 * skip_special  leave out the special tokens.
 * text, bytes   out  UTF-8, bytes of it and a NUL behind; bytes that do not make up UTF-8 are
 *               U+FFFD.  It may hold NUL bytes.  Freed with mem_free.
 *
 * MTS_ERR_UNSUPPORTED: this kind of tokenizer, or the decoder of these files, is not reproduced.
 * MTS_ERR_ARGUMENT: an id out of range; MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status tokenizer_decode(mts_ctx *ctx, const tokenizer *tok, const int32_t *ids,
                                          int64_t count, bool skip_special, char **text,
                                          size_t *bytes);

/* The text of an id as the vocabulary has it; NULL if out of range; owned by tok. */
const char *tokenizer_token(const tokenizer *tok, int32_t id);
/* Greatest id + 1, added tokens included: the rows that an embedding needs. */
int64_t tokenizer_vocab_size(const tokenizer *tok);
/* The same of the types of a row's tokens. */
int64_t tokenizer_type_count(const tokenizer *tok);

#endif
