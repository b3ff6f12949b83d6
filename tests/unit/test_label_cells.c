/* tasks/label_cells, and text_classification with sets of labels: from files to rows, and back. */
#include "support/test_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tasks/label_cells.h"
#include "tasks/text_classification.h"

static mts_ctx ctx;
static char folder[64];

/* The labels of a file with this content, as "a|b|", or the error without the folder. */
static const char *labels_of(const char *name, const char *content, const char *separator)
{
    static char text[1100];
    char path[128], *bytes = NULL;
    table_layout layout = {.nested = true};
    table t = {0};
    label_set set = {0};
    text[0] = '\0';
    snprintf(path, sizeof path, "f/%s", name);
    assert_ok(table_format_of_path(&ctx, path, &layout.format));
    assert_ok(mem_strdup(&ctx, &bytes, content));
    assert_ok(table_parse(&ctx, &t, path, &bytes, strlen(content), &layout));
    if (label_cells_collect(&ctx, &set, &t, 0, separator) != MTS_OK)
        snprintf(text, sizeof text, "%s", ctx.error);
    for (int64_t i = 0; text[0] != 'f' && i < set.n; i++) {
        strcat(text, set.names[i]);
        strcat(text, "|");
    }
    label_set_deinit(&set);
    table_deinit(&t);
    return text;
}

#define ROW(labels) "{\"l\": " labels "}\n"

static void arrays(void **state)
{
    (void)state;
    assert_string_equal(labels_of("a.jsonl", ROW("[\"b\", \"a\"]") ROW("[]") ROW("[\"b\"]"), NULL),
                        "a|b|");
    assert_string_equal(labels_of("a.jsonl", ROW("[10, 9]") ROW("[-1, 9, 9]"), NULL), "-1|9|10|");
    /* strings are no numbers: by bytes */
    assert_string_equal(labels_of("a.jsonl", ROW("[\"10\", \"9\"]"), NULL), "10|9|");
    assert_string_equal(labels_of("a.jsonl", ROW("[]") ROW("[\"x, y\", \"x\"]"), NULL), "x|x, y|");
}

static void broken_arrays(void **state)
{
    (void)state;
#define REFUSES(rows, text) assert_string_equal(labels_of("a.jsonl", rows, NULL), text)
    REFUSES(ROW("[\"a\", \"b\"]") ROW("\"a\""),
            "f/a.jsonl:2: \"l\": expected an array of labels, found a string (--label_separator is "
            "not given)");
    REFUSES(ROW("[\"a\", \"b\"]") ROW("1"),
            "f/a.jsonl:2: \"l\": expected an array of labels, found a number");
    REFUSES(ROW("[\"a\", \"b\"]") ROW("true"),
            "f/a.jsonl:2: \"l\": expected an array of labels, found true or false");
    REFUSES(ROW("[\"a\", \"b\"]") ROW("null"),
            "f/a.jsonl:2: \"l\": expected an array of labels, found null");
    REFUSES(ROW("[\"a\", \"b\"]") ROW("{}"),
            "f/a.jsonl:2: \"l\": expected an array of labels, found an object");
    REFUSES(ROW("[\"a\", \"b\"]") "{\"m\": 1}\n",
            "f/a.jsonl:2: \"l\": expected an array of labels, found no such key");
    REFUSES(ROW("[\"a\", 1.5]"), "f/a.jsonl:1: \"l\": expected labels that are strings or "
                                 "integers, found a real");
    REFUSES(ROW("[[\"a\"]]"), "f/a.jsonl:1: \"l\": expected labels that are strings or integers, "
                              "found an array");
    REFUSES(ROW("[\"a\", \" \"]"), "f/a.jsonl:1: \"l\": expected labels, found an empty one");
    REFUSES(ROW("[\"a\"]") ROW("[\"b\", 1]"),
            "f/a.jsonl:2: \"l\": expected labels that are all strings or all integers, found one "
            "of the other kind in line 1");
    REFUSES(ROW("[\"a\"]") ROW("[\"a\"]"),
            "f/a.jsonl: \"l\": expected at least two different labels, found only \"a\"");
    REFUSES(ROW("[]"), "f/a.jsonl: \"l\": expected at least two different labels, found only \"\"");
#undef REFUSES
}

static void separators(void **state)
{
    (void)state;
    assert_string_equal(labels_of("a.csv", "l,t\n\"b, a\",x\n,x\na,x\n  ,x\n", ","), "a|b|");
    assert_string_equal(labels_of("a.csv", "l,t\nb::a,x\nc,x\n", "::"), "a|b|c|");
    assert_string_equal(labels_of("a.csv", "l,t\n10;09,x\n9;+9,x\n", ";"), "9|10|");
    assert_string_equal(labels_of("a.csv", "l,t\n10;09,x\n9;a,x\n", ";"), "09|10|9|a|");
    assert_string_equal(labels_of("a.csv", "l,t\nb;;a,x\n", ";"),
                        "f/a.csv:2: \"l\": expected labels between the separators, found an empty "
                        "one");
    assert_string_equal(labels_of("a.csv", "l,t\nb;a;,x\n", ";"),
                        "f/a.csv:2: \"l\": expected labels between the separators, found an empty "
                        "one");
    /* strings of JSON, and arrays among them */
    assert_string_equal(labels_of("a.jsonl", ROW("\"a b\"") ROW("[\"c d\"]") ROW("7"), " "),
                        "7|a|b|c d|");
}

/* Many rows with few labels: sorted while they come. */
static void many(void **state)
{
    enum { MANY = 20000 };
    static char text[24 * MANY];
    size_t used = 0;
    (void)state;
    for (int i = 0; i < MANY; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, ROW("[%d, %d]"), i % 7, i % 3);
    assert_string_equal(labels_of("a.jsonl", text, NULL), "0|1|2|3|4|5|6|");
    used = 0;
    for (int i = 0; i < MANY; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, ROW("[%d]"), i);
    assert_int_equal(strncmp(labels_of("a.jsonl", ROW("[1, 2]"), NULL), "1|2|", 4), 0);
}

/* ------------------------------------------------------------------------------- rows ---- */

static const char *put(const char *name, const char *content)
{
    static char path[2][160];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    FILE *f = fopen(path[turn], "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(content, 1, strlen(content), f), strlen(content));
    assert_int_equal(fclose(f), 0);
    return path[turn];
}

static mts_options options_of(const char *train, const char *dev)
{
    mts_options o;
    mts_options_default(&o);
    o.train_file = train;
    o.validation_file = dev;
    return o;
}

/* The rows of a set as "text:101 text:000 ", or the error behind the last slash. */
static const char *rows_of(text_classification *t, task_split split)
{
    static char text[512];
    static const task_reading reading;
    dataset d;
    if (text_classification_load(&ctx, t, split, 0, &reading, false, &d) != MTS_OK)
        return strrchr(ctx.error, '/') + 1;
    assert_int_equal(d.targets.kind, TARGET_SET);
    assert_int_equal(d.targets.width, t->num_labels);
    text[0] = '\0';
    for (int64_t i = 0; i < d.n; i++) {
        strcat(strcat(text, d.text_a[i]), ":");
        for (int64_t k = 0; k < t->num_labels; k++)
            strcat(text, d.targets.set[i * t->num_labels + k] != 0 ? "1" : "0");
        strcat(text, " ");
    }
    dataset_deinit(&d);
    return text;
}

/* From files to rows; the column is called "labels" if there is no "label". */
static void whole_files(void **state)
{
    static const task_reading reading;
    mts_options o = options_of(put("t.jsonl", "{\"text\": \"x\", \"labels\": [\"b\", \"c\"]}\n"
                                              "{\"text\": \"y\", \"labels\": []}\n"
                                              "{\"text\": \"z\", \"labels\": [\"a\"]}\n"),
                               put("d.jsonl", "{\"labels\": [\"c\", \"a\"], \"text\": \"u\"}\n"));
    model_config cfg = {0};
    task *base = NULL;
    (void)state;
    assert_ok(model_config_init(&ctx, &cfg));
    assert_ok(task_open(&ctx, &o, NULL, NULL, &base));
    assert_ok(base->class->fit(&ctx, base, "m", &cfg, true, &reading));
    text_classification *t = (text_classification *)base;
    assert_string_equal(base->head, "multi_label");
    assert_int_equal(cfg.problem_type, MODEL_PROBLEM_MULTI_LABEL);
    assert_int_equal(cfg.num_labels, 3);
    assert_string_equal(cfg.labels[2], "c");
    assert_string_equal(rows_of(t, TASK_TRAIN), "x:011 y:000 z:100 ");
    assert_string_equal(rows_of(t, TASK_EVAL), "u:101 ");
    put("d.jsonl", "{\"labels\": [\"a\", \"d\"], \"text\": \"u\"}\n");
    assert_string_equal(rows_of(t, TASK_EVAL), "d.jsonl:1: \"labels\": expected labels of \"a\", "
                                               "\"b\", \"c\", found \"d\"");
    put("d.jsonl", "{\"labels\": [\"b\", \"a\", \"b\"], \"text\": \"u\"}\n");
    assert_non_null(strstr(rows_of(t, TASK_EVAL), "d.jsonl:1: \"labels\": \"b\" stands twice"));
    task_close(base);
    model_config_deinit(&cfg);
}

/* A separator is kept for evaluation; a model with unnamed labels knows their numbers. */
static void stored_separator(void **state)
{
    static const task_reading reading;
    mts_options o = options_of(NULL, put("d.csv", "text,label\nu,1;0\nv,\n"));
    model_config cfg = {0};
    json_t *stored = json_pack("{s:s, s:[s], s:s}", "label_separator", ";", "text_column_names",
                               "text", "label_column_name", "label");
    json_t *again = json_object();
    task *base = NULL;
    (void)state;
    assert_ok(model_config_init(&ctx, &cfg));
    assert_ok(model_config_set_labels(&ctx, &cfg, NULL, 2, false));
    assert_ok(model_config_set_problem(&ctx, &cfg, MODEL_PROBLEM_MULTI_LABEL));
    assert_ok(task_open(&ctx, &o, "multi_label", stored, &base));
    assert_ok(base->class->fit(&ctx, base, "m", &cfg, false, &reading));
    assert_string_equal(rows_of((text_classification *)base, TASK_EVAL), "u:11 v:00 ");
    assert_ok(base->class->store(&ctx, base, again));
    assert_true(json_equal(stored, again));
    task_close(base);
    o.label_separator = "|";
    assert_ok(task_open(&ctx, &o, "multi_label", stored, &base));
    assert_ok(base->class->fit(&ctx, base, "m", &cfg, false, &reading));
    assert_string_equal(rows_of((text_classification *)base, TASK_EVAL),
                        "d.csv:2: \"label\": expected labels of \"LABEL_0\", \"LABEL_1\", found "
                        "\"1;0\"");
    task_close(base);
    json_decref(stored);
    json_decref(again);
    model_config_deinit(&cfg);
}

static void contradictions(void **state)
{
    static const task_reading reading;
    mts_options o =
        options_of(put("t.jsonl", "{\"text\": \"x\", \"label\": [\"b\", \"c\"]}\n"), NULL);
    model_config cfg = {0};
    task *base = NULL;
    (void)state;
    assert_ok(model_config_init(&ctx, &cfg));
    o.do_regression = 1;
    assert_ok(task_open(&ctx, &o, NULL, NULL, &base));
    assert_int_equal(base->class->fit(&ctx, base, "m", &cfg, true, &reading), MTS_ERR_ARGUMENT);
    assert_non_null(strstr(ctx.error, "are sets"));
    task_close(base);
    model_config_deinit(&cfg);
}

/* Every allocation may fail. */
static void memory(void **state)
{
    (void)state;
    for (int64_t n = 0;; n++) {
        char *bytes = NULL;
        table t = {0};
        label_set set = {0};
        const char *content = ROW("[3, 1]") ROW("[2]");
        const table_layout layout = {.format = TABLE_JSONL, .nested = true};
        assert_ok(mem_strdup(&ctx, &bytes, content));
        assert_ok(table_parse(&ctx, &t, "f", &bytes, strlen(content), &layout));
        mem_fail_after(n);
        const mts_status st = label_cells_collect(&ctx, &set, &t, 0, NULL);
        mem_fail_after(-1);
        label_set_deinit(&set);
        table_deinit(&t);
        if (st == MTS_OK) {
            assert_true(n > 3);
            break;
        }
        assert_int_equal(st, MTS_ERR_MEMORY);
    }
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/mantissa-labels-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    return file_remove_tree(NULL, folder) != MTS_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays),         cmocka_unit_test(broken_arrays),
        cmocka_unit_test(separators),     cmocka_unit_test(many),
        cmocka_unit_test(whole_files),    cmocka_unit_test(stored_separator),
        cmocka_unit_test(contradictions), cmocka_unit_test(memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
