/*
 * One prediction as a line: of a classifier the label, its probability and all logits, of one whose
 * labels do not exclude each other the set of labels and all logits, of a regression the score; TSV
 * or JSON.
 */
#include "prediction.h"

#include <math.h>

#include "escape.h"
#include "prediction_set.h"

/* Index of the largest logit z, and its probability, exp(z) / sum exp(z_i) = 1 / sum exp(z_i - z).
 */
static int64_t find_label(const float *logits, int64_t n, double *probability)
{
    int64_t best = 0;
    double sum = 0;
    for (int64_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - (double)logits[best]);
    *probability = 1 / sum;
    return best;
}

void prediction_print_header(FILE *file, const mts_predictor *predictor)
{
    if (mts_predictor_is_regression(predictor)) {
        fputs("score\n", file);
        return;
    }
    fputs(mts_predictor_is_multi_label(predictor) ? "labels" : "label\tscore", file);
    for (int64_t i = 0; i < mts_predictor_num_labels(predictor); i++) {
        fputs("\tlogit ", file);
        escape_tsv(file, mts_predictor_label(predictor, i));
    }
    fputc('\n', file);
}

void prediction_print_tsv(FILE *file, const mts_predictor *predictor, const float *logits)
{
    if (mts_predictor_is_regression(predictor)) {
        fprintf(file, "%.9g\n", (double)logits[0]);
        return;
    }
    const int64_t n = mts_predictor_num_labels(predictor);
    double probability = 0;
    if (mts_predictor_is_multi_label(predictor)) {
        prediction_print_set(file, predictor, logits);
    } else {
        escape_tsv(file, mts_predictor_label(predictor, find_label(logits, n, &probability)));
        fprintf(file, "\t%.9g", probability);
    }
    for (int64_t i = 0; i < n; i++)
        fprintf(file, "\t%.9g", (double)logits[i]);
    fputc('\n', file);
}

void prediction_print_json(FILE *file, const mts_predictor *predictor, const float *logits)
{
    const int64_t n = mts_predictor_num_labels(predictor);
    if (mts_predictor_is_regression(predictor)) {
        fputs("{\"score\": ", file);
        prediction_print_number(file, (double)logits[0]);
        fputs("}\n", file);
        return;
    }
    double probability = 0;
    if (mts_predictor_is_multi_label(predictor)) {
        fputs("{\"labels\": ", file);
        prediction_print_set(file, predictor, logits);
        fputs(", \"scores\": ", file);
        prediction_print_set_scores(file, predictor, logits);
    } else {
        fputs("{\"label\": ", file);
        escape_json(file, mts_predictor_label(predictor, find_label(logits, n, &probability)));
        fputs(", \"score\": ", file);
        prediction_print_number(file, probability);
    }
    for (int64_t i = 0; i < n; i++) {
        fputs(i == 0 ? ", \"logits\": [" : ", ", file);
        prediction_print_number(file, (double)logits[i]);
    }
    fputs("]}\n", file);
}
