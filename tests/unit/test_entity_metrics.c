/*
 * tasks/entity_metrics: precision, recall, F1 and accuracy equal seqeval's to the last bit.
 * tools/make_entity_golden.py printed the values; it has the same cases and random tags.
 */
#include "support/test_check.h"

#include "tasks/entity_metrics.h"

static const struct {
    const char *truth, *found; /* words between blanks, sentences between bars */
    double scores[4];
} cases[] = {
    {"B-PER I-PER O B-LOC",
     "B-PER I-PER O B-LOC",
     {0x1.0000000000000p+0, 0x1.0000000000000p+0, 0x1.0000000000000p+0, 0x1.0000000000000p+0}},
    {"B-PER I-PER O B-LOC",
     "B-PER O O B-LOC",
     {0x1.0000000000000p-1, 0x1.0000000000000p-1, 0x1.0000000000000p-1, 0x1.8000000000000p-1}},
    {"O O O B-MISC I-MISC I-MISC O | B-PER I-PER O",
     "O O B-MISC I-MISC I-MISC I-MISC O | B-PER I-PER O",
     {0x1.0000000000000p-1, 0x1.0000000000000p-1, 0x1.0000000000000p-1, 0x1.999999999999ap-1}},
    {"B-PER I-PER | I-PER O",
     "B-PER I-PER | B-PER O",
     {0x1.0000000000000p+0, 0x1.0000000000000p+0, 0x1.0000000000000p+0, 0x1.8000000000000p-1}},
    {"O I-PER I-PER O",
     "O B-PER I-PER O",
     {0x1.0000000000000p+0, 0x1.0000000000000p+0, 0x1.0000000000000p+0, 0x1.8000000000000p-1}},
    {"B-PER B-PER O", "B-PER I-PER O", {0x0.0p+0, 0x0.0p+0, 0x0.0p+0, 0x1.5555555555555p-1}},
    {"B-PER I-LOC O",
     "B-PER B-LOC O",
     {0x1.0000000000000p+0, 0x1.0000000000000p+0, 0x1.0000000000000p+0, 0x1.5555555555555p-1}},
    {"B-PER I-LOC I-LOC",
     "B-PER I-PER I-LOC",
     {0x0.0p+0, 0x0.0p+0, 0x0.0p+0, 0x1.5555555555555p-1}},
    {"O O | O", "O O | O", {0x0.0p+0, 0x0.0p+0, 0x0.0p+0, 0x1.0000000000000p+0}},
    {"O O O", "B-PER O O", {0x0.0p+0, 0x0.0p+0, 0x0.0p+0, 0x1.5555555555555p-1}},
    {"B-PER O O", "O O O", {0x0.0p+0, 0x0.0p+0, 0x0.0p+0, 0x1.5555555555555p-1}},
    {"B-A I-A E-A S-B O",
     "B-A I-A I-A B-B O",
     {0x1.0000000000000p+0, 0x1.0000000000000p+0, 0x1.0000000000000p+0, 0x1.3333333333333p-1}},
    {"S-A S-A E-A I-A O",
     "S-A B-A E-A I-A O",
     {0x1.5555555555555p-1, 0x1.0000000000000p-1, 0x1.2492492492493p-1, 0x1.999999999999ap-1}},
    {"E-A E-A I-A S-A I-A",
     "I-A E-A I-A B-A I-A",
     {0x1.5555555555555p-2, 0x1.999999999999ap-3, 0x1.0000000000000p-2, 0x1.3333333333333p-1}},
    {"B I O B",
     "B-_ I-_ O B-",
     {0x1.0000000000000p+0, 0x1.0000000000000p+0, 0x1.0000000000000p+0, 0x1.0000000000000p-2}},
    {"NN VB NN DT",
     "NN NN NN DT",
     {0x1.0000000000000p-1, 0x1.0000000000000p-2, 0x1.5555555555555p-2, 0x1.8000000000000p-1}},
    {"B-A-C I-A-C O", "B-A-D I-A-C O", {0x0.0p+0, 0x0.0p+0, 0x0.0p+0, 0x1.5555555555555p-1}},
    {". B-A . I-A",
     "O B-A . B-A",
     {0x1.0000000000000p+0, 0x1.0000000000000p+0, 0x1.0000000000000p+0, 0x1.0000000000000p-1}},
    {"BPER IPER O",
     "B-PER I-PER O",
     {0x1.0000000000000p+0, 0x1.0000000000000p+0, 0x1.0000000000000p+0, 0x1.5555555555555p-2}},
};

static const double of_random[] = {0x1.5830a8161ddb8p-1, 0x1.5a9f87b9d712dp-1, 0x1.5966ff192d4a7p-1,
                                   0x1.6282019ae24eap-1};

static const char *const tags[] = {"O",   "B-A", "I-A", "B-B", "I-B", "E-A",   "S-A", "E-B",
                                   "S-B", "O",   "I-A", ".",   "X-A", "B-A-C", "I",   "B"};

enum { TAGS = sizeof tags / sizeof tags[0], SENTENCES = 400, WORD_BYTES = 16 };

static void assert_scores(const entity_metrics *m, const double expected[4], const char *name)
{
    const entity_scores s = entity_metrics_finish(m);
    const double found[4] = {s.precision, s.recall, s.f1, s.accuracy};
    for (int i = 0; i < 4; i++)
        if (memcmp(&found[i], &expected[i], sizeof found[i]) != 0)
            fail_msg("%s: value %d is %.17g, expected %.17g", name, i, found[i], expected[i]);
}

/* The next word of a text, whose places in the words' array are used in turn. */
static const char *next_word(const char **text, char *word)
{
    const size_t n = strcspn(*text, " ");
    assert_true(n > 0 && n < WORD_BYTES);
    memcpy(word, *text, n);
    word[n] = '\0';
    *text += n + ((*text)[n] == ' ');
    return word;
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *a = cases[i].truth, *b = cases[i].found;
        char words[64][2][WORD_BYTES];
        entity_metrics m;
        entity_metrics_init(&m);
        for (int n = 0; *a != '\0'; n++) {
            const char *x = next_word(&a, words[n][0]), *y = next_word(&b, words[n][1]);
            assert_true(n < 63);
            if (strcmp(x, "|") == 0)
                entity_metrics_end(&m);
            else
                entity_metrics_add(&m, x, y);
        }
        entity_metrics_end(&m);
        assert_scores(&m, cases[i].scores, cases[i].truth);
    }
}

static uint64_t random_state;

static int64_t below(int64_t n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)(random_state >> 33) % n;
}

static void test_random(void **state)
{
    entity_metrics m;
    (void)state;
    random_state = 1;
    entity_metrics_init(&m);
    for (int i = 0; i < SENTENCES; i++) {
        for (int64_t words = 1 + below(12); words > 0; words--) {
            const char *truth = tags[below(TAGS)];
            const char *found = below(3) > 0 ? truth : tags[below(TAGS)];
            entity_metrics_add(&m, truth, found);
        }
        entity_metrics_end(&m);
    }
    assert_true(m.true_entities > 500 && m.equal_entities > 100);
    assert_scores(&m, of_random, "random tags");
}

/* Nothing to count: zeros, and an accuracy that is none. */
static void test_nothing(void **state)
{
    entity_metrics m;
    (void)state;
    entity_metrics_init(&m);
    entity_metrics_end(&m);
    const entity_scores s = entity_metrics_finish(&m);
    assert_true(s.precision == 0.0 && s.recall == 0.0 && s.f1 == 0.0);
    assert_true(s.accuracy != s.accuracy);
}

static void test_usual(void **state)
{
    static const char *const usual[] = {"O", "B-PER", "I-", "E-x", "S-x", "B", "I"};
    static const char *const others[] = {"", "NN", "OO", "BPER", "b-PER", "-"};
    (void)state;
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        assert_true(entity_tag_is_usual(usual[i]));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(entity_tag_is_usual(others[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_usual),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
