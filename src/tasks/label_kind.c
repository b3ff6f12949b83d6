/* The table of kinds of labels.  See label_kind.h. */
#include "tasks/label_kind.h"

#include <math.h>
#include <stdio.h>

#include "base/utf8.h"

static const label_kind *const kinds[] = {&label_kind_class, &label_kind_score, &label_kind_set};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* One output without a problem_type is a score; several are classes. */
const label_kind *label_kind_of_model(const model_config *cfg)
{
    const model_problem problem =
        model_config_is_regression(cfg) ? MODEL_PROBLEM_REGRESSION : cfg->problem_type;
    for (int i = 0; i < KINDS; i++)
        if (kinds[i]->problem == problem)
            return kinds[i];
    return &label_kind_class;
}

double label_kind_bound(double p)
{
    return log(p / (1 - p));
}

void label_kind_list_names(char *const *names, int64_t n, char list[LABEL_LIST_BYTES])
{
    size_t used = 0;
    list[0] = '\0';
    for (int64_t i = 0; i < n; i++) {
        char quoted[UTF8_QUOTE_BYTES];
        if (used + UTF8_QUOTE_BYTES + 16 > LABEL_LIST_BYTES) {
            snprintf(list + used, LABEL_LIST_BYTES - used, ", ...");
            return;
        }
        used += (size_t)snprintf(list + used, LABEL_LIST_BYTES - used, "%s\"%s\"",
                                 i == 0 ? "" : ", ", utf8_quote(quoted, sizeof quoted, names[i]));
    }
}
