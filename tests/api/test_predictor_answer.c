/*
 * mts_predictor_answer through the public header: answers are parts of their paragraphs, wrong
 * calls, what a second call does with the answers of the first, and every allocation failing once.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "support/run_folder.h"

enum { QUESTIONS = 4 };

/* One is long: it needs several windows of 24 tokens. */
static const char *const questions[QUESTIONS] = {"the dog", "the horse", "the cat", ""};
static const char *const paragraphs[QUESTIONS] = {
    "The dog is in the kitchen.",
    ("The mouse is far away. The soup is on our table. The horse is in the old kitchen. The bread "
     "is on steel. The cake is not good."),
    "",
    "A caf\xc3\xa9 is made of \xff steel.",
};

static run_path model; /* trained to answer questions */

static mts_options answer_options(void)
{
    mts_options o = run_folder_options();
    o.doc_stride = 6;
    return o;
}

/* A model of two steps: what it answers does not matter. */
static int train_model(void **state)
{
    static const char rows[] =
        "{\"data\": [{\"id\": \"a\", \"context\": \"The dog is far away.\", \"question\": \"the "
        "dog\", \"answers\": {\"text\": [\"far away\"], \"answer_start\": [11]}}]}";
    file_writer *w = NULL;
    if (run_folder_open(state) != 0)
        return -1;
    model = run_folder_path("answers");
    const run_path file = run_folder_path("answers.json");
    run_folder_require(file_writer_open(ctx, file.text, &w));
    run_folder_require(file_writer_write(w, rows, sizeof rows - 1));
    run_folder_require(file_writer_commit(w));
    file_writer_close(w);
    mts_options o = answer_options();
    o.train_file = file.text;
    o.validation_file = NULL;
    o.output_dir = model.text;
    o.max_steps = 2;
    o.save_strategy = "no";
    run_folder_require(mts_train(ctx, &o, NULL, NULL));
    return 0;
}

static mts_predictor *open_predictor(const mts_options *options)
{
    mts_options o = *options;
    mts_predictor *p = NULL;
    o.model_name_or_path = model.text;
    run_folder_require(mts_predictor_open(ctx, &o, &p));
    assert_true(mts_predictor_answers_questions(p));
    return p;
}

static void assert_no_answers(const mts_predictor *p)
{
    for (int64_t i = -1; i <= QUESTIONS; i++)
        assert_null(mts_predictor_answer_at(p, i));
}

/* ----------------------------------------------------------------------------- answers ---- */

static void assert_part(const mts_answer *a, const char *paragraph)
{
    assert_non_null(a);
    assert_true(a->begin >= 0 && a->begin <= a->end && a->end <= (int64_t)strlen(paragraph));
    assert_int_equal(strlen(a->text), a->end - a->begin);
    assert_memory_equal(a->text, paragraph + a->begin, (size_t)(a->end - a->begin));
    assert_true(a->score >= 0 && a->score <= 1);
}

static void test_answers_are_parts(void **state)
{
    (void)state;
    mts_options o = answer_options();
    mts_predictor *p = open_predictor(&o);
    run_folder_require(mts_predictor_answer(p, questions, paragraphs, QUESTIONS));
    for (int64_t i = 0; i < QUESTIONS; i++) {
        const mts_answer *a = mts_predictor_answer_at(p, i);
        assert_part(a, paragraphs[i]);
        assert_int_equal(a->text[0] == '\0', paragraphs[i][0] == '\0');
        assert_true(a->null_odds >= 0 && a->null_odds <= 0); /* no question is without an answer */
    }
    assert_int_equal(mts_predictor_cut_rows(p), 0);
    mts_predictor_close(p);
}

/* The threshold decides; null_odds does not depend on it, and is what it is compared with. */
static void test_no_answer(void **state)
{
    (void)state;
    mts_options o = answer_options();
    double odds[QUESTIONS];
    o.version_2_with_negative = true;
    o.null_score_diff_threshold = 1e9;
    mts_predictor *p = open_predictor(&o);
    run_folder_require(mts_predictor_answer(p, questions, paragraphs, QUESTIONS));
    for (int64_t i = 0; i < QUESTIONS; i++) {
        assert_part(mts_predictor_answer_at(p, i), paragraphs[i]);
        odds[i] = mts_predictor_answer_at(p, i)->null_odds;
    }
    assert_true(mts_predictor_answer_at(p, 0)->text[0] != '\0');
    mts_predictor_close(p);
    for (int above = 0; above < 2; above++) {
        o.null_score_diff_threshold = odds[0] + (above ? 0.01 : -0.01);
        p = open_predictor(&o);
        run_folder_require(mts_predictor_answer(p, questions, paragraphs, QUESTIONS));
        const mts_answer *a = mts_predictor_answer_at(p, 0);
        assert_part(a, paragraphs[0]);
        assert_int_equal(a->text[0] != '\0', above);
        assert_true(a->score > 0);
        assert_true(a->null_odds >= odds[0] && a->null_odds <= odds[0]);
        mts_predictor_close(p);
    }
}

static void test_second_call_replaces(void **state)
{
    (void)state;
    mts_options o = answer_options();
    mts_predictor *p = open_predictor(&o);
    mts_answer alone[QUESTIONS];
    char text[QUESTIONS][256];
    assert_no_answers(p);
    for (int64_t i = 0; i < QUESTIONS; i++) { /* each alone, in place of the one before it */
        run_folder_require(mts_predictor_answer(p, &questions[i], &paragraphs[i], 1));
        assert_part(mts_predictor_answer_at(p, 0), paragraphs[i]);
        assert_null(mts_predictor_answer_at(p, 1));
        alone[i] = *mts_predictor_answer_at(p, 0);
        snprintf(text[i], sizeof text[i], "%s", alone[i].text);
    }
    run_folder_require(mts_predictor_answer(p, questions, paragraphs, QUESTIONS));
    for (int64_t i = 0; i < QUESTIONS; i++) {
        const mts_answer *a = mts_predictor_answer_at(p, i);
        assert_string_equal(a->text, text[i]);
        assert_int_equal(a->begin, alone[i].begin);
        assert_int_equal(a->end, alone[i].end);
        assert_memory_equal(&a->score, &alone[i].score, sizeof a->score);
    }
    assert_null(mts_predictor_answer_at(p, QUESTIONS));
    assert_null(mts_predictor_answer_at(p, -1));
    assert_null(mts_predictor_answer_at(p, INT64_MAX));
    run_folder_require(mts_predictor_answer(p, questions, paragraphs, 0));
    assert_no_answers(p);
    mts_predictor_close(p);
}

/* ------------------------------------------------------------------------- wrong calls ---- */

/* A failed call leaves no answers, also not those of the call before it. */
static void refuse(mts_predictor *p, const char *const *q, const char *const *of, int64_t n,
                   const char *found)
{
    run_folder_require(mts_predictor_answer(p, questions, paragraphs, QUESTIONS));
    assert_non_null(mts_predictor_answer_at(p, 0));
    assert_int_equal(mts_predictor_answer(p, q, of, n), MTS_ERR_ARGUMENT);
    if (strstr(mts_error_text(ctx), found) == NULL)
        fail_msg("expected '%s', found: %s", found, mts_error_text(ctx));
    assert_no_answers(p);
}

static void test_wrong_calls(void **state)
{
    (void)state;
    static const char *const long_questions[] = {
        "the dog", "the dog and the cat and the mouse and the horse and the bread"};
    mts_options o = answer_options();
    float logits[2];
    mts_predictor *p = open_predictor(&o);
    refuse(p, NULL, paragraphs, 1, "found NULL");
    refuse(p, questions, NULL, 1, "found NULL");
    refuse(p, questions, paragraphs, -1, "mts_predictor_answer");
    refuse(p, NULL, NULL, 0, "found NULL");
    refuse(p, long_questions, paragraphs, 2, "question 2: maximum length 24");
    assert_int_equal(mts_predictor_answer(NULL, questions, paragraphs, 1), MTS_ERR_ARGUMENT);
    /* the other kind of call */
    assert_int_equal(mts_predictor_run(p, questions, paragraphs, 1, logits), MTS_ERR_ARGUMENT);
    assert_non_null(strstr(mts_error_text(ctx), "found one that answers questions"));
    mts_predictor_close(p);
}

static void test_other_model(void **state)
{
    (void)state;
    mts_options o = answer_options();
    mts_predictor *p = NULL;
    float logits[2];
    run_folder_require(mts_predictor_open(ctx, &o, &p)); /* random, with two labels */
    assert_false(mts_predictor_answers_questions(p));
    assert_int_equal(mts_predictor_answer(p, questions, paragraphs, 1), MTS_ERR_ARGUMENT);
    assert_non_null(strstr(mts_error_text(ctx), "found one that labels texts"));
    assert_no_answers(p);
    run_folder_require(mts_predictor_run(p, questions, paragraphs, 1, logits));
    mts_predictor_close(p);
}

/* --------------------------------------------------------------------------- no memory ---- */

static void test_each_allocation_fails(void **state)
{
    (void)state;
    mts_options o = answer_options();
    mts_predictor *p = open_predictor(&o);
    mts_status st = MTS_ERR_MEMORY;
    int64_t tried = 0;
    for (; st != MTS_OK; tried++) {
        mem_fail_after(tried);
        st = mts_predictor_answer(p, questions, paragraphs, QUESTIONS);
        if (mem_fail_after(-1) > tried && st != MTS_ERR_MEMORY)
            fail_msg("allocation %lld failed: %s", (long long)tried, mts_status_name(st));
        if (st != MTS_OK)
            assert_no_answers(p);
    }
    printf("%lld allocations failed once each\n", (long long)tried - 1);
    assert_true(tried > 20);
    assert_part(mts_predictor_answer_at(p, QUESTIONS - 1), paragraphs[QUESTIONS - 1]);
    mts_predictor_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_are_parts),    cmocka_unit_test(test_no_answer),
        cmocka_unit_test(test_second_call_replaces), cmocka_unit_test(test_wrong_calls),
        cmocka_unit_test(test_other_model),          cmocka_unit_test(test_each_allocation_fails),
    };
    return cmocka_run_group_tests(tests, train_model, run_folder_close);
}
