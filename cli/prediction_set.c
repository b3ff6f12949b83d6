/* A predicted set of labels.  See prediction_set.h. */
#include "prediction_set.h"

#include <math.h>
#include <stdbool.h>

#include "escape.h"

/* A JSON number, or null for what JSON cannot write. */
void prediction_print_number(FILE *file, double value)
{
    if (isfinite(value))
        fprintf(file, "%.9g", value);
    else
        fputs("null", file);
}

/* The set of labels that is predicted, as a JSON array. */
void prediction_print_set(FILE *file, const mts_predictor *predictor, const float *logits)
{
    const int64_t n = mts_predictor_num_labels(predictor);
    const char *between = "";
    fputc('[', file);
    for (int64_t i = 0; i < n; i++) {
        if (!mts_predictor_in_set(predictor, logits[i]))
            continue;
        fputs(between, file);
        escape_json(file, mts_predictor_label(predictor, i));
        between = ", ";
    }
    fputc(']', file);
}

/* The probabilities of the labels of the set, 1 / (1 + exp(-z)). */
void prediction_print_set_scores(FILE *file, const mts_predictor *predictor, const float *logits)
{
    const int64_t n = mts_predictor_num_labels(predictor);
    const char *between = "";
    fputc('[', file);
    for (int64_t i = 0; i < n; i++) {
        if (!mts_predictor_in_set(predictor, logits[i]))
            continue;
        fputs(between, file);
        prediction_print_number(file, 1 / (1 + exp(-(double)logits[i])));
        between = ", ";
    }
    fputc(']', file);
}
