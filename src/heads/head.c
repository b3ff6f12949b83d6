/* The table of heads.  See head.h. */
#include "heads/head.h"

#include <string.h>

#include "base/text_end.h"
#include "heads/heads.h"

static const head_class *const classes[] = {&head_classification, &head_regression,
                                            &head_spans,          &head_tokens,
                                            &head_next_token,     &head_multi_label};

enum { CLASSES = sizeof classes / sizeof classes[0] };

const head_class *head_class_find(const char *name)
{
    for (int i = 0; i < CLASSES; i++)
        if (strcmp(classes[i]->name, name) == 0)
            return classes[i];
    return NULL;
}

const head_class *head_class_of_peft(const char *task)
{
    for (int i = 0; i < CLASSES; i++)
        if (strcmp(classes[i]->peft_task, task) == 0)
            return classes[i];
    return NULL;
}

const head_class *head_class_usual(const model_config *cfg)
{
    const char *name = model_class_of_config(cfg)->usual_head;
    return name == NULL ? NULL : head_class_find(name);
}

/* Several heads may share an architecture: those for one text, which the labels tell apart. */
const head_class *head_class_of_config(const model_config *cfg)
{
    const head_class *of_text = model_config_is_regression(cfg) ? &head_regression
                                : cfg->problem_type == MODEL_PROBLEM_MULTI_LABEL
                                    ? &head_multi_label
                                    : &head_classification;
    if (cfg->architecture == NULL || text_ends_in(cfg->architecture, of_text->architecture))
        return of_text;
    for (int i = 0; i < CLASSES; i++)
        if (text_ends_in(cfg->architecture, classes[i]->architecture))
            return classes[i];
    return of_text;
}

const char *head_class_outputs(const head_class *class, const model_class *of)
{
    return class->outputs == NULL || of->first_token.of_tokens ? of->first_token.out
                                                               : class->outputs;
}

const char *head_class_saved(const head_class *class, const model_class *of)
{
    if (class->unit == HEAD_PER_TOKEN && of->first_token.of_tokens)
        return of->first_token.out;
    if (class->unit == HEAD_PER_ROW && of->first_token.saved != NULL)
        return of->first_token.saved;
    return class->peft_saved;
}

bool head_saves_module(const head *h, const char *module)
{
    size_t n;
    const char *word = head_class_saved(h->class, h->model);
    for (; word != NULL && (word = model_next_target(word, &n)) != NULL; word += n)
        if (strncmp(module, word, n) == 0 && (module[n] == '\0' || module[n] == '.'))
            return true;
    return false;
}

bool head_fits(const head_class *class, const model_class *of)
{
    return (class->needs != HEAD_NEEDS_FIRST_TOKEN || of->first_token.out != NULL) &&
           (class->needs != HEAD_NEEDS_WORDS || of->words != NULL);
}

int64_t head_units(const head_class *class, const model_input *in)
{
    return class->unit == HEAD_PER_ROW ? in->seq.count : in->seq.tokens;
}

mts_status head_create(mts_ctx *ctx, const head_class *class, const model_class *of,
                       const model_config *cfg, const model_options *options, head **out)
{
    const mts_status st = class->create(ctx, out);
    if (st != MTS_OK)
        return st;
    **out = (head){.class = class,
                   .model = of,
                   .cfg = cfg,
                   .first_token = of->first_token,
                   .dropout = options->dropout.classifier,
                   .answers_dropout = options->dropout.answers,
                   .adapter = options->adapter,
                   .loss = options->loss};
    if (of->complete_head != NULL)
        of->complete_head(cfg, &(*out)->first_token);
    return MTS_OK;
}

void head_destroy(head *h)
{
    mem_free(h);
}
