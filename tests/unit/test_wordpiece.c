/*
 * WordPiece: words, punctuation, offsets, pairs, truncation, added tokens, threads, memory failure.
 *
 * As a program, `test_wordpiece --encode MODEL_DIR` reads requests from standard input, one a line:
 *     max_length TAB hexadecimal bytes of text a [TAB the same of text b]
 * and answers each with one line: ids TAB type_ids TAB begin TAB end (numbers with spaces between).
 * tools/check_tokenizer.py compares the answers with Hugging Face's.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "text/wordpiece.h"

/* ---- the --encode mode ---- */

/* Decode hexadecimal digits in place; returns the text with a NUL behind. */
static char *unhex(char *text)
{
    size_t n = strlen(text) / 2;
    for (size_t i = 0; i < n; i++) {
        char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};
        text[i] = (char)strtol(digits, NULL, 16);
    }
    text[n] = '\0';
    return text;
}

static void print_numbers(const int32_t *numbers, int64_t n, char end)
{
    for (int64_t i = 0; i < n; i++)
        printf("%s%d", i > 0 ? " " : "", numbers[i]);
    putchar(end);
}

/* Answer one request; false after an error, which is printed. */
static bool answer(mts_ctx *ctx, const wordpiece *wp, char *line)
{
    char *a = strchr(line, '\t'), *b = a != NULL ? strchr(a + 1, '\t') : NULL;
    mts_encoding e = {0};
    if (a == NULL) {
        printf("malformed request\n");
        return false;
    }
    *a++ = '\0';
    if (b != NULL)
        *b++ = '\0';
    mts_status st = wordpiece_encode(ctx, wp, unhex(a), b != NULL ? unhex(b) : NULL,
                                     strtoll(line, NULL, 10), &e);
    if (st != MTS_OK) {
        printf("%s\n", ctx->error);
        return false;
    }
    print_numbers(e.ids, e.length, '\t');
    print_numbers(e.type_ids, e.length, '\t');
    print_numbers(e.begin, e.length, '\t');
    print_numbers(e.end, e.length, '\n');
    wordpiece_free_encoding(&e);
    return true;
}

static int serve(const char *model_dir)
{
    mts_ctx ctx = {""};
    wordpiece *wp = NULL;
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    bool ok = wordpiece_open(&ctx, model_dir, &wp) == MTS_OK;
    if (!ok)
        printf("%s\n", ctx.error);
    while (ok && (n = getline(&line, &room, stdin)) > 0) {
        line[strcspn(line, "\n")] = '\0';
        ok = answer(&ctx, wp, line);
    }
    free(line);
    wordpiece_close(wp);
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--encode") == 0)
        return serve(argv[2]);
}
