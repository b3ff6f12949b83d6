/* mantissa synth: a folder of a known model's shape, with random weights. */
#include "cli.h"

#include "interrupt.h"
#include "progress.h"
#include "report.h"

static int run_synth(cli_args *args)
{
    progress shown;
    interrupt_catch();
    const mts_callbacks callbacks = progress_begin(&shown, 1);
    const mts_status st = mts_synth(args->ctx, &args->options, &callbacks);
    progress_end(&shown);
    if (st == MTS_ERR_INTERRUPTED) {
        fprintf(stderr, "mantissa: %s\n", mts_error_text(args->ctx));
        return EXIT_INTERRUPTED;
    }
    if (st == MTS_OK)
        fprintf(stderr, "the random model is in %s\n", args->options.output_dir);
    return cli_report(args->ctx, st);
}

const cli_command command_synth = {
    .name = "synth",
    .usage = "synth --like MODEL --output_dir OUT [options]",
    .summary = "write a model of a known shape with random weights",
    .about =
        "Writes a folder with config.json and every tensor of a known language model, filled "
        "with random\n"
        "numbers, and a tokenizer of bytes: to measure memory and time of a model that is not "
        "at hand. The\n"
        "matrices of the layers are in NF4, as 'mantissa quantize' writes them, or in bfloat16 "
        "with\n"
        "--base_bits 16. A run that was stopped leaves OUT.partial; the same command goes on "
        "with it.",
    .use = MTS_USE_SYNTH,
    .run = run_synth,
};
