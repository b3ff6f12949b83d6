/*
 * Chat templates: from the messages of a dialogue to the text and the ids that a model expects.
 *
 * Path: language_rows (training), generation -> chat_template_open, chat_template_encode -> jinja.
 *
 * The template is the model's own Jinja text: chat_template.jinja of the folder, "chat_template" of
 * tokenizer_config.json, tokenizer.chat_template of a GGUF file; or another file.  It is run as
 * transformers' apply_chat_template runs it (jinja.h says which part of Jinja), and what comes out
 * is cut into tokens without special tokens around it: those are the template's business.
 *
 * Templates that tell today's date (Llama 3.1, 3.2) are given one by tokenizer_set_chat_date only;
 * without it they tell the date that stands in them, and rows are the same on every day.
 *
 * A text in a message that looks like a special token becomes that token, as in transformers.
 */
#ifndef MTS_TEXT_CHAT_TEMPLATE_H
#define MTS_TEXT_CHAT_TEMPLATE_H

#include "text/jinja.h"
#include "text/tokenizer.h"

typedef struct chat_template chat_template;

/*
 * *out: the template of tok's model, or the one in the file at path (NULL: the model's own), with
 * the model's special tokens as its variables; owned by the caller (chat_template_close).  tok is
 * borrowed: it must outlive *out.
 * MTS_ERR_NOT_FOUND: the model has none, or there is no such file; MTS_ERR_BAD_FILE: not Jinja;
 * MTS_ERR_UNSUPPORTED: Jinja that is not reproduced; MTS_ERR_IO, MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status chat_template_open(mts_ctx *ctx, const tokenizer *tok, const char *path,
                                            chat_template **out);
void chat_template_close(chat_template *t); /* NULL is allowed */

/* Whether the template marks what the assistant says, with {% generation %} blocks. */
bool chat_template_marks(const chat_template *t);

/*
 * *out: the text of messages, a list of objects with "role", "content" and whatever else the
 * template knows; tools: a list of JSON schemas, or NULL; both borrowed for the call.  prompt: with
 * the beginning of the assistant's next turn behind it.  Freed by jinja_output_deinit.
 * Statuses of jinja_render; MTS_ERR_ARGUMENT: no messages.
 */
MTS_NODISCARD mts_status chat_template_render(mts_ctx *ctx, const chat_template *t,
                                              const struct json_t *messages,
                                              const struct json_t *tools, bool prompt,
                                              jinja_output *out);

/*
 * Let out->spans be what the assistant says in out->text, which chat_template_render gave for these
 * messages without a prompt.  Where the template marks it, they are that.  Otherwise each turn of
 * the assistant is what stands behind the prompt for it (the rendering of the messages before), up
 * to the end of its rendering: with what ends a turn.  A template that shows a turn otherwise when
 * others follow is followed as far as the end of the turn is the same.
 * MTS_ERR_UNSUPPORTED: it cannot be told which part that is; MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status chat_template_find_turns(mts_ctx *ctx, const chat_template *t,
                                                  const struct json_t *messages,
                                                  const struct json_t *tools, jinja_output *out);

/* One message of a dialogue: "system", "user" or "assistant", and its text; UTF-8. */
typedef struct chat_message {
    const char *role, *content;
} chat_message;

/*
 * *out: the ids of a dialogue; prompt: with the beginning of the assistant's next turn behind it,
 * for the model to go on from.  Freed by tokenizer_free_encoding; {0} after an error.
 * MTS_ERR_ARGUMENT: no messages, or the template refuses them (its own words are in the text);
 * MTS_ERR_UNSUPPORTED, MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status chat_template_encode(mts_ctx *ctx, const chat_template *t,
                                              const chat_message *messages, int64_t count,
                                              bool prompt, mts_encoding *out);

#endif
