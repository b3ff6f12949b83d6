/*
 * One answer as a line: its text, probability, and the characters of the paragraph where it begins
 * and ends, under the names of transformers' question-answering pipeline; TSV or JSON.
 */
#include "answer.h"

#include "escape.h"

/* Characters in the first so many bytes, which end with one. */
static long long count_characters(const char *text, int64_t bytes)
{
    long long n = 0;
    bool valid = true;
    for (int64_t at = 0; at < bytes; n++)
        at += (int64_t)escape_character(text + at, &valid);
    return n;
}

void answer_print_header(FILE *file, bool ids)
{
    fputs(ids ? "id\tanswer\tscore\tstart\tend\n" : "answer\tscore\tstart\tend\n", file);
}

void answer_print_tsv(FILE *file, const char *id, const char *paragraph, const mts_answer *a)
{
    if (id != NULL) {
        escape_tsv(file, id);
        fputc('\t', file);
    }
    escape_tsv(file, a->text);
    fprintf(file, "\t%.9g\t%lld\t%lld\n", a->score, count_characters(paragraph, a->begin),
            count_characters(paragraph, a->end));
}

void answer_print_json(FILE *file, const char *id, const char *paragraph, const mts_answer *a)
{
    fputc('{', file);
    if (id != NULL) {
        fputs("\"id\": ", file);
        escape_json(file, id);
        fputs(", ", file);
    }
    fputs("\"answer\": ", file);
    escape_json(file, a->text);
    fprintf(file, ", \"score\": %.9g, \"start\": %lld, \"end\": %lld}\n", a->score,
            count_characters(paragraph, a->begin), count_characters(paragraph, a->end));
}
