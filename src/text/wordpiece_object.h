/* The members of a wordpiece object, for wordpiece.c and wordpiece_encode.c only. */
#ifndef MTS_TEXT_WORDPIECE_OBJECT_H
#define MTS_TEXT_WORDPIECE_OBJECT_H

#include "text/added_tokens.h"
#include "text/tokenizer_spec.h"
#include "text/wordpiece.h"

struct wordpiece {
    vocab vocabulary;
    bert_normalizer normalizer;
    added_set added_raw;           /* looked for in the original text */
    added_set added_normalized[2]; /* looked for in the normalised text; [lower_case] */
    int64_t max_input_chars;       /* per word */
    int32_t special[SPECIAL_COUNT];
};

#endif
