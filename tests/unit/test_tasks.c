/* tasks/text_classification: columns, labels and rows, from options to texts and targets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "tasks/text_classification.h"

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != MTS_OK)                                                                      \
            fail_msg("%s", ctx.error);                                                             \
    } while (0)

static mts_ctx ctx;
static char folder[64];

/* folder/name; one of four buffers in turn. */
static const char *at(const char *name)
{
    static char text[4][512];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(text[turn], sizeof text[turn], "%s/%s", folder, name);
    return text[turn];
}

static const char *put(const char *name, const char *content)
{
    const char *path = at(name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(content, 1, strlen(content), f), strlen(content));
    assert_int_equal(fclose(f), 0);
    return path;
}

static mts_options all_rows(void)
{
    return (mts_options){.do_regression = -1,
                         .assistant_only_loss = -1,
                         .completion_only_loss = -1,
                         .max_train_samples = -1,
                         .max_eval_samples = -1,
                         .max_predict_samples = -1};
}

/* Options for a training file with this content; one such at a time. */
static mts_options train_options(const char *name, const char *content)
{
    static char path[512];
    mts_options o = all_rows();
    snprintf(path, sizeof path, "%s", put(name, content));
    o.train_file = path;
    return o;
}

static double label_of(const dataset *d, int64_t row)
{
    return d->targets.kind == TARGET_SCORE ? (double)d->targets.score[row]
                                           : (double)d->targets.index[row];
}

/* "a|b|label/..." of the rows. */
static const char *flat(const dataset *d)
{
    static char text[1024];
    size_t used = 0;
    text[0] = '\0';
    for (int64_t i = 0; i < d->n; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s", d->text_a[i]);
        if (d->text_b != NULL)
            used += (size_t)snprintf(text + used, sizeof text - used, "|%s", d->text_b[i]);
        if (d->targets.kind != TARGET_NONE)
            used += (size_t)snprintf(text + used, sizeof text - used, "|%g", label_of(d, i));
        used += (size_t)snprintf(text + used, sizeof text - used, "/");
    }
    return text;
}

/* The lines that tasks told, one behind the other. */
static char notes[1024];

static void hear(void *user, const char *text)
{
    (void)user;
    strncat(notes, text, sizeof notes - strlen(notes) - 2);
    strcat(notes, "\n");
}

static const task_reading reading = {.note = hear};

/* Open the task; with a training file agree with a model that has no labels yet. */
static mts_status resolve(const mts_options *o, text_classification **out)
{
    task *t = NULL;
    model_config cfg = {0};
    notes[0] = '\0';
    *out = NULL;
    mts_status st = task_open(&ctx, o, NULL, NULL, &t);
    if (st == MTS_OK && o->train_file != NULL)
        st = model_config_init(&ctx, &cfg);
    if (st == MTS_OK && o->train_file != NULL)
        st = t->class->fit(&ctx, t, "model", &cfg, true, &reading);
    model_config_deinit(&cfg);
    *out = (text_classification *)t;
    return st;
}

static void done(text_classification *t)
{
    task_close(t == NULL ? NULL : &t->base);
}

static mts_status load(text_classification *t, task_split split, int64_t set, dataset *out)
{
    return text_classification_load(&ctx, t, split, set, &reading, false, out);
}

static int64_t sets_of(const text_classification *t, task_split split)
{
    return t->base.class->sets(&t->base, split);
}

static const char *suffix_of(const text_classification *t, int64_t set)
{
    return t->base.class->suffix(&t->base, set);
}

/* Resolve, load the training rows, and compare them. */
static void assert_rows(const mts_options *o, const char *expected)
{
    text_classification *t = NULL;
    dataset d = {0};
    assert_ok(resolve(o, &t));
    assert_ok(load(t, TASK_TRAIN, 0, &d));
    assert_string_equal(flat(&d), expected);
    dataset_deinit(&d);
    done(t);
}

/* Resolving fails with this status and this end of the text, on one line. */
static void assert_unresolved(const mts_options *o, mts_status status, const char *end)
{
    text_classification *t = NULL;
    assert_int_equal(resolve(o, &t), status);
    const size_t n = strlen(ctx.error), m = strlen(end);
    if (n < m || strcmp(ctx.error + n - m, end) != 0 || strchr(ctx.error, '\n') != NULL)
        fail_msg("%s", ctx.error);
    done(t);
}

/* --------------------------------------------------------------------------- own files ---- */

static void test_columns_by_name(void **state)
{
    mts_options o;
    (void)state;
    o = train_options("t.csv", "id,sentence,label\n1,x,b\n2,y,a\n");
    assert_rows(&o, "x|1/y|0/");
    o = train_options("t.csv", "label,text,other\n0,x,z\n1,y,z\n");
    assert_rows(&o, "x|0/y|1/");
    o = train_options("t.tsv", "other\thypothesis\tpremise\tlabel\nz\tq\tp\tb\nz\ts\tr\ta\n");
    assert_rows(&o, "p|q|1/r|s|0/");
    o = train_options("t.jsonl", "{\"sentence2\":\"q\",\"sentence1\":\"p\",\"label\":1}\n"
                                 "{\"sentence1\":\"r\",\"sentence2\":\"s\",\"label\":0}\n");
    assert_rows(&o, "p|q|1/r|s|0/");
}

static void test_columns_by_position(void **state)
{
    mts_options o;
    (void)state;
    o = train_options("t.csv", "idx,review,label\n1,x,b\n2,y,a\n");
    assert_rows(&o, "x|1/y|0/");
    o = train_options("t.csv", ",label,title,body,more\n0,b,x,y,z\n1,a,u,v,w\n");
    assert_rows(&o, "x|y|1/u|v|0/");
    o = train_options("t.csv", "id,label\n1,b\n2,a\n");
    assert_unresolved(&o, MTS_ERR_BAD_FILE,
                      "t.csv: expected a column of texts beside the label, found none");
}

static void test_columns_by_option(void **state)
{
    mts_options o = train_options("t.csv", "sentence,body,title,stars\nx,y,z,5\nu,v,w,4\n");
    (void)state;
    assert_unresolved(&o, MTS_ERR_BAD_FILE,
                      "expected a column \"label\", found the columns \"sentence\", \"body\", "
                      "\"title\", \"stars\"");
    o.label_column_name = "stars";
    assert_rows(&o, "x|1/u|0/");
    o.text_column_names = "title,body";
    assert_rows(&o, "z|y|1/w|v|0/");
    o.text_column_names = "body";
    assert_rows(&o, "y|1/v|0/");
    o.text_column_names = "body,stars";
    assert_unresolved(&o, MTS_ERR_ARGUMENT,
                      "expected different columns for texts and label, found \"stars\" twice");
    o.text_column_names = "body,body";
    assert_unresolved(&o, MTS_ERR_ARGUMENT,
                      "expected different columns for texts and label, found \"body\" twice");
    o.text_column_names = "a,b,c";
    assert_unresolved(&o, MTS_ERR_ARGUMENT, "with a comma between, found \"a,b,c\"");
    o.text_column_names = "a,";
    assert_unresolved(&o, MTS_ERR_ARGUMENT, "with a comma between, found \"a,\"");
}

/* The labels of a column with these values, as "name name " or "regression". */
static const char *labels_of(const char *values, int64_t do_regression)
{
    static char text[256];
    char content[512] = "text,label\n";
    size_t used = strlen(content);
    text_classification *t = NULL;
    for (const char *v = values; *v != '\0'; v += strcspn(v, " "), v += *v == ' ')
        used += (size_t)snprintf(content + used, sizeof content - used, "x,%.*s\n",
                                 (int)strcspn(v, " "), v);
    mts_options o = train_options("t.csv", content);
    o.do_regression = do_regression;
    text[0] = '\0';
    if (resolve(&o, &t) != MTS_OK) {
        snprintf(text, sizeof text, "%s", strrchr(ctx.error, '/') + 1);
    } else if (t->kind == &label_kind_score) {
        assert_int_equal(t->num_labels, 1);
        assert_int_equal(t->metric, METRIC_REGRESSION);
        snprintf(text, sizeof text, "regression");
    } else {
        assert_int_equal(t->metric, METRIC_CLASSES);
        for (int64_t i = 0; i < t->num_labels; i++) {
            strcat(text, t->label_names[i]);
            strcat(text, " ");
        }
    }
    done(t);
    return text;
}

static void test_label_kinds(void **state)
{
    (void)state;
    assert_string_equal(labels_of("b a b c", -1), "a b c ");
    assert_string_equal(labels_of("10 9 -1 9 010", -1), "-1 9 10 ");
    assert_string_equal(labels_of("10 9 x", -1), "10 9 x ");
    assert_string_equal(labels_of("1 2.5 3", -1), "regression");
    assert_string_equal(labels_of("1.0 2.0", -1), "regression");
    assert_string_equal(labels_of("1 2 3", 1), "regression");
    assert_string_equal(labels_of("1.5 nan x", -1), "1.5 nan x ");
    assert_string_equal(labels_of("1.5 2.5 1.5", 0), "1.5 2.5 ");
    assert_string_equal(labels_of("10 9 1.5 nan", 0), "1.5 10 9 nan ");
    assert_string_equal(labels_of("10 9 010", 0), "9 10 ");
    assert_string_equal(labels_of("1.5 2 nan", -1),
                        "t.csv:4: \"label\": expected a finite number, found \"nan\"");
    assert_string_equal(labels_of("1 -Inf", -1),
                        "t.csv:3: \"label\": expected a finite number, found \"-Inf\"");
    assert_string_equal(labels_of("1 2 x y", 1),
                        "t.csv:4: \"label\": expected a finite number, found \"x\"");
    assert_string_equal(labels_of("a a", -1),
                        "t.csv: \"label\": expected at least two different labels, found only "
                        "\"a\"");
}

static void test_empty_label_and_no_rows(void **state)
{
    mts_options o = train_options("t.csv", "text,label\nx,a\ny,\n");
    (void)state;
    assert_unresolved(&o, MTS_ERR_BAD_FILE,
                      "t.csv:3: \"label\": expected a label, found an empty field");
    o = train_options("t.csv", "text,label\n");
    assert_unresolved(&o, MTS_ERR_BAD_FILE, "t.csv: expected rows, found only a header");
    o = train_options("t.jsonl", "{\"text\":\"x\",\"label\":1}\n{\"text\":\"x\",\"label\":null}\n");
    assert_unresolved(&o, MTS_ERR_BAD_FILE, "true or false, found null");
}

static void test_jsonl_label_types(void **state)
{
    mts_options o = train_options("t.jsonl", "{\"text\":\"x\",\"label\":true}\n"
                                             "{\"text\":\"y\",\"label\":false}\n");
    (void)state;
    assert_rows(&o, "x|1/y|0/");
    o = train_options("t.json", "{\"text\":\"x\",\"label\":1.0}\n{\"text\":\"y\",\"label\":2}\n");
    assert_rows(&o, "x|1/y|2/");
    o = train_options("t.json", "{\"text\":\"x\",\"label\":7}\n{\"text\":\"y\",\"label\":5}\n");
    assert_rows(&o, "x|1/y|0/");
}

/* Columns and labels of validation and test files are those of the training file. */
static void test_validation_and_test(void **state)
{
    mts_options o = train_options("t.csv", "review,label\nx,b\ny,a\nz,b\n");
    text_classification *t = NULL;
    dataset d = {0};
    (void)state;
    o.validation_file = put("v.csv", "other,label,review\n1,a,u\n2,b,v\n");
    o.test_file = put("p.tsv", "id\treview\n1\tw\n2\tx\n3\ty\n4\tz\n");
    o.max_train_samples = 2;
    o.max_eval_samples = 1;
    o.max_predict_samples = 3;
    assert_ok(resolve(&o, &t));
    assert_int_equal(sets_of(t, TASK_EVAL), 1);
    assert_int_equal(sets_of(t, TASK_TEST), 1);
    assert_string_equal(suffix_of(t, 0), "");
    assert_ok(load(t, TASK_TRAIN, 0, &d));
    assert_string_equal(flat(&d), "x|1/y|0/");
    dataset_deinit(&d);
    assert_ok(load(t, TASK_EVAL, 0, &d));
    assert_string_equal(flat(&d), "u|0/");
    dataset_deinit(&d);
    assert_ok(load(t, TASK_TEST, 0, &d));
    assert_string_equal(flat(&d), "w/x/y/");
    dataset_deinit(&d);
    assert_int_equal(load(t, TASK_EVAL, 1, &d), MTS_ERR_ARGUMENT);
    put("v.csv", "other,label,review\n1,a,u\n2,c,v\n");
    t->max_eval_samples = -1;
    assert_int_equal(load(t, TASK_EVAL, 0, &d), MTS_ERR_BAD_FILE);
    assert_non_null(
        strstr(ctx.error, "v.csv:3: \"label\": expected one of \"a\", \"b\", found \"c\""));
    done(t);
}

static void test_bad_scores(void **state)
{
    static const char *const bad[] = {"nan", "1e39", "x", "1e999", ""};
    mts_options o = train_options("t.csv", "text,label\nx,1.5\ny,2\n");
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        text_classification *t = NULL;
        dataset d = {0};
        char content[64], expected[96];
        snprintf(content, sizeof content, "text,label\nx,1\ny,%s\n", bad[i]);
        snprintf(expected, sizeof expected,
                 "v.csv:3: \"label\": expected a finite number, found \"%s\"", bad[i]);
        o.validation_file = put("v.csv", content);
        assert_ok(resolve(&o, &t));
        assert_int_equal(load(t, TASK_EVAL, 0, &d), MTS_ERR_BAD_FILE);
        assert_non_null(strstr(ctx.error, expected));
        done(t);
    }
}

static void test_argument_errors(void **state)
{
    mts_options o = all_rows();
    text_classification *t = NULL;
    dataset d = {0};
    (void)state;
    assert_unresolved(&o, MTS_ERR_ARGUMENT, "or test_file, found none");
    o.train_file = at("absent.csv");
    assert_unresolved(&o, MTS_ERR_NOT_FOUND, "");
    o.train_file = at("t.parquet");
    assert_unresolved(&o, MTS_ERR_ARGUMENT, "ending in .csv, .tsv, .jsonl or .json");
    o = all_rows();
    o.validation_file = put("v.csv", "text,label\nx,1\n");
    assert_ok(resolve(&o, &t));
    assert_int_equal(t->num_labels, 0);
    assert_int_equal(load(t, TASK_TRAIN, 0, &d), MTS_ERR_ARGUMENT);
    assert_int_equal(load(t, TASK_EVAL, 0, &d), MTS_ERR_ARGUMENT);
    assert_int_equal(load(t, TASK_TEST, 0, &d), MTS_ERR_ARGUMENT);
    done(t);
}

/* A .tsv file in which a program has quoted the fields: said, not mended. */
static void test_quoted_fields(void **state)
{
    mts_options o = train_options("t.tsv", "text\tlabel\nx\ta\n\"y\"\tb\n\"\t\"b\"\n\"z\tb\n");
    text_classification *t = NULL;
    dataset d = {0};
    (void)state;
    assert_ok(resolve(&o, &t));
    assert_string_equal(notes, "text in column \"text\", label in column \"label\": 3 classes\n");
    assert_ok(load(t, TASK_TRAIN, 0, &d));
    assert_non_null(strstr(notes, "t.tsv:3: a field in double quotes, in 2 rows"));
    dataset_deinit(&d);
    done(t);
    o = train_options("t.csv", "text,other,label\nx,\"\"\"y\"\"\",a\nz,u,b\n");
    assert_ok(resolve(&o, &t));
    assert_ok(load(t, TASK_TRAIN, 0, &d));
    assert_null(strstr(notes, "quotes"));
    dataset_deinit(&d);
    done(t);
}

/* ------------------------------------------------------------------------ model labels ---- */

static void test_labels_of_a_model(void **state)
{
    const char *const named[] = {"bad", "good"}, *const unnamed[] = {"LABEL_0", "LABEL_1"};
    mts_options o = all_rows();
    text_classification *t = NULL;
    dataset d = {0};
    (void)state;
    o.validation_file = put("v.csv", "text,label\nx,good\ny,bad\n");
    assert_ok(resolve(&o, &t));
    assert_ok(text_classification_take_labels(&ctx, t, named, 2, &label_kind_class));
    assert_int_equal(t->num_labels, 2);
    assert_ok(load(t, TASK_EVAL, 0, &d));
    assert_string_equal(flat(&d), "x|1/y|0/");
    dataset_deinit(&d);
    assert_ok(text_classification_take_labels(&ctx, t, unnamed, 2, &label_kind_class));
    assert_int_equal(load(t, TASK_EVAL, 0, &d), MTS_ERR_BAD_FILE);
    put("v.csv", "text,label\nx,1\ny,0\n");
    assert_ok(load(t, TASK_EVAL, 0, &d));
    assert_string_equal(flat(&d), "x|1/y|0/");
    dataset_deinit(&d);
    assert_ok(text_classification_take_labels(&ctx, t, named, 2, &label_kind_class));
    assert_int_equal(load(t, TASK_EVAL, 0, &d), MTS_ERR_BAD_FILE);
    assert_int_equal(text_classification_take_labels(&ctx, t, named, 1, &label_kind_class),
                     MTS_ERR_ARGUMENT);
    assert_ok(text_classification_take_labels(&ctx, t, NULL, 1, &label_kind_score));
    assert_true(t->kind == &label_kind_score && t->label_names == NULL && t->num_labels == 1);
    assert_ok(load(t, TASK_EVAL, 0, &d));
    assert_string_equal(flat(&d), "x|1/y|0/");
    dataset_deinit(&d);
    done(t);
}

/* Training on from a model: its order of the classes where it has the same, in any case. */
static void test_order_of_a_model(void **state)
{
    static const char *const turned[] = {"B", "c", "A", "a"};
    static const char *const unnamed[] = {"LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3"};
    static const char *const other[] = {"a", "b", "c", "d"};
    mts_options o = train_options("t.csv", "text,label\nw,A\nx,a\ny,b\nz,c\n");
    text_classification *t = NULL;
    label_match match;
    dataset d = {0};
    (void)state;
    assert_ok(resolve(&o, &t));
    assert_ok(text_classification_match_labels(&ctx, t, unnamed, 4, &label_kind_class, &match));
    assert_int_equal(match, LABELS_FIT);
    assert_string_equal(t->label_names[0], "A");
    assert_ok(text_classification_match_labels(&ctx, t, other, 4, &label_kind_class, &match));
    assert_int_equal(match, LABELS_OTHER_NAMES);
    assert_ok(text_classification_match_labels(&ctx, t, turned, 3, &label_kind_class, &match));
    assert_int_equal(match, LABELS_OTHER_SHAPE);
    assert_ok(text_classification_match_labels(&ctx, t, other, 1, &label_kind_score, &match));
    assert_int_equal(match, LABELS_OTHER_SHAPE);
    assert_string_equal(t->label_names[0], "A");
    assert_ok(text_classification_match_labels(&ctx, t, turned, 4, &label_kind_class, &match));
    assert_int_equal(match, LABELS_FIT);
    assert_string_equal(t->label_names[0], "b"); /* spelled as in the data */
    assert_ok(load(t, TASK_TRAIN, 0, &d));
    assert_string_equal(flat(&d), "w|2/x|3/y|0/z|1/");
    dataset_deinit(&d);
    done(t);
}

/* -------------------------------------------------------------------------------- GLUE ---- */

static mts_options glue_options(const char *name)
{
    mts_options o = all_rows();
    o.task_name = name;
    o.data_dir = folder;
    return o;
}

static void test_glue_names(void **state)
{
    static const char *const spellings[][2] = {
        {"cola", "CoLA"}, {"sst2", "SST-2"}, {"mrpc", "MRPC"}, {"stsb", "sts-b"},
        {"qqp", "QQP"},   {"mnli", "MNLI"},  {"qnli", "qnli"}, {"rte", "RTE"},
        {"wnli", "WNLI"}, {"stsb", "STS_B"}};
    (void)state;
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        const glue_task *known = glue_task_find(spellings[i][1]);
        assert_non_null(known);
        assert_string_equal(known->name, spellings[i][0]);
        assert_ptr_equal(glue_task_find(known->name), known);
        assert_ptr_equal(glue_task_find(known->folder), known);
    }
    assert_null(glue_task_find("sst"));
    assert_null(glue_task_find("sst22"));
    assert_null(glue_task_find(""));
}

static void test_glue_headers(void **state)
{
    mts_options o = glue_options("MRPC");
    text_classification *t = NULL;
    dataset d = {0};
    (void)state;
    put("train.tsv",
        "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t8\t9\t\"p\tq\n0\t8\t9\tr\ts\n");
    assert_rows(&o, "\"p|q|1/r|s|0/");
    /* The official MNLI files carry more columns, and several labels. */
    o = glue_options("mnli");
    put("train.tsv", "index\tsentence1_parse\tsentence1\tsentence2\tlabel1\tgold_label\n"
                     "0\t(\tp\tq\tneutral\tcontradiction\n1\t(\tr\ts\tneutral\tentailment\n");
    assert_rows(&o, "p|q|2/r|s|0/");
    put("train.tsv", "sentence1\tsentence2\tlabel\np\tq\tneutral\n");
    assert_rows(&o, "p|q|1/");
    put("train.tsv", "sentence1\tsentence2\tlabel\np\tq\t-\n");
    assert_ok(resolve(&o, &t));
    assert_int_equal(load(t, TASK_TRAIN, 0, &d), MTS_ERR_BAD_FILE);
    assert_non_null(strstr(ctx.error, "train.tsv:2: \"label\": expected one of \"entailment\", "
                                      "\"neutral\", \"contradiction\", found \"-\""));
    assert_int_equal(sets_of(t, TASK_EVAL), 2);
    assert_string_equal(suffix_of(t, 0), "");
    assert_string_equal(suffix_of(t, 1), "_mm");
    put("dev_mismatched.tsv", "sentence1\tsentence2\tlabel\nu\tv\tentailment\n");
    assert_ok(load(t, TASK_EVAL, 1, &d));
    assert_string_equal(flat(&d), "u|v|0/");
    dataset_deinit(&d);
    assert_int_equal(load(t, TASK_EVAL, 0, &d), MTS_ERR_NOT_FOUND);
    done(t);
}

static void test_cola_files(void **state)
{
    mts_options o = glue_options("cola");
    text_classification *t = NULL;
    dataset d = {0};
    (void)state;
    put("train.tsv", "gj04\t1\t\tx y\ngj04\t0\t*\tz\n");
    put("test.tsv", "index\tsentence\n0\tu\n1\tv\n");
    assert_rows(&o, "x y|1/z|0/");
    assert_ok(resolve(&o, &t));
    assert_ok(load(t, TASK_TEST, 0, &d));
    assert_string_equal(flat(&d), "u/v/");
    dataset_deinit(&d);
    put("train.tsv", "gj04\t1\tx y\n");
    assert_int_equal(load(t, TASK_TRAIN, 0, &d), MTS_ERR_BAD_FILE);
    assert_non_null(strstr(ctx.error, "train.tsv:1: expected 4 fields, found 3"));
    done(t);
}

static void test_glue_arguments(void **state)
{
    mts_options o = glue_options("sst3");
    text_classification *t = NULL;
    (void)state;
    assert_unresolved(&o, MTS_ERR_ARGUMENT, "rte or wnli, found \"sst3\"");
    o = glue_options("sst2");
    o.do_regression = true;
    assert_unresolved(&o, MTS_ERR_ARGUMENT, "do_regression: task_name sst2 has classes");
    o.do_regression = 0;
    assert_ok(resolve(&o, &t));
    done(t);
    o = glue_options("stsb");
    o.do_regression = 0;
    assert_unresolved(&o, MTS_ERR_ARGUMENT, "do_regression: task_name stsb has scores");
    o = glue_options("sst2");
    o.data_dir = NULL;
    assert_unresolved(&o, MTS_ERR_ARGUMENT, "the folder of its files, found none");
}

/* A model whose outputs are in another order: labels follow it, and so does the class of F1. */
static void test_glue_model_order(void **state)
{
    const char *const swapped[] = {"EQUIVALENT", "not_equivalent"};
    const char *const unnamed[] = {"LABEL_0", "LABEL_1"}, *const other[] = {"equivalent",
                                                                            "equivalent"};
    mts_options o = glue_options("mrpc");
    text_classification *t = NULL;
    dataset d = {0};
    (void)state;
    put("dev.tsv", "Quality\t#1 String\t#2 String\n1\tp\tq\n0\tr\ts\nequivalent\tt\tu\n");
    assert_ok(resolve(&o, &t));
    assert_ok(text_classification_take_labels(&ctx, t, unnamed, 2, &label_kind_class));
    assert_int_equal(t->positive_label, 1);
    assert_string_equal(t->label_names[1], "equivalent");
    assert_ok(load(t, TASK_EVAL, 0, &d));
    assert_string_equal(flat(&d), "p|q|1/r|s|0/t|u|1/");
    dataset_deinit(&d);
    assert_ok(text_classification_take_labels(&ctx, t, swapped, 2, &label_kind_class));
    assert_int_equal(t->positive_label, 0);
    assert_string_equal(t->label_names[0], "equivalent");
    assert_ok(load(t, TASK_EVAL, 0, &d));
    assert_string_equal(flat(&d), "p|q|0/r|s|1/t|u|0/");
    dataset_deinit(&d);
    assert_int_equal(text_classification_take_labels(&ctx, t, other, 2, &label_kind_class),
                     MTS_ERR_ARGUMENT);
    assert_int_equal(text_classification_take_labels(&ctx, t, swapped, 3, &label_kind_class),
                     MTS_ERR_ARGUMENT);
    assert_int_equal(text_classification_take_labels(&ctx, t, NULL, 1, &label_kind_score),
                     MTS_ERR_ARGUMENT);
    done(t);
}

/* data_dir may be the folder above the task's. */
static void test_glue_folder_above(void **state)
{
    mts_options o = glue_options("stsb");
    (void)state;
    assert_ok(file_make_dirs(&ctx, at("STS-B")));
    put("STS-B/train.tsv", "index\tsentence1\tsentence2\tscore\n0\tp\tq\t3.800\n1\tr\ts\t0\n");
    assert_rows(&o, "p|q|3.8/r|s|0/");
}

/* ------------------------------------------------------------------------------ memory ---- */

static void test_memory_failure(void **state)
{
    mts_options o = train_options("t.csv", "sentence1,sentence2,label\nx,y,b\nz,w,a\n");
    mts_status st = MTS_ERR_MEMORY;
    int64_t n = 0;
    (void)state;
    for (; st != MTS_OK && n < 200; n++) {
        text_classification *t = NULL;
        dataset d = {0};
        mem_fail_after(n);
        st = resolve(&o, &t);
        if (st == MTS_OK)
            st = load(t, TASK_TRAIN, 0, &d);
        assert_true(st == MTS_OK || st == MTS_ERR_MEMORY);
        dataset_deinit(&d);
        done(t);
    }
    mem_fail_after(-1);
    assert_int_equal(st, MTS_OK);
    assert_true(n > 20);
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/mantissa_tasks_XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    return file_remove_tree(&ctx, folder) != MTS_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_by_name),
        cmocka_unit_test(test_columns_by_position),
        cmocka_unit_test(test_columns_by_option),
        cmocka_unit_test(test_label_kinds),
        cmocka_unit_test(test_empty_label_and_no_rows),
        cmocka_unit_test(test_jsonl_label_types),
        cmocka_unit_test(test_validation_and_test),
        cmocka_unit_test(test_bad_scores),
        cmocka_unit_test(test_argument_errors),
        cmocka_unit_test(test_quoted_fields),
        cmocka_unit_test(test_labels_of_a_model),
        cmocka_unit_test(test_order_of_a_model),
        cmocka_unit_test(test_glue_names),
        cmocka_unit_test(test_glue_headers),
        cmocka_unit_test(test_cola_files),
        cmocka_unit_test(test_glue_arguments),
        cmocka_unit_test(test_glue_model_order),
        cmocka_unit_test(test_glue_folder_above),
        cmocka_unit_test(test_memory_failure),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
