/*
 * Fine-tunes a BERT folder on a file of texts and labels, then labels a text with the result.
 *
 *   cc train_and_predict.c $(pkg-config --cflags --libs mantissa) -o train_and_predict
 *   ./train_and_predict path/to/bert train.csv out "Fine food at a fair price."
 */
#include <mantissa/mantissa.h>
#include <stdio.h>
#include <stdlib.h>

/* Called while mts_train works; false would stop it after the present step. */
static bool show(void *user, const mts_event *event)
{
    (void)user;
    if (event->kind == MTS_EVENT_NOTE)
        fprintf(stderr, "note: %s\n", event->text);
    if (event->kind == MTS_EVENT_STEP && event->done % 10 == 0)
        fprintf(stderr, "step %lld of %lld: loss %.4f\n", (long long)event->done,
                (long long)event->total, event->loss);
    return true;
}

static mts_status train(mts_ctx *ctx, const char *model, const char *data, const char *out)
{
    mts_options options;
    mts_options_default(&options);
    options.model_name_or_path = model;
    options.train_file = data;
    options.output_dir = out;
    options.overwrite_output_dir = true;
    options.max_steps = 20;
    options.learning_rate = 1e-3;
    options.save_strategy = "no";
    const mts_callbacks callbacks = {.on_event = show};
    return mts_train(ctx, &options, &callbacks, NULL);
}

/* The text's label: the one with the largest logit. */
static mts_status predict(mts_ctx *ctx, const char *folder, const char *text)
{
    mts_options options;
    mts_predictor *predictor = NULL;
    mts_options_default(&options);
    mts_status status = mts_options_from_model(ctx, &options, folder);
    options.model_name_or_path = folder;
    if (status == MTS_OK)
        status = mts_predictor_open(ctx, &options, &predictor);
    if (status != MTS_OK)
        return status;
    const int64_t labels = mts_predictor_num_labels(predictor);
    float *logits = calloc((size_t)labels, sizeof *logits);
    status = logits == NULL ? MTS_ERR_MEMORY : mts_predictor_run(predictor, &text, NULL, 1, logits);
    if (status == MTS_OK) {
        int64_t best = 0;
        for (int64_t i = 1; i < labels; i++)
            best = logits[i] > logits[best] ? i : best;
        printf("%s\t%.4f\n", mts_predictor_label(predictor, best), (double)logits[best]);
    }
    free(logits);
    mts_predictor_close(predictor);
    return status;
}

int main(int argc, char **argv)
{
    mts_ctx *ctx = NULL;
    if (argc != 5) {
        fprintf(stderr, "usage: train_and_predict MODEL TRAIN_FILE OUTPUT_DIR TEXT\n");
        return 2;
    }
    mts_status status = mts_ctx_create(&ctx);
    if (status == MTS_OK)
        status = train(ctx, argv[1], argv[2], argv[3]);
    if (status == MTS_OK)
        status = predict(ctx, argv[3], argv[4]);
    if (status != MTS_OK)
        fprintf(stderr, "error: %s\n", ctx == NULL ? mts_status_name(status) : mts_error_text(ctx));
    mts_ctx_destroy(ctx);
    return status == MTS_OK ? 0 : 1;
}
