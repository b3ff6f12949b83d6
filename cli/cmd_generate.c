/*
 * mantissa generate: prompts in; what a language model writes behind each of them out, as it comes.
 *
 * A prompt is the text of --prompt, a whole file, or each line of standard input.  With --chat it
 * is a user's turn in one dialogue.
 */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "escape.h"
#include "interrupt.h"
#include "lines.h"
#include "report.h"

enum { READ_BYTES = 1 << 16, PROMPT_MAX = 1 << 26 };

static bool prints_json(const cli_args *args)
{
    return strcmp(args->format, "jsonl") == 0;
}

/* A piece of text, at once. */
static bool print_piece(void *user, const mts_event *event)
{
    const cli_args *args = user;
    if (event->kind == MTS_EVENT_TEXT && !prints_json(args)) {
        fwrite(event->text, 1, (size_t)event->done, stdout);
        fflush(stdout);
    }
    return !interrupt_asked();
}

/* {"prompt": ..., "text": ..., "ids": [...], "stopped": ...} */
static void print_json(const char *prompt, const mts_generation *made)
{
    fputs("{\"prompt\": ", stdout);
    escape_json(stdout, prompt);
    fputs(", \"text\": ", stdout);
    escape_json_bytes(stdout, made->text, (size_t)made->bytes);
    fputs(", \"ids\": [", stdout);
    for (int64_t i = 0; i < made->count; i++)
        printf("%s%d", i > 0 ? ", " : "", made->ids[i]);
    printf("], \"prompt_tokens\": %lld, \"stopped\": %s}\n", (long long)made->prompt_count,
           made->stopped ? "true" : "false");
    fflush(stdout);
}

/* One text.  The exit status; errors were printed. */
static int generate_text(cli_args *args, mts_generator *generator, const char *prompt)
{
    const mts_callbacks callbacks = {print_piece, args};
    const mts_status st = args->chat ? mts_generator_chat(generator, prompt, &callbacks)
                                     : mts_generator_run(generator, prompt, &callbacks);
    if (st == MTS_OK && prints_json(args))
        print_json(prompt, mts_generator_last(generator));
    else if (!prints_json(args) && (st == MTS_OK || st == MTS_ERR_INTERRUPTED))
        fputc('\n', stdout);
    if (st == MTS_ERR_INTERRUPTED) {
        fprintf(stderr, "mantissa: interrupted\n");
        return EXIT_INTERRUPTED;
    }
    return cli_report(args->ctx, st);
}

/* --------------------------------------------------------------------------------- input ---- */

/* Append what the file has; false: the error was printed. */
static bool read_all(FILE *file, const char *path, char **text, size_t *bytes)
{
    for (;;) {
        char *more = realloc(*text, *bytes + READ_BYTES + 1);
        if (more == NULL || *bytes > PROMPT_MAX) {
            cli_error("%s: %s", path, more == NULL ? "out of memory" : "too large for a prompt");
            *text = more == NULL ? *text : more;
            return false;
        }
        *text = more;
        const size_t n = fread(*text + *bytes, 1, READ_BYTES, file);
        *bytes += n;
        if (n == 0)
            break;
    }
    if (ferror(file))
        cli_error("%s: %s", path, strerror(errno));
    return !ferror(file);
}

/* The text of a file, without the line end at its end; freed with free.  NULL: the error was
 * printed. */
static char *read_prompt(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t bytes = 0;
    if (file == NULL) {
        cli_error("%s: %s", path, strerror(errno));
        return NULL;
    }
    bool ok = read_all(file, path, &text, &bytes);
    fclose(file);
    if (ok && memchr(text, '\0', bytes) != NULL) {
        cli_error("%s: expected text, found a NUL byte", path);
        ok = false;
    }
    if (!ok) {
        free(text);
        return NULL;
    }
    bytes -= bytes > 0 && text[bytes - 1] == '\n';
    bytes -= bytes > 0 && text[bytes - 1] == '\r';
    text[bytes] = '\0';
    return text;
}

/* Whether a person is at the other end, who is shown where to write. */
static bool is_interactive(void)
{
    return isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
}

static int generate_lines(cli_args *args, mts_generator *generator)
{
    line_reader reader = {.fd = -1};
    line_result read = LINE_END;
    int code = lines_open(&reader, NULL) ? EXIT_OK : EXIT_FAILED;
    while (code == EXIT_OK) {
        if (is_interactive())
            fputs("> ", stderr);
        read = lines_next(&reader);
        if (read != LINE_READ)
            break;
        code = generate_text(args, generator, reader.line);
    }
    if (code == EXIT_OK && read == LINE_FAILED)
        code = interrupt_asked() ? EXIT_INTERRUPTED : EXIT_FAILED;
    if (code == EXIT_OK && is_interactive())
        fputc('\n', stderr);
    lines_close(&reader);
    return code;
}

/* ------------------------------------------------------------------------------- command ---- */

/* prompt NULL: lines. */
static int generate_all(cli_args *args, const char *prompt)
{
    mts_generator *generator = NULL;
    mts_status st = mts_generator_open(args->ctx, &args->options, &generator);
    if (st == MTS_OK && args->chat)
        st = mts_generator_chat_begin(generator, args->system);
    int code = cli_report(args->ctx, st);
    if (code == EXIT_OK) {
        args->assumed_length = false; /* nothing is cut here */
        args_note_assumed(args);
        code = prompt != NULL ? generate_text(args, generator, prompt)
                              : generate_lines(args, generator);
    }
    mts_generator_close(generator);
    return code;
}

/* An option that is given and has a meaning in a dialogue only, or NULL. */
static const char *chat_option(const cli_args *args)
{
    return args->system != NULL                       ? "system"
           : args->options.chat_template_path != NULL ? "chat_template_path"
           : args->options.chat_template_date != NULL ? "chat_template_date"
                                                      : NULL;
}

static int run_generate(cli_args *args)
{
    char *text = NULL;
    int code;
    if (args->prompt != NULL && args->prompt_file != NULL) {
        cli_error("give --prompt or --prompt_file, not both");
        return EXIT_USAGE;
    }
    if (!args->chat && chat_option(args) != NULL) {
        cli_error("--%s needs --chat", chat_option(args));
        return EXIT_USAGE;
    }
    if (args->prompt_file != NULL) {
        text = read_prompt(args->prompt_file);
        if (text == NULL)
            return EXIT_FAILED;
    }
    interrupt_catch();
    code = generate_all(args, args->prompt != NULL ? args->prompt : text);
    free(text);
    return code;
}

static const cli_flag flags[] = {
    {.name = "prompt",
     .type = CLI_FLAG_TEXT,
     .placeholder = "TEXT",
     .help = "the prompt [each line of standard input is one]",
     .offset = offsetof(cli_args, prompt)},
    {.name = "prompt_file",
     .type = CLI_FLAG_TEXT,
     .placeholder = "FILE",
     .help = "a file that is the prompt, without the line end at its end",
     .offset = offsetof(cli_args, prompt_file)},
    {.name = "chat",
     .type = CLI_FLAG_SWITCH,
     .placeholder = "",
     .help = "a dialogue, by the model's chat template: each prompt is what the user says next",
     .offset = offsetof(cli_args, chat)},
    {.name = "system",
     .type = CLI_FLAG_TEXT,
     .placeholder = "TEXT",
     .help = "with --chat: what the model is told before the dialogue [nothing of our own; a "
             "template may have a text]",
     .offset = offsetof(cli_args, system)},
    {.name = "format",
     .type = CLI_FLAG_TEXT,
     .choices = "text|jsonl",
     .placeholder = "NAME",
     .help = "text: as it comes, and a line end behind it; jsonl: a line for each prompt, with the "
             "tokens' ids [text]",
     .offset = offsetof(cli_args, format)},
    {.name = NULL},
};

const cli_command command_generate = {
    .name = "generate",
    .usage = "generate DIR [--prompt TEXT | --prompt_file FILE] [--chat] [options]",
    .summary = "write text with a language model",
    .about = "Prints what the language model DIR (or --model_name_or_path), a folder or a GGUF "
             "file, writes behind\neach prompt; with --adapter_name_or_path, as the adapter has "
             "changed it. It takes the most probable\ntoken each time, or with --temperature draws "
             "one: the same --seed gives the same text on every\nmachine. Precision is that of the "
             "training unless given.",
    .use = MTS_USE_GENERATE,
    .takes_model = true,
    .as_trained = true,
    .flags = flags,
    .run = run_generate,
};
