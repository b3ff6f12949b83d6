/*
 * Options inside the library: the table's rows, other spellings, what each call of the public
 * header needs, and options as JSON.
 *
 * Path: mts_train / mts_eval / mts_predictor_open -> options_check_<call> -> the run.
 * Rows: option_table.c.  Other programs' names: option_names.c.  Parsing: option_set.c.  Checks:
 * option_check.c.  In a folder and in a checkpoint: option_json.c.
 */
#ifndef MTS_OPTIONS_OPTIONS_H
#define MTS_OPTIONS_OPTIONS_H

#include <jansson.h>

#include "base/status.h"

/* What a row says beside mts_option_info. */
typedef enum option_mark {
    OPTION_USES = 0xffff,         /* room of the set of mts_use */
    OPTION_STORED = 0x10000,      /* a fine-tuned folder keeps it: evaluation goes by it */
    OPTION_RESUMED = 0x20000,     /* a resumed run must have the value of the checkpoint's */
    OPTION_INTEGER = 0x40000,     /* has a meaning for integer precisions only */
    OPTION_ANSWERS = 0x80000,     /* has a meaning for question answering only */
    OPTION_STEPS = 0x100000,      /* a whole number, or below 1 a part of all steps */
    OPTION_ADAPTER = 0x200000,    /* has a meaning for adapters only */
    OPTION_OUTLIERS = 0x400000,   /* has a meaning where outliers are told apart only */
    OPTION_GIVEN = 0x800000,      /* auto is kept nowhere */
    OPTION_CHANGED = 0x2000000,   /* as by default it is kept nowhere */
    OPTION_BELOW_ONE = 0x1000000, /* below 1; where the range begins at -1: that, or 0 and more */
} option_mark;

typedef struct option_row {
    mts_option_info info;
    const char *words; /* the choices, each with its NUL, an empty one at the end; or NULL */
    unsigned marks;    /* set of mts_use and option_mark */
} option_row;

/* The size of the first version's struct: none is smaller. */
#define OPTIONS_SIZE_MIN (offsetof(mts_options, num_threads) + sizeof(int64_t))

/* *own: a caller's options in the struct of this library; what the caller's header does not have is
 * as by default.  Strings are shared.  MTS_ERR_ARGUMENT: NULL, or not filled by
 * mts_options_default. */
MTS_NODISCARD mts_status options_take(mts_ctx *ctx, const mts_options *given, mts_options *own);
/* Back into the caller's struct, as far as that goes. */
void options_give(const mts_options *own, mts_options *options);

/* Row number index of mts_option_count(). */
const option_row *option_row_at(size_t index);

/* The row's choice that text means: the same text but for case, dashes and underscores.  NULL if
 * there is none; else constant. */
const char *option_row_word(const option_row *row, const char *text);

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

/* An option that does not exist here, with the values by which it asks for what is done anyway.  A
 * name may have several rows. */
typedef struct option_idle {
    const char *name;
    bool on, off;     /* as a switch: true, false */
    const char *text; /* another value, or OPTION_ANY_VALUE, or NULL */
} option_idle;

#define OPTION_ANY_VALUE "*"

/* Each ends with a row of NULL; constant. */
extern const option_idle option_idles[];
extern const option_alias option_name_aliases[];
extern const option_alias option_value_aliases[];
extern const option_hint option_hints[];

/*
 * mts_options_check, and that everything is given which the call needs: the model folder, the
 * output folder, data.  Names are checked, files are not opened.  MTS_ERR_ARGUMENT.
 */
MTS_NODISCARD mts_status options_check_train(mts_ctx *ctx, const mts_options *options);
MTS_NODISCARD mts_status options_check_eval(mts_ctx *ctx, const mts_options *options);
MTS_NODISCARD mts_status options_check_predict(mts_ctx *ctx, const mts_options *options);
MTS_NODISCARD mts_status options_check_train_rows(mts_ctx *ctx, const mts_options *options);
MTS_NODISCARD mts_status options_check_test_rows(mts_ctx *ctx, const mts_options *options);
MTS_NODISCARD mts_status options_check_generate(mts_ctx *ctx, const mts_options *options);

MTS_NODISCARD mts_status options_check_describe(mts_ctx *ctx, const mts_options *options);
MTS_NODISCARD mts_status options_check_export(mts_ctx *ctx, const mts_options *options);
MTS_NODISCARD mts_status options_check_merge(mts_ctx *ctx, const mts_options *options);
MTS_NODISCARD mts_status options_check_quantize(mts_ctx *ctx, const mts_options *options);
MTS_NODISCARD mts_status options_check_synth(mts_ctx *ctx, const mts_options *options);

/* Whether the name of an output is that of a GGUF file. */
bool options_name_gguf(const char *path);
/* Whether mts_export writes one: format says so, or that name. */
bool options_exports_gguf(const mts_options *options);

/* *bytes of "5GB", "500MB", "2GiB" or a number.  MTS_ERR_ARGUMENT: another text, of option `name`.
 */
MTS_NODISCARD mts_status options_parse_size(mts_ctx *ctx, const char *name, const char *text,
                                            uint64_t *bytes);

/* Whether task_name says so, and whether some questions have no answer (SQuAD v2.0). */
bool options_is_question_answering(const mts_options *options);
bool options_expects_no_answer(const mts_options *options);

/* max_seq_length where it is 0 and the model has so many positions: 384, of other tasks 128. */
int64_t options_usual_length(const mts_options *options);

/* Whether a training run ends with an evaluation of the final model: do_eval, its auto resolved. */
bool options_wants_final_eval(const mts_options *options);

/* Whether the linear layers of the model beside an adapter are in NF4. */
bool options_has_4bit_base(const mts_options *o);
/* Whether linear layers can read their weights in every product. */
bool options_can_stream(const mts_options *o);

/* Whether outliers have bits of their own: --outliers, in an integer precision. */
bool options_tell_outliers(const mts_options *options);

/* Bits of the integer format named by precision ("int12": 12), 0 for fp32 and bf16. */
int64_t options_precision_bits(const mts_options *options);

/*
 * Put the options with this mark into object, each under its name: those for integers only where
 * the precision is one, those for outliers where these are told apart, those for adapters where one
 * is trained, those for question answering only if answers, those marked so only if not auto.  A
 * number of steps is an integer where it is one; a string that is not given is left out.
 * MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status options_put_json(mts_ctx *ctx, const mts_options *options,
                                          option_mark mark, bool answers, json_t *object);

/*
 * Set the options with this mark that are in object; absent and null ones stay.  Strings are set to
 * constant ones.  MTS_ERR_BAD_FILE: a type, range or choice; the text begins with the name.
 */
MTS_NODISCARD mts_status options_take_json(mts_ctx *ctx, const json_t *object, option_mark mark,
                                           mts_options *options);

#endif
