/*
 * Options inside the library: the alias tables, and what each call of the public header needs.
 *
 * Path: mts_train / mts_eval / mts_predictor_open -> options_check_<call> -> the run.
 * Names, types, ranges and defaults: option_table.c.  Parsing: options.c.  Checks: option_check.c.
 */
#ifndef MTS_API_OPTIONS_H
#define MTS_API_OPTIONS_H

#include "base/status.h"

/* For option `name` (any option if value is NULL), `value` stands for `meaning`. */
typedef struct option_alias {
    const char *name;
    const char *value; /* NULL: the name itself is the alias, and meaning a name */
    const char *meaning;
} option_alias;

typedef struct option_hint {
    const char *name;
    const char *text;
} option_hint;

/* An option that does not exist here, with the values by which it asks for what is done anyway. */
typedef struct option_idle {
    const char *name;
    bool on, off;     /* as a switch: true, false */
    const char *text; /* any other value, or NULL */
} option_idle;

/* Each ends with a row of NULL; constant. */
extern const option_idle option_idles[];
extern const option_alias option_name_aliases[];
extern const option_alias option_value_aliases[];
extern const option_hint option_hints[];

/* Whether word is one of the '|'-separated choices. */
bool option_has_choice(const char *choices, const char *word);

/*
 * mts_options_check, and that everything is given which the call needs: the model folder, the
 * output folder, data.  Names are checked, files are not opened.  MTS_ERR_ARGUMENT.
 */
MTS_NODISCARD mts_status options_check_train(mts_ctx *ctx, const mts_options *options);
MTS_NODISCARD mts_status options_check_eval(mts_ctx *ctx, const mts_options *options);
MTS_NODISCARD mts_status options_check_predict(mts_ctx *ctx, const mts_options *options);
MTS_NODISCARD mts_status options_check_test_rows(mts_ctx *ctx, const mts_options *options);

/* Whether task_name says so. */
bool options_is_question_answering(const mts_options *options);

/* Whether a training run ends with an evaluation of the final model: do_eval, its auto resolved. */
bool options_wants_final_eval(const mts_options *options);

/* Bits of the integer format named by precision ("int12": 12), 0 for fp32 and bf16. */
int64_t options_precision_bits(const mts_options *options);

#endif
