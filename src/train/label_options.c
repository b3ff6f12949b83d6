/* Options for some kinds of labels.  See label_options.h. */
#include "train/label_options.h"

mts_status label_options_check(mts_ctx *ctx, const mts_options *o, const head_class *of)
{
    mts_status st = MTS_OK;
    mts_options usual;
    mts_options_default(&usual);
    const char *of_sets = o->label_separator != NULL                    ? "label_separator"
                          : o->label_threshold != usual.label_threshold ? "label_threshold"
                                                                        : NULL;
    const char *of_classes = o->label_smoothing_factor > 0 ? "label_smoothing_factor"
                             : o->class_weights != NULL    ? "class_weights"
                                                           : NULL;
    MTS_CHECK(of->target == TARGET_CLASS || of_classes == NULL, MTS_ERR_ARGUMENT,
              "--%s is for one class of a text: this model is for %s", of_classes, of->name);
    MTS_CHECK(of->target == TARGET_SET || of_sets == NULL, MTS_ERR_ARGUMENT,
              "--%s is for sets of labels: this model is for %s", of_sets, of->name);
cleanup:
    return st;
}
