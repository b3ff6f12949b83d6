/* The table of kinds of labels.  See label_kind.h. */
#include "tasks/label_kind.h"

#include <math.h>

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
