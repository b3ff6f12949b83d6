/*
 * network/network_io: what is looked at before memory is taken for a model, and files of very many
 * tensors that the model has no place for.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "io/safetensors.h"
#include "network/network_io.h"
#include "support/test_model.h"

enum { EXTRA = 50000, LAYERS = 12 };

static mts_ctx ctx;
static char folder[64];
static test_bert t;

static void must(mts_status st)
{
    if (st != MTS_OK)
        fail_msg("%s: %s", mts_status_name(st), ctx.error);
}

static int setup(void **state)
{
    const test_shape shape = test_shape_full(&(test_shape){.layers = LAYERS});
    const num_format format = test_format_float(FORMAT_FP32);
    (void)state;
    strcpy(folder, "/tmp/mantissa_bert_io_XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    test_bert_init(&t, &shape, &format, 1, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_bert_deinit(&t);
    return file_remove_tree(&ctx, folder) != MTS_OK;
}

/* model.safetensors in the folder: the model's first `count` parameters and `extra` others. */
static void write_model(int64_t count, int extra)
{
    char path[96], name[32];
    safetensors_writer *w = NULL;
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    must(safetensors_writer_open(&ctx, path, &w));
    for (int64_t i = 0; i < count; i++) {
        const param *p = t.net->params.items[i];
        const int64_t shape[2] = {p->rows, p->cols};
        must(safetensors_writer_add(w, p->name, ST_DTYPE_F32, p->vector ? 1 : 2,
                                    p->vector ? shape + 1 : shape, p->value));
    }
    for (int i = 0; i < extra; i++) {
        snprintf(name, sizeof name, "extra.%d", i);
        must(safetensors_writer_add(w, name, ST_DTYPE_U8, 0, NULL, "x"));
    }
    must(safetensors_writer_commit(w));
    safetensors_writer_close(w);
}

static void assert_refused(mts_status st, const char *text)
{
    assert_int_equal(st, MTS_ERR_BAD_FILE);
    if (strstr(ctx.error, text) == NULL)
        fail_msg("'%s' is not in '%s'", text, ctx.error);
}

static void checks_shapes(void **state)
{
    (void)state;
    model_config cfg = t.net->cfg;
    const int64_t count = t.net->params.count;
    write_model(count, 0);
    must(network_check_weights(&ctx, &cfg, t.net->options.head, folder, HEAD_NEEDED));
    cfg.vocab_size = 1 << 24;
    assert_refused(network_check_weights(&ctx, &cfg, t.net->options.head, folder, HEAD_IF_THERE),
                   "word_embeddings.weight: config.json asks for shape [16777216, ");
    cfg.vocab_size = t.net->cfg.vocab_size;
    cfg.num_hidden_layers = 1024;
    assert_refused(network_check_weights(&ctx, &cfg, t.net->options.head, folder, HEAD_IF_THERE),
                   "no tensor bert.encoder.layer.12.attention.self.query.weight");
    cfg.num_hidden_layers = t.net->cfg.num_hidden_layers;
    cfg.num_labels = 65536; /* a training makes another head */
    must(network_check_weights(&ctx, &cfg, t.net->options.head, folder, HEAD_IF_THERE));
    assert_refused(network_check_weights(&ctx, &cfg, t.net->options.head, folder, HEAD_NEEDED),
                   "classifier.weight");
    write_model(count - 4 /* those of the head */, 0);
    must(network_check_weights(&ctx, &cfg, t.net->options.head, folder, HEAD_IF_THERE));
    assert_refused(network_check_weights(&ctx, &cfg, t.net->options.head, folder, HEAD_NEEDED),
                   "no tensor bert.pooler.dense");
}

/* Tensors without a place are counted, however many they are. */
static void counts_unused_tensors(void **state)
{
    (void)state;
    network_load_report report;
    write_model(t.net->params.count, EXTRA);
    must(network_load(&ctx, t.net, folder, HEAD_NEEDED, &report));
    assert_int_equal(report.unused, EXTRA);
    assert_string_equal(report.first_unused, "extra.0");
    assert_null(report.initialized_head);
    assert_null(report.initialized_output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(checks_shapes, setup, teardown),
        cmocka_unit_test_setup_teardown(counts_unused_tensors, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
