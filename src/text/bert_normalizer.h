/*
 * BertNormalizer of Hugging Face: code points in, code points out, each with its place in the text.
 *
 *   clean_text            remove controls and U+FFFD, every whitespace becomes a space
 *   handle_chinese_chars  put a space before and after each CJK ideograph
 *   strip_accents         canonical decomposition (NFD), then remove the nonspacing marks (Mn)
 *   lower_case            full lower case of each code point by itself (no final-sigma rule)
 *
 * in this order.  Path: text -> bert_text_decode -> bert_normalize -> words (wordpiece_encode).
 * Does not split into words.
 */
#ifndef MTS_TEXT_BERT_NORMALIZER_H
#define MTS_TEXT_BERT_NORMALIZER_H

#include "base/status.h"

/* One code point and the bytes [begin, end) of the original text that it stands for. */
typedef struct bert_char {
    int32_t code, begin, end;
} bert_char;

/* A growable array of them; {0} is empty. */
typedef struct bert_text {
    bert_char *chars;
    int64_t count, room;
} bert_text;

typedef enum bert_strip {
    BERT_STRIP_AS_LOWER, /* null in the files: strip if and only if lower_case */
    BERT_STRIP_NO,
    BERT_STRIP_YES,
} bert_strip;

typedef struct bert_normalizer {
    bool clean_text, handle_chinese_chars, lower_case;
    bert_strip strip_accents;
} bert_normalizer;

/* One part of a decomposed code point, waiting for its canonical order. */
typedef struct bert_part {
    int64_t order; /* combining class * 2^40 + place: sorting by it is a stable sort by class */
    int32_t code;
    bool first; /* of the parts of its code point */
} bert_part;

/* Working memory of bert_normalize, reused from call to call; {0} to begin. */
typedef struct bert_scratch {
    bert_part *parts;
    int64_t part_count, part_room;
    bert_text sources; /* where the pending parts came from: begin and end of each code point */
} bert_scratch;

void bert_text_deinit(bert_text *text);
void bert_scratch_deinit(bert_scratch *scratch);

/*
 * Decode UTF-8 into *out (emptied first).  Malformed bytes become U+FFFD, see utf8_decode.
 * bytes <= INT32_MAX.  MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status bert_text_decode(mts_ctx *ctx, const char *text, size_t bytes,
                                          bert_text *out);

/* Append one code point.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status bert_text_push(mts_ctx *ctx, bert_text *text, bert_char c);

/*
 * Normalise in[count] into *out (emptied first).
 *
 * Places: a code point keeps the place of the one it was made from, all parts of a decomposed one
 * share its place.  Where NFD reorders marks, the k-th reordered code point takes the k-th place,
 * as Hugging Face's alignments do.  Cost O(count), O(count log count) in runs of unordered marks.
 * Reentrant: everything that changes is in *out and *scratch.  MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status bert_normalize(mts_ctx *ctx, const bert_normalizer *normalizer,
                                        const bert_char *in, int64_t count, bert_scratch *scratch,
                                        bert_text *out);

#endif
