/*
 * data/squad_json: any bytes of a JSON file give questions whose texts and places are sound, or an
 * error of one line that begins with the file's name; tasks/answer_text takes every text.
 * Input: the bytes of the file.
 */
#include "fuzz/fuzz_target.h"

#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "data/squad_json.h"
#include "tasks/answer_text.h"

/* A text of the file: UTF-8, not longer than the file. */
static void require_text(const squad_set *s, const char *text, size_t size)
{
    FUZZ_REQUIRE(text >= s->storage && text <= s->storage + size);
    const size_t n = strlen(text);
    FUZZ_REQUIRE((size_t)(text - s->storage) + n <= size);
    FUZZ_REQUIRE(utf8_is_valid(text, n, NULL));
}

/* Normalised once, an answer's words are as they stand in the text. */
static void normalise(const char *text)
{
    answer_text a = {0};
    FUZZ_REQUIRE(answer_text_init(&fuzz_ctx, &a, text) == MTS_OK);
    const size_t n = strlen(a.normalised);
    FUZZ_REQUIRE(utf8_is_valid(a.normalised, n, NULL));
    FUZZ_REQUIRE(n <= 2 * strlen(text));
    FUZZ_REQUIRE(answer_text_exact(&a, &a));
    FUZZ_REQUIRE(answer_text_f1(&a, &a) == (a.n > 0 ? 1 : 0));
    answer_text_deinit(&a);
}

static void require_answer(const squad_set *s, const squad_context *context, const squad_answer *a,
                           size_t size)
{
    if (a->text[0] != '\0')
        require_text(s, a->text, size);
    normalise(a->text);
    if (a->begin == SQUAD_OUTSIDE) {
        FUZZ_REQUIRE(a->end == SQUAD_OUTSIDE);
        return;
    }
    FUZZ_REQUIRE(a->begin >= 0 && a->begin <= a->end && a->end <= context->bytes);
    FUZZ_REQUIRE(utf8_is_valid(context->text + a->begin, (size_t)(a->end - a->begin), NULL));
}

static void require_sound(const squad_set *s, size_t size)
{
    FUZZ_REQUIRE(s->n > 0 && s->n_contexts > 0);
    for (int64_t i = 0; i < s->n; i++) {
        const squad_question *q = &s->questions[i];
        FUZZ_REQUIRE(q->context >= 0 && q->context < s->n_contexts);
        FUZZ_REQUIRE(q->answers >= SQUAD_NO_ANSWERS);
        FUZZ_REQUIRE(q->answers <= 0 || q->first + q->answers <= s->n_answers);
        const squad_context *context = &s->contexts[q->context];
        require_text(s, context->text, size);
        FUZZ_REQUIRE((size_t)context->bytes == strlen(context->text));
        require_text(s, q->text, size);
        if (q->id != NULL)
            require_text(s, q->id, size);
        for (int64_t k = 0; k < q->answers; k++)
            require_answer(s, context, &s->answers[q->first + k], size);
    }
    FUZZ_REQUIRE(squad_set_misplaced(s) <= s->n);
}

static bool run(const uint8_t *data, size_t size)
{
    squad_set s = {0};
    char *text = NULL;
    FUZZ_REQUIRE(mem_strndup(&fuzz_ctx, &text, (const char *)data, size) == MTS_OK);
    mts_status st = squad_json_parse(&fuzz_ctx, "f", text, size, &s);
    const bool accepted = st == MTS_OK;
    if (accepted) {
        require_sound(&s, size);
        st = squad_set_check_ids(&fuzz_ctx, &s, "f");
    }
    if (st != MTS_OK) {
        FUZZ_REQUIRE(strncmp(fuzz_ctx.error, "f:", 2) == 0);
        fuzz_require_refusal(st);
    }
    squad_set_deinit(&s);
    return accepted;
}

static const fuzz_bytes seeds[] = {
    FUZZ_BYTES("{\"version\":\"1.1\",\"data\":[{\"title\":\"t\",\"paragraphs\":[{\"context\":\"The "
               "\\u00e9 \xc3\xa9 end\",\"qas\":[{\"id\":\"a\",\"question\":\"q\",\"answers\":[{"
               "\"text\":\"\\u00e9\",\"answer_start\":4}]},{\"id\":2,\"question\":\"\",\"answers\":"
               "[],\"is_impossible\":true}]}]}]}"),
    FUZZ_BYTES("\xef\xbb\xbf{\"data\":[{\"id\":\"x\",\"context\":\"a b\",\"question\":\"q\","
               "\"answers\":{\"answer_start\":[2,-1],\"text\":[\"b\",\"\\ud83d\\ude00\"]}}],"
               "\"x\":[1.5e3,true,null,{}]}"),
    FUZZ_BYTES("{\"data\":[{\"paragraphs\":[{\"qas\":[{\"question\":\"q\",\"answers\":null}],"
               "\"context\":\"\"}]}]}\n"),
};

static const char *const words[] = {"{",
                                    "}",
                                    "[",
                                    "]",
                                    ",",
                                    ":",
                                    "\"",
                                    "\\",
                                    "\\u00",
                                    "\\ud83d",
                                    "\\ude00",
                                    "\xff",
                                    "\xc3\xa9",
                                    "\xe2\x80\xa8",
                                    "\xed\xa0\x80",
                                    "-1",
                                    "9223372036854775807",
                                    "1e9",
                                    "null",
                                    "true",
                                    "\"id\":",
                                    "\"context\":\"\"",
                                    "\"question\":\"the\"",
                                    "\"answers\":[",
                                    "{\"text\":\"a\",\"answer_start\":0}",
                                    "\"qas\":[{",
                                    "\"paragraphs\":[{",
                                    NULL};

const fuzz_target fuzz_target_squad = {
    .name = "squad",
    .run = run,
    .seeds = seeds,
    .n_seeds = FUZZ_COUNT(seeds),
    .words = words,
};
