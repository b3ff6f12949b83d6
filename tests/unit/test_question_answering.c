/*
 * tasks/question_answering: which options ask for it, its files, rows and notes, what is refused,
 * scores of outputs that come in any order, files of predictions.
 */
#include "support/test_folder.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "tasks/answer_files.h"
#include "tasks/question_answering.h"

static mts_ctx ctx;

/* Ids: 0 [PAD], 1 [UNK], 2 [CLS], 3 [SEP], 4 "a" ... 13 "j". */
static const char vocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\nc\nd\ne\nf\ng\nh\ni\nj\n";

/* A paragraph of 7 words with two questions; of a row of 8 tokens it takes 3 windows. */
static const char train[] =
    "{\"data\": [{\"paragraphs\": [{\"context\": \"b c d e f g h\", \"qas\": ["
    "{\"id\": \"1\", \"question\": \" a\", \"answers\": [{\"text\": \"e f\", \"answer_start\": "
    "6}]},"
    "{\"id\": \"2\", \"question\": \"a\", \"answers\": [{\"text\": \"x\", \"answer_start\": 2}]}"
    "]}]}]}";

/* The same paragraph with a question without answers. */
static const char negative[] =
    "{\"data\": [{\"paragraphs\": [{\"context\": \"b c d e f g h\", \"qas\": ["
    "{\"id\": \"1\", \"question\": \"a\", \"answers\": [{\"text\": \"e f\", \"answer_start\": 6}]},"
    "{\"id\": \"2\", \"question\": \"a\", \"answers\": []}]}]}]}";

static mts_options options(void)
{
    mts_options o;
    mts_options_default(&o);
    o.doc_stride = 2;
    return o;
}

static task *open_task(const mts_options *o, const char *head, const json_t *stored)
{
    task *t = NULL;
    assert_ok(task_open(&ctx, o, head, stored, &t));
    assert_ptr_equal(t->class, &question_answering_class);
    return t;
}

static tokenizer *open_words(void)
{
    tokenizer *words = NULL;
    folder_put_text("vocab.txt", vocabulary);
    assert_ok(tokenizer_open(&ctx, folder_root(), &words));
    return words;
}

static char notes[2048];

static void keep_note(void *user, const char *text)
{
    (void)user;
    strncat(notes, text, sizeof notes - strlen(notes) - 2);
    strcat(notes, "\n");
}

/* Encode one set with rows of 8 tokens; the notes are in `notes`. */
static mts_status encode(task *t, task_split split, encoded_dataset *rows)
{
    tokenizer *words = open_words();
    const task_reading r = {.tokenizer = words, .max_length = 8, .threads = 2, .note = keep_note};
    notes[0] = '\0';
    const mts_status st = t->class->encode(&ctx, t, split, 0, &r, rows);
    tokenizer_close(words);
    return st;
}

/* ----------------------------------------------------------------------------- options ---- */

static bool is_taken(const mts_options *o, const char *head)
{
    return task_class_of(o, head) == &question_answering_class;
}

static void test_wanted(void **state)
{
    mts_options o = options();
    (void)state;
    folder_put_text("squad.json", train);
    folder_put_text("lines.json", "{\"sentence\": \"a\", \"label\": \"x\"}\n");
    assert_false(is_taken(&o, NULL));
    o.train_file = folder_at("squad.json");
    assert_true(is_taken(&o, NULL));
    assert_true(is_taken(&o, "spans"));
    assert_false(is_taken(&o, "classification"));
    o.train_file = folder_at("lines.json");
    assert_false(is_taken(&o, NULL));
    assert_true(is_taken(&o, "spans"));
    o.validation_file = folder_at("squad.json");
    assert_true(is_taken(&o, NULL));
    o = options();
    o.version_2_with_negative = true;
    assert_true(is_taken(&o, NULL));
    o = options();
    o.task_name = "squad";
    assert_true(is_taken(&o, NULL));
    o.task_name = "squad_v2";
    assert_true(is_taken(&o, "spans"));
    o.task_name = "rte";
    assert_false(is_taken(&o, NULL));
    assert_false(is_taken(&o, "spans"));
}

static void test_paths(void **state)
{
    mts_options o = options();
    task *t = NULL;
    (void)state;
    o.task_name = "squad_v2";
    o.data_dir = "dir";
    t = open_task(&o, NULL, NULL);
    assert_string_equal(t->class->input(t, 0), "dir/train-v2.0.json");
    assert_string_equal(t->class->input(t, 1), "dir/dev-v2.0.json");
    assert_null(t->class->input(t, 2));
    assert_int_equal(t->class->sets(t, TASK_TRAIN), 1);
    assert_int_equal(t->class->sets(t, TASK_EVAL), 1);
    assert_int_equal(t->class->sets(t, TASK_TEST), 0);
    assert_true(((question_answering *)t)->rules.negative);
    task_close(t);
    o.task_name = "squad";
    t = open_task(&o, NULL, NULL);
    assert_string_equal(t->class->input(t, 1), "dir/dev-v1.1.json");
    assert_false(((question_answering *)t)->rules.negative);
    task_close(t);
    o.data_dir = NULL;
    o.test_file = "test.json";
    t = open_task(&o, NULL, NULL);
    assert_string_equal(t->class->input(t, 0), "test.json");
    assert_int_equal(t->class->sets(t, TASK_EVAL), 0);
    task_close(t);
    o.test_file = NULL;
    assert_fails(task_open(&ctx, &o, NULL, NULL, &t), MTS_ERR_ARGUMENT,
                 "expected train_file, validation_file or test_file");
}

/* What a training stored is known again where the option is not given. */
static void test_stored(void **state)
{
    mts_options o = options();
    json_t *object = json_object();
    (void)state;
    o.task_name = "squad_v2";
    o.data_dir = "dir";
    task *t = open_task(&o, NULL, NULL);
    assert_ok(t->class->store(&ctx, t, object));
    task_close(t);
    o = options();
    o.validation_file = "x.json";
    t = open_task(&o, "spans", object);
    assert_true(((question_answering *)t)->rules.negative);
    task_metric metrics[TASK_METRICS_MAX];
    assert_int_equal(t->class->metrics(t, 0, metrics), 13);
    assert_string_equal(metrics[0].name, "exact");
    assert_true(metrics[0].greater_is_better);
    task_close(t);
    json_object_set_new(object, "version_2_with_negative", json_string("yes"));
    assert_fails(task_open(&ctx, &o, "spans", object, &t), MTS_ERR_BAD_FILE,
                 "version_2_with_negative: expected true or false, found a string");
    json_decref(object);
}

static void test_fit(void **state)
{
    mts_options o = options();
    model_config cfg;
    static const char *const three[] = {"x", "y", "z"};
    (void)state;
    o.train_file = "x.json";
    o.task_name = "squad";
    task *t = open_task(&o, NULL, NULL);
    assert_ok(model_config_init(&ctx, &cfg));
    assert_ok(model_config_set_labels(&ctx, &cfg, three, 3, false));
    assert_ok(t->class->fit(&ctx, t, "m", &cfg, true, NULL));
    assert_string_equal(t->head, "spans");
    assert_int_equal(cfg.num_labels, 2);
    assert_string_equal(cfg.labels[1], "LABEL_1");
    assert_null(json_object_get(cfg.json, "problem_type"));
    assert_fails(t->class->fit(&ctx, t, "m", &cfg, false, NULL), MTS_ERR_ARGUMENT,
                 "m: expected a model for question answering, found architecture none");
    cfg.architecture = "BertForQuestionAnswering";
    assert_ok(t->class->fit(&ctx, t, "m", &cfg, false, NULL));
    model_config_deinit(&cfg);
    task_close(t);
}

/* -------------------------------------------------------------------------------- rows ---- */

static void test_train_rows(void **state)
{
    mts_options o = options();
    encoded_dataset rows;
    static const int32_t begins[] = {0, 4, 0, 4, 0, 0}, ends[] = {0, 5, 0, 4, 0, 0};
    (void)state;
    folder_put_text("train.json", train);
    o.train_file = folder_at("train.json");
    task *t = open_task(&o, NULL, NULL);
    assert_ok(encode(t, TASK_TRAIN, &rows));
    assert_int_equal(rows.n, 6);
    assert_int_equal(rows.targets.kind, TARGET_SPAN);
    assert_memory_equal(rows.targets.begin, begins, sizeof begins);
    assert_memory_equal(rows.targets.end, ends, sizeof ends);
    assert_non_null(strstr(notes, "2 questions in 6 windows of at most 8 tokens"));
    assert_non_null(strstr(notes, "of 1 of 2 questions stands another text than the answer"));
    assert_null(strstr(notes, "have no answer"));
    encoded_dataset_deinit(&rows);
    task_close(t);
    o.max_train_samples = 1;
    t = open_task(&o, NULL, NULL);
    assert_ok(encode(t, TASK_TRAIN, &rows));
    assert_int_equal(rows.n, 3);
    encoded_dataset_deinit(&rows);
    task_close(t);
}

static void test_refused_files(void **state)
{
    mts_options o = options();
    encoded_dataset rows;
    (void)state;
    folder_put_text("negative.json", negative);
    o.train_file = o.validation_file = o.test_file = folder_at("negative.json");
    task *t = open_task(&o, NULL, NULL);
    assert_ok(encode(t, TASK_TRAIN, &rows));
    assert_non_null(strstr(notes, "1 of 2 questions have no answer"));
    encoded_dataset_deinit(&rows);
    assert_fails(encode(t, TASK_EVAL, &rows), MTS_ERR_BAD_FILE,
                 "question 2: expected an answer, found none; in files with negative questions");
    encoded_dataset_deinit(&rows);
    assert_ok(encode(t, TASK_TEST, &rows));
    assert_int_equal(rows.targets.kind, TARGET_NONE);
    encoded_dataset_deinit(&rows);
    folder_put_text("negative.json",
                    "{\"data\": [{\"id\": \"1\", \"context\": \"b\", \"question\": \"a\"}]}");
    assert_fails(encode(t, TASK_EVAL, &rows), MTS_ERR_BAD_FILE,
                 "question 1: expected the key \"answers\", found none");
    encoded_dataset_deinit(&rows);
    assert_ok(encode(t, TASK_TEST, &rows));
    encoded_dataset_deinit(&rows);
    folder_put_text("negative.json", "{\"data\": [{\"context\": \"b c d e\", \"question\": \"a b c "
                                     "d e f\", \"id\": \"7\", \"answers\": []}]}");
    assert_fails(encode(t, TASK_TRAIN, &rows), MTS_ERR_ARGUMENT,
                 "negative.json: question 1, id 7: maximum length 8");
    encoded_dataset_deinit(&rows);
    task_close(t);
}

static void test_texts(void **state)
{
    mts_options o = options();
    dataset d;
    (void)state;
    folder_put_text("test.json", negative);
    o.test_file = folder_at("test.json");
    task *t = open_task(&o, NULL, NULL);
    assert_ok(t->class->texts(&ctx, t, 0, NULL, &d));
    assert_int_equal(d.n, 2);
    assert_string_equal(d.text_a[1], "a");
    assert_string_equal(d.text_b[1], "b c d e f g h");
    dataset_deinit(&d);
    task_close(t);
}

/* ------------------------------------------------------------------------------ scores ---- */

/* Outputs for the rows in the order of index, two at a time: row 1 says "e" to "f", for question 2
 * (rows 3 to 5) no answer is best everywhere. */
static mts_status score(task *t, task_split split, const encoded_dataset *rows, const char *dir,
                        json_t *metrics)
{
    mts_status st = MTS_OK;
    static const int64_t index[] = {4, 1, 5, 0, 3, 2};
    task_scores *s = NULL;
    batch b = {0};
    batch_plan plan;
    float outputs[2 * 2 * 8];
    MTS_TRY(batch_plan_rows(&ctx, &plan, rows, 2));
    MTS_TRY(batch_init(&ctx, &b, &plan));
    MTS_TRY(t->class->scores_begin(&ctx, t, split, 0, rows, &s));
    for (int i = 0; i < 6; i += 2) {
        batch_fill(&b, rows, index + i, 2);
        memset(outputs, 0, sizeof outputs);
        for (int k = 0; k < 2; k++) {
            float *z = outputs + 2 * b.offsets[k];
            if (index[i + k] == 1)
                z[2 * 4] = z[2 * 5 + 1] = 7;
            if (index[i + k] >= 3)
                z[0] = z[1] = 3;
        }
        MTS_TRY(t->class->scores_add(&ctx, s, &b, index + i, outputs));
    }
    MTS_TRY(t->class->scores_finish(&ctx, s, dir, metrics));
cleanup:
    if (s != NULL)
        t->class->scores_close(s);
    batch_deinit(&b);
    return st;
}

static void assert_file(const char *name, const char *expected)
{
    char *text = NULL;
    assert_ok(file_read_all(&ctx, folder_at(name), 1 << 20, &text, NULL));
    assert_string_equal(text, expected);
    mem_free(text);
}

static double value_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void test_scores(void **state)
{
    mts_options o = options();
    encoded_dataset rows;
    json_t *metrics = json_object();
    (void)state;
    folder_put_text("dev.json", negative);
    o.validation_file = o.test_file = folder_at("dev.json");
    o.version_2_with_negative = true;
    task *t = open_task(&o, NULL, NULL);
    assert_ok(encode(t, TASK_EVAL, &rows));
    assert_int_equal(rows.n, 6);
    assert_ok(score(t, TASK_EVAL, &rows, folder_root(), metrics));
    assert_true(value_of(metrics, "eval_exact") == 100);
    assert_true(value_of(metrics, "eval_NoAns_f1") == 100);
    assert_true(value_of(metrics, "eval_best_f1_thresh") == -14);
    assert_file("eval_predictions.json", "{\n    \"1\": \"e f\",\n    \"2\": \"\"\n}\n");
    assert_file("eval_null_odds.json", "{\n    \"1\": -14.0,\n    \"2\": 6.0\n}\n");
    assert_true(file_exists(folder_at("eval_nbest_predictions.json")));
    encoded_dataset_deinit(&rows);
    assert_ok(encode(t, TASK_TEST, &rows));
    assert_ok(score(t, TASK_TEST, &rows, folder_root(), NULL));
    assert_file("predict_predictions.json", "{\n    \"1\": \"e f\",\n    \"2\": \"\"\n}\n");
    encoded_dataset_deinit(&rows);
    task_close(t);
    json_decref(metrics);
}

/* Every file that a run may write is listed, for those who look after the output folder. */
static void test_result_files(void **state)
{
    int n = 0;
    (void)state;
    while (question_answering_class.result_files[n] != NULL)
        n++;
    assert_int_equal(n, 2 * ANSWER_FILES_MAX);
    assert_string_equal(question_answering_class.result_files[5], "predict_null_odds.json");
}

/* ------------------------------------------------------------------------------ memory ---- */

static mts_status run_once(const mts_options *o, const tokenizer *words)
{
    mts_status st = MTS_OK;
    task *t = NULL;
    encoded_dataset rows = {0};
    json_t *metrics = json_object();
    const task_reading r = {.tokenizer = words, .max_length = 8, .threads = 1};
    MTS_TRY(task_open(&ctx, o, NULL, NULL, &t));
    MTS_TRY(t->class->encode(&ctx, t, TASK_EVAL, 0, &r, &rows));
    MTS_TRY(score(t, TASK_EVAL, &rows, NULL, metrics));
cleanup:
    encoded_dataset_deinit(&rows);
    task_close(t);
    json_decref(metrics);
    return st;
}

static void test_failing_memory(void **state)
{
    mts_options o = options();
    tokenizer *words = open_words();
    mts_status st = MTS_ERR_MEMORY;
    int64_t n = 0;
    (void)state;
    folder_put_text("dev.json", negative);
    o.validation_file = folder_at("dev.json");
    o.version_2_with_negative = true;
    for (; st == MTS_ERR_MEMORY; n++) {
        mem_fail_after(n);
        st = run_once(&o, words);
        mem_fail_after(-1);
    }
    assert_ok(st);
    assert_true(n > 40);
    tokenizer_close(words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_wanted, folder_open, folder_close),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_stored),
        cmocka_unit_test(test_fit),
        cmocka_unit_test_setup_teardown(test_train_rows, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(test_refused_files, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(test_texts, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(test_scores, folder_open, folder_close),
        cmocka_unit_test(test_result_files),
        cmocka_unit_test_setup_teardown(test_failing_memory, folder_open, folder_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
