/*
 * The command `mantissa`: what its files share.
 *
 *   main.c            picks the sub-command
 *   args.c, help.c    flags from the library's option table and the sub-command's own
 *   cmd_<name>.c      one sub-command each: exit status 0, 1 (failed), 2 (usage), 130 (interrupted)
 *   progress.c        what a run tells while it goes on; Ctrl-C
 *   lines.c, output.c text lines in, files out
 *   prediction.c      a prediction as a line;  metrics_table.c  JSON metrics for people
 *
 * Results go to standard output, everything else to standard error.
 */
#ifndef MANTISSA_CLI_H
#define MANTISSA_CLI_H

#include <mantissa/mantissa.h>
#include <stdio.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

enum { CLI_IDLE_BYTES = 512 };

/* Everything a sub-command was given. */
typedef struct cli_args {
    mts_ctx *ctx;
    mts_options options;
    const char *input;  /* NULL: standard input */
    const char *output; /* NULL: standard output */
    const char *format; /* tsv | jsonl */
    int64_t max_length; /* 0: no limit */
    bool json;
    bool assumed_precision; /* neither given nor stored in the model's folder; likewise below */
    bool assumed_length;
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
    command_info;

/* ---- main.c ---- */

/* One line on standard error, "mantissa: error: " before it; control characters become '?'. */
#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
void cli_error(const char *fmt, ...);

/* One line on standard error, "note: " before it. */
#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
void cli_note(const char *fmt, ...);

/* The exit status for a library status; prints the context's error text unless MTS_OK. */
int cli_report(const mts_ctx *ctx, mts_status status);

/* ---- args.c, help.c ---- */

typedef enum args_result { ARGS_RUN, ARGS_HELP, ARGS_BAD, ARGS_FAILED } args_result;

/* Fill args from the words behind the sub-command's name; args->options hold the defaults.
 * ARGS_BAD, ARGS_FAILED (a file): the error was printed. */
args_result args_parse(const cli_command *command, cli_args *args, int count, char **words);

/* Say what was assumed of a model whose folder does not say how it was trained. */
void args_note_assumed(const cli_args *args);

void help_print_program(FILE *file, const cli_command *const *commands);
void help_print_command(FILE *file, const cli_command *command);

/* ---- progress.c ---- */

typedef struct progress {
    bool terminal;        /* draw a bar; otherwise print a line now and then */
    bool open;            /* a bar is on the line now */
    double logging_steps; /* steps between two lines; below 1: part of all steps */
    double loss_sum;      /* since the last line */
    int64_t loss_count;
    double drawn_at; /* seconds */
} progress;

/* For a run that calls back.  The result borrows p. */
mts_callbacks progress_begin(progress *p, double logging_steps);
/* Of a phase with so many rows (-1: not known) this many are done; drawn on a terminal only. */
void progress_rows(progress *p, const char *phase, int64_t done, int64_t total);
/* Remove a bar that is still shown. */
void progress_end(progress *p);

/* From now on SIGINT and SIGTERM ask for a clean stop; a second one kills. */
void interrupt_catch(void);
bool interrupt_asked(void);

/* ---- metrics_table.c ---- */

/* "a 1.5  b 2" (at most bytes - 1 characters) of a flat JSON object; "" if it is not one. */
void metrics_format_line(const char *json, char *text, size_t bytes);
/* A heading and a line "  name = value" for each member.  False: the error was printed. */
bool metrics_print_table(FILE *file, const char *heading, const char *json);

/* ---- lines.c ---- */

typedef struct line_reader {
    int fd;
    const char *name;
    char *line; /* the last line read, without its end; in buffer, until the next call */
    int64_t number;
    char *buffer; /* bytes read and not given out: buffer[begin] ... buffer[end - 1] */
    size_t begin, end, capacity;
    size_t scanned; /* no line end before it */
    bool at_end, failed;
} line_reader;

typedef enum line_result { LINE_READ, LINE_END, LINE_FAILED } line_result;

/* path NULL: standard input.  False: the error was printed. */
bool lines_open(line_reader *reader, const char *path);
/* Whether lines_next returns at once: a line is there, or the end, or a failure. */
bool lines_ready(line_reader *reader);
/* LINE_FAILED: the error was printed, or the read was interrupted. */
line_result lines_next(line_reader *reader);
/* Split reader->line at its one tab: *second points into it, or NULL.  False (printed): two tabs.
 */
bool lines_split_pair(const line_reader *reader, char **second);
void lines_close(line_reader *reader);

/* ---- prediction.c ---- */

/* The header line of TSV, and a row by its logits[num_labels]. */
void prediction_print_header(FILE *file, const mts_predictor *predictor);
void prediction_print_tsv(FILE *file, const mts_predictor *predictor, const float *logits);
void prediction_print_json(FILE *file, const mts_predictor *predictor, const float *logits);

/* ---- output.c ---- */

/* A file that appears under its name only when it is complete, or standard output. */
typedef struct output {
    FILE *file;
    const char *path; /* borrowed; NULL: standard output */
    char *target;     /* owned; path, or where the link path leads */
    char *temp;       /* owned; NULL: written in place (a device, a pipe) */
} output;

/* Refuse an --output that is read: the data, the --input or standard input (reads_lines), a file of
 * the model.  Before anything is opened.  The exit status; the error was printed. */
int output_check(const cli_args *args, bool reads_lines);

/* False: the error was printed; o may be closed.  Likewise below. */
bool output_open(output *o, const char *path);
bool output_commit(output *o);
/* Close; what was not committed is removed. */
void output_close(output *o);

/* Text of unknown origin, for people: control characters, which could steer a terminal, as '?'. */
void output_text(FILE *file, const char *text);
/* One TSV field: tabs, line ends and backslashes as \t, \n, \r, \\; other control characters as in
 * JSON, \u001b. */
void output_tsv_field(FILE *file, const char *text);
/* One JSON string with its quotes. */
void output_json_string(FILE *file, const char *text);

#endif
