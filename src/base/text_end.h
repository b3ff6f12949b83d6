/*
 * What a text ends in: names of files, tensors and classes.
 *
 * Path: every layer -> here.
 */
#ifndef MTS_BASE_TEXT_END_H
#define MTS_BASE_TEXT_END_H

#include <stdbool.h>

/* Whether text ends in `end`, or is the same. */
bool text_ends_in(const char *text, const char *end);

/* Whether text is something with `end` behind it. */
bool text_has_ending(const char *text, const char *end);

#endif
