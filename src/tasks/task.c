/* The table of tasks.  See task.h. */
#include "tasks/task.h"

#include <math.h>

#include "base/json_util.h"
#include "tasks/language_modeling.h"
#include "tasks/question_answering.h"
#include "tasks/text_classification.h"
#include "tasks/token_classification.h"

/* The first that the options want is taken; the last one takes what no other does. */
static const task_class *const classes[] = {&question_answering_class, &token_classification_class,
                                            &language_modeling_class, &text_classification_class};

enum { CLASSES = sizeof classes / sizeof classes[0] };

const task_class *task_class_at(int i)
{
    return i >= 0 && i < CLASSES ? classes[i] : NULL;
}

const task_class *task_class_of(const mts_options *o, const char *head)
{
    int i = 0;
    while (i + 1 < CLASSES && !classes[i]->wanted(o, head))
        i++;
    return classes[i];
}

mts_status task_open(mts_ctx *ctx, const mts_options *o, const char *head, const json_t *stored,
                     task **out)
{
    mts_status st = MTS_OK;
    const task_class *class = task_class_of(o, head);
    const char *name = o->packing                      ? "packing"
                       : o->assistant_only_loss > 0    ? "assistant_only_loss"
                       : o->completion_only_loss > 0   ? "completion_only_loss"
                       : o->chat_template_path != NULL ? "chat_template_path"
                       : o->chat_template_date != NULL ? "chat_template_date"
                                                       : NULL;
    *out = NULL;
    MTS_CHECK(class->documents || name == NULL, MTS_ERR_ARGUMENT,
              "option --%s needs a language model: this is %s", name, class->name);
    MTS_CHECK(class->tags || o->label_all_tokens != 1, MTS_ERR_ARGUMENT,
              "option --label_all_tokens needs token classification: this is %s", class->name);
    MTS_TRY(class->open(ctx, o, stored, out));
cleanup:
    return st;
}

void task_close(task *t)
{
    if (t != NULL)
        t->class->close(t);
}

mts_status task_put_number(mts_ctx *ctx, json_t *object, const char *key, double value)
{
    return json_util_set(ctx, object, key, isfinite(value) ? json_real(value) : json_null());
}
