/* A dialogue with a language model.  See chat.h. */
#include "train/chat.h"

#include <stdint.h>

mts_status chat_open(mts_ctx *ctx, chat *c, const tokenizer *tok)
{
    *c = (chat){0};
    return chat_template_open(ctx, tok, NULL, &c->template);
}

/* Messages behind the first `count` go. */
static void cut(chat *c, int64_t count)
{
    for (int64_t i = count; i < c->count; i++)
        mem_free((void *)(uintptr_t)c->messages[i].content);
    c->count = count < c->count ? count : c->count;
}

void chat_deinit(chat *c)
{
    cut(c, 0);
    mem_free(c->messages);
    chat_template_close(c->template);
    *c = (chat){0};
}

static mts_status add(mts_ctx *ctx, chat *c, const char *role, const char *text)
{
    mts_status st = MTS_OK;
    char *own = NULL;
    if (c->count == c->room) {
        const int64_t room = 2 * c->room + 8;
        MTS_TRY(mem_grow(ctx, &c->messages, (size_t)c->room, (size_t)room, sizeof *c->messages,
                         "a dialogue"));
        c->room = room;
    }
    MTS_TRY(mem_strdup(ctx, &own, text));
    c->messages[c->count++] = (chat_message){role, own};
cleanup:
    return st;
}

mts_status chat_begin(mts_ctx *ctx, chat *c, const char *system)
{
    cut(c, 0);
    return system == NULL ? MTS_OK : add(ctx, c, "system", system);
}

mts_status chat_turn(chat *c, generator *g, const char *text, generator_piece *heard, void *user)
{
    mts_status st = MTS_OK;
    mts_encoding row = {0};
    const int64_t before = c->count;
    MTS_TRY(add(g->ctx, c, "user", text));
    MTS_TRY(chat_template_encode(g->ctx, c->template, c->messages, c->count, true, &row));
    MTS_TRY(generator_run(g, row.ids, row.length, true, heard, user));
    MTS_TRY(add(g->ctx, c, "assistant", g->text));
cleanup:
    tokenizer_free_encoding(&row);
    if (st != MTS_OK)
        cut(c, before);
    return st;
}
