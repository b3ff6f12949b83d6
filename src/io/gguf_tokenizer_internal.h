/* What gguf_tokenizer.c and gguf_merges.c share. */
#ifndef MTS_IO_GGUF_TOKENIZER_INTERNAL_H
#define MTS_IO_GGUF_TOKENIZER_INTERNAL_H

#include <jansson.h>

#include "io/gguf.h"

enum {
    GGUF_TOKENS_MAX = 1 << 22,
    GGUF_TOKEN_BYTES = 513, /* of a token, with a NUL */
};

typedef struct gguf_tokens {
    const gguf *file;
    const char *path;
    int64_t count;
    const char **text; /* [count], in the file, without a NUL */
    uint32_t *bytes;   /* [count] */
    json_t *ids;       /* {token: id} */
} gguf_tokens;

/* text: that of the token with a NUL.  Returns it. */
const char *gguf_token_text(const gguf_tokens *t, int64_t id, char text[GGUF_TOKEN_BYTES]);

/* Append to list the merges ["a", "b"] that give the tokens, by their scores[count].
 * MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status gguf_merges_of_scores(mts_ctx *ctx, const gguf_tokens *t,
                                               const gguf_key *scores, json_t *list);

#endif
