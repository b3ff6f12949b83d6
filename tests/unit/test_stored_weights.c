/*
 * A frozen base that stays in its file: loss and gradients of an adapter are those of the same base
 * in memory, bit for bit in integers, whether layers pack it or read it in every product; for F32
 * and BF16 files, with outliers, stochastic rounding, several panels, threads and instruction sets.
 */
#include "support/test_folder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu_features.h"
#include "io/safetensors.h"
#include "network/network_io.h"

enum { ROWS = 3, PARAMETERS_MAX = 64, TOKENS = 61, LONGEST = 30, VOCABULARY = 130, RANK = 4 };

static mts_ctx ctx;

/* Rows longer than a piece that is read at a time, and than a panel of columns. */
static const char config[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": 576,"
    "\"num_hidden_layers\": 1, \"num_attention_heads\": 8, \"num_key_value_heads\": 2,"
    "\"intermediate_size\": 2112, \"vocab_size\": 130, \"max_position_embeddings\": 64,"
    "\"hidden_act\": \"silu\", \"rms_norm_eps\": 1e-5, \"tie_word_embeddings\": true}\n";

static const int64_t offset[ROWS + 1] = {0, 30, 43, TOKENS};

typedef struct result {
    double loss;
    float *grad; /* of all trained parameters */
    int64_t n;
} result;

static uint16_t upper_half(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)(bits >> 16);
}

/* model.safetensors of the folder, all matrices in this type; norms are 1. */
static void write_model(st_dtype dtype)
{
    model_config cfg = {0};
    param_list list = {0};
    const char *prefix;
    safetensors_writer *w = NULL;
    void *data[PARAMETERS_MAX] = {NULL};
    folder_put_text("config.json", config);
    assert_ok(model_load_config(&ctx, folder_root(), &cfg));
    assert_ok(network_declare(&ctx, &cfg, head_class_find("next token"), &list, &prefix));
    assert_ok(safetensors_writer_open(&ctx, folder_at("model.safetensors"), &w));
    assert_true(list.count <= PARAMETERS_MAX);
    for (int64_t i = 0; i < list.count; i++) {
        const param *p = list.items[i];
        const int64_t n = param_size(p), shape[2] = {p->rows, p->cols};
        const float range = sqrtf(3.0f / (float)p->cols);
        const rng_key key = rng_make_key(7, 0, (uint64_t)i, RNG_INIT);
        float *x = calloc((size_t)n, sizeof *x);
        uint16_t *half = calloc((size_t)n, sizeof *half);
        for (int64_t k = 0; k < n; k++) {
            x[k] = p->vector ? 1.0f : range * (2.0f * rng_uniform(key, (uint32_t)k) - 1.0f);
            half[k] = upper_half(x[k]);
        }
        const bool halves = dtype == ST_DTYPE_BF16;
        data[i] = halves ? (void *)half : (void *)x;
        free(halves ? (void *)x : (void *)half);
        assert_ok(safetensors_writer_add(w, p->name, dtype, p->vector ? 1 : 2,
                                         p->vector ? shape + 1 : shape, data[i]));
    }
    assert_ok(safetensors_writer_commit(w));
    safetensors_writer_close(w);
    for (int64_t i = 0; i < list.count; i++)
        free(data[i]);
    param_list_deinit(&list);
    model_config_deinit(&cfg);
}

/* B is not zero, as it would be at first: A's gradient is not zero then. */
static void fill_adapter(const param_list *list)
{
    for (int64_t i = 0; i < list->count; i++) {
        param *p = list->items[i];
        const rng_key key = rng_make_key(9, 0, (uint64_t)i, RNG_INIT);
        for (int64_t k = 0; p->part == PARAM_ADAPTER && k < param_size(p); k++)
            p->value[k] = 0.05f * (2.0f * rng_uniform(key, (uint32_t)k) - 1.0f);
    }
}

/* Between the layers, whether the pages of the base are taken away: less memory than the base. */
static bool drops;
static int64_t dropped;

static void drop_pages(void *user, const network_place *place)
{
    const network *net = user;
    (void)place;
    for (int64_t i = 0; drops && i < net->params.count; i++) {
        const param *p = net->params.items[i];
        stored_matrix_forget(&p->stored);
        dropped += p->storage != PARAM_IN_MEMORY;
    }
}

static result run(const num_format *format, param_storage frozen, bool nf4, int threads,
                  const gemm_family *family)
{
    static const int32_t outliers[2] = {3, 517};
    const network_options options = {
        .head = head_class_find("next token"),
        .family = family,
        .format = *format,
        .threads = threads,
        .seed = 5,
        .model = {.adapter = {.rank = RANK, .scale = 2.0f, .alpha = 8.0f, .targets = "all-linear"}},
        .frozen = frozen,
        .frozen_nf4 = nf4,
        .limits = {ROWS, TOKENS, ROWS, TOKENS, LONGEST, 0},
    };
    int32_t ids[TOKENS], positions[TOKENS];
    network_load_report report;
    model_config cfg = {0};
    network *net = NULL;
    targets t;
    result r = {0};
    assert_ok(model_load_config(&ctx, folder_root(), &cfg));
    assert_ok(network_create(&ctx, &cfg, &options, &net));
    assert_ok(network_load(&ctx, net, folder_root(), HEAD_NEEDED, &report));
    fill_adapter(&net->params);
    network_weights_changed(net);
    network_listen(net, drop_pages, net);
    for (outlier_list *list = net->ex.outliers; list != NULL; list = list->next)
        outlier_list_set(list, outliers, 2);
    assert_ok(targets_init(&ctx, &t, TARGET_NEXT, 0, ROWS, TOKENS));
    for (int64_t e = 0; e < ROWS; e++)
        for (int64_t k = offset[e]; k < offset[e + 1]; k++) {
            ids[k] = (int32_t)((k * 37 + e) % VOCABULARY);
            positions[k] = (int32_t)(k - offset[e]);
            t.index[k] = k + 1 < offset[e + 1] ? (int32_t)((k * 53) % VOCABULARY) : TARGET_IGNORED;
        }
    const model_input in = {{ROWS, TOKENS, LONGEST, offset}, ids, NULL, positions, NULL};
    /* the second step must find the packed base as the first did */
    (void)network_learn(net, &(network_pass){.step = 0}, &in, &t, 1.0f);
    network_weights_changed(net);
    r.loss = network_learn(net, &(network_pass){.step = 1}, &in, &t, 1.0f);
    assert_ok(network_check(&ctx, net));
    r.n = param_list_trained_elements(&net->params);
    r.grad = calloc((size_t)r.n, sizeof(float));
    memcpy(r.grad, net->params.grad, (size_t)r.n * sizeof(float));
    for (int64_t i = 0; i < net->params.count; i++) {
        const param *p = net->params.items[i];
        const bool stays = p->part == PARAM_BODY && !p->vector && frozen != PARAM_IN_MEMORY;
        assert_int_equal(p->value == NULL, stays);
    }
    targets_deinit(&t);
    network_destroy(net);
    model_config_deinit(&cfg);
    return r;
}

static void check_equal(const result *a, const result *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(&a->loss, &b->loss, sizeof a->loss);
    assert_memory_equal(a->grad, b->grad, (size_t)a->n * sizeof(float));
}

static void check_integers(const num_format *format)
{
    int count;
    const gemm_family *const *families = kernels_families(&count);
    const result memory = run(format, PARAM_IN_MEMORY, false, 1, NULL);
    for (int threads = 1; threads <= 3; threads += 2)
        for (param_storage frozen = PARAM_STORED; frozen <= PARAM_STREAMED; frozen++) {
            result r = run(format, frozen, false, threads, NULL);
            check_equal(&memory, &r);
            free(r.grad);
        }
    for (int i = 0; i < count; i++) {
        if ((families[i]->features & cpu_features()) != families[i]->features)
            continue;
        const result r = run(format, PARAM_STREAMED, false, 2, families[i]);
        check_equal(&memory, &r);
        free(r.grad);
    }
    free(memory.grad);
}

static num_format integers(int bits, int outlier_bits, rounding_kind rounding)
{
    return (num_format){.kind = FORMAT_DFP,
                        .weight_bits = bits,
                        .activation_bits = bits,
                        .gradient_bits = bits,
                        .attention_bits = bits,
                        .norm_bits = 16,
                        .rounding = rounding,
                        .group = GROUP_ROW,
                        .outlier_bits = outlier_bits,
                        .outlier_threshold = 5.0f};
}

static void test_integers(void **state)
{
    const num_format formats[] = {integers(8, 0, ROUNDING_MIXED), integers(8, 12, ROUNDING_MIXED),
                                  integers(8, 0, ROUNDING_STOCHASTIC),
                                  integers(12, 0, ROUNDING_NEAREST)};
    (void)state;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        write_model(bf16 ? ST_DTYPE_BF16 : ST_DTYPE_F32);
        for (size_t i = 0; i < (bf16 ? 4 : 2); i++)
            check_integers(&formats[i]);
    }
}

static void test_less_memory(void **state)
{
    const num_format format = integers(8, 12, ROUNDING_MIXED);
    (void)state;
    write_model(ST_DTYPE_BF16);
    const result whole = run(&format, PARAM_STREAMED, false, 2, NULL);
    drops = true;
    const result less = run(&format, PARAM_STREAMED, false, 2, NULL);
    drops = false;
    check_equal(&whole, &less);
    assert_true(dropped >= 2 * 3 * 7); /* two steps, three places, matrices of a layer */
    free(whole.grad);
    free(less.grad);
}

/* A base in 4 bits: mantissas are looked up where they can be, and are those of a packed one. */
static void test_nf4(void **state)
{
    const num_format formats[] = {integers(8, 12, ROUNDING_MIXED),
                                  integers(8, 0, ROUNDING_STOCHASTIC),
                                  integers(12, 0, ROUNDING_NEAREST)};
    int count;
    const gemm_family *const *families = kernels_families(&count);
    (void)state;
    write_model(ST_DTYPE_BF16);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const result packed = run(&formats[i], PARAM_STORED, true, 1, NULL);
        const result plain = run(&formats[i], PARAM_STORED, false, 1, NULL);
        assert_true(fabs(packed.loss - plain.loss) > 1e-6); /* it was quantised */
        free(plain.grad);
        for (int f = 0; f < count; f++) {
            if ((families[f]->features & cpu_features()) != families[f]->features)
                continue;
            const result r = run(&formats[i], PARAM_STREAMED, true, 1 + f, families[f]);
            check_equal(&packed, &r);
            free(r.grad);
        }
        free(packed.grad);
    }
}

/* Sums are cut otherwise where a piece of the weight is multiplied at a time. */
static void check_floats(format_kind kind, float tolerance)
{
    const num_format format = {.kind = kind};
    const result memory = run(&format, PARAM_IN_MEMORY, false, 1, NULL);
    double largest = 0.0, difference = 0.0;
    for (param_storage frozen = PARAM_STORED; frozen <= PARAM_STREAMED; frozen++) {
        const result r = run(&format, frozen, false, 2, NULL);
        assert_true(fabs(r.loss - memory.loss) <= tolerance);
        for (int64_t i = 0; i < r.n; i++) {
            largest = fmax(largest, fabs((double)memory.grad[i]));
            difference = fmax(difference, fabs((double)r.grad[i] - (double)memory.grad[i]));
        }
        free(r.grad);
    }
    assert_true(largest > 0.0 && difference <= (double)tolerance * largest);
    free(memory.grad);
}

static void test_floats(void **state)
{
    (void)state;
    write_model(ST_DTYPE_BF16);
    check_floats(FORMAT_FP32, 1e-5f);
    check_floats(FORMAT_BF16, 1e-5f);
}

/* A NaN is found when the model is loaded: nothing looks for it later. */
static void test_nan(void **state)
{
    const network_options options = {
        .head = head_class_find("next token"),
        .format = {.kind = FORMAT_FP32},
        .threads = 2,
        .model = {.adapter = {.rank = RANK, .scale = 2.0f, .alpha = 8.0f, .targets = "all-linear"}},
        .frozen = PARAM_STORED,
        .limits = {ROWS, TOKENS, ROWS, TOKENS, LONGEST, 0},
    };
    const float nan = NAN;
    network_load_report report;
    model_config cfg = {0};
    network *net = NULL;
    uint64_t header;
    FILE *file;
    (void)state;
    write_model(ST_DTYPE_F32);
    file = fopen(folder_at("model.safetensors"), "r+b");
    assert_non_null(file);
    assert_int_equal(fread(&header, sizeof header, 1, file), 1);
    /* the first tensor in the file is that of the embeddings */
    assert_int_equal(fseek(file, (long)(sizeof header + header + 5 * sizeof nan), SEEK_SET), 0);
    assert_int_equal(fwrite(&nan, sizeof nan, 1, file), 1);
    assert_int_equal(fclose(file), 0);
    assert_ok(model_load_config(&ctx, folder_root(), &cfg));
    assert_ok(network_create(&ctx, &cfg, &options, &net));
    assert_fails(network_load(&ctx, net, folder_root(), HEAD_NEEDED, &report), MTS_ERR_BAD_FILE,
                 "has NaN or infinity");
    network_destroy(net);
    model_config_deinit(&cfg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_integers, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(test_less_memory, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(test_nf4, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(test_floats, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(test_nan, folder_open, folder_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
