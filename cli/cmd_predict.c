/*
 * mantissa predict: texts in, a label (or score) and the logits of each out, in the order of the
 * texts; or questions with paragraphs in, and answers out.  They are lines of a file or of standard
 * input, or the rows of a data file.
 *
 * Texts are predicted in chunks of several batches, which all threads tokenize together.  Where the
 * next line is not there yet (a terminal, a pipe whose other end waits for an answer), the lines
 * before it are answered at once.
 */
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "answer.h"
#include "interrupt.h"
#include "lines.h"
#include "output.h"
#include "prediction.h"
#include "progress.h"
#include "report.h"
#include "tagging.h"

enum { BATCHES_PER_CHUNK = 32 };

/* What all chunks of one call share. */
typedef struct job {
    cli_args *args;
    mts_predictor *predictor;
    FILE *file;
    progress shown;
    bool answers;  /* the model answers questions */
    bool tags;     /* it tags words */
    float *logits; /* [capacity][labels]; of a model that labels texts */
    int64_t capacity, labels;
    int64_t done, total; /* rows; total -1: not known */
} job;

static bool job_init(job *j, int64_t total)
{
    j->total = total;
    j->capacity = j->args->options.per_device_eval_batch_size * BATCHES_PER_CHUNK;
    j->labels = mts_predictor_num_labels(j->predictor);
    j->answers = mts_predictor_answers_questions(j->predictor);
    j->tags = mts_predictor_tags_words(j->predictor);
    j->logits = calloc((size_t)(j->capacity * j->labels), sizeof *j->logits);
    if (j->logits == NULL)
        cli_error("out of memory: %lld rows", (long long)j->capacity);
    return j->logits != NULL;
}

static bool prints_json(const job *j)
{
    return strcmp(j->args->format, "jsonl") == 0;
}

/* Texts of one chunk. */
typedef struct texts {
    int64_t n;
    const char *const *a, *const *b; /* b: NULL for single texts */
    const char *const *ids;          /* NULL: they have none */
} texts;

static mts_status label_texts(job *j, const texts *t)
{
    const mts_status st = mts_predictor_run(j->predictor, t->a, t->b, t->n, j->logits);
    for (int64_t i = 0; st == MTS_OK && i < t->n; i++) {
        const float *logits = j->logits + i * j->labels;
        if (prints_json(j))
            prediction_print_json(j->file, j->predictor, logits);
        else
            prediction_print_tsv(j->file, j->predictor, logits);
    }
    return st;
}

static mts_status answer_questions(job *j, const texts *t)
{
    const mts_status st = mts_predictor_answer(j->predictor, t->a, t->b, t->n);
    for (int64_t i = 0; st == MTS_OK && i < t->n; i++) {
        const char *id = t->ids == NULL ? NULL : t->ids[i];
        const mts_answer *found = mts_predictor_answer_at(j->predictor, i);
        if (prints_json(j))
            answer_print_json(j->file, id, t->b[i], found);
        else
            answer_print_tsv(j->file, id, t->b[i], found);
    }
    return st;
}

/* Predict at most `capacity` texts and print them.  The exit status; errors were printed. */
static int predict_texts(job *j, const texts *t)
{
    const cli_args *args = j->args;
    const mts_status st = j->tags
                              ? tagging_predict(j->file, j->predictor, t->a, t->n, prints_json(j))
                          : j->answers ? answer_questions(j, t)
                                       : label_texts(j, t);
    if (st == MTS_ERR_ARGUMENT && j->done > 0) { /* its text counts from this chunk's first row */
        cli_error("after the first %lld: %s", (long long)j->done, mts_error_text(args->ctx));
        return EXIT_USAGE;
    }
    j->done += t->n;
    if (st == MTS_OK && args->output != NULL)
        progress_rows(&j->shown, "predicting", j->done, j->total);
    return cli_report(args->ctx, st);
}

/* --------------------------------------------------------------------------------- lines ---- */

/* One chunk of lines; texts are copies. */
typedef struct chunk {
    char **text_a;
    char **text_b;
    int64_t rows, capacity;
    bool questions; /* rows have a question and a paragraph */
    bool sentences; /* rows have words, between which a tab is a blank */
    bool pairs;     /* rows have two texts; fixed by the first line of the input */
} chunk;

static bool chunk_init(chunk *c, int64_t capacity)
{
    *c = (chunk){.capacity = capacity};
    c->text_a = calloc((size_t)capacity, sizeof *c->text_a);
    c->text_b = calloc((size_t)capacity, sizeof *c->text_b);
    if (c->text_a == NULL || c->text_b == NULL) {
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
}

/* Append the reader's line.  False: the error was printed. */
static bool chunk_add(chunk *c, const line_reader *reader)
{
    char *second = NULL;
    if (!c->sentences && !lines_split_pair(reader, &second))
        return false;
    if (reader->number == 1)
        c->pairs = second != NULL;
    if (c->questions && second == NULL) {
        cli_error("%s:%lld: expected a question and a paragraph with a tab between them",
                  reader->name, (long long)reader->number);
        return false;
    }
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

/* Predict the lines of c, if there are any. */
static int flush_chunk(chunk *c, job *j)
{
    int code = EXIT_OK;
    if (c->rows > 0)
        code = predict_texts(j, &(texts){.n = c->rows,
                                         .a = (const char *const *)c->text_a,
                                         .b = c->pairs ? (const char *const *)c->text_b : NULL});
    chunk_clear(c);
    return code;
}

/* Answer the lines that were read before the next one is waited for. */
static int answer(chunk *c, job *j)
{
    const int code = flush_chunk(c, j);
    fflush(j->file);
    return code;
}

/* All lines of the reader.  The exit status; errors were printed. */
static int predict_lines(job *j, line_reader *reader)
{
    chunk c;
    line_result read = LINE_READ;
    int code = chunk_init(&c, j->capacity) ? EXIT_OK : EXIT_FAILED;
    c.questions = j->answers;
    c.sentences = j->tags;
    while (code == EXIT_OK && read == LINE_READ) {
        if (!lines_ready(reader))
            code = answer(&c, j);
        if (code == EXIT_OK && interrupt_asked())
            code = EXIT_INTERRUPTED;
        if (code == EXIT_OK)
            read = lines_next(reader);
        if (code == EXIT_OK && read == LINE_READ && !chunk_add(&c, reader))
            code = EXIT_FAILED;
        if (code == EXIT_OK && c.rows == c.capacity)
            code = flush_chunk(&c, j);
    }
    if (code == EXIT_OK && read == LINE_FAILED)
        code = interrupt_asked() ? EXIT_INTERRUPTED : EXIT_FAILED;
    if (code == EXIT_OK)
        code = flush_chunk(&c, j);
    chunk_deinit(&c);
    return code;
}

/* ---------------------------------------------------------------------------- data files ---- */

/* All rows of the test files.  The exit status; errors were printed. */
static int predict_rows(job *j, const mts_test_rows *rows)
{
    const char *const *a = mts_test_rows_text_a(rows), *const *b = mts_test_rows_text_b(rows);
    const char *const *ids = mts_test_rows_ids(rows);
    int code = EXIT_OK;
    for (int64_t i = 0; code == EXIT_OK && i < j->total; i += j->capacity) {
        code =
            predict_texts(j, &(texts){.n = j->total - i < j->capacity ? j->total - i : j->capacity,
                                      .a = a + i,
                                      .b = b == NULL ? NULL : b + i,
                                      .ids = ids == NULL ? NULL : ids + i});
        if (code == EXIT_OK && interrupt_asked())
            code = EXIT_INTERRUPTED;
    }
    return code;
}

/* ------------------------------------------------------------------------------- command ---- */

static bool takes_data(const cli_args *args)
{
    return args->options.test_file != NULL || args->options.task_name != NULL;
}

static bool ends_in(const char *path, const char *end)
{
    const size_t n = strlen(path), m = strlen(end);
    return n > m && strcasecmp(path + n - m, end) == 0;
}

/* Lines of a data file would be taken for texts: the header, the quotes, the braces. */
static bool check_input(const cli_args *args)
{
    static const char *const endings[] = {".csv", ".json", ".jsonl", ".conll"};
    const mts_options *o = &args->options;
    if (args->input != NULL && takes_data(args)) {
        cli_error("give --input, or --%s, not both", o->test_file ? "test_file" : "task_name");
        return false;
    }
    const char *columns = o->text_column_names != NULL   ? "text_column_names"
                          : o->label_column_name != NULL ? "label_column_name"
                          : o->max_predict_samples >= 0  ? "max_predict_samples"
                                                         : NULL;
    if (!takes_data(args) && columns != NULL) {
        cli_error("--%s needs --test_file: it does not act on plain lines", columns);
        return false;
    }
    for (size_t i = 0; args->input != NULL && i < sizeof endings / sizeof endings[0]; i++) {
        if (ends_in(args->input, endings[i])) {
            cli_error("--input %s: each line would be one text; a %s file is given with "
                      "--test_file",
                      args->input, endings[i]);
            return false;
        }
    }
    return true;
}

/* Everything behind the opening of the model and the input: rows NULL: from the reader. */
static int predict_all(job *j, const mts_test_rows *rows, line_reader *reader)
{
    output out = {.file = NULL};
    int code = EXIT_FAILED;
    args_note_assumed(j->args);
    if (output_open(&out, j->args->output) &&
        job_init(j, rows != NULL ? mts_test_rows_count(rows) : -1)) {
        j->file = out.file;
        if (!prints_json(j) && j->answers)
            answer_print_header(j->file, rows != NULL && mts_test_rows_ids(rows) != NULL);
        else if (!prints_json(j) && j->tags)
            tagging_print_header(j->file);
        else if (!prints_json(j))
            prediction_print_header(j->file, j->predictor);
        code = rows != NULL ? predict_rows(j, rows) : predict_lines(j, reader);
        progress_end(&j->shown);
        if (code == EXIT_OK && !output_commit(&out))
            code = EXIT_FAILED;
    }
    output_close(&out);
    free(j->logits);
    const int64_t cut = mts_predictor_cut_rows(j->predictor);
    if (code == EXIT_OK && cut > 0)
        cli_note("%lld of %lld rows were cut to --max_seq_length %lld tokens", (long long)cut,
                 (long long)j->done, (long long)j->args->options.max_seq_length);
    return code;
}

static int run_predict(cli_args *args)
{
    job j = {.args = args};
    mts_test_rows *rows = NULL;
    line_reader reader = {.fd = -1};
    mts_status st = MTS_OK;
    int code = EXIT_FAILED;
    if (!check_input(args))
        return EXIT_USAGE;
    code = output_check(args->ctx, &args->options, args->output, args->input, !takes_data(args));
    if (code != EXIT_OK)
        return code;
    code = EXIT_FAILED;
    interrupt_catch();
    const mts_callbacks callbacks = progress_begin(&j.shown, 1);
    st = mts_predictor_open(args->ctx, &args->options, &j.predictor);
    if (st == MTS_OK && takes_data(args))
        st = mts_test_rows_open(args->ctx, &args->options, &callbacks, &rows);
    if (st != MTS_OK)
        code = cli_report(args->ctx, st);
    else if (rows != NULL || lines_open(&reader, args->input))
        code = predict_all(&j, rows, &reader);
    lines_close(&reader);
    mts_test_rows_close(rows);
    mts_predictor_close(j.predictor);
    return code;
}

static const cli_flag flags[] = {
    {.name = "input",
     .type = CLI_FLAG_TEXT,
     .placeholder = "FILE",
     .help = "plain lines, without header or quoting: one text a line, or two with a tab between "
             "them [standard input]",
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
    .usage = "predict DIR [--input FILE | --test_file FILE] [--output FILE] [options]",
    .summary = "label texts, tag words or answer questions with a fine-tuned model",
    .about =
        "Labels texts with the fine-tuned folder DIR (or --model_name_or_path): the label, "
        "its probability,\nand all logits. Texts are plain lines, each answered as soon as no "
        "other is waiting, or the rows of\na data file (--test_file, or a GLUE task's test "
        "set; of mnli both, one behind the other).\n\nThe probability is the softmax of the "
        "logits. With problem_type multi_label_classification a\ntext has a set of labels, "
        "printed as a JSON array: those whose probability, the sigmoid, is above\n"
        "--label_threshold. A regression model gives the score alone, as it leaves the model; so "
        "does\none with a single label and no problem_type, where transformers' pipeline "
        "prints its sigmoid.\n\nA model for question answering is given lines of a question, a tab "
        "and a paragraph, or a JSON file\nin the form of SQuAD: it prints the answer, which is a "
        "part of the paragraph, its probability, and\nthe characters where it begins and "
        "ends.\n\nA model for token classification is given sentences, their words with blanks "
        "between them, or a file\nof words in JSON or in columns (CoNLL): it prints a tag for "
        "each word, with --format jsonl also its\nprobability.\n\nPrecision and length are those "
        "of the training unless given.",
    .use = MTS_USE_PREDICT,
    .takes_model = true,
    .as_trained = true,
    .flags = flags,
    .run = run_predict,
};
