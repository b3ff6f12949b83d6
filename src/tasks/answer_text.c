/* Answers normalised.  See answer_text.h. */
#include "tasks/answer_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "text/python_text.h"

/* ASCII that is neither letter, digit, blank nor control: Python's string.punctuation. */
static bool is_punctuation(int32_t code)
{
    return (code >= '!' && code <= '/') || (code >= ':' && code <= '@') ||
           (code >= '[' && code <= '`') || (code >= '{' && code <= '~');
}

static int64_t remove_punctuation(int32_t *codes, int64_t n)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (!is_punctuation(codes[i]))
            codes[kept++] = codes[i];
    return kept;
}

/* Code points of the article that is a word at place i, or 0. */
static int64_t article_at(const int32_t *codes, int64_t n, int64_t i)
{
    static const char *const articles[] = {"a", "an", "the"};
    if (i > 0 && python_is_word(codes[i - 1]))
        return 0;
    for (int k = 0; k < 3; k++) {
        const int64_t length = (int64_t)strlen(articles[k]);
        int64_t same = 0;
        while (same < length && i + same < n && codes[i + same] == articles[k][same])
            same++;
        if (same == length && (i + length == n || !python_is_word(codes[i + length])))
            return length;
    }
    return 0;
}

/* Words of codes[n], without articles, into text with one blank between; returns the bytes. */
static size_t write_words(const int32_t *codes, int64_t n, char *text)
{
    size_t used = 0;
    bool blank = false;
    for (int64_t i = 0; i < n;) {
        const int64_t article = article_at(codes, n, i);
        if (article > 0 || python_is_space(codes[i])) {
            blank = true;
            i += article > 0 ? article : 1;
            continue;
        }
        if (blank && used > 0)
            text[used++] = ' ';
        blank = false;
        used += utf8_encode(codes[i++], text + used);
    }
    text[used] = '\0';
    return used;
}

static int compare_words(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Cut a->normalised into a->words. */
static mts_status split_words(mts_ctx *ctx, answer_text *a)
{
    mts_status st = MTS_OK;
    int64_t blanks = 0;
    MTS_TRY(mem_strdup(ctx, &a->storage, a->normalised));
    for (const char *p = a->storage; *p != '\0'; p++)
        blanks += *p == ' ';
    MTS_TRY(mem_calloc(ctx, &a->words, (size_t)blanks + 1, sizeof a->words[0], "words"));
    for (char *word = a->storage; word != NULL && *word != '\0';) {
        char *end = strchr(word, ' ');
        a->words[a->n++] = word;
        if (end != NULL)
            *end++ = '\0';
        word = end;
    }
    if (a->n > 1)
        qsort((void *)a->words, (size_t)a->n, sizeof a->words[0], compare_words);
cleanup:
    return st;
}

mts_status answer_text_init(mts_ctx *ctx, answer_text *out, const char *text)
{
    mts_status st = MTS_OK;
    int32_t *codes = NULL;
    int64_t n = 0;
    *out = (answer_text){0};
    MTS_TRY(python_lower(ctx, text, &codes, &n));
    n = remove_punctuation(codes, n);
    MTS_TRY(mem_calloc(ctx, &out->normalised, (size_t)n * UTF8_MAX_BYTES + 1, 1, "answer"));
    write_words(codes, n, out->normalised);
    MTS_TRY(split_words(ctx, out));
cleanup:
    mem_free(codes);
    return st;
}

void answer_text_deinit(answer_text *a)
{
    mem_free(a->normalised);
    mem_free(a->storage);
    mem_free((void *)a->words);
    *a = (answer_text){0};
}

bool answer_text_exact(const answer_text *a, const answer_text *b)
{
    return strcmp(a->normalised, b->normalised) == 0;
}

double answer_text_f1(const answer_text *prediction, const answer_text *answer)
{
    int64_t common = 0;
    for (int64_t i = 0, k = 0; i < prediction->n && k < answer->n;) {
        const int order = strcmp(prediction->words[i], answer->words[k]);
        common += order == 0;
        i += order <= 0;
        k += order >= 0;
    }
    if (common == 0)
        return 0;
    const double p = (double)common / (double)prediction->n;
    const double r = (double)common / (double)answer->n;
    return 2 * p * r / (p + r); /* in this order, to the last bit */
}
