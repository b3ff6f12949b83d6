/* Metrics of sets of labels.  See set_metrics.h. */
#include "tasks/set_metrics.h"

void set_metrics_add(metrics *m, const float *logits, const targets *t, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        bool exact = true;
        for (int64_t k = 0; k < m->num_labels; k++) {
            const bool wanted = t->set[i * m->num_labels + k] != 0;
            const bool predicted = (double)logits[i * m->num_labels + k] > m->bound;
            m->label_count[k] += wanted;
            m->predicted_count[k] += predicted;
            m->correct_count[k] += wanted && predicted;
            exact = exact && wanted == predicted;
        }
        m->exact += exact;
    }
    m->n += n;
}

static double f1(int64_t both, int64_t wanted, int64_t predicted)
{
    return wanted + predicted == 0 ? 0.0 : 2.0 * (double)both / (double)(wanted + predicted);
}

static double f1_of_label(const metrics *m, int64_t k)
{
    return f1(m->correct_count[k], m->label_count[k], m->predicted_count[k]);
}

/* The sum of F1 over labels [begin, begin + n), in the order of NumPy's sums: up to 128 numbers as
 * eight sums of every eighth, more of them as two halves. */
static double sum_f1(const metrics *m, int64_t begin, int64_t n)
{
    double part[8], sum = 0.0;
    int64_t i = 0;
    if (n > 128) {
        const int64_t half = n / 2 - n / 2 % 8;
        return sum_f1(m, begin, half) + sum_f1(m, begin + half, n - half);
    }
    if (n >= 8) {
        for (; i < 8; i++)
            part[i] = f1_of_label(m, begin + i);
        for (; i < n - n % 8; i++)
            part[i % 8] += f1_of_label(m, begin + i);
        sum = ((part[0] + part[1]) + (part[2] + part[3])) +
              ((part[4] + part[5]) + (part[6] + part[7]));
    }
    for (; i < n; i++)
        sum += f1_of_label(m, begin + i);
    return sum;
}

void set_metrics_values(const metrics *m, double values[METRIC_LIST_MAX])
{
    int64_t both = 0, wanted = 0, predicted = 0;
    for (int64_t k = 0; k < m->num_labels; k++) {
        both += m->correct_count[k];
        wanted += m->label_count[k];
        predicted += m->predicted_count[k];
    }
    values[0] = (double)m->exact / (double)m->n;
    values[1] = f1(both, wanted, predicted);
    values[2] = sum_f1(m, 0, m->num_labels) / (double)m->num_labels;
}
