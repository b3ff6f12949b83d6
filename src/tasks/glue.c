/* The nine tasks of GLUE.  See glue.h. */
#include "tasks/glue.h"

#include <ctype.h>
#include <string.h>

#define SENTENCES .text_a = {{"sentence1"}}, .text_b = {{"sentence2"}}
#define ONE_SET .dev_files = {"dev.tsv"}, .test_files = {"test.tsv"}, .suffixes = {""}

static const glue_task tasks[] = {
    {.name = "cola",
     .folder = "CoLA",
     .label_names = {"unacceptable", "acceptable"},
     .num_labels = 2,
     .metric = METRIC_MATTHEWS,
     .text_a = {{"sentence"}},
     .label = {{"label", "is_acceptable"}},
     ONE_SET,
     .headerless = {"source", "label", "author_label", "sentence"}},
    {.name = "sst2",
     .folder = "SST-2",
     .label_names = {"negative", "positive"},
     .num_labels = 2,
     .metric = METRIC_ACCURACY,
     .text_a = {{"sentence"}},
     .label = {{"label"}},
     ONE_SET},
    {.name = "mrpc",
     .folder = "MRPC",
     .label_names = {"not_equivalent", "equivalent"},
     .num_labels = 2,
     .metric = METRIC_ACCURACY_F1,
     .text_a = {{"#1 String", "sentence1"}},
     .text_b = {{"#2 String", "sentence2"}},
     .label = {{"Quality", "label"}},
     ONE_SET},
    {.name = "stsb",
     .folder = "STS-B",
     .num_labels = 1,
     .regression = true,
     .metric = METRIC_CORRELATION,
     SENTENCES,
     .label = {{"score", "label"}},
     ONE_SET},
    {.name = "qqp",
     .folder = "QQP",
     .label_names = {"not_duplicate", "duplicate"},
     .num_labels = 2,
     .metric = METRIC_ACCURACY_F1,
     .text_a = {{"question1"}},
     .text_b = {{"question2"}},
     .label = {{"is_duplicate", "label"}},
     ONE_SET},
    {.name = "mnli",
     .folder = "MNLI",
     .label_names = {"entailment", "neutral", "contradiction"},
     .num_labels = 3,
     .metric = METRIC_ACCURACY,
     .text_a = {{"sentence1", "premise"}},
     .text_b = {{"sentence2", "hypothesis"}},
     .label = {{"gold_label", "label"}},
     .dev_files = {"dev_matched.tsv", "dev_mismatched.tsv"},
     .test_files = {"test_matched.tsv", "test_mismatched.tsv"},
     .suffixes = {"", "_mm"}},
    {.name = "qnli",
     .folder = "QNLI",
     .label_names = {"entailment", "not_entailment"},
     .num_labels = 2,
     .metric = METRIC_ACCURACY,
     .text_a = {{"question"}},
     .text_b = {{"sentence"}},
     .label = {{"label"}},
     ONE_SET},
    {.name = "rte",
     .folder = "RTE",
     .label_names = {"entailment", "not_entailment"},
     .num_labels = 2,
     .metric = METRIC_ACCURACY,
     SENTENCES,
     .label = {{"label"}},
     ONE_SET},
    {.name = "wnli",
     .folder = "WNLI",
     .label_names = {"not_entailment", "entailment"},
     .num_labels = 2,
     .metric = METRIC_ACCURACY,
     SENTENCES,
     .label = {{"label"}},
     ONE_SET},
};

/* Whether a is b, if case, dashes and underscores of a do not count; b is plain lower case. */
static bool same_name(const char *a, const char *b)
{
    for (; *a != '\0'; a++) {
        if (*a == '-' || *a == '_')
            continue;
        if (tolower((unsigned char)*a) != *b)
            return false;
        b++;
    }
    return *b == '\0';
}

const glue_task *glue_task_find(const char *name)
{
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
        if (same_name(name, tasks[i].name))
            return &tasks[i];
    }
    return NULL;
}
