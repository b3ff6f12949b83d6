/*
 * tasks/token_classification with data/tagged_file, tasks/tag_labels and tasks/word_rows: which
 * options ask for it, both forms of files, which tokens have which tag, what is cut, the order of
 * labels, what is refused, scores of outputs, and the file of predictions.
 */
#include "support/test_folder.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "tasks/token_classification.h"
#include "tasks/word_tags.h"

static mts_ctx ctx;

/* Ids: 0 [PAD], 1 [UNK], 2 [CLS], 3 [SEP], 4 "a", 5 "b", 6 "c", 7 "d", 8 "##a", 9 "##b". */
static const char vocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\nc\nd\n##a\n##b\n";

/* Labels in order: B-x 0, I-x 1, O 2. */
static const char columns[] = "-DOCSTART- O\n\na O\nbab B-x\nc I-x\n\n\nd O\n";
static const char json[] =
    "{\"tokens\": [\"a\", \"bab\", \"c\"], \"ner_tags\": [\"O\", \"B-x\", \"I-x\"]}\n"
    "{\"id\": 7, \"ner_tags\": [\"O\"], \"tokens\": [\"d\"]}\n";

static mts_options options(void)
{
    mts_options o;
    mts_options_default(&o);
    return o;
}

static task *open_task(const mts_options *o, const char *head, const json_t *stored)
{
    task *t = NULL;
    assert_ok(task_open(&ctx, o, head, stored, &t));
    assert_ptr_equal(t->class, &token_classification_class);
    return t;
}

static char notes[4096];

static void keep_note(void *user, const char *text)
{
    (void)user;
    strncat(notes, text, sizeof notes - strlen(notes) - 2);
    strcat(notes, "\n");
}

static task_reading reading(int64_t max_length)
{
    task_reading r = {.max_length = max_length, .threads = 1, .note = keep_note};
    tokenizer *words = NULL;
    folder_put_text("vocab.txt", vocabulary);
    assert_ok(tokenizer_open(&ctx, folder_root(), &words));
    r.tokenizer = words;
    notes[0] = '\0';
    return r;
}

static mts_status fit(task *t, model_config *cfg, bool train)
{
    const task_reading r = {.note = keep_note};
    notes[0] = '\0';
    return t->class->fit(&ctx, t, "m", cfg, train, &r);
}

static mts_status encode(task *t, task_split split, int64_t max_length, encoded_dataset *rows)
{
    const task_reading r = reading(max_length);
    const mts_status st = t->class->encode(&ctx, t, split, 0, &r, rows);
    tokenizer_close((tokenizer *)r.tokenizer);
    return st;
}

static void assert_numbers(const int32_t *found, const int32_t *expected, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (found[i] != expected[i])
            fail_msg("number %lld is %d, expected %d", (long long)i, found[i], expected[i]);
}

/* A model's configuration with the head of such a model and these labels. */
static void config_init(model_config *cfg, const char *const *labels, int64_t n)
{
    assert_ok(model_config_init(&ctx, cfg));
    if (labels != NULL)
        assert_ok(model_config_set_labels(&ctx, cfg, labels, n, false));
    cfg->architecture = labels == NULL ? "BertModel" : "BertForTokenClassification";
}

/* ----------------------------------------------------------------------------- options ---- */

static bool is_taken(const mts_options *o, const char *head)
{
    return task_class_of(o, head) == &token_classification_class;
}

static void test_wanted(void **state)
{
    mts_options o = options();
    task *t = NULL;
    (void)state;
    folder_put_text("a.conll", columns);
    folder_put_text("a.json", json);
    folder_put_text("other.json", "{\"text\": \"tokens\", \"label\": 1}\n");
    assert_false(is_taken(&o, NULL));
    assert_true(is_taken(&o, "tokens"));
    o.train_file = folder_at("other.json");
    assert_false(is_taken(&o, NULL));
    o.task_name = "ner";
    assert_true(is_taken(&o, NULL));
    o.task_name = NULL;
    o.train_file = folder_at("a.json");
    assert_true(is_taken(&o, NULL));
    assert_false(is_taken(&o, "classification"));
    o.train_file = folder_at("a.conll");
    assert_true(is_taken(&o, NULL));
    o.text_column_names = "w";
    assert_fails(task_open(&ctx, &o, NULL, NULL, &t), MTS_ERR_ARGUMENT,
                 "option --text_column_names names a key of .json files");
    o.train_file = folder_at("a.json");
    o.text_column_names = "w,v";
    assert_fails(task_open(&ctx, &o, NULL, NULL, &t), MTS_ERR_ARGUMENT, "expected one name");
    o = options();
    o.train_file = folder_at("other.json");
    o.label_all_tokens = 1;
    assert_fails(task_open(&ctx, &o, NULL, NULL, &t), MTS_ERR_ARGUMENT,
                 "option --label_all_tokens needs token classification");
}

/* -------------------------------------------------------------------------------- rows ---- */

/* [CLS] a b ##a ##b c [SEP]   [CLS] d [SEP] */
static const int32_t ids[] = {2, 4, 5, 8, 9, 6, 3, 2, 7, 3};
static const int32_t first_only[] = {-100, 2, 0, -100, -100, 1, -100, -100, 2, -100};
static const int32_t all_tokens[] = {-100, 2, 0, 1, 1, 1, -100, -100, 2, -100};

static void test_rows(void **state)
{
    static const char *const files[] = {"a.conll", "a.json"};
    (void)state;
    folder_put_text("a.conll", columns);
    folder_put_text("a.json", json);
    for (int i = 0; i < 4; i++) {
        mts_options o = options();
        encoded_dataset rows = {0};
        model_config cfg;
        o.train_file = folder_at(files[i % 2]);
        o.label_all_tokens = i / 2;
        task *t = open_task(&o, NULL, NULL);
        config_init(&cfg, NULL, 0);
        assert_ok(fit(t, &cfg, true));
        assert_string_equal(t->head, "tokens");
        assert_int_equal(cfg.num_labels, 3);
        assert_string_equal(cfg.labels[0], "B-x");
        assert_string_equal(cfg.labels[2], "O");
        assert_null(json_object_get(cfg.json, "problem_type"));
        assert_ok(encode(t, TASK_TRAIN, 64, &rows));
        assert_int_equal(rows.n, 2);
        assert_int_equal(rows.targets.kind, TARGET_TAGS);
        assert_int_equal(rows.offsets[2], 10);
        assert_int_equal(rows.max_len, 7);
        assert_numbers(rows.ids, ids, 10);
        assert_numbers(rows.targets.index, i / 2 == 1 ? all_tokens : first_only, 10);
        assert_string_equal(notes, "");
        encoded_dataset_deinit(&rows);
        model_config_deinit(&cfg);
        task_close(t);
    }
}

/* Rows of 6 tokens: "c" is cut away; of 4 the second and third token of "bab" are. */
static void test_cut(void **state)
{
    static const int64_t lengths[] = {6, 4, 3};
    static const int32_t expected[][7] = {
        {-100, 2, 0, -100, -100, -100}, {-100, 2, 0, -100}, {-100, 2, -100}};
    static const char *const words[] = {"1 in all", "1 in all", "2 in all"};
    (void)state;
    folder_put_text("a.conll", columns);
    for (int i = 0; i < 3; i++) {
        mts_options o = options();
        encoded_dataset rows = {0};
        model_config cfg;
        o.train_file = folder_at("a.conll");
        task *t = open_task(&o, NULL, NULL);
        config_init(&cfg, NULL, 0);
        assert_ok(fit(t, &cfg, true));
        assert_ok(encode(t, TASK_TRAIN, lengths[i], &rows));
        assert_int_equal(rows.offsets[1], lengths[i]);
        assert_numbers(rows.targets.index, expected[i], lengths[i]);
        assert_int_equal(rows.cut, 1);
        assert_non_null(strstr(notes, "1 of 2 sentences were cut to --max_seq_length"));
        assert_non_null(strstr(notes, words[i]));
        encoded_dataset_deinit(&rows);
        model_config_deinit(&cfg);
        task_close(t);
    }
}

/* Of words without tokens nothing is learned; a sentence of them is left out of training alone. */
static void test_without_tokens(void **state)
{
    mts_options o = options();
    encoded_dataset rows = {0};
    model_config cfg;
    static const int32_t expected[] = {-100, 0, 1, -100};
    (void)state;
    folder_put_text("a.json",
                    "{\"words\": [\"a\", \"\", \"\\u0007\", \"b\"], \"tags\": [0, 1, 1, 1]}"
                    "{\"words\": [\"\"], \"tags\": [1]}{\"words\": [], \"tags\": []}");
    o.train_file = o.validation_file = folder_at("a.json");
    o.task_name = "ner";
    task *t = open_task(&o, NULL, NULL);
    config_init(&cfg, NULL, 0);
    assert_ok(fit(t, &cfg, true));
    assert_string_equal(cfg.labels[1], "1");
    assert_non_null(strstr(notes, "words in \"words\", tags in \"tags\": 2 tags"));
    assert_non_null(strstr(notes, "not all of the forms O, B-X, I-X"));
    assert_ok(encode(t, TASK_TRAIN, 64, &rows));
    assert_int_equal(rows.n, 1);
    assert_numbers(rows.targets.index, expected, 4);
    assert_non_null(strstr(notes, "2 words have no tokens"));
    assert_non_null(strstr(notes, "2 sentences without a word are left out"));
    encoded_dataset_deinit(&rows);
    assert_ok(encode(t, TASK_EVAL, 64, &rows));
    assert_int_equal(rows.n, 3);
    encoded_dataset_deinit(&rows);
    model_config_deinit(&cfg);
    task_close(t);
}

/* ------------------------------------------------------------------------------ labels ---- */

static void test_labels(void **state)
{
    static const char *const theirs[] = {"O", "B-x", "I-x"}, *const others[] = {"O", "B-y", "I-y"};
    static const char numbers[] = "{\"tokens\": [\"a\", \"b\"], \"ner_tags\": [0, 2]}";
    const struct {
        const char *file;
        const char *const *labels;
        bool other;
        const char *first;
    } cases[] = {{columns, theirs, false, "O"},
                 {columns, others, true, "B-x"},
                 {columns, NULL, true, "B-x"},
                 {numbers, theirs, false, "O"},
                 {numbers, NULL, true, "0"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mts_options o = options();
        model_config cfg;
        const char *name = cases[i].file == numbers ? "n.json" : "n.conll";
        folder_put_text(name, cases[i].file);
        o.train_file = folder_at(name);
        task *t = open_task(&o, NULL, NULL);
        config_init(&cfg, cases[i].labels, 3);
        assert_ok(fit(t, &cfg, true));
        assert_int_equal(t->other_labels, cases[i].other);
        assert_int_equal(cfg.num_labels, 3);
        assert_string_equal(cfg.labels[0], cases[i].first);
        model_config_deinit(&cfg);
        task_close(t);
    }
}

/* A file may name a label twice: then its labels are not those of the data. */
static void test_label_twice(void **state)
{
    static const char *const theirs[] = {"O", "B-x", "I-x"};
    mts_options o = options();
    model_config cfg;
    (void)state;
    folder_put_text("n.conll", columns);
    o.train_file = folder_at("n.conll");
    task *t = open_task(&o, NULL, NULL);
    config_init(&cfg, theirs, 3);
    memcpy(cfg.labels[2], "B-x", sizeof "B-x");
    assert_ok(fit(t, &cfg, true));
    assert_true(t->other_labels);
    assert_string_equal(cfg.labels[1], "I-x");
    model_config_deinit(&cfg);
    task_close(t);
}

/* Keys are no values: of "words" and "tags" the file has these, whatever its words are. */
static void test_keys(void **state)
{
    static const char *const texts[] = {
        "{\"words\": [\"Our\", \"tokens\"], \"tags\": [\"O\", \"B-x\"]}",
        "{\"words\":\n [\"a\", \"\\\"tokens\\\":\"],\n \"tags\" : [\"O\", \"B-x\"]}"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        mts_options o = options();
        model_config cfg;
        folder_put_text("w.json", texts[i]);
        o.train_file = folder_at("w.json");
        o.task_name = "ner";
        task *t = open_task(&o, NULL, NULL);
        config_init(&cfg, NULL, 0);
        assert_ok(fit(t, &cfg, true));
        assert_int_equal(cfg.num_labels, 2);
        model_config_deinit(&cfg);
        task_close(t);
    }
}

/* What a folder keeps, and what evaluation takes of it. */
static void test_stored(void **state)
{
    mts_options o = options();
    json_t *object = json_object();
    model_config cfg;
    bool all = false;
    (void)state;
    folder_put_text("k.json", "{\"w\": [\"a\", \"b\"], \"t\": [\"O\", \"B-x\"]}");
    o.train_file = folder_at("k.json");
    o.task_name = "ner";
    o.text_column_names = "w";
    o.label_column_name = "t";
    o.label_all_tokens = 1;
    task *t = open_task(&o, NULL, NULL);
    config_init(&cfg, NULL, 0);
    assert_ok(fit(t, &cfg, true));
    assert_ok(t->class->store(&ctx, t, object));
    assert_ok(json_util_bool(&ctx, NULL, object, "label_all_tokens", &all));
    assert_true(all);
    task_close(t);
    model_config_deinit(&cfg);
    o = options();
    o.validation_file = folder_at("k.json");
    t = open_task(&o, "tokens", object);
    assert_true(((token_classification *)t)->all_tokens);
    assert_string_equal(((token_classification *)t)->columns.label, "t");
    task_close(t);
    o.label_all_tokens = 0;
    t = open_task(&o, "tokens", object);
    assert_false(((token_classification *)t)->all_tokens);
    config_init(&cfg, NULL, 0);
    assert_fails(fit(t, &cfg, false), MTS_ERR_ARGUMENT,
                 "m: expected a model for token classification, found architecture BertModel");
    model_config_deinit(&cfg);
    task_close(t);
    json_decref(object);
}

/* ----------------------------------------------------------------------------- refused ---- */

static void test_refused(void **state)
{
    static const struct {
        const char *name, *text, *error;
    } cases[] = {
        {"a.conll", "a O\nb\n", "a.conll:2: expected a word and its tag"},
        {"a.conll", "a O\n\nb N O\n", "a.conll:3: expected 2 columns, as in line 1, found 3"},
        {"a.conll", "a\tO\n\tO\n", "a.conll:2: expected a word and its tag, found an empty word"},
        {"a.conll", "a\tO\nb\t\n", "a.conll:2: expected a word and its tag, found an empty tag"},
        {"a.conll", "a O\nb \xff\n", "a.conll:2: expected UTF-8, found the byte 0xff"},
        {"a.conll", "\n\n-DOCSTART- O\n", "a.conll: expected sentences of words, found none"},
        {"a.conll", "a O\nb O\n", "at least two different tags, found only \"O\""},
        {"a.json", "{\"tokens\": [\"a\"], \"ner_tags\": []}",
         "a.json:1:34: expected a tag for each word, found 1 words and 0 tags"},
        {"a.json", "{\"tokens\": [\"a\"]}", "expected the key \"ner_tags\""},
        {"a.json", "{\"ner_tags\": [\"O\"]}", "expected the key \"tokens\""},
        {"a.json", "{\"tokens\": [\"a\"], \"ner_tags\": [\"O\"]}\n\n[]",
         "a.json:3:1: expected an object, found an array"},
        {"a.json", "{\"tokens\": [\"a\"], \"tokens\": [\"a\"], \"ner_tags\": [0]}",
         "the key \"tokens\" is there twice"},
        {"a.json", "{\"tokens\": [1], \"ner_tags\": [0]}", "expected a string, found a number"},
        {"a.json", "{\"tokens\": [\"a\"], \"ner_tags\": [null]}", "expected a string, found null"},
        {"a.json", "{\"tokens\": [\"a\"], \"ner_tags\": [\"\"]}", "found an empty text"},
        {"a.json", "{\"tokens\": [\"a\", \"b\"], \"ner_tags\": [0, -1]}",
         "a.json:1: expected tags from 0 to 65535, found -1"},
        {"a.json", "{\"tokens\": [\"a\", \"b\"], \"ner_tags\": [\"O\", \"B-\\n\"]}",
         "expected tags without control characters"},
        {"a.json", "{\"tokens\": [\"a\", ], \"ner_tags\": [\"O\"]}",
         "a.json:1:18: expected a JSON"},
        {"a.json", "", "expected sentences of words, found none"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mts_options o = options();
        model_config cfg;
        folder_put_text(cases[i].name, cases[i].text);
        o.train_file = folder_at(cases[i].name);
        o.task_name = "ner";
        task *t = open_task(&o, NULL, NULL);
        config_init(&cfg, NULL, 0);
        assert_fails(fit(t, &cfg, true), MTS_ERR_BAD_FILE, cases[i].error);
        model_config_deinit(&cfg);
        task_close(t);
    }
}

/* A tag that the model does not have; a set that is asked for and was not given. */
static void test_unknown_tag(void **state)
{
    static const char *const theirs[] = {"O", "B-x", "I-x"};
    mts_options o = options();
    encoded_dataset rows = {0};
    model_config cfg;
    (void)state;
    folder_put_text("v.conll", "a O\n\n\nb B-x\nc B-y\n");
    o.validation_file = folder_at("v.conll");
    task *t = open_task(&o, "tokens", NULL);
    config_init(&cfg, theirs, 3);
    assert_ok(fit(t, &cfg, false));
    assert_fails(encode(t, TASK_EVAL, 64, &rows), MTS_ERR_BAD_FILE,
                 "v.conll:5: expected one of the tags \"O\", \"B-x\", \"I-x\", found \"B-y\"");
    assert_fails(encode(t, TASK_TEST, 64, &rows), MTS_ERR_ARGUMENT, "test_file: expected a file");
    assert_fails(encode(t, TASK_EVAL, 1, &rows), MTS_ERR_BAD_FILE, "v.conll:5");
    encoded_dataset_deinit(&rows);
    model_config_deinit(&cfg);
    task_close(t);
}

/* ------------------------------------------------------------------------------ scores ---- */

/* Outputs that say tag[t] of each token. */
static void set_outputs(float *outputs, const int *tag, int64_t n)
{
    memset(outputs, 0, (size_t)n * 3 * sizeof *outputs);
    for (int64_t i = 0; i < n; i++)
        outputs[3 * i + tag[i]] = 1.0f;
}

/* Scores of both sentences in the other order; returns t's metrics or writes its predictions. */
static void score(task *t, task_split split, const encoded_dataset *rows, json_t *out)
{
    /* [CLS] d [SEP], [CLS] a b ##a ##b c [SEP]; 0 is O, 1 B-x, 2 I-x */
    static const int tags[] = {1, 0, 1, 0, 2, 1, 0, 0, 2, 0};
    static const int64_t index[] = {1, 0};
    int64_t offsets[] = {0, 3, 10};
    float outputs[30];
    task_scores *s = NULL;
    const batch b = {.n = 2, .total_tokens = 10, .offsets = offsets};
    set_outputs(outputs, tags, 10);
    assert_ok(t->class->scores_begin(&ctx, t, split, 0, rows, &s));
    assert_ok(t->class->scores_add(&ctx, s, &b, index, outputs));
    assert_ok(t->class->scores_finish(&ctx, s, folder_root(), out));
    t->class->scores_close(s);
}

static void test_scores(void **state)
{
    static const char *const theirs[] = {"O", "B-x", "I-x"};
    mts_options o = options();
    encoded_dataset eval = {0}, test = {0};
    task_metric listed[TASK_METRICS_MAX];
    model_config cfg;
    json_t *out = json_object();
    char *text = NULL;
    (void)state;
    folder_put_text("v.conll", columns);
    o.validation_file = o.test_file = folder_at("v.conll");
    task *t = open_task(&o, "tokens", NULL);
    config_init(&cfg, theirs, 3);
    assert_ok(fit(t, &cfg, false));
    assert_ok(encode(t, TASK_EVAL, 64, &eval));
    assert_ok(encode(t, TASK_TEST, 64, &test));
    assert_int_equal(test.targets.kind, TARGET_NONE);
    assert_int_equal(t->class->metrics(t, 0, listed), 4);
    assert_string_equal(listed[2].name, "f1");
    assert_true(listed[2].greater_is_better);
    /* true: (x 1..2); found: (x 0..0), (x 1..2) of "I-x B-x I-x" */
    score(t, TASK_EVAL, &eval, out);
    assert_true(json_real_value(json_object_get(out, "eval_precision")) == 0.5);
    assert_true(json_real_value(json_object_get(out, "eval_recall")) == 1.0);
    assert_true(json_real_value(json_object_get(out, "eval_accuracy")) == 0.75);
    score(t, TASK_TEST, &test, NULL);
    assert_ok(file_read_all(&ctx, folder_at("predictions.txt"), 1000, &text, NULL));
    assert_string_equal(text, "I-x B-x I-x\nO\n");
    mem_free(text);
    json_decref(out);
    encoded_dataset_deinit(&eval);
    encoded_dataset_deinit(&test);
    model_config_deinit(&cfg);
    task_close(t);
}

/* ------------------------------------------------------------------------ in memory ---- */

static void test_in_memory(void **state)
{
    static const char *const sentences[] = {" a  bab\tc ", "", "a b\n\nd\n"};
    static char *const names[] = {"O", "B-x", "I-x"};
    const task_reading r = reading(4);
    const word_options how = {.tokenizer = r.tokenizer, .max_length = 4};
    word_tags a = {0};
    (void)state;
    assert_ok(word_tags_encode(&ctx, &a, sentences, 3, 3, &how));
    assert_int_equal(a.rows.offsets[3], 4 + 2 + 4); /* a b; nothing; a b of "a b" */
    assert_int_equal(a.rows.cut, 2);
    for (int64_t t = 0; t < 10; t++)
        a.logits[3 * t + t % 3] = 2.0f;
    assert_ok(word_tags_find(&ctx, &a, names, 3));
    const mts_tagging *s = &a.sentences[0];
    assert_int_equal(s->n, 3);
    assert_int_equal(s->tagged, 2);
    assert_string_equal(s->words[1], "bab");
    assert_string_equal(s->tags[0], "B-x");
    assert_string_equal(s->tags[1], "I-x");
    assert_null(s->tags[2]);
    assert_true(s->scores[0] > 0.78 && s->scores[0] < 0.79 && s->scores[2] == 0.0);
    assert_int_equal(a.sentences[1].n, 0);
    s = &a.sentences[2];
    assert_int_equal(s->n, 3);
    assert_int_equal(s->tagged, 2);
    assert_string_equal(s->words[0], "a b");
    assert_string_equal(s->words[1], "");
    assert_string_equal(s->tags[1], "O"); /* without tokens */
    assert_true(s->scores[1] == 0.0);
    word_tags_deinit(&a);
    tokenizer_close((tokenizer *)r.tokenizer);
}

/* Each allocation fails once. */
static void test_without_memory(void **state)
{
    int64_t n = 0;
    (void)state;
    folder_put_text("a.json", json);
    for (mts_status st = MTS_ERR_MEMORY; st != MTS_OK; n++) {
        mts_options o = options();
        encoded_dataset rows = {0};
        model_config cfg;
        const task_reading r = reading(64);
        task *t = NULL;
        config_init(&cfg, NULL, 0);
        o.train_file = o.test_file = folder_at("a.json");
        o.label_all_tokens = 1;
        mem_fail_after(n);
        st = task_open(&ctx, &o, NULL, NULL, &t);
        if (st == MTS_OK)
            st = t->class->fit(&ctx, t, "m", &cfg, true, &r);
        if (st == MTS_OK)
            st = t->class->encode(&ctx, t, TASK_TRAIN, 0, &r, &rows);
        mem_fail_after(-1);
        if (st != MTS_OK)
            assert_int_equal(st, MTS_ERR_MEMORY);
        encoded_dataset_deinit(&rows);
        model_config_deinit(&cfg);
        task_close(t);
        tokenizer_close((tokenizer *)r.tokenizer);
        assert_true(n < 1000);
    }
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wanted),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_without_tokens),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_label_twice),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_stored),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_unknown_tag),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_in_memory),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, folder_open, folder_close);
}
