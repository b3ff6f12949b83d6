/*
 * The command `mantissa`: its arguments and sub-commands.  Each file includes those below it only:
 *
 *   main.c                     picks the sub-command
 *   cmd_<name>.c               one sub-command each: exit status 0, 1 (failed), 2 (usage), 130
 *                              (interrupted)
 *   args.c, help.c             flags from the library's option table and the sub-command's own
 *   lines.c, output.c          text lines in, files out
 *   progress.c                 what a run tells while it goes on
 *   make_folder.c              a call that writes a model's folder
 *   prediction.c, answer.c, metrics_table.c   what is predicted, as a line; JSON metrics for people
 *   interrupt.c, report.c, escape.c   Ctrl-C; errors and notes; text of unknown origin
 *
 * Results go to standard output, everything else to standard error.
 */
#ifndef MANTISSA_CLI_H
#define MANTISSA_CLI_H

#include <mantissa/mantissa.h>
#include <stdio.h>

enum { CLI_IDLE_BYTES = 512 };

/* Everything a sub-command was given. */
typedef struct cli_args {
    mts_ctx *ctx;
    mts_options options;
    const char *input;  /* NULL: standard input */
    const char *output; /* NULL: standard output */
    const char *format; /* tsv | jsonl; generate: jsonl, or else text */
    int64_t max_length; /* 0: no limit */
    const char *prompt; /* NULL: of a file, or lines */
    const char *prompt_file;
    const char *system; /* of a dialogue; NULL: nothing */
    bool chat;          /* prompts are what the user says in a dialogue */
    bool decode;        /* ids to text, not text to ids */
    bool skip_special;  /* of what is decoded, special tokens are left out */
    bool json;
    bool assumed_precision; /* neither given nor stored in the model's folder; likewise below */
    bool assumed_length;
    const char *of_adapter;    /* an option given that acts on adapters only, or NULL */
    char idle[CLI_IDLE_BYTES]; /* options given that change nothing, as they were written */
} cli_args;

typedef enum cli_flag_type { CLI_FLAG_TEXT, CLI_FLAG_COUNT, CLI_FLAG_SWITCH } cli_flag_type;

/* A flag that a sub-command has beside the library's options. */
typedef struct cli_flag {
    const char *name;
    cli_flag_type type;
    const char *choices; /* "a|b", or NULL */
    const char *placeholder;
    const char *help;
    size_t offset; /* in cli_args: const char *, int64_t or bool, as type says */
} cli_flag;

typedef struct cli_command {
    const char *name;
    const char *usage;     /* behind "mantissa " */
    const char *summary;   /* one line */
    const char *about;     /* a paragraph for --help */
    unsigned use;          /* set of mts_use: which library options it takes */
    unsigned reads;        /* those it takes and passes over, beside `use` */
    bool takes_model;      /* --model_name_or_path, or the folder as the one bare argument */
    bool as_trained;       /* options not given are those the model was trained with; train goes
                           * by them as well where it only evaluates or predicts */
    const cli_flag *flags; /* ends with a NULL name; may be NULL */
    int (*run)(cli_args *args);
} cli_command;

extern const cli_command command_train, command_eval, command_predict, command_tokenize,
    command_generate, command_info, command_export, command_merge, command_quantize, command_synth;

/* ---- args.c, help.c ---- */

typedef enum args_result { ARGS_RUN, ARGS_HELP, ARGS_BAD, ARGS_FAILED } args_result;

/* Fill args from the words behind the sub-command's name; args->options hold the defaults.
 * ARGS_BAD, ARGS_FAILED (a file): the error was printed. */
args_result args_parse(const cli_command *command, cli_args *args, int count, char **words);

/* Say what was assumed of a model whose folder does not say how it was trained. */
void args_note_assumed(const cli_args *args);

void help_print_program(FILE *file, const cli_command *const *commands);
void help_print_command(FILE *file, const cli_command *command);

#endif
