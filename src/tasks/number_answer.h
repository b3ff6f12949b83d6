/*
 * The number that ends an answer, as GSM8K writes it: "... so it costs 1,200.\n#### 1,200".
 *                                                                                [Cobbe2021]
 */
#ifndef MTS_TASKS_NUMBER_ANSWER_H
#define MTS_TASKS_NUMBER_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

enum { NUMBER_ANSWER_BYTES = 64 };

/*
 * out: the number behind the first "####" of text[bytes] that has one, without commas, a currency
 * sign and a point at its end; false: there is none.  *whole (may be NULL): something stands behind
 * it, so that more text cannot change it.
 */
bool number_answer_find(const char *text, size_t bytes, char out[NUMBER_ANSWER_BYTES], bool *whole);

#endif
