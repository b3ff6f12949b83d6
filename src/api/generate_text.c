/*
 * mts_generator_* of the public header over train/generator.
 *
 * Path: cli/cmd_generate.c -> mts_generator_run -> generator_run_text; mts_generator_chat ->
 *       chat_turn.
 */
#include "train/chat.h"

#include "options/options.h"

struct mts_generator {
    generator *inner;
    chat dialogue; /* its template is opened when it is asked for */
    mts_generation last;
    bool has_last;
};

mts_status mts_generator_open(mts_ctx *ctx, const mts_options *options, mts_generator **out)
{
    mts_status st = MTS_OK;
    mts_options own;
    mts_generator *g = NULL;
    MTS_CHECK(out != NULL, MTS_ERR_ARGUMENT, "mts_generator_open: out must be given");
    *out = NULL;
    MTS_TRY(options_take(ctx, options, &own));
    MTS_TRY(options_check_generate(ctx, &own));
    MTS_TRY(mem_calloc(ctx, &g, 1, sizeof *g, "generator"));
    MTS_TRY(generator_open(ctx, &own, &g->inner));
    *out = g;
    g = NULL;
cleanup:
    mts_generator_close(g);
    return st;
}

void mts_generator_close(mts_generator *g)
{
    if (g == NULL)
        return;
    chat_deinit(&g->dialogue);
    generator_close(g->inner);
    mem_free(g);
}

static bool hear(void *user, const char *text, size_t bytes)
{
    const mts_callbacks *callbacks = user;
    const mts_event event = {.kind = MTS_EVENT_TEXT, .text = text, .done = (int64_t)bytes};
    return callbacks->on_event(callbacks->user, &event);
}

/* What the caller sees of the text that was made. */
static void publish(mts_generator *g)
{
    const generation *made = &g->inner->last;
    g->last = (mts_generation){.text = g->inner->text,
                               .bytes = (int64_t)g->inner->text_bytes,
                               .ids = made->ids + made->prompt,
                               .count = made->count - made->prompt,
                               .prompt_count = made->prompt,
                               .stopped = made->stopped};
    g->has_last = true;
}

/* How a call makes a text: behind a prompt, or in a dialogue. */
typedef mts_status make_text(mts_generator *g, const char *text, generator_piece *heard,
                             void *user);

static mts_status make_of_prompt(mts_generator *g, const char *text, generator_piece *heard,
                                 void *user)
{
    return generator_run_text(g->inner, text, heard, user);
}

static mts_status open_dialogue(mts_generator *g)
{
    if (g->dialogue.template != NULL)
        return MTS_OK;
    return chat_open(g->inner->ctx, &g->dialogue, g->inner->tokenizer);
}

static mts_status make_of_dialogue(mts_generator *g, const char *text, generator_piece *heard,
                                   void *user)
{
    mts_status st = MTS_OK;
    MTS_TRY(open_dialogue(g));
    MTS_TRY(chat_turn(&g->dialogue, g->inner, text, heard, user));
cleanup:
    return st;
}

static mts_status run(mts_generator *g, const char *call, const char *text,
                      const mts_callbacks *callbacks, make_text *make)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = g->inner->ctx;
    mts_callbacks heard = {0};
    g->has_last = false;
    if (callbacks != NULL)
        heard = *callbacks;
    MTS_CHECK(text != NULL, MTS_ERR_ARGUMENT, "%s: expected a text, found NULL", call);
    MTS_TRY(make(g, text, heard.on_event == NULL ? NULL : hear, &heard));
    publish(g);
cleanup:
    return st;
}

mts_status mts_generator_run(mts_generator *g, const char *prompt, const mts_callbacks *callbacks)
{
    if (g == NULL)
        return MTS_ERR_ARGUMENT;
    return run(g, "mts_generator_run", prompt, callbacks, make_of_prompt);
}

mts_status mts_generator_chat(mts_generator *g, const char *text, const mts_callbacks *callbacks)
{
    if (g == NULL)
        return MTS_ERR_ARGUMENT;
    return run(g, "mts_generator_chat", text, callbacks, make_of_dialogue);
}

mts_status mts_generator_chat_begin(mts_generator *g, const char *system)
{
    mts_status st = MTS_OK;
    if (g == NULL)
        return MTS_ERR_ARGUMENT;
    MTS_TRY(open_dialogue(g));
    MTS_TRY(chat_begin(g->inner->ctx, &g->dialogue, system));
cleanup:
    return st;
}

const mts_generation *mts_generator_last(const mts_generator *g)
{
    return g->has_last ? &g->last : NULL;
}
