/*
 * models/model: which linear layers the names of --target_modules and of PEFT's target_modules
 * mean.
 */
#include "support/test_check.h"

#include "models/model.h"

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
        const adapter_options o = {.rank = 8, .scale = 1.0f, .targets = cases[i].targets};
        if (model_adapts_module(&o, layer) != cases[i].wanted)
            fail_msg("target \"%s\"", cases[i].targets);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
