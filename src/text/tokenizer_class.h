/*
 * What a kind of tokenizer implements; for files of src/text and their tests.
 *
 * Path: tokenizer.c has the table of classes and calls them.
 */
#ifndef MTS_TEXT_TOKENIZER_CLASS_H
#define MTS_TEXT_TOKENIZER_CLASS_H

#include "text/jinja.h"
#include "text/tokenizer.h"
#include "text/tokenizer_files.h"
#include "text/tokenizer_folder.h"

/* One token of a text: the bytes [begin, end) of the text that it stands for. */
typedef struct text_token {
    int32_t id, begin, end;
} text_token;

/* Tokens of a text; {0} is empty. */
typedef struct token_list {
    text_token *tokens;
    int64_t count, room;
} token_list;

/* Append one token.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status token_list_push(mts_ctx *ctx, token_list *list, text_token token);
void token_list_deinit(token_list *list);

typedef enum piece_kind {
    PIECE_TOKEN, /* a special token */
    PIECE_TEXT_A,
    PIECE_TEXT_B,
} piece_kind;

typedef struct template_piece {
    piece_kind kind;
    int32_t id;      /* of PIECE_TOKEN */
    int32_t type_id; /* of all its tokens */
} template_piece;

enum { TEMPLATE_MAX_PIECES = 8 };

/* What a row looks like.  Text a is in it once; text b once in that of a pair, else not at all. */
typedef struct row_template {
    int64_t count;
    template_piece pieces[TEMPLATE_MAX_PIECES];
} row_template;

typedef struct tokenizer_class {
    const char *name; /* as tokenizer.json calls its kind of model */

    /* Whether the files of the folder are for this class.  Looks at which files there are and at
     * the kind of model, not at details: open refuses what it does not reproduce exactly. */
    bool (*claims)(const tokenizer_folder *folder);
    /* Statuses as tokenizer_open; the error text says which file. */
    mts_status (*open)(mts_ctx *ctx, const tokenizer_folder *folder, tokenizer **out);
    void (*close)(tokenizer *tok); /* not NULL */
    mts_status (*set_lower_case)(mts_ctx *ctx, tokenizer *tok, bool lower_case);

    /*
     * Append the tokens of one text, without special tokens around it.  `most` or more: once there
     * are so many, the rest of the text may be left out.
     * MTS_ERR_ARGUMENT: more than INT32_MAX bytes; MTS_ERR_MEMORY.
     */
    mts_status (*split)(mts_ctx *ctx, const tokenizer *tok, const char *text, int64_t most,
                        token_list *out);

    /* See tokenizer_decode; NULL: this kind does not decode. */
    mts_status (*decode)(mts_ctx *ctx, const tokenizer *tok, const int32_t *ids, int64_t count,
                         bool skip_special, char **text, size_t *bytes);

    const char *(*token)(const tokenizer *tok, int32_t id);
    int64_t (*vocab_size)(const tokenizer *tok);

    /* See tokenizer_write_rules. */
    mts_status (*write_rules)(mts_ctx *ctx, const tokenizer *tok, bool words,
                              tokenizer_files *files);
} tokenizer_class;

/* What a model's files say of dialogues.  See chat_template.h. */
typedef struct chat_source {
    char *text;       /* the template; NULL: none */
    char *name;       /* of its file, for error texts */
    jinja_date date;  /* what the template is told; year 0: none */
    json_t *specials; /* special tokens by the names of tokenizer_config.json: "bos_token", ... */
} chat_source;

/* *out: what the folder says.  chat_source_deinit is safe after failure.  MTS_ERR_BAD_FILE,
 * MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status chat_source_read(mts_ctx *ctx, const tokenizer_folder *folder,
                                          chat_source *out);
void chat_source_deinit(chat_source *source);

/* First member of the struct of each kind; open fills class and the templates. */
struct tokenizer {
    const tokenizer_class *class;
    row_template single, pair;
    chat_source chat;
};

/* The rows of the table in tokenizer.c. */
extern const tokenizer_class wordpiece_class;
extern const tokenizer_class bpe_class;

#endif
