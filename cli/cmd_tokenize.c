/* mantissa tokenize: text lines in; their tokens, ids and byte offsets out.  Or ids in, text out.
 */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "escape.h"
#include "interrupt.h"
#include "lines.h"
#include "output.h"
#include "progress.h"
#include "report.h"

static const char *token_text(const mts_tokenizer *tokenizer, int32_t id)
{
    const char *text = mts_tokenizer_token(tokenizer, id);
    return text != NULL ? text : "";
}

/* line, token, id, type, begin, end: one line per token. */
static void print_tsv(FILE *file, const mts_tokenizer *tokenizer, const mts_encoding *e,
                      int64_t line)
{
    for (int64_t i = 0; i < e->length; i++) {
        fprintf(file, "%lld\t", (long long)line);
        escape_tsv(file, token_text(tokenizer, e->ids[i]));
        fprintf(file, "\t%d\t%d\t%d\t%d\n", e->ids[i], e->type_ids[i], e->begin[i], e->end[i]);
    }
}

static void print_json_ints(FILE *file, const char *name, const int32_t *values, int64_t n)
{
    fprintf(file, ", \"%s\": [", name);
    for (int64_t i = 0; i < n; i++)
        fprintf(file, "%s%d", i > 0 ? ", " : "", values[i]);
    fputc(']', file);
}

static void print_jsonl(FILE *file, const mts_tokenizer *tokenizer, const mts_encoding *e)
{
    fputs("{\"tokens\": [", file);
    for (int64_t i = 0; i < e->length; i++) {
        fputs(i > 0 ? ", " : "", file);
        escape_json(file, token_text(tokenizer, e->ids[i]));
    }
    fputc(']', file);
    print_json_ints(file, "input_ids", e->ids, e->length);
    print_json_ints(file, "token_type_ids", e->type_ids, e->length);
    fputs(", \"offsets\": [", file);
    for (int64_t i = 0; i < e->length; i++)
        fprintf(file, "%s[%d, %d]", i > 0 ? ", " : "", e->begin[i], e->end[i]);
    fputs("]}\n", file);
}

/* Ids of lines, in an array that grows. */
typedef struct id_list {
    int32_t *ids;
    size_t count, room;
} id_list;

static bool push_id(id_list *list, int32_t id)
{
    if (list->count == list->room) {
        const size_t room = 2 * list->room + 64;
        int32_t *more = realloc(list->ids, room * sizeof *more);
        if (more == NULL) {
            cli_error("no memory for %zu ids", room);
            return false;
        }
        list->ids = more;
        list->room = room;
    }
    list->ids[list->count++] = id;
    return true;
}

/* The ids of a line, with blanks between.  False: the error was printed. */
static bool read_ids(const line_reader *reader, id_list *list)
{
    static const char blanks[] = " \t";
    const char *at = reader->line + strspn(reader->line, blanks);
    list->count = 0;
    while (*at != '\0') {
        char *end = NULL;
        errno = 0;
        const long long id = strtoll(at, &end, 10);
        if (end == at || strchr(" \t", *end) == NULL || errno != 0 || id < 0 || id > INT32_MAX) {
            cli_error("%s:%lld: expected token ids with blanks between", reader->name,
                      (long long)reader->number);
            return false;
        }
        if (!push_id(list, (int32_t)id))
            return false;
        at = end + strspn(end, blanks);
    }
    return true;
}

/* The text of the ids of a line.  The exit status. */
static int decode_line(cli_args *args, mts_tokenizer *tokenizer, const line_reader *reader,
                       id_list *list, FILE *file)
{
    char *text = NULL;
    size_t bytes = 0;
    if (!read_ids(reader, list))
        return EXIT_FAILED;
    const mts_status st = mts_tokenizer_decode(tokenizer, list->ids, (int64_t)list->count,
                                               args->skip_special, &text, &bytes);
    if (st != MTS_OK)
        return cli_report(args->ctx, st);
    if (strcmp(args->format, "tsv") == 0) {
        fprintf(file, "%lld\t", (long long)reader->number);
        escape_tsv_bytes(file, text, bytes);
        fputc('\n', file);
    } else {
        fputs("{\"text\": ", file);
        escape_json_bytes(file, text, bytes);
        fputs("}\n", file);
    }
    mts_string_free(text);
    return EXIT_OK;
}

static int decode_lines(cli_args *args, mts_tokenizer *tokenizer, line_reader *reader, FILE *file)
{
    id_list list = {NULL, 0, 0};
    line_result read = LINE_END;
    int code = EXIT_OK;
    if (strcmp(args->format, "tsv") == 0)
        fputs("line\ttext\n", file);
    while (code == EXIT_OK) {
        if (!lines_ready(reader))
            fflush(file);
        read = lines_next(reader);
        if (read != LINE_READ)
            break;
        code = decode_line(args, tokenizer, reader, &list, file);
        if (code == EXIT_OK && interrupt_asked())
            code = EXIT_INTERRUPTED;
    }
    free(list.ids);
    if (code == EXIT_OK && read == LINE_FAILED)
        code = interrupt_asked() ? EXIT_INTERRUPTED : EXIT_FAILED;
    return code;
}

/* All lines of the reader.  The exit status; errors were printed. */
static int tokenize_lines(cli_args *args, mts_tokenizer *tokenizer, line_reader *reader, FILE *file)
{
    line_result read = LINE_END;
    const bool tsv = strcmp(args->format, "tsv") == 0;
    if (tsv)
        fputs("line\ttoken\tid\ttype\tbegin\tend\n", file);
    for (;;) {
        if (!lines_ready(reader))
            fflush(file);
        read = lines_next(reader);
        if (read != LINE_READ)
            break;
        mts_encoding encoding = {.length = 0};
        char *second = NULL;
        if (!lines_split_pair(reader, &second))
            return EXIT_FAILED;
        const mts_status st =
            mts_tokenizer_encode(tokenizer, reader->line, second, args->max_length, &encoding);
        if (st != MTS_OK)
            return cli_report(args->ctx, st);
        if (tsv)
            print_tsv(file, tokenizer, &encoding, reader->number);
        else
            print_jsonl(file, tokenizer, &encoding);
        mts_encoding_free(&encoding);
        if (interrupt_asked())
            return EXIT_INTERRUPTED;
    }
    return read == LINE_END ? EXIT_OK : interrupt_asked() ? EXIT_INTERRUPTED : EXIT_FAILED;
}

/* -------------------------------------------------------------------- training rows ---- */

/* row, token, id, and 1 where it is learned: one line per token. */
static void print_row_tsv(FILE *file, const mts_tokenizer *tokenizer, const mts_train_row *row,
                          int64_t number)
{
    for (int64_t i = 0; i < row->length; i++) {
        fprintf(file, "%lld\t", (long long)number);
        escape_tsv(file, token_text(tokenizer, row->ids[i]));
        fprintf(file, "\t%d\t%d\n", row->ids[i], row->labels[i] >= 0);
    }
}

static void print_row_jsonl(FILE *file, const mts_tokenizer *tokenizer, const mts_train_row *row,
                            bool packed)
{
    fputs("{\"tokens\": [", file);
    for (int64_t i = 0; i < row->length; i++) {
        fputs(i > 0 ? ", " : "", file);
        escape_json(file, token_text(tokenizer, row->ids[i]));
    }
    fputc(']', file);
    print_json_ints(file, "input_ids", row->ids, row->length);
    print_json_ints(file, "labels", row->labels, row->length);
    if (packed) {
        fputs(", \"seq_lengths\": [", file);
        for (int64_t i = 0; i < row->sequences; i++) {
            const int64_t end = i + 1 < row->sequences ? row->begins[i + 1] : row->length;
            fprintf(file, "%s%lld", i > 0 ? ", " : "", (long long)(end - row->begins[i]));
        }
        fputc(']', file);
    }
    fputs("}\n", file);
}

static int print_rows(cli_args *args, const mts_tokenizer *tokenizer, mts_train_rows *rows,
                      FILE *file)
{
    const bool tsv = strcmp(args->format, "tsv") == 0;
    mts_train_row row;
    if (tsv)
        fputs("row\ttoken\tid\tlearned\n", file);
    for (int64_t i = 0; mts_train_rows_at(rows, i, &row); i++) {
        if (tsv)
            print_row_tsv(file, tokenizer, &row, i + 1);
        else
            print_row_jsonl(file, tokenizer, &row, args->options.packing);
        if (interrupt_asked())
            return EXIT_INTERRUPTED;
    }
    return EXIT_OK;
}

/* The rows that train would make of --train_file.  The exit status. */
static int show_rows(cli_args *args)
{
    mts_tokenizer *tokenizer = NULL;
    mts_train_rows *rows = NULL;
    output out = {.file = NULL};
    progress shown;
    int code = EXIT_FAILED;
    if (args->input != NULL || args->decode) {
        cli_error("--train_file shows training rows: it goes without --%s",
                  args->decode ? "decode" : "input");
        return EXIT_USAGE;
    }
    if (args->max_length > 0)
        args->options.max_seq_length = args->max_length;
    const mts_callbacks callbacks = progress_begin(&shown, 1);
    mts_status st = mts_train_rows_open(args->ctx, &args->options, &callbacks, &rows);
    progress_end(&shown);
    if (st == MTS_OK)
        st = mts_tokenizer_open(args->ctx, args->options.model_name_or_path, &tokenizer);
    if (st != MTS_OK)
        code = cli_report(args->ctx, st);
    else if (output_open(&out, args->output)) {
        code = print_rows(args, tokenizer, rows, out.file);
        if (code == EXIT_OK && !output_commit(&out))
            code = EXIT_FAILED;
    }
    output_close(&out);
    mts_tokenizer_close(tokenizer);
    mts_train_rows_close(rows);
    return code;
}

static int run_tokenize(cli_args *args)
{
    mts_tokenizer *tokenizer = NULL;
    line_reader reader = {.fd = -1};
    output out = {.file = NULL};
    int code = EXIT_FAILED;
    const char *folder = args->options.model_name_or_path;
    if (folder == NULL) {
        cli_error("--model_name_or_path is missing: the folder with vocab.txt or tokenizer.json");
        return EXIT_USAGE;
    }
    code = output_check(args->ctx, &args->options, args->output, args->input, true);
    if (code != EXIT_OK)
        return code;
    code = EXIT_FAILED;
    interrupt_catch();
    if (args->options.train_file != NULL)
        return show_rows(args);
    const mts_status st = mts_tokenizer_open(args->ctx, folder, &tokenizer);
    if (st != MTS_OK)
        code = cli_report(args->ctx, st);
    else if (lines_open(&reader, args->input) && output_open(&out, args->output)) {
        code = args->decode ? decode_lines(args, tokenizer, &reader, out.file)
                            : tokenize_lines(args, tokenizer, &reader, out.file);
        if (code == EXIT_OK && !output_commit(&out))
            code = EXIT_FAILED;
    }
    output_close(&out);
    lines_close(&reader);
    mts_tokenizer_close(tokenizer);
    return code;
}

static const cli_flag flags[] = {
    {.name = "input",
     .type = CLI_FLAG_TEXT,
     .placeholder = "FILE",
     .help = "one text a line, or two with a tab between them [standard input]",
     .offset = offsetof(cli_args, input)},
    {.name = "output",
     .type = CLI_FLAG_TEXT,
     .placeholder = "FILE",
     .help = "written whole or not at all [standard output]",
     .offset = offsetof(cli_args, output)},
    {.name = "format",
     .type = CLI_FLAG_TEXT,
     .choices = "tsv|jsonl",
     .placeholder = "NAME",
     .help = "tsv (a line per token) or jsonl (a line per text) [tsv]",
     .offset = offsetof(cli_args, format)},
    {.name = "max_length",
     .type = CLI_FLAG_COUNT,
     .placeholder = "N",
     .help = "cut to so many tokens, the longer text of a pair first; 0: do not [0]; with "
             "--train_file as --max_seq_length",
     .offset = offsetof(cli_args, max_length)},
    {.name = "decode",
     .type = CLI_FLAG_SWITCH,
     .placeholder = "",
     .help = "lines of token ids in, with blanks between; their text out",
     .offset = offsetof(cli_args, decode)},
    {.name = "skip_special_tokens",
     .type = CLI_FLAG_SWITCH,
     .placeholder = "",
     .help = "with --decode: leave out special tokens",
     .offset = offsetof(cli_args, skip_special)},
    {.name = NULL},
};

const cli_command command_tokenize = {
    .name = "tokenize",
    .usage = "tokenize DIR [--input FILE] [--output FILE] [options]",
    .summary = "show the tokens of texts",
    .about =
        "Shows the tokens, ids and byte offsets of lines of text, as the model folder DIR "
        "(or\n--model_name_or_path) makes them; with --decode, the text of lines of ids.\nWith "
        "--train_file, the rows that train would make of that file for a language model, and "
        "which\ntokens are learned.",
    .use = MTS_USE_ROWS,
    .takes_model = true,
    .flags = flags,
    .run = run_tokenize,
};
