/*
 * The tags of a sentence's words as a line: in TSV with blanks between them, as run_ner.py writes
 * them; in JSON the words, their tags and probabilities.  Words that were cut away have none: null.
 */
#include "tagging.h"

#include "escape.h"

void tagging_print_header(FILE *file)
{
    fputs("tags\n", file);
}

static void print_tsv(FILE *file, const mts_tagging *s)
{
    for (int64_t i = 0; i < s->tagged; i++) {
        if (i > 0)
            fputc(' ', file);
        escape_tsv(file, s->tags[i]);
    }
    fputc('\n', file);
}

static void print_json(FILE *file, const mts_tagging *s)
{
    fputs("{\"tokens\": [", file);
    for (int64_t i = 0; i < s->n; i++) {
        fputs(i == 0 ? "" : ", ", file);
        escape_json(file, s->words[i]);
    }
    fputs("], \"tags\": [", file);
    for (int64_t i = 0; i < s->n; i++) {
        fputs(i == 0 ? "" : ", ", file);
        if (i < s->tagged)
            escape_json(file, s->tags[i]);
        else
            fputs("null", file);
    }
    fputs("], \"scores\": [", file);
    for (int64_t i = 0; i < s->n; i++) {
        fputs(i == 0 ? "" : ", ", file);
        if (i < s->tagged)
            fprintf(file, "%.9g", s->scores[i]);
        else
            fputs("null", file);
    }
    fputs("]}\n", file);
}

mts_status tagging_predict(FILE *file, mts_predictor *predictor, const char *const *sentences,
                           int64_t n, bool json)
{
    const mts_status st = mts_predictor_tag(predictor, sentences, n);
    for (int64_t i = 0; st == MTS_OK && i < n; i++) {
        if (json)
            print_json(file, mts_predictor_tags_at(predictor, i));
        else
            print_tsv(file, mts_predictor_tags_at(predictor, i));
    }
    return st;
}
