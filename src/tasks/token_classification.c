/* Token classification: options, labels, files, rows, and the class.  See token_classification.h.
 */
#include "tasks/token_classification.h"

#include <stdio.h>
#include <string.h>

#include "base/json_util.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "tasks/entity_metrics.h"

enum { NOTE_BYTES = 1024 };

#define ALL_TOKENS_KEY "label_all_tokens"

static token_classification *self(task *t)
{
    return (token_classification *)t;
}

static const token_classification *self_const(const task *t)
{
    return (const token_classification *)t;
}

static void close_task(task *t)
{
    for (int i = 0; i < TAG_SPLITS; i++)
        mem_free(self(t)->paths[i]);
    word_rows_deinit(&self(t)->test_rows);
    column_names_deinit(&self(t)->columns);
    tag_labels_deinit(&self(t)->labels);
    tagged_set_deinit(&self(t)->train);
    mem_free(t);
}

/* ------------------------------------------------------------------------------ opening ---- */

/* By name; by the model that is there; by the files. */
static bool is_wanted(const mts_options *o, const char *head)
{
    const char *const files[] = {o->train_file, o->validation_file, o->test_file};
    if (o->task_name != NULL)
        return strcmp(o->task_name, "ner") == 0;
    if (head != NULL)
        return strcmp(head, "tokens") == 0;
    for (int i = 0; i < TAG_SPLITS; i++)
        if (files[i] != NULL && tagged_file_is(files[i]))
            return true;
    return false;
}

static mts_status set_paths(mts_ctx *ctx, const mts_options *o, token_classification *t)
{
    mts_status st = MTS_OK;
    const char *const files[] = {o->train_file, o->validation_file, o->test_file};
    const char *named = o->text_column_names != NULL   ? "text_column_names"
                        : o->label_column_name != NULL ? "label_column_name"
                                                       : NULL;
    bool any = false;
    for (int i = 0; i < TAG_SPLITS; i++) {
        if (files[i] == NULL)
            continue;
        any = true;
        MTS_CHECK(named == NULL || tagged_file_is_json(files[i]), MTS_ERR_ARGUMENT,
                  "option --%s names a key of .json files: in the columns of %s the word is the "
                  "first and the tag the last",
                  named, files[i]);
        MTS_TRY(mem_strdup(ctx, &t->paths[i], files[i]));
    }
    MTS_CHECK(any, MTS_ERR_ARGUMENT,
              "token classification: expected train_file, validation_file or test_file, found "
              "none");
cleanup:
    return st;
}

static mts_status open_task(mts_ctx *ctx, const mts_options *o, const json_t *stored, task **out)
{
    mts_status st = MTS_OK;
    token_classification *t = NULL;
    *out = NULL;
    MTS_CHECK(o->do_regression != 1 && o->label_separator == NULL, MTS_ERR_ARGUMENT,
              "option --%s: words have tags, one each",
              o->do_regression == 1 ? "do_regression" : "label_separator");
    MTS_TRY(mem_calloc(ctx, &t, 1, sizeof *t, "task"));
    t->base.class = &token_classification_class;
    MTS_TRY(json_util_bool(ctx, NULL, stored, ALL_TOKENS_KEY, &t->all_tokens));
    if (o->label_all_tokens >= 0)
        t->all_tokens = o->label_all_tokens == 1;
    MTS_TRY(set_paths(ctx, o, t));
    MTS_TRY(column_names_parse(ctx, o->text_column_names, o->label_column_name, &t->columns));
    MTS_CHECK(t->columns.texts[1] == NULL, MTS_ERR_ARGUMENT,
              "option --text_column_names: expected one name, found \"%s\"", o->text_column_names);
    MTS_TRY(column_names_recall(ctx, stored, &t->columns));
    t->max_samples[TASK_TRAIN] = o->max_train_samples;
    t->max_samples[TASK_EVAL] = o->max_eval_samples;
    t->max_samples[TASK_TEST] = o->max_predict_samples;
    *out = &t->base;
    t = NULL;
cleanup:
    if (t != NULL)
        close_task(&t->base);
    return st;
}

/* --------------------------------------------------------------------------------- sets ---- */

static int64_t count_sets(const task *t, task_split split)
{
    return self_const(t)->paths[split] != NULL;
}

static const char *suffix_of(const task *t, int64_t set)
{
    (void)t, (void)set;
    return "";
}

static const char *input_at(const task *t, int64_t i)
{
    for (int split = 0; split < TAG_SPLITS; split++)
        if (self_const(t)->paths[split] != NULL && i-- == 0)
            return self_const(t)->paths[split];
    return NULL;
}

/* *out: all sentences of a split's file, with tags but for TASK_TEST; *keys: what was read. */
static mts_status read_split(mts_ctx *ctx, const token_classification *t, task_split split,
                             tagged_keys *keys, tagged_set *out)
{
    static const char *const options[] = {"train_file", "validation_file", "test_file"};
    mts_status st = MTS_OK;
    *keys = (tagged_keys){t->columns.texts[0], t->columns.label};
    *out = (tagged_set){0};
    MTS_CHECK(t->paths[split] != NULL, MTS_ERR_ARGUMENT, "%s: expected a file, found none",
              options[split]);
    MTS_TRY(tagged_file_read(ctx, t->paths[split], keys, split != TASK_TEST, out));
cleanup:
    return st;
}

/* ------------------------------------------------------------------------------- labels ---- */

static bool has_head(const model_config *cfg)
{
    return cfg->architecture != NULL && strstr(cfg->architecture, "ForTokenClassification") != NULL;
}

/* What was found in the training file. */
static void note_labels(const token_classification *t, const task_reading *r)
{
    char text[NOTE_BYTES], words[UTF8_QUOTE_BYTES], tags[UTF8_QUOTE_BYTES];
    bool usual = true;
    if (r->note == NULL)
        return;
    if (t->columns.texts[0] != NULL) {
        snprintf(text, sizeof text, "words in \"%s\", tags in \"%s\": %lld tags",
                 utf8_quote(words, sizeof words, t->columns.texts[0]),
                 utf8_quote(tags, sizeof tags, t->columns.label), (long long)t->labels.n);
        r->note(r->user, text);
    }
    for (int64_t i = 0; i < t->labels.n; i++)
        usual = usual && entity_tag_is_usual(t->labels.names[i]);
    if (!usual)
        r->note(r->user, "the tags are not all of the forms O, B-X, I-X: precision, recall and f1 "
                         "are of the entities that seqeval makes of them; accuracy means more");
}

/* The tags of the training file. */
static mts_status survey_train_file(mts_ctx *ctx, token_classification *t, const task_reading *r)
{
    mts_status st = MTS_OK;
    tagged_keys keys;
    tagged_set_deinit(&t->train);
    tag_labels_deinit(&t->labels);
    MTS_TRY(read_split(ctx, t, TASK_TRAIN, &keys, &t->train));
    MTS_TRY(tag_labels_collect(ctx, t->paths[TASK_TRAIN], &t->train, &t->labels));
    if (tagged_file_is_json(t->paths[TASK_TRAIN])) {
        if (t->columns.texts[0] == NULL)
            MTS_TRY(mem_strdup(ctx, &t->columns.texts[0], keys.words));
        if (t->columns.label == NULL)
            MTS_TRY(mem_strdup(ctx, &t->columns.label, keys.tags));
    }
    note_labels(t, r);
cleanup:
    return st;
}

/* The data's tags in the order of the model that has them already; other tags: a new head. */
static mts_status fit_before_training(mts_ctx *ctx, token_classification *t, model_config *cfg,
                                      const task_reading *r)
{
    mts_status st = MTS_OK;
    const char *const *theirs = (const char *const *)cfg->labels;
    char a[UTF8_QUOTE_BYTES], b[UTF8_QUOTE_BYTES];
    bool same = false;
    MTS_TRY(survey_train_file(ctx, t, r));
    if (has_head(cfg))
        MTS_TRY(tag_labels_reorder(ctx, &t->labels, theirs, cfg->num_labels, &same));
    if (has_head(cfg) && !same && t->labels.numbers && t->labels.n <= cfg->num_labels) {
        tag_labels_deinit(&t->labels);
        MTS_TRY(tag_labels_take(ctx, theirs, cfg->num_labels, &t->labels));
        same = true;
    }
    t->base.other_labels = !same;
    if (has_head(cfg))
        snprintf(t->base.why, sizeof t->base.why,
                 "other labels (\"%s\", ...) than the data (\"%s\", ...)",
                 utf8_quote(a, sizeof a, cfg->labels[0]),
                 utf8_quote(b, sizeof b, t->labels.names[0]));
    else
        snprintf(t->base.why, sizeof t->base.why, "another task");
    MTS_TRY(model_config_set_labels(ctx, cfg, (const char *const *)t->labels.names, t->labels.n,
                                    false));
    /* problem_type is of whole texts */
    MTS_TRY(model_config_set_problem(ctx, cfg, MODEL_PROBLEM_NONE));
cleanup:
    return st;
}

static mts_status fit(mts_ctx *ctx, task *base, const char *model_dir, model_config *cfg,
                      bool train, const task_reading *r)
{
    mts_status st = MTS_OK;
    token_classification *t = self(base);
    char quoted[UTF8_QUOTE_BYTES];
    t->base.head = "tokens";
    if (train)
        return fit_before_training(ctx, t, cfg, r);
    MTS_CHECK(
        has_head(cfg), MTS_ERR_ARGUMENT,
        "%s: expected a model for token classification, found architecture %s", model_dir,
        utf8_quote(quoted, sizeof quoted, cfg->architecture == NULL ? "none" : cfg->architecture));
    tag_labels_deinit(&t->labels);
    MTS_TRY(tag_labels_take(ctx, (const char *const *)cfg->labels, cfg->num_labels, &t->labels));
cleanup:
    return st;
}

/* --------------------------------------------------------------------------------- rows ---- */

/* Notes on what became of the words. */
static void note_rows(const token_classification *t, task_split split, const encoded_dataset *rows,
                      const word_rows *w, const task_reading *r)
{
    static const char *const without[] = {"learned", "counted", "given a tag"};
    char text[NOTE_BYTES];
    if (r->note == NULL)
        return;
    if (w->cut > 0) {
        snprintf(text, sizeof text,
                 "%s: %lld of %lld sentences were cut to --max_seq_length %lld tokens: their last "
                 "words, %lld in all, are not %s",
                 t->paths[split], (long long)rows->cut, (long long)rows->n,
                 (long long)r->max_length, (long long)w->cut, without[split]);
        r->note(r->user, text);
    }
    if (w->without > 0) {
        snprintf(text, sizeof text,
                 "%s: %lld words have no tokens (control characters, blanks): they are %s",
                 t->paths[split], (long long)w->without,
                 split == TASK_TEST ? "tagged O" : "not counted");
        r->note(r->user, text);
    }
    if (w->left_out > 0) {
        snprintf(text, sizeof text, "%s: %lld sentences without a word are left out",
                 t->paths[split], (long long)w->left_out);
        r->note(r->user, text);
    }
}

/* Rows of the sentences that are used. */
static mts_status encode_set(mts_ctx *ctx, const token_classification *t, task_split split,
                             const tagged_set *s, const task_reading *r, encoded_dataset *out,
                             word_rows *rows)
{
    mts_status st = MTS_OK;
    const char *path = t->paths[split];
    int32_t *tags = NULL, *continued = NULL;
    const word_options options = {r->tokenizer, r->max_length, r->progress, r->user};
    word_sentences from = {
        .n = s->n, .first = s->first, .words = s->words, .leave_out = split == TASK_TRAIN};
    if (split != TASK_TEST)
        MTS_TRY(tag_labels_encode(ctx, path, s, &t->labels, &tags));
    if (split != TASK_TEST && t->all_tokens)
        MTS_TRY(tag_labels_continued(ctx, &t->labels, &continued));
    from.tags = tags;
    from.continued = continued;
    st = word_rows_build(ctx, &from, &options, out, rows);
    if (st != MTS_OK && st != MTS_ERR_INTERRUPTED)
        status_prefix(ctx, "%s", path);
    MTS_TRY(st);
    MTS_CHECK(out->n > 0, MTS_ERR_BAD_FILE,
              "%s: expected a word of which something is learned, found none", path);
cleanup:
    mem_free(tags);
    mem_free(continued);
    return st;
}

static mts_status encode(mts_ctx *ctx, task *base, task_split split, int64_t set,
                         const task_reading *r, encoded_dataset *out)
{
    mts_status st = MTS_OK;
    token_classification *t = self(base);
    tagged_set s = {0};
    tagged_keys keys;
    word_rows rows = {0};
    (void)set;
    *out = (encoded_dataset){0};
    if (split == TASK_TRAIN && t->train.n > 0) {
        s = t->train;
        t->train = (tagged_set){0};
    } else {
        MTS_TRY(read_split(ctx, t, split, &keys, &s));
    }
    if (t->max_samples[split] >= 0)
        tagged_set_cut(&s, t->max_samples[split]);
    MTS_TRY(encode_set(ctx, t, split, &s, r, out, &rows));
    note_rows(t, split, out, &rows, r);
    if (split == TASK_TEST) {
        word_rows_deinit(&t->test_rows);
        t->test_rows = rows;
        rows = (word_rows){0};
    }
cleanup:
    word_rows_deinit(&rows);
    tagged_set_deinit(&s);
    return st;
}

/* Each sentence as its words with a line feed behind each, which mts_predictor_tag reads. */
static mts_status texts(mts_ctx *ctx, task *base, int64_t set, const task_reading *r, dataset *out)
{
    mts_status st = MTS_OK;
    token_classification *t = self(base);
    tagged_set s = {0};
    tagged_keys keys;
    size_t bytes = 0;
    char *at;
    (void)set, (void)r;
    *out = (dataset){0};
    MTS_TRY(read_split(ctx, t, TASK_TEST, &keys, &s));
    if (t->max_samples[TASK_TEST] >= 0)
        tagged_set_cut(&s, t->max_samples[TASK_TEST]);
    for (int64_t i = 0; i < s.first[s.n]; i++)
        bytes += strlen(s.words[i]) + 1;
    MTS_TRY(dataset_init(ctx, out, s.n, false, TARGET_NONE, 0));
    MTS_TRY(mem_calloc(ctx, &out->storage, bytes + (size_t)s.n, 1, "sentences"));
    at = out->storage;
    for (int64_t i = 0; i < s.n; i++) {
        out->text_a[i] = at;
        for (int64_t k = s.first[i]; k < s.first[i + 1]; k++) {
            for (const char *from = s.words[k]; *from != '\0'; from++)
                *at++ = *from == '\n' ? ' ' : *from;
            *at++ = '\n';
        }
        *at++ = '\0';
    }
cleanup:
    tagged_set_deinit(&s);
    return st;
}

static mts_status store(mts_ctx *ctx, const task *t, json_t *object)
{
    mts_status st = MTS_OK;
    if (self_const(t)->columns.texts[0] != NULL)
        MTS_TRY(column_names_store(ctx, &self_const(t)->columns, object));
    MTS_TRY(json_util_set(ctx, object, ALL_TOKENS_KEY, json_boolean(self_const(t)->all_tokens)));
cleanup:
    return st;
}

static const char *const result_files[] = {"predictions.txt", NULL};

const task_class token_classification_class = {
    .name = "token_classification",
    .result_files = result_files,
    .usual_length = 512, /* run_ner.py: as the tokenizer says, of BERT 512 */
    .tags = true,
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
    .metrics = token_classification_metrics,
    .scores_begin = token_classification_scores_begin,
    .scores_add = token_classification_scores_add,
    .scores_finish = token_classification_scores_finish,
    .scores_close = token_classification_scores_close,
};
