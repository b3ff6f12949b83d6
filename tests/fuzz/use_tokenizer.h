/* What holds for rows that a tokenizer makes of any texts. */
#ifndef MTS_TESTS_FUZZ_USE_TOKENIZER_H
#define MTS_TESTS_FUZZ_USE_TOKENIZER_H

#include "text/tokenizer.h"

/* Encode texts alone, as a pair and in windows, with and without a limit that texts chooses. */
void use_tokenizer(const tokenizer *tok, const char *a, const char *b);

#endif
