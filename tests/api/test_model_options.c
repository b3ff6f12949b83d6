/* mts_options_from_model: what a fine-tuned folder says of its training, and hostile folders. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <mantissa/mantissa.h>

#include "options/options.h"
#include "support/run_folder.h"

/* A folder whose config.json is this text. */
static mts_status read_text(const char *text, mts_options *o)
{
    const run_path dir = run_folder_path("%s", "."), file = run_folder_path("config.json");
    FILE *f = fopen(file.text, "wb");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return mts_options_from_model(ctx, o, dir.text);
}

/* Training with these options, then reading the folder: they are what evaluation is told. */
static void check_round_trip(const char *precision, int64_t attention, const char *group)
{
    const run_path out = run_folder_path("out");
    mts_options o = run_folder_options(), read;
    o.precision = precision;
    o.attention_bits = attention;
    o.exponent_group = group;
    o.max_steps = 1;
    o.output_dir = out.text;
    o.overwrite_output_dir = true;
    assert_int_equal(mts_train(ctx, &o, NULL, NULL), MTS_OK);
    mts_options_default(&read);
    assert_int_equal(mts_options_from_model(ctx, &read, out.text), MTS_OK);
    assert_string_equal(read.precision, precision);
    assert_string_equal(read.exponent_group, group);
    assert_int_equal(read.max_seq_length, o.max_seq_length);
    assert_true(attention == 0 || read.attention_bits == attention);
    assert_int_equal(mts_options_check(ctx, &read), MTS_OK);
}

static void round_trip(void **state)
{
    (void)state;
    check_round_trip("int8", 12, "row");
    check_round_trip("int12", 0, "tensor");
    check_round_trip("fp32", 0, "row");
}

/* Widths that are given and all different: each is stored as itself. */
static void widths(void **state)
{
    const run_path out = run_folder_path("widths");
    mts_options o = run_folder_options(), read;
    (void)state;
    o.precision = "int8";
    o.weight_bits = 9;
    o.activation_bits = 10;
    o.attention_bits = 11;
    o.norm_bits = 12;
    o.max_steps = 1;
    o.output_dir = out.text;
    assert_int_equal(mts_train(ctx, &o, NULL, NULL), MTS_OK);
    mts_options_default(&read);
    assert_int_equal(mts_options_from_model(ctx, &read, out.text), MTS_OK);
    assert_int_equal(read.weight_bits, 9);
    assert_int_equal(read.activation_bits, 10);
    assert_int_equal(read.attention_bits, 11);
    assert_int_equal(read.norm_bits, 12);
}

/* Outliers: what evaluation needs to know of them, and only where they are told apart. */
static void outliers(void **state)
{
    const run_path out = run_folder_path("outlying");
    mts_options o = run_folder_options(), read;
    (void)state;
    o.outliers = "feature";
    o.outlier_bits = 14;
    o.outlier_threshold = 3.25;
    o.outlier_update = "step";
    o.max_steps = 1;
    o.output_dir = out.text;
    assert_int_equal(mts_train(ctx, &o, NULL, NULL), MTS_OK);
    mts_options_default(&read);
    assert_string_equal(read.outliers, "auto");
    assert_int_equal(mts_options_from_model(ctx, &read, out.text), MTS_OK);
    assert_string_equal(read.outliers, "feature");
    assert_int_equal(read.outlier_bits, 14);
    assert_true(read.outlier_threshold == 3.25);
    assert_int_equal(read.outlier_weight_bits, 8); /* as the other weights */
    assert_null(read.scales);
    assert_string_equal(read.outlier_update, "once"); /* of training alone */
}

/* What is not said, or not known here, changes nothing. */
static void absent(void **state)
{
    mts_options o, before;
    (void)state;
    mts_options_default(&o);
    before = o;
    assert_int_equal(read_text("{}", &o), MTS_OK);
    assert_memory_equal(&o, &before, sizeof o);
    assert_int_equal(read_text("{\"mantissa\": {\"later\": [1], \"precision\": null}}", &o),
                     MTS_OK);
    assert_memory_equal(&o, &before, sizeof o);
    assert_int_equal(read_text("{\"mantissa\": {\"max_seq_length\": 77}}", &o), MTS_OK);
    before.max_seq_length = 77;
    assert_memory_equal(&o, &before, sizeof o);
}

static void hostile(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"{\"mantissa\": 3}", "expected an object"},
        {"{\"mantissa\": {\"max_seq_length\": 20, \"precision\": \"int7\"}}", "expected one of"},
        {"{\"mantissa\": {\"max_seq_length\": 20, \"precision\": 8}}", "precision"},
        {"{\"mantissa\": {\"max_seq_length\": 20, \"precision\": \"row\"}}", "expected one of"},
        {"{\"mantissa\": {\"weight_bits\": 17}}", "weight_bits"},
        {"{\"mantissa\": {\"norm_bits\": -1}}", "norm_bits"},
        {"{\"mantissa\": {\"max_seq_length\": 1e30}}", "max_seq_length"},
        {"{\"mantissa\": {\"max_seq_length\": \"16\"}}", "max_seq_length"},
        {"{\"mantissa\": {\"exponent_group\": \"\"}}", "expected one of"},
        {"{\"mantissa\": {\"precision\": \"fp32\", \"weight_bits\": 8}}", "weight_bits"},
        {"{\"mantissa\": {\"weight_bits\": 3}}", "weight_bits"},
        {"{\"mantissa\": {\"outliers\": \"yes\"}}", "expected one of"},
        {"{\"mantissa\": {\"outliers\": 1}}", "outliers"},
        {"{\"mantissa\": {\"outlier_bits\": 8}}", "outlier_bits"},
        {"{\"mantissa\": {\"outlier_bits\": 12.5}}", "outlier_bits"},
        {"{\"mantissa\": {\"outlier_threshold\": 0.5}}", "outlier_threshold"},
        {"{\"mantissa\": {\"precision\": \"fp32\", \"outliers\": \"feature\"}}",
         "needs an integer"},
        {"{\"mantissa\": {\"max_seq_length\": 60000}}", "at most max_position_embeddings 512"},
        {"{\"max_position_embeddings\": 64, \"mantissa\": {\"max_seq_length\": 65}}",
         "at most max_position_embeddings 64, found 65"},
        {"[]", "config.json"},
        {"{\"mantissa\": ", "config.json"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mts_options o, before;
        mts_options_default(&o);
        before = o;
        if (read_text(cases[i].text, &o) != MTS_ERR_BAD_FILE)
            fail_msg("accepted: %s", cases[i].text);
        assert_memory_equal(&o, &before, sizeof o);
        assert_non_null(strstr(mts_error_text(ctx), "config.json"));
        if (strstr(mts_error_text(ctx), cases[i].part) == NULL)
            fail_msg("'%s' is not in '%s'", cases[i].part, mts_error_text(ctx));
    }
    mts_options o;
    const run_path nowhere = run_folder_path("nowhere");
    mts_options_default(&o);
    assert_int_equal(mts_options_from_model(ctx, &o, nowhere.text), MTS_ERR_NOT_FOUND);
    assert_int_equal(mts_options_from_model(ctx, &o, NULL), MTS_ERR_ARGUMENT);
}

/* The caller's own settings are not the folder's fault, and a short model needs no length. */
static void beside_others(void **state)
{
    mts_options o;
    (void)state;
    mts_options_default(&o);
    o.precision = "fp32";
    assert_int_equal(read_text("{\"max_position_embeddings\": 64, \"mantissa\": "
                               "{\"weight_bits\": 8, \"max_seq_length\": null}}",
                               &o),
                     MTS_OK);
    assert_int_equal(o.weight_bits, 8);
    assert_true(mts_option_is_stored(mts_option_find("precision")));
    assert_true(mts_option_is_stored(mts_option_find("max_seq_length")));
    assert_false(mts_option_is_stored(mts_option_find("learning_rate")));
    assert_false(mts_option_is_stored(NULL));
}

/* The options of question answering: kept by a folder of such a model, and by no other. */
static void answers(void **state)
{
    mts_options o;
    json_t *kept = json_object(), *other = json_object();
    (void)state;
    mts_options_default(&o);
    const size_t stored = 7; /* precision, four widths, group, length */
    assert_int_equal(read_text("{\"mantissa\": {\"doc_stride\": 64, \"n_best_size\": 7, "
                               "\"max_answer_length\": 12.0, \"version_2_with_negative\": true, "
                               "\"null_score_diff_threshold\": -1}}",
                               &o),
                     MTS_OK);
    assert_true(o.doc_stride == 64 && o.n_best_size == 7 && o.max_answer_length == 12);
    assert_true(o.version_2_with_negative && o.null_score_diff_threshold == -1.0);
    assert_int_equal(options_put_json(ctx, &o, OPTION_STORED, false, other), MTS_OK);
    assert_int_equal(json_object_size(other), stored);
    assert_int_equal(options_put_json(ctx, &o, OPTION_STORED, true, kept), MTS_OK);
    assert_int_equal(json_object_size(kept), stored + 5);
    assert_int_equal(json_integer_value(json_object_get(kept, "doc_stride")), 64);
    o.outliers = "feature";
    json_object_clear(other);
    assert_int_equal(options_put_json(ctx, &o, OPTION_STORED, false, other), MTS_OK);
    assert_int_equal(json_object_size(other), stored + 4); /* they, two widths, a threshold */
    assert_true(json_is_true(json_object_get(kept, "version_2_with_negative")));
    o.precision = "bf16";
    json_object_clear(kept);
    assert_int_equal(options_put_json(ctx, &o, OPTION_STORED, true, kept), MTS_OK);
    assert_int_equal(json_object_size(kept), 7); /* precision, length, and those */
    json_decref(kept);
    json_decref(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent),     cmocka_unit_test(hostile), cmocka_unit_test(beside_others),
        cmocka_unit_test(round_trip), cmocka_unit_test(widths),  cmocka_unit_test(outliers),
        cmocka_unit_test(answers),
    };
    return cmocka_run_group_tests(tests, run_folder_open, run_folder_close);
}
