/*
 * data/tagged_file: any bytes of a file of JSON or of columns give sentences whose words and tags
 * are sound, or an error of one line that begins with the file's name; tasks/tag_labels numbers
 * every tag.
 * Input: one byte that chooses the form, then the bytes of the file.
 */
#include "fuzz/fuzz_target.h"

#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "tasks/tag_labels.h"

/* A text of the file: UTF-8, not longer than the file. */
static void require_text(const tagged_set *s, const char *text, size_t size)
{
    FUZZ_REQUIRE(text >= s->storage && text <= s->storage + size);
    const size_t n = strlen(text);
    FUZZ_REQUIRE((size_t)(text - s->storage) + n <= size);
    FUZZ_REQUIRE(utf8_is_valid(text, n, NULL));
}

static void require_sound(const tagged_set *s, bool tags, size_t size)
{
    FUZZ_REQUIRE(s->n > 0 && s->first[0] == 0 && s->first[s->n] > 0);
    FUZZ_REQUIRE((s->tags != NULL) == tags);
    for (int64_t i = 0; i < s->n; i++) {
        FUZZ_REQUIRE(s->first[i] <= s->first[i + 1] && s->lines[i] >= 1);
        FUZZ_REQUIRE(i == 0 || s->lines[i] >= s->lines[i - 1]);
    }
    for (int64_t k = 0; k < s->first[s->n]; k++) {
        require_text(s, s->words[k], size);
        if (tags)
            require_text(s, s->tags[k], size);
        FUZZ_REQUIRE(!tags || s->tags[k][0] != '\0');
    }
}

/* Every tag of a file has a number, if its tags can be numbered at all. */
static mts_status number_tags(const tagged_set *s)
{
    tag_labels labels = {0};
    int32_t *numbers = NULL, *continued = NULL;
    const mts_status st = tag_labels_collect(&fuzz_ctx, "f", s, &labels);
    if (st == MTS_OK) {
        FUZZ_REQUIRE(labels.n >= 2);
        FUZZ_REQUIRE(tag_labels_encode(&fuzz_ctx, "f", s, &labels, &numbers) == MTS_OK);
        FUZZ_REQUIRE(tag_labels_continued(&fuzz_ctx, &labels, &continued) == MTS_OK);
        for (int64_t k = 0; k < s->first[s->n]; k++)
            FUZZ_REQUIRE(numbers[k] >= 0 && numbers[k] < labels.n);
        for (int64_t i = 0; i < labels.n; i++)
            FUZZ_REQUIRE(continued[i] >= 0 && continued[i] < labels.n);
    }
    tag_labels_deinit(&labels);
    mem_free(numbers);
    mem_free(continued);
    return st;
}

static bool run(const uint8_t *data, size_t size)
{
    tagged_set s = {0};
    tagged_keys keys = {0};
    char *text = NULL;
    if (size == 0)
        return false;
    const bool json = data[0] % 2 == 1, tags = data[0] % 4 < 2;
    const char *path = json ? "f.json" : "f.conll";
    FUZZ_REQUIRE(mem_strndup(&fuzz_ctx, &text, (const char *)data + 1, size - 1) == MTS_OK);
    mts_status st = tagged_file_parse(&fuzz_ctx, path, text, size - 1, &keys, tags, &s);
    const bool accepted = st == MTS_OK;
    if (accepted) {
        require_sound(&s, tags, size - 1);
        if (tags)
            st = number_tags(&s);
    } else {
        FUZZ_REQUIRE(strncmp(fuzz_ctx.error, path, strlen(path)) == 0);
    }
    if (st != MTS_OK)
        fuzz_require_refusal(st);
    tagged_set_deinit(&s);
    return accepted;
}

static const fuzz_bytes seeds[] = {
    FUZZ_BYTES("1{\"tokens\":[\"EU\",\"\\u00e9 \xc3\xa9\",\"\"],\"ner_tags\":[\"B-ORG\",\"O\",\"I-"
               "\xc3\xa9\"],\"id\":1}\n\n{\"ner_tags\":[],\"x\":[{}],\"tokens\":[]}"),
    FUZZ_BYTES(
        "1{\"tags\":[3,0,12],\"words\":[\"a\",\"b\",\"c\"]}{\"words\":[\"d\"],\"tags\":[0]}"),
    FUZZ_BYTES(
        "4\xef\xbb\xbf-DOCSTART- -X- O\r\n\r\nEU NNP B-ORG\r\nrejects VBZ O\r\n\r\nPeter NNP "
        "B-PER\r\n"),
    FUZZ_BYTES("4@a b\tO\n\n\n\xc3\xa9\tB-x\n\t \nc\tI-x"),
    FUZZ_BYTES("6one\ntwo\n\nthree\n"),
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
                                    "\xff",
                                    "\xc3\xa9",
                                    "\t",
                                    "\n\n",
                                    "-DOCSTART- ",
                                    "B-x",
                                    "-1",
                                    "65536",
                                    "1e9",
                                    "null",
                                    "\"tokens\":[",
                                    "\"ner_tags\":[",
                                    "\"a\"",
                                    NULL};

const fuzz_target fuzz_target_tagged = {
    .name = "tagged",
    .run = run,
    .seeds = seeds,
    .n_seeds = FUZZ_COUNT(seeds),
    .words = words,
};
