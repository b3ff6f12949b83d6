/*
 * mantissa predict: text lines in, a label (or score) and the logits of each out, in the order of
 * the lines.
 *
 * Lines are predicted in chunks of several batches, which all threads tokenize together; from a
 * terminal each line is answered at once.
 */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCHES_PER_CHUNK = 32 };

/* One chunk of rows; texts are copies. */
typedef struct chunk {
    char **text_a;
    char **text_b;
    float *logits; /* [capacity][labels] */
    int64_t rows, capacity, labels;
    bool pairs; /* rows have two texts; fixed by the first line of the input */
} chunk;

static bool chunk_init(chunk *c, int64_t capacity, int64_t labels)
{
    *c = (chunk){.capacity = capacity, .labels = labels};
    c->text_a = calloc((size_t)capacity, sizeof *c->text_a);
    c->text_b = calloc((size_t)capacity, sizeof *c->text_b);
    c->logits = calloc((size_t)(capacity * labels), sizeof *c->logits);
    if (c->text_a == NULL || c->text_b == NULL || c->logits == NULL) {
        cli_error("out of memory: %lld rows", (long long)capacity);
        return false;
    }
    return true;
}

static void chunk_clear(chunk *c)
{
    for (int64_t i = 0; i < c->rows; i++) {
        free(c->text_a[i]);
        free(c->text_b[i]);
    }
    c->rows = 0;
}

static void chunk_deinit(chunk *c)
{
    chunk_clear(c);
    free(c->text_a);
    free(c->text_b);
    free(c->logits);
}

/* Append the reader's line.  False: the error was printed. */
static bool chunk_add(chunk *c, const line_reader *reader)
{
    char *second = NULL;
    if (!lines_split_pair(reader, &second))
        return false;
    if (reader->number == 1)
        c->pairs = second != NULL;
    if (c->pairs != (second != NULL)) {
        cli_error("%s:%lld: expected %s, as in line 1", reader->name, (long long)reader->number,
                  c->pairs ? "two texts with a tab between them" : "one text without a tab");
        return false;
    }
    char *a = strdup(reader->line);
    char *b = second != NULL ? strdup(second) : NULL;
    if (a == NULL || (second != NULL && b == NULL)) {
        cli_error("out of memory: line %lld", (long long)reader->number);
        free(a);
        free(b);
        return false;
    }
    c->text_a[c->rows] = a;
    c->text_b[c->rows] = b;
    c->rows++;
    return true;
}

/* Index of the largest logit, and its probability exp(z - max) / sum exp(z_i - max) = 1 / sum. */
static int64_t find_label(const float *logits, int64_t n, double *probability)
{
    int64_t best = 0;
    double sum = 0;
    for (int64_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - (double)logits[best]);
    *probability = 1 / sum;
    return best;
}

static void print_header(FILE *file, const mts_predictor *predictor)
{
    if (mts_predictor_is_regression(predictor)) {
        fputs("score\n", file);
        return;
    }
    fputs("label\tscore", file);
    for (int64_t i = 0; i < mts_predictor_num_labels(predictor); i++) {
        fputs("\tlogit ", file);
        output_tsv_field(file, mts_predictor_label(predictor, i));
    }
    fputc('\n', file);
}

static void print_row_tsv(FILE *file, const mts_predictor *predictor, const float *logits)
{
    if (mts_predictor_is_regression(predictor)) {
        fprintf(file, "%.9g\n", (double)logits[0]);
        return;
    }
    const int64_t n = mts_predictor_num_labels(predictor);
    double probability = 0;
    const int64_t best = find_label(logits, n, &probability);
    output_tsv_field(file, mts_predictor_label(predictor, best));
    fprintf(file, "\t%.9g", probability);
    for (int64_t i = 0; i < n; i++)
        fprintf(file, "\t%.9g", (double)logits[i]);
    fputc('\n', file);
}

/* A JSON number, or null for what JSON cannot write. */
static void print_json_number(FILE *file, double value)
{
    if (isfinite(value))
        fprintf(file, "%.9g", value);
    else
        fputs("null", file);
}

static void print_row_json(FILE *file, const mts_predictor *predictor, const float *logits)
{
    const int64_t n = mts_predictor_num_labels(predictor);
    if (mts_predictor_is_regression(predictor)) {
        fputs("{\"score\": ", file);
        print_json_number(file, (double)logits[0]);
        fputs("}\n", file);
        return;
    }
    double probability = 0;
    const int64_t best = find_label(logits, n, &probability);
    fputs("{\"label\": ", file);
    output_json_string(file, mts_predictor_label(predictor, best));
    fputs(", \"score\": ", file);
    print_json_number(file, probability);
    for (int64_t i = 0; i < n; i++) {
        fputs(i == 0 ? ", \"logits\": [" : ", ", file);
        print_json_number(file, (double)logits[i]);
    }
    fputs("]}\n", file);
}

/* Predict the rows of c and print them. */
static mts_status flush_chunk(chunk *c, mts_predictor *predictor, const cli_args *args, FILE *file)
{
    const char *const *b = c->pairs ? (const char *const *)c->text_b : NULL;
    const mts_status st =
        mts_predictor_run(predictor, (const char *const *)c->text_a, b, c->rows, c->logits);
    for (int64_t i = 0; st == MTS_OK && i < c->rows; i++) {
        const float *logits = c->logits + i * c->labels;
        if (strcmp(args->format, "jsonl") == 0)
            print_row_json(file, predictor, logits);
        else
            print_row_tsv(file, predictor, logits);
    }
    chunk_clear(c);
    return st;
}

/* All lines of the reader.  The exit status; errors were printed. */
static int predict_lines(cli_args *args, mts_predictor *predictor, line_reader *reader, FILE *file)
{
    chunk rows;
    line_result read = LINE_END;
    int code = EXIT_OK;
    const bool typed = isatty(fileno(reader->file)) == 1;
    const int64_t batch = args->options.per_device_eval_batch_size;
    if (!chunk_init(&rows, typed ? 1 : batch * BATCHES_PER_CHUNK,
                    mts_predictor_num_labels(predictor)))
        code = EXIT_FAILED;
    if (code == EXIT_OK && strcmp(args->format, "tsv") == 0)
        print_header(file, predictor);
    while (code == EXIT_OK && (read = lines_next(reader)) == LINE_READ) {
        if (!chunk_add(&rows, reader))
            code = EXIT_FAILED;
        else if (rows.rows == rows.capacity)
            code = cli_report(args->ctx, flush_chunk(&rows, predictor, args, file));
        if (code == EXIT_OK && typed)
            fflush(file);
        if (code == EXIT_OK && interrupt_asked())
            code = EXIT_INTERRUPTED;
    }
    if (code == EXIT_OK && read == LINE_FAILED)
        code = interrupt_asked() ? EXIT_INTERRUPTED : EXIT_FAILED;
    if (code == EXIT_OK && rows.rows > 0)
        code = cli_report(args->ctx, flush_chunk(&rows, predictor, args, file));
    chunk_deinit(&rows);
    return code;
}

static int run_predict(cli_args *args)
{
    mts_predictor *predictor = NULL;
    line_reader reader = {.file = NULL};
    output out = {.file = NULL};
    int code = EXIT_FAILED;
    interrupt_catch();
    const mts_status st = mts_predictor_open(args->ctx, &args->options, &predictor);
    if (st != MTS_OK)
        code = cli_report(args->ctx, st);
    else if (lines_open(&reader, args->input) && output_open(&out, args->output)) {
        code = predict_lines(args, predictor, &reader, out.file);
        if (code == EXIT_OK && !output_commit(&out))
            code = EXIT_FAILED;
    }
    output_close(&out);
    lines_close(&reader);
    mts_predictor_close(predictor);
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
     .help = "tsv (with a header line) or jsonl [tsv]",
     .offset = offsetof(cli_args, format)},
    {.name = NULL},
};

const cli_command command_predict = {
    .name = "predict",
    .usage = "predict DIR [--input FILE] [--output FILE] [options]",
    .summary = "label texts with a fine-tuned model",
    .about = "Labels lines of text with the fine-tuned folder DIR (or --model_name_or_path): the "
             "label, its\nprobability, and all logits. A regression model gives the score. "
             "Precision and "
             "length are those of\nthe training unless given.",
    .use = MTS_USE_PREDICT,
    .takes_model = true,
    .as_trained = true,
    .flags = flags,
    .run = run_predict,
};
