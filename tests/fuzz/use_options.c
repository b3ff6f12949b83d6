/* Options that were set from hostile text.  See use_options.h. */
#include "fuzz/use_options.h"

#include <string.h>

#include "options/options.h"
#include "fuzz/fuzz_target.h"

/* Whether text is one of "a|b|c". */
static bool is_choice(const char *choices, const char *text)
{
    const size_t n = strlen(text);
    for (const char *p = choices; p != NULL; p = strchr(p, '|')) {
        p += *p == '|';
        if (strcspn(p, "|") == n && memcmp(p, text, n) == 0)
            return true;
    }
    return false;
}

static void require_in_range(const mts_options *options, const mts_option_info *info)
{
    const char *field = (const char *)options + info->offset;
    const char *text;
    int64_t whole;
    double real;
    bool yes;
    switch (info->type) {
    case MTS_OPTION_STRING:
        memcpy(&text, field, sizeof text);
        FUZZ_REQUIRE(text == NULL || info->choices == NULL ||
                     is_choice(info->choices, text));
        return;
    case MTS_OPTION_BOOL:
        memcpy(&yes, field, sizeof yes);
        FUZZ_REQUIRE(yes == true || yes == false);
        return;
    case MTS_OPTION_TRISTATE:
        memcpy(&whole, field, sizeof whole);
        FUZZ_REQUIRE(whole >= -1 && whole <= 1);
        return;
    case MTS_OPTION_INT:
        memcpy(&whole, field, sizeof whole);
        FUZZ_REQUIRE((double)whole >= info->min && (double)whole <= info->max);
        return;
    case MTS_OPTION_REAL:
        memcpy(&real, field, sizeof real);
        FUZZ_REQUIRE(real >= info->min && real <= info->max);
        return;
    }
}

static void require_answer(mts_status st)
{
    static const mts_status allowed[] = {MTS_ERR_ARGUMENT, MTS_OK};
    if (st != MTS_OK)
        fuzz_require_error(st, allowed);
}

void use_options(const mts_options *options)
{
    for (size_t i = 0; i < mts_option_count(); i++)
        require_in_range(options, mts_option_at(i));
    require_answer(mts_options_check(&fuzz_ctx, options));
    require_answer(options_check_train(&fuzz_ctx, options));
    require_answer(options_check_eval(&fuzz_ctx, options));
    require_answer(options_check_predict(&fuzz_ctx, options));
    require_answer(options_check_test_rows(&fuzz_ctx, options));
}
