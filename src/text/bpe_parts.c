/*
 * tokenizer.json -> bpe: normalizer, pre_tokenizer, decoder, post_processor.
 *
 * normalizer      null, NFC, Prepend and Replace of one character, Sequence
 * pre_tokenizer   null, ByteLevel, Split by a known regular expression, Digits, Punctuation,
 *                 Metaspace, Sequence
 * decoder         null, ByteLevel, Metaspace, Sequence [Replace, ByteFallback, Fuse, (Strip)]; with
 *                 another one a folder opens, but does not decode
 * post_processor  null, ByteLevel, TemplateProcessing, RobertaProcessing, Sequence
 * Anything else is refused by its name.
 */
#include "text/bpe.h"

#include <string.h>

#include "base/json_util.h"
#include "base/utf8.h"

enum { MAX_DEPTH = 4 }; /* of sequences in one another */

/* Reads one part; what it gets with a list is each of its members. */
typedef mts_status (*part_reader)(mts_ctx *ctx, const json_t *part, const char *type, bpe *b);

static mts_status refuse(mts_ctx *ctx, const char *type)
{
    char quoted[UTF8_QUOTE_BYTES];
    return status_set(ctx, MTS_ERR_UNSUPPORTED, "type %s is not supported",
                      utf8_quote(quoted, sizeof quoted, type));
}

/* Read a part, or each part of a Sequence, whose list has the name `list`. */
static mts_status read_parts(mts_ctx *ctx, const json_t *part, const char *list, int depth,
                             part_reader reader, bpe *b)
{
    mts_status st = MTS_OK;
    const char *type = "";
    const json_t *members = json_object_get(part, list);
    if (part == NULL || json_is_null(part))
        return MTS_OK;
    MTS_CHECK(json_is_object(part), MTS_ERR_BAD_FILE, "expected an object, found %s",
              json_util_type_name(part));
    MTS_TRY(json_util_string(ctx, NULL, part, "type", &type));
    if (strcmp(type, "Sequence") != 0)
        return reader(ctx, part, type, b);
    MTS_CHECK(depth < MAX_DEPTH, MTS_ERR_UNSUPPORTED, "more than %d sequences in one another",
              (int)MAX_DEPTH);
    MTS_CHECK(json_is_array(members), MTS_ERR_BAD_FILE, "%s: expected an array, found %s", list,
              json_util_type_name(members));
    for (size_t i = 0; i < json_array_size(members); i++) {
        const json_t *member = json_array_get(members, i);
        MTS_CHECK(json_is_object(member), MTS_ERR_BAD_FILE, "%s: expected objects, found %s", list,
                  json_util_type_name(member));
        MTS_TRY(read_parts(ctx, member, list, depth + 1, reader, b));
    }
cleanup:
    return st;
}

static mts_status push_step(mts_ctx *ctx, bpe_steps *steps, bpe_step step)
{
    mts_status st = MTS_OK;
    MTS_CHECK(steps->count < BPE_MAX_STEPS, MTS_ERR_UNSUPPORTED, "more than %d steps",
              (int)BPE_MAX_STEPS);
    steps->items[steps->count++] = step;
cleanup:
    return st;
}

/* *code: the one character that part[key] consists of. */
static mts_status read_character(mts_ctx *ctx, const json_t *part, const char *key, int32_t *code)
{
    mts_status st = MTS_OK;
    char quoted[UTF8_QUOTE_BYTES];
    const char *text = "";
    MTS_TRY(json_util_string(ctx, NULL, part, key, &text));
    MTS_CHECK(*text != '\0' && text[utf8_decode(text, strlen(text), code)] == '\0',
              MTS_ERR_UNSUPPORTED, "%s \"%s\" is not supported, only one character", key,
              utf8_quote(quoted, sizeof quoted, text));
cleanup:
    return st;
}

/* ---- normalizer ---- */

static mts_status read_normalizer(mts_ctx *ctx, const json_t *part, const char *type, bpe *b)
{
    mts_status st = MTS_OK;
    bpe_step step = {.kind = BPE_NFC};
    if (strcmp(type, "Prepend") == 0) {
        step.kind = BPE_PREPEND;
        MTS_TRY(read_character(ctx, part, "prepend", &step.code));
    } else if (strcmp(type, "Replace") == 0) {
        step.kind = BPE_REPLACE;
        MTS_TRY(read_character(ctx, json_object_get(part, "pattern"), "String", &step.code));
        MTS_TRY(read_character(ctx, part, "content", &step.with));
    } else if (strcmp(type, "NFC") != 0) {
        return refuse(ctx, type);
    }
    MTS_TRY(push_step(ctx, &b->normalizer, step));
cleanup:
    return st;
}

/* ---- pre_tokenizer ---- */

/* "Isolated" and its like. */
static mts_status read_behavior(mts_ctx *ctx, const json_t *part, const char **behavior)
{
    mts_status st = MTS_OK;
    *behavior = "";
    MTS_TRY(json_util_string(ctx, NULL, part, "behavior", behavior));
cleanup:
    return st;
}

static mts_status read_split(mts_ctx *ctx, const json_t *part, bpe *b)
{
    mts_status st = MTS_OK;
    char quoted[256];
    const char *pattern = NULL, *behavior = NULL;
    bool invert = false, isolated = false, removed = false;
    bpe_step step = {.kind = BPE_CUT};
    MTS_TRY(json_util_string(ctx, NULL, json_object_get(part, "pattern"), "Regex", &pattern));
    MTS_CHECK(pattern != NULL, MTS_ERR_UNSUPPORTED,
              "Split: a pattern that is no regular expression is not supported");
    MTS_CHECK(pre_split_find(pattern, &step.rule), MTS_ERR_UNSUPPORTED,
              "Split: the regular expression %s is not known",
              utf8_quote(quoted, sizeof quoted, pattern));
    MTS_TRY(read_behavior(ctx, part, &behavior));
    MTS_TRY(json_util_bool(ctx, NULL, part, "invert", &invert));
    /* where matches cover everything, what is kept is each match */
    isolated = strcmp(behavior, "Isolated") == 0;
    removed = strcmp(behavior, "Removed") == 0 && invert && pre_split_covers(step.rule);
    MTS_CHECK(isolated || removed, MTS_ERR_UNSUPPORTED, "Split: behavior %s%s is not supported",
              utf8_quote(quoted, sizeof quoted, behavior), invert ? ", inverted," : "");
    MTS_TRY(push_step(ctx, &b->splitter, step));
cleanup:
    return st;
}

static mts_status read_punctuation(mts_ctx *ctx, const json_t *part, bpe *b)
{
    mts_status st = MTS_OK;
    char quoted[UTF8_QUOTE_BYTES];
    const char *behavior = NULL;
    bpe_step step = {.kind = BPE_CUT, .rule = PRE_SPLIT_PUNCTUATION};
    MTS_TRY(read_behavior(ctx, part, &behavior));
    if (*behavior == '\0' || strcmp(behavior, "Isolated") == 0)
        step.rule = PRE_SPLIT_EACH_PUNCTUATION;
    else
        MTS_CHECK(strcmp(behavior, "Contiguous") == 0, MTS_ERR_UNSUPPORTED,
                  "Punctuation: behavior %s is not supported",
                  utf8_quote(quoted, sizeof quoted, behavior));
    MTS_TRY(push_step(ctx, &b->splitter, step));
cleanup:
    return st;
}

static mts_status read_byte_level(mts_ctx *ctx, const json_t *part, bpe *b)
{
    mts_status st = MTS_OK;
    bool prefix = true, regex = true;
    MTS_TRY(json_util_bool(ctx, NULL, part, "add_prefix_space", &prefix));
    MTS_TRY(json_util_bool(ctx, NULL, part, "use_regex", &regex));
    if (prefix)
        MTS_TRY(push_step(ctx, &b->splitter, (bpe_step){.kind = BPE_PREFIX_SPACE}));
    if (regex)
        MTS_TRY(push_step(ctx, &b->splitter, (bpe_step){.kind = BPE_CUT, .rule = PRE_SPLIT_GPT2}));
    MTS_TRY(push_step(ctx, &b->splitter, (bpe_step){.kind = BPE_BYTES}));
cleanup:
    return st;
}

/* What the pre-tokenizer and the decoder of that name say. */
static mts_status read_metaspace(mts_ctx *ctx, const json_t *part, bpe_prepend *prepend,
                                 bool *split)
{
    mts_status st = MTS_OK;
    static const char *const names[] = {"never", "first", "always"};
    char quoted[UTF8_QUOTE_BYTES];
    const char *scheme = "always";
    bool prefix = true;
    int32_t code = PRE_SPLIT_METASPACE_CODE;
    int found = 0;
    *split = true;
    MTS_TRY(read_character(ctx, part, "replacement", &code));
    MTS_CHECK(code == PRE_SPLIT_METASPACE_CODE, MTS_ERR_UNSUPPORTED,
              "Metaspace: replacement U+%04X is not supported, only U+2581", (unsigned)code);
    MTS_TRY(json_util_string(ctx, NULL, part, "prepend_scheme", &scheme));
    MTS_TRY(json_util_bool(ctx, NULL, part, "add_prefix_space", &prefix));
    MTS_TRY(json_util_bool(ctx, NULL, part, "split", split));
    while (found < 3 && strcmp(scheme, names[found]) != 0)
        found++;
    MTS_CHECK(found < 3, MTS_ERR_UNSUPPORTED, "Metaspace: prepend_scheme %s is not supported",
              utf8_quote(quoted, sizeof quoted, scheme));
    *prepend = (bpe_prepend)found;
    MTS_CHECK(prefix || *prepend == BPE_PREPEND_NEVER, MTS_ERR_BAD_FILE,
              "Metaspace: add_prefix_space false and prepend_scheme %s", scheme);
cleanup:
    return st;
}

static mts_status read_splitter(mts_ctx *ctx, const json_t *part, const char *type, bpe *b)
{
    mts_status st = MTS_OK;
    bpe_step step = {.kind = BPE_CUT, .rule = PRE_SPLIT_DIGITS};
    bpe_step space = {.kind = BPE_METASPACE};
    bool yes = false;
    if (strcmp(type, "ByteLevel") == 0)
        return read_byte_level(ctx, part, b);
    if (strcmp(type, "Split") == 0)
        return read_split(ctx, part, b);
    if (strcmp(type, "Punctuation") == 0)
        return read_punctuation(ctx, part, b);
    if (strcmp(type, "Digits") == 0) {
        MTS_TRY(json_util_bool(ctx, NULL, part, "individual_digits", &yes));
        step.rule = yes ? PRE_SPLIT_EACH_DIGIT : PRE_SPLIT_DIGITS;
        return push_step(ctx, &b->splitter, step);
    }
    if (strcmp(type, "Metaspace") != 0)
        return refuse(ctx, type);
    MTS_TRY(read_metaspace(ctx, part, &space.prepend, &yes));
    MTS_TRY(push_step(ctx, &b->splitter, space));
    step.rule = PRE_SPLIT_METASPACE;
    if (yes)
        MTS_TRY(push_step(ctx, &b->splitter, step));
cleanup:
    return st;
}

/* ---- decoder ---- */

/* Whether part[key] is this text. */
static bool is_text(const json_t *part, const char *key, const char *expected)
{
    const char *text = json_string_value(json_object_get(part, key));
    return text != NULL && strcmp(text, expected) == 0;
}

/* Replace U+2581 by a space, ByteFallback, Fuse, and perhaps Strip; else the decoder is unknown. */
static void read_fallback_decoder(const json_t *members, bpe_decoder *decoder)
{
    const json_t *replace = json_array_get(members, 0), *strip = json_array_get(members, 3);
    const size_t count = json_array_size(members);
    if ((count != 3 && count != 4) || !is_text(replace, "type", "Replace") ||
        !is_text(json_object_get(replace, "pattern"), "String", "\xE2\x96\x81") ||
        !is_text(replace, "content", " ") ||
        !is_text(json_array_get(members, 1), "type", "ByteFallback") ||
        !is_text(json_array_get(members, 2), "type", "Fuse"))
        return;
    if (count == 4) {
        const json_t *start = json_object_get(strip, "start"),
                     *stop = json_object_get(strip, "stop");
        if (!is_text(strip, "type", "Strip") || !is_text(strip, "content", " ") ||
            !json_is_integer(start) || json_integer_value(start) < 0 || !json_is_integer(stop) ||
            json_integer_value(stop) != 0)
            return;
        decoder->strip = (int64_t)json_integer_value(start);
    }
    decoder->kind = BPE_DECODER_FALLBACK;
}

static mts_status read_decoder(mts_ctx *ctx, const json_t *part, bpe_decoder *decoder)
{
    mts_status st = MTS_OK;
    bpe_prepend prepend = BPE_PREPEND_NEVER;
    bool split = false;
    const json_t *members = json_object_get(part, "decoders");
    *decoder = (bpe_decoder){.kind = BPE_DECODER_UNKNOWN};
    if (is_text(part, "type", "Sequence") && json_array_size(members) == 1)
        part = json_array_get(members, 0);
    if (part == NULL || json_is_null(part)) {
        decoder->kind = BPE_DECODER_NONE;
    } else if (is_text(part, "type", "ByteLevel")) {
        decoder->kind = BPE_DECODER_BYTES;
    } else if (is_text(part, "type", "Metaspace")) {
        MTS_TRY(read_metaspace(ctx, part, &prepend, &split));
        decoder->kind = BPE_DECODER_METASPACE;
        decoder->drops_first = prepend != BPE_PREPEND_NEVER;
    } else if (is_text(part, "type", "Sequence")) {
        read_fallback_decoder(members, decoder);
    }
cleanup:
    return st;
}

mts_status bpe_parts_read(mts_ctx *ctx, const json_t *root, bpe *b)
{
    mts_status st = MTS_OK;
    const char *part = "normalizer";
    MTS_TRY(read_parts(ctx, json_object_get(root, part), "normalizers", 0, read_normalizer, b));
    part = "pre_tokenizer";
    MTS_TRY(read_parts(ctx, json_object_get(root, part), "pretokenizers", 0, read_splitter, b));
    part = "decoder";
    MTS_TRY(read_decoder(ctx, json_object_get(root, part), &b->decoder));
cleanup:
    if (st != MTS_OK)
        status_prefix(ctx, "%s", part);
    return st;
}

/* ---- post_processor ---- */

static mts_status push_piece(mts_ctx *ctx, row_template *row, template_piece piece)
{
    mts_status st = MTS_OK;
    MTS_CHECK(row->count < TEMPLATE_MAX_PIECES, MTS_ERR_UNSUPPORTED,
              "a template of more than %d pieces", (int)TEMPLATE_MAX_PIECES);
    row->pieces[row->count++] = piece;
cleanup:
    return st;
}

/* The tokens that a special token of a template stands for. */
static mts_status push_special(mts_ctx *ctx, const bpe *b, const json_t *processor,
                               const char *name, int64_t type, row_template *row)
{
    mts_status st = MTS_OK;
    char quoted[UTF8_QUOTE_BYTES];
    const json_t *ids =
        json_object_get(json_object_get(json_object_get(processor, "special_tokens"), name), "ids");
    MTS_CHECK(json_array_size(ids) > 0, MTS_ERR_BAD_FILE, "special_tokens: no ids of \"%s\"",
              utf8_quote(quoted, sizeof quoted, name));
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        MTS_CHECK(json_is_integer(id) && json_integer_value(id) >= 0 &&
                      json_integer_value(id) < b->vocabulary.count,
                  MTS_ERR_BAD_FILE, "special_tokens: \"%s\": an id outside 0 to %lld",
                  utf8_quote(quoted, sizeof quoted, name), (long long)b->vocabulary.count - 1);
        MTS_TRY(push_piece(
            ctx, row,
            (template_piece){PIECE_TOKEN, (int32_t)json_integer_value(id), (int32_t)type}));
    }
cleanup:
    return st;
}

/* A template must have each of its texts once. */
static mts_status read_template(mts_ctx *ctx, const bpe *b, const json_t *processor,
                                const char *key, row_template *row)
{
    mts_status st = MTS_OK;
    const json_t *pieces = json_object_get(processor, key);
    const bool pair = row == &b->base.pair;
    int64_t texts[2] = {0, 0};
    *row = (row_template){0};
    for (size_t i = 0; i < json_array_size(pieces); i++) {
        const json_t *piece = json_array_get(pieces, i);
        const json_t *special = json_object_get(piece, "SpecialToken");
        const json_t *text = json_object_get(piece, "Sequence");
        const json_t *given = special != NULL ? special : text;
        const char *id = "";
        int64_t type = 0;
        MTS_TRY(json_util_string(ctx, NULL, given, "id", &id));
        MTS_TRY(json_util_int(ctx, NULL, given, "type_id", 0, 1, &type));
        if (special != NULL) {
            MTS_TRY(push_special(ctx, b, processor, id, type, row));
            continue;
        }
        const bool second = strcmp(id, "B") == 0;
        MTS_CHECK(second || strcmp(id, "A") == 0, MTS_ERR_BAD_FILE,
                  "piece %zu: expected a special token or one of the texts A and B", i);
        texts[second]++;
        MTS_TRY(push_piece(
            ctx, row, (template_piece){second ? PIECE_TEXT_B : PIECE_TEXT_A, 0, (int32_t)type}));
    }
    MTS_CHECK(texts[0] == 1 && texts[1] == pair, MTS_ERR_UNSUPPORTED,
              "text A is there %lld times and text B %lld times, expected 1 and %d",
              (long long)texts[0], (long long)texts[1], pair);
cleanup:
    if (st != MTS_OK)
        status_prefix(ctx, "%s", key);
    return st;
}

/* {"sep": ["</s>", 2], ...}: *id. */
static mts_status read_named_id(mts_ctx *ctx, const bpe *b, const json_t *processor,
                                const char *key, int32_t *id)
{
    mts_status st = MTS_OK;
    const json_t *number = json_array_get(json_object_get(processor, key), 1);
    MTS_CHECK(json_is_integer(number) && json_integer_value(number) >= 0 &&
                  json_integer_value(number) < b->vocabulary.count,
              MTS_ERR_BAD_FILE, "%s: expected [token, id], an id from 0 to %lld", key,
              (long long)b->vocabulary.count - 1);
    *id = (int32_t)json_integer_value(number);
cleanup:
    return st;
}

/* <s> a </s>, and <s> a </s> </s> b </s>, all of type 0. */
static mts_status read_roberta(mts_ctx *ctx, const json_t *processor, bpe *b)
{
    mts_status st = MTS_OK;
    template_piece cls = {PIECE_TOKEN, 0, 0}, sep = cls;
    const template_piece first = {PIECE_TEXT_A, 0, 0}, second = {PIECE_TEXT_B, 0, 0};
    MTS_TRY(read_named_id(ctx, b, processor, "cls", &cls.id));
    MTS_TRY(read_named_id(ctx, b, processor, "sep", &sep.id));
    b->base.single = (row_template){3, {cls, first, sep}};
    b->base.pair = (row_template){6, {cls, first, sep, sep, second, sep}};
cleanup:
    return st;
}

/* Offsets without spaces: ByteLevel, and RobertaProcessing. */
static mts_status read_trimming(mts_ctx *ctx, const json_t *part, bpe *b)
{
    mts_status st = MTS_OK;
    bool trims = true, prefix = true;
    MTS_TRY(json_util_bool(ctx, NULL, part, "trim_offsets", &trims));
    MTS_TRY(json_util_bool(ctx, NULL, part, "add_prefix_space", &prefix));
    MTS_CHECK(!trims || !b->trim_offsets, MTS_ERR_UNSUPPORTED, "trim_offsets twice");
    b->trim_offsets = b->trim_offsets || trims;
    b->keep_first_space = trims ? prefix : b->keep_first_space;
cleanup:
    return st;
}

static mts_status read_processor(mts_ctx *ctx, const json_t *part, const char *type, bpe *b)
{
    mts_status st = MTS_OK;
    const bool roberta = strcmp(type, "RobertaProcessing") == 0;
    if (strcmp(type, "ByteLevel") == 0)
        return read_trimming(ctx, part, b);
    if (!roberta && strcmp(type, "TemplateProcessing") != 0)
        return refuse(ctx, type);
    /* a second template around the first, or trimming behind it, is none of the families' */
    MTS_CHECK(b->base.single.count == 0, MTS_ERR_UNSUPPORTED, "%s behind another template", type);
    if (roberta) {
        MTS_TRY(read_trimming(ctx, part, b));
        MTS_TRY(read_roberta(ctx, part, b));
        return MTS_OK;
    }
    MTS_TRY(read_template(ctx, b, part, "single", &b->base.single));
    MTS_TRY(read_template(ctx, b, part, "pair", &b->base.pair));
cleanup:
    return st;
}

mts_status bpe_template_read(mts_ctx *ctx, const json_t *root, bpe *b)
{
    mts_status st = MTS_OK;
    const template_piece first = {PIECE_TEXT_A, 0, 0}, second = {PIECE_TEXT_B, 0, 1};
    MTS_TRY(read_parts(ctx, json_object_get(root, "post_processor"), "processors", 0,
                       read_processor, b));
    if (b->base.single.count == 0) {
        b->base.single = (row_template){1, {first}};
        b->base.pair = (row_template){2, {first, second}};
    }
cleanup:
    if (st != MTS_OK)
        status_prefix(ctx, "post_processor");
    return st;
}
