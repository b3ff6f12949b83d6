/* Pre-tokenizers: the pieces of a text.  See pre_split.h. */
#include "text/pre_split.h"

#include <string.h>

#include "text/bert_unicode.h"
#include "text/regex_unicode.h"

static bool is_line_end(int32_t code)
{
    return code == '\n' || code == '\r';
}

/* From chars[from] on: behind the run of code points of one class, at most `most`. */
static int64_t run_end(const bert_char *chars, int64_t from, int64_t count, regex_class class,
                       int64_t most)
{
    int64_t i = from;
    while (i < count && i - from < most && regex_class_of(chars[i].code) == class)
        i++;
    return i;
}

/* A letter of a contraction; where case does not count, long s is an s. */
static int32_t fold(int32_t code, bool any_case)
{
    if (any_case && code >= 'A' && code <= 'Z')
        return code + ('a' - 'A');
    return any_case && code == 0x17F ? 's' : code;
}

/* 's|'t|'re|'ve|'m|'ll|'d: its length, or 0. */
static int64_t contraction(const bert_char *chars, int64_t count, bool any_case)
{
    if (count < 2 || chars[0].code != '\'')
        return 0;
    const int32_t first = fold(chars[1].code, any_case);
    if (first == 's' || first == 't' || first == 'm' || first == 'd')
        return 2;
    if (count < 3)
        return 0;
    const int32_t second = fold(chars[2].code, any_case);
    return ((first == 'r' || first == 'v') && second == 'e') || (first == 'l' && second == 'l') ? 3
                                                                                                : 0;
}

/* \s+(?!\S)|\s+ on a run of spaces that ends at `end`: the last one stays for what follows. */
static int64_t spaces(int64_t end, int64_t count)
{
    return end < count && end > 1 ? end - 1 : end;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static int64_t gpt2(const bert_char *chars, int64_t count)
{
    const int64_t contracted = contraction(chars, count, false);
    if (contracted > 0)
        return contracted;
    const int64_t from = chars[0].code == ' ' ? 1 : 0;
    if (from < count) {
        const regex_class class = regex_class_of(chars[from].code);
        if (class != REGEX_SPACE)
            return run_end(chars, from, count, class, count);
    }
    return spaces(run_end(chars, 0, count, REGEX_SPACE, count), count);
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ */
static int64_t lines_or_spaces(const bert_char *chars, int64_t count)
{
    const int64_t end = run_end(chars, 0, count, REGEX_SPACE, count);
    for (int64_t i = end; i > 0; i--)
        if (is_line_end(chars[i - 1].code))
            return i;
    return spaces(end, count);
}

/*
 * (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}|
 *  ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 */
static int64_t llama3(const bert_char *chars, int64_t count, int64_t digits)
{
    const int64_t contracted = contraction(chars, count, true);
    if (contracted > 0)
        return contracted;
    const regex_class class = regex_class_of(chars[0].code);
    if (class == REGEX_LETTER)
        return run_end(chars, 0, count, REGEX_LETTER, count);
    if (class == REGEX_NUMBER)
        return run_end(chars, 0, count, REGEX_NUMBER, digits);
    if (count > 1 && !is_line_end(chars[0].code) && regex_class_of(chars[1].code) == REGEX_LETTER)
        return run_end(chars, 1, count, REGEX_LETTER, count);
    const int64_t from = chars[0].code == ' ' ? 1 : 0;
    int64_t end = run_end(chars, from, count, REGEX_OTHER, count);
    if (end == from)
        return lines_or_spaces(chars, count);
    while (end < count && is_line_end(chars[end].code))
        end++;
    return end;
}

static bool three_digits(const bert_char *chars, int64_t count)
{
    for (int64_t i = 0; i < 3; i++)
        if (i >= count || chars[i].code < '0' || chars[i].code > '9')
            return false;
    return true;
}

static bool is_metaspace(int32_t code)
{
    return code == PRE_SPLIT_METASPACE_CODE;
}

/* Runs of code points that do, or do not, have the property; `each` that does is by itself. */
static int64_t runs(const bert_char *chars, int64_t count, bool (*property)(int32_t), bool each)
{
    const bool first = property(chars[0].code);
    int64_t i = 1;
    while (!(first && each) && i < count && property(chars[i].code) == first)
        i++;
    return i;
}

int64_t pre_split_length(pre_split_rule rule, const bert_char *chars, int64_t count)
{
    int64_t i = 1;
    switch (rule) {
    case PRE_SPLIT_GPT2:
        return gpt2(chars, count);
    case PRE_SPLIT_LLAMA3:
        return llama3(chars, count, 3);
    case PRE_SPLIT_QWEN2:
        return llama3(chars, count, 1);
    case PRE_SPLIT_THREE_DIGITS:
        if (three_digits(chars, count))
            return 3;
        while (i < count && !three_digits(chars + i, count - i))
            i++;
        return i;
    case PRE_SPLIT_EACH_DIGIT:
        return runs(chars, count, regex_is_numeric, true);
    case PRE_SPLIT_DIGITS:
        return runs(chars, count, regex_is_numeric, false);
    case PRE_SPLIT_EACH_PUNCTUATION:
        return runs(chars, count, bert_unicode_is_punctuation, true);
    case PRE_SPLIT_PUNCTUATION:
        return runs(chars, count, bert_unicode_is_punctuation, false);
    case PRE_SPLIT_METASPACE:
        while (i < count && !is_metaspace(chars[i].code))
            i++;
        return i;
    }
    return count;
}

#define CONTRACTIONS "'s|'t|'re|'ve|'m|'ll|'d"
#define LLAMA3(digits)                                                                             \
    "(?i:" CONTRACTIONS ")|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits                                  \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

bool pre_split_find(const char *pattern, pre_split_rule *rule)
{
    static const struct {
        const char *pattern;
        pre_split_rule rule;
    } known[] = {
        {CONTRACTIONS "| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
         PRE_SPLIT_GPT2},
        {LLAMA3("\\p{N}{1,3}"), PRE_SPLIT_LLAMA3},
        {LLAMA3("\\p{N}"), PRE_SPLIT_QWEN2},
        {"[0-9][0-9][0-9]", PRE_SPLIT_THREE_DIGITS},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(pattern, known[i].pattern) == 0) {
            *rule = known[i].rule;
            return true;
        }
    }
    return false;
}

bool pre_split_covers(pre_split_rule rule)
{
    return rule == PRE_SPLIT_GPT2 || rule == PRE_SPLIT_LLAMA3 || rule == PRE_SPLIT_QWEN2;
}
