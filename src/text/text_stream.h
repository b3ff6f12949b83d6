/*
 * The text of tokens as they come, never cut inside a character.
 *
 * All tokens are decoded together each time, for what one token stands for depends on its
 * neighbours: the bytes of a character may be those of several tokens.  The end of the text is held
 * back while it is no complete character.
 */
#ifndef MTS_TEXT_TEXT_STREAM_H
#define MTS_TEXT_TEXT_STREAM_H

#include "text/tokenizer.h"

/*
 * *text, *bytes: tokenizer_decode of ids[n] without special tokens, and without those that the
 * tokenizer does not have: a model's vocabulary may be larger.  The errors of tokenizer_decode.
 */
MTS_NODISCARD mts_status text_of_tokens(mts_ctx *ctx, const tokenizer *tok, const int32_t *ids,
                                        int64_t n, char **text, size_t *bytes);

typedef struct text_stream {
    const tokenizer *tokenizer; /* borrowed */
    char *text;                 /* of all tokens so far, special ones left out; owned */
    size_t begin, given;        /* of it: where what is given out begins, and ends so far */
} text_stream;

/* Begin behind ids[n], whose text is not given out.  The errors of tokenizer_decode.  Freed by
 * text_stream_deinit in every case. */
MTS_NODISCARD mts_status text_stream_begin(mts_ctx *ctx, text_stream *s, const tokenizer *tok,
                                           const int32_t *ids, int64_t n);
/* *piece, *bytes: what the text of all ids[n] has more than was given out, maybe nothing; in
 * s->text, until the next call.  last: nothing is held back. */
MTS_NODISCARD mts_status text_stream_next(mts_ctx *ctx, text_stream *s, const int32_t *ids,
                                          int64_t n, bool last, const char **piece, size_t *bytes);
void text_stream_deinit(text_stream *s);

#endif
