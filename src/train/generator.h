/*
 * A language model that generates text: its folder, an adapter, and the text that was made last.
 *
 * Path: cmd_generate -> mts_generator_run -> generator_run -> generate_tokens.
 */
#ifndef MTS_TRAIN_GENERATOR_H
#define MTS_TRAIN_GENERATOR_H

#include "io/peft.h"
#include "text/text_stream.h"
#include "text/tokenizer.h"
#include "train/generate.h"

typedef struct generator {
    mts_ctx *ctx;
    tokenizer *tokenizer;
    peft_config adapter; /* rank 0: none */
    network *net;
    token_sampler sampler;
    stop_tokens stops;
    int64_t max_new_tokens;
    bool calibrate;  /* the folder has no lists of outliers: the first prompt decides them */
    uint64_t texts;  /* so far: the number of the next one, for draws */
    generation last; /* and its text, without the prompt's: */
    text_stream stream;
    const char *text;
    size_t text_bytes;
} generator;

/* Hears a piece of text, whole characters; false: stop. */
typedef bool generator_piece(void *user, const char *text, size_t bytes);

/* Options: model_name_or_path, adapter_name_or_path, rank, precision and widths,
 * chat_template_path, chat_template_date, max_new_tokens, temperature, top_k, top_p,
 * repetition_penalty, seed, num_threads.  Any status of loading a folder; MTS_ERR_UNSUPPORTED: no
 * language model; MTS_ERR_ARGUMENT: more ranks than there are. */
MTS_NODISCARD mts_status generator_open(mts_ctx *ctx, const mts_options *o, generator **out);
void generator_close(generator *g); /* NULL is allowed */

/*
 * Generate behind ids[n]; g->last and g->text are then what was made.  reuse: what the tokens have
 * in common with the text before is not computed again.  heard may be NULL.
 * MTS_ERR_ARGUMENT: no tokens, or too many for the model's positions; MTS_ERR_INTERRUPTED: heard
 * said so; MTS_ERR_NUMERIC, MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status generator_run(generator *g, const int32_t *ids, int64_t n, bool reuse,
                                       generator_piece *heard, void *user);

/* The same behind a text. */
MTS_NODISCARD mts_status generator_run_text(generator *g, const char *prompt,
                                            generator_piece *heard, void *user);

#endif
