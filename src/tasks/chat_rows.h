/*
 * Rows of dialogues: from the messages in a cell of a data file to ids, and which are learned.
 *
 * Path: language_rows -> chat_row_encode -> chat_template_render (text), chat_template_find_turns.
 *
 * Messages are objects {"role", "content"}, or of ShareGPT {"from", "value"}, whose human, gpt and
 * system are user, assistant and system.  What else a message has (tool_calls, reasoning_content,
 * ...) is for the template.  Which roles may follow which is the template's business.
 */
#ifndef MTS_TASKS_CHAT_ROWS_H
#define MTS_TASKS_CHAT_ROWS_H

#include "text/chat_template.h"

/* What of a dialogue is learned: tokens that pass both. */
typedef struct chat_loss {
    bool completion_only; /* of a prompt and a completion: the tokens behind the prompt */
    bool assistant_only;  /* what the assistant says */
} chat_loss;

/* The cells of a row, each JSON; NULL: not there. */
typedef struct chat_cells {
    const char *messages;   /* or the prompt, where there is a completion */
    const char *completion; /* more messages, which the prompt asks for */
    const char *tools;      /* schemas of functions: a list, or a text that holds one */
} chat_cells;

/* Freed by chat_row_deinit. */
typedef struct chat_row {
    mts_encoding tokens;
    bool *learned; /* [tokens.length] */
} chat_row;

/*
 * *out: the row.  MTS_ERR_BAD_FILE: not messages ("messages[2]: expected ..."); MTS_ERR_ARGUMENT:
 * the template refuses them, or assistant_only and no turn of the assistant's is there;
 * MTS_ERR_UNSUPPORTED, MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status chat_row_encode(mts_ctx *ctx, const chat_template *t, const tokenizer *tok,
                                         const chat_cells *cells, chat_loss loss, chat_row *out);
void chat_row_deinit(chat_row *row);

#endif
