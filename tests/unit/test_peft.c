/*
 * io/peft: what an adapter_config.json says, what of it is refused, and what is written; and which
 * linear layers its names mean.  gates/check_decoder.py lets PEFT open such folders, and ours its.
 */
#include "support/test_folder.h"

#include <stdio.h>
#include <string.h>

#include "io/peft.h"
#include "models/model.h"

static mts_ctx ctx;

/* Load {"target_modules": ["q_proj"]} with these members beside it. */
static mts_status load(const char *members, peft_config *out)
{
    char text[512];
    snprintf(text, sizeof text, "{\"target_modules\": [\"q_proj\"]%s%s}", *members ? ", " : "",
             members);
    folder_put_text(PEFT_CONFIG, text);
    return peft_config_load(&ctx, folder_root(), out);
}

static void reads_and_writes(void **state)
{
    (void)state;
    peft_config c, again;
    assert_ok(load("\"r\": 4, \"lora_alpha\": 12, \"use_rslora\": true, \"lora_dropout\": 0.05, "
                   "\"init_lora_weights\": true, \"alpha_pattern\": {}, \"use_dora\": false",
                   &c));
    assert_int_equal(c.rank, 4);
    assert_true(c.alpha == 12 && c.rslora && peft_scale(&c) == 6);
    assert_string_equal(c.targets, "q_proj");
    assert_ok(peft_config_save(&ctx, &c, "base", "CAUSAL_LM", folder_root()));
    assert_ok(peft_config_load(&ctx, folder_root(), &again));
    assert_true(again.rank == c.rank && again.alpha == c.alpha && again.rslora);
    assert_string_equal(again.targets, c.targets);
    peft_config_deinit(&again);
    peft_config_deinit(&c);
    assert_ok(load("", &c)); /* PEFT's defaults */
    assert_true(c.rank == 8 && c.alpha == 8 && !c.rslora && peft_scale(&c) == 1);
    peft_config_deinit(&c);
}

/* Those that PEFT computes otherwise, each named in the error. */
static void refuses(void **state)
{
    (void)state;
    static const char *const members[][2] = {
        {"peft_type", "\"IA3\""},
        {"bias", "\"all\""},
        {"use_dora", "true"},
        {"rank_pattern", "{\"q_proj\": 2}"},
        {"modules_to_save", "[\"lm_head\"]"},
        {"kasa_config", "{\"beta\": 1}"},
        {"init_lora_weights", "\"pissa\""},
        {"init_lora_weights", "\"pissa_niter_4\""},
        {"init_lora_weights", "\"olora\""},
        {"init_lora_weights", "\"loftq\""},
    };
    static const char *const harmless[] = {"true",         "false",   "null",
                                           "\"gaussian\"", "\"eva\"", "\"orthogonal\""};
    char text[128];
    peft_config c;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        snprintf(text, sizeof text, "\"%s\": %s", members[i][0], members[i][1]);
        assert_int_equal(load(text, &c), MTS_ERR_UNSUPPORTED);
        assert_non_null(strstr(mts_error_text(&ctx), members[i][0]));
    }
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++) {
        snprintf(text, sizeof text, "\"init_lora_weights\": %s", harmless[i]);
        assert_ok(load(text, &c));
        peft_config_deinit(&c);
    }
}

/* As PEFT: a target is the name of a layer, or the end of one behind a point. */
static void names_of_layers(void **state)
{
    (void)state;
    static const char layer[] = "model.layers.12.self_attn.q_proj";
    static const struct {
        const char *targets;
        bool wanted;
    } cases[] = {
        {"all-linear", true},
        {"q_proj", true},
        {"k_proj,q_proj", true},
        {"k_proj, q_proj", true},
        {"self_attn.q_proj", true},
        {"12.self_attn.q_proj", true},
        {"layers.12.self_attn.q_proj", true},
        {"model.layers.12.self_attn.q_proj", true},
        {"model.layers.2.self_attn.q_proj", false},
        {"2.self_attn.q_proj", false},
        {"base.model.layers.12.self_attn.q_proj", false},
        {"proj", false},
        {"self_attn", false},
        {"q_proj.", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const adapter_options o = {8, 1.0f, cases[i].targets};
        if (model_adapts_module(&o, layer) != cases[i].wanted)
            fail_msg("target \"%s\"", cases[i].targets);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_and_writes, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(refuses, folder_open, folder_close),
        cmocka_unit_test(names_of_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
