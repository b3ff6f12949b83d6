/*
 * tasks/task.h as the trainer uses it: the table of classes, the training file read once, what a
 * folder remembers of columns, labels and lines as other programs leave them, metrics, predictions.
 */
#include <stdio.h>

#include "base/file.h"
#include "base/memory.h"
#include "support/test_folder.h"
#include "tasks/test_rows.h"
#include "tasks/text_classification.h"

static mts_ctx ctx;
static tokenizer *tok;

/* Write a file; its path stays until the same slot is used again. */
static const char *put_at(int slot, const char *name, const char *content)
{
    static char paths[3][512];
    folder_put_text(name, content);
    snprintf(paths[slot], sizeof paths[slot], "%s", folder_at(name));
    return paths[slot];
}

static const char *put(const char *name, const char *content)
{
    return put_at(0, name, content);
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

static mts_options train_options(const char *name, const char *content)
{
    mts_options o = all_rows();
    o.train_file = put_at(1, name, content);
    return o;
}

static mts_options glue_options(const char *name)
{
    mts_options o = all_rows();
    o.task_name = name;
    o.data_dir = folder_root();
    return o;
}

/* The lines that tasks told, one behind the other. */
static char notes[1024];

static void hear(void *user, const char *text)
{
    (void)user;
    strncat(notes, text, sizeof notes - strlen(notes) - 2);
    strcat(notes, "\n");
}

/* Open the task, and before training agree with a model that has no labels yet. */
static mts_status resolve(const mts_options *o, text_classification **out)
{
    const task_reading reading = {.note = hear};
    task *t = NULL;
    model_config cfg = {0};
    notes[0] = '\0';
    mts_status st = task_open(&ctx, o, NULL, NULL, &t);
    if (st == MTS_OK)
        st = model_config_init(&ctx, &cfg);
    if (st == MTS_OK)
        st = t->class->fit(&ctx, t, "model", &cfg, true, &reading);
    model_config_deinit(&cfg);
    *out = (text_classification *)t;
    return st;
}

static void done(text_classification *t)
{
    task_close(t == NULL ? NULL : &t->base);
}

static task_reading reading_with_tokenizer(void)
{
    return (task_reading){.tokenizer = tok, .max_length = 5, .threads = 2, .note = hear};
}

/* The table of classes: the last takes what no other wants, so there is always one. */
static void test_classes(void **state)
{
    mts_options o = all_rows();
    int i = 0;
    (void)state;
    while (task_class_at(i) != NULL)
        i++;
    assert_ptr_equal(task_class_at(i - 1), &text_classification_class);
    assert_null(task_class_at(-1));
    assert_ptr_equal(task_class_of(&o, NULL), &text_classification_class);
    o.task_name = "mnli";
    assert_ptr_equal(task_class_of(&o, "classification"), &text_classification_class);
}

static void test_inputs_and_metrics(void **state)
{
    mts_options o = glue_options("mnli");
    task_metric found[TASK_METRICS_MAX];
    text_classification *t = NULL;
    (void)state;
    assert_ok(resolve(&o, &t));
    const task_class *class = t->base.class;
    static const char *const names[] = {"train.tsv", "dev_matched.tsv", "dev_mismatched.tsv",
                                        "test_matched.tsv", "test_mismatched.tsv"};
    for (int64_t i = 0; i < 5; i++)
        assert_string_equal(strrchr(class->input(&t->base, i), '/') + 1, names[i]);
    assert_null(class->input(&t->base, 5));
    assert_int_equal(class->metrics(&t->base, 1, found), 1);
    assert_string_equal(found[0].name, "accuracy_mm");
    assert_true(found[0].greater_is_better);
    done(t);
    o = train_options("t.csv", "text,label\nx,1.5\ny,2\n");
    o.test_file = "test.csv";
    assert_ok(resolve(&o, &t));
    assert_string_equal(t->base.head, "regression");
    assert_int_equal(class->metrics(&t->base, 0, found), 3);
    assert_string_equal(found[0].name, "mse");
    assert_false(found[0].greater_is_better);
    assert_true(found[1].greater_is_better);
    assert_string_equal(class->input(&t->base, 1), "test.csv");
    assert_null(class->input(&t->base, 2));
    done(t);
}

/* Labels and rows come from one reading of the training file: it may be gone in between. */
static void test_train_file_is_read_once(void **state)
{
    mts_options o = train_options("t.csv", "text,label\na b c d,2\nb,1\nc,2\n");
    const task_reading r = reading_with_tokenizer();
    static const int32_t classes[] = {1, 0, 1};
    text_classification *t = NULL;
    encoded_dataset e = {0};
    (void)state;
    assert_ok(resolve(&o, &t));
    assert_string_equal(t->base.head, "classification");
    assert_false(t->base.other_labels);
    assert_int_equal(remove(o.train_file), 0);
    assert_ok(t->base.class->encode(&ctx, &t->base, TASK_TRAIN, 0, &r, &e));
    assert_int_equal(e.n, 3);
    assert_int_equal(e.cut, 1);
    assert_non_null(strstr(notes, "t.csv: 1 of 3 rows were cut to --max_seq_length 5 tokens"));
    assert_int_equal(e.targets.kind, TARGET_CLASS);
    assert_memory_equal(e.targets.index, classes, sizeof classes);
    encoded_dataset_deinit(&e);
    assert_int_equal(t->base.class->encode(&ctx, &t->base, TASK_TRAIN, 0, &r, &e),
                     MTS_ERR_NOT_FOUND);
    done(t);
}

/* ------------------------------------------------------------------- what others wrote ---- */

/* The lines of GLUE's own files that have another number of fields: left out, and said once. */
static void test_broken_lines(void **state)
{
    static const char content[] = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
                                  "1\t1\t2\tIs tea hot?\tIs tea warm?\t1\n"
                                  "2\t3\t4\tcut in \n"
                                  "\"\tWho is two?\t0\n"
                                  "3\t5\t6\tIs it late?\tWhere is it?\t0\n\n";
    mts_options o = glue_options("qqp");
    const task_reading r = reading_with_tokenizer();
    text_classification *t = NULL;
    dataset d = {0};
    char expected[600];
    (void)state;
    snprintf(expected, sizeof expected,
             "%s/train.tsv:3: expected 6 fields, found 4: 2 such lines were left out\n",
             folder_root());
    folder_put_text("train.tsv", content);
    assert_ok(resolve(&o, &t));
    assert_ok(text_classification_load(&ctx, t, TASK_TRAIN, 0, &r, false, &d));
    assert_int_equal(d.n, 2);
    assert_string_equal(d.text_a[1], "Is it late?");
    assert_string_equal(d.text_b[1], "Where is it?");
    assert_int_equal(d.targets.index[0], 1);
    assert_int_equal(d.targets.index[1], 0);
    assert_string_equal(notes, expected);
    dataset_deinit(&d);
    /* predictions are counted by the rows of the test file: none may be missing */
    folder_put_text("test.tsv", "id\tquestion1\tquestion2\n0\tIs tea\n1\tIs tea hot?\tIs it?\n");
    assert_fails(text_classification_load(&ctx, t, TASK_TEST, 0, &r, false, &d), MTS_ERR_BAD_FILE,
                 "test.tsv:2: expected 3 fields, found 2");
    dataset_deinit(&d);
    done(t);
    o = train_options("own.tsv", content);
    o.label_column_name = "is_duplicate";
    assert_fails(resolve(&o, &t), MTS_ERR_BAD_FILE, "own.tsv:3: expected 6 fields, found 4");
    done(t);
}

/* The labels of one column, as they are taken: "a|b" or "regression". */
static const char *labels_of(const char *name, const char *content, int64_t do_regression)
{
    static char text[256];
    mts_options o = train_options(name, content);
    text_classification *t = NULL;
    o.do_regression = do_regression;
    if (resolve(&o, &t) != MTS_OK)
        snprintf(text, sizeof text, "%s", strrchr(ctx.error, '/') + 1);
    else
        snprintf(text, sizeof text, "%s", t->kind->named ? t->label_names[0] : "regression");
    for (int64_t i = 1; t->num_labels > i && t->kind->named; i++) {
        strcat(text, "|");
        strcat(text, t->label_names[i]);
    }
    done(t);
    return text;
}

static void test_blanks_around_labels(void **state)
{
    (void)state;
    assert_string_equal(labels_of("t.csv", "text,label\na, 3.5\nb, 2.25\nc, 1\nd,4.75 \n", -1),
                        "regression");
    assert_string_equal(labels_of("t.csv", "text,label\na,1\nb,1 \nc,\"\t0\n\"\n", -1), "0|1");
    assert_string_equal(labels_of("t.tsv", "text\tlabel\na\t10 \nb\t 9\n", -1), "9|10");
    assert_string_equal(labels_of("t.csv", "text,label\na,1\nb, nan\n", -1),
                        "t.csv:3: \"label\": expected a finite number, found \" nan\"");
    assert_string_equal(labels_of("t.csv", "text,label\na,1\nb,1 2\n", -1), "1|1 2");
    assert_string_equal(labels_of("t.csv", "text,label\na,x\nb,  \n", -1),
                        "t.csv:3: \"label\": expected a label, found an empty field");
    assert_string_equal(labels_of("t.csv", "text,label\na,x\nb,x \nc,y\n", -1), "x|x |y");
    assert_non_null(strstr(notes, "t.csv: \"label\": the classes \"x\" and \"x \" differ in "
                                  "nothing but blanks around them\n"));
    assert_string_equal(labels_of("t.csv", "text,label\na,x\nb,y z\n", -1), "x|y z");
    assert_null(strstr(notes, "blanks"));
}

/* The targets of such rows: the number, and the class that the number without blanks has. */
static void test_targets_of_blanks(void **state)
{
    static const float scores[] = {3.5f, 2.25f, 1.0f, 4.75f};
    static const int32_t classes[] = {1, 1, 0};
    mts_options o = train_options("t.csv", "text,label\na, 3.5\nb, 2.25\nc, 1\nd,\t4.75 \n");
    const task_reading r = reading_with_tokenizer();
    text_classification *t = NULL;
    dataset d = {0};
    (void)state;
    assert_ok(resolve(&o, &t));
    assert_ok(text_classification_load(&ctx, t, TASK_TRAIN, 0, &r, false, &d));
    assert_int_equal(d.n, 4);
    assert_int_equal(d.targets.kind, TARGET_SCORE);
    assert_memory_equal(d.targets.score, scores, sizeof scores);
    dataset_deinit(&d);
    done(t);
    o = train_options("t.csv", "text,label\na,1\nb,1 \nc,0\n");
    assert_ok(resolve(&o, &t));
    assert_ok(text_classification_load(&ctx, t, TASK_TRAIN, 0, &r, false, &d));
    assert_int_equal(d.n, 3);
    assert_int_equal(d.targets.kind, TARGET_CLASS);
    assert_memory_equal(d.targets.index, classes, sizeof classes);
    dataset_deinit(&d);
    done(t);
}

/* A string of JSON is text, whatever it looks like, unless numbers are asked for. */
static void test_strings_of_json(void **state)
{
    static const char reals[] = "{\"text\":\"a\",\"label\":\"3.5\"}\n"
                                "{\"text\":\"b\",\"label\":\" 2\"}\n";
    (void)state;
    assert_string_equal(labels_of("t.jsonl", reals, -1), " 2|3.5");
    assert_string_equal(labels_of("t.jsonl", reals, 1), "regression");
    assert_string_equal(labels_of("t.jsonl",
                                  "{\"text\":\"a\",\"label\":\"10\"}\n"
                                  "{\"text\":\"b\",\"label\":\"9\"}\n",
                                  -1),
                        "10|9");
    assert_string_equal(labels_of("t.jsonl",
                                  "{\"text\":\"a\",\"label\":10}\n"
                                  "{\"text\":\"b\",\"label\":9}\n",
                                  -1),
                        "9|10");
}

/* Where the labels are known, one is found with blanks around it, too; as it is before that. */
static void test_blanks_around_known_labels(void **state)
{
    static const char *const names[] = {"bad", " bad", "1 2"};
    static const int32_t expected[] = {0, 1, 0, 2};
    mts_options o = all_rows();
    const task_reading r = reading_with_tokenizer();
    task *t = NULL;
    dataset d = {0};
    (void)state;
    o.validation_file = put("v.csv", "text,label\na,bad\nb, bad\nc,bad  \nd,\t1 2\n");
    assert_ok(task_open(&ctx, &o, NULL, NULL, &t));
    text_classification *tc = (text_classification *)t;
    assert_ok(text_classification_take_labels(&ctx, tc, names, 3, &label_kind_class));
    assert_ok(text_classification_load(&ctx, tc, TASK_EVAL, 0, &r, false, &d));
    assert_memory_equal(d.targets.index, expected, sizeof expected);
    dataset_deinit(&d);
    task_close(t);
}

/* --------------------------------------------------------------------- what a folder says ---- */

/* The columns of own files go into the folder, and from there into evaluation and prediction. */
static void test_stored_columns(void **state)
{
    mts_options o = train_options("t.csv", "claim,\"proof, or not\",label\np,q,x\nr,s,y\n");
    const task_reading r = reading_with_tokenizer();
    json_t *stored = json_object();
    text_classification *t = NULL;
    test_rows *rows = NULL;
    task *later = NULL;
    dataset d = {0};
    char *text = NULL;
    (void)state;
    assert_ok(resolve(&o, &t));
    assert_ok(t->base.class->store(&ctx, &t->base, stored));
    text = json_dumps(stored, JSON_COMPACT);
    assert_string_equal(text, "{\"text_column_names\":[\"claim\",\"proof, or not\"],"
                              "\"label_column_name\":\"label\"}");
    free(text);
    done(t);
    o = all_rows();
    o.test_file = put("p.csv", "\"proof, or not\",label,claim\nq,x,p\n");
    assert_ok(test_rows_open(&ctx, &o, "classification", stored, hear, NULL, &rows));
    assert_int_equal(rows->n, 1);
    assert_string_equal(rows->text_a[0], "p");
    assert_string_equal(rows->text_b[0], "q");
    test_rows_close(rows);
    assert_ok(test_rows_open(&ctx, &o, NULL, NULL, NULL, NULL, &rows));
    assert_string_equal(rows->text_a[0], "q");
    test_rows_close(rows);
    o.text_column_names = "claim"; /* what is given wins */
    assert_ok(test_rows_open(&ctx, &o, NULL, stored, NULL, NULL, &rows));
    assert_string_equal(rows->text_a[0], "p");
    assert_null(rows->text_b);
    test_rows_close(rows);
    o.text_column_names = NULL;
    o.test_file = put("p.csv", "claim,why\np,q\n");
    assert_ok(task_open(&ctx, &o, NULL, stored, &later));
    assert_fails(
        text_classification_load(&ctx, (text_classification *)later, TASK_TEST, 0, &r, false, &d),
        MTS_ERR_BAD_FILE,
        "--text_column_names is not given, and the model was trained on \"claim\" and "
        "\"proof, or not\": ");
    task_close(later);
    json_decref(stored);
}

/* What is stored is a file, and may hold anything. */
static void test_malformed_stored_columns(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"{\"text_column_names\":\"a\"}", "expected an array of one or two names, found a string"},
        {"{\"text_column_names\":[]}", "one or two names, found another number of them"},
        {"{\"text_column_names\":[\"a\",\"b\",\"c\"]}", "found another number of them"},
        {"{\"text_column_names\":[\"a\",1]}",
         "text_column_names: expected names, found an integer"},
        {"{\"label_column_name\":[\"a\"]}", "label_column_name: expected a string, found an array"},
    };
    mts_options o = all_rows();
    (void)state;
    o.validation_file = "v.csv";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *stored = json_loads(cases[i].text, 0, NULL);
        task *t = NULL;
        assert_fails(task_open(&ctx, &o, NULL, stored, &t), MTS_ERR_BAD_FILE, cases[i].error);
        assert_null(t);
        json_decref(stored);
    }
    json_t *other = json_string("x"); /* no object: nothing is stored */
    task *t = NULL;
    assert_ok(task_open(&ctx, &o, NULL, other, &t));
    task_close(t);
    json_decref(other);
}

/* Read a file of the folder; freed by the caller. */
static char *content_of(const char *name)
{
    char *bytes = NULL;
    assert_ok(file_read_all(&ctx, folder_at(name), (size_t)1 << 20, &bytes, NULL));
    return bytes;
}

/* The outputs of three rows, in two batches that are not in the order of the rows. */
static void score(const text_classification *t, task_split split, const encoded_dataset *e,
                  const float *outputs, const char *dir, json_t *out)
{
    static const int64_t rows[] = {2, 0, 1};
    const task_class *class = t->base.class;
    const int64_t width = t->num_labels;
    task_scores *scores = NULL;
    float first[4];
    batch_plan plan = {0};
    batch b = {0};
    assert_ok(batch_plan_rows(&ctx, &plan, e, 2));
    assert_ok(batch_init(&ctx, &b, &plan));
    assert_ok(class->scores_begin(&ctx, &t->base, split, 0, e, &scores));
    batch_fill(&b, e, rows, 2);
    memcpy(first, outputs + 2 * width, (size_t)width * sizeof first[0]);
    memcpy(first + width, outputs, (size_t)width * sizeof first[0]);
    assert_ok(class->scores_add(&ctx, scores, &b, rows, first));
    batch_fill(&b, e, rows + 2, 1);
    assert_ok(class->scores_add(&ctx, scores, &b, rows + 2, outputs + width));
    assert_ok(class->scores_finish(&ctx, scores, dir, out));
    class->scores_close(scores);
    batch_deinit(&b);
}

static void test_scores(void **state)
{
    static const float outputs[] = {2, 1, 0, 4, -1, -2}; /* classes 0, 1, 0 */
    mts_options o = train_options("t.csv", "text,label\na,x\nb,y\nc,y\n");
    const task_reading r = reading_with_tokenizer();
    text_classification *t = NULL;
    encoded_dataset e = {0};
    json_t *found = json_object();
    (void)state;
    o.validation_file = put("v.csv", "text,label\na,x\nb,x\nc,x\n");
    assert_ok(resolve(&o, &t));
    assert_ok(t->base.class->encode(&ctx, &t->base, TASK_EVAL, 0, &r, &e));
    score(t, TASK_EVAL, &e, outputs, NULL, found);
    assert_int_equal(json_object_size(found), 2);
    assert_true(json_real_value(json_object_get(found, "eval_accuracy")) == 2.0 / 3.0);
    assert_true(json_real_value(json_object_get(found, "eval_f1")) == 0.0);
    encoded_dataset_deinit(&e);
    done(t);
    json_decref(found);
}

static void test_predictions(void **state)
{
    static const float outputs[] = {2, 1, 0, 4, -1, -2}; /* classes 0, 1, 0 */
    static const float values[] = {0.5f, -1.25f, 1e-9f};
    mts_options o = train_options("t.csv", "text,label\na,x\nb,y\n");
    const task_reading r = reading_with_tokenizer();
    text_classification *t = NULL;
    encoded_dataset e = {0};
    char *text;
    (void)state;
    o.test_file = put("p.csv", "text\na\nb\nc\n");
    assert_ok(resolve(&o, &t));
    assert_ok(t->base.class->encode(&ctx, &t->base, TASK_TEST, 0, &r, &e));
    assert_int_equal(e.targets.kind, TARGET_NONE);
    score(t, TASK_TEST, &e, outputs, folder_root(), NULL);
    text = content_of("predict_results.txt");
    assert_string_equal(text, "index\tprediction\n0\tx\n1\ty\n2\tx\n");
    mem_free(text);
    done(t);
    folder_put_text("t.csv", "text,label\na,1.5\nb,2\n");
    assert_ok(resolve(&o, &t));
    score(t, TASK_TEST, &e, values, folder_root(), NULL);
    text = content_of("predict_results.txt");
    assert_string_equal(text, "index\tprediction\n0\t0.500\n1\t-1.250\n2\t0.000\n");
    mem_free(text);
    encoded_dataset_deinit(&e);
    done(t);
}

/* A label as one field that can be read back. */
static void test_labels_with_breaks(void **state)
{
    static const float outputs[] = {2, 1, 0, 4, -1, -2}; /* classes 0, 1, 0 */
    mts_options o = train_options("t.jsonl", "{\"text\":\"a\",\"label\":\"\\t\\\\\\u0001\"}\n"
                                             "{\"text\":\"b\",\"label\":\"x\\r\\ny\"}\n");
    const task_reading r = reading_with_tokenizer();
    text_classification *t = NULL;
    encoded_dataset e = {0};
    char *text;
    (void)state;
    o.test_file = put("p.csv", "text\na\nb\nc\n");
    assert_ok(resolve(&o, &t));
    assert_ok(t->base.class->encode(&ctx, &t->base, TASK_TEST, 0, &r, &e));
    score(t, TASK_TEST, &e, outputs, folder_root(), NULL);
    text = content_of("predict_results.txt");
    assert_string_equal(text, "index\tprediction\n0\t\\t\\\\\\u0001\n1\tx\\r\\ny\n"
                              "2\t\\t\\\\\\u0001\n");
    mem_free(text);
    encoded_dataset_deinit(&e);
    done(t);
}

static int open_all(void **state)
{
    if (folder_open(state) != 0)
        return 1;
    folder_put_text("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\nc\nd\n");
    return tokenizer_open(&ctx, folder_root(), &tok) != MTS_OK;
}

static int close_all(void **state)
{
    tokenizer_close(tok);
    return folder_close(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_inputs_and_metrics),
        cmocka_unit_test(test_train_file_is_read_once),
        cmocka_unit_test(test_broken_lines),
        cmocka_unit_test(test_blanks_around_labels),
        cmocka_unit_test(test_targets_of_blanks),
        cmocka_unit_test(test_strings_of_json),
        cmocka_unit_test(test_blanks_around_known_labels),
        cmocka_unit_test(test_stored_columns),
        cmocka_unit_test(test_malformed_stored_columns),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_predictions),
        cmocka_unit_test(test_labels_with_breaks),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
