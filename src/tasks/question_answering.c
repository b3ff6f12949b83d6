/* Question answering: options, files, rows, and the class.  See question_answering.h. */
#include "tasks/question_answering.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "tasks/answer_files.h"

enum { OUTPUTS = 2, NOTE_BYTES = 1024 }; /* of each token: begin and end */

#define NEGATIVE_KEY "version_2_with_negative"

static question_answering *self(task *t)
{
    return (question_answering *)t;
}

static const question_answering *self_const(const task *t)
{
    return (const question_answering *)t;
}

static void free_set(question_set *s)
{
    squad_set_deinit(&s->questions);
    question_windows_deinit(&s->windows);
}

static void close_task(task *t)
{
    for (int i = 0; i < QUESTION_SPLITS; i++) {
        mem_free(self(t)->paths[i]);
        free_set(&self(t)->sets[i]);
    }
    mem_free(t);
}

/* ------------------------------------------------------------------------------ opening ---- */

static bool is_named(const mts_options *o, const char *name)
{
    return o->task_name != NULL && strcmp(o->task_name, name) == 0;
}

/* By name; by the model that is there; by the files, or the option that only such files have. */
static bool is_wanted(const mts_options *o, const char *head)
{
    const char *const files[] = {o->train_file, o->validation_file, o->test_file};
    if (is_named(o, "squad") || is_named(o, "squad_v2"))
        return true;
    if (o->task_name != NULL)
        return false;
    if (head != NULL)
        return strcmp(head, "spans") == 0;
    for (int i = 0; i < QUESTION_SPLITS; i++)
        if (files[i] != NULL && squad_json_is(files[i]))
            return true;
    return o->version_2_with_negative;
}

/* The official files in data_dir, or those that are given. */
static mts_status set_paths(mts_ctx *ctx, const mts_options *o, question_answering *t)
{
    mts_status st = MTS_OK;
    const char *const files[] = {o->train_file, o->validation_file, o->test_file};
    static const char *const names[2][2] = {{"train-v1.1.json", "dev-v1.1.json"},
                                            {"train-v2.0.json", "dev-v2.0.json"}};
    bool any = false;
    for (int i = 0; i < QUESTION_SPLITS; i++) {
        any = any || files[i] != NULL;
        if (files[i] != NULL)
            MTS_TRY(mem_strdup(ctx, &t->paths[i], files[i]));
    }
    MTS_CHECK(any || o->data_dir != NULL, MTS_ERR_ARGUMENT,
              "question answering: expected train_file, validation_file or test_file, or task_name "
              "squad or squad_v2 with data_dir, found none");
    for (int i = 0; i < 2 && !any; i++)
        MTS_TRY(path_join(ctx, &t->paths[i], o->data_dir, names[is_named(o, "squad_v2")][i]));
cleanup:
    return st;
}

static mts_status open_task(mts_ctx *ctx, const mts_options *o, const json_t *stored, task **out)
{
    mts_status st = MTS_OK;
    question_answering *t = NULL;
    bool negative = false;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &t, 1, sizeof *t, "task"));
    t->base.class = &question_answering_class;
    MTS_TRY(json_util_bool(ctx, NULL, stored, NEGATIVE_KEY, &negative));
    MTS_TRY(set_paths(ctx, o, t));
    t->max_samples[TASK_TRAIN] = o->max_train_samples;
    t->max_samples[TASK_EVAL] = o->max_eval_samples;
    t->max_samples[TASK_TEST] = o->max_predict_samples;
    t->overlap = o->doc_stride;
    t->rules = (answer_rules){.n_best_size = o->n_best_size,
                              .max_answer_length = o->max_answer_length,
                              .negative =
                                  negative || o->version_2_with_negative || is_named(o, "squad_v2"),
                              .null_score_diff_threshold = o->null_score_diff_threshold};
    *out = &t->base;
    t = NULL;
cleanup:
    if (t != NULL)
        close_task(&t->base);
    return st;
}

/* Two outputs without names; a model that is evaluated must have been trained for this. */
static mts_status fit(mts_ctx *ctx, task *t, const char *model_dir, model_config *cfg, bool train,
                      const task_reading *r)
{
    mts_status st = MTS_OK;
    char quoted[UTF8_QUOTE_BYTES];
    const char *found = cfg->architecture == NULL ? "none" : cfg->architecture;
    (void)r;
    t->head = "spans";
    if (train) {
        MTS_TRY(model_config_set_labels(ctx, cfg, NULL, OUTPUTS, false));
        /* problem_type is of classifiers */
        return model_config_set_problem(ctx, cfg, MODEL_PROBLEM_NONE);
    }
    MTS_CHECK(strstr(found, "ForQuestionAnswering") != NULL, MTS_ERR_ARGUMENT,
              "%s: expected a model for question answering, found architecture %s", model_dir,
              utf8_quote(quoted, sizeof quoted, found));
cleanup:
    return st;
}

/* --------------------------------------------------------------------------------- sets ---- */

static int64_t count_sets(const task *t, task_split split)
{
    return self_const(t)->paths[split] != NULL;
}

static const char *suffix_of(const task *t, int64_t set)
{
    (void)t;
    (void)set;
    return "";
}

static const char *input_at(const task *t, int64_t i)
{
    for (int split = 0; split < QUESTION_SPLITS; split++)
        if (self_const(t)->paths[split] != NULL && i-- == 0)
            return self_const(t)->paths[split];
    return NULL;
}

/* *out: the questions of a split's file that are used. */
static mts_status read_questions(mts_ctx *ctx, const question_answering *t, task_split split,
                                 squad_set *out)
{
    static const char *const options[] = {"train_file", "validation_file", "test_file"};
    mts_status st = MTS_OK;
    const char *path = t->paths[split];
    *out = (squad_set){0};
    MTS_CHECK(path != NULL, MTS_ERR_ARGUMENT, "%s: expected a file, found none", options[split]);
    MTS_TRY(squad_json_read(ctx, path, out));
    if (t->max_samples[split] >= 0)
        squad_set_cut(out, t->max_samples[split]);
    if (split != TASK_TRAIN)
        MTS_TRY(squad_set_check_ids(ctx, out, path));
cleanup:
    return st;
}

/* Training needs to be told where answers are, and evaluation what they are; without negative
 * questions it needs one for each. */
static mts_status check_answers(mts_ctx *ctx, const question_answering *t, task_split split,
                                const squad_set *s)
{
    mts_status st = MTS_OK;
    for (int64_t i = 0; i < s->n && split != TASK_TEST; i++) {
        const squad_question *q = &s->questions[i];
        MTS_CHECK(q->answers != SQUAD_NO_ANSWERS, MTS_ERR_BAD_FILE,
                  "%s: question %lld: expected the key \"answers\", found none", t->paths[split],
                  (long long)i + 1);
        MTS_CHECK(q->answers > 0 || t->rules.negative || split == TASK_TRAIN, MTS_ERR_BAD_FILE,
                  "%s: question %lld: expected an answer, found none; in files with negative "
                  "questions (SQuAD 2.0) give --version_2_with_negative",
                  t->paths[split], (long long)i + 1);
    }
cleanup:
    return st;
}

/* Notes on what was read. */
static void note_questions(const question_answering *t, task_split split, const squad_set *s,
                           const encoded_dataset *rows, const task_reading *r)
{
    char text[NOTE_BYTES];
    const int64_t misplaced = squad_set_misplaced(s);
    int64_t negative = 0;
    if (r->note == NULL)
        return;
    snprintf(text, sizeof text, "%s: %lld questions in %lld windows of at most %lld tokens",
             t->paths[split], (long long)s->n, (long long)rows->n, (long long)r->max_length);
    r->note(r->user, text);
    if (split != TASK_TRAIN)
        return;
    for (int64_t i = 0; i < s->n; i++)
        negative += s->questions[i].answers == 0;
    if (negative > 0 && !t->rules.negative) {
        snprintf(text, sizeof text,
                 "%s: %lld of %lld questions have no answer; so that a question may be left "
                 "without one, give --version_2_with_negative",
                 t->paths[split], (long long)negative, (long long)s->n);
        r->note(r->user, text);
    }
    if (misplaced > 0) {
        snprintf(text, sizeof text,
                 "%s: at the \"answer_start\" of %lld of %lld questions stands another text than "
                 "the answer; trained as it is",
                 t->paths[split], (long long)misplaced, (long long)s->n);
        r->note(r->user, text);
    }
}

/* Arrays of pointers into a set, as question_windows_build takes them. */
typedef struct pointers {
    const char **questions, **contexts, **ids;
    const squad_answer **answers;
} pointers;

static void free_pointers(pointers *p)
{
    mem_free((void *)p->questions);
    mem_free((void *)p->contexts);
    mem_free((void *)p->ids);
    mem_free((void *)p->answers);
}

static mts_status point_to(mts_ctx *ctx, const squad_set *s, pointers *p)
{
    mts_status st = MTS_OK;
    const size_t n = (size_t)s->n;
    MTS_TRY(mem_calloc(ctx, &p->questions, n, sizeof p->questions[0], "questions"));
    MTS_TRY(mem_calloc(ctx, &p->contexts, n, sizeof p->contexts[0], "questions"));
    MTS_TRY(mem_calloc(ctx, &p->ids, n, sizeof p->ids[0], "questions"));
    MTS_TRY(mem_calloc(ctx, &p->answers, n, sizeof p->answers[0], "questions"));
    for (size_t i = 0; i < n; i++) {
        const squad_question *q = &s->questions[i];
        p->questions[i] = q->text;
        p->contexts[i] = s->contexts[q->context].text;
        p->ids[i] = q->id;
        p->answers[i] = q->answers > 0 ? &s->answers[q->first] : NULL;
    }
cleanup:
    return st;
}

/* Rows of a set; windows may be NULL. */
static mts_status encode_questions(mts_ctx *ctx, const question_answering *t, task_split split,
                                   const squad_set *s, const task_reading *r, encoded_dataset *out,
                                   question_windows *windows)
{
    mts_status st = MTS_OK;
    pointers p = {0};
    question_list list;
    const window_options options = {.tokenizer = r->tokenizer,
                                    .max_length = r->max_length,
                                    .overlap = t->overlap,
                                    .threads = r->threads,
                                    .progress = r->progress,
                                    .user = r->user};
    MTS_TRY(point_to(ctx, s, &p));
    list = (question_list){.n = s->n,
                           .questions = p.questions,
                           .contexts = p.contexts,
                           .ids = p.ids,
                           .answers = split == TASK_TEST ? NULL : p.answers};
    st = question_windows_build(ctx, &list, &options, out, windows);
    if (st != MTS_OK && st != MTS_ERR_INTERRUPTED)
        status_prefix(ctx, "%s", t->paths[split]);
cleanup:
    free_pointers(&p);
    return st;
}

static mts_status encode(mts_ctx *ctx, task *base, task_split split, int64_t set,
                         const task_reading *r, encoded_dataset *out)
{
    mts_status st = MTS_OK;
    question_answering *t = self(base);
    question_set read = {0};
    (void)set;
    *out = (encoded_dataset){0};
    MTS_TRY(read_questions(ctx, t, split, &read.questions));
    MTS_TRY(check_answers(ctx, t, split, &read.questions));
    MTS_TRY(encode_questions(ctx, t, split, &read.questions, r, out,
                             split == TASK_TRAIN ? NULL : &read.windows));
    note_questions(t, split, &read.questions, out, r);
    if (split != TASK_TRAIN) {
        free_set(&t->sets[split]);
        t->sets[split] = read;
        read = (question_set){0};
    }
cleanup:
    free_set(&read);
    return st;
}

/* Pairs of question and paragraph, named by their ids. */
static mts_status texts(mts_ctx *ctx, task *base, int64_t set, const task_reading *r, dataset *out)
{
    mts_status st = MTS_OK;
    squad_set s = {0};
    (void)set;
    (void)r;
    *out = (dataset){0};
    MTS_TRY(read_questions(ctx, self(base), TASK_TEST, &s));
    MTS_TRY(dataset_init(ctx, out, s.n, true, TARGET_NONE, 0));
    MTS_TRY(mem_calloc(ctx, &out->ids, (size_t)s.n, sizeof out->ids[0], "ids"));
    for (int64_t i = 0; i < s.n; i++) {
        out->ids[i] = s.questions[i].id;
        out->text_a[i] = s.questions[i].text;
        out->text_b[i] = s.contexts[s.questions[i].context].text;
    }
    out->storage = s.storage;
    s.storage = NULL;
cleanup:
    squad_set_deinit(&s);
    return st;
}

static mts_status store(mts_ctx *ctx, const task *t, json_t *object)
{
    return json_util_set(ctx, object, NEGATIVE_KEY, json_boolean(self_const(t)->rules.negative));
}

const task_class question_answering_class = {
    .name = "question_answering",
    .result_files = answer_files_names,
    .usual_length = 384, /* run_qa.py's default */
    .answers = true,
    .wanted = is_wanted,
    .open = open_task,
    .close = close_task,
    .fit = fit,
    .sets = count_sets,
    .suffix = suffix_of,
    .input = input_at,
    .encode = encode,
    .texts = texts,
    .store = store,
    .metrics = question_answering_metrics,
    .scores_begin = question_answering_scores_begin,
    .scores_add = question_answering_scores_add,
    .scores_finish = question_answering_scores_finish,
    .scores_close = question_answering_scores_close,
};
