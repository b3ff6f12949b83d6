/*
 * BERT against transformers and PyTorch: the golden values of tools/make_golden.py, which says
 * what they are and how they were made.  Three tiny models are loaded from their folders as any
 * model is.
 *
 *   fp32      activations of every layer, logits, loss, all gradients; the other activation
 *             functions; ten steps of AdamW and of SGD with clipping, schedule and decay groups
 *   integers  logits and gradients, by a signal-to-noise ratio that grows by 6 dB with each bit
 *
 * The files are read by support/golden_file.h.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "heads/first_token.h"
#include "models/bert.h"
#include "optim/clip.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "support/golden_file.h"

/* Largest difference, relative to the largest element of a tensor (as it is everywhere below). */
#define ACTIVATION_TOLERANCE 2e-6
#define GRADIENT_TOLERANCE 1e-5
#define LOSS_TOLERANCE 1e-6
#define TRAINED_TOLERANCE 1e-5 /* after ten steps */

enum { BATCHES = 2, STEPS = 10 };

static mts_ctx ctx;

/* ---------------------------------------------------------------------------- the models ---- */

/* A batch of a folder; labels are scores, classes, or 1 and 0 of each label. */
static void open_batch(golden *g, const char *name, int index)
{
    char prefix[32], tensor[48];
    snprintf(prefix, sizeof prefix, "batch.%d.", index);
    golden_open(g, name, prefix);
    snprintf(tensor, sizeof tensor, "%stype_ids", prefix);
    (void)golden_tensor(g, tensor);
    snprintf(tensor, sizeof tensor, "%slabels", prefix);
    const int64_t labels = golden_tensor(g, tensor)->count;
    targets *t = &g->targets;
    t->score = golden_floats(g, tensor, labels);
    t->width = labels / g->in.seq.count;
    t->index = test_alloc(labels, sizeof *t->index);
    t->set = test_alloc(labels, sizeof *t->set);
    for (int64_t e = 0; e < labels; e++) {
        t->index[e] = (int32_t)t->score[e];
        t->set[e] = t->score[e] == 1.0f;
    }
}

/* A loaded model and its batches. */
typedef struct subject {
    network *net;
    bert *model;             /* net's body */
    golden batches[BATCHES]; /* of one file; its other values are those of the first */
    float *logits;
} subject;

/* act: "" for the one of config.json. */
static void subject_open(subject *s, const char *name, const num_format *format, const char *act)
{
    static const struct {
        const char *name;
        model_act act;
    } acts[] = {{"gelu_new", MODEL_ACT_GELU_TANH},
                {"relu", MODEL_ACT_RELU},
                {"silu", MODEL_ACT_SILU},
                {"tanh", MODEL_ACT_TANH}};
    network_options options = {.format = *format, .threads = 1, .seed = 7};
    network_limits *limits = &options.limits;
    model_config cfg;
    *s = (subject){0};
    for (int i = 0; i < BATCHES; i++) {
        open_batch(&s->batches[i], name, i);
        const sequences *q = &s->batches[i].in.seq;
        limits->train_rows = q->count > limits->train_rows ? q->count : limits->train_rows;
        limits->train_tokens = q->tokens > limits->train_tokens ? q->tokens : limits->train_tokens;
        limits->max_length =
            q->max_length > limits->max_length ? q->max_length : limits->max_length;
    }
    assert_ok(model_load_config(&ctx, s->batches[0].dir, &cfg));
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
        if (strcmp(act, acts[i].name) == 0)
            cfg.hidden_act = acts[i].act;
    limits->eval_rows = limits->train_rows;
    limits->eval_tokens = limits->train_tokens;
    s->net = golden_network_of(s->batches[0].dir, &cfg, &options);
    s->model = (bert *)s->net->body;
    model_config_deinit(&cfg);
    s->logits = test_floats(network_max_outputs(s->net));
}

static void subject_close(subject *s)
{
    assert_ok(network_check(&ctx, s->net));
    network_destroy(s->net);
    for (int i = 0; i < BATCHES; i++)
        golden_close(&s->batches[i]);
    mem_free(s->logits);
}

static int64_t outputs_of(const subject *s, int batch)
{
    return network_outputs(s->net, &s->batches[batch].in);
}

/* Forward and backward of a batch; the loss. */
static double gradient_of(subject *s, int batch)
{
    const golden *b = &s->batches[batch];
    const network_pass pass = {0};
    (void)network_forward(s->net, &pass, &b->in, NULL, s->logits);
    return network_learn(s->net, &pass, &b->in, &b->targets, 1.0f);
}

/* --------------------------------------------------------------------------- comparisons ---- */

/* The largest difference seen under one heading, and where. */
typedef struct tally {
    const char *what;
    double worst, bound;
    char where[160];
    int count;
} tally;

static void count_in(tally *t, const char *name, double error)
{
    if (error >= t->worst) {
        t->worst = error;
        snprintf(t->where, sizeof t->where, "%s", name);
    }
    t->count++;
}

/* found[n] is the golden tensor, to t->bound of its largest element. */
static void compare(tally *t, const subject *s, const char *name, const float *found, int64_t n)
{
    float *x = golden_floats(&s->batches[0], name, n);
    count_in(t, name, golden_compare(name, found, x, n, golden_largest(x, n), t->bound));
    mem_free(x);
}

static void report(const tally *t)
{
    printf("  %-34s %3d tensors, largest difference %.2e (at most %g): %s\n", t->what, t->count,
           t->worst, t->bound, t->where);
    assert_true(t->count > 0);
}

static void compare_loss(const subject *s, const char *name, double loss)
{
    const double expected = golden_number(&s->batches[0], name);
    if (!(fabs(loss - expected) <= LOSS_TOLERANCE * fabs(expected)))
        fail_msg("%s: %.9g, expected %.9g", name, loss, expected);
}

/*
 * All gradients.  The biases of keys have none: softmax does not change when all scores of a row
 * grow by one number.  What rounding leaves there is measured by the gradient of the queries'.
 */
static void compare_gradients(tally *t, const subject *s)
{
    const param_list *table = &s->net->params;
    for (int64_t i = 0; i < table->count; i++) {
        const param *p = table->items[i];
        const bool key_bias = strstr(p->name, "self.key.bias") != NULL;
        const param *like = key_bias ? table->items[i - 1] : p; /* behind the bias of the query */
        count_in(t, p->name, golden_compare_gradient(&s->batches[0], p, like, t->bound));
    }
}

/* ---------------------------------------------------------------------------------- fp32 ---- */

static const num_format fp32 = {.kind = FORMAT_FP32};

static void activations(void **state)
{
    tally t = {.what = "activations", .bound = ACTIVATION_TOLERANCE};
    subject s;
    char name[48];
    (void)state;
    subject_open(&s, "classifier", &fp32, "");
    const sequences *seq = &s.batches[0].in.seq;
    const int64_t d = s.net->cfg.hidden_size, f = s.net->cfg.intermediate_size;
    (void)network_forward(s.net, &(network_pass){0}, &s.batches[0].in, NULL, s.logits);
    for (int64_t l = 0; l < s.net->cfg.num_hidden_layers; l++) {
        const bert_layer *layer = &s.model->layers[l];
        snprintf(name, sizeof name, "layer.%lld.input", (long long)l);
        compare(&t, &s, name, layer->x.f, seq->tokens * d);
        snprintf(name, sizeof name, "layer.%lld.context", (long long)l);
        compare(&t, &s, name, layer->context.f, seq->tokens * d);
        snprintf(name, sizeof name, "layer.%lld.h1", (long long)l);
        compare(&t, &s, name, layer->h1.f, seq->tokens * d);
        snprintf(name, sizeof name, "layer.%lld.u", (long long)l);
        compare(&t, &s, name, layer->act_state.x, seq->tokens * f);
    }
    const first_token *top = (const first_token *)s.net->head;
    compare(&t, &s, "first", top->transform.in.f, seq->count * d);
    compare(&t, &s, "pooled", top->out_in.f, seq->count * d);
    compare(&t, &s, "logits", s.logits, outputs_of(&s, 0));
    report(&t);
    subject_close(&s);
}

static void gradients(void **state)
{
    static const char *const names[] = {"classifier", "regression", "multi_label"};
    (void)state;
    for (int i = 0; i < 3; i++) {
        tally logits = {.what = "logits", .bound = ACTIVATION_TOLERANCE};
        tally t = {.what = names[i], .bound = GRADIENT_TOLERANCE};
        subject s;
        subject_open(&s, names[i], &fp32, "");
        compare_loss(&s, "loss", gradient_of(&s, 0));
        compare(&logits, &s, "logits", s.logits, outputs_of(&s, 0));
        compare_gradients(&t, &s);
        report(&t);
        subject_close(&s);
    }
}

/* The batch in evaluation: the same numbers, without what the backward would need. */
static void evaluation(void **state)
{
    tally t = {.what = "logits in evaluation", .bound = ACTIVATION_TOLERANCE};
    subject s;
    (void)state;
    subject_open(&s, "classifier", &fp32, "");
    (void)network_predict(s.net, &s.batches[0].in, NULL, s.logits);
    compare(&t, &s, "logits", s.logits, outputs_of(&s, 0));
    report(&t);
    subject_close(&s);
}

static void activation_functions(void **state)
{
    static const char *const acts[] = {"gelu_new", "relu", "silu", "tanh"};
    tally values = {.what = "logits of activation functions", .bound = ACTIVATION_TOLERANCE};
    tally slopes = {.what = "gradients of activation functions", .bound = GRADIENT_TOLERANCE};
    (void)state;
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        char name[32];
        subject s;
        subject_open(&s, "classifier", &fp32, acts[i]);
        snprintf(name, sizeof name, "%s.loss", acts[i]);
        compare_loss(&s, name, gradient_of(&s, 0));
        snprintf(name, sizeof name, "%s.logits", acts[i]);
        compare(&values, &s, name, s.logits, outputs_of(&s, 0));
        snprintf(name, sizeof name, "%s.grad", acts[i]);
        const param *bias = s.model->layers[0].params.up_bias;
        compare(&slopes, &s, name, bias->grad, bias->cols);
        subject_close(&s);
    }
    report(&values);
    report(&slopes);
}

/* ------------------------------------------------------------------------------ training ---- */

/* Ten steps as train_step does them, batches in turn. */
static void check_training(const char *name, const optimizer_options *options, const char *plan)
{
    tally t = {.what = name, .bound = TRAINED_TOLERANCE};
    float losses[STEPS], norms[STEPS];
    subject s;
    optimizer *opt = NULL;
    subject_open(&s, name, &fp32, "");
    optimizer_options o = *options;
    o.weight_decay = golden_number(&s.batches[0], "train.decay");
    param_list *table = &s.net->params;
    const schedule sched = {schedule_kind_of(plan), STEPS,
                            (int64_t)golden_number(&s.batches[0], "train.warmup")};
    const double rate = golden_number(&s.batches[0], "train.rate");
    const double limit = golden_number(&s.batches[0], "train.clip");
    assert_ok(optimizer_create(&ctx, &o, table->trained, table->trained_count, &opt));
    for (int64_t step = 0; step < STEPS; step++) {
        losses[step] = (float)gradient_of(&s, (int)(step % BATCHES));
        const clip_result clip =
            clip_gradients(&s.net->ex, table->trained, table->trained_count, limit);
        norms[step] = (float)clip.norm;
        optimizer_step(&s.net->ex, opt, table->trained, table->trained_count,
                       rate * schedule_factor(&sched, step), clip.factor);
        network_weights_changed(s.net);
    }
    gradient_of(&s, 0);
    compare(&t, &s, "train.losses", losses, STEPS);
    compare(&t, &s, "train.norms", norms, STEPS);
    compare(&t, &s, "train.logits", s.logits, outputs_of(&s, 0));
    report(&t);
    optimizer_destroy(opt);
    subject_close(&s);
}

static void training(void **state)
{
    const optimizer_options adamw = {
        .class = optimizer_class_find("adamw"), .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    const optimizer_options sgd = {.class = optimizer_class_find("sgd"), .momentum = 0.9};
    (void)state;
    check_training("classifier", &adamw, "linear");
    check_training("regression", &sgd, "cosine");
    check_training("multi_label", &adamw, "linear");
}

/* ------------------------------------------------------------------------------ integers ---- */

/* Signal-to-noise ratios of logits and of the whole gradient against the golden values. */
static void check_format(const num_format *format, const char *what, double bound)
{
    subject s;
    subject_open(&s, "classifier", format, "");
    gradient_of(&s, 0);
    float *logits = golden_floats(&s.batches[0], "logits", outputs_of(&s, 0));
    const double of_logits = test_snr_db(s.logits, logits, outputs_of(&s, 0));
    const double of_gradient = golden_gradient_snr(&s.batches[0], s.net);
    printf("  %-24s logits %5.1f dB, gradient %5.1f dB (at least %.1f)\n", what, of_logits,
           of_gradient, bound);
    assert_true(of_logits >= bound);
    assert_true(of_gradient >= bound);
    mem_free(logits);
    subject_close(&s);
}

/* A bit more halves the error: bound(b) = bound(8) + 6.02 (b - 8) dB. */
static void integers(void **state)
{
    static const int widths[] = {8, 10, 12, 16};
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    const num_format bf16 = {.kind = FORMAT_BF16};
    (void)state;
    for (int g = 0; g < 3; g++)
        for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++)
            for (int stochastic = 0; stochastic < 2; stochastic++) {
                char what[64];
                const num_format f = test_format_dfp(widths[i], groups[g], stochastic == 1);
                snprintf(what, sizeof what, "int%d %s %s", widths[i], test_group_name(groups[g]),
                         stochastic ? "stochastic" : "nearest");
                check_format(&f, what, 15.0 + 6.02 * (widths[i] - 8));
            }
    check_format(&bf16, "bf16", 38.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations), cmocka_unit_test(gradients),
        cmocka_unit_test(evaluation),  cmocka_unit_test(activation_functions),
        cmocka_unit_test(training),    cmocka_unit_test(integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
