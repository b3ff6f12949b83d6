/*
 * Words of the command line into options.
 *
 *   --name value   --name=value   --switch   --switch true|false   --no_switch
 *
 * Dashes and underscores in names are the same, as are the spellings of transformers' scripts
 * (mts_option_find).  A flag given twice: the last one counts.
 */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

#define NAME_BYTES 128
#define PATH_BYTES 4096

/* One flag taken apart: its name with underscores, and the value after '=' if there is one. */
typedef struct word {
    char name[NAME_BYTES];
    const char *value;
} word;

static bool split_word(const char *text, word *out)
{
    const char *name = text + 2;
    const char *equals = strchr(name, '=');
    const size_t n = equals != NULL ? (size_t)(equals - name) : strlen(name);
    if (n == 0 || n >= NAME_BYTES)
        return false;
    for (size_t i = 0; i < n; i++)
        out->name[i] = name[i] == '-' ? '_' : name[i];
    out->name[n] = '\0';
    out->value = equals != NULL ? equals + 1 : NULL;
    return true;
}

/* Whether text is the value of a switch (*on, which may be NULL): otherwise it is the next word of
 * the command line. */
static bool is_switch_value(const char *text, bool *on)
{
    static const char *const values[][2] = {
        {"false", "true"}, {"False", "True"}, {"FALSE", "TRUE"}, {"no", "yes"},
        {"n", "y"},        {"f", "t"},        {"0", "1"},
    };
    for (size_t i = 0; i < 2 * (sizeof values / sizeof values[0]); i++) {
        if (strcmp(text, values[i / 2][i % 2]) != 0)
            continue;
        if (on != NULL)
            *on = i % 2 == 1;
        return true;
    }
    return false;
}

/* Whether text can be the value of this option, a switch. */
static bool suits_switch(const mts_option_info *info, const char *text)
{
    return is_switch_value(text, NULL) ||
           (info->type == MTS_OPTION_TRISTATE && strcmp(text, "auto") == 0);
}

/* Whether text is one of the '|'-separated choices. */
static bool is_choice(const char *choices, const char *text)
{
    const size_t n = strlen(text);
    for (const char *p = choices; p != NULL; p = strchr(p, '|')) {
        p += *p == '|';
        if (strcspn(p, "|") == n && memcmp(p, text, n) == 0)
            return true;
    }
    return false;
}

/* The value of w: behind '=', or the next word unless that is a flag.  NULL (printed): none. */
static const char *take_value(const word *w, int count, char **words, int *used)
{
    if (w->value != NULL)
        return w->value;
    if (*used < count && strncmp(words[*used], "--", 2) != 0)
        return words[(*used)++];
    cli_error("option --%s needs a value", w->name);
    return NULL;
}

static bool set_count(const cli_flag *flag, void *field, const char *text)
{
    char *end = NULL;
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || number < 0 || number > INT32_MAX) {
        cli_error("option --%s: expected 0 to %d, found '%s'", flag->name, INT32_MAX, text);
        return false;
    }
    const int64_t count = number;
    memcpy(field, &count, sizeof count);
    return true;
}

/* A switch of the sub-command's own; `negated`: it was written --no_NAME. */
static bool set_own_switch(const cli_flag *flag, void *field, bool negated, const word *w,
                           int count, char **words, int *used)
{
    bool on = !negated;
    if (negated && w->value != NULL) {
        cli_error("option --%s takes no value", w->name);
        return false;
    }
    if (w->value != NULL && !is_switch_value(w->value, &on)) {
        cli_error("option --%s: expected true or false, found '%s'", flag->name, w->value);
        return false;
    }
    if (!negated && w->value == NULL && *used < count && is_switch_value(words[*used], &on))
        (*used)++;
    memcpy(field, &on, sizeof on);
    return true;
}

static bool set_own_flag(const cli_flag *flag, cli_args *args, bool negated, const word *w,
                         int count, char **words, int *used)
{
    char *field = (char *)args + flag->offset;
    if (flag->type == CLI_FLAG_SWITCH)
        return set_own_switch(flag, field, negated, w, count, words, used);
    const char *value = take_value(w, count, words, used);
    if (value == NULL)
        return false;
    if (flag->type == CLI_FLAG_COUNT)
        return set_count(flag, field, value);
    if (flag->choices != NULL && !is_choice(flag->choices, value)) {
        cli_error("option --%s: expected one of %s, found '%s'", flag->name, flag->choices, value);
        return false;
    }
    memcpy(field, &value, sizeof value);
    return true;
}

static const cli_flag *find_own_flag(const cli_command *command, const char *name)
{
    for (const cli_flag *f = command->flags; f != NULL && f->name != NULL; f++)
        if (strcmp(f->name, name) == 0)
            return f;
    return NULL;
}

static bool has_effect(const cli_command *command, const mts_option_info *info)
{
    return (info->used_by & (command->use | command->reads)) != 0 ||
           (command->takes_model && strcmp(info->name, "model_name_or_path") == 0);
}

static bool is_switch(const mts_option_info *info)
{
    return info->type == MTS_OPTION_BOOL || info->type == MTS_OPTION_TRISTATE;
}

/* Whether it says how an adapter is trained: of no use with --method full. */
static bool is_of_adapter(const mts_option_info *info)
{
    const mts_option_info *method = mts_option_find("method");
    return info != method && strcmp(info->group, method->group) == 0 &&
           (info->used_by & ~(unsigned)MTS_USE_INFO) == MTS_USE_TRAIN;
}

/* A flag of the library's table; `negated`: it was written --no_NAME and info is NAME's. */
static bool set_option(const cli_command *command, cli_args *args, const mts_option_info *info,
                       bool negated, const word *w, int count, char **words, int *used)
{
    const char *value = w->value;
    if (!has_effect(command, info)) {
        cli_error("option --%s has no effect in 'mantissa %s'", info->name, command->name);
        return false;
    }
    if (negated && value != NULL) {
        cli_error("option --%s takes no value", w->name);
        return false;
    }
    if (is_of_adapter(info))
        args->of_adapter = info->name;
    if (negated)
        value = "false";
    else if (value == NULL && is_switch(info))
        value = *used < count && suits_switch(info, words[*used]) ? words[(*used)++] : "true";
    else if (value == NULL)
        value = take_value(w, count, words, used);
    return value != NULL && cli_report(args->ctx, mts_options_set(args->ctx, &args->options,
                                                                  info->name, value)) == EXIT_OK;
}

/* Remember " --name value" for the note. */
static void add_idle(cli_args *args, const char *name, const char *value)
{
    const size_t n = strlen(args->idle);
    snprintf(args->idle + n, sizeof args->idle - n, "%s --%s%s%s", n > 0 ? "," : "", name,
             value != NULL ? " " : "", value != NULL ? value : "");
}

/* Whether w is a training option of transformers' scripts that does not exist here and, as it is
 * given, changes nothing; its value is used up. */
static bool take_idle(const cli_command *command, cli_args *args, const word *w, int count,
                      char **words, int *used)
{
    const char *next = *used < count ? words[*used] : NULL;
    const char *value = w->value;
    if (command->use != MTS_USE_TRAIN)
        return false;
    if (value != NULL && !mts_option_is_idle(w->name, value))
        return false;
    if (value == NULL && next != NULL && mts_option_is_idle(w->name, next)) {
        value = next;
        (*used)++;
    } else if (value == NULL && next != NULL && strncmp(next, "--", 2) != 0) {
        return false; /* another value */
    } else if (value == NULL && !mts_option_is_idle(w->name, "true") &&
               (strncmp(w->name, "no_", 3) != 0 || !mts_option_is_idle(w->name + 3, "false"))) {
        return false;
    }
    add_idle(args, w->name, value);
    return true;
}

static bool parse_flag(const cli_command *command, cli_args *args, int count, char **words,
                       int *used)
{
    word w = {.value = NULL};
    const char *text = words[(*used)++];
    if (!split_word(text, &w)) {
        cli_error("unknown option %s", text);
        return false;
    }
    const cli_flag *own = find_own_flag(command, w.name);
    bool negated = false;
    if (own == NULL && strncmp(w.name, "no_", 3) == 0) {
        own = find_own_flag(command, w.name + 3);
        negated = own != NULL && own->type == CLI_FLAG_SWITCH;
    }
    if (own != NULL && (negated || strncmp(w.name, "no_", 3) != 0))
        return set_own_flag(own, args, negated, &w, count, words, used);
    const mts_option_info *info = mts_option_find(w.name);
    if (info == NULL && strncmp(w.name, "no_", 3) == 0) {
        info = mts_option_find(w.name + 3);
        negated = info != NULL && is_switch(info);
    }
    if (info != NULL && (negated || strncmp(w.name, "no_", 3) != 0))
        return set_option(command, args, info, negated, &w, count, words, used);
    if (take_idle(command, args, &w, count, words, used))
        return true;
    /* Unknown: the library's text suggests the nearest name. */
    return cli_report(args->ctx, mts_options_set(args->ctx, &args->options, w.name, "")) == EXIT_OK;
}

static args_result parse_words(const cli_command *command, cli_args *args, int count, char **words)
{
    int used = 0;
    while (used < count) {
        const char *text = words[used];
        if (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0)
            return ARGS_HELP;
        if (strncmp(text, "--", 2) == 0) {
            if (!parse_flag(command, args, count, words, &used))
                return ARGS_BAD;
        } else if (command->takes_model && args->options.model_name_or_path == NULL) {
            args->options.model_name_or_path = text;
            used++;
        } else {
            cli_error("unexpected argument '%s'; options begin with --", text);
            return ARGS_BAD;
        }
    }
    return ARGS_RUN;
}

/* The field of an option, as it is in from. */
static void copy_field(mts_options *to, const mts_options *from, const mts_option_info *info)
{
    const size_t bytes = info->type == MTS_OPTION_BOOL     ? sizeof(bool)
                         : info->type == MTS_OPTION_STRING ? sizeof(char *)
                                                           : sizeof(int64_t);
    memcpy((char *)to + info->offset, (const char *)from + info->offset, bytes);
}

/* The folder that says how the numbers of `given` were trained: the adapter's, if it was made here
 * (PEFT's own has no such file), else the model's. */
static const char *trained_folder(const mts_options *given)
{
    char path[PATH_BYTES];
    const char *adapter = given->adapter_name_or_path;
    const int n =
        adapter == NULL ? 0 : snprintf(path, sizeof path, "%s/mantissa_config.json", adapter);
    const bool says = n > 0 && n < PATH_BYTES && access(path, F_OK) == 0;
    return says ? adapter : given->model_name_or_path;
}

/*
 * Defaults where the model's training decides: what its folder says, unless it was given.  A
 * --precision that is given is another number format, of which the folder says nothing; the rest
 * stays.
 */
static args_result take_training(cli_args *args, const mts_options *given)
{
    mts_options *o = &args->options;
    mts_options stored = *o;
    const char *number_format = mts_option_find("precision")->group;
    stored.precision = NULL;
    stored.max_seq_length = 0;
    const mts_status st = mts_options_from_model(args->ctx, &stored, trained_folder(given));
    if (cli_report(args->ctx, st) != EXIT_OK)
        return ARGS_FAILED;
    args->assumed_precision = given->precision == NULL && stored.precision == NULL;
    args->assumed_length = given->max_seq_length == 0 && stored.max_seq_length == 0;
    if (stored.precision == NULL)
        stored.precision = o->precision;
    if (stored.max_seq_length == 0)
        stored.max_seq_length = o->max_seq_length;
    for (size_t i = 0; i < mts_option_count(); i++) {
        const mts_option_info *info = mts_option_at(i);
        const bool other = given->precision != NULL && strcmp(info->group, number_format) == 0;
        if (mts_option_is_stored(info) && !other)
            copy_field(o, &stored, info);
    }
    return ARGS_RUN;
}

/* Whether the folder's training decides what is not given: where nothing is trained. */
static bool goes_as_trained(const cli_command *command, const mts_options *o)
{
    return command->as_trained || (command->use == MTS_USE_TRAIN && !o->do_train);
}

void args_note_assumed(const cli_args *args)
{
    const mts_options *o = &args->options;
    char precision[64] = "";
    if (!args->assumed_precision && !args->assumed_length)
        return;
    if (args->assumed_precision)
        snprintf(precision, sizeof precision, "; computed in %s (--precision)", o->precision);
    cli_note("%s does not say how it was trained%s%s", o->model_name_or_path, precision,
             args->assumed_length
                 ? "; texts cut at 128 tokens, or at the model's positions (--max_seq_length)"
                 : "");
}

args_result args_parse(const cli_command *command, cli_args *args, int count, char **words)
{
    const cli_args fresh = *args;
    args->options.precision = NULL; /* to see whether it is given */
    args->options.rank = -1;        /* likewise */
    args_result result = parse_words(command, args, count, words);
    if (result != ARGS_RUN)
        return result;
    const mts_options given = args->options;
    if (given.rank == 0 && (command->use & (MTS_USE_EXPORT | MTS_USE_MERGE)) != 0) {
        cli_error("option --rank: expected 1 to 4096, found 0: leave it out for all ranks");
        return ARGS_BAD;
    }
    /* Once more, on top of the defaults or of what the folder says. */
    *args = fresh;
    args->options.model_name_or_path = given.model_name_or_path;
    if (goes_as_trained(command, &given) && given.model_name_or_path != NULL)
        result = take_training(args, &given);
    args->options.model_name_or_path = NULL;
    if (result == ARGS_RUN)
        result = parse_words(command, args, count, words);
    /* The library cannot see that a default was given: all parameters would be trained. */
    if (result == ARGS_RUN && command->use == MTS_USE_TRAIN && args->of_adapter != NULL &&
        strcmp(args->options.method, "full") == 0) {
        cli_error("--%s needs --method lora or dylora, found full", args->of_adapter);
        result = ARGS_BAD;
    }
    if (result == ARGS_RUN && args->idle[0] != '\0')
        fprintf(stderr, "note: nothing is changed by%s\n", args->idle);
    return result;
}
