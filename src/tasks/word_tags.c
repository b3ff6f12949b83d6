/* Tags of words in memory.  See word_tags.h. */
#include "tasks/word_tags.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "tasks/metrics.h"

/* Put the words of a sentence at words (NULL: only count them), each cut off by a NUL; how many. */
static int64_t split_sentence(char *sentence, const char **words)
{
    const bool lines = strchr(sentence, '\n') != NULL;
    const char *between = lines ? "\n" : " \t\r";
    int64_t n = 0;
    for (char *at = sentence; *at != '\0';) {
        const size_t bytes = strcspn(at, between);
        const bool last = at[bytes] == '\0';
        if (lines || bytes > 0) {
            if (words != NULL)
                words[n] = at;
            n++;
        }
        if (words != NULL)
            at[bytes] = '\0';
        at += bytes + !last;
    }
    return n;
}

/* a->words of the sentences. */
static mts_status copy_sentences(mts_ctx *ctx, word_tags *a, const char *const *sentences)
{
    mts_status st = MTS_OK;
    size_t bytes = 0;
    for (int64_t i = 0; i < a->n; i++)
        bytes += strlen(sentences[i]) + 1;
    MTS_TRY(mem_calloc(ctx, &a->storage, bytes, 1, "sentences"));
    MTS_TRY(mem_calloc(ctx, &a->first, (size_t)a->n + 1, sizeof a->first[0], "sentences"));
    bytes = 0;
    for (int64_t i = 0; i < a->n; i++) {
        char *copy = a->storage + bytes;
        memcpy(copy, sentences[i], strlen(sentences[i]) + 1);
        bytes += strlen(copy) + 1;
        a->first[i + 1] = a->first[i] + split_sentence(copy, NULL);
    }
    MTS_TRY(mem_calloc(ctx, &a->words, (size_t)a->first[a->n], sizeof a->words[0], "words"));
    bytes = 0;
    for (int64_t i = 0; i < a->n; i++) {
        char *copy = a->storage + bytes;
        bytes += strlen(copy) + 1;
        (void)split_sentence(copy, a->words + a->first[i]);
    }
cleanup:
    return st;
}

mts_status word_tags_encode(mts_ctx *ctx, word_tags *a, const char *const *sentences, int64_t n,
                            int64_t labels, const word_options *options)
{
    mts_status st = MTS_OK;
    word_sentences from = {.n = n};
    word_tags_deinit(a);
    a->n = n;
    MTS_TRY(copy_sentences(ctx, a, sentences));
    from.first = a->first;
    from.words = a->words;
    MTS_TRY(word_rows_build(ctx, &from, options, &a->rows, &a->from));
    MTS_TRY(mem_calloc(ctx, &a->logits, (size_t)a->rows.offsets[n], (size_t)labels * sizeof(float),
                       "outputs of all words"));
cleanup:
    return st;
}

/* The probability of logits[best] among n. */
static double probability(const float *logits, int64_t n, int64_t best)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - (double)logits[best]);
    return 1.0 / sum;
}

mts_status word_tags_find(mts_ctx *ctx, word_tags *a, char *const *names, int64_t labels)
{
    mts_status st = MTS_OK;
    const size_t words = (size_t)a->first[a->n];
    MTS_TRY(mem_calloc(ctx, &a->tags, words, sizeof a->tags[0], "tags"));
    MTS_TRY(mem_calloc(ctx, &a->scores, words, sizeof a->scores[0], "tags"));
    MTS_TRY(mem_calloc(ctx, &a->sentences, (size_t)a->n, sizeof a->sentences[0], "tags"));
    for (int64_t i = 0; i < a->n; i++) {
        const int64_t first = a->first[i];
        for (int64_t k = 0; k < a->from.words[i]; k++)
            a->tags[first + k] = WORD_ROWS_OUTSIDE;
        for (int64_t t = a->rows.offsets[i]; t < a->rows.offsets[i + 1]; t++) {
            const float *logits = a->logits + t * labels;
            const int64_t word = a->from.word[t], best = metrics_first_largest(logits, labels);
            if (word < 0)
                continue;
            a->tags[first + word] = names[best];
            a->scores[first + word] = probability(logits, labels, best);
        }
        a->sentences[i] = (mts_tagging){.n = a->first[i + 1] - first,
                                        .tagged = a->from.words[i],
                                        .words = a->words + first,
                                        .tags = a->tags + first,
                                        .scores = a->scores + first};
    }
cleanup:
    return st;
}

void word_tags_deinit(word_tags *a)
{
    mem_free(a->first);
    mem_free(a->storage);
    mem_free((void *)a->words);
    encoded_dataset_deinit(&a->rows);
    word_rows_deinit(&a->from);
    mem_free(a->logits);
    mem_free(a->sentences);
    mem_free((void *)a->tags);
    mem_free(a->scores);
    *a = (word_tags){0};
}
