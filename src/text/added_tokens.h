/*
 * Added tokens: whole strings such as "[MASK]" that are found in a text before it is cut into
 * words.
 *
 * Path: wordpiece_encode -> added_set_next on the decoded text and on the normalised text.
 * Matches are leftmost-longest and do not overlap, as in Hugging Face's AddedVocabulary.
 * At each place of the text, the work is that of reading on while some pattern agrees with it,
 * whatever the number of patterns.
 */
#ifndef MTS_TEXT_ADDED_TOKENS_H
#define MTS_TEXT_ADDED_TOKENS_H

#include "text/bert_normalizer.h"

typedef struct added_pattern {
    int64_t begin, count; /* its code points in the set's `codes`, */
    const int32_t *codes; /* and there, after added_set_finish */
    int32_t id;
    bool lstrip, rstrip; /* the match takes in the whitespace before / behind it */
} added_pattern;

/* Read-only after added_set_finish; {0} is the empty set. */
typedef struct added_set {
    int32_t *codes;
    int64_t code_count, code_room;
    added_pattern *patterns; /* in lexical order, each once */
    int64_t count, room;
    uint32_t firsts[8]; /* bit (first & 255) is set for every pattern */
} added_set;

/* A match of chars[begin, end); or, after the last one, id -1 and begin = end = count. */
typedef struct added_match {
    int64_t begin, end;
    int32_t id;
} added_match;

/*
 * Where the search stands; {0} to begin.  The two differ behind a match with rstrip: the whitespace
 * that it took belongs to it (done), yet the next pattern may begin with it (scan), as in Hugging
 * Face's AddedVocabulary.
 */
typedef struct added_cursor {
    int64_t scan, done;
} added_cursor;

/* Add a pattern of count >= 1 code points (their places are not used).  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status added_set_add(mts_ctx *ctx, added_set *set, const bert_char *chars,
                                       int64_t count, int32_t id, bool lstrip, bool rstrip);
/* All patterns are added: sort them.  Of equal ones that with the smallest id stays. */
void added_set_finish(added_set *set);
void added_set_deinit(added_set *set);

/*
 * The next match in chars[count]; moves the cursor behind it.  What lies between the cursor's old
 * `done` and match.begin is ordinary text; there is none if match.begin <= done.
 */
added_match added_set_next(const added_set *set, const bert_char *chars, int64_t count,
                           added_cursor *cursor);

#endif
