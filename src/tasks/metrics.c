/* The metrics of GLUE and of generic files.  See metrics.h for the formulas. */
#include "tasks/metrics.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tasks/set_metrics.h"

/* ------------------------------------------------------------------------ collecting ---- */

bool metrics_is_regression(metric_kind kind)
{
    return kind == METRIC_CORRELATION || kind == METRIC_REGRESSION;
}

mts_status metrics_init(mts_ctx *ctx, metrics *m, metric_kind kind, int64_t num_labels,
                        int64_t positive, int64_t capacity)
{
    mts_status st = MTS_OK;
    const bool regression = metrics_is_regression(kind);
    const size_t classes = (size_t)num_labels, rows = (size_t)capacity;
    assert(capacity >= 0 && (regression || (num_labels >= 2 && positive < num_labels)));
    *m = (metrics){
        .kind = kind, .num_labels = num_labels, .positive = positive, .capacity = capacity};
    if (regression) {
        MTS_TRY(mem_calloc(ctx, &m->predictions, rows, sizeof(double), "metric predictions"));
        MTS_TRY(mem_calloc(ctx, &m->labels, rows, sizeof(double), "metric labels"));
    } else {
        MTS_TRY(mem_calloc(ctx, &m->label_count, classes, sizeof(int64_t), "metric counts"));
        MTS_TRY(mem_calloc(ctx, &m->predicted_count, classes, sizeof(int64_t), "metric counts"));
        MTS_TRY(mem_calloc(ctx, &m->correct_count, classes, sizeof(int64_t), "metric counts"));
    }
cleanup:
    return st;
}

void metrics_deinit(metrics *m)
{
    if (m == NULL)
        return;
    mem_free(m->label_count);
    mem_free(m->predicted_count);
    mem_free(m->correct_count);
    mem_free(m->predictions);
    mem_free(m->labels);
    *m = (metrics){0};
}

int64_t metrics_first_largest(const float *values, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++) {
        if (values[i] > values[best])
            best = i;
    }
    return best;
}

void metrics_add(metrics *m, const float *logits, const targets *t, int64_t n)
{
    assert(n <= m->capacity - m->n);
    if (m->kind == METRIC_SETS) {
        assert(t->kind == TARGET_SET && t->width == m->num_labels);
        set_metrics_add(m, logits, t, n);
        return;
    }
    assert(t->kind == (metrics_is_regression(m->kind) ? TARGET_SCORE : TARGET_CLASS));
    for (int64_t i = 0; i < n; i++) {
        if (metrics_is_regression(m->kind)) {
            m->predictions[m->n + i] = (double)logits[i];
            m->labels[m->n + i] = (double)t->score[i];
            continue;
        }
        const int64_t label = t->index[i];
        const int64_t predicted = metrics_first_largest(logits + i * m->num_labels, m->num_labels);
        assert(label >= 0 && label < m->num_labels);
        m->label_count[label]++;
        m->predicted_count[predicted]++;
        m->correct_count[label] += predicted == label;
    }
    m->n += n;
}

/* --------------------------------------------------------------------------- classes ---- */

static double accuracy(const metrics *m)
{
    int64_t correct = 0;
    for (int64_t k = 0; k < m->num_labels; k++)
        correct += m->correct_count[k];
    return (double)correct / (double)m->n;
}

static double f1_of_class(const metrics *m, int64_t k)
{
    const int64_t both = m->label_count[k] + m->predicted_count[k];
    return both == 0 ? 0 : 2 * (double)m->correct_count[k] / (double)both;
}

static double macro_f1(const metrics *m)
{
    double sum = 0;
    int64_t present = 0;
    for (int64_t k = 0; k < m->num_labels; k++) {
        present += m->label_count[k] + m->predicted_count[k] > 0;
        sum += f1_of_class(m, k);
    }
    return sum / (double)present;
}

static double matthews(const metrics *m)
{
    const double n = (double)m->n;
    double correct = 0, pt = 0, pp = 0, tt = 0;
    for (int64_t k = 0; k < m->num_labels; k++) {
        const double t = (double)m->label_count[k], p = (double)m->predicted_count[k];
        correct += (double)m->correct_count[k];
        pt += p * t;
        pp += p * p;
        tt += t * t;
    }
    const double square = (n * n - pp) * (n * n - tt);
    return square == 0 ? 0 : (correct * n - pt) / sqrt(square);
}

/* ----------------------------------------------------------------------- correlation ---- */

/* Whether all values are finite, and not all the same. */
static bool varies(const double *x, int64_t n)
{
    bool different = false;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(x[i]))
            return false;
        different = different || x[i] != x[0];
    }
    return different;
}

static double mean_of(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    return sum / (double)n;
}

double metric_pearson(const double *x, const double *y, int64_t n)
{
    double xy = 0, xx = 0, yy = 0;
    if (!varies(x, n) || !varies(y, n))
        return NAN;
    const double mx = mean_of(x, n), my = mean_of(y, n);
    for (int64_t i = 0; i < n; i++) {
        const double dx = x[i] - mx, dy = y[i] - my;
        xy += dx * dy;
        xx += dx * dx;
        yy += dy * dy;
    }
    /* Two roots: the product of the sums could overflow.  Rounding can pass 1 by an ulp. */
    return fmax(-1, fmin(1, xy / sqrt(xx) / sqrt(yy)));
}

typedef struct ranked {
    double value;
    int64_t row;
} ranked;

static int compare_values(const void *a, const void *b)
{
    const double x = ((const ranked *)a)->value, y = ((const ranked *)b)->value;
    return (x > y) - (x < y);
}

/* ranks[n] (from 1) of x[n], equal values get the mean of the ranks they cover.  sorted: scratch.
 */
static void rank_values(double *ranks, ranked *sorted, const double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        sorted[i] = (ranked){.value = x[i], .row = i};
    qsort(sorted, (size_t)n, sizeof sorted[0], compare_values);
    for (int64_t i = 0, end = 0; i < n; i = end) {
        while (end < n && sorted[end].value == sorted[i].value)
            end++;
        for (int64_t k = i; k < end; k++)
            ranks[sorted[k].row] = 0.5 * (double)(i + 1 + end);
    }
}

mts_status metric_spearman(mts_ctx *ctx, const double *x, const double *y, int64_t n, double *out)
{
    mts_status st = MTS_OK;
    double *ranks = NULL;
    ranked *sorted = NULL;
    *out = NAN;
    if (!varies(x, n) || !varies(y, n))
        return MTS_OK;
    MTS_TRY(mem_calloc(ctx, &ranks, (size_t)n, 2 * sizeof ranks[0], "ranks"));
    MTS_TRY(mem_calloc(ctx, &sorted, (size_t)n, sizeof sorted[0], "ranks"));
    rank_values(ranks, sorted, x, n);
    rank_values(ranks + n, sorted, y, n);
    *out = metric_pearson(ranks, ranks + n, n);
cleanup:
    mem_free(ranks);
    mem_free(sorted);
    return st;
}

static double mean_squared_error(const metrics *m)
{
    double sum = 0;
    for (int64_t i = 0; i < m->n; i++) {
        const double d = m->predictions[i] - m->labels[i];
        sum += d * d;
    }
    return sum / (double)m->n;
}

/* --------------------------------------------------------------------------- results ---- */

/* METRIC_CLASSES: with more than two of them "f1_macro" instead of "f1". */
static const char *const names_of[][METRIC_LIST_MAX + 1] = {
    [METRIC_ACCURACY] = {"accuracy"},
    [METRIC_ACCURACY_F1] = {"accuracy", "f1", "combined_score"},
    [METRIC_MATTHEWS] = {"matthews_correlation"},
    [METRIC_CORRELATION] = {"pearson", "spearmanr", "combined_score"},
    [METRIC_CLASSES] = {"accuracy", "f1"},
    [METRIC_REGRESSION] = {"mse", "pearson", "spearmanr"},
    [METRIC_SETS] = {"accuracy", "f1_micro", "f1_macro"},
};

int64_t metrics_names(metric_kind kind, int64_t num_labels, const char *names[METRIC_LIST_MAX])
{
    int64_t n = 0;
    for (; names_of[kind][n] != NULL; n++)
        names[n] = names_of[kind][n];
    if (kind == METRIC_CLASSES && num_labels > 2)
        names[1] = "f1_macro";
    return n;
}

bool metrics_greater_is_better(const char *name)
{
    return strcmp(name, "mse") != 0;
}

/* The values of m in the order of its names.  The combined score is the mean of the others, as
 * run_glue.py adds it where there is more than one. */
static mts_status compute(mts_ctx *ctx, const metrics *m, double values[METRIC_LIST_MAX])
{
    double *v = values;
    mts_status st = MTS_OK;
    if (m->kind == METRIC_SETS) {
        set_metrics_values(m, values);
        return MTS_OK;
    }
    if (m->kind == METRIC_REGRESSION)
        *v++ = mean_squared_error(m);
    if (metrics_is_regression(m->kind)) {
        v[0] = metric_pearson(m->predictions, m->labels, m->n);
        st = metric_spearman(ctx, m->predictions, m->labels, m->n, &v[1]);
        v[2] = m->kind == METRIC_CORRELATION ? (v[0] + v[1]) / 2 : 0;
        return st;
    }
    v[0] = m->kind == METRIC_MATTHEWS ? matthews(m) : accuracy(m);
    if (m->kind == METRIC_ACCURACY_F1 || (m->kind == METRIC_CLASSES && m->num_labels == 2))
        v[1] = f1_of_class(m, m->positive);
    else if (m->kind == METRIC_CLASSES)
        v[1] = macro_f1(m);
    if (m->kind == METRIC_ACCURACY_F1)
        v[2] = (v[0] + v[1]) / 2;
    return st;
}

mts_status metrics_result(mts_ctx *ctx, const metrics *m, const char *suffix, metric_list *out)
{
    mts_status st = MTS_OK;
    const char *names[METRIC_LIST_MAX];
    double values[METRIC_LIST_MAX];
    *out = (metric_list){0};
    MTS_CHECK(m->n > 0, MTS_ERR_ARGUMENT, "metrics: expected at least one row, found none");
    MTS_CHECK(strlen(suffix) <= 8, MTS_ERR_ARGUMENT,
              "metrics: expected a suffix of at most 8 bytes, found %zu", strlen(suffix));
    MTS_TRY(compute(ctx, m, values));
    out->n = metrics_names(m->kind, m->num_labels, names);
    for (int64_t i = 0; i < out->n; i++) {
        snprintf(out->items[i].key, sizeof out->items[i].key, "eval_%s%s", names[i], suffix);
        out->items[i].value = values[i];
    }
cleanup:
    return st;
}
