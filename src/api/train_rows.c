/*
 * The rows of a training, for a look at them: mts_train_rows_* of the public header.
 *
 * Path: cli/cmd_tokenize.c -> mts_train_rows_open -> task_class.encode, as a run calls it.
 */
#include "base/memory.h"
#include "models/model.h"
#include "options/options.h"
#include "tasks/task.h"
#include "train/model_tokenizer.h"
#include "train/settings.h"

struct mts_train_rows {
    encoded_dataset data;
    int32_t *labels; /* [max_len], of the row asked for last; likewise begins */
    int64_t *begins;
};

/* What is told while the rows are made. */
typedef struct listener {
    const mts_callbacks *callbacks;
} listener;

static bool emit(void *user, const mts_event *event)
{
    const mts_callbacks *c = ((const listener *)user)->callbacks;
    return c == NULL || c->on_event == NULL || c->on_event(c->user, event);
}

static bool tokenizing(void *user, int64_t done, int64_t total)
{
    const mts_event event = {
        .kind = MTS_EVENT_PROGRESS, .text = "tokenizing", .done = done, .total = total};
    return emit(user, &event);
}

static void note(void *user, const char *text)
{
    const mts_event event = {.kind = MTS_EVENT_NOTE, .text = text};
    (void)emit(user, &event);
}

static mts_status read_rows(mts_ctx *ctx, const mts_options *o, listener *user,
                            encoded_dataset *out)
{
    mts_status st = MTS_OK;
    model_config cfg = {0};
    tokenizer *tok = NULL;
    task *t = NULL;
    const char *head;
    task_reading reading = {
        .threads = settings_threads(o), .progress = tokenizing, .note = note, .user = user};
    MTS_TRY(model_load_config(ctx, o->model_name_or_path, &cfg));
    head = model_class_of_config(&cfg)->usual_head;
    MTS_CHECK(task_class_of(o, head)->documents, MTS_ERR_UNSUPPORTED,
              "%s: expected a language model, whose training rows can be shown",
              o->model_name_or_path);
    MTS_TRY(model_tokenizer_open(ctx, o->model_name_or_path, &tok, NULL));
    if (o->chat_template_path != NULL)
        MTS_TRY(tokenizer_set_chat_template(ctx, tok, o->chat_template_path, NULL));
    if (o->chat_template_date != NULL)
        MTS_TRY(tokenizer_set_chat_date(ctx, tok, o->chat_template_date));
    reading.tokenizer = tok;
    reading.max_length = settings_max_length(o, &cfg, head);
    MTS_TRY(task_open(ctx, o, head, NULL, &t));
    MTS_TRY(t->class->fit(ctx, t, o->model_name_or_path, &cfg, true, &reading));
    MTS_TRY(t->class->encode(ctx, t, TASK_TRAIN, 0, &reading, out));
cleanup:
    task_close(t);
    tokenizer_close(tok);
    model_config_deinit(&cfg);
    return st;
}

mts_status mts_train_rows_open(mts_ctx *ctx, const mts_options *options,
                               const mts_callbacks *callbacks, mts_train_rows **out)
{
    mts_status st = MTS_OK;
    mts_options own;
    mts_train_rows *rows = NULL;
    listener user = {callbacks};
    MTS_CHECK(out != NULL, MTS_ERR_ARGUMENT, "mts_train_rows_open: out must be given");
    *out = NULL;
    MTS_TRY(options_take(ctx, options, &own));
    MTS_TRY(options_check_train_rows(ctx, &own));
    MTS_TRY(mem_calloc(ctx, &rows, 1, sizeof *rows, "training rows"));
    MTS_TRY(read_rows(ctx, &own, &user, &rows->data));
    MTS_TRY(mem_calloc(ctx, &rows->labels, (size_t)rows->data.max_len, sizeof(int32_t), "labels"));
    MTS_TRY(mem_calloc(ctx, &rows->begins, (size_t)rows->data.max_len, sizeof(int64_t), "labels"));
    *out = rows;
    rows = NULL;
cleanup:
    mts_train_rows_close(rows);
    return st;
}

void mts_train_rows_close(mts_train_rows *rows)
{
    if (rows == NULL)
        return;
    encoded_dataset_deinit(&rows->data);
    mem_free(rows->labels);
    mem_free(rows->begins);
    mem_free(rows);
}

int64_t mts_train_rows_count(const mts_train_rows *rows)
{
    return rows == NULL ? 0 : rows->data.n;
}

bool mts_train_rows_at(mts_train_rows *rows, int64_t index, mts_train_row *out)
{
    static const int64_t only[] = {0};
    if (rows == NULL || out == NULL || index < 0 || index >= rows->data.n)
        return false;
    const encoded_dataset *e = &rows->data;
    const int64_t begin = e->offsets[index], length = encoded_dataset_length(e, index);
    *out = (mts_train_row){.length = length,
                           .ids = e->ids + begin,
                           .labels = rows->labels,
                           .sequences = encoded_dataset_sequences(e, index),
                           .begins = only};
    for (int64_t i = 0; i < length; i++)
        rows->labels[i] = i == 0 ? TARGET_IGNORED : e->targets.index[begin + i - 1];
    if (e->sequences != NULL)
        out->begins = rows->begins;
    for (int64_t i = 0; i < out->sequences && e->sequences != NULL; i++)
        rows->begins[i] = e->sequences[e->first_sequence[index] + i] - begin;
    return true;
}
