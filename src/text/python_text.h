/*
 * What Python's str does with Unicode, for scores that must equal those of a Python script.
 *
 * Path: answer_text (normalisation of answers), question_windows (blanks before a question).
 *
 * By categories of utf8proc, and the few exceptions that Python's own tables have:
 * tools/check_qa.py compares them over all code points that the Python at hand knows.
 */
#ifndef MTS_TEXT_PYTHON_TEXT_H
#define MTS_TEXT_PYTHON_TEXT_H

#include "base/status.h"

/* str.isspace: where str.split and str.lstrip cut. */
bool python_is_space(int32_t code);

/* \w of a regular expression. */
bool python_is_word(int32_t code);

/*
 * *codes: the code points of text.lower(), *n of them; free with mem_free.  text: UTF-8, malformed
 * bytes count as U+FFFD.  A capital sigma at the end of a word becomes the final form.
 * MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status python_lower(mts_ctx *ctx, const char *text, int32_t **codes, int64_t *n);

/* The text behind the blanks it begins with: text.lstrip(). */
const char *python_lstrip(const char *text);

#endif
