/*
 * A dialogue with a language model: what was said so far, by the chat template.
 *
 * Path: mts_generator_chat -> chat_turn -> chat_template_encode, generator_run.
 */
#ifndef MTS_TRAIN_CHAT_H
#define MTS_TRAIN_CHAT_H

#include "text/chat_template.h"
#include "train/generator.h"

/* Owns the messages and their texts. */
typedef struct chat {
    chat_template *template;
    chat_message *messages;
    int64_t count, room;
} chat;

/* An empty dialogue, by the model's own template.  The errors of chat_template_open.  Freed by
 * chat_deinit in every case. */
MTS_NODISCARD mts_status chat_open(mts_ctx *ctx, chat *c, const tokenizer *tok);
void chat_deinit(chat *c);

/* Forget what was said; system (or NULL): the first message of the new dialogue.  MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status chat_begin(mts_ctx *ctx, chat *c, const char *system);

/* The user says `text`; the answer is g's text, and part of the dialogue.  After an error the
 * dialogue is as before.  The errors of chat_template_encode and generator_run. */
MTS_NODISCARD mts_status chat_turn(chat *c, generator *g, const char *text, generator_piece *heard,
                                   void *user);

#endif
