/*
 * mts_predictor_tag of the public header over tasks/word_tags and train/predictor.
 *
 * Path: cli/tagging.c -> mts_predictor_tag -> predictor_run_rows.
 */
#include "api/predictor_calls.h"

bool mts_predictor_tags_words(const mts_predictor *p)
{
    return p->inner->net->options.head->target == TARGET_TAGS;
}

mts_status mts_predictor_tag(mts_predictor *p, const char *const *sentences, int64_t n)
{
    mts_status st = MTS_OK;
    word_options options;
    const model_config *cfg;
    if (p == NULL)
        return MTS_ERR_ARGUMENT;
    cfg = &p->inner->net->cfg;
    word_tags_deinit(&p->tags);
    MTS_TRY(
        predictor_check_call(p, "mts_predictor_tag", sentences != NULL && n >= 0, PREDICTOR_TAGS));
    if (n == 0)
        return MTS_OK;
    options =
        (word_options){.tokenizer = p->inner->tokenizer, .max_length = p->inner->max_seq_length};
    MTS_TRY(word_tags_encode(p->inner->ctx, &p->tags, sentences, n, cfg->num_labels, &options));
    p->inner->cut_rows += p->tags.rows.cut;
    MTS_TRY(predictor_run_rows(p->inner, &p->tags.rows, p->tags.logits));
    MTS_TRY(word_tags_find(p->inner->ctx, &p->tags, cfg->labels, cfg->num_labels));
cleanup:
    if (st != MTS_OK)
        word_tags_deinit(&p->tags);
    return st;
}

const mts_tagging *mts_predictor_tags_at(const mts_predictor *p, int64_t index)
{
    return p->tags.sentences != NULL && index >= 0 && index < p->tags.n ? &p->tags.sentences[index]
                                                                        : NULL;
}
