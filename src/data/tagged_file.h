/*
 * Sentences that are cut into words, each with a tag: files of token classification.
 *
 * Path: task token classification -> tagged_file_read -> word_rows (token ids, targets).
 *
 *   .json, .jsonl   an object for each sentence, one behind the other:
 *                   {"tokens": ["EU", "rejects"], "ner_tags": ["B-ORG", "O"]}
 *                   Tags are texts or whole numbers.  Other keys are skipped.
 *   other names     columns (CoNLL): a line for each word, the word first and the tag last, between
 *                   them tabs if the line has one, else blanks; an empty line behind a sentence.
 *                   Lines have as many columns as the first.  A word -DOCSTART- is none.
 *
 * UTF-8 without NUL; a byte-order mark at the start is skipped.  Memory: that of the file, 16 bytes
 * for a word and 16 for a sentence.
 */
#ifndef MTS_DATA_TAGGED_FILE_H
#define MTS_DATA_TAGGED_FILE_H

#include "base/status.h"

/* Owns everything in it, freed by tagged_set_deinit.  Texts are UTF-8, each with a NUL behind. */
typedef struct tagged_set {
    char *storage;       /* the file, of which the texts are parts */
    int64_t n;           /* sentences */
    int64_t *first;      /* [n + 1]: words of sentence i are first[i] ... first[i + 1] - 1 */
    int64_t *lines;      /* [n]: where each begins, from 1 */
    const char **words;  /* [first[n]]; of a file of JSON they may be empty */
    const char **tags;   /* [first[n]], not empty; NULL: they were not read */
    bool columns;        /* a word is a line: word k of a sentence is k lines below its first */
    int64_t capacity[2]; /* of the arrays, while they are filled: sentences, words */
} tagged_set;

/* Keys of a file of JSON. */
typedef struct tagged_keys {
    const char *words, *tags; /* NULL: see tagged_file_read */
} tagged_keys;

/* Whether it is read as JSON, by the end of its name. */
bool tagged_file_is_json(const char *path);

/* Whether it looks like such a file: its name ends in .conll, or .bio or .iob2, or it is JSON whose
 * first object has a key "tokens" with an array, within 16 KiB.  false also where it cannot be
 * read. */
bool tagged_file_is(const char *path);

/*
 * *out: all sentences of a file; their tags if with_tags, which must be there then.
 *
 * keys   of JSON; those that are NULL become the first that is in the file of "tokens", "words",
 *        and of "ner_tags", "tags", "labels"; constants.
 * MTS_ERR_NOT_FOUND, _IO: the file; MTS_ERR_BAD_FILE: not of this form ("file:line: ..."), or
 * without a word; MTS_ERR_MEMORY.  deinit is safe after failure.
 */
MTS_NODISCARD mts_status tagged_file_read(mts_ctx *ctx, const char *path, tagged_keys *keys,
                                          bool with_tags, tagged_set *out);
/* The same of text[bytes] (allocated by base/memory.h, a NUL behind), which is changed and taken
 * over in every case. */
MTS_NODISCARD mts_status tagged_file_parse(mts_ctx *ctx, const char *path, char *text, size_t bytes,
                                           tagged_keys *keys, bool with_tags, tagged_set *out);
void tagged_set_deinit(tagged_set *s);

/* Drop all sentences behind the first n. */
void tagged_set_cut(tagged_set *s, int64_t n);

/* The line of word k (of all) in sentence i, for error texts. */
int64_t tagged_set_line(const tagged_set *s, int64_t i, int64_t k);

#endif
