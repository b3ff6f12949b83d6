/* The table of architectures.  See model.h. */
#include "models/model.h"

#include <string.h>

#include "models/bert.h"

static const model_class *const classes[] = {&bert_class};

enum { CLASSES = sizeof classes / sizeof classes[0] };

const model_class *model_class_at(int i)
{
    return i < CLASSES ? classes[i] : NULL;
}

const model_class *model_class_find(const char *model_type)
{
    for (int i = 0; i < CLASSES; i++)
        for (const char *const *type = classes[i]->model_types; *type != NULL; type++)
            if (strcmp(*type, model_type) == 0)
                return classes[i];
    return NULL;
}

const model_class *model_class_of_config(const model_config *cfg)
{
    return model_class_find(model_config_type(cfg));
}

activation_kind model_act_kind(model_act act)
{
    switch (act) {
    case MODEL_ACT_GELU:
        return ACTIVATION_GELU;
    case MODEL_ACT_GELU_TANH:
        return ACTIVATION_GELU_TANH;
    case MODEL_ACT_RELU:
        return ACTIVATION_RELU;
    case MODEL_ACT_SILU:
        return ACTIVATION_SILU;
    case MODEL_ACT_TANH:
        return ACTIVATION_TANH;
    }
    return ACTIVATION_GELU;
}
